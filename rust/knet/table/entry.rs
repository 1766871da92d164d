// SPDX-License-Identifier: GPL-2.0-only

//! What a table holds: entries of 128 bytes, and the slab cache that they come from.

use crate::{
    bindings, rcu,
    wheel::{Links, UNLINKED},
    work,
};
use core::{
    cell::UnsafeCell,
    ffi::c_void,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
};
use kernel::prelude::*;

/// Entries freed before other work is let in.
const FREED_AT_ONCE: u32 = 64;

/// What an entry is about: at most 88 bytes.
pub trait Body: Send + Sync + 'static {
    /// The entry has just left the table; no reader will find it from now on, though some may
    /// still hold it. Called once, with bottom halves off and a shard locked.
    fn removed(&self);

    /// True for an entry that stays although it is due; it is asked again every now and then. With
    /// bottom halves off and a shard locked.
    fn is_held(&self) -> bool {
        false
    }
}

/// An entry. Exactly 128 bytes, aligned: two cache lines, the first of which holds the link, the
/// hash and the first 48 bytes of the body.
#[repr(C, align(128))]
pub struct Entry<T: Body> {
    /// Written under the shard's lock, read under RCU.
    pub(super) link: AtomicUsize,
    pub(super) hash: u32,
    /// Second since boot in which it was last used. Written by packets, when it changes.
    seen: AtomicU32,
    body: ManuallyDrop<T>,
    /// Seconds that it may stay unused. Written by packets on a change of state.
    timeout: AtomicU32,
    /// Place in the wheel. Under the shard's lock.
    pub(crate) slot: AtomicU32,
    tail: UnsafeCell<Tail<T>>,
}

/// Neighbours in the wheel, under the shard's lock; once taken out, the head for RCU.
#[repr(C)]
union Tail<T: Body> {
    links: Links<T>,
    head: bindings::callback_head,
}

// SAFETY: the body may be shared by its bounds, the tail is only touched under the shard's lock,
// the rest is atomic or never changes.
unsafe impl<T: Body> Send for Entry<T> {}
// SAFETY: as above.
unsafe impl<T: Body> Sync for Entry<T> {}

impl<T: Body> Entry<T> {
    const SIZE_IS_128: () = assert!(size_of::<Self>() == 128);

    /// Allocates an entry that is in no table. Any context.
    pub(super) fn alloc(hash: u32, body: T, now: u32, timeout: u32) -> Option<NonNull<Self>> {
        let () = Self::SIZE_IS_128;
        // SAFETY: the cache outlives the tables.
        let place = unsafe { bindings::knet_cache_alloc_atomic(CACHE.load(Ordering::Relaxed)) };
        let place = NonNull::new(place.cast::<Self>())?;
        // SAFETY: the cache's objects have the size and alignment of an entry.
        unsafe {
            place.write(Self {
                link: AtomicUsize::new(0),
                hash,
                seen: AtomicU32::new(now),
                body: ManuallyDrop::new(body),
                timeout: AtomicU32::new(timeout),
                slot: AtomicU32::new(UNLINKED),
                tail: UnsafeCell::new(Tail {
                    links: Links::none(),
                }),
            })
        };
        Some(place)
    }

    /// Drops the body and gives the entry back. Any context.
    ///
    /// # Safety
    ///
    /// `entry` must come from [`Self::alloc`], be in no table and be nobody else's.
    pub(super) unsafe fn free(entry: NonNull<Self>) {
        // SAFETY: by this function's contract; the body is dropped once, here.
        unsafe {
            ManuallyDrop::drop(&mut (*entry.as_ptr()).body);
            bindings::knet_cache_free(entry.as_ptr().cast::<c_void>());
        }
    }

    /// Frees the entry after a grace period.
    ///
    /// # Safety
    ///
    /// It must have just been taken out of its table's lists and wheel, by the caller, for good.
    pub(super) unsafe fn retire(&self) {
        // SAFETY: by this function's contract the tail is ours, and the callback is asked for once.
        unsafe {
            let head = &raw mut (*self.tail.get()).head;
            head.write(bindings::callback_head::default());
            kernel::bindings::call_rcu(head, Some(free_retired::<T>));
        }
    }

    /// Its key in the order of [`Table::first_from`](super::Table::first_from).
    pub fn key(&self) -> u32 {
        self.hash.reverse_bits()
    }

