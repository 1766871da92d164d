// SPDX-License-Identifier: GPL-2.0-only

//! Source hashing.

use super::{slots, Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::AtomicU64;

/// The number of slots.
const SLOTS: usize = 256;

/// Source hashing: the hash of the client's address, and of its port if the service says so,
/// selects one of 256 slots. The servers take the slots in turns, by weight.
#[derive(Debug)]
pub struct SourceHashing;

impl Algorithm for SourceHashing {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn words(_servers: usize, _former: usize) -> usize {
        SLOTS
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        take_turns(list, slots::shares(list.destinations, SLOTS));
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        slots::select(list, slots::client(flow), &flow.options)
    }
}

/// The servers take slots in turns, each as many at a time as `share` returns.
pub(super) fn take_turns<S: Destination>(list: &List<'_, S>, share: impl Fn(&S) -> usize) {
    let turn = (0usize..)
        .zip(list.destinations)
        .flat_map(|(index, destination)| core::iter::repeat_n(index, share(destination)));
    for (slot, index) in turn.cycle().take(list.memory.len()).enumerate() {
        slots::give(list.memory, slot, index);
    }
}
