// SPDX-License-Identifier: GPL-2.0-only

//! Hash tables for schedulers that always give a client the same server.

use super::{capacity, gcd, Destination, Flow, List, Options};
use crate::{
    hash::{flow_hash, HashKey},
    Endpoint,
};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The hash key is not secret: all directors, and a director after a restart, must give a client
/// the same server.
const KEY: [u64; 2] = [0x6f6e_652c_2074_776f, 0x2c20_7468_7265_652e];

/// The number of other slots to try before the first available server is taken.
const ATTEMPTS: u32 = 64;

/// Hashes an address and port. Each `round` gives another result.
#[inline]
pub(super) fn hash(endpoint: Endpoint, round: u32) -> u64 {
    seeded(endpoint, round, 0)
}

/// As [`hash`]. Each seed gives results that do not depend on those of other seeds.
#[inline]
pub(super) fn seeded(endpoint: Endpoint, round: u32, seed: u8) -> u64 {
    let [k0, k1] = KEY;
    let key = HashKey::new(
        k0.wrapping_add(u64::from(round)),
        k1.wrapping_add(u64::from(seed)),
    );
    let low = flow_hash(&key, endpoint.address.family(), 0, endpoint);
    let high = flow_hash(&key, endpoint.address.family(), 1, endpoint);
    (u64::from(high) << 32) | u64::from(low)
}

/// Returns the client's end of `flow`, with the port only if it counts.
#[inline]
pub(super) fn client(flow: &Flow<'_>) -> Endpoint {
    let port = match flow.options {
        Options { port: true, .. } => flow.client.port,
        _ => 0,
    };
    Endpoint::new(flow.client.address, port)
}

/// The index in a slot's word, which is 0 if no server has the slot.
#[inline]
pub(super) fn owner(slots: &[AtomicU64], slot: usize) -> Option<usize> {
    (slots.get(slot)?.load(Relaxed) as usize).checked_sub(1)
}

/// Assigns a slot to the server at `index`.
#[inline]
pub(super) fn give(slots: &[AtomicU64], slot: usize, index: usize) {
    if let Some(word) = slots.get(slot) {
        word.store(index.wrapping_add(1) as u64, Relaxed);
    }
}

/// Whether the server at `index` accepts connections.
#[inline]
pub(super) fn takes<S: Destination>(destinations: &[S], index: usize) -> bool {
    destinations.get(index).and_then(capacity).is_some()
}

/// Returns how many of `slots` slots each server takes in a turn: its weight divided by the
/// greatest common divisor of all, or its share if they do not fit. A quiesced server keeps its
/// slots, so its clients return to it.
pub(super) fn shares<S: Destination>(destinations: &[S], slots: usize) -> impl Fn(&S) -> usize {
    let divisor = destinations
        .iter()
        .map(Destination::last_weight)
        .fold(0, gcd);
    let sum = |sum: u64, destination: &S| sum.wrapping_add(u64::from(destination.last_weight()));
    let total = destinations.iter().fold(0, sum);
    let slots = slots as u64;
    let fits = total
        .checked_div(divisor.into())
        .is_some_and(|turns| turns <= slots);
    move |destination| {
        let weight = u64::from(destination.last_weight());
        let share = match fits {
            true => weight.checked_div(divisor.into()),
            // Fewer than 2^32 slots times a 32-bit weight.
            false => weight.wrapping_mul(slots).checked_div(total),
        };
        match weight {
            0 => 0,
            _ => share.unwrap_or(1).max(1) as usize,
        }
    }
}

/// Returns the server of the slot that `endpoint` hashes to. If it accepts no connections and
/// the fallback is on, returns the server of another slot, always the same one for this client.
#[inline]
pub(super) fn select<S: Destination>(
    list: &List<'_, S>,
    endpoint: Endpoint,
    options: &Options,
) -> Option<usize> {
    let slots = list.memory.len() as u64;
    let at = |hash: u64| owner(list.memory, super::below(hash, slots) as usize);
    let hash = |round| seeded(endpoint, round, options.seed);
    let first = hash(0);
    let index = at(first)?;
    if takes(list.destinations, index) {
        return Some(index);
    }
    if !options.fallback {
        return None;
    }
    (1..=ATTEMPTS)
        .filter_map(|round| at(hash(round)))
        .find(|index| takes(list.destinations, *index))
        .or_else(|| {
            from(
                list.destinations,
                super::below(first, list.destinations.len() as u64) as usize,
            )
        })
}

/// Returns the first server from `start` on, cyclically, that accepts connections.
pub(super) fn from<S: Destination>(destinations: &[S], start: usize) -> Option<usize> {
    Iterator::chain(start..destinations.len(), 0..start).find(|index| takes(destinations, *index))
}
