// SPDX-License-Identifier: GPL-2.0-only

//! Compares round-robin and its weighted form with the definitions of the papers, one selection at
//! a time. It also has the helpers for the tests of all schedulers.

use lvs_core::delay::Delay;
use lvs_core::regions::Regions;
use lvs_core::scheduler::{
    Algorithm, Change, Destination, Flow, List, Options, RoundRobin, WeightedRoundRobin,
};
use lvs_core::{Address, Endpoint, Protocol};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU64;

/// A server that counts the looks at it.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    pub weight: u32,
    pub active: u32,
    pub inactive: u32,
    pub overloaded: bool,
    /// The host part of its address.
    pub host: u32,
    /// The former weight, if the weight is 0.
    pub former_weight: u32,
    pub delay: Delay,
    pub looks: Cell<usize>,
}

impl Destination for Fake {
    fn weight(&self) -> u32 {
        self.looks.set(self.looks.get() + 1);
        self.weight
    }
    fn last_weight(&self) -> u32 {
        match self.weight {
            0 => self.former_weight,
            weight => weight,
        }
    }
    fn endpoint(&self) -> Endpoint {
        let [_, a, b, c] = self.host.to_be_bytes();
        Endpoint::new(Address::from_v4([10, a, b, c]), 80)
    }
    fn active(&self) -> u32 {
        self.active
    }
    fn inactive(&self) -> u32 {
        self.inactive
    }
    fn overloaded(&self) -> bool {
        self.overloaded
    }
    fn delay(&self) -> Delay {
        self.delay
    }
}

/// A connection from client number `client`.
pub fn flow(client: u32) -> Flow<'static> {
    Flow {
        protocol: Protocol::Tcp,
        client: Endpoint::new(Address::from_v4(client.to_be_bytes()), 1024),
        virtual_endpoint: Endpoint::new(Address::from_v4([192, 0, 2, 1]), 80),
        options: Options::default(),
        now: 0,
        regions: Regions::NONE,
    }
}

/// A scheduler with the memory of its present list.
pub struct Scheduled<A: Algorithm> {
    pub algorithm: A,
    memory: RefCell<Vec<AtomicU64>>,
}

impl<A: Algorithm> Scheduled<A> {
    pub fn new() -> Self {
        Self::seeded(0)
    }

    pub fn seeded(seed: u64) -> Self {
        Self {
            algorithm: A::new(seed),
            memory: RefCell::default(),
        }
    }

    /// Replaces the list, with new memory, as after every change.
    pub fn changed<S: Destination>(&self, destinations: &[S], change: Change) {
        let former = match change {
            Change::Reset => vec![],
            _ => self.memory.take(),
        };
        let words = A::words(destinations.len(), former.len());
        let memory: Vec<_> = (0..words).map(|_| AtomicU64::new(0)).collect();
        let list = List {
            destinations,
            memory: &memory,
        };
        self.algorithm.changed(&list, &former, change);
        *self.memory.borrow_mut() = memory;
    }

    pub fn load_changed<S: Destination>(&self, destinations: &[S], index: usize) {
        let memory = &*self.memory.borrow();
        self.algorithm.load_changed(
            &List {
                destinations,
                memory,
            },
            index,
        );
    }

    pub fn select<S: Destination>(&self, destinations: &[S]) -> Option<usize> {
        self.select_for(destinations, &flow(1))
    }

    pub fn select_for<S: Destination>(&self, destinations: &[S], flow: &Flow<'_>) -> Option<usize> {
        let memory = &*self.memory.borrow();
        self.algorithm.select(
            &List {
                destinations,
                memory,
            },
            flow,
        )
    }
}

type Rr = Scheduled<RoundRobin>;
type Wrr = Scheduled<WeightedRoundRobin>;

pub fn weights(weights: &[u32]) -> Vec<Fake> {
    let server = |(host, weight): (u32, &u32)| Fake {
        weight: *weight,
        host,
        ..Fake::default()
    };
    (1..).zip(weights).map(server).collect()
}

pub fn loads(loads: &[(u32, u32, u32)]) -> Vec<Fake> {
    let server = |(weight, active, inactive): &(u32, u32, u32)| Fake {
        weight: *weight,
        active: *active,
        inactive: *inactive,
        ..Fake::default()
    };
    loads.iter().map(server).collect()
}

