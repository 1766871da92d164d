// SPDX-License-Identifier: GPL-2.0-only

//! The speed of the models: what `lvssim bench` measures.
//!
//! The measure is processor time, not time on the clock: other programs on the machine do not
//! count, apart from the caches that they share.

use std::time::Instant;

use serde::Serialize;

use crate::cluster::{self, End, ServerSetup, Setup};
use crate::lan::{self, LanSetup};
use crate::random::Sizes;

/// Scheduled requests a second that the cluster model must reach on one core.
pub const REQUESTS: f64 = 10e6;

/// LAN frames a second that the LAN model must reach on one core.
pub const FRAMES: f64 = 2e6;

/// A speed.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// What was run.
    pub name: String,
    /// What is counted.
    pub unit: &'static str,
    /// How many in a second of one core, in the fastest round.
    pub per_second: f64,
    /// How many there must be.
    pub wanted: f64,
}

impl Speed {
    /// Whether it is fast enough.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.per_second >= self.wanted
    }
}

/// Seconds of processor time of this thread, from the scheduler's count; without one (a kernel
/// without `CONFIG_SCHED_INFO`), the clock since `start`.
fn processor_seconds(start: Instant) -> f64 {
    let count = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = count.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    match nanoseconds {
        Some(nanoseconds) => nanoseconds as f64 / 1e9,
        None => start.elapsed().as_secs_f64(),
    }
}

/// The fastest of so many rounds; `run` returns how many were done.
fn fastest(rounds: u32, run: impl Fn() -> u64) -> f64 {
    let start = Instant::now();
    let round = |_| {
        let before = processor_seconds(start);
        let count = run();
        count as f64 / (processor_seconds(start) - before)
    };
    (0..rounds).map(round).fold(0.0, f64::max)
}

/// Ten servers at 90 % load, Poisson arrivals, exponential sizes.
fn ten_servers(requests: u64) -> Setup {
    Setup {
        servers: vec![ServerSetup::default(); 10],
        sizes: Sizes::Exponential(1e-3),
        handshake: 0,
        end: End::Answered(requests),
        ..Setup::default()
    }
    .with_load(0.9)
}

/// Measures all speeds, each in so many rounds of about so many million requests and frames.
#[must_use]
pub fn run(rounds: u32, millions: f64) -> Vec<Speed> {
    let cluster = |scheduler: &str, wanted| {
        let setup = Setup {
            scheduler: scheduler.to_owned(),
            ..ten_servers((millions * 1e6) as u64)
        };
        Speed {
            name: format!("{scheduler}, 10 servers, load 0.9"),
            unit: "scheduled requests",
            per_second: fastest(rounds, || cluster::run(&setup, 0).scheduled),
            wanted,
        }
    };
    let lan = |name: &str, setup: LanSetup| Speed {
        name: name.to_owned(),
        unit: "frames",
        per_second: fastest(rounds, || lan::run(&setup).frames),
        wanted: FRAMES,
    };
    let seconds = (millions * 60.0) as u64;
    let fast = LanSetup {
        clients: 8,
        until: (1 + seconds) * crate::engine::SECOND,
        ..LanSetup::default()
    };
    let gigabit = LanSetup {
        clients: 70,
        megabits: 1000,
        until: (1 + seconds / 8) * crate::engine::SECOND,
        ..LanSetup::default()
    };
    vec![
        cluster("wlc", REQUESTS),
        cluster("rr", REQUESTS),
        lan("LAN of 100 Mb/s, 8 clients, 1 server", fast),
        lan("LAN of 1000 Mb/s, 70 clients, 1 server", gigabit),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_is_measured() {
        for speed in run(1, 0.02) {
            assert!(speed.per_second > 1000.0, "{speed:?}");
        }
    }
}
