// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers that keep a ranking, against a look at every server.

use crate::schedule::{destinations, letters, loads, takes, weights, Fake, Scheduled};
use lvs_core::scheduler::{
    ranking, Algorithm, Change, LeastConnection, NeverQueue, ShortestExpectedDelay,
    WeightedFailover, WeightedLeastConnection, WeightedOverflow,
};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Whether the first of two servers that take connections is better, by definition.
type Better = fn(&Fake, &Fake) -> bool;

fn lc(one: &Fake, other: &Fake) -> bool {
    (one.active, one.inactive) < (other.active, other.inactive)
}

/// Both ratios times the product of the weights.
fn wlc(one: &Fake, other: &Fake) -> bool {
    let ratio = |count: u32, weight: u32| u128::from(count) * u128::from(weight);
    let load = |a: &Fake, b: &Fake| (ratio(a.active, b.weight), ratio(a.inactive, b.weight));
    load(one, other).cmp(&load(other, one)) == Ordering::Less
}

/// (active + 1) / weight, times the product of the weights.
fn sed(one: &Fake, other: &Fake) -> bool {
    let delay =
        |a: &Fake, b: &Fake| (u128::from(a.active.saturating_add(1))) * u128::from(b.weight);
    delay(one, other) < delay(other, one)
}

fn nq(one: &Fake, other: &Fake) -> bool {
    match (one.active, other.active) {
        (0, busy) => busy != 0,
        (_, 0) => false,
        _ => sed(one, other),
    }
}

fn fo(one: &Fake, other: &Fake) -> bool {
    one.weight > other.weight
}

/// Those that are full take no connections: here they come after all that are not, and are refused
/// by who asks.
fn ovf(one: &Fake, other: &Fake) -> bool {
    let is_full = |server: &Fake| server.active > server.weight;
    match (is_full(one), is_full(other)) {
        (false, true) => true,
        (false, false) => fo(one, other),
        (true, _) => false,
    }
}

/// The choice by definition: the best of all that take connections, the first among equals.
fn scan(destinations: &[Fake], better: Better) -> Option<usize> {
    let mut best = None;
    for index in (0..destinations.len()).filter(|index| takes(&destinations[*index])) {
        if best.is_none_or(|best: usize| better(&destinations[index], &destinations[best])) {
            best = Some(index);
        }
    }
    best
}

/// What a fresh scheduler chooses.
fn fresh<A: Algorithm>(destinations: &[Fake]) -> Option<usize> {
    let scheduler = Scheduled::<A>::new();
    scheduler.changed(destinations, Change::Reset);
    scheduler.select(destinations)
}

#[test]
fn nobody_to_choose() {
    let mut overloaded = weights(&[3]);
    overloaded[0].overloaded = true;
    for destinations in [weights(&[]), weights(&[0, 0]), overloaded] {
        assert_eq!(fresh::<LeastConnection>(&destinations), None);
        assert_eq!(fresh::<WeightedLeastConnection>(&destinations), None);
        assert_eq!(fresh::<ShortestExpectedDelay>(&destinations), None);
        assert_eq!(fresh::<NeverQueue>(&destinations), None);
        assert_eq!(fresh::<WeightedFailover>(&destinations), None);
        assert_eq!(fresh::<WeightedOverflow>(&destinations), None);
    }
}

/// Connections that come and stay, each an active one.
fn fill<A: Algorithm>(weights: &[u32], connections: usize) -> String {
    let mut destinations = self::weights(weights);
    let scheduler = Scheduled::<A>::new();
    scheduler.changed(&destinations, Change::Reset);
    let select = || {
        let choice = scheduler.select(&destinations)?;
        destinations[choice].active += 1;
        scheduler.load_changed(&destinations, choice);
        Some(choice)
    };
    letters(select, connections)
}

#[test]
fn connections_that_stay() {
    assert_eq!(fill::<LeastConnection>(&[2, 1, 0, 1], 7), "ABDABDA");
    assert_eq!(fill::<WeightedLeastConnection>(&[2, 1, 1], 8), "ABCAABCA");
    // 1, 1/2, 1; then 1, 1, 1; the first of all that are equal.
    assert_eq!(fill::<ShortestExpectedDelay>(&[1, 2, 1], 8), "BABCBABC");
    assert_eq!(fill::<ShortestExpectedDelay>(&[3, 1], 8), "AAABAAAB");
    assert_eq!(fill::<NeverQueue>(&[1, 1, 3], 8), "ABCCCCCA");
    assert_eq!(fill::<WeightedFailover>(&[1, 7, 3], 4), "BBBB");
    assert_eq!(fill::<WeightedFailover>(&[3, 7, 7], 2), "BB");
    assert_eq!(fill::<WeightedOverflow>(&[1, 2, 1], 9), "BBBAACC--");
}

