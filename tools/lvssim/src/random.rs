// SPDX-License-Identifier: GPL-2.0-only

//! Random numbers: one stream for each purpose, so that runs with different schedulers see the same
//! arrivals and sizes (common random numbers), and the distributions of workloads.

use std::sync::Arc;

use rand_distr::{Distribution, Exp1, LogNormal, Zipf};
use rand_pcg::rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// When requests arrive.
    Arrivals = 1,
    /// How much work they are.
    Sizes,
    /// Who sends them.
    Clients,
    /// What the scheduler draws.
    Scheduler,
    /// Which reports of load are lost, and which director a client uses.
    Reports,
    /// Back-off of the shared LAN.
    Backoff,
    /// Phases and patterns of the shared LAN's clients.
    Traffic,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(Pcg64Mcg);

impl Stream {
    /// The stream of a run's replication for a purpose.
    #[must_use]
    pub fn new(seed: u64, replication: u32, purpose: Purpose) -> Self {
        let mix = (u64::from(replication) << 8) | purpose as u64;
        Self(Pcg64Mcg::seed_from_u64(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mix.wrapping_mul(0xd1b5_4a32_d192_ed03),
        ))
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to 1, without 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An exponentially distributed number of mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }
}

/// The distribution of a positive number.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// Always the same.
    Constant(f64),
    /// Exponential, of this mean.
    Exponential(f64),
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Lognormal, of this mean and squared coefficient of variation.
    LogNormal(LogNormal<f64>, f64),
    /// Bounded Pareto: exponent, least and greatest number.
    Pareto(f64, f64, f64),
    /// The first number, or with the given probability the second.
    Bimodal(f64, f64, f64),
    /// Hyperexponential of two phases with balanced means: probability of the first phase, and
    /// the means.
    Hyper(f64, f64, f64),
}

impl Sizes {
    /// A lognormal distribution of this mean and squared coefficient of variation.
    #[must_use]
    pub fn log_normal(mean: f64, cv2: f64) -> Self {
        let variance = (1.0 + cv2).ln();
        let location = mean.ln() - variance / 2.0;
        match LogNormal::new(location, variance.sqrt()) {
            Ok(distribution) => Self::LogNormal(distribution, mean),
            Err(_) => Self::Constant(mean),
        }
    }

    /// A bounded Pareto distribution of this mean: the greatest number is `ratio` times the least.
    #[must_use]
    pub fn pareto(mean: f64, alpha: f64, ratio: f64) -> Self {
        let unit = Self::Pareto(alpha, 1.0, ratio).mean();
        Self::Pareto(alpha, mean / unit, mean / unit * ratio)
    }

    /// A hyperexponential distribution of this mean and squared coefficient of variation, 1 or
    /// more.
    #[must_use]
    pub fn hyper(mean: f64, cv2: f64) -> Self {
        let p = 0.5 * (1.0 + ((cv2 - 1.0) / (cv2 + 1.0)).max(0.0).sqrt());
        Self::Hyper(p, mean / (2.0 * p), mean / (2.0 * (1.0 - p)))
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Constant(mean) | Self::Exponential(mean) | Self::LogNormal(_, mean) => mean,
            Self::Uniform(low, high) => f64::midpoint(low, high),
            Self::Pareto(a, low, high) => {
                let share = 1.0 - (low / high).powf(a);
                if (a - 1.0).abs() < 1e-9 {
                    low * (high / low).ln() / share
                } else {
                    low.powf(a) / share * a / (a - 1.0) * (low.powf(1.0 - a) - high.powf(1.0 - a))
                }
            }
            Self::Bimodal(one, other, share) => one + (other - one) * share,
            Self::Hyper(p, one, other) => p * one + (1.0 - p) * other,
        }
    }

    /// A random number of this distribution.
    #[inline(always)]
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        match self {
            // Inlined, since most studies have it.
            Self::Exponential(mean) => mean * stream.exponential(),
            other => other.sample_any(stream),
        }
    }

    #[inline(never)]
    fn sample_any(&self, stream: &mut Stream) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Exponential(mean) => mean * stream.exponential(),
            Self::Uniform(low, high) => low + (high - low) * stream.unit(),
            Self::LogNormal(distribution, _) => distribution.sample(&mut stream.0),
            Self::Pareto(alpha, low, high) => {
                let share = 1.0 - (low / high).powf(*alpha);
                low / (1.0 - stream.unit() * share).powf(1.0 / alpha)
            }
            Self::Bimodal(one, other, share) => {
                if stream.unit() < *share {
                    *other
                } else {
                    *one
                }
            }
            Self::Hyper(p, one, other) => {
                let mean = if stream.unit() < *p { one } else { other };
                mean * stream.exponential()
            }
        }
    }
}

