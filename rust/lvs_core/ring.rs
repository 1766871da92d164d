// SPDX-License-Identifier: GPL-2.0-only

//! A ring of hashes, from any number of writers to one reader. Writers never wait: one that is a
//! whole ring ahead overwrites what was not read.
//!
//! Each slot has the number of its hash, so the reader knows which hashes were overwritten, and
//! goes on with the oldest one that is left.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Marks a slot that has a hash.
const FULL: u64 = 1 << 63;
/// The bits of a hash's number that a slot has.
const NUMBER: u32 = u32::MAX >> 1;

/// What writers and the reader share beside the slots, whose number is a power of two and at most
/// 2^30. A slot is empty (0), or has [`FULL`], the number of a hash, and the hash.
#[derive(Debug, Default)]
pub struct Ring {
    /// The number of hashes that were ever put in, wrapping.
    put: AtomicU32,
}

fn slot(slots: &[AtomicU64], number: u32) -> Option<&AtomicU64> {
    slots.get(number as usize & slots.len().wrapping_sub(1))
}

impl Ring {
    /// Nothing was put in.
    pub const fn new() -> Self {
        Self {
            put: AtomicU32::new(0),
        }
    }

    /// Puts a hash in. True if one is lost: an older one that was not taken, or this one, if its
    /// slot has a newer one already.
    pub fn put(&self, slots: &[AtomicU64], hash: u32) -> bool {
        let number = self.put.fetch_add(1, SeqCst);
        let full = FULL | (u64::from(number & NUMBER) << 32) | u64::from(hash);
        let Some(slot) = slot(slots, number) else {
            return true;
        };
        let mut former = slot.load(SeqCst);
        loop {
            let later = ((former >> 32) as u32).wrapping_sub(number) & NUMBER;
            if former != 0 && later <= NUMBER / 2 {
                return true;
            }
            match slot.compare_exchange_weak(former, full, SeqCst, SeqCst) {
                Ok(_) => return former != 0,
                Err(current) => former = current,
            }
        }
    }

    /// Takes the next hash out; `None` if there is no more. `taken` is the reader's, 0 at first.
    /// Only one thread may do this at a time.
    pub fn take(&self, slots: &[AtomicU64], taken: &mut u32) -> Option<u32> {
        let size = u32::try_from(slots.len()).ok()?;
        loop {
            let put = self.put.load(SeqCst);
            let behind = put.wrapping_sub(*taken);
            if behind == 0 {
                return None;
            }
            if behind > size {
                *taken = put.wrapping_sub(size);
            }
            let slot = slot(slots, *taken)?;
            let full = slot.load(SeqCst);
            if full == 0 {
                // Its writer has the number only.
                return None;
            }
            match ((full >> 32) as u32).wrapping_sub(*taken) & NUMBER {
                0 => {
                    // Otherwise it was overwritten just now.
                    if slot.compare_exchange(full, 0, SeqCst, SeqCst).is_ok() {
                        *taken = taken.wrapping_add(1);
                        return Some(full as u32);
                    }
                }
                later if later <= NUMBER / 2 => *taken = taken.wrapping_add(1),
                // A late writer's of the last round. The writer of this one has the number only.
                _ => return None,
            }
        }
    }
}