#[test]
fn lc_takes_the_fewest_active_then_the_fewest_inactive_then_the_first() {
    let select = |destinations: &[(u32, u32, u32)]| fresh::<LeastConnection>(&loads(destinations));
    assert_eq!(select(&[(1, 3, 0), (1, 2, 9), (1, 4, 0)]), Some(1));
    assert_eq!(select(&[(1, 2, 9), (1, 2, 8), (1, 2, 8)]), Some(1));
    assert_eq!(select(&[(1, 2, 8), (1, 2, 8)]), Some(0));
    assert_eq!(select(&[(0, 0, 0), (9, 2, 8), (1, 3, 0)]), Some(1));
    let mut destinations = loads(&[(1, 0, 0), (1, 5, 5)]);
    destinations[0].overloaded = true;
    assert_eq!(fresh::<LeastConnection>(&destinations), Some(1));
}

#[test]
fn wlc_compares_loads_to_weights() {
    let select =
        |destinations: &[(u32, u32, u32)]| fresh::<WeightedLeastConnection>(&loads(destinations));
    // 3/2 against 4/3; a division would call them equal.
    assert_eq!(select(&[(2, 3, 0), (3, 4, 0)]), Some(1));
    assert_eq!(select(&[(3, 4, 0), (2, 3, 0)]), Some(0));
    // Equal loads: inactive 5/2 against 6/4.
    assert_eq!(select(&[(2, 3, 5), (4, 6, 6)]), Some(1));
    assert_eq!(select(&[(2, 3, 5), (4, 6, 10)]), Some(0));
    assert_eq!(select(&[(0, 0, 0), (1, 7, 0)]), Some(1));
    // Products beyond 32 bits: 2^31 / 3 against 2^31 / 2 + 1.
    assert_eq!(select(&[(2, (1 << 31) + 1, 0), (3, 1 << 31, 0)]), Some(1));
}

/// What happens to servers.
#[derive(Clone, Debug)]
enum Step {
    /// A new connection, active or not, scheduled.
    Join(bool),
    /// A connection somewhere ends.
    Leave(prop::sample::Index, bool),
    /// A connection somewhere becomes active, or inactive.
    Turn(prop::sample::Index, bool),
    /// A server stops taking connections, or takes them again.
    Overload(prop::sample::Index),
    /// A server gets another weight.
    Edit(prop::sample::Index, u32),
    /// One more.
    Add(Fake),
    /// One less.
    Remove(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let server = || any::<prop::sample::Index>();
    let new = (0..5u32, 0..4u32, 0..4u32).prop_map(|(weight, active, inactive)| Fake {
        weight,
        active,
        inactive,
        ..Fake::default()
    });
    prop_oneof![
        12 => any::<bool>().prop_map(Step::Join),
        4 => (server(), any::<bool>()).prop_map(|(at, active)| Step::Leave(at, active)),
        4 => (server(), any::<bool>()).prop_map(|(at, active)| Step::Turn(at, active)),
        1 => server().prop_map(Step::Overload),
        1 => (server(), prop_oneof![0..5u32, any::<u32>()]).prop_map(|(at, weight)| Step::Edit(at, weight)),
        2 => new.prop_map(Step::Add),
        1 => server().prop_map(Step::Remove),
    ]
}

fn count(server: &mut Fake, active: bool) -> &mut u32 {
    if active {
        &mut server.active
    } else {
        &mut server.inactive
    }
}

/// Whatever happens, and told as the director tells it, every choice is that of the scan.
fn walk<A: Algorithm>(
    mut destinations: Vec<Fake>,
    steps: Vec<Step>,
    better: Better,
) -> Result<(), TestCaseError> {
    let scheduler = Scheduled::<A>::new();
    scheduler.changed(&destinations, Change::Reset);
    for step in steps {
        let empty = destinations.is_empty();
        match &step {
            Step::Join(active) => {
                if let Some(choice) = scheduler.select(&destinations) {
                    let count = count(&mut destinations[choice], *active);
                    *count = count.saturating_add(1);
                    scheduler.load_changed(&destinations, choice);
                }
            }
            Step::Leave(at, active) if !empty => {
                let at = at.index(destinations.len());
                let count = count(&mut destinations[at], *active);
                *count = count.saturating_sub(1);
                scheduler.load_changed(&destinations, at);
            }
            Step::Turn(at, active) if !empty => {
                let at = at.index(destinations.len());
                if *count(&mut destinations[at], !active) > 0 {
                    *count(&mut destinations[at], !active) -= 1;
                    let count = count(&mut destinations[at], *active);
                    *count = count.saturating_add(1);
                }
                scheduler.load_changed(&destinations, at);
            }
            Step::Overload(at) if !empty => {
                let at = at.index(destinations.len());
                destinations[at].overloaded ^= true;
                scheduler.load_changed(&destinations, at);
            }
            Step::Edit(at, weight) if !empty => {
                let at = at.index(destinations.len());
                destinations[at].weight = *weight;
                scheduler.changed(&destinations, Change::Edited(at));
            }
            Step::Add(server) => {
                destinations.push(server.clone());
                scheduler.changed(&destinations, Change::Added(destinations.len() - 1));
            }
            Step::Remove(at) if !empty => {
                let at = at.index(destinations.len());
                destinations.remove(at);
                scheduler.changed(&destinations, Change::Removed(at));
            }
            _ => {}
        }
        let wanted = scan(&destinations, better).filter(|best| {
            better as usize != ovf as Better as usize
                || destinations[*best].active <= destinations[*best].weight
        });
        prop_assert_eq!(
            scheduler.select(&destinations),
            wanted,
            "after {:?}: {:?}",
            step,
            destinations
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn lc_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<LeastConnection>(destinations, steps, lc)?;
    }

    #[test]
    fn wlc_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<WeightedLeastConnection>(destinations, steps, wlc)?;
    }

    #[test]
    fn sed_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<ShortestExpectedDelay>(destinations, steps, sed)?;
    }