    /// Notes that the entry was used in second `now`.
    #[inline]
    pub fn touch(&self, now: u32) {
        if self.seen.load(Ordering::Relaxed) != now {
            self.seen.store(now, Ordering::Relaxed);
        }
    }

    /// Seconds that it may stay unused.
    pub fn timeout(&self) -> u32 {
        self.timeout.load(Ordering::Relaxed)
    }

    /// Sets the timeout and returns the former one.
    pub(super) fn swap_timeout(&self, timeout: u32) -> u32 {
        self.timeout.swap(timeout, Ordering::Relaxed)
    }

    /// The second since boot in which it is due: the first that begins when its timeout is over,
    /// whenever in its second it was last used.
    pub fn due(&self) -> u32 {
        self.seen
            .load(Ordering::Relaxed)
            .wrapping_add(self.timeout())
            .wrapping_add(1)
    }

    /// Seconds since it was last used, in second `now`.
    pub fn unused(&self, now: u32) -> u32 {
        now.wrapping_sub(self.seen.load(Ordering::Relaxed))
    }

    /// Its neighbours in the wheel: to be used with the shard's lock held, while the entry is in
    /// the table.
    pub(crate) fn links(&self) -> *mut Links<T> {
        // A union's fields all start where it starts.
        self.tail.get().cast()
    }
}

/// Entries that were taken out and are freed together when this is dropped, after a grace period
/// for all of them: in process context, no lock held.
///
/// # Invariants
///
/// A list by the `next` of their [`Links`], which nobody else uses any more.
pub(super) struct Retired<T: Body>(*mut Entry<T>);

impl<T: Body> Retired<T> {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// # Safety
    ///
    /// As of [`Entry::retire`].
    pub(super) unsafe fn push(&mut self, entry: &Entry<T>) {
        // SAFETY: by this function's contract the tail is ours.
        unsafe { *entry.links() = Links::to(self.0) };
        self.0 = ptr::from_ref(entry).cast_mut();
    }
}

impl<T: Body> Drop for Retired<T> {
    fn drop(&mut self) {
        if self.0.is_null() {
            return;
        }
        rcu::synchronize();
        let mut freed = 0u32;
        while let Some(entry) = NonNull::new(self.0) {
            // SAFETY: by the invariant; readers that might have held it are done.
            unsafe {
                self.0 = (*entry.as_ref().links()).next();
                Entry::free(entry);
            }
            freed = freed.wrapping_add(1);
            if freed % FREED_AT_ONCE == 0 {
                work::yield_now();
            }
        }
    }
}

impl<T: Body> Deref for Entry<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.body
    }
}

/// Drops and frees an entry after its grace period. Softirq.
///
/// # Safety
///
/// `head` must be the head of an entry that was taken out of its table.
unsafe extern "C" fn free_retired<T: Body>(head: *mut bindings::callback_head) {
    let offset = core::mem::offset_of!(Entry<T>, tail);
    // SAFETY: the head is the entry's tail, and nobody else has the entry any more.
    unsafe {
        let entry = head.byte_sub(offset).cast::<Entry<T>>();
        Entry::free(NonNull::new_unchecked(entry));
    }
}

/// The slab cache that entries come from. There is one; it must outlive all tables.
pub struct Cache(NonNull<bindings::kmem_cache>);

static CACHE: AtomicPtr<bindings::kmem_cache> = AtomicPtr::new(ptr::null_mut());

// SAFETY: slab caches lock for themselves.
unsafe impl Send for Cache {}
// SAFETY: as above.
unsafe impl Sync for Cache {}

impl Cache {
    /// Creates the cache under `name`. Process context, once per module.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: process context; the name is static.
        let cache = unsafe { bindings::knet_cache_create(name.as_char_ptr(), 128, 128) };
        let cache = NonNull::new(cache).ok_or(ENOMEM)?;
        CACHE.store(cache.as_ptr(), Ordering::Release);
        Ok(Self(cache))
    }

    /// Whether there is one.
    pub(super) fn is_there() -> bool {
        !CACHE.load(Ordering::Acquire).is_null()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // Entries are freed by RCU callbacks.
        rcu::barrier();
        CACHE.store(ptr::null_mut(), Ordering::Release);
        // SAFETY: all tables are gone, and all entries with them.
        unsafe { bindings::kmem_cache_destroy(self.0.as_ptr()) };
    }
}
