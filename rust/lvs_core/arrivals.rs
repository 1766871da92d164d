// SPDX-License-Identifier: GPL-2.0-only

//! Learns by which devices the packets of known connections come in.
//!
//! Packets tell their device, and the slow timer takes one each second. So packets write a word
//! that all processors share at most once a second.

use core::sync::atomic::{AtomicU32, Ordering};

/// Nobody wants to know.
const OFF: u32 = u32::MAX;
/// No packet has told its device since the last one was taken.
const NONE: u32 = 0;

/// The device to learn next.
#[derive(Debug)]
pub struct Arrivals(AtomicU32);

impl Default for Arrivals {
    fn default() -> Self {
        Self(AtomicU32::new(OFF))
    }
}

impl Arrivals {
    /// Begins to learn, or ends. Any context.
    pub fn learn(&self, begin: bool) {
        let next = if begin { NONE } else { OFF };
        self.0.store(next, Ordering::Relaxed);
    }

    /// A packet of a known connection came by the device with this index, a positive number. Any
    /// context.
    #[inline(always)]
    pub fn note(&self, device: i32) {
        if self.0.load(Ordering::Relaxed) == NONE {
            self.set(device);
        }
    }

    #[cold]
    #[inline(never)]
    fn set(&self, device: i32) {
        let device = u32::try_from(device).unwrap_or(NONE);
        // It may have been told to end meanwhile.
        let _ = self
            .0
            .compare_exchange(NONE, device, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes the device that a packet has told. Any context.
    pub fn take(&self) -> Option<i32> {
        let device = self.0.load(Ordering::Relaxed);
        if device == OFF || device == NONE {
            return None;
        }
        self.0
            .compare_exchange(device, NONE, Ordering::Relaxed, Ordering::Relaxed)
            .ok()
            .and_then(|device| i32::try_from(device).ok())
    }
}