/// A request of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// When, in seconds since the beginning.
    pub at: f64,
    /// Who sends it.
    pub client: u32,
    /// Seconds of work, if the trace tells it.
    pub size: Option<f64>,
}

/// How the rate of arrivals changes with time; its mean is 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Evenly spaced.
    Deterministic,
    /// At random.
    Poisson,
    /// At random, with two rates in turn, each for an exponential time of a mean in seconds (an
    /// MMPP-2).
    Bursts {
        /// The rates.
        rates: [f64; 2],
        /// The mean times.
        dwell: [f64; 2],
    },
    /// Sources that are on and off for Pareto-distributed times and send evenly while they are on:
    /// self-similar traffic with the Hurst parameter (3 - alpha) / 2.
    OnOff {
        /// How many sources.
        sources: u32,
        /// The exponent, between 1 and 2.
        alpha: f64,
        /// The least time on or off, in seconds.
        least: f64,
    },
    /// A sine: 1 + depth sin(2 pi t / period), times a factor for each period in turn.
    Diurnal {
        /// Seconds.
        period: f64,
        /// Below 1.
        depth: f64,
        /// The factors, such as seven for the days of a week; their mean is 1.
        days: Vec<f64>,
    },
    /// Rate 1, but `factor` from the second `at` on for `hold` seconds.
    Flash {
        /// Seconds.
        at: f64,
        /// Seconds.
        hold: f64,
        /// How many times the rate.
        factor: f64,
    },
    /// Those of a trace, whatever the rate.
    Trace(Arc<[Visit]>),
    /// Gaps between arrivals of this distribution, of mean 1.
    Renewal(Sizes),
}

/// A process that tells when requests arrive.
#[derive(Clone, Debug)]
pub struct Process {
    arrivals: Arrivals,
    /// Requests a second, on average.
    rate: f64,
    /// Seconds.
    now: f64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Plain,
    Bursts {
        phase: usize,
        until: f64,
    },
    /// For each source: next arrival, and end of its time on.
    OnOff(Vec<(f64, f64)>),
    /// Requests of a trace so far.
    Trace(usize),
}

impl Process {
    /// A process of so many requests a second on average.
    #[must_use]
    pub fn new(arrivals: Arrivals, rate: f64, stream: &mut Stream) -> Self {
        let state = match &arrivals {
            Arrivals::Bursts { dwell, .. } => {
                let phase = usize::from(stream.unit() > dwell[0] / (dwell[0] + dwell[1]));
                State::Bursts {
                    phase,
                    until: dwell[phase] * stream.exponential(),
                }
            }
            Arrivals::OnOff {
                sources,
                alpha,
                least,
            } => {
                let pareto = Sizes::Pareto(*alpha, *least, least * 1e6);
                let start = |_| {
                    let begin = stream.unit() * 2.0 * pareto.mean();
                    (begin, begin + pareto.sample(stream))
                };
                State::OnOff((0..*sources).map(start).collect())
            }
            Arrivals::Trace(_) => State::Trace(0),
            _ => State::Plain,
        };
        Self {
            arrivals,
            rate,
            now: 0.0,
            state,
        }
    }

    /// The second of the next arrival.
    #[inline(always)]
    pub fn advance(&mut self, stream: &mut Stream) -> f64 {
        // Inlined, since most studies have them.
        if let Arrivals::Poisson = self.arrivals {
            self.now += stream.exponential() / self.rate;
            return self.now;
        }
        self.advance_any(stream)
    }

