// SPDX-License-Identifier: GPL-2.0-only

//! Models of the ranking ([`lvs_core::scheduler::ranking`]): several threads change the loads of
//! servers at the same time. When all have finished, every node names the better of its two.
//!
//! loom treats sequentially consistent loads like acquiring ones. So every look here is an exchange
//! that changes nothing: it sees the latest value, as a sequentially consistent load does.

use super::{beside, explore};
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use loom::sync::Arc;
use lvs_core::scheduler::ranking::{self, Nodes};
use std::sync::atomic::Ordering::SeqCst;

struct Tournament {
    nodes: Vec<AtomicU64>,
    ranks: Vec<AtomicUsize>,
}

/// The nodes, with a look that sees the latest value.
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

    /// Checks that every node names the better of its two.
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

/// Two threads change the ranks of one contestant each, in all interleavings.
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
fn two_contestants_of_one_game_are_ranked() {
    two(&[3, 4], (0, &[5]), (1, &[6]));
    two(&[3, 4], (0, &[5]), (1, &[2]));
    two(&[3, 4], (0, &[5, 3]), (1, &[6, 2]));
}

#[test]
fn two_contestants_that_meet_at_the_root_are_ranked() {
    two(&[3, 4, 5, 6], (0, &[7]), (3, &[2]));
    two(&[3, 4, 5, 6], (0, &[7]), (2, &[8]));
    two(&[3, 4, 5, 6], (1, &[2]), (2, &[1]));
}

#[test]
fn two_changes_of_one_contestant_are_ranked() {
    two(&[3, 4, 5], (0, &[7]), (0, &[2]));
    two(&[3, 4, 5], (2, &[1]), (2, &[9]));
}

/// The first thread may lose twice against the others. They must then have seen its change.
#[test]
fn three_threads_in_one_game_are_ranked() {
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

/// A new list takes effect: its servers report their loads before it is ranked.
#[test]
fn changes_during_the_ranking_of_a_list_are_seen() {
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

/// A new list replaces an old one. A server reports its load to the list that it finds, and the new
/// list is right in the end.
#[test]
fn a_list_that_replaces_another_is_ranked() {
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
