// SPDX-License-Identifier: GPL-2.0-only

//! The outcome of a run.

use hdrhistogram::Histogram;

use crate::engine::{seconds, Time};
use crate::statistics;

/// Batches of answers in a run, whose means tell how precise the run's mean is.
pub const BATCHES: usize = 32;

/// The outcome of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerOutcome {
    /// Requests that the director sent there.
    pub assigned: u64,
    /// Requests answered.
    pub answered: u64,
    /// Nanoseconds of service, of all cores together.
    pub busy: u64,
    /// Requests there, times nanoseconds.
    pub area: u128,
    /// The most requests at once.
    pub most: u64,
    /// The least and the greatest weight that feedback gave it.
    pub weights: (u32, u32),
}

impl Default for ServerOutcome {
    fn default() -> Self {
        Self {
            assigned: 0,
            answered: 0,
            busy: 0,
            area: 0,
            most: 0,
            weights: (u32::MAX, 0),
        }
    }
}

/// Answers and losses of a period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// Seconds from request to answer, of each answer.
    pub times: Vec<f32>,
    /// Requests lost.
    pub lost: u64,
    /// Requests that the director sent to each server.
    pub assigned: Vec<u32>,
}

/// The outcome of a run. Counts start after the warm-up, except those for conservation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From request to answer, in nanoseconds.
    pub times: Histogram<u64>,
    /// Their sum.
    pub sum: f64,
    /// Sums and counts of the batches.
    pub batches: [(f64, u64); BATCHES],
    /// Requests sent, from the very beginning.
    pub arrived: u64,
    /// Requests answered, from the very beginning.
    pub answered: u64,
    /// Requests lost, from the very beginning.
    pub lost: u64,
    /// Requests still on their way at the end.
    pub held: u64,
    /// Lost since the director had no server that takes connections.
    pub refused: u64,
    /// Lost since there was no room at the server, or no answer to the SYN.
    pub dropped: u64,
    /// Lost with the server, or with the director.
    pub broken: u64,
    /// SYNs sent again.
    pub repeats: u64,
    /// Requests sent again on another connection.
    pub again: u64,
    /// Answers that nobody waited for any more.
    pub wasted: u64,
    /// Requests of a session that went to another server than the one before.
    pub moved: u64,
    /// Requests of a session that had one before.
    pub followed: u64,
    /// The servers.
    pub servers: Vec<ServerOutcome>,
    /// Requests in the system, times nanoseconds, after the warm-up.
    pub area: u128,
    /// Nanoseconds after the warm-up.
    pub span: Time,
    /// Requests that began after the warm-up.
    pub begun: u64,
    /// Times that a scheduler was asked.
    pub scheduled: u64,
    /// The periods.
    pub series: Vec<Period>,
    /// The length of a period, the end of the warm-up and the first fault, if there are any.
    pub marks: Option<Marks>,
}

/// Times that [`Outcome::recovery`] needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The length of a period.
    pub period: Time,
    /// The end of the warm-up.
    pub warmup: Time,
    /// The first fault.
    pub fault: Time,
}

/// The 99th percentile; 0 of nothing.
fn p99(mut times: Vec<f32>) -> f32 {
    let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
    if times.is_empty() {
        return 0.0;
    }
    *times.select_nth_unstable_by(place, f32::total_cmp).1
}

impl Outcome {
    /// Answers after the warm-up.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.times.len()
    }

    /// The mean time from request to answer, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count() as f64 / 1e9
    }

    /// A quantile of the time from request to answer, in seconds.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> f64 {
        seconds(self.times.value_at_quantile(quantile))
    }

    /// Half the width of the mean's confidence interval by batch means: `p` is 0.975 for 95 %.
    #[must_use]
    pub fn half_width(&self, p: f64) -> f64 {
        let filled = self.batches.iter().filter(|(_, count)| *count > 0);
        let means: Vec<f64> = filled
            .map(|(sum, count)| sum / *count as f64 / 1e9)
            .collect();
        if means.len() < 2 {
            return f64::INFINITY;
        }
        let (_, deviation) = statistics::mean_and_deviation(&means);
        statistics::student(p, means.len() - 1) * deviation / (means.len() as f64).sqrt()
    }

    /// Answers a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.count() as f64 / seconds(self.span)
    }

    /// The share of requests that were lost.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let lost = self.refused + self.dropped + self.broken;
        lost as f64 / (lost + self.count()).max(1) as f64
    }

    /// How much longer than the mean the busiest server's list is: greatest load by mean load.
    #[must_use]
    pub fn max_to_mean(&self) -> f64 {
        let assigned = self.servers.iter().map(|server| server.assigned as f64);
        let mean = assigned.clone().sum::<f64>() / self.servers.len() as f64;
        assigned.fold(0.0, f64::max) / mean
    }

    /// Jain's index of the servers' utilisations.
    #[must_use]
    pub fn fairness(&self) -> f64 {
        let busy: Vec<_> = self
            .servers
            .iter()
            .map(|server| server.busy as f64)
            .collect();
        statistics::jain(&busy)
    }

    /// Mean requests in the system, and what Little's law says it must be.
    #[must_use]
    pub fn little(&self) -> (f64, f64) {
        let mean = self.area as f64 / self.span as f64;
        (mean, self.throughput() * self.mean())
    }

    /// Seconds from the first fault until the 99th percentile is back: to the end of the first
    /// period after the worst one in which it is at most a tenth above that before the fault. 0
    /// without a fault or without periods; infinite if it does not come back.
    #[must_use]
    pub fn recovery(&self) -> f64 {
        let Some(marks) = self.marks else {
            return 0.0;
        };
        let place = |time: Time| (time / marks.period) as usize;
        let (warm, fault) = (place(marks.warmup), place(marks.fault));
        let before = self.series.get(warm..fault).unwrap_or(&[]);
        let before = p99(before.iter().flat_map(|one| one.times.clone()).collect());
        let after = self.series.get(fault..).unwrap_or(&[]);
        let after: Vec<f32> = after.iter().map(|one| p99(one.times.clone())).collect();
        let is_back = |p99: &f32| *p99 <= before * 1.1;
        let by_value = |one: &(usize, &f32), other: &(usize, &f32)| one.1.total_cmp(other.1);
        let Some((worst, _)) = after.iter().enumerate().max_by(by_value) else {
            return 0.0;
        };
        if after.iter().all(is_back) {
            return 0.0;
        }
        match after.iter().skip(worst).position(is_back) {
            Some(place) => {
                let end = (fault + worst + place + 1) as Time * marks.period;
                seconds(end.saturating_sub(marks.fault))
            }
            None => f64::INFINITY,
        }
    }

    /// Whether every request is accounted for, once.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.arrived == self.answered + self.lost + self.held
    }
}
