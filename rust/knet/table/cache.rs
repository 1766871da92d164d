// SPDX-License-Identifier: GPL-2.0-only

//! The slab cache that entries come from.
//!
//! C header: `include/linux/slab.h`

use crate::{
    bindings,
    memory::Payer,
    rcu::{self, Boxed, Cell},
};
use core::{
    ffi::c_void,
    ptr::{self, NonNull},
};
use kernel::{prelude::*, sync::Arc};

/// The size and the alignment of an entry, in bytes.
pub(super) const ENTRY_SIZE: usize = 128;

/// The cache that new tables use.
static CURRENT: Cell<Arc<Slab>> = Cell::empty();

/// The slab cache of entries. There is one; tables that exist when this is dropped keep the memory
/// alive.
pub struct Cache(#[expect(dead_code)] Arc<Slab>);

impl Cache {
    /// Creates the cache under `name`, for the tables that are made from now on. Process context.
    pub fn new(name: &'static CStr) -> Result<Self> {
        let slab = Arc::new(Slab::new(name)?, GFP_KERNEL)?;
        CURRENT.replace(Some(Boxed::new(slab.clone(), GFP_KERNEL)?));
        Ok(Self(slab))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        CURRENT.replace(None);
        // The cell's reference is dropped in softirq, where a slab must not end: `self` still has
        // one then.
        rcu::barrier();
    }
}

/// A slab cache of objects with the size and alignment of an entry.
///
/// # Invariants
///
/// The pointer is that of a live cache of such objects.
pub(super) struct Slab {
    cache: NonNull<bindings::kmem_cache>,
    origin: usize,
}

/// How far below the first object the origin is, in bytes: half of what 32 bits can number.
const BELOW: usize = ENTRY_SIZE << 31;

// SAFETY: slab caches lock for themselves.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    fn new(name: &'static CStr) -> Result<Self> {
        const SIZE: u32 = ENTRY_SIZE as u32;
        // SAFETY: process context; the name is static.
        let cache = unsafe { bindings::knet_cache_create(name.as_char_ptr(), SIZE, SIZE) };
        // INVARIANT: the cache was created with this size and alignment.
        let mut slab = Self {
            cache: NonNull::new(cache).ok_or(ENOMEM)?,
            origin: 0,
        };
        let first = slab.alloc(&Payer::host()).ok_or(ENOMEM)?;
        slab.origin = (first.as_ptr() as usize).wrapping_sub(BELOW);
        // SAFETY: allocated here, and nobody else has it.
        unsafe { bindings::knet_cache_free(first.as_ptr()) };
        Ok(slab)
    }

    /// The address from which the objects are numbered: below those that a number names. Any
    /// context.
    pub(super) fn origin(&self) -> usize {
        self.origin
    }

    /// The slab that [`Cache::new`] created; [`ENODEV`] if there is none. Process context.
    pub(super) fn current() -> Result<Arc<Self>> {
        rcu::read(|section| CURRENT.get(section).cloned()).ok_or(ENODEV)
    }

    /// Allocates an object, uninitialized even with `init_on_alloc`, for which `payer` is charged;
    /// `None` when there is no memory. Any context.
    #[inline]
    pub(super) fn alloc(&self, payer: &Payer) -> Option<NonNull<c_void>> {
        // SAFETY: by the invariants the cache is live, and the payer is one.
        NonNull::new(unsafe {
            bindings::knet_alloc_charged(self.cache.as_ptr(), ENTRY_SIZE, payer.as_ptr())
        })
    }
}

/// Allocates two objects in one piece, uninitialized and aligned like one, for which `payer` is
/// charged; `None` when there is no memory. It is of no slab of the table, and does not depend on
/// one. Any context.
pub(super) fn alloc_pair(payer: &Payer) -> Option<NonNull<c_void>> {
    // SAFETY: by the invariant the payer is one. Memory of a power of two in size is aligned to it.
    NonNull::new(unsafe {
        bindings::knet_alloc_charged(ptr::null_mut(), 2 * ENTRY_SIZE, payer.as_ptr())
    })
}

impl Drop for Slab {
    fn drop(&mut self) {
        // Entries are freed by RCU callbacks.
        rcu::barrier();
        // SAFETY: process context, since tables and `Cache` are dropped there. A table holds a
        // reference while it allocates entries, and all its entries are freed, or left to RCU,
        // before it drops the reference.
        unsafe { bindings::kmem_cache_destroy(self.cache.as_ptr()) };
    }
}
