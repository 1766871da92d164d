// SPDX-License-Identifier: GPL-2.0-only

//! Destination hashing.

use super::{sh::take_turns, slots, Algorithm, Change, Destination, Flow, List, Options};
use crate::Endpoint;
use core::sync::atomic::AtomicU64;

/// The number of slots.
const SLOTS: usize = 256;

/// Destination hashing for caches behind a firewall mark. The hash of the requested address selects
/// one of 256 slots. The servers take the slots in turns, regardless of their weights.
#[derive(Debug)]
pub struct DestinationHashing;

impl Algorithm for DestinationHashing {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn words(_servers: usize, _former: usize) -> usize {
        SLOTS
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        take_turns(list, |_| 1);
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let options = Options {
            fallback: false,
            ..flow.options
        };
        slots::select(
            list,
            Endpoint::new(flow.virtual_endpoint.address, 0),
            &options,
        )
    }
}
