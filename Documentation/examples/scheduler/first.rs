// SPDX-License-Identifier: GPL-2.0-only

//! First available, the `first` of HAProxy.

use core::sync::atomic::AtomicU64;
use lvs_core::scheduler::{capacity, Algorithm, Change, Destination, Flow, List};

/// First-available scheduling: the first server in the list that takes connections. With upper
/// thresholds, as few servers as possible are in use, and the others may sleep.
#[derive(Debug)]
pub(crate) struct FirstAvailable;

impl Algorithm for FirstAvailable {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        list.destinations
            .iter()
            .position(|destination| capacity(destination).is_some())
    }
}
