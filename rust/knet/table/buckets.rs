// SPDX-License-Identifier: GPL-2.0-only

//! The buckets of a table: the geometry, the memory, and changes of their number. The slots, the
//! lists and the order of steps are those of [`lvs_core::buckets`]; this file gives them addresses.
//!
//! A slot has the number of an entry, 32 bits. It is the entry's address, in units of its size,
//! from an address 256 GiB below the first entry that the machine has allocated. So it names
//! entries within 256 GiB of that one. Others, on machines with more memory, are in the lists.

use super::{
    cache::{Slab, ENTRY_SIZE},
    entry::{Body, Entry},
    shards::{Shards, SHARD_BITS},
};
use crate::{
    memory::{prefetch, Payer},
    rcu, work,
};
use core::{
    marker::PhantomData,
    num::NonZeroU32,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
use kernel::{alloc::KVVec, prelude::*};
use lvs_core::buckets::{
    self, segment_len, Geometry, Lists, Place, Resizable, Slots, Target, FILL,
};

/// log2 of the smallest number of buckets: not less than [`SHARD_BITS`].
const MIN_ORDER: u32 = 7;
/// log2 of the largest number of buckets.
const MAX_ORDER: u32 = 21;
const _: () = assert!(MIN_ORDER >= SHARD_BITS);
const SEGMENTS: usize = (MAX_ORDER - MIN_ORDER + 1) as usize;
/// The number of buckets that are split or joined, each under its own lock, before other work can
/// run.
const YIELD_AFTER: u32 = 128;
/// The number of slots, which fill a cache line together with their tags and the list.
const SLOTS: usize = 11;

/// The buckets of a table.
///
/// # Invariants
///
/// A segment's pointer is null or to as many buckets as [`segment_len`] says. Links and slots name
/// live entries and sentinels, which are freed only a grace period after their removal.
pub(super) struct Buckets {
    payer: Payer,
    geometry: AtomicUsize,
    /// The address of entry number 0, which does not exist.
    origin: usize,
    segments: [AtomicPtr<Bucket>; SEGMENTS],
}

/// A bucket: one cache line. Written under the shard's lock, read under RCU.
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// The sentinel.
    list: AtomicUsize,
    tags: AtomicU64,
    /// The tags of the last three slots.
    last_tags: AtomicU32,
    /// The numbers of the entries, or 0.
    slots: [AtomicU32; SLOTS],
}

impl Bucket {
    const IS_A_LINE: () = assert!(size_of::<Self>() == 64);

    const fn empty() -> Self {
        let () = Self::IS_A_LINE;
        Self {
            list: AtomicUsize::new(0),
            tags: AtomicU64::new(0),
            last_tags: AtomicU32::new(0),
            slots: [const { AtomicU32::new(0) }; SLOTS],
        }
    }
}

impl Buckets {
    /// The smallest number of buckets, all empty, for entries from `slab`. `payer` is charged for
    /// both. Process context.
    pub(super) fn new(payer: Payer, slab: &Slab) -> Result<Self> {
        let buckets = Self {
            payer,
            geometry: AtomicUsize::new(Geometry::settled(MIN_ORDER).word()),
            origin: slab.origin(),
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
        };
        buckets.add_segment(0)?;
        Ok(buckets)
    }

    /// Returns the payer for the buckets and the entries. Any context.
    #[inline]
    pub(super) fn payer(&self) -> &Payer {
        &self.payer
    }

    /// The number of entries that the present buckets are made for. Any context.
    pub(super) fn room(&self) -> u32 {
        (FILL as u32).wrapping_shl(self.order())
    }

    /// log2 of the number of buckets. Any context.
    #[inline]
    fn order(&self) -> u32 {
        Geometry::from_word(self.geometry.load(Ordering::Relaxed)).order()
    }

    /// Whether `count` entries justify more buckets.
    #[inline]
    pub(super) fn is_full(&self, count: usize) -> bool {
        buckets::is_full(MAX_ORDER, self.order(), count)
    }

    /// The order that suits `count` entries in all.
    fn wants(&self, count: usize) -> u32 {
        buckets::wants(MIN_ORDER, MAX_ORDER, self.order(), count)
    }

    /// Whether another number of buckets suits `count` entries.
    pub(super) fn should_resize(&self, count: usize) -> bool {
        self.wants(count) != self.order()
    }