/// `count` selections, as letters: A for the first server, - for none.
pub fn letters(mut select: impl FnMut() -> Option<usize>, count: usize) -> String {
    let letter = |choice: Option<usize>| choice.map_or('-', |n| (b'A' + n as u8) as char);
    (0..count).map(|_| letter(select())).collect()
}

fn wrr(destinations: &[Fake]) -> Wrr {
    let scheduler = Wrr::new();
    scheduler.changed(destinations, Change::Reset);
    scheduler
}

#[test]
fn no_server_is_chosen_when_none_accepts_connections() {
    for destinations in [weights(&[]), weights(&[0, 0])] {
        assert_eq!(Rr::new().select(&destinations), None);
        assert_eq!(wrr(&destinations).select(&destinations), None);
    }
    let mut destinations = weights(&[3]);
    destinations[0].overloaded = true;
    assert_eq!(Rr::new().select(&destinations), None);
    assert_eq!(wrr(&destinations).select(&destinations), None);
}

#[test]
fn rr_keeps_the_order_regardless_of_weights() {
    let destinations = weights(&[1, 7, 2]);
    let rr = Rr::new();
    assert_eq!(letters(|| rr.select(&destinations), 7), "ABCABCA");
}

#[test]
fn rr_skips_quiesced_and_overloaded_servers() {
    let mut destinations = weights(&[0, 1, 1, 0, 1]);
    destinations[2].overloaded = true;
    let rr = Rr::new();
    assert_eq!(letters(|| rr.select(&destinations), 4), "BEBE");
}

#[test]
fn rr_keeps_its_place() {
    let rr = Rr::new();
    let mut destinations = weights(&[1; 4]);
    assert_eq!(letters(|| rr.select(&destinations), 2), "AB");
    // Without A, C is the second of three and still next.
    destinations.remove(0);
    rr.changed(&destinations, Change::Removed(0));
    assert_eq!(letters(|| rr.select(&destinations), 1), "B");
    // The next one is removed. It has no successor, so the sequence continues at the start.
    destinations.remove(2);
    rr.changed(&destinations, Change::Removed(2));
    assert_eq!(letters(|| rr.select(&destinations), 1), "A");
    // One is added in front. The next one is the same as before.
    destinations.insert(0, weights(&[1]).remove(0));
    rr.changed(&destinations, Change::Added(0));
    assert_eq!(letters(|| rr.select(&destinations), 1), "C");
    // One is added at the end, at the position of the round. It is next.
    destinations.push(weights(&[1]).remove(0));
    rr.changed(&destinations, Change::Added(3));
    assert_eq!(letters(|| rr.select(&destinations), 2), "DA");
    rr.changed(&destinations, Change::Edited(0));
    assert_eq!(letters(|| rr.select(&destinations), 1), "B");
    rr.changed(&destinations, Change::Reset);
    assert_eq!(letters(|| rr.select(&destinations), 1), "A");
}

#[test]
fn rr_survives_a_list_that_shrank_without_notice() {
    let rr = Rr::new();
    let destinations = weights(&[1; 5]);
    assert_eq!(letters(|| rr.select(&destinations), 4), "ABCD");
    assert_eq!(letters(|| rr.select(&destinations[..2]), 3), "ABA");
}

#[test]
fn wrr_gives_the_sequence_of_the_paper() {
    let destinations = weights(&[4, 3, 2]);
    let wrr = wrr(&destinations);
    assert_eq!(
        letters(|| wrr.select(&destinations), 18),
        "AABABCABCAABABCABC"
    );
}

#[test]
fn wrr_steps_by_the_common_divisor() {
    let destinations = weights(&[200, 100]);
    let wrr = wrr(&destinations);
    assert_eq!(letters(|| wrr.select(&destinations), 6), "AABAAB");
    let destinations = weights(&[0, 5, 0, 5]);
    let wrr = self::wrr(&destinations);
    assert_eq!(letters(|| wrr.select(&destinations), 4), "BDBD");
}

#[test]
fn wrr_is_right_without_notices() {
    let destinations = weights(&[4, 3, 2]);
    let wrr = Wrr::new();
    assert_eq!(letters(|| wrr.select(&destinations), 9), "AABABCABC");
    // The sequence continues after all weights were 0 for a while.
    assert_eq!(wrr.select(&weights(&[0, 0, 0])), None);
    assert_eq!(letters(|| wrr.select(&destinations), 9), "AABABCABC");
}