    #[test]
    fn nq_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<NeverQueue>(destinations, steps, nq)?;
    }

    #[test]
    fn fo_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<WeightedFailover>(destinations, steps, fo)?;
    }

    #[test]
    fn ovf_is_the_scan(destinations in destinations(), steps in prop::collection::vec(step(), 0..80)) {
        walk::<WeightedOverflow>(destinations, steps, ovf)?;
    }

    /// Lists of all lengths, those that are no power of two among them.
    #[test]
    fn long_lists(
        loads in prop::collection::vec((0..4u32, 0..9u32, 0..9u32), 0..300),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        walk::<LeastConnection>(self::loads(&loads), steps.clone(), lc)?;
        walk::<WeightedLeastConnection>(self::loads(&loads), steps.clone(), wlc)?;
        walk::<NeverQueue>(self::loads(&loads), steps.clone(), nq)?;
        walk::<WeightedOverflow>(self::loads(&loads), steps, ovf)?;
    }
}

/// A choice and what follows from it cost as many looks as the list has binary digits, not servers.
#[test]
fn looks_grow_with_the_logarithm() {
    let looks = |destinations: usize| {
        let mut destinations = weights(&vec![3; destinations]);
        let scheduler = Scheduled::<WeightedLeastConnection>::new();
        scheduler.changed(&destinations, Change::Reset);
        let mut most = 0;
        for _ in 0..3 * destinations.len() {
            destinations.iter().for_each(|server| server.looks.set(0));
            let choice = scheduler.select(&destinations).unwrap();
            destinations[choice].active += 1;
            scheduler.load_changed(&destinations, choice);
            most = most.max(destinations.iter().map(|server| server.looks.get()).sum());
        }
        most
    };
    // One at the root, two in each game.
    assert_eq!([4, 64, 1024].map(looks), [1 + 2 * 2, 1 + 2 * 6, 1 + 2 * 10]);
}

