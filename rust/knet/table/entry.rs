// SPDX-License-Identifier: GPL-2.0-only

//! The entries of a table: 128 bytes each.
//!
//! An entry of a crowded key may be the first of a pair, one object of 256 bytes. The second of a
//! pair is its *alias*: an entry under another hash, through which readers find the first.

use super::cache::{Slab, ENTRY_SIZE};
use crate::{
    bindings,
    memory::{prefetch, Payer},
    rcu, work,
};
use core::{
    cell::UnsafeCell,
    ffi::c_void,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};
use kernel::prelude::*;

/// The number of entries that are freed before other work can run.
const FREED_AT_ONCE: u32 = 64;

/// The slot of an entry that is in no slot of the wheel.
pub(super) const UNLINKED: u32 = SLOT_BITS;
/// The bits of [`Entry::slot`] that are the number of a slot. The others are set when the entry is
/// allocated and never change.
const SLOT_BITS: u32 = 0xffff;
/// The entry is in the table under a hash that covers more than its key.
const APART: u32 = 1 << 16;
/// The entry is the first of a pair.
const PAIRED: u32 = 1 << 17;
/// The entry is the second of a pair.
const ALIAS: u32 = 1 << 18;

/// The contents of an entry: at most 88 bytes.
pub trait Body: Send + Sync + 'static {
    /// Called once when the entry has left the table, with bottom halves off and a shard locked.
    /// New readers no longer find the entry, but earlier ones may still use it.
    fn removed(&self);

    /// Whether the entry stays although it is due. The slow timer calls this every few seconds,
    /// with bottom halves off and a shard locked.
    fn is_held(&self) -> bool {
        false
    }

    /// Whether the entry is of a connection that is not established yet. With bottom halves off
    /// and a shard locked.
    fn is_half_open(&self) -> bool {
        false
    }
}

/// Neighbors of an entry in its slot of the wheel.
pub(super) struct Links<T: Body> {
    pub(super) next: *mut Entry<T>,
    pub(super) previous: *mut Entry<T>,
}

impl<T: Body> Clone for Links<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Body> Copy for Links<T> {}

impl<T: Body> Links<T> {
    const fn none() -> Self {
        Self::between(ptr::null_mut(), ptr::null_mut())
    }

    pub(super) const fn between(previous: *mut Entry<T>, next: *mut Entry<T>) -> Self {
        Self { next, previous }
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
    /// Seconds that the entry may stay unused. Written by packets when the state changes.
    timeout: AtomicU32,
    /// Slot of the wheel, under the shard's lock, and what kind of entry it is.
    slot: AtomicU32,
    tail: UnsafeCell<Tail<T>>,
}

/// Neighbors in the wheel, under the shard's lock; after removal, the head for RCU. Of an alias:
/// neighbors in its ring.
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

/// The key of entries with this hash, in the order of
/// [`Table::first_from`](super::Table::first_from).
pub const fn key_of(hash: u32) -> u32 {
    hash.reverse_bits()
}

impl<T: Body> Entry<T> {
    const FITS: () = assert!(size_of::<Self>() == ENTRY_SIZE && align_of::<Self>() == ENTRY_SIZE);

    /// Allocates an entry that is in no table, for which `payer` is charged; `None` when there is
    /// no memory. `make` returns its body, and `finish` its timeout. Any context.
    // `make` is inlined, so the body's fields go from registers to their place. After `finish` has
    // the body's address, that is no longer possible.
    #[inline(always)]
    pub(super) fn alloc(
        slab: &Slab,
        payer: &Payer,
        hash: u32,
        now: u32,
        make: impl FnOnce() -> T,
        finish: impl FnOnce(&mut T) -> u32,
    ) -> Option<NonNull<Self>> {
        let mut place = slab.alloc(payer)?.cast::<Self>();
        // SAFETY: the slab's objects have the size and alignment of an entry.
        unsafe { Self::write(place, 0, hash, make(), now, 0) };
        // SAFETY: just initialized, and nobody else has it.
        let entry = unsafe { place.as_mut() };
        *entry.timeout.get_mut() = finish(&mut entry.body);
        Some(place)
    }

    /// Like [`Self::alloc`], for an entry with a `hash` that covers more than its key.
    pub(super) fn alloc_apart(
        slab: &Slab,
        payer: &Payer,
        hash: u32,
        body: T,
        now: u32,
        timeout: u32,
    ) -> Option<NonNull<Self>> {
        let place = slab.alloc(payer)?.cast::<Self>();
        // SAFETY: as above.
        unsafe { Self::write(place, APART, hash, body, now, timeout) };
        Some(place)
    }

