// SPDX-License-Identifier: GPL-2.0-only

//! What synchronization daemons have sent and received.

use core::sync::atomic::{AtomicU64, Ordering};
use lvs_core::sync::Event;

/// Counters of events. Any context.
#[derive(Default)]
pub(crate) struct Counters([AtomicU64; Event::COUNT]);

impl Counters {
    /// Counts one.
    pub(crate) fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// Counts some.
    pub(crate) fn add(&self, event: Event, number: u64) {
        if let Some(counter) = self.0.get(event.index()) {
            counter.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Takes one back.
    pub(crate) fn uncount(&self, event: Event) {
        if let Some(counter) = self.0.get(event.index()) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub(crate) fn get(&self, event: Event) -> u64 {
        let counter = self.0.get(event.index());
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