#[test]
fn one_thread_plays_the_same_games() {
    for contestants in [1, 2, 3, 7, 10, 100] {
        let ranks: Vec<_> = (0..contestants).map(|_| AtomicU32::new(50)).collect();
        let [shared, alone] =
            [(); 2].map(|()| Vec::from_iter((0..contestants).map(|_| AtomicU64::new(0))));
        let rank = |index: usize| (ranks[index].load(SeqCst), index);
        let beats = |one: usize, other: usize| rank(one) < rank(other);
        ranking::play_all(&shared[..], contestants, beats);
        ranking::play_all(&alone[..], contestants, beats);
        let mut noise = 1u32;
        for _ in 0..2000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (noise >> 8) as usize % contestants;
            match noise >> 31 {
                0 => ranks[index].fetch_add(1, SeqCst),
                _ => ranks[index].fetch_sub(1, SeqCst),
            };
            ranking::update(&shared[..], contestants, index, beats);
            ranking::update_alone(&alone, contestants, index, beats);
            let winners = |nodes: &[AtomicU64]| -> Vec<u32> {
                nodes.iter().map(|node| node.load(SeqCst) as u32).collect()
            };
            assert_eq!(
                winners(&shared)[1..],
                winners(&alone)[1..],
                "of {contestants}"
            );
        }
    }
}

/// Numbers put contestants of one class in order; others need a comparison.
#[test]
fn one_thread_plays_the_same_games_with_numbers() {
    for (contestants, classes) in [(1, 1), (2, 1), (7, 1), (10, 1), (10, 2), (10, 3), (100, 2)] {
        let numbers: Vec<_> = (0..contestants).map(|_| AtomicU32::new(50)).collect();
        let [shared, alone] =
            [(); 2].map(|()| Vec::from_iter((0..contestants).map(|_| AtomicU64::new(0))));
        let number = |index: usize| numbers[index].load(SeqCst);
        let class = |index: usize| (index * 7 / 3 % classes) as u32;
        let rank = |index: usize| (number(index) * (class(index) + 1), index);
        let beats = |one: usize, other: usize| rank(one) < rank(other);
        ranking::play_all(&shared[..], contestants, beats);
        ranking::play_all(&alone[..], contestants, beats);
        let mut noise = 1u32;
        for _ in 0..5000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (noise >> 8) as usize % contestants;
            numbers[index].store((noise >> 3) % 60, SeqCst);
            ranking::update(&shared[..], contestants, index, beats);
            let known = |index: usize| Some((number(index).into(), class(index)));
            let left = ranking::update_numbers(&alone, contestants, index, known);
            assert!(classes > 1 || left.is_none());
            if let Some(left) = left {
                ranking::finish_alone(&alone, contestants, index, left, beats);
            }
            let winners = |nodes: &[AtomicU64]| -> Vec<u32> {
                nodes.iter().map(|node| node.load(SeqCst) as u32).collect()
            };
            assert_eq!(
                winners(&shared)[1..],
                winners(&alone)[1..],
                "of {contestants}"
            );
        }
    }
}

/// Threads that raise and lower ranks: when they are done, each node names the better of its two.
#[test]
fn ranks_that_many_change_at_once() {
    for contestants in [1, 2, 3, 7, 100] {
        let ranks: Vec<_> = (0..contestants).map(|_| AtomicU32::new(50)).collect();
        let nodes: Vec<_> = (0..contestants).map(|_| AtomicU64::new(0)).collect();
        let rank = |index: usize| (ranks[index].load(SeqCst), index);
        let beats = |one: usize, other: usize| rank(one) < rank(other);
        for round in 0..50u32 {
            let work = |thread: u32| {
                let mut noise = round * 4 + thread;
                for _ in 0..200 {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let index = (noise >> 8) as usize % contestants;
                    match noise >> 31 {
                        0 => ranks[index].fetch_add(1, SeqCst),
                        _ => ranks[index].fetch_sub(1, SeqCst),
                    };
                    ranking::update(&nodes[..], contestants, index, beats);
                }
            };
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || work(thread));
                }
                // One that comes in the middle and begins with everything.
                scope.spawn(|| ranking::play_all(&nodes[..], contestants, beats));
            });
            let winner = (0..contestants).min_by_key(|index| rank(*index));
            assert_eq!(
                ranking::winner(&nodes[..], contestants),
                winner,
                "of {contestants}"
            );
            for node in 1..contestants {
                let below = |child: usize| match child.checked_sub(contestants) {
                    Some(leaf) => leaf,
                    None => nodes[child].load(SeqCst) as u32 as usize,
                };
                let best = [2 * node, 2 * node + 1]
                    .map(below)
                    .into_iter()
                    .min_by_key(|index| rank(*index));
                assert_eq!(
                    Some(nodes[node].load(SeqCst) as u32 as usize),
                    best,
                    "node {node} of {contestants}"
                );
            }
        }
    }
}