    /// The buckets with their entries.
    ///
    /// # Safety
    ///
    /// The entries must be of type `T`. For as long as `'a`, the RCU read lock must be held, or
    /// the lock of the shard whose buckets are used. The lock disables bottom halves, for which a
    /// grace period waits, too.
    #[inline]
    pub(super) unsafe fn with_entries<'a, T: Body>(&self) -> Filled<'_, 'a, T> {
        Filled(self, PhantomData)
    }

    /// Doubles or halves the number of buckets until it suits the number of entries, which `count`
    /// returns. Returns false if there is no memory for that. Process context, by one thread at a
    /// time.
    pub(super) fn resize<T: Body>(&self, shards: &Shards<T>, count: impl Fn() -> usize) -> bool {
        loop {
            let order = self.order();
            let wanted = self.wants(count());
            let table = Resizing {
                buckets: self,
                shards,
                is_urgent: wanted > order,
            };
            match wanted.cmp(&order) {
                core::cmp::Ordering::Greater if !buckets::grow(&table, order) => return false,
                core::cmp::Ordering::Greater => {}
                core::cmp::Ordering::Less => buckets::shrink(&table, order),
                core::cmp::Ordering::Equal => return true,
            }
            work::yield_now();
        }
    }

    /// Allocates the buckets of segment `number`. Process context.
    fn add_segment(&self, number: usize) -> Result {
        let count = segment_len(MIN_ORDER, number);
        let segment = self.segments.get(number).ok_or(EINVAL)?;
        let mut buckets = self
            .payer
            .charged(|| KVVec::<Bucket>::with_capacity(count, GFP_KERNEL_ACCOUNT))?;
        for _ in 0..count {
            buckets
                .push_within_capacity(Bucket::empty())
                .map_err(|_| ENOMEM)?;
        }
        let (pointer, _, _) = buckets.into_raw_parts();
        segment.store(pointer, Ordering::Release);
        Ok(())
    }

    /// # Safety
    ///
    /// No link may name the segment's sentinels, and no reader use a bucket.
    unsafe fn free_segment(&self, number: usize) {
        let Some(segment) = self.segments.get(number) else {
            return;
        };
        let buckets = segment.swap(ptr::null_mut(), Ordering::Relaxed);
        if !buckets.is_null() {
            let len = segment_len(MIN_ORDER, number);
            // SAFETY: `add_segment` allocated it with this length, and it is ours by this
            // function's contract; the vector was full, so its capacity is known to be at least
            // its length, and freeing does not depend on it.
            drop(unsafe { KVVec::from_raw_parts(buckets, len, len) });
        }
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        for number in 0..SEGMENTS {
            // SAFETY: buckets are read through the table only, and no reference to it is left.
            unsafe { self.free_segment(number) };
        }
    }
}

/// The link of an entry or of a sentinel.
#[derive(Clone, Copy)]
pub(super) struct Link<'a>(&'a AtomicUsize);

impl PartialEq for Link<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

/// The buckets with entries about `T`, for as long as `'a`.
///
/// # Invariants
///
/// As in the contract of [`Buckets::with_entries`].
pub(super) struct Filled<'t, 'a, T: Body>(&'t Buckets, PhantomData<&'a Entry<T>>);

impl<'a, T: Body> Filled<'_, 'a, T> {
    /// Has the processor load the bucket of `hash`.
    #[inline(always)]
    pub(super) fn prefetch_bucket(&self, hash: u32) {
        if let Some(bucket) = buckets::first_bucket(self, hash) {
            prefetch(ptr::from_ref(bucket));
        }
    }
}

