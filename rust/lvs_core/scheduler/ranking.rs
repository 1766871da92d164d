// SPDX-License-Identifier: GPL-2.0-only

//! Finds the first of many contestants whose ranks change all the time: a tournament that every
//! change keeps up to date.
//!
//! The contestants are the leaves of a binary tree. Each inner node names the better of its two
//! children's winners, so one look at the root finds the overall winner. After a contestant
//! changes, it plays its games again from the leaf to the root: log2 of the number of contestants.
//! This is the f-array of P. Jayanti ("f-Arrays: Implementation and Applications", PODC 2002),
//! except that a node stores the winner's name and not its value.
//!
//! # Concurrency
//!
//! Nobody waits. A node stores its winner and a version in one word. A game reads the word, both
//! children and their ranks, and then exchanges the word if it is unchanged. If it has changed,
//! another CPU has played meanwhile, and the game is repeated. If the second exchange fails as
//! well, then the CPU that succeeded began after this one's first read. It has seen this one's
//! change, so this one is done. An [`update`] therefore takes at most two games per level.
//!
//! An update may end early, at a game that the contestant neither won before nor wins now: nothing
//! changes above it. The word gets a new version even then, so an exchange by a CPU that read the
//! node before the change fails.
//!
//! When no update is running, all nodes are correct: the last exchange of a node read its children
//! after everything that changed there. While updates run, the root may name a former winner. All
//! accesses are sequentially consistent. On x86 they compile to the same plain loads and locked
//! exchanges as weaker ones. `tests/loom` explores them.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// The storage for the words of the inner nodes. Node numbers begin at 1, so as many words as
/// contestants are enough.
pub trait Nodes {
    /// Returns the word of this node, or `None` if there is no such node.
    fn look(&self, node: usize) -> Option<u64>;
    /// Replaces `old` by `new` if the word is still `old`.
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

/// Returns the winner's index from a node's word. The version is above it.
#[inline]
const fn index(word: u64) -> usize {
    word as u32 as usize
}

/// Returns the winner at a position. Positions below `contestants` are inner nodes, the others are
/// leaves.
#[inline]
fn winner_at<N: Nodes + ?Sized>(nodes: &N, contestants: usize, position: usize) -> Option<usize> {
    match position.checked_sub(contestants) {
        Some(leaf) => Some(leaf),
        None => nodes.look(position).map(index),
    }
}

/// Returns the overall winner, or `None` if there are no contestants.
#[inline]
pub fn winner<N: Nodes + ?Sized>(nodes: &N, contestants: usize) -> Option<usize> {
    match contestants {
        0 => None,
        _ => winner_at(nodes, contestants, 1),
    }
}

/// The result of one attempt at a game.
enum Game {
    /// This contestant won, as before.
    Same(usize),
    /// The winner is another one than before.
    Changed,
    /// Another CPU has played meanwhile.
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

/// Plays a contestant's games again after its rank has changed. `beats` returns whether the first
/// contestant comes before the second. It must be a strict order, but ranks may change during the
/// call.
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

/// Does what [`update`] does, for words that only one thread uses: without locked instructions, and
/// each game looks only at the contestant that is new to it.
#[inline(always)]
pub fn update_alone(
    nodes: &[AtomicU64],
    contestants: usize,
    contestant: usize,
    beats: impl Fn(usize, usize) -> bool,
) {
    let position = contestants.wrapping_add(contestant);
    let from = Unfinished {
        position,
        best: contestant,
    };
    finish_alone(nodes, contestants, contestant, from, beats);
}

/// Games of [`update_numbers`] that are left.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// The winner at this position is known.
    position: usize,
    /// The winner.
    best: usize,
}

/// Plays what [`update_numbers`] has left.
#[inline(always)]
pub fn finish_alone(
    nodes: &[AtomicU64],
    contestants: usize,
    contestant: usize,
    from: Unfinished,
    beats: impl Fn(usize, usize) -> bool,
) {
    let Unfinished {
        mut position,
        mut best,
    } = from;
    while position > 1 {
        let Some(rival) = winner_at(nodes, contestants, position ^ 1) else {
            return;
        };
        best = if beats(rival, best) { rival } else { best };
        position >>= 1;
        let Some(node) = nodes.get(position) else {
            return;
        };
        let same = index(node.load(Relaxed)) == best;
        node.store(best as u64, Relaxed);
        if same && best != contestant {
            return;
        }
    }
}

/// Does what [`update_alone`] does, for contestants that one number each puts in order: the least
/// wins, and among equals the first. `number` returns it with a class; only contestants of the same
/// class are comparable. Returns the games that are left for [`finish_alone`], if there are several
/// classes.
///
/// No processor predicts who wins, so nothing branches on that, and a game takes the time of one
/// comparison.
#[inline(always)]
pub fn update_numbers(
    nodes: &[AtomicU64],
    contestants: usize,
    contestant: usize,
    number: impl Fn(usize) -> Option<(u64, u32)>,
) -> Option<Unfinished> {
    let key = |(number, _): (u64, u32), index: usize| (u128::from(number) << 64) | index as u128;
    let mut position = contestants.wrapping_add(contestant);
    let left = |position: usize, best: usize| Some(Unfinished { position, best });
    let Some(first) = number(contestant) else {
        return left(position, contestant);
    };
    let mut best = key(first, contestant);
    while position > 1 {
        let rival = winner_at(nodes, contestants, position ^ 1)?;
        let other = match number(rival) {
            Some(other) if other.1 == first.1 => other,
            _ => return left(position, best as usize),
        };
        best = best.min(key(other, rival));
        position >>= 1;
        let node = nodes.get(position)?;
        let (winner, before) = (best as usize, index(node.load(Relaxed)));
        node.store(winner as u64, Relaxed);
        // The game has the same winner as before, and it is another contestant.
        if (before ^ winner) | usize::from(winner == contestant) == 0 {
            return None;
        }
    }
    None
}

/// Plays all games again, whatever the nodes contain.
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
