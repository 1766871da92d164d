// SPDX-License-Identifier: GPL-2.0-only

//! Destination hashing.

use super::{sh::take_turns, slots, Algorithm, Change, Flow, List, Server};
use crate::Endpoint;
use core::sync::atomic::AtomicU64;

/// How many slots there are.
const SLOTS: usize = 256;

/// Destination hashing: the address that the client asked for is hashed to one of 256 slots, which
/// the servers got in turns, whatever their weights. For services on a firewall mark, that is,
/// caches in front of many addresses.
#[derive(Debug)]
pub struct DestinationHashing;

impl Algorithm for DestinationHashing {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn words(_servers: usize, _former: usize) -> usize {
        SLOTS
    }

    fn changed<S: Server>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        take_turns(list, |_| 1);
    }

    #[inline]
    fn select<S: Server>(&self, list: &List<'_, S>, flow: &Flow) -> Option<usize> {
        slots::select(list, Endpoint::new(flow.virtual_endpoint.address, 0), false)
    }
}
