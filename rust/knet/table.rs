// SPDX-License-Identifier: GPL-2.0-only

//! The hash of connections: 128-byte entries, readers under RCU, resized while packets flow.
//!
//! Buckets are those of a split-ordered list ([`lvs_core::split_order`], with the argument that no
//! reader misses an entry): [`buckets`] has their memory and resizes them, [`entry`] the entries.
//! Here is what a table offers, and its shards.
//!
//! # Writers
//!
//! A shard is all entries whose hash has the same low [`SHARD_BITS`] bits; that is a set of whole
//! buckets at every size. The shard's lock covers its lists and its part of the slow timer
//! ([`crate::wheel`]), so that a new connection costs one lock.

mod buckets;
mod entry;

use entry::Retired;
pub use entry::{Body, Cache, Entry};

use crate::{
    bindings,
    lock::BhLock,
    new_bh_lock,
    rcu::Section,
    wheel::{Wheel, UNLINKED},
    work,
};
use buckets::Buckets;
use core::{
    ffi::c_void,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use kernel::{
    alloc::{KBox, KVec},
    prelude::*,
    types::Opaque,
};
use lvs_core::split_order;

/// log2 of the number of shards.
pub const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
/// Entries handled before a lock is released and other work let in.
const BATCH: usize = 64;

struct Shard<T: Body> {
    count: usize,
    wheel: Wheel<T>,
}

/// All shards of a table.
struct Shards<T: Body>(KVec<Pin<KBox<BhLock<Shard<T>>>>>);

impl<T: Body> Shards<T> {
    fn new(now: u32) -> Result<Self> {
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let shard = Shard {
                count: 0,
                wheel: Wheel::new(now),
            };
            let lock = new_bh_lock!(shard, c"ipvs_rs_shard");
            shards.push(KBox::pin_init(lock, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Self(shards))
    }

    /// The shard of a hash, or of a bucket.
    #[inline]
    fn of(&self, hash: u32) -> Option<&BhLock<Shard<T>>> {
        self.0
            .get(hash as usize & (SHARDS - 1))
            .map(|shard| &**shard)
    }

    fn iter(&self) -> impl Iterator<Item = &BhLock<Shard<T>>> {
        self.0.iter().map(|shard| &**shard)
    }

    /// The number of entries.
    fn count(&self) -> usize {
        self.iter()
            .fold(0usize, |sum, shard| sum.wrapping_add(shard.lock().count))
    }
}

/// A table of entries about `T`.
pub struct Table<T: Body>(KBox<Inner<T>>);

struct Inner<T: Body> {
    buckets: Buckets,
    shards: Shards<T>,
    /// All entries, and how many there may be.
    count: AtomicUsize,
    limit: AtomicUsize,
    /// A resize was asked for and has not begun.
    crowded: AtomicBool,
    resize: Opaque<bindings::knet_work>,
}

// SAFETY: all parts are atomic or locked.
unsafe impl<T: Body> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Body> Sync for Table<T> {}

/// Why an entry could not be inserted.
pub enum Refused {
    /// There is one already that it would duplicate.
    Duplicate,
    /// There are as many as there may be.
    Full,
    /// No memory.
    NoMemory,
}

impl<T: Body> Table<T> {
    /// An empty table. Its slow timer starts in second `now`. Process context.
    pub fn new(now: u32) -> Result<Self> {
        if !Cache::is_there() {
            return Err(ENODEV);
        }
        let inner = KBox::new(
            Inner {
                buckets: Buckets::new()?,
                shards: Shards::new(now)?,
                count: AtomicUsize::new(0),
                limit: AtomicUsize::new(usize::MAX),
                crowded: AtomicBool::new(false),
                resize: Opaque::uninit(),
            },
            GFP_KERNEL,
        )?;
        let data = (&raw const *inner).cast::<c_void>().cast_mut();
        // SAFETY: the work lies in the box and is cancelled before that is freed.
        unsafe { bindings::knet_work_init(inner.resize.get(), Some(resize::<T>), data) };
        Ok(Self(inner))
    }

    /// The number of buckets. Any context.
    pub fn buckets(&self) -> u32 {
        1 << self.0.buckets.order()
    }

    /// The number of entries. Any context.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Lets no more than `limit` entries in; those that are there stay. Any context.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Finds the first entry with `hash` that `matches`. Any context.
    #[inline]
    pub fn find<'a>(
        &self,
        _section: &'a Section<'_>,
        hash: u32,
        matches: impl Fn(&T) -> bool,
    ) -> Option<&'a Entry<T>> {
        // SAFETY: the section is the read lock, for `'a`.
        let lists = unsafe { self.0.buckets.lists::<T>() };
        split_order::find(&lists, hash, |entry| matches(entry))
    }

    /// Calls `f` for the entries with the lowest key from `from` on, and returns that key; `None` when
    /// there are no more. All entries are met by going on behind what the former call returned.
    /// Any context.
    pub fn first_from(
        &self,
        _section: &Section<'_>,
        from: u32,
        f: impl FnMut(&Entry<T>),
    ) -> Option<u32> {
        // SAFETY: the section is the read lock, for as long as the call.
        let lists = unsafe { self.0.buckets.lists::<T>() };
        split_order::first_from(&lists, from, f)
    }

    /// Inserts an entry about `body`, last used in second `now`, to be removed when it was unused
    /// for `timeout` seconds, unless there is one with the same hash that `duplicates`. Softirq or
    /// process context.
    pub fn insert<'a>(
        &self,
        _section: &'a Section<'_>,
        hash: u32,
        body: T,
        now: u32,
        timeout: u32,
        duplicates: impl Fn(&T) -> bool,
    ) -> Result<&'a Entry<T>, Refused> {
        // Counted in first, so that there are never too many.
        let counted = Counted::new(&self.0).ok_or(Refused::Full)?;
        let place = Entry::alloc(hash, body, now, timeout).ok_or(Refused::NoMemory)?;
        // SAFETY: initialised, and only freed after a grace period once it is published.
        let entry: &'a Entry<T> = unsafe { place.as_ref() };
        let mut shard = self.0.shards.of(hash).ok_or(Refused::NoMemory)?.lock();
        // SAFETY: the shard is locked, in a read section for `'a`.
        let lists = unsafe { self.0.buckets.lists::<T>() };
        if !split_order::insert(&lists, entry, |other| duplicates(other)) {
            drop(shard);
            // SAFETY: never published, so it is ours alone.
            unsafe { Entry::free(place) };
            return Err(Refused::Duplicate);
        }
        shard.wheel.insert(entry);
        shard.count = shard.count.wrapping_add(1);
        core::mem::forget(counted);
        let crowded = self.0.buckets.crowded(shard.count);
        drop(shard);

        if crowded && !self.0.crowded.swap(true, Ordering::Relaxed) {
            self.0.queue_resize();
        }
        Ok(entry)
    }

    /// Gives `entry` a new timeout in seconds. Softirq or process context.
    pub fn set_timeout(&self, entry: &Entry<T>, timeout: u32) {
        let former = entry.swap_timeout(timeout);
        // One that is due later is put back when its former turn comes; an earlier one must move.
        if timeout < former {
            if let Some(shard) = self.0.shards.of(entry.hash) {
                shard.lock().wheel.reinsert(entry);
            }
        }
    }

    /// Removes `entry`, if it is still there. Softirq or process context.
    pub fn remove(&self, entry: &Entry<T>) {
        let Some(shard) = self.0.shards.of(entry.hash) else {
            return;
        };
        if self.0.take_out(&mut shard.lock(), entry) {
            // SAFETY: taken out here.
            unsafe { entry.retire() };
        }
    }

    /// Removes the entries that were due up to second `now`. Process context; gives way to others
    /// between batches.
    ///
    /// A million that expire together would be a burst of callbacks in softirq, so they are freed
    /// here, after one grace period for all.
    pub fn expire(&self, now: u32) {
        let mut retired = Retired::new();
        for shard in self.0.shards.iter() {
            loop {
                let mut shard = shard.lock();
                let mut left = BATCH;
                while left > 0 {
                    let Some(entry) = shard.wheel.advance(now, &mut left) else {
                        break;
                    };
                    // SAFETY: the wheel only holds entries that are in the table.
                    let entry = unsafe { entry.as_ref() };
                    if self.0.take_out(&mut shard, entry) {
                        // SAFETY: taken out here.
                        unsafe { retired.push(entry) };
                    }
                }
                if left > 0 {
                    break;
                }
                drop(shard);
                work::yield_now();
            }
            work::yield_now();
        }
        if self.0.buckets.wants(self.count()) != self.0.buckets.order() {
            self.0.queue_resize();
        }
    }

    /// Removes all entries. Process context.
    pub fn clear(&self) {
        let mut retired = Retired::new();
        for shard in self.0.shards.iter() {
            loop {
                let mut shard = shard.lock();
                let mut left = BATCH;
                while left > 0 {
                    let Some(entry) = shard.wheel.any() else {
                        break;
                    };
                    // SAFETY: the wheel only holds entries that are in the table.
                    let entry = unsafe { entry.as_ref() };
                    if self.0.take_out(&mut shard, entry) {
                        // SAFETY: taken out here.
                        unsafe { retired.push(entry) };
                    }
                    left = left.wrapping_sub(1);
                }
                if left > 0 {
                    break;
                }
                drop(shard);
                work::yield_now();
            }
        }
    }
}

