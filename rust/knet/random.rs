// SPDX-License-Identifier: GPL-2.0-only

//! Random numbers.
//!
//! C header: `include/linux/random.h`

/// An unpredictable random number. Any context.
pub fn number() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { kernel::bindings::get_random_u64() }
}
