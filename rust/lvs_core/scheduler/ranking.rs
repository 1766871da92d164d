// SPDX-License-Identifier: GPL-2.0-only

//! Who is first among many whose ranks change all the time: a tournament, kept up to date by those
//! who change.
//!
//! The contestants are the leaves of a binary tree, and each inner node names the one of its two
//! children's winners that beats the other; so the root names the winner of all, in one look. Who
//! changes a contestant plays its games again, from the leaf to the root: as many games as the
//! logarithm of the number of contestants. That is the f-array of P. Jayanti ("f-Arrays:
//! Implementation and Applications", PODC 2002), but for what a node holds: not the value, only
//! whose it is.
//!
//! # Many at once
//!
//! Nobody waits. A node holds its winner and a version in one word. To play a game is to look at
//! the word, at both children and at their ranks, and then to exchange the word, if it is still the
//! same. If it is not, somebody else has played meanwhile, and the game is played again. If that
//! was in vain too, then whoever came second began after this one's first look, and has seen what
//! this one changed: that will do. So an [`update`] takes at most twice as many games as there are
//! levels.
//!
//! It may end early: at a game that the contestant neither won before nor wins now, since nothing
//! changes above. The word gets a new version even then, so that nobody who looked before the
//! change has the last word.
//!
//! When nobody is at work, all nodes are right: of the last exchange of a node, the looks at its
//! children came after everything that changed there. While updates go on, the root is the winner
//! of some moments ago at the earliest. All accesses are sequentially consistent, which on x86 are
//! the plain loads and locked exchanges that weaker ones would be; `tests/loom` explores them.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Where the words of the inner nodes are. Numbers begin at 1, so a tournament of as many
/// contestants as there are words is one that has room.
pub trait Nodes {
    /// The word of this node; `None` when there is no such node.
    fn look(&self, node: usize) -> Option<u64>;
    /// Puts `new` in place of `old`, if that is still there.
    fn exchange(&self, node: usize, old: u64, new: u64) -> bool;
}

impl Nodes for [AtomicU64] {
    #[inline]
    fn look(&self, node: usize) -> Option<u64> {
        Some(self.get(node)?.load(SeqCst))
    }

    #[inline]
    fn exchange(&self, node: usize, old: u64, new: u64) -> bool {
        self.get(node)
            .is_some_and(|word| word.compare_exchange(old, new, SeqCst, SeqCst).is_ok())
    }
}

/// The winner's index in a node's word; the version is above it.
#[inline]
const fn index(word: u64) -> usize {
    word as u32 as usize
}

/// The winner at a position: inner nodes have those below `contestants`, leaves the others.
#[inline]
fn winner_at<N: Nodes + ?Sized>(nodes: &N, contestants: usize, position: usize) -> Option<usize> {
    match position.checked_sub(contestants) {
        Some(leaf) => Some(leaf),
        None => nodes.look(position).map(index),
    }
}

/// The first of all; `None` when there are no contestants.
#[inline]
pub fn winner<N: Nodes + ?Sized>(nodes: &N, contestants: usize) -> Option<usize> {
    match contestants {
        0 => None,
        _ => winner_at(nodes, contestants, 1),
    }
}

/// What became of an attempt at a game.
enum Game {
    /// This contestant has won, as before.
    Same(usize),
    /// Another one than before has won.
    Changed,
    /// Somebody else has played meanwhile.
    Disturbed,
}

/// Plays the game of `node`, once.
#[inline(always)]
fn play<N: Nodes + ?Sized>(
    nodes: &N,
    contestants: usize,
    node: usize,
    beats: &impl Fn(usize, usize) -> bool,
) -> Option<Game> {
    let left = node.wrapping_mul(2);
    let old = nodes.look(node)?;
    let one = winner_at(nodes, contestants, left)?;
    let other = winner_at(nodes, contestants, left.wrapping_add(1))?;
    let best = if beats(other, one) { other } else { one };
    let version = (old >> 32).wrapping_add(1) << 32;
    Some(if !nodes.exchange(node, old, version | best as u64) {
        Game::Disturbed
    } else if index(old) == best {
        Game::Same(best)
    } else {
        Game::Changed
    })
}

/// The rank of a contestant has changed: plays its games again. `beats` tells whether the first one
/// comes before the second, and must be a strict order, though ranks may change under its hands.
#[inline(always)]
pub fn update<N: Nodes + ?Sized>(
    nodes: &N,
    contestants: usize,
    contestant: usize,
    beats: impl Fn(usize, usize) -> bool,
) {
    let mut node = contestants.wrapping_add(contestant) >> 1;
    let mut disturbed = false;
    while node > 0 {
        let Some(game) = play(nodes, contestants, node, &beats) else {
            return;
        };
        match game {
            Game::Disturbed if !disturbed => {
                disturbed = true;
                continue;
            }
            Game::Same(winner) if winner != contestant => return,
            _ => {}
        }
        disturbed = false;
        node >>= 1;
    }
}

/// Plays all games again, whatever the nodes held.
pub fn play_all<N: Nodes + ?Sized>(
    nodes: &N,
    contestants: usize,
    beats: impl Fn(usize, usize) -> bool,
) {
    for node in (1..contestants).rev() {
        if matches!(
            play(nodes, contestants, node, &beats),
            Some(Game::Disturbed)
        ) {
            let _ = play(nodes, contestants, node, &beats);
        }
    }
}
