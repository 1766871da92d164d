// SPDX-License-Identifier: GPL-2.0-only

//! The slab caches that entries come from.
//!
//! C header: `include/linux/slab.h`

use crate::{
    bindings,
    memory::Payer,
    rcu::{self, Boxed, Cell},
};
use core::{ffi::c_void, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};

/// The size and the alignment of an entry, in bytes.
pub(super) const ENTRY_SIZE: usize = 128;

/// The cache that new tables use.
static CURRENT: Cell<Arc<Slab>> = Cell::empty();

/// The slab caches of entries, of which there is one pair. Tables that exist when this is dropped
/// keep them alive.
pub struct Cache(#[expect(dead_code)] Arc<Slab>);

impl Cache {
    /// Creates the caches, for the tables that are made from now on. `names` has that of the cache
    /// of entries and that of the cache of entries with an alias. Process context.
    pub fn new(names: [&'static CStr; 2]) -> Result<Self> {
        let slab = Arc::new(Slab::new(names)?, GFP_KERNEL)?;
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

/// The memory of entries, and of pairs: an entry with its alias.
pub(super) struct Slab {
    entries: Objects<1>,
    pairs: Objects<2>,
    origin: usize,
}

/// How far below the first object the origin is, in bytes: half of what 32 bits can number.
const BELOW: usize = ENTRY_SIZE << 31;

impl Slab {
    fn new(names: [&'static CStr; 2]) -> Result<Self> {
        let [entries, pairs] = names;
        let (entries, pairs) = (Objects::new(entries)?, Objects::new(pairs)?);
        let first = entries.alloc(&Payer::host()).ok_or(ENOMEM)?;
        let origin = (first.as_ptr() as usize).wrapping_sub(BELOW);
        // SAFETY: allocated here, and nobody else has it.
        unsafe { bindings::knet_cache_free(first.as_ptr()) };
        Ok(Self {
            entries,
            pairs,
            origin,
        })
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

    /// Allocates the memory of an entry, as [`Objects::alloc`]. Any context.
    #[inline]
    pub(super) fn alloc(&self, payer: &Payer) -> Option<NonNull<c_void>> {
        self.entries.alloc(payer)
    }

    /// Allocates the memory of two entries in one piece, as [`Objects::alloc`]. Any context.
    pub(super) fn alloc_pair(&self, payer: &Payer) -> Option<NonNull<c_void>> {
        self.pairs.alloc(payer)
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // Entries are freed by RCU callbacks.
        rcu::barrier();
    }
}

/// A slab cache whose objects have the size of `N` entries and the alignment of one.
///
/// # Invariants
///
/// The pointer is that of a live cache of such objects.
struct Objects<const N: usize>(NonNull<bindings::kmem_cache>);

// SAFETY: slab caches lock for themselves.
unsafe impl<const N: usize> Send for Objects<N> {}
// SAFETY: as above.
unsafe impl<const N: usize> Sync for Objects<N> {}

impl<const N: usize> Objects<N> {
    fn new(name: &'static CStr) -> Result<Self> {
        let (size, align) = (ENTRY_SIZE.wrapping_mul(N) as u32, ENTRY_SIZE as u32);
        // SAFETY: process context; the name is static.
        let cache = unsafe { bindings::knet_cache_create(name.as_char_ptr(), size, align) };
        // INVARIANT: the cache was created with this size and alignment.
        Ok(Self(NonNull::new(cache).ok_or(ENOMEM)?))
    }

    /// Allocates an object, uninitialized even with `init_on_alloc`, for which `payer` is charged;
    /// `None` when there is no memory. Any context.
    #[inline]
    fn alloc(&self, payer: &Payer) -> Option<NonNull<c_void>> {
        // SAFETY: by the invariants the cache is live, and the payer is one.
        NonNull::new(unsafe { bindings::knet_alloc_charged(self.0.as_ptr(), payer.as_ptr()) })
    }
}

impl<const N: usize> Drop for Objects<N> {
    fn drop(&mut self) {
        // SAFETY: process context, since tables and `Cache` are dropped there. A table holds a
        // reference to the slab while it allocates, and all its entries are freed, or left to RCU,
        // before it drops the reference. The slab has waited for RCU.
        unsafe { bindings::kmem_cache_destroy(self.0.as_ptr()) };
    }
}
