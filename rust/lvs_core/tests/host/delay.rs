// SPDX-License-Identifier: GPL-2.0-only

//! Compares the estimate of a delay with its definition in floating point.

use lvs_core::delay::{Delay, Estimate};
use proptest::prelude::*;

/// The half-life in microseconds.
const HALF_LIFE: f64 = 2_097_152.0;

/// Peak EWMA by definition: `cost` is the average at the time `then`.
#[derive(Default)]
struct Model {
    cost: f64,
    then: f64,
}

impl Model {
    fn observe(&mut self, measured: f64, now: f64) {
        let weight = (-(now - self.then) / HALF_LIFE).exp2();
        self.cost = if measured > self.cost {
            measured
        } else {
            self.cost * weight + measured * (1.0 - weight)
        };
        self.then = now;
    }

    fn at(&self, now: f64) -> f64 {
        self.cost * (-(now - self.then) / HALF_LIFE).exp2()
    }
}

#[test]
fn a_new_estimate_has_no_measurement() {
    assert_eq!(Estimate::new().at(123_456_789), Delay::default());
}

#[test]
fn a_peak_counts_at_once_and_decays_by_halves() {
    let estimate = Estimate::new();
    let second = 1 << 20;
    let known = |now| estimate.at(now);
    estimate.observe(500, 0);
    estimate.observe(80_000, 100);
    assert_eq!(
        known(100),
        Delay {
            measured: 80_000,
            present: 80_000
        }
    );
    for (halves, wanted) in [(1, 40_000), (2, 20_000), (3, 10_000), (30, 0), (900, 0)] {
        assert_eq!(
            known(halves * 2 * second),
            Delay {
                measured: 80_000,
                present: wanted
            }
        );
    }
    // The older the estimate is, the more a lower measurement counts.
    estimate.observe(0, 2 * second);
    assert_eq!(known(2 * second).measured, 40_000);
    estimate.observe(1000, 600 * second);
    assert_eq!(known(600 * second).measured, 1000);
}

#[test]
fn a_clock_that_is_behind_does_no_harm() {
    let estimate = Estimate::new();
    estimate.observe(5000, 10 << 20);
    assert_eq!(
        estimate.at(9 << 20),
        Delay {
            measured: 5000,
            present: 5000
        }
    );
    estimate.observe(u32::MAX, 9 << 20);
    assert_eq!(estimate.at(9 << 20).measured, u32::MAX);
}

#[test]
fn an_unanswered_handshake_counts() {
    let estimate = Estimate::new();
    let present = |now| estimate.at(now).present;
    estimate.observe(300, 1000);
    estimate.ask(2000);
    estimate.ask(5000);
    assert_eq!(present(2100), 299);
    assert_eq!(present(52_000), 50_000);
    // Another CPU's clock is behind.
    assert_eq!(present(1900), 299);
    estimate.wait_no_more();
    assert!((290..300).contains(&present(52_000)));
    estimate.ask(60_000);
    estimate.observe(300, 60_500);
    assert!((295..=300).contains(&present(60_500)));
    // After the longest wait, the age counts as a measurement and decays.
    estimate.ask(1 << 20);
    assert_eq!(present((1 << 20) + (1 << 23)), 1 << 23);
    assert_eq!(present((1 << 20) + (1 << 23) + 1), 1 << 23);
    assert_eq!(present((1 << 20) + (2 << 23) + 1), 1 << 19);
}

proptest! {
    #[test]
    fn the_average_equals_the_definition(
        steps in prop::collection::vec((0..5_000_000u64, 1..3_000_000u32), 1..50),
        begin in any::<u32>(),
    ) {
        let estimate = Estimate::new();
        let mut model = Model::default();
        let mut now = u64::from(begin);
        for (pause, measured) in steps {
            // The estimate stores its age in ticks. Whole ticks avoid a difference.
            now = (now + pause) & !1023;
            estimate.observe(measured, now);
            model.observe(measured.into(), now as f64);
            for later in [0, 1 << 18, 1 << 21, 3 << 20, 1 << 24] {
                let Delay { measured, present } = estimate.at(now + later);
                let wanted = model.at((now + later) as f64);
                prop_assert!((f64::from(present) - wanted).abs() <= 0.004 * wanted + 2.0, "{} instead of {}", present, wanted);
                prop_assert!((f64::from(measured) - model.cost).abs() <= 0.004 * model.cost + 2.0);
            }
        }
    }
}
