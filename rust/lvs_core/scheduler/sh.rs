// SPDX-License-Identifier: GPL-2.0-only

//! Source hashing.

use super::{slots, Algorithm, Change, Flow, List, Server};
use core::sync::atomic::AtomicU64;

/// How many slots there are.
const SLOTS: usize = 256;

/// Source hashing: the client's address, with its port if the service says so, is hashed to one
/// of 256 slots, which the servers got in turns, by their weights.
#[derive(Debug)]
pub struct SourceHashing;

impl Algorithm for SourceHashing {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn words(_servers: usize, _former: usize) -> usize {
        SLOTS
    }

    fn changed<S: Server>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        take_turns(list, slots::shares(list.servers, SLOTS));
    }

    #[inline]
    fn select<S: Server>(&self, list: &List<'_, S>, flow: &Flow) -> Option<usize> {
        slots::select(list, slots::client(flow), flow.options.fallback)
    }
}

/// The servers take slots in turns, as many at a time as `share` says.
pub(super) fn take_turns<S: Server>(list: &List<'_, S>, share: impl Fn(&S) -> usize) {
    let turn = (0usize..)
        .zip(list.servers)
        .flat_map(|(index, server)| core::iter::repeat_n(index, share(server)));
    for (slot, index) in turn.cycle().take(list.memory.len()).enumerate() {
        slots::give(list.memory, slot, index);
    }
}
