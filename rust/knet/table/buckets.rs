// SPDX-License-Identifier: GPL-2.0-only

//! The buckets of a table: the geometry, the sentinels, and changes of their number. The lists and
//! the order of steps are those of [`lvs_core::split_order`]; this file gives them addresses.

use super::{
    entry::{Body, Entry},
    shards::{Shards, SHARD_BITS},
};
use crate::{
    memory::{prefetch, Payer},
    rcu, work,
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};
use kernel::{alloc::KVVec, prelude::*};
use lvs_core::split_order::{self, segment_len, Geometry, Lists, Place, Resizable, Target};

/// log2 of the smallest number of buckets: not less than [`SHARD_BITS`].
const MIN_ORDER: u32 = 10;
/// log2 of the largest number of buckets.
const MAX_ORDER: u32 = 24;
const SEGMENTS: usize = (MAX_ORDER - MIN_ORDER + 1) as usize;
/// The number of sentinels that are inserted or removed, each under its own lock, before other
/// work can run.
const YIELD_AFTER: u32 = 1024;

/// The buckets of a table.
///
/// # Invariants
///
/// A segment's pointer is null or to as many sentinels as [`segment_len`] says. Links name live
/// entries and sentinels, which are freed only a grace period after their removal.
pub(super) struct Buckets {
    payer: Payer,
    geometry: AtomicUsize,
    segments: [AtomicPtr<AtomicUsize>; SEGMENTS],
}