impl<'a, T: Body> Lists for Filled<'_, 'a, T> {
    const MIN_ORDER: u32 = MIN_ORDER;
    const MAX_ORDER: u32 = MAX_ORDER;
    type Entry = &'a Entry<T>;
    type Bucket = &'a Bucket;
    type Link = Link<'a>;

    #[inline]
    fn geometry(&self, ordering: Ordering) -> Geometry {
        Geometry::from_word(self.0.geometry.load(ordering))
    }

    #[inline]
    fn bucket(&self, place: Place) -> Option<&'a Bucket> {
        let buckets = self.0.segments.get(place.segment)?.load(Ordering::Acquire);
        if buckets.is_null() {
            return None;
        }
        // SAFETY: by the invariants the segment has a bucket there, which stays for `'a`.
        Some(unsafe { &*buckets.add(place.index) })
    }

    #[inline]
    fn sentinel(&self, bucket: &'a Bucket) -> Link<'a> {
        Link(&bucket.list)
    }

    fn index(&self, segment: usize, sentinel: Link<'a>) -> Option<usize> {
        let buckets = self.0.segments.get(segment)?.load(Ordering::Acquire);
        let offset = (ptr::from_ref(sentinel.0) as usize).wrapping_sub(buckets as usize);
        let index = offset / size_of::<Bucket>();
        (!buckets.is_null() && index < segment_len(MIN_ORDER, segment)).then_some(index)
    }

    #[inline]
    fn link(&self, entry: &'a Entry<T>) -> Link<'a> {
        Link(&entry.link)
    }

    #[inline]
    fn hash(&self, entry: &'a Entry<T>) -> u32 {
        entry.hash
    }

    #[inline]
    fn load(&self, link: Link<'a>, ordering: Ordering) -> Target<&'a Entry<T>, Link<'a>> {
        match Target::from_word(link.0.load(ordering)) {
            Target::Entry(address) => Target::Entry(address.map(|address| {
                // SAFETY: by the invariants it is an entry, which stays for `'a`.
                unsafe { &*(address.get() as *const Entry<T>) }
            })),
            Target::Sentinel(address) => {
                // SAFETY: by the invariants it is a sentinel, which stays for `'a`.
                Target::Sentinel(Link(unsafe { &*(address as *const AtomicUsize) }))
            }
        }
    }

    #[inline]
    fn store(&self, link: Link<'a>, target: Target<&'a Entry<T>, Link<'a>>, ordering: Ordering) {
        let target = match target {
            Target::Entry(entry) => Target::Entry(entry.map(|entry| NonNull::from(entry).addr())),
            Target::Sentinel(sentinel) => Target::Sentinel(ptr::from_ref(sentinel.0) as usize),
        };
        link.0.store(target.word(), ordering);
    }
}

impl<'a, T: Body> Slots for Filled<'_, 'a, T> {
    const SLOTS: usize = SLOTS;
    type Number = NonZeroU32;

    #[inline(always)]
    fn tags(&self, bucket: &'a Bucket, word: usize, ordering: Ordering) -> u64 {
        match word {
            0 => bucket.tags.load(ordering),
            _ => bucket.last_tags.load(ordering).into(),
        }
    }

    #[inline]
    fn set_tags(&self, bucket: &'a Bucket, word: usize, tags: u64, ordering: Ordering) {
        match word {
            0 => bucket.tags.store(tags, ordering),
            _ => bucket.last_tags.store(tags as u32, ordering),
        }
    }

    #[inline(always)]
    fn slot(&self, bucket: &'a Bucket, slot: usize, ordering: Ordering) -> Option<&'a Entry<T>> {
        let number = bucket.slots.get(slot)?.load(ordering) as usize;
        let address = self.0.origin.wrapping_add(number.wrapping_mul(ENTRY_SIZE));
        // SAFETY: by the invariants it is the number of an entry, which stays for `'a`.
        (number != 0).then(|| unsafe { &*(address as *const Entry<T>) })
    }

    #[inline]
    fn set_slot(
        &self,
        bucket: &'a Bucket,
        slot: usize,
        number: Option<NonZeroU32>,
        ordering: Ordering,
    ) {
        if let Some(slot) = bucket.slots.get(slot) {
            slot.store(number.map_or(0, NonZeroU32::get), ordering);
        }
    }

    #[inline]
    fn number(&self, entry: &'a Entry<T>) -> Option<NonZeroU32> {
        let offset = (ptr::from_ref(entry) as usize).wrapping_sub(self.0.origin);
        NonZeroU32::new(u32::try_from(offset / ENTRY_SIZE).ok()?)
    }
}

/// A table that is being resized.
struct Resizing<'t, T: Body> {
    buckets: &'t Buckets,
    shards: &'t Shards<T>,
    /// Lists grow meanwhile.
    is_urgent: bool,
}

impl<'t, T: Body> Resizable for Resizing<'t, T> {
    type Buckets = Filled<'t, 't, T>;

    fn set_geometry(&self, geometry: Geometry, ordering: Ordering) {
        self.buckets.geometry.store(geometry.word(), ordering);
    }

    fn grace_period(&self) {
        if self.is_urgent {
            rcu::synchronize_expedited();
        } else {
            rcu::synchronize();
        }
    }

    fn locked(&self, bucket: u32, change: impl FnOnce(&Self::Buckets)) {
        if bucket % YIELD_AFTER == 0 {
            work::yield_now();
        }
        if let Some(shard) = self.shards.of(bucket) {
            let _shard = shard.lock();
            // SAFETY: the shard is locked for as long as its buckets are used.
            change(&unsafe { self.buckets.with_entries() });
        }
    }

    fn add_segment(&self, segment: usize) -> bool {
        self.buckets.add_segment(segment).is_ok()
    }

    fn free_segment(&self, segment: usize) {
        // SAFETY: by the algorithm, no reader has used its buckets since a grace period.
        unsafe { self.buckets.free_segment(segment) };
    }
}
