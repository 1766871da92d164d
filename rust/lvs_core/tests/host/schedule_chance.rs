// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers with random choices, and the starts of sequences.

use crate::schedule::{letters, weights, Fake, Scheduled};
use lvs_core::scheduler::{
    Algorithm, Change, List, PowerOfTwoChoices, RoundRobin, WeightedRoundRobin,
};
use std::collections::BTreeMap;

fn twos(servers: &[Fake], seed: u64) -> Scheduled<PowerOfTwoChoices> {
    let scheduler = Scheduled::seeded(seed);
    scheduler.changed(servers, Change::Reset);
    scheduler
}

/// How often each server is chosen while the loads do not change.
fn tally(servers: &[Fake], seed: u64) -> Vec<f64> {
    const DRAWS: usize = 100_000;
    let scheduler = twos(servers, seed);
    let mut counts = vec![0.0; servers.len()];
    for _ in 0..DRAWS {
        counts[scheduler.select(servers).unwrap()] += 1.0 / DRAWS as f64;
    }
    counts
}

/// The definition: two different servers are drawn by weight, and the less loaded one is taken.
fn expected(servers: &[Fake]) -> Vec<f64> {
    let weight = |index: usize| f64::from(servers[index].weight);
    let total: f64 = (0..servers.len()).map(weight).sum();
    let load = |index: usize| {
        (
            f64::from(servers[index].active) / weight(index),
            f64::from(servers[index].inactive) / weight(index),
        )
    };
    let mut chances = vec![0.0; servers.len()];
    for first in 0..servers.len() {
        for second in (0..servers.len()).filter(|second| *second != first) {
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
    let mut servers = weights(&[5, 1, 3, 0, 1]);
    for (server, (active, inactive)) in
        servers
            .iter_mut()
            .zip([(9, 0), (1, 5), (3, 0), (0, 0), (1, 9)])
    {
        (server.active, server.inactive) = (active, inactive);
    }
    for seed in [1, 2, u64::MAX] {
        for (share, wanted) in tally(&servers, seed).iter().zip(expected(&servers)) {
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
    let mut servers = weights(&[1; 100]);
    let scheduler = twos(&servers, 42);
    for _ in 0..100_000 {
        let choice = scheduler.select(&servers).unwrap();
        servers[choice].active += 1;
    }
    let most = servers.iter().map(|server| server.active).max().unwrap();
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
    let mut servers = weights(&[1, 1, 1]);
    let scheduler = twos(&servers, 1);
    servers[0].overloaded = true;
    servers[1].weight = 0;
    assert_eq!(letters(|| scheduler.select(&servers), 20), "C".repeat(20));
    servers[2].overloaded = true;
    assert_eq!(scheduler.select(&servers), None);
}

#[test]
fn a_seed_determines_the_sequence() {
    let servers = weights(&[1; 5]);
    let sequence = |seed| {
        let scheduler = twos(&servers, seed);
        letters(|| scheduler.select(&servers), 30)
    };
    assert_eq!(sequence(5), sequence(5));
    assert_ne!(sequence(5), sequence(6));
}

/// The choices of `A` with a seed, after servers were added one by one.
fn begin<A: Algorithm>(algorithm: A, weights: &[u32], count: usize) -> String {
    let servers = self::weights(weights);
    for added in 0..servers.len() {
        let list = List {
            servers: &servers[..=added],
            memory: &[],
        };
        algorithm.changed(&list, &[], Change::Added(added));
    }
    let list = List {
        servers: &servers,
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
    let servers = weights(&[2, 6, 4, 8]);
    for seed in [1, u64::MAX / 3, u64::MAX] {
        let rr = Scheduled::<RoundRobin>::seeded(seed);
        rr.changed(&servers, Change::Reset);
        assert_eq!(letters(|| rr.select(&servers), 6), "ABCDAB");
        let wrr = Scheduled::<WeightedRoundRobin>::seeded(seed);
        wrr.changed(&servers, Change::Reset);
        assert_eq!(letters(|| wrr.select(&servers), 12), "DBDBCDABCDDB");
    }
}
