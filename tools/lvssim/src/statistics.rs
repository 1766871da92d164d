// SPDX-License-Identifier: GPL-2.0-only

//! Statistics: confidence intervals, batch means, warm-up, fairness.

use serde::Serialize;

/// An estimate with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean of the observations.
    pub mean: f64,
    /// Half of the interval's width; 0 if there is only one observation.
    pub half_width: f64,
    /// The least observation.
    pub least: f64,
    /// The median.
    pub median: f64,
    /// The greatest observation.
    pub greatest: f64,
    /// How many observations there are.
    pub count: usize,
}

impl Estimate {
    /// From independent observations; those that are no numbers do not count.
    #[must_use]
    pub fn of(observations: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = observations.into_iter().filter(|x| x.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        let (mean, deviation) = mean_and_deviation(&all);
        let count = all.len();
        let half_width = match count {
            0 | 1 => 0.0,
            _ => student(0.975, count - 1) * deviation / (count as f64).sqrt(),
        };
        let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
        Self {
            mean,
            half_width,
            least: at(0),
            median: f64::midpoint(at(count.saturating_sub(1) / 2), at(count / 2)),
            greatest: at(count.saturating_sub(1)),
            count,
        }
    }

    /// The interval's lower end.
    #[must_use]
    pub fn low(&self) -> f64 {
        self.mean - self.half_width
    }

    /// The interval's upper end.
    #[must_use]
    pub fn high(&self) -> f64 {
        self.mean + self.half_width
    }

    /// Whether this interval lies above the other one, without a common point.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        self.low() > other.high()
    }
}

/// The mean, and the sample's standard deviation.
#[must_use]
pub fn mean_and_deviation(all: &[f64]) -> (f64, f64) {
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    let squares: f64 = all.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// The quantile of the standard normal distribution (P. Acklam's approximation, to 1e-9 relative).
#[must_use]
pub fn normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let horner = |by: &[f64], x: f64| by.iter().fold(0.0, |sum, factor| sum * x + factor);
    if p > 0.5 {
        return -normal(1.0 - p);
    }
    if p < 0.024_25 {
        let q = (-2.0 * p.ln()).sqrt();
        return horner(&C, q) / horner(&D, q);
    }
    let q = p - 0.5;
    horner(&A, q * q) * q / horner(&B, q * q)
}

/// The quantile of Student's t distribution: exact for 1 and 2 degrees of freedom, otherwise the
/// series of Cornish and Fisher (Abramowitz and Stegun, 26.7.5), to a thousandth from 3 on.
#[must_use]
pub fn student(p: f64, degrees: usize) -> f64 {
    let n = degrees as f64;
    match degrees {
        0 => return f64::INFINITY,
        1 => return (std::f64::consts::PI * (p - 0.5)).tan(),
        2 => {
            let alpha = 4.0 * p * (1.0 - p);
            return 2.0 * (p - 0.5) * (2.0 / alpha).sqrt();
        }
        _ => {}
    }
    let z = normal(p);
    let [z3, z5, z7, z9] = [3, 5, 7, 9].map(|power| z.powi(power));
    let g1 = (z3 + z) / 4.0;
    let g2 = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
    let g3 = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
    let g4 = (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / 92_160.0;
    z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3) + g4 / n.powi(4)
}

/// How many of the first observations belong to the warm-up, by MSER-5: the truncation after which
/// the mean of batches of five has the least standard error.
#[must_use]
pub fn mser5(observations: &[f64]) -> usize {
    let batches: Vec<f64> = observations
        .chunks_exact(5)
        .map(|batch| batch.iter().sum::<f64>() / 5.0)
        .collect();
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut best = (f64::INFINITY, 0);
    for (index, batch) in batches.iter().enumerate().rev() {
        sum += batch;
        squares += batch * batch;
        let count = (batches.len() - index) as f64;
        let error = (squares - sum * sum / count) / (count * count);
        // The last half says too little about itself.
        if index <= batches.len() / 2 && error <= best.0 {
            best = (error, index);
        }
    }
    best.1 * 5
}

/// Jain's index of fairness: 1 when all are equal, 1/n when one has everything.
#[must_use]
pub fn jain(all: &[f64]) -> f64 {
    let sum: f64 = all.iter().sum();
    let squares: f64 = all.iter().map(|x| x * x).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (all.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (p, degrees, wanted) in [
            (0.975, 1, 12.706),
            (0.975, 2, 4.303),
            (0.975, 3, 3.182),
            (0.975, 4, 2.776),
            (0.975, 9, 2.262),
            (0.975, 19, 2.093),
            (0.995, 9, 3.250),
            (0.995, 31, 2.744),
        ] {
            let got = student(p, degrees);
            assert!(
                (got / wanted - 1.0).abs() < 0.002,
                "t({p}, {degrees}) = {got}, not {wanted}"
            );
        }
        assert!((normal(0.975) - 1.959_964).abs() < 1e-6);
        assert!((normal(0.01) + 2.326_348).abs() < 1e-6);
    }

    #[test]
    fn an_estimate_has_its_interval() {
        let estimate = Estimate::of([1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((estimate.mean - 3.0).abs() < 1e-12);
        assert!((estimate.half_width - 2.776 * (2.5_f64 / 5.0).sqrt()).abs() < 1e-2);
        assert_eq!(
            [estimate.least, estimate.median, estimate.greatest],
            [1.0, 3.0, 5.0]
        );
        assert!(Estimate::of([9.0, 9.1]).is_above(&Estimate::of([1.0, 1.1])));
        assert!(!estimate.is_above(&estimate));
    }

    #[test]
    fn a_warm_up_is_found() {
        let noise = |index: usize| f64::from((index * 7919 % 101) as u32) / 101.0;
        let data: Vec<_> = (0..1000)
            .map(|index| noise(index) + if index < 100 { 20.0 } else { 0.0 })
            .collect();
        assert!((95..=110).contains(&mser5(&data)), "{}", mser5(&data));
        let steady: Vec<_> = (0..1000).map(noise).collect();
        assert!(mser5(&steady) < 300);
    }

    #[test]
    fn fairness_is_from_one_to_one_of_all() {
        assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
    }
}
