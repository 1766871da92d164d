// SPDX-License-Identifier: GPL-2.0-only

//! The amount of free memory.
//!
//! C header: `include/linux/mm.h`

use crate::bindings;

/// The kernel's estimate of how many pages can be allocated without swapping. Process context.
pub fn available_pages() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_available_pages() }
}
