// SPDX-License-Identifier: GPL-2.0-only

//! Compares the choice of two by measured delays with its definition, and in a model of servers.

use crate::schedule::{weights, Fake, Scheduled};
use lvs_core::delay::{Delay, Estimate};
use lvs_core::scheduler::{Change, LeastPeakDelay, Order, PeakEwma, PowerOfTwoChoices};
use proptest::prelude::*;
use std::cmp::Ordering;

fn scheduled(destinations: &[Fake], seed: u64) -> Scheduled<PeakEwma> {
    let scheduler = Scheduled::seeded(seed);
    scheduler.changed(destinations, Change::Reset);
    scheduler
}

/// The definition in floating point: the server of two with the smaller expected delay.
fn compare(one: &Fake, other: &Fake) -> Ordering {
    let float = f64::from;
    let loads = |server: &Fake| {
        (
            float(server.active) / float(server.weight),
            float(server.inactive) / float(server.weight),
        )
    };
    let by_loads = loads(one).partial_cmp(&loads(other)).unwrap();
    let least = one.delay.measured.min(other.delay.measured);
    if least == 0 {
        return by_loads;
    }
    let cost = |server: &Fake| {
        float(server.delay.present.max(least)) * (float(server.active) + 1.0) / float(server.weight)
    };
    cost(one).partial_cmp(&cost(other)).unwrap().then(by_loads)
}

fn server() -> impl Strategy<Value = Fake> {
    let delay = prop_oneof![1 => Just((0, 0)), 4 => (1..400u32, 0..400u32)];
    (1..9u32, 0..9u32, 0..9u32, delay).prop_map(
        |(weight, active, inactive, (measured, present))| Fake {
            weight,
            active,
            inactive,
            delay: Delay {
                measured,
                present: present.min(measured),
            },
            ..Fake::default()
        },
    )
}

proptest! {
    // The numbers are so small that floating point rounds equal quotients alike or not at all.
    #[test]
    fn the_order_equals_the_definition(one in server(), other in server()) {
        let order = LeastPeakDelay::compare((&one, one.weight), (&other, other.weight));
        prop_assert_eq!(order, compare(&one, &other));
        let turned = LeastPeakDelay::compare((&other, other.weight), (&one, one.weight));
        prop_assert_eq!(turned, order.reverse());
    }
}

#[test]
fn the_greatest_numbers_do_not_overflow() {
    let huge = |weight| Fake {
        weight,
        active: u32::MAX,
        delay: Delay {
            measured: u32::MAX,
            present: u32::MAX,
        },
        ..Fake::default()
    };
    let compare = |w: u32, v: u32| LeastPeakDelay::compare((&huge(w), w), (&huge(v), v));
    assert_eq!(compare(u32::MAX, u32::MAX), Ordering::Equal);
    assert_eq!(compare(1, u32::MAX), Ordering::Greater);
}

/// Without measurements, every choice equals that of `twos`.
#[test]
fn without_measurements_loads_alone_decide() {
    let mut destinations = weights(&[5, 1, 3, 0, 1]);
    let ewma = scheduled(&destinations, 77);
    let twos = Scheduled::<PowerOfTwoChoices>::seeded(77);
    twos.changed(&destinations, Change::Reset);
    for _ in 0..9999 {
        let choice = ewma.select(&destinations);
        assert_eq!(choice, twos.select(&destinations));
        destinations[choice.unwrap()].active += 1;
    }
}

#[test]
fn with_two_servers_the_better_one_gets_all() {
    let mut destinations = weights(&[1, 1]);
    destinations[0].delay = Delay {
        measured: 900,
        present: 900,
    };
    destinations[1].delay = Delay {
        measured: 300,
        present: 300,
    };
    let scheduler = scheduled(&destinations, 1);
    let of = |destinations: &[Fake]| {
        (0..100)
            .filter(|_| scheduler.select(destinations) == Some(1))
            .count()
    };
    assert_eq!(of(&destinations), 100);
    // Two more connections: 3 times 300 is 900, and then connections decide.
    destinations[1].active = 2;
    assert_eq!(of(&destinations), 0);
    destinations[1].weight = 2;
    assert_eq!(of(&destinations), 100);
    destinations[1].weight = 0;
    assert_eq!(of(&destinations), 0);
    destinations[0].overloaded = true;
    assert_eq!(scheduler.select(&destinations), None);
}