    #[inline(never)]
    fn advance_any(&mut self, stream: &mut Stream) -> f64 {
        match (&self.arrivals, &mut self.state) {
            (Arrivals::Poisson, _) => self.now += stream.exponential() / self.rate,
            (Arrivals::Deterministic, _) => self.now += 1.0 / self.rate,
            (Arrivals::Renewal(gaps), _) => self.now += gaps.sample(stream) / self.rate,
            (Arrivals::Bursts { rates, dwell }, State::Bursts { phase, until }) => loop {
                let gap = stream.exponential() / (self.rate * rates[*phase]);
                if self.now + gap <= *until {
                    self.now += gap;
                    break;
                }
                self.now = *until;
                *phase = 1 - *phase;
                *until = self.now + dwell[*phase] * stream.exponential();
            },
            (
                Arrivals::OnOff {
                    sources,
                    alpha,
                    least,
                },
                State::OnOff(state),
            ) => {
                // Each source sends at twice its share while it is on, which is half of the time.
                let gap = f64::from(*sources) / (2.0 * self.rate);
                let pareto = Sizes::Pareto(*alpha, *least, least * 1e6);
                let earliest = |a: &&mut (f64, f64), b: &&mut (f64, f64)| a.0.total_cmp(&b.0);
                if let Some((next, end)) = state.iter_mut().min_by(earliest) {
                    self.now = *next;
                    *next += gap;
                    while *next > *end {
                        *next = *end + pareto.sample(stream) + gap * stream.unit();
                        *end = *next + pareto.sample(stream);
                    }
                }
            }
            (Arrivals::Diurnal { .. } | Arrivals::Flash { .. }, _) => {
                // Thinning: candidates at the greatest rate, of which a share is taken.
                let greatest = match &self.arrivals {
                    Arrivals::Diurnal { depth, days, .. } => {
                        (1.0 + depth) * days.iter().copied().fold(0.0, f64::max)
                    }
                    Arrivals::Flash { factor, .. } => factor.max(1.0),
                    _ => 1.0,
                };
                loop {
                    self.now += stream.exponential() / (self.rate * greatest);
                    if stream.unit() * greatest < self.factor() {
                        break;
                    }
                }
            }
            (Arrivals::Trace(visits), State::Trace(count)) => {
                self.now = visits.get(*count).map_or(f64::INFINITY, |visit| visit.at);
                *count += 1;
            }
            (Arrivals::Bursts { .. } | Arrivals::OnOff { .. } | Arrivals::Trace(_), _) => {
                self.now = f64::INFINITY;
            }
        }
        self.now
    }

    /// The request of a trace that [`Self::advance`] has told.
    #[inline]
    #[must_use]
    pub fn visit(&self) -> Option<&Visit> {
        match (&self.arrivals, &self.state) {
            (Arrivals::Trace(visits), State::Trace(count)) => visits.get(count.checked_sub(1)?),
            _ => None,
        }
    }

    /// How many times the mean rate it is now.
    fn factor(&self) -> f64 {
        match self.arrivals {
            Arrivals::Diurnal {
                period,
                depth,
                ref days,
            } => {
                let periods = self.now / period;
                let day = days.get(periods as usize % days.len().max(1));
                (1.0 + depth * (std::f64::consts::TAU * periods).sin()) * day.unwrap_or(&1.0)
            }
            Arrivals::Flash { at, hold, factor } if (at..at + hold).contains(&self.now) => factor,
            _ => 1.0,
        }
    }
}

/// Who sends requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Clients {
    /// Each request comes from another client.
    Fresh,
    /// One of so many, all equally often.
    Equal(u32),
    /// One of so many, by Zipf's law with an exponent.
    Zipf(u32, f64),
}