    /// Like [`Self::alloc`], for an entry with an alias. `alias` has the alias's hash and body.
    pub(super) fn alloc_pair(
        slab: &Slab,
        payer: &Payer,
        hash: u32,
        body: T,
        alias: (u32, T),
        now: u32,
        timeout: u32,
    ) -> Option<NonNull<Self>> {
        let first = slab.alloc_pair(payer)?.cast::<Self>();
        let (alias_hash, alias_body) = alias;
        // SAFETY: the memory is that of two entries.
        unsafe {
            Self::write(first, APART | PAIRED, hash, body, now, timeout);
            Self::write(first.add(1), ALIAS, alias_hash, alias_body, now, timeout);
        }
        Some(first)
    }

    /// # Safety
    ///
    /// `place` must be valid for writing an entry, and aligned.
    #[inline(always)]
    unsafe fn write(place: NonNull<Self>, kind: u32, hash: u32, body: T, now: u32, timeout: u32) {
        let () = Self::FITS;
        let place = place.as_ptr();
        let tail = Tail {
            links: Links::none(),
        };
        // Field by field, so that the compiler makes no copy of the whole.
        // SAFETY: by this function's contract.
        unsafe {
            (&raw mut (*place).link).write(AtomicUsize::new(0));
            (&raw mut (*place).hash).write(hash);
            (&raw mut (*place).seen).write(AtomicU32::new(now));
            (&raw mut (*place).body).write(ManuallyDrop::new(body));
            (&raw mut (*place).timeout).write(AtomicU32::new(timeout));
            (&raw mut (*place).slot).write(AtomicU32::new(kind | UNLINKED));
            (&raw mut (*place).tail).write(UnsafeCell::new(tail));
        }
    }

    /// Drops the body and frees the entry, with its alias. Any context.
    ///
    /// # Safety
    ///
    /// `entry` must come from one of the `alloc` functions and be in no table. There must be no
    /// other reference to it or to its alias.
    pub(super) unsafe fn free(entry: NonNull<Self>) {
        // SAFETY: by this function's contract; the bodies are dropped once, here. A pair is one
        // object.
        unsafe {
            if entry.as_ref().alias().is_some() {
                ManuallyDrop::drop(&mut (*entry.as_ptr().add(1)).body);
            }
            ManuallyDrop::drop(&mut (*entry.as_ptr()).body);
            bindings::knet_cache_free(entry.as_ptr().cast::<c_void>());
        }
    }

    /// Frees an entry that has no alias and returns its body. Any context.
    ///
    /// # Safety
    ///
    /// As of [`Self::free`].
    pub(super) unsafe fn take_body(entry: NonNull<Self>) -> T {
        // SAFETY: by this function's contract; the body is taken once, here.
        unsafe {
            let body = ManuallyDrop::take(&mut (*entry.as_ptr()).body);
            bindings::knet_cache_free(entry.as_ptr().cast::<c_void>());
            body
        }
    }

    fn is(&self, kind: u32) -> bool {
        self.slot.load(Ordering::Relaxed) & kind != 0
    }

    /// Whether the entry's hash covers more than its key.
    #[inline]
    pub fn is_apart(&self) -> bool {
        self.is(APART)
    }

    /// Whether the entry is the alias of another.
    pub(super) fn is_alias(&self) -> bool {
        self.is(ALIAS)
    }

    /// The alias of the entry, if it has one.
    pub(super) fn alias(&self) -> Option<&Self> {
        let alias = (ptr::from_ref(self) as usize).wrapping_add(size_of::<Self>());
        // SAFETY: the first of a pair is followed by the second, and freed together with it.
        self.is(PAIRED).then(|| unsafe { &*(alias as *const Self) })
    }

    /// The entry to which this alias belongs.
    pub(super) fn aliased(&self) -> Option<&Self> {
        let first = (ptr::from_ref(self) as usize).wrapping_sub(size_of::<Self>());
        // SAFETY: the second of a pair follows the first, and is freed together with it.
        self.is(ALIAS).then(|| unsafe { &*(first as *const Self) })
    }

    /// The number of the entry's slot in the wheel, or [`UNLINKED`]. Under the shard's lock.
    #[inline]
    pub(super) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed) & SLOT_BITS
    }

    /// Sets the number of the entry's slot. Under the shard's lock.
    #[inline]
    pub(super) fn set_slot(&self, slot: u32) {
        let kind = self.slot.load(Ordering::Relaxed) & !SLOT_BITS;
        self.slot.store(kind | slot, Ordering::Relaxed);
    }

    /// Frees the entry after a grace period.
    ///
    /// # Safety
    ///
    /// The caller must have just removed the entry from its table's lists and wheel, for good.
    pub(super) unsafe fn retire(&self) {
        // SAFETY: by this function's contract the tail is ours, and the callback is queued once.
        unsafe {
            let head = &raw mut (*self.tail.get()).head;
            head.write(bindings::callback_head::default());
            kernel::bindings::call_rcu(head, Some(free_retired::<T>));
        }
    }

    /// Has the processor load the entry.
    #[inline(always)]
    pub(super) fn prefetch(&self) -> &Self {
        prefetch(&raw const self.link);
        prefetch(&raw const self.timeout);
        self
    }

    /// Its hash.
    #[inline]
    pub fn hash(&self) -> u32 {
        self.hash
    }

    /// Its key in the order of [`Table::first_from`](super::Table::first_from).
    pub fn key(&self) -> u32 {
        key_of(self.hash)
    }

    /// Records that the entry was used in second `now`. True if it was last used in another second.
    #[inline]
    pub fn touch(&self, now: u32) -> bool {
        let is_new = self.seen.load(Ordering::Relaxed) != now;
        if is_new {
            self.seen.store(now, Ordering::Relaxed);
        }
        is_new
    }

    /// Seconds that the entry may stay unused.
    pub fn timeout(&self) -> u32 {
        self.timeout.load(Ordering::Relaxed)
    }

    /// Sets the timeout and returns the former one.
    pub(super) fn swap_timeout(&self, timeout: u32) -> u32 {
        self.timeout.swap(timeout, Ordering::Relaxed)
    }

    /// The second since boot in which the entry is due: the first one that begins after its
    /// timeout, at whatever point of a second the entry was last used.
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

    /// Its neighbors in the wheel, or in the ring of an alias. Use them only with the shard's lock
    /// held and while the entry is in the table.
    pub(super) fn links(&self) -> *mut Links<T> {
        // A union's fields all start where it starts.
        self.tail.get().cast()
    }
}

