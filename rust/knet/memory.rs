// SPDX-License-Identifier: GPL-2.0-only

//! How much memory the host has left.
//!
//! C header: `include/linux/mm.h`

use crate::bindings;

/// Pages that can be had without swapping, by the kernel's own estimate. Process context.
pub fn available_pages() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_available_pages() }
}
