// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers, called from several threads at once.

use crate::schedule::flow;
use lvs_core::scheduler::{
    Algorithm, Change, Destination, LeastConnection, List, RoundRobin, WeightedLeastConnection,
    WeightedRoundRobin,
};
use lvs_core::{Address, Endpoint};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;

/// A server with numbers that change during a selection.
struct Shared {
    weight: AtomicU32,
    load: AtomicU32,
    overloaded: AtomicBool,
}

impl Shared {
    fn new(weight: u32) -> Self {
        Self {
            weight: AtomicU32::new(weight),
            load: AtomicU32::new(0),
            overloaded: AtomicBool::new(false),
        }
    }
}

impl Destination for Shared {
    fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }
    fn last_weight(&self) -> u32 {
        self.weight().max(1)
    }
    fn endpoint(&self) -> Endpoint {
        Endpoint::new(Address::UNSPECIFIED, 80)
    }
    fn active(&self) -> u32 {
        self.load.load(Relaxed)
    }
    fn inactive(&self) -> u32 {
        self.load.load(Relaxed) / 2
    }
    fn overloaded(&self) -> bool {
        self.overloaded.load(Relaxed)
    }
}

/// A scheduler with a constant list and its memory.
struct Kept<A> {
    algorithm: A,
    memory: Vec<AtomicU64>,
}

impl<A: Algorithm> Kept<A> {
    fn new(destinations: &[Shared]) -> Self {
        let kept = Self {
            algorithm: A::new(0),
            memory: (0..A::words(destinations.len(), 0))
                .map(|_| AtomicU64::new(0))
                .collect(),
        };
        kept.changed(destinations, Change::Reset);
        kept
    }

    fn list<'a>(&'a self, destinations: &'a [Shared]) -> List<'a, Shared> {
        let memory = &self.memory;
        List {
            destinations,
            memory,
        }
    }

    fn changed(&self, destinations: &[Shared], change: Change) {
        self.algorithm
            .changed(&self.list(destinations), &[], change);
    }

    fn load_changed(&self, destinations: &[Shared], index: usize) {
        self.algorithm.load_changed(&self.list(destinations), index);
    }

    fn select(&self, destinations: &[Shared]) -> Option<usize> {
        self.algorithm.select(&self.list(destinations), &flow(1))
    }
}

const THREADS: usize = 4;
const EACH: usize = 9 * 2000;

/// How often each server is chosen if all threads select at once.
fn tally(
    destinations: &[Shared],
    select: impl Fn(&[Shared]) -> Option<usize> + Sync,
) -> Vec<usize> {
    let one = || {
        let mut counts = vec![0; destinations.len()];
        for _ in 0..EACH {
            counts[select(destinations).unwrap()] += 1;
        }
        counts
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
        let mut total = vec![0; destinations.len()];
        for counts in threads.into_iter().map(|thread| thread.join().unwrap()) {
            for (sum, count) in total.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        total
    })
}

#[test]
fn rr_hits_every_server_equally() {
    let destinations: Vec<Shared> = [1, 5, 1].into_iter().map(Shared::new).collect();
    let rr = Kept::<RoundRobin>::new(&destinations);
    let counts = tally(&destinations, |destinations| rr.select(destinations));
    assert_eq!(counts, [THREADS * EACH / 3; 3]);
}

#[test]
fn wrr_hits_every_server_by_its_weight() {
    let destinations: Vec<Shared> = [4, 3, 2].into_iter().map(Shared::new).collect();
    let wrr = Kept::<WeightedRoundRobin>::new(&destinations);
    let counts = tally(&destinations, |destinations| wrr.select(destinations));
    let share = THREADS * EACH / 9;
    assert_eq!(counts, [4 * share, 3 * share, 2 * share]);
}

/// Weights, loads and the length of the list change all the time. Selections still end. They never
/// choose a server that is always quiesced, or one beyond the list.
#[test]
fn selections_that_race_with_changes_are_valid() {
    // Server 1 is always quiesced, and server 3 always accepts connections.
    let destinations: Vec<Shared> = [1, 0, 1, 1].into_iter().map(Shared::new).collect();
    let rr = Kept::<RoundRobin>::new(&destinations);
    let wrr = Kept::<WeightedRoundRobin>::new(&destinations);
    let lc = Kept::<LeastConnection>::new(&destinations);
    let wlc = Kept::<WeightedLeastConnection>::new(&destinations);
    let stop = AtomicBool::new(false);
    let change = || {
        let mut noise: u32 = 1;
        while !stop.load(Relaxed) {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = [0, 2, 3][(noise >> 8) as usize % 3];
            let weight = [1, 2, 6, 1000, u32::MAX][(noise >> 16) as usize % 5];
            destinations[at].weight.store(weight, Relaxed);
            destinations[at].load.store(noise >> 4, Relaxed);
            if at != 3 {
                destinations[at].overloaded.store(noise & 64 != 0, Relaxed);
                if noise & 128 != 0 {
                    destinations[at].weight.store(0, Relaxed);
                }
            }
            let event = match noise >> 28 {
                0 => Change::Added(at),
                1 => Change::Removed(at),
                2 => Change::Reset,
                _ => Change::Edited(at),
            };
            rr.changed(&destinations, event);
            wrr.changed(&destinations, event);
            lc.load_changed(&destinations, at);
            wlc.load_changed(&destinations, at);
        }
    };
    let select = || {
        for _ in 0..20_000 {
            for choice in [
                rr.select(&destinations),
                wrr.select(&destinations),
                lc.select(&destinations),
                wlc.select(&destinations),
            ] {
                let choice = choice.expect("server 3 takes connections");
                assert!(choice < destinations.len());
                assert_ne!(choice, 1, "server 1 is quiesced");
            }
        }
    };
    thread::scope(|scope| {
        let changer = scope.spawn(change);
        let selectors: Vec<_> = (0..2).map(|_| scope.spawn(select)).collect();
        let results: Vec<_> = selectors.into_iter().map(|thread| thread.join()).collect();
        // Stop the changer before anything can panic here.
        stop.store(true, Relaxed);
        changer.join().unwrap();
        for result in results {
            result.unwrap();
        }
    });
}
