// SPDX-License-Identifier: GPL-2.0-only

//! Schedulers that draw two servers at random and take the better one.

use super::{below, slots, Algorithm, Change, Destination, Flow, List, Order};
use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Draws two different servers at random, by weight, and takes the one that comes first in the
/// order `O`; among equals, the one that was drawn first.
#[derive(Debug)]
pub struct BestOfTwo<O> {
    /// The state of SplitMix64 (G. Steele et al., "Fast Splittable Pseudorandom Number Generators",
    /// 2014). It is a counter, so each draw is one atomic addition.
    state: AtomicU64,
    order: PhantomData<O>,
}

impl<O> BestOfTwo<O> {
    #[inline]
    fn random(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl<O: Order> Algorithm for BestOfTwo<O> {
    const MEASURES_DELAYS: bool = O::MEASURES_DELAYS;

    fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
            order: PhantomData,
        }
    }

    /// For each server, the sum of the weights up to and including its own.
    fn words(destinations: usize, _former: usize) -> usize {
        destinations
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        let mut sum: u64 = 0;
        for (destination, word) in list.destinations.iter().zip(list.memory) {
            sum = sum.wrapping_add(u64::from(destination.weight()));
            word.store(sum, Relaxed);
        }
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        let sum_to = |index: usize| list.memory.get(index).map_or(0, |word| word.load(Relaxed));
        let total = sum_to(list.destinations.len().checked_sub(1)?);
        let of = |number: u64| {
            list.memory
                .partition_point(|word| word.load(Relaxed) <= number)
        };
        let first = of(below(self.random(), total));
        // Draw the second from the other servers.
        let begin = first.checked_sub(1).map_or(0, sum_to);
        let width = sum_to(first).wrapping_sub(begin);
        let number = below(self.random(), total.wrapping_sub(width));
        let second = of(match number < begin {
            true => number,
            false => number.wrapping_add(width),
        });
        let look = |index: usize| {
            let destination = list.destinations.get(index)?;
            Some((destination, O::capacity(destination)?))
        };
        match (look(first), look(second)) {
            (Some(one), Some(other)) if O::compare(other, one).is_lt() => Some(second),
            (Some(_), _) => Some(first),
            (None, Some(_)) => Some(second),
            (None, None) => slots::from(list.destinations, first.min(list.destinations.len())),
        }
    }
}