impl Clients {
    /// The client of the request with this number.
    #[inline]
    pub fn sample(&self, number: u32, stream: &mut Stream) -> u32 {
        match self {
            Self::Fresh => number,
            Self::Equal(count) => stream.below(u64::from(*count)) as u32,
            Self::Zipf(count, exponent) => match Zipf::new(f64::from(*count), *exponent) {
                Ok(zipf) => zipf.sample(&mut stream.0) as u32,
                Err(_) => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::new(7, 0, Purpose::Sizes)
    }

    #[test]
    fn samples_have_the_mean_that_the_distribution_says() {
        let sizes = [
            Sizes::Constant(2.0),
            Sizes::Exponential(2.0),
            Sizes::Uniform(1.0, 3.0),
            Sizes::log_normal(2.0, 4.0),
            Sizes::pareto(2.0, 1.5, 1e3),
            Sizes::Bimodal(1.0, 101.0, 0.01),
            Sizes::hyper(2.0, 4.0),
        ];
        for sizes in sizes {
            let mut stream = stream();
            let count = 1_000_000;
            let sum: f64 = (0..count).map(|_| sizes.sample(&mut stream)).sum();
            let mean = sum / f64::from(count);
            assert!(
                (sizes.mean() - 2.0).abs() < 1e-9,
                "{sizes:?}: {}",
                sizes.mean()
            );
            assert!((mean - 2.0).abs() < 0.05, "{sizes:?}: {mean}");
        }
    }

    #[test]
    fn squared_coefficients_of_variation_are_as_wanted() {
        for sizes in [Sizes::log_normal(1.0, 4.0), Sizes::hyper(1.0, 4.0)] {
            let mut stream = stream();
            let count = 2_000_000;
            let square = |_| sizes.sample(&mut stream).powi(2);
            let second: f64 = (0..count).map(square).sum::<f64>() / f64::from(count);
            assert!((second - 5.0).abs() < 0.25, "{sizes:?}: {second}");
        }
    }

    #[test]
    fn processes_have_the_rate_that_was_wanted() {
        let processes = [
            Arrivals::Deterministic,
            Arrivals::Poisson,
            Arrivals::Bursts {
                rates: [0.5, 5.5],
                dwell: [0.9, 0.1],
            },
            Arrivals::OnOff {
                sources: 50,
                alpha: 1.5,
                least: 0.1,
            },
            Arrivals::Diurnal {
                period: 10.0,
                depth: 0.8,
                days: vec![1.0],
            },
            Arrivals::Renewal(Sizes::hyper(1.0, 9.0)),
        ];
        for arrivals in processes {
            let mut stream = stream();
            let mut process = Process::new(arrivals.clone(), 1000.0, &mut stream);
            let count = 1_000_000;
            let last = (0..count).fold(0.0, |before, _| {
                let now = process.advance(&mut stream);
                assert!(now >= before, "{arrivals:?}");
                now
            });
            let rate = f64::from(count) / last;
            assert!((rate / 1000.0 - 1.0).abs() < 0.1, "{arrivals:?}: {rate}");
        }
    }

    #[test]
    fn a_flash_crowd_is_a_multiple_for_a_while() {
        let mut stream = stream();
        let flash = Arrivals::Flash {
            at: 10.0,
            hold: 10.0,
            factor: 5.0,
        };
        let mut process = Process::new(flash, 100.0, &mut stream);
        let times: Vec<_> = (0..10_000).map(|_| process.advance(&mut stream)).collect();
        let in_tens = |from: f64| {
            times
                .iter()
                .filter(|time| (from..from + 10.0).contains(*time))
                .count()
        };
        assert!((900..1100).contains(&in_tens(0.0)), "{}", in_tens(0.0));
        assert!((4800..5200).contains(&in_tens(10.0)), "{}", in_tens(10.0));
        assert!((900..1100).contains(&in_tens(20.0)), "{}", in_tens(20.0));
    }

    #[test]
    fn each_day_of_a_week_has_its_factor() {
        let mut stream = stream();
        let week = Arrivals::Diurnal {
            period: 10.0,
            depth: 0.5,
            days: vec![1.5, 0.5],
        };
        let mut process = Process::new(week, 1000.0, &mut stream);
        let mut days = [0.0; 4];
        loop {
            let day = (process.advance(&mut stream) / 10.0) as usize;
            match days.get_mut(day) {
                Some(count) => *count += 1.0,
                None => break,
            }
        }
        for (count, wanted) in days.into_iter().zip([15_000.0, 5000.0, 15_000.0, 5000.0]) {
            assert!((count / wanted - 1.0_f64).abs() < 0.05, "{days:?}");
        }
    }

    #[test]
    fn popular_clients_are_popular() {
        let mut stream = stream();
        let clients = Clients::Zipf(1000, 1.0);
        let first = (0..100_000)
            .filter(|_| clients.sample(0, &mut stream) == 1)
            .count();
        // 1 / H(1000) = 13.4 %.
        assert!((12_900..13_900).contains(&first), "{first}");
    }

    #[test]
    fn streams_differ_by_seed_replication_and_purpose_only() {
        let first = |seed, replication, purpose| Stream::new(seed, replication, purpose).bits();
        let one = first(1, 0, Purpose::Arrivals);
        assert_eq!(one, first(1, 0, Purpose::Arrivals));
        assert_ne!(one, first(2, 0, Purpose::Arrivals));
        assert_ne!(one, first(1, 1, Purpose::Arrivals));
        assert_ne!(one, first(1, 0, Purpose::Sizes));
    }
}