impl<T: Body> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`; waits for a resize that is running.
        unsafe { bindings::knet_work_cancel(self.0.resize.get()) };
        self.clear();
    }
}

impl<T: Body> Inner<T> {
    fn queue_resize(&self) {
        // SAFETY: initialised when the table was made, and live.
        unsafe { bindings::knet_work_queue(self.resize.get(), 0) };
    }

    /// Takes `entry` out of the locked `shard`; true when it was there. It is for the caller to
    /// retire then: out of wheel and lists, and since `slot` stays `UNLINKED`, for good.
    fn take_out(&self, shard: &mut Shard<T>, entry: &Entry<T>) -> bool {
        if entry.slot.load(Ordering::Relaxed) == UNLINKED {
            return false;
        }
        shard.wheel.remove(entry);
        // SAFETY: the shard is locked by who calls.
        let lists = unsafe { self.buckets.lists() };
        let was_in = split_order::remove(&lists, entry);
        if was_in {
            shard.count = shard.count.wrapping_sub(1);
            self.count.fetch_sub(1, Ordering::Relaxed);
            entry.removed();
        }
        was_in
    }
}

/// An entry that is counted in before it is in the table.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new<T: Body>(table: &'a Inner<T>) -> Option<Self> {
        let former = table.count.fetch_add(1, Ordering::Relaxed);
        let counted = Self(&table.count);
        (former < table.limit.load(Ordering::Relaxed)).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Resizes until the size suits.
///
/// # Safety
///
/// `data` must be the `Inner<T>` of a live table.
unsafe extern "C" fn resize<T: Body>(data: *mut c_void) {
    // SAFETY: by this function's contract.
    let table = unsafe { &*data.cast::<Inner<T>>() };
    table.crowded.store(false, Ordering::Relaxed);
    table.buckets.resize(&table.shards);
}
