// SPDX-License-Identifier: GPL-2.0-only

//! Runs every point and every replication, on all cores.

use rayon::prelude::*;

use crate::cluster::{self, End, Setup};
use crate::engine::Time;
use crate::metric::METRICS;
use crate::scenario::{Scenario, Stop};
use crate::statistics::{mser5, Estimate};

/// All quantities of a run.
pub(super) type Run = Vec<f64>;

/// Pilot runs that find a warm-up, and the periods of each.
const PILOTS: u32 = 3;
const PERIODS: u64 = 1000;

/// The warm-up of a setup: MSER-5 over the mean times of short periods, averaged over all pilot
/// runs. These have random numbers of their own.
pub(super) fn warmup(setup: &Setup) -> Time {
    let End::At(end) = setup.end else {
        return setup.warmup;
    };
    let period = (end / PERIODS).max(1);
    let pilot = Setup {
        warmup: 0,
        series: Some(period),
        ..setup.clone()
    };
    let mut sums = vec![(0.0, 0_u64); PERIODS as usize];
    for number in 0..PILOTS {
        let outcome = cluster::run(&pilot, u32::MAX - number);
        for (sum, period) in sums.iter_mut().zip(&outcome.series) {
            sum.0 += period.times.iter().copied().map(f64::from).sum::<f64>();
            sum.1 += period.times.len() as u64;
        }
    }
    let filled = sums.iter().enumerate().filter(|(_, sum)| sum.1 > 0);
    let (places, means): (Vec<u64>, Vec<f64>) = filled
        .map(|(place, (sum, count))| (place as u64, sum / *count as f64))
        .unzip();
    places
        .get(mser5(&means))
        .map_or(setup.warmup, |place| place * period)
}

/// Runs all replications of all points: as many as the scenario says, and then more of those points
/// whose interval is not narrow enough. Replications of all points have the same random numbers.
pub(super) fn observe(scenario: &Scenario, progress: impl Fn() + Sync) -> Vec<Vec<Run>> {
    let setups: Vec<Setup> = scenario
        .points
        .par_iter()
        .with_max_len(1)
        .map(|point| match scenario.finds_warmup {
            true => Setup {
                warmup: warmup(&point.setup),
                ..point.setup.clone()
            },
            false => point.setup.clone(),
        })
        .collect();
    let mut all: Vec<Vec<Run>> = vec![Vec::new(); setups.len()];
    let mut open: Vec<usize> = (0..setups.len()).collect();
    while !open.is_empty() {
        let pairs: Vec<(usize, u32)> = open
            .iter()
            .flat_map(|point| {
                let begin = all[*point].len() as u32;
                (begin..begin + scenario.replications).map(move |number| (*point, number))
            })
            .collect();
        let runs: Vec<Run> = pairs
            .par_iter()
            .with_max_len(1)
            .map(|(point, number)| {
                let outcome = cluster::run(&setups[*point], *number);
                progress();
                METRICS
                    .iter()
                    .map(|metric| (metric.get)(&outcome))
                    .collect()
            })
            .collect();
        for ((point, _), run) in pairs.into_iter().zip(runs) {
            all[point].push(run);
        }
        open.retain(|point| {
            scenario
                .stop
                .as_ref()
                .is_some_and(|stop| stop.asks_for_more(&all[*point]))
        });
    }
    all
}

impl Stop {
    /// Whether the interval of these runs is not narrow enough yet.
    fn asks_for_more(&self, runs: &[Run]) -> bool {
        let Some(place) = METRICS.iter().position(|metric| metric.name == self.of) else {
            return false;
        };
        let estimate = Estimate::of(runs.iter().map(|run| run[place]));
        let narrow = runs.len() > 1 && estimate.half_width <= self.ci * estimate.mean.abs();
        !narrow && runs.len() < self.most as usize
    }
}