#[test]
fn wrr_keeps_its_place() {
    let mut destinations = weights(&[4, 3, 2]);
    let wrr = wrr(&destinations);
    assert_eq!(letters(|| wrr.select(&destinations), 4), "AABA");
    // In the pass for weights of 2 and more, A has had its turn. B and C remain, then the last
    // pass.
    let a = destinations.remove(0);
    wrr.changed(&destinations, Change::Removed(0));
    assert_eq!(letters(|| wrr.select(&destinations), 9), "ABABAABAB");
    // A is put back in front of the next one. It waits for the next pass.
    assert_eq!(letters(|| wrr.select(&destinations), 1), "A");
    destinations.insert(0, a);
    wrr.changed(&destinations, Change::Added(0));
    assert_eq!(letters(|| wrr.select(&destinations), 5), "ABCAB");
    // A reset starts a new round.
    wrr.changed(&destinations, Change::Reset);
    assert_eq!(letters(|| wrr.select(&destinations), 9), "AABABCABC");
}

#[test]
fn wrr_follows_edited_weights() {
    let mut destinations = weights(&[4, 3, 2]);
    let wrr = wrr(&destinations);
    assert_eq!(letters(|| wrr.select(&destinations), 1), "A");
    // No weight reaches the current weight of 4 now.
    destinations[0].weight = 1;
    wrr.changed(&destinations, Change::Edited(0));
    assert_eq!(letters(|| wrr.select(&destinations), 6), "BBCABC");
    assert_eq!(letters(|| wrr.select(&destinations), 6), "BBCABC");
    // A divisor that grows: the current weight goes to one of its steps.
    let mut destinations = weights(&[5, 1]);
    let wrr = self::wrr(&destinations);
    assert_eq!(letters(|| wrr.select(&destinations), 2), "AA");
    destinations[0].weight = 6;
    destinations[1].weight = 3;
    wrr.changed(&destinations, Change::Edited(0));
    assert_eq!(letters(|| wrr.select(&destinations), 4), "ABAA");
    // All quiesced, and back.
    let quiet = weights(&[0, 0]);
    wrr.changed(&quiet, Change::Edited(1));
    assert_eq!(wrr.select(&quiet), None);
    wrr.changed(&destinations, Change::Edited(1));
    assert_eq!(letters(|| wrr.select(&destinations), 3), "AAB");
}

/// A huge weight or an overloaded heaviest server does not make a selection long.
#[test]
fn every_selection_is_short() {
    let mut destinations = weights(&[u32::MAX, 1, 2, 0]);
    destinations[0].overloaded = true;
    let wrr = wrr(&destinations);
    let rr = Rr::new();
    let count = |select: &dyn Fn() -> Option<usize>| {
        destinations.iter().for_each(|server| server.looks.set(0));
        assert!(select().is_some());
        destinations
            .iter()
            .map(|server| server.looks.get())
            .sum::<usize>()
    };
    for _ in 0..20 {
        assert!(count(&|| wrr.select(&destinations)) <= 4 * destinations.len());
        assert!(count(&|| rr.select(&destinations)) <= 2 * destinations.len());
    }
    assert_eq!(letters(|| wrr.select(&destinations), 1).len(), 1);
    destinations[0].overloaded = false;
    assert_eq!(self::wrr(&destinations).select(&destinations), Some(0));
}

/// The algorithm of the paper, word by word, except for the step: it is the greatest common
/// divisor.
struct Paper {
    i: i64,
    cw: i64,
}

impl Paper {
    fn select(&mut self, destinations: &[Fake]) -> Option<usize> {
        let weight = |server: &Fake| i64::from(server.weight);
        let n = destinations.len() as i64;
        let most = destinations.iter().map(weight).max().unwrap_or(0);
        let divides = |d: &i64| destinations.iter().all(|server| weight(server) % d == 0);
        let step = (1..=most).rev().find(divides)?;
        // After that many steps, every server was looked at in every pass.
        for _ in 0..(most + 2) * n {
            self.i = (self.i + 1) % n;
            if self.i == 0 {
                self.cw -= step;
                if self.cw <= 0 {
                    self.cw = most;
                }
            }
            let server = &destinations[self.i as usize];
            if weight(server) >= self.cw && weight(server) > 0 && !server.overloaded {
                return Some(self.i as usize);
            }
        }
        None
    }
}

/// The servers that are still ahead in the round, and those that are not: the place in the sequence
/// without an index.
#[derive(Default)]
struct Round {
    done: Vec<u32>,
    pending: Vec<u32>,
}