/// The servers of the model below.
struct Model {
    destinations: Vec<Fake>,
    estimates: Vec<Estimate>,
    scheduler: Scheduled<PeakEwma>,
    /// Open handshakes: the time of the answer, the time of the start, and the server.
    waiting: Vec<(u64, u64, usize)>,
    now: u64,
}

impl Model {
    fn new(weights: &[u32]) -> Self {
        let destinations = self::weights(weights);
        Self {
            estimates: weights.iter().map(|_| Estimate::new()).collect(),
            scheduler: scheduled(&destinations, 3),
            destinations,
            waiting: vec![],
            now: 0,
        }
    }

    /// Opens a thousand connections per second for that many seconds and closes each once it is
    /// open. Returns how many each server gets. A server with a delay of 0 never answers.
    fn run(&mut self, seconds: u64, delays: &[u64]) -> Vec<usize> {
        let mut counts = vec![0; delays.len()];
        for _ in 0..seconds * 1000 {
            self.now += 1000;
            let now = self.now;
            let (done, waiting) = self.waiting.iter().partition(|(due, ..)| *due <= now);
            self.waiting = waiting;
            for (due, since, index) in done {
                self.destinations[index].active -= 1;
                self.estimates[index].observe((due - since) as u32, due);
            }
            for (server, estimate) in self.destinations.iter_mut().zip(&self.estimates) {
                server.delay = estimate.at(now);
            }
            let choice = self.scheduler.select(&self.destinations).unwrap();
            counts[choice] += 1;
            self.destinations[choice].active += 1;
            self.estimates[choice].ask(now);
            let due = match delays[choice] {
                0 => u64::MAX,
                delay => now + delay,
            };
            self.waiting.push((due, now, choice));
        }
        counts
    }
}

#[test]
fn a_slow_server_gets_few_connections_until_it_is_fast_again() {
    let mut model = Model::new(&[1, 1, 1, 1]);
    let equal = |counts: &[usize]| counts.iter().all(|count| (4000..6000).contains(count));
    let counts = model.run(20, &[3000; 4]);
    assert!(equal(&counts), "{counts:?}");
    let counts = model.run(20, &[3000, 3000, 60_000, 3000]);
    assert!(counts[2] < 600, "{counts:?}");
    assert!(counts[2] >= 3, "it is tried now and then: {counts:?}");
    model.run(20, &[3000; 4]);
    let counts = model.run(20, &[3000; 4]);
    assert!(equal(&counts), "{counts:?}");
}

#[test]
fn shares_follow_weights() {
    let counts = Model::new(&[4, 1, 1]).run(30, &[20_000; 3]);
    assert!(
        counts[0] > counts[1] * 2 && counts[0] > counts[2] * 2,
        "{counts:?}"
    );
}

/// A silent server does not become the best one, even if it was before. When it answers again, the
/// scheduler notices.
#[test]
fn a_silent_server_gets_few_connections() {
    let mut model = Model::new(&[1, 1, 1, 1]);
    let before = model.run(20, &[60_000, 300, 60_000, 60_000]);
    assert!(before[1] > 9000, "{before:?}");
    let counts = model.run(100, &[60_000, 0, 60_000, 60_000]);
    assert!(counts[1] < 500, "of 100,000: {counts:?}");
    // The connections that were never answered end.
    model.destinations[1].active = 0;
    model.waiting.retain(|(due, ..)| *due < u64::MAX);
    model.run(40, &[60_000, 300, 60_000, 60_000]);
    let after = model.run(20, &[60_000, 300, 60_000, 60_000]);
    assert!(after[1] > 9000, "{after:?}");
}
