// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers with random choices, and the starts of sequences.

use crate::schedule::{letters, weights, Fake, Scheduled};
use lvs_core::scheduler::{
    Algorithm, Change, List, PowerOfTwoChoices, RoundRobin, WeightedRoundRobin,
};
use std::collections::BTreeMap;

fn twos(destinations: &[Fake], seed: u64) -> Scheduled<PowerOfTwoChoices> {
    let scheduler = Scheduled::seeded(seed);
    scheduler.changed(destinations, Change::Reset);
    scheduler
}

/// How often each server is chosen while the loads do not change.
fn tally(destinations: &[Fake], seed: u64) -> Vec<f64> {
    const DRAWS: usize = 100_000;
    let scheduler = twos(destinations, seed);
    let mut counts = vec![0.0; destinations.len()];
    for _ in 0..DRAWS {
        counts[scheduler.select(destinations).unwrap()] += 1.0 / DRAWS as f64;
    }
    counts
}

/// The definition: two different servers are drawn by weight, and the less loaded one is taken.
fn expected(destinations: &[Fake]) -> Vec<f64> {
    let weight = |index: usize| f64::from(destinations[index].weight);
    let total: f64 = (0..destinations.len()).map(weight).sum();
    let load = |index: usize| {
        (
            f64::from(destinations[index].active) / weight(index),
            f64::from(destinations[index].inactive) / weight(index),
        )
    };
    let mut chances = vec![0.0; destinations.len()];
    for first in 0..destinations.len() {
        for second in (0..destinations.len()).filter(|second| *second != first) {
            let chance = weight(first) / total * weight(second) / (total - weight(first));
            let better = if load(second) < load(first) {
                second
            } else {
                first
            };
            if chance > 0.0 {
                chances[better] += chance;
            }
        }
    }
    chances
}

#[test]
fn twos_draws_two_by_weight_and_takes_the_less_loaded() {
    let mut destinations = weights(&[5, 1, 3, 0, 1]);
    for (server, (active, inactive)) in
        destinations
            .iter_mut()
            .zip([(9, 0), (1, 5), (3, 0), (0, 0), (1, 9)])
    {
        (server.active, server.inactive) = (active, inactive);
    }
    for seed in [1, 2, u64::MAX] {
        for (share, wanted) in tally(&destinations, seed)
            .iter()
            .zip(expected(&destinations))
        {
            assert!(
                (share - wanted).abs() < 0.006,
                "{share} instead of {wanted}"
            );
        }
    }
}

#[test]
fn twos_is_fair_among_equals() {
    for share in tally(&weights(&[3; 8]), 7) {
        assert!((share - 0.125).abs() < 0.005, "{share}");
    }
}

/// The purpose: the most loaded of many servers has hardly more than the average.
#[test]
fn twos_keeps_loads_together() {
    let mut destinations = weights(&[1; 100]);
    let scheduler = twos(&destinations, 42);
    for _ in 0..100_000 {
        let choice = scheduler.select(&destinations).unwrap();
        destinations[choice].active += 1;
    }
    let most = destinations
        .iter()
        .map(|server| server.active)
        .max()
        .unwrap();
    assert!(
        most <= 1006,
        "{most} on average 1000; one draw alone gives about 1080"
    );
}

#[test]
fn twos_chooses_the_only_server() {
    let scheduler = twos(&weights(&[]), 1);
    assert_eq!(scheduler.select::<Fake>(&[]), None);
    let none = weights(&[0, 0]);
    assert_eq!(twos(&none, 1).select(&none), None);
    let one = weights(&[0, 3, 0]);
    assert_eq!(letters(|| twos(&one, 1).select(&one), 3), "BBB");
    // These servers accepted connections when the list was made, but not now.
    let mut destinations = weights(&[1, 1, 1]);
    let scheduler = twos(&destinations, 1);
    destinations[0].overloaded = true;
    destinations[1].weight = 0;
    assert_eq!(
        letters(|| scheduler.select(&destinations), 20),
        "C".repeat(20)
    );
    destinations[2].overloaded = true;
    assert_eq!(scheduler.select(&destinations), None);
}

#[test]
fn a_seed_determines_the_sequence() {
    let destinations = weights(&[1; 5]);
    let sequence = |seed| {
        let scheduler = twos(&destinations, seed);
        letters(|| scheduler.select(&destinations), 30)
    };
    assert_eq!(sequence(5), sequence(5));
    assert_ne!(sequence(5), sequence(6));
}

/// The choices of `A` with a seed, after servers were added one by one.
fn begin<A: Algorithm>(algorithm: A, weights: &[u32], count: usize) -> String {
    let destinations = self::weights(weights);
    for added in 0..destinations.len() {
        let list = List {
            destinations: &destinations[..=added],
            memory: &[],
        };
        algorithm.changed(&list, &[], Change::Added(added));
    }
    let list = List {
        destinations: &destinations,
        memory: &[],
    };
    letters(|| algorithm.select(&list, &crate::schedule::flow(1)), count)
}

/// Every turn of a round is equally likely to be the first, and the sequence continues from there.
#[test]
fn sequences_start_at_any_turn() {
    const SEEDS: u64 = 9000;
    let seeds = || (0..SEEDS).map(|n| n.wrapping_mul(u64::MAX / SEEDS) + 1);
    let check = |sequences: BTreeMap<String, u64>, period: &str| {
        let around = period.repeat(2);
        for (sequence, count) in &sequences {
            assert!(around.contains(sequence), "{sequence} is not in {around}");
            assert!(
                (count * period.len() as u64).abs_diff(SEEDS) < SEEDS / 10,
                "{count} times {sequence}"
            );
        }
        assert_eq!(sequences.len(), period.len());
    };
    let mut rr = BTreeMap::new();
    let mut wrr = BTreeMap::new();
    for seed in seeds() {
        *rr.entry(begin(RoundRobin::new(seed), &[1, 5, 1, 2], 4))
            .or_default() += 1;
        *wrr.entry(begin(WeightedRoundRobin::new(seed), &[2, 6, 4, 8], 10))
            .or_default() += 1;
    }
    check(rr, "ABCD");
    check(wrr, "DBDBCDABCD");
}

/// A service that had another scheduler before starts at the first server.
#[test]
fn a_change_of_scheduler_starts_at_the_first_server() {
    let destinations = weights(&[2, 6, 4, 8]);
    for seed in [1, u64::MAX / 3, u64::MAX] {
        let rr = Scheduled::<RoundRobin>::seeded(seed);
        rr.changed(&destinations, Change::Reset);
        assert_eq!(letters(|| rr.select(&destinations), 6), "ABCDAB");
        let wrr = Scheduled::<WeightedRoundRobin>::seeded(seed);
        wrr.changed(&destinations, Change::Reset);
        assert_eq!(letters(|| wrr.select(&destinations), 12), "DBDBCDABCDDB");
    }
}