impl Buckets {
    /// The smallest number of buckets, all empty, for which `payer` is charged. Process context.
    pub(super) fn new(payer: Payer) -> Result<Self> {
        let buckets = Self {
            payer,
            geometry: AtomicUsize::new(Geometry::settled(MIN_ORDER).word()),
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

    /// log2 of their number. Any context.
    pub(super) fn order(&self) -> u32 {
        Geometry::from_word(self.geometry.load(Ordering::Relaxed)).order()
    }

    /// Whether `count` entries in one shard justify a resize.
    pub(super) fn crowded(&self, count: usize) -> bool {
        split_order::crowded(MAX_ORDER, SHARD_BITS, self.order(), count)
    }

    /// The order that suits `count` entries in all.
    pub(super) fn wants(&self, count: usize) -> u32 {
        split_order::wants(MIN_ORDER, MAX_ORDER, self.order(), count)
    }

    /// The lists.
    ///
    /// # Safety
    ///
    /// The entries must be of type `T`. For as long as `'a`, the RCU read lock must be held, or
    /// the lock of the shard whose list is walked.
    #[inline]
    pub(super) unsafe fn lists<'a, T: Body>(&self) -> Linked<'_, 'a, T> {
        Linked(self, PhantomData)
    }

    /// Doubles or halves the number of buckets until it suits the number of entries. Process
    /// context, by one thread at a time.
    pub(super) fn resize<T: Body>(&self, shards: &Shards<T>) {
        let table = Resizing {
            buckets: self,
            shards,
        };
        loop {
            let order = self.order();
            let changed = match self.wants(shards.count()).cmp(&order) {
                core::cmp::Ordering::Greater => split_order::grow(&table, order),
                core::cmp::Ordering::Less => {
                    split_order::shrink(&table, order);
                    true
                }
                core::cmp::Ordering::Equal => false,
            };
            if !changed {
                return;
            }
            work::yield_now();
        }
    }

    /// Allocates the sentinels of segment `number`. Process context.
    fn add_segment(&self, number: usize) -> Result {
        let count = segment_len(MIN_ORDER, number);
        let segment = self.segments.get(number).ok_or(EINVAL)?;
        let mut links = self
            .payer
            .charged(|| KVVec::<AtomicUsize>::with_capacity(count, GFP_KERNEL_ACCOUNT))?;
        for _ in 0..count {
            links
                .push_within_capacity(AtomicUsize::new(0))
                .map_err(|_| ENOMEM)?;
        }
        let (pointer, _, _) = links.into_raw_parts();
        segment.store(pointer, Ordering::Release);
        Ok(())
    }

    /// # Safety
    ///
    /// No link may name the segment's sentinels, and no reader hold one.
    unsafe fn free_segment(&self, number: usize) {
        let Some(segment) = self.segments.get(number) else {
            return;
        };
        let sentinels = segment.swap(ptr::null_mut(), Ordering::Relaxed);
        if !sentinels.is_null() {
            let len = segment_len(MIN_ORDER, number);
            // SAFETY: `add_segment` allocated it with this length, and it is ours by this
            // function's contract; the vector was full, so its capacity is known to be at least
            // its length, and freeing does not depend on it.
            drop(unsafe { KVVec::from_raw_parts(sentinels, len, len) });
        }
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        for number in 0..SEGMENTS {
            // SAFETY: sentinels are read through the table only, and no reference to it is left.
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

/// The lists of entries about `T`, for as long as `'a`.
///
/// # Invariants
///
/// As in the contract of [`Buckets::lists`].
pub(super) struct Linked<'t, 'a, T: Body>(&'t Buckets, PhantomData<&'a Entry<T>>);

impl<T: Body> Linked<'_, '_, T> {
    /// Has the processor load the bucket of `hash`.
    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u32) {
        if let Some(Link(sentinel)) = split_order::bucket(self, hash) {
            prefetch(ptr::from_ref(sentinel));
        }
    }
}

impl<'a, T: Body> Lists for Linked<'_, 'a, T> {
    const MIN_ORDER: u32 = MIN_ORDER;
    const MAX_ORDER: u32 = MAX_ORDER;
    type Entry = &'a Entry<T>;
    type Link = Link<'a>;

    #[inline]
    fn geometry(&self, ordering: Ordering) -> Geometry {
        Geometry::from_word(self.0.geometry.load(ordering))
    }

    #[inline]
    fn sentinel(&self, place: Place) -> Option<Link<'a>> {
        let sentinels = self.0.segments.get(place.segment)?.load(Ordering::Acquire);
        if sentinels.is_null() {
            return None;
        }
        // SAFETY: by the invariants the segment has a sentinel there, which stays for `'a`.
        Some(Link(unsafe { &*sentinels.add(place.index) }))
    }

    fn index(&self, segment: usize, sentinel: Link<'a>) -> Option<usize> {
        let sentinels = self.0.segments.get(segment)?.load(Ordering::Acquire);
        let offset = (ptr::from_ref(sentinel.0) as usize).wrapping_sub(sentinels as usize);
        let index = offset / size_of::<usize>();
        (!sentinels.is_null() && index < segment_len(MIN_ORDER, segment)).then_some(index)
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

/// A table that is being resized.
struct Resizing<'t, T: Body> {
    buckets: &'t Buckets,
    shards: &'t Shards<T>,
}

impl<'t, T: Body> Resizable for Resizing<'t, T> {
    type Lists = Linked<'t, 't, T>;

    fn set_geometry(&self, geometry: Geometry, ordering: Ordering) {
        self.buckets.geometry.store(geometry.word(), ordering);
    }

    fn grace_period(&self) {
        rcu::synchronize();
    }

    fn locked(&self, bucket: u32, change: impl FnOnce(&Self::Lists)) {
        if bucket % YIELD_AFTER == 0 {
            work::yield_now();
        }
        if let Some(shard) = self.shards.of(bucket) {
            let _shard = shard.lock();
            // SAFETY: the shard is locked for as long as its lists are walked.
            change(&unsafe { self.buckets.lists() });
        }
    }

    fn add_segment(&self, segment: usize) -> bool {
        self.buckets.add_segment(segment).is_ok()
    }

    fn free_segment(&self, segment: usize) {
        // SAFETY: by the algorithm, its sentinels are out of the lists since a grace period.
        unsafe { self.buckets.free_segment(segment) };
    }
}