/// Puts `alias` into the ring before `head`, as its new head.
///
/// # Safety
///
/// The shard of both must be locked. `head` must be the head of its ring. `alias` must be in no
/// ring, and have the place of `head` in the lists.
pub(super) unsafe fn link_before<T: Body>(head: &Entry<T>, alias: &Entry<T>) {
    let pointer = |entry: &Entry<T>| ptr::from_ref(entry).cast_mut();
    // SAFETY: by this function's contract.
    unsafe {
        *alias.links() = Links::between(ptr::null_mut(), pointer(head));
        (*head.links()).previous = pointer(alias);
    }
}

/// The alias that [`unlink`] has removed from a ring.
pub(super) enum Unlinked<'a, T: Body> {
    /// An alias that was not in the lists.
    Member,
    /// The alias that was in the lists. This one must replace it there.
    Head(&'a Entry<T>),
    /// The only one, which is in the lists.
    Last,
}

/// Removes `alias` from its ring.
///
/// # Safety
///
/// The shard of `alias` must be locked, and `alias` be in the lists or in a ring.
pub(super) unsafe fn unlink<T: Body>(alias: &Entry<T>) -> Unlinked<'_, T> {
    // SAFETY: by this function's contract; neighbors in a ring are live.
    unsafe {
        let Links { next, previous } = *alias.links();
        let next = next.as_ref();
        if let Some(next) = next {
            (*next.links()).previous = previous;
        }
        if let Some(previous) = previous.as_ref() {
            (*previous.links()).next = (*alias.links()).next;
            return Unlinked::Member;
        }
        next.map_or(Unlinked::Last, Unlinked::Head)
    }
}

/// Entries that were removed. Dropping this waits for one grace period and frees them all: in
/// process context, with no lock held.
///
/// # Invariants
///
/// A list, linked by the `next` of the entries' [`Links`]. The list has the only references to
/// these links.
pub(super) struct Retired<T: Body>(*mut Entry<T>);

impl<T: Body> Retired<T> {
    /// No entries.
    pub(super) const fn new() -> Self {
        Self(ptr::null_mut())
    }

    /// # Safety
    ///
    /// As of [`Entry::retire`].
    pub(super) unsafe fn push(&mut self, entry: &Entry<T>) {
        // SAFETY: by this function's contract the tail is ours.
        unsafe { *entry.links() = Links::between(ptr::null_mut(), self.0) };
        self.0 = ptr::from_ref(entry).cast_mut();
    }

    /// The entry that was pushed last, to remember where a batch begins.
    pub(super) fn last(&self) -> *const Entry<T> {
        self.0
    }

    /// Calls `f` for the entries that were pushed after `last` was the last one.
    pub(super) fn for_each_since(&self, last: *const Entry<T>, mut f: impl FnMut(&Entry<T>)) {
        let mut next = self.0;
        while !ptr::eq(next, last) {
            // SAFETY: by the invariant; the entries are freed by `drop` only.
            let Some(entry) = (unsafe { next.as_ref() }) else {
                return;
            };
            f(entry);
            // SAFETY: as above.
            next = unsafe { (*entry.links()).next };
        }
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
            // SAFETY: by the invariant; readers that could have found the entry are done.
            unsafe {
                self.0 = (*entry.as_ref().links()).next;
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
/// `head` must be the head of an entry that was removed from its table.
unsafe extern "C" fn free_retired<T: Body>(head: *mut bindings::callback_head) {
    let offset = core::mem::offset_of!(Entry<T>, tail);
    // SAFETY: the head is the entry's tail, and there is no other reference to the entry.
    unsafe {
        let entry = head.byte_sub(offset).cast::<Entry<T>>();
        Entry::free(NonNull::new_unchecked(entry));
    }
}
