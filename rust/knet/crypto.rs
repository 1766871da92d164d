// SPDX-License-Identifier: GPL-2.0-only

//! Authentication codes by the kernel's own cryptographic library.
//!
//! C header: `include/crypto/blake2s.h`

use crate::bindings;
use core::ffi::c_void;
use kernel::{
    alloc::{AllocError, KBox},
    prelude::*,
};

/// Octets of a key.
pub const KEY: usize = 32;
/// Octets of a code.
pub const CODE: usize = 16;

/// A secret key. It stays where it is while this value moves, and its memory is overwritten when it
/// is dropped.
pub struct Key(KBox<[u8; KEY]>);

impl Key {
    /// A copy of these octets. Process context.
    pub fn new(octets: &[u8; KEY]) -> Result<Self, AllocError> {
        let mut key = KBox::new([0; KEY], GFP_KERNEL)?;
        key.copy_from_slice(octets);
        Ok(Self(key))
    }

    /// The code of `data`: keyed BLAKE2s with 128 bits. Any context.
    pub fn code(&self, data: &[u8]) -> [u8; CODE] {
        let mut code = [0; CODE];
        // SAFETY: the key has the octets that the function reads, and `code` those that it writes;
        // the slice is valid during the call.
        unsafe {
            let data_start = data.as_ptr().cast::<c_void>();
            bindings::knet_blake2s_128(self.0.as_ptr(), data_start, data.len(), code.as_mut_ptr());
        }
        code
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the octets are valid for writes.
        unsafe { bindings::knet_forget(self.0.as_mut_ptr().cast::<c_void>(), KEY) };
    }
}
