// SPDX-License-Identifier: GPL-2.0-only

//! Maglev hashing.

use super::{slots, Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of slots. It is prime, so every step visits all slots, and many times the number of
/// servers, so their shares are equal.
const SLOTS: usize = 4093;

/// Maglev hashing (section 3.4 of D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network
/// Load Balancer", NSDI 2016). The hash of the client's address, and of its port if the service
/// says so, selects a slot. Each server prefers the slots in its own order. The servers take turns
/// and take the next free slot, so few slots change hands when a server comes or goes.
#[derive(Debug)]
pub struct MaglevHashing;

impl Algorithm for MaglevHashing {
    fn new(_seed: u64) -> Self {
        Self
    }

    /// The slots, and each server's position in its order.
    fn words(destinations: usize, _former: usize) -> usize {
        destinations.saturating_add(SLOTS)
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        if let Some((table, standing)) = list.memory.split_at_checked(SLOTS) {
            populate(list.destinations, table, standing);
        }
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let list = List {
            destinations: list.destinations,
            memory: list.memory.get(..SLOTS)?,
        };
        slots::select(&list, slots::client(flow), &flow.options)
    }
}

/// A server's position in its order of the slots.
#[derive(Clone, Copy)]
struct Standing {
    slot: u32,
    skip: u32,
}

impl Standing {
    fn new<S: Destination>(destination: &S) -> Self {
        let number =
            |round, bound| super::below(slots::hash(destination.endpoint(), round), bound) as u32;
        Self {
            slot: number(0, SLOTS as u64),
            skip: number(1, (SLOTS as u64).wrapping_sub(1)).wrapping_add(1),
        }
    }

    const fn from_word(word: u64) -> Self {
        Self {
            slot: (word >> 32) as u32,
            skip: word as u32,
        }
    }

    const fn word(self) -> u64 {
        ((self.slot as u64) << 32) | self.skip as u64
    }

    const fn next(self) -> Self {
        // Both are below the number of slots.
        let slot = self.slot.wrapping_add(self.skip);
        let around = slot.wrapping_sub(SLOTS as u32);
        Self {
            slot: if slot < SLOTS as u32 { slot } else { around },
            skip: self.skip,
        }
    }
}

/// Assigns all slots.
fn populate<S: Destination>(destinations: &[S], table: &[AtomicU64], standing: &[AtomicU64]) {
    let share = slots::shares(destinations, table.len());
    for (destination, word) in destinations.iter().zip(standing) {
        word.store(Standing::new(destination).word(), Relaxed);
    }
    let mut free = table.len();
    while free > 0 {
        let before = free;
        for ((index, destination), word) in (0..).zip(destinations).zip(standing) {
            let mut at = Standing::from_word(word.load(Relaxed));
            for _ in 0..share(destination).min(free) {
                // A free slot exists, and the order contains all slots.
                while slots::owner(table, at.slot as usize).is_some() {
                    at = at.next();
                }
                slots::give(table, at.slot as usize, index);
                free = free.wrapping_sub(1);
            }
            word.store(at.word(), Relaxed);
        }
        if free == before {
            return;
        }
    }
}