pub fn destinations() -> impl Strategy<Value = Vec<Fake>> {
    let number = || prop_oneof![3 => 0..6u32, 1 => any::<u32>(), 1 => Just(u32::MAX)];
    let server = (number(), number(), number(), proptest::bool::weighted(0.2));
    let server = server.prop_map(|(weight, active, inactive, overloaded)| Fake {
        weight,
        active,
        inactive,
        overloaded,
        ..Fake::default()
    });
    proptest::collection::vec(server, 0..7)
}

pub fn takes(server: &Fake) -> bool {
    server.weight > 0 && !server.overloaded
}

proptest! {
    #[test]
    fn wrr_equals_the_algorithm_of_the_paper(
        list in proptest::collection::vec((0..12u32, 1..4u32, proptest::bool::weighted(0.1)), 1..7),
        scale in 1..4u32,
    ) {
        let destinations: Vec<Fake> = list
            .iter()
            .map(|(weight, factor, overloaded)| Fake {
                weight: weight * factor * scale,
                overloaded: *overloaded,
                ..Fake::default()
            })
            .collect();
        let wrr = wrr(&destinations);
        let mut paper = Paper { i: -1, cw: 0 };
        for n in 0..200 {
            prop_assert_eq!(wrr.select(&destinations), paper.select(&destinations), "selection {}", n);
        }
    }

    #[test]
    fn wrr_is_exact_over_a_period(list in proptest::collection::vec(0..30u32, 1..9), skip in 0..50usize) {
        let destinations = weights(&list);
        let most = list.iter().copied().max().unwrap();
        prop_assume!(most > 0);
        let divisor = (1..=most).rev().find(|d| list.iter().all(|w| w % d == 0)).unwrap();
        let period = list.iter().sum::<u32>() / divisor;
        let wrr = wrr(&destinations);
        let mut counts = vec![0; list.len()];
        // A period may start anywhere.
        for _ in 0..skip {
            wrr.select(&destinations);
        }
        for _ in 0..period {
            counts[wrr.select(&destinations).unwrap()] += 1;
        }
        let expected: Vec<u32> = list.iter().map(|weight| weight / divisor).collect();
        prop_assert_eq!(counts, expected);
    }

    /// Selections, additions and removals in any order. No server loses a turn or gets two in a
    /// round.
    #[test]
    fn rr_keeps_every_turn(
        steps in proptest::collection::vec((0..5, any::<proptest::sample::Index>()), 0..60),
    ) {
        let rr = Rr::new();
        let mut round = Round::default();
        let mut list: Vec<u32> = vec![];
        for (id, (step, place)) in (0..).zip(steps) {
            match step {
                0 => {
                    let at = place.index(list.len() + 1);
                    list.insert(at, id);
                    rr.changed(&weights(&vec![1; list.len()]), Change::Added(at));
                    match at.checked_sub(round.done.len()) {
                        Some(at) => round.pending.insert(at, id),
                        None => round.done.insert(at, id),
                    }
                }
                1 if !list.is_empty() => {
                    let at = place.index(list.len());
                    let gone = list.remove(at);
                    rr.changed(&weights(&vec![1; list.len()]), Change::Removed(at));
                    round.done.retain(|id| *id != gone);
                    round.pending.retain(|id| *id != gone);
                }
                _ => {
                    if round.pending.is_empty() {
                        round.pending.append(&mut round.done);
                    }
                    let expected = (!round.pending.is_empty()).then(|| round.pending.remove(0));
                    round.done.extend(expected);
                    let choice = rr.select(&weights(&vec![1; list.len()]));
                    prop_assert_eq!(choice.map(|at| list[at]), expected);
                }
            }
        }
    }

    /// With weights of any size, and with or without notices, a chosen server accepts connections.
    #[test]
    fn chosen_servers_accept_connections(
        lists in proptest::collection::vec((destinations(), any::<bool>(), 0..9usize), 1..9),
    ) {
        let rr = Rr::new();
        let wrr = Wrr::new();
        for (destinations, notice, index) in lists {
            if notice {
                for change in [Change::Added(index), Change::Edited(index), Change::Removed(index)] {
                    rr.changed(&destinations, change);
                    wrr.changed(&destinations, change);
                }
            }
            for _ in 0..5 {
                for choice in [rr.select(&destinations), wrr.select(&destinations)] {
                    prop_assert_eq!(choice.is_some(), destinations.iter().any(takes));
                    prop_assert!(choice.is_none_or(|choice| takes(&destinations[choice])));
                }
            }
        }
    }
}
