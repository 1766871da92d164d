// SPDX-License-Identifier: GPL-2.0-only

//! Counters of dropped packets by reason.
//!
//! Drops are rare, so the CPUs share these counters. Packets that pass never touch them.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use lvs_core::drop::Reason;

/// Seconds between two lines in the kernel's log with the same subject and reason.
const LOG_INTERVAL: u32 = 60;

/// Dropped packets by reason. Any context.
#[derive(Default)]
pub struct Drops {
    counts: [AtomicU64; Reason::COUNT],
    /// For each reason the second of the last line in the log, plus one; 0: there was none.
    logged: [AtomicU32; Reason::COUNT],
}

impl Drops {
    /// Counts one.
    pub fn count(&self, reason: Reason) {
        self.add(reason, 1);
    }

    fn add(&self, reason: Reason, number: u64) {
        if let Some(count) = self.counts.get(reason.index()) {
            count.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// How many were dropped for this reason.
    pub fn get(&self, reason: Reason) -> u64 {
        let count = self.counts.get(reason.index());
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Adds the counts of others.
    pub fn absorb(&self, others: &Self) {
        for reason in Reason::ALL {
            self.add(reason, others.get(reason));
        }
    }

    /// Starts counting from zero.
    pub fn zero(&self) {
        for count in &self.counts {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the log may have a line with this reason in second `now`. The caller writes it.
    pub fn may_log(&self, reason: Reason, now: u32) -> bool {
        let Some(logged) = self.logged.get(reason.index()) else {
            return false;
        };
        let last = logged.load(Ordering::Relaxed);
        let new = now.wrapping_add(1).max(1);
        let due = last == 0 || new.wrapping_sub(last) >= LOG_INTERVAL;
        // Of several CPUs one writes.
        due && logged
            .compare_exchange(last, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}
