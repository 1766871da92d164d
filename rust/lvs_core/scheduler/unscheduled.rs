// SPDX-License-Identifier: GPL-2.0-only

use super::{Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::AtomicU64;

/// The scheduler of a service that has none: no server gets a new connection.
#[derive(Debug)]
pub struct Unscheduled;

impl Algorithm for Unscheduled {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, _list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        None
    }
}
