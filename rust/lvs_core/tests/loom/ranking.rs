// SPDX-License-Identifier: GPL-2.0-only

//! Models of the ranking ([`lvs_core::scheduler::ranking`]): servers whose loads several threads
//! change at once. When all are done, every node names the better of its two.
//!
//! loom takes sequentially consistent loads for acquiring ones. Here every look is an exchange that
//! changes nothing, which sees the latest value as a sequentially consistent load does.

use super::{beside, explore};
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use loom::sync::Arc;
use lvs_core::scheduler::ranking::{self, Nodes};
use std::sync::atomic::Ordering::SeqCst;

struct Tournament {
    nodes: Vec<AtomicU64>,
    ranks: Vec<AtomicUsize>,
}

/// The nodes alone, with a look that is up to date.
struct Words<'a>(&'a [AtomicU64]);

impl Nodes for Words<'_> {
    fn look(&self, node: usize) -> Option<u64> {
        Some(self.0.get(node)?.fetch_add(0, SeqCst))
    }
    fn exchange(&self, node: usize, old: u64, new: u64) -> bool {
        self.0[node]
            .compare_exchange(old, new, SeqCst, SeqCst)
            .is_ok()
    }
}

impl Tournament {
    /// Contestants with these ranks, ranked unless they are `new`.
    fn new(ranks: &[usize], new: bool) -> Self {
        let this = Self {
            nodes: ranks.iter().map(|_| AtomicU64::new(0)).collect(),
            ranks: ranks.iter().map(|rank| AtomicUsize::new(*rank)).collect(),
        };
        if !new {
            this.play_all();
        }
        this
    }

    fn rank(&self, index: usize) -> (usize, usize) {
        (self.ranks[index].fetch_add(0, SeqCst), index)
    }

    fn beats(&self, one: usize, other: usize) -> bool {
        self.rank(one) < self.rank(other)
    }

    fn set(&self, index: usize, rank: usize) {
        self.ranks[index].swap(rank, SeqCst);
        self.rank_again(index);
    }

    fn rank_again(&self, index: usize) {
        let beats = |one, other| self.beats(one, other);
        ranking::update(&Words(&self.nodes), self.ranks.len(), index, beats);
    }

    fn play_all(&self) {
        let beats = |one, other| self.beats(one, other);
        ranking::play_all(&Words(&self.nodes), self.ranks.len(), beats);
    }

    /// Everything is as it ought to be.
    fn check(&self) {
        let contestants = self.ranks.len();
        for node in 1..contestants {
            let winner = |position: usize| match position.checked_sub(contestants) {
                Some(leaf) => leaf,
                None => self.nodes[position].fetch_add(0, SeqCst) as u32 as usize,
            };
            let [one, other] = [2 * node, 2 * node + 1].map(winner);
            let best = if self.beats(other, one) { other } else { one };
            assert_eq!(winner(node), best, "at node {node}");
        }
    }
}

/// Two threads, each with a contestant and its ranks one after the other, in all interleavings.
fn two(start: &'static [usize], one: (usize, &'static [usize]), other: (usize, &'static [usize])) {
    explore(Some(3), 50, move || {
        let tournament = Arc::new(Tournament::new(start, false));
        let all = |(index, ranks): (usize, &'static [usize])| {
            move |tournament: &Tournament| {
                ranks.iter().for_each(|rank| tournament.set(index, *rank))
            }
        };
        let beside = beside(&tournament, all(other));
        all(one)(&tournament);
        beside.join().unwrap();
        tournament.check();
    });
}

#[test]
fn two_in_one_game() {
    two(&[3, 4], (0, &[5]), (1, &[6]));
    two(&[3, 4], (0, &[5]), (1, &[2]));
    two(&[3, 4], (0, &[5, 3]), (1, &[6, 2]));
}

#[test]
fn two_that_meet_at_the_root() {
    two(&[3, 4, 5, 6], (0, &[7]), (3, &[2]));
    two(&[3, 4, 5, 6], (0, &[7]), (2, &[8]));
    two(&[3, 4, 5, 6], (1, &[2]), (2, &[1]));
}

#[test]
fn two_that_change_the_same() {
    two(&[3, 4, 5], (0, &[7]), (0, &[2]));
    two(&[3, 4, 5], (2, &[1]), (2, &[9]));
}

/// The first may lose twice against the others, who must then have seen what it did.
#[test]
fn three_in_one_game() {
    for ranks in [[5, 6, 7], [2, 1, 3], [9, 2, 8]] {
        explore(Some(2), 100, move || {
            let tournament = Arc::new(Tournament::new(&[3, 4, 5], false));
            let set =
                |index: usize| move |tournament: &Tournament| tournament.set(index, ranks[index]);
            let others = [beside(&tournament, set(1)), beside(&tournament, set(2))];
            set(0)(&tournament);
            for other in others {
                other.join().unwrap();
            }
            tournament.check();
        });
    }
}

/// A list that is put in force: its servers tell of their loads before it is ranked.
#[test]
fn changes_while_a_list_is_ranked() {
    for (index, rank) in [(0, 9), (2, 1), (3, 9), (3, 1)] {
        explore(Some(3), 50, move || {
            let tournament = Arc::new(Tournament::new(&[3, 4, 5, 6], true));
            let beside = beside(&tournament, move |tournament| tournament.set(index, rank));
            tournament.play_all();
            beside.join().unwrap();
            tournament.check();
        });
    }
}

/// A new list takes over: a server tells the old one or the new one of its load, whichever it finds, and
/// the new one is right in the end.
#[test]
fn a_list_takes_over() {
    for rank in [1, 9] {
        explore(Some(3), 50, move || {
            let tournament = Arc::new(Tournament::new(&[3, 4, 5], true));
            let place = Arc::new(AtomicUsize::new(0));
            let found = place.clone();
            let beside = beside(&tournament, move |tournament| {
                tournament.ranks[1].swap(rank, SeqCst);
                if found.fetch_add(0, SeqCst) != 0 {
                    tournament.rank_again(1);
                }
            });
            place.swap(1, SeqCst);
            tournament.play_all();
            beside.join().unwrap();
            tournament.check();
        });
    }
}
