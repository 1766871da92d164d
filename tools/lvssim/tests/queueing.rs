// SPDX-License-Identifier: GPL-2.0-only

//! What the model predicts for real servers behind the module. The guest test
//! `tests/kselftest/queueing.test.sh` sends the same requests at the same times through the module,
//! to servers that sleep instead of working, and compares the times that its clients see.

use lvssim::cluster::{self, End, ServerSetup, Setup};
use lvssim::engine::SECOND;
use lvssim::random::{Arrivals, Visit};

/// As in `tests/kselftest/queueing.py`: three servers at load 0.8.
const REQUESTS: u32 = 3000;
const MEAN_SIZE: f64 = 0.2;
const MEAN_GAP: f64 = MEAN_SIZE / 3.0 / 0.8;

/// Lehmer's generator with the multiplier 48271, the same on both sides.
struct Numbers(u64);

impl Numbers {
    /// An exponentially distributed number of microseconds, as seconds.
    fn exponential(&mut self, mean: f64) -> f64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        let unit = self.0 as f64 / 2_147_483_647.0;
        (-unit.ln() * mean * 1e6).round() / 1e6
    }
}

fn trace() -> Vec<Visit> {
    let mut numbers = Numbers(1);
    let mut at = 0.0;
    let visit = |client| {
        at += numbers.exponential(MEAN_GAP);
        let size = Some(numbers.exponential(MEAN_SIZE));
        Visit { at, client, size }
    };
    (0..REQUESTS).map(visit).collect()
}

/// The mean and the 90th percentile of a scheduler, in milliseconds, averaged over several seeds.
fn predict(scheduler: &str) -> String {
    let setup = Setup {
        scheduler: scheduler.to_owned(),
        servers: vec![ServerSetup::default(); 3],
        arrivals: Arrivals::Trace(trace().into()),
        end: End::Answered(REQUESTS.into()),
        // The module counts closed connections as inactive so long.
        linger: 120 * SECOND,
        warmup: 0,
        ..Setup::default()
    };
    let runs: Vec<[f64; 2]> = (0..40)
        .map(|number| {
            let outcome = cluster::run(&setup, number);
            [outcome.mean() * 1e3, outcome.quantile(0.9) * 1e3]
        })
        .collect();
    let average = |place: usize| runs.iter().map(|run| run[place]).sum::<f64>() / runs.len() as f64;
    format!("{scheduler} {:.0} {:.0}\n", average(0), average(1))
}

#[test]
fn the_predictions_of_the_guest_test_are_those_of_the_model() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/kselftest/queueing.predicted"
    );
    let recorded = std::fs::read_to_string(path).unwrap();
    let lines = recorded.split_inclusive('\n');
    let recorded: String = lines.filter(|line| !line.starts_with('#')).collect();
    let again: String = ["rr", "wlc", "twos"].into_iter().map(predict).collect();
    assert_eq!(recorded, again);
}
