// SPDX-License-Identifier: GPL-2.0-only

//! Who pays for memory, and the amount that is free.
//!
//! C headers: `include/linux/memcontrol.h`, `include/linux/mm.h`

use crate::bindings;
use core::{arch::asm, ffi::c_void, ptr};

/// A memory cgroup that is charged for allocations, or none.
///
/// # Invariants
///
/// The pointer is null or a memory cgroup of which this value owns a reference.
pub struct Payer(*mut c_void);

// SAFETY: memory cgroups lock for themselves.
unsafe impl Send for Payer {}
// SAFETY: as above.
unsafe impl Sync for Payer {}

impl Payer {
    /// No memory cgroup is charged: the memory is the host's.
    pub const fn host() -> Self {
        // INVARIANT: null.
        Self(ptr::null_mut())
    }

    /// The memory cgroup of the calling task; nobody if that is the root one. Process context.
    pub fn caller() -> Self {
        // INVARIANT: the call returns a reference or null.
        // SAFETY: process context, by this function's contract.
        Self(unsafe { bindings::knet_payer_of_caller() })
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0
    }

    /// Charges what `f` allocates with `GFP_KERNEL_ACCOUNT`. Process context.
    pub(crate) fn charged<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the memory cgroup lives as long as this value, and is replaced below.
        let former = unsafe { bindings::knet_payer_begin(self.0) };
        let result = f();
        // SAFETY: who paid before lives as long as the calling task wants. Module code does not
        // unwind.
        unsafe { bindings::knet_payer_end(former) };
        result
    }
}

impl Drop for Payer {
    fn drop(&mut self) {
        // SAFETY: the reference is this value's, or the pointer is null.
        unsafe { bindings::knet_payer_put(self.0) };
    }
}

/// The bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Has the processor load the cache line of an address, if it is one of memory. Any context.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    // SAFETY: a prefetch has no effect on registers or the contents of memory, whatever the address
    // is.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
}

/// The kernel's estimate of how many pages can be allocated without swapping. Process context.
pub fn available_pages() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_available_pages() }
}

/// The number of pages that the kernel considers usable for buffers. Process context.
pub fn buffer_pages() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_buffer_pages() }
}
