// SPDX-License-Identifier: GPL-2.0-only

//! Traffic counters that can be zeroed without touching what packets write.

use core::sync::atomic::{AtomicU64, Ordering};
use kernel::prelude::*;
use knet::counters::{Counters, Totals};

/// Totals that are remembered: five numbers, each read and written whole. Writers hold the
/// configuration mutex.
#[derive(Default)]
pub struct Remembered([AtomicU64; 5]);

impl Remembered {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 5])
    }

    /// What is remembered. Any context.
    pub fn get(&self) -> Totals {
        let [connections, in_packets, in_bytes, out_packets, out_bytes] = &self.0;
        Totals {
            connections: connections.load(Ordering::Relaxed),
            in_packets: in_packets.load(Ordering::Relaxed),
            in_bytes: in_bytes.load(Ordering::Relaxed),
            out_packets: out_packets.load(Ordering::Relaxed),
            out_bytes: out_bytes.load(Ordering::Relaxed),
        }
    }

    /// Remembers `totals` instead.
    pub fn set(&self, totals: &Totals) {
        let [connections, in_packets, in_bytes, out_packets, out_bytes] = &self.0;
        connections.store(totals.connections, Ordering::Relaxed);
        in_packets.store(totals.in_packets, Ordering::Relaxed);
        in_bytes.store(totals.in_bytes, Ordering::Relaxed);
        out_packets.store(totals.out_packets, Ordering::Relaxed);
        out_bytes.store(totals.out_bytes, Ordering::Relaxed);
    }
}

/// Counters and where they stood when they were last zeroed.
pub struct Statistics {
    /// What packets count into.
    pub live: Counters,
    zero: Remembered,
}

impl Statistics {
    /// All zero. Process context.
    pub fn new() -> Result<Self> {
        Ok(Self {
            live: Counters::new()?,
            zero: Remembered::new(),
        })
    }

    /// What was counted since the last [`Self::zero`]. Any context.
    pub fn totals(&self) -> Totals {
        self.live.totals().since(&self.zero.get())
    }

    /// Starts from zero. Configuration mutex held.
    pub fn zero(&self) {
        self.zero.set(&self.live.totals());
    }
}
