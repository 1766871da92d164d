// SPDX-License-Identifier: GPL-2.0-only

//! The hash of connections: 128-byte entries, readers under RCU, resized while packets flow.
//!
//! # The list that never moves
//!
//! Entries hang in singly linked lists sorted by their bit-reversed hash, and a bucket is a
//! sentinel inside such a list: the *split-ordered list* of Shalev and Shavit ("Split-Ordered
//! Lists: Lock-Free Extensible Hash Tables", JACM 53(3), 2006). Doubling the table only puts a new
//! sentinel into the middle of each bucket; no entry is moved, so a reader never misses one, never
//! waits and never starts again.
//!
//! A link is an address; its lowest bit says that a sentinel is there. As long as no resize goes
//! on, a reader stops at the next sentinel without looking at it. During a resize it walks
//! through sentinels and stops at the first entry beyond its hash. One word, the geometry, holds
//! the number of buckets and whether a resize goes on, so a reader sees both as one:
//!
//! - growing: publish "resizing"; wait a grace period; insert the sentinels; publish the new size;
//! - shrinking: publish the smaller size and "resizing"; wait; take the sentinels out; publish
//!   "not resizing"; wait; free their memory.
//!
//! # Writers
//!
//! A shard is all entries whose hash has the same low [`SHARD_BITS`] bits; that is a set of whole
//! buckets at every size. The shard's lock covers its lists and its part of the slow timer
//! ([`crate::wheel`]), so that a new connection costs one lock.
//!
//! # Memory ordering
//!
//! An entry is complete before the link to it is stored (release), and readers load links with
//! acquire. An entry that was taken out keeps its own link until a grace period has passed.

use crate::{
    bindings,
    lock::BhLock,
    rcu::{self, Section},
    wheel::{Links, Wheel, UNLINKED},
    work,
};
use core::{
    cell::UnsafeCell,
    ffi::c_void,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering},
};
use kernel::{
    alloc::{KBox, KVec},
    prelude::*,
    types::Opaque,
};

/// log2 of the number of shards.
pub const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
/// log2 of the smallest number of buckets.
const MIN_ORDER: u32 = 10;
/// log2 of the largest number of buckets.
const MAX_ORDER: u32 = 24;
const SEGMENTS: usize = (MAX_ORDER - MIN_ORDER + 1) as usize;
/// Entries handled before a lock is released and other work let in.
const BATCH: usize = 64;
/// Sentinels put in or taken out, each under a lock of its own, before other work is let in.
const YIELD_AFTER: u32 = 1024;

const RESIZING: usize = 1;
const SENTINEL: usize = 1;

/// What an entry is about: at most 88 bytes.
pub trait Body: Send + Sync + 'static {
    /// The entry has just left the table; no reader will find it from now on, though some may
    /// still hold it. Called once, with bottom halves off and a shard locked.
    fn removed(&self);
}

/// An entry. Exactly 128 bytes, aligned: two cache lines, the first of which holds the link, the
/// hash and the first 48 bytes of the body.
#[repr(C, align(128))]
pub struct Entry<T: Body> {
    /// Written under the shard's lock, read under RCU.
    link: AtomicUsize,
    hash: u32,
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

    /// The second since boot in which it is due: the first that begins when its timeout is over,
    /// whenever in its second it was last used.
    pub fn due(&self) -> u32 {
        self.seen
            .load(Ordering::Relaxed)
            .wrapping_add(self.timeout())
            .wrapping_add(1)
    }

    /// Its neighbours in the wheel: to be used with the shard's lock held, while the entry is in
    /// the table.
    pub(crate) fn links(&self) -> *mut Links<T> {
        // A union's fields all start where it starts.
        self.tail.get().cast()
    }

    fn reversed(&self) -> u32 {
        self.hash.reverse_bits()
    }
}

impl<T: Body> Deref for Entry<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.body
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

struct Shard<T: Body> {
    count: usize,
    wheel: Wheel<T>,
}

/// A table of entries about `T`.
pub struct Table<T: Body>(KBox<Inner<T>>);

struct Inner<T: Body> {
    /// log2 of the number of buckets, shifted left by one, and [`RESIZING`].
    geometry: AtomicUsize,
    /// Sentinels: the first segment has 2^[`MIN_ORDER`], each further one doubles the table.
    segments: [AtomicPtr<AtomicUsize>; SEGMENTS],
    shards: KVec<Pin<KBox<BhLock<Shard<T>>>>>,
    /// A resize was asked for and has not begun.
    crowded: AtomicBool,
    resize: Opaque<bindings::knet_work>,
    _owns: PhantomData<T>,
}

// SAFETY: all parts are atomic or locked.
unsafe impl<T: Body> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Body> Sync for Table<T> {}

/// Why an entry could not be inserted.
pub enum Refused {
    /// There is one already that it would duplicate.
    Duplicate,
    /// No memory.
    NoMemory,
}

impl<T: Body> Table<T> {
    /// An empty table. Its slow timer starts in second `now`. Process context.
    pub fn new(now: u32) -> Result<Self> {
        if CACHE.load(Ordering::Acquire).is_null() {
            return Err(ENODEV);
        }
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let shard = Shard {
                count: 0,
                wheel: Wheel::new(now),
            };
            shards.push(KBox::pin_init(BhLock::new(shard), GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let inner = KBox::new(
            Inner {
                geometry: AtomicUsize::new((MIN_ORDER as usize) << 1),
                segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
                shards,
                crowded: AtomicBool::new(false),
                resize: Opaque::uninit(),
                _owns: PhantomData,
            },
            GFP_KERNEL,
        )?;
        let data = (&raw const *inner).cast::<c_void>().cast_mut();
        // SAFETY: the work lies in the box and is cancelled before that is freed.
        unsafe { bindings::knet_work_init(inner.resize.get(), Some(resize::<T>), data) };
        let table = Self(inner);
        table.0.add_segment(0)?;
        Ok(table)
    }

    /// The number of buckets. Any context.
    pub fn buckets(&self) -> u32 {
        1 << (self.0.geometry.load(Ordering::Relaxed) >> 1)
    }

    /// Finds the first entry with `hash` that `matches`. Any context.
    #[inline]
    pub fn find<'a>(
        &self,
        _section: &'a Section<'_>,
        hash: u32,
        matches: impl Fn(&T) -> bool,
    ) -> Option<&'a Entry<T>> {
        let geometry = self.0.geometry.load(Ordering::Acquire);
        let mut next = self
            .0
            .bucket(hash, geometry)
            .map_or(0, |link| link.load(Ordering::Acquire));
        loop {
            if next & SENTINEL != 0 {
                if geometry & RESIZING == 0 {
                    return None;
                }
                // SAFETY: a sentinel that a link names is freed only after a grace period.
                next = unsafe { sentinel(next) }.load(Ordering::Acquire);
                continue;
            }
            // SAFETY: an entry that a link names is freed only after a grace period.
            let entry = unsafe { (next as *const Entry<T>).as_ref() }?;
            if entry.hash == hash && matches(entry) {
                return Some(entry);
            }
            if geometry & RESIZING != 0 && entry.reversed() > hash.reverse_bits() {
                return None;
            }
            next = entry.link.load(Ordering::Acquire);
        }
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
        let () = Entry::<T>::SIZE_IS_128;
        // SAFETY: the cache outlives the table.
        let place = unsafe { bindings::knet_cache_alloc_atomic(CACHE.load(Ordering::Relaxed)) };
        let place = NonNull::new(place.cast::<Entry<T>>()).ok_or(Refused::NoMemory)?;
        // SAFETY: the cache's objects have the size and alignment of an entry.
        unsafe {
            place.write(Entry {
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
        // SAFETY: initialised above, and only freed after a grace period once it is published.
        let entry: &'a Entry<T> = unsafe { place.as_ref() };

        let mut shard = self.0.shard(hash).ok_or(Refused::NoMemory)?.lock();
        let geometry = self.0.geometry.load(Ordering::Acquire);
        let reversed = hash.reverse_bits();
        let mut duplicate = false;
        let before = self.0.walk(hash, geometry, |step| match step {
            Step::Entry(other) if other.hash == hash && duplicates(other) => {
                duplicate = true;
                true
            }
            Step::Entry(other) => other.reversed() > reversed,
            Step::Sentinel(bucket) => bucket.reverse_bits() > reversed,
        });
        let Some(before) = before.filter(|_| !duplicate) else {
            drop(shard);
            // SAFETY: never published, so it is ours alone; its body is dropped once, here.
            unsafe {
                ManuallyDrop::drop(&mut (*place.as_ptr()).body);
                bindings::knet_cache_free(place.as_ptr().cast::<c_void>());
            }
            return Err(Refused::Duplicate);
        };
        entry
            .link
            .store(before.load(Ordering::Relaxed), Ordering::Relaxed);
        before.store(place.as_ptr() as usize, Ordering::Release);
        shard.wheel.insert(entry);
        shard.count = shard.count.wrapping_add(1);
        // Twice the mean: a shard that is a little fuller than others is no reason.
        let crowded = shard.count > (2 << (geometry >> 1) >> SHARD_BITS)
            && (geometry >> 1) < MAX_ORDER as usize;
        drop(shard);

        if crowded && !self.0.crowded.swap(true, Ordering::Relaxed) {
            self.0.queue_resize();
        }
        Ok(entry)
    }

    /// Gives `entry` a new timeout in seconds. Softirq or process context.
    pub fn set_timeout(&self, entry: &Entry<T>, timeout: u32) {
        let former = entry.timeout.swap(timeout, Ordering::Relaxed);
        // One that is due later is put back when its former turn comes; an earlier one must move.
        if timeout < former {
            if let Some(shard) = self.0.shard(entry.hash) {
                shard.lock().wheel.reinsert(entry);
            }
        }
    }

    /// Removes `entry`, if it is still there. Softirq or process context.
    pub fn remove(&self, entry: &Entry<T>) {
        if let Some(shard) = self.0.shard(entry.hash) {
            self.0.remove(&mut shard.lock(), entry);
        }
    }

    /// Removes the entries that were due up to second `now`. Process context; gives way to others
    /// between batches.
    pub fn expire(&self, now: u32) {
        let mut count = 0usize;
        for shard in self.0.shards.iter() {
            loop {
                let mut shard = shard.lock();
                let mut left = BATCH;
                while left > 0 {
                    let Some(entry) = shard.wheel.advance(now, &mut left) else {
                        break;
                    };
                    // SAFETY: the wheel only holds entries that are in the table.
                    self.0.remove(&mut shard, unsafe { entry.as_ref() });
                }
                let done = left > 0;
                if done {
                    count = count.wrapping_add(shard.count);
                    break;
                }
                drop(shard);
                work::yield_now();
            }
            work::yield_now();
        }
        if self.0.wants(count) != self.0.order() {
            self.0.queue_resize();
        }
    }

    /// Removes all entries. Process context.
    pub fn clear(&self) {
        for shard in self.0.shards.iter() {
            loop {
                let mut shard = shard.lock();
                let mut left = BATCH;
                while left > 0 {
                    let Some(entry) = shard.wheel.any() else {
                        break;
                    };
                    // SAFETY: the wheel only holds entries that are in the table.
                    self.0.remove(&mut shard, unsafe { entry.as_ref() });
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
        // Sentinels are read under RCU only by those who can reach the table, and nobody can.
        for (number, segment) in self.0.segments.iter().enumerate() {
            let sentinels = segment.swap(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: `add_segment` allocated it with this length.
            unsafe { free_segment(sentinels, number) };
        }
    }
}

/// # Safety
///
/// `link` must be tagged and name a live sentinel.
unsafe fn sentinel<'a>(link: usize) -> &'a AtomicUsize {
    // SAFETY: by this function's contract.
    unsafe { &*((link & !SENTINEL) as *const AtomicUsize) }
}

/// What a writer meets on its way along a list.
enum Step<'a, T: Body> {
    Entry(&'a Entry<T>),
    /// The sentinel of this bucket, which a resize is putting in or taking out.
    Sentinel(u32),
}

impl<T: Body> Inner<T> {
    fn order(&self) -> u32 {
        (self.geometry.load(Ordering::Acquire) >> 1) as u32
    }

    fn shard(&self, hash: u32) -> Option<&BhLock<Shard<T>>> {
        self.shards
            .get(hash as usize & (SHARDS - 1))
            .map(|shard| &**shard)
    }

    /// The sentinel of the bucket that `hash` falls in.
    #[inline]
    fn bucket(&self, hash: u32, geometry: usize) -> Option<&AtomicUsize> {
        let mask = u32::MAX >> (32 - (geometry >> 1) as u32);
        self.sentinel_of(hash & mask)
    }

    #[inline]
    fn sentinel_of(&self, bucket: u32) -> Option<&AtomicUsize> {
        let (segment, index) = place(bucket);
        let sentinels = self.segments.get(segment)?.load(Ordering::Acquire);
        if sentinels.is_null() {
            return None;
        }
        // SAFETY: segment `n` has as many sentinels as `place` counts in it.
        Some(unsafe { &*sentinels.add(index) })
    }

    /// The bucket of a sentinel that a resize is putting in or taking out; none for one that
    /// stays, which ends the list that a writer works on.
    fn in_flight(&self, link: usize, geometry: usize) -> Option<u32> {
        if geometry & RESIZING == 0 {
            return None;
        }
        let order = (geometry >> 1) as u32;
        let first = self.sentinel_of(1u32.checked_shl(order)?)?;
        let offset = (link & !SENTINEL).wrapping_sub(ptr::from_ref(first) as usize);
        let index = offset / size_of::<usize>();
        (index < 1 << order).then(|| index as u32 | 1 << order)
    }

    /// Walks the list of `hash`'s bucket until `stop` says so or the list ends, and returns the
    /// link that leads to where it stopped. The shard's lock must be held.
    fn walk(
        &self,
        hash: u32,
        geometry: usize,
        mut stop: impl FnMut(Step<'_, T>) -> bool,
    ) -> Option<&AtomicUsize> {
        let mut link = self.bucket(hash, geometry)?;
        loop {
            let next = link.load(Ordering::Acquire);
            if next == 0 {
                return Some(link);
            }
            if next & SENTINEL != 0 {
                match self.in_flight(next, geometry) {
                    Some(bucket) if !stop(Step::Sentinel(bucket)) => {
                        // SAFETY: sentinels leave the list under the lock, and live longer.
                        link = unsafe { sentinel(next) };
                    }
                    _ => return Some(link),
                }
                continue;
            }
            // SAFETY: entries leave the list under the lock, and live longer.
            let entry = unsafe { &*(next as *const Entry<T>) };
            if stop(Step::Entry(entry)) {
                return Some(link);
            }
            link = &entry.link;
        }
    }

    /// Takes `entry` out of the locked `shard`, if it is still there.
    fn remove(&self, shard: &mut Shard<T>, entry: &Entry<T>) {
        if entry.slot.load(Ordering::Relaxed) == UNLINKED {
            return;
        }
        shard.wheel.remove(entry);
        let this = ptr::from_ref(entry);
        let geometry = self.geometry.load(Ordering::Acquire);
        let before = self.walk(entry.hash, geometry, |step| match step {
            Step::Entry(other) => ptr::eq(other, this),
            Step::Sentinel(_) => false,
        });
        if let Some(before) = before.filter(|link| link.load(Ordering::Relaxed) == this as usize) {
            before.store(entry.link.load(Ordering::Relaxed), Ordering::Release);
            shard.count = shard.count.wrapping_sub(1);
            entry.body.removed();
            // SAFETY: the entry is out of the wheel and the lists: its tail is ours, and the
            // callback is asked for once, since `slot` stays `UNLINKED`.
            unsafe {
                let head = &raw mut (*entry.tail.get()).head;
                head.write(bindings::callback_head::default());
                bindings::knet_call_rcu(head, Some(free_entry::<T>));
            }
        }
    }

    /// Allocates the sentinels of segment `number`. Process context.
    fn add_segment(&self, number: usize) -> Result {
        let count = segment_len(number);
        let mut links = kernel::alloc::KVVec::<AtomicUsize>::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            links.push(AtomicUsize::new(0), GFP_KERNEL)?;
        }
        let (pointer, _, _) = links.into_raw_parts();
        self.segments
            .get(number)
            .ok_or(EINVAL)?
            .store(pointer, Ordering::Release);
        Ok(())
    }

    /// The order that suits `count` entries: at most one entry a bucket, and half as many buckets
    /// only when there are fewer than one in four.
    fn wants(&self, count: usize) -> u32 {
        let order = self.order();
        let buckets = 1usize << order;
        if count > buckets && order < MAX_ORDER {
            order + 1
        } else if count < buckets / 4 && order > MIN_ORDER {
            order - 1
        } else {
            order
        }
    }

    fn queue_resize(&self) {
        // SAFETY: initialised when the table was made, and live.
        unsafe { bindings::knet_work_queue(self.resize.get(), 0) };
    }

    /// Doubles the number of buckets. In the resize work only.
    fn grow(&self) -> Result {
        let order = self.order();
        self.add_segment((order + 1 - MIN_ORDER) as usize)?;
        self.geometry
            .store((order as usize) << 1 | RESIZING, Ordering::Release);
        rcu::synchronize();
        let half = 1u32 << order;
        for bucket in half..half << 1 {
            let (Some(new), Some(shard)) = (self.sentinel_of(bucket), self.shard(bucket)) else {
                continue;
            };
            if bucket % YIELD_AFTER == 0 {
                work::yield_now();
            }
            let _shard = shard.lock();
            let reversed = bucket.reverse_bits();
            let place = self.walk(bucket, (order as usize) << 1, |step| match step {
                Step::Entry(entry) => entry.reversed() >= reversed,
                Step::Sentinel(_) => true,
            });
            if let Some(link) = place {
                new.store(link.load(Ordering::Relaxed), Ordering::Relaxed);
                link.store(ptr::from_ref(new) as usize | SENTINEL, Ordering::Release);
            }
        }
        self.geometry
            .store((order as usize + 1) << 1, Ordering::Release);
        Ok(())
    }

    /// Halves the number of buckets. In the resize work only.
    fn shrink(&self) {
        let order = self.order() - 1;
        let geometry = (order as usize) << 1 | RESIZING;
        self.geometry.store(geometry, Ordering::Release);
        rcu::synchronize();
        let half = 1u32 << order;
        for bucket in half..half << 1 {
            let (Some(old), Some(shard)) = (self.sentinel_of(bucket), self.shard(bucket)) else {
                continue;
            };
            let _shard = shard.lock();
            let place = self.walk(
                bucket,
                geometry,
                |step| matches!(step, Step::Sentinel(other) if other == bucket),
            );
            let tagged = ptr::from_ref(old) as usize | SENTINEL;
            if let Some(link) = place.filter(|link| link.load(Ordering::Relaxed) == tagged) {
                link.store(old.load(Ordering::Relaxed), Ordering::Release);
            }
        }
        self.geometry
            .store((order as usize) << 1, Ordering::Release);
        rcu::synchronize();
        let number = (order + 1 - MIN_ORDER) as usize;
        if let Some(segment) = self.segments.get(number) {
            let sentinels = segment.swap(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: no list names its sentinels any more and no reader can hold one.
            unsafe { free_segment(sentinels, number) };
        }
    }
}

/// Segment and index in it of the sentinel of `bucket`.
#[inline]
fn place(bucket: u32) -> (usize, usize) {
    match (bucket >> MIN_ORDER).checked_ilog2() {
        None => (0, bucket as usize),
        Some(n) => (n as usize + 1, (bucket ^ (1 << (n + MIN_ORDER))) as usize),
    }
}

/// The number of sentinels in segment `number`.
fn segment_len(number: usize) -> usize {
    1 << (MIN_ORDER as usize + number.saturating_sub(1))
}

/// # Safety
///
/// `sentinels` must be null or what [`Inner::add_segment`] stored for `number`, and unreachable.
unsafe fn free_segment(sentinels: *mut AtomicUsize, number: usize) {
    if !sentinels.is_null() {
        let len = segment_len(number);
        // SAFETY: by this function's contract; the vector was full, so its capacity is known to
        // be at least its length, and freeing does not depend on it.
        drop(unsafe { kernel::alloc::KVVec::from_raw_parts(sentinels, len, len) });
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
    loop {
        let count = table
            .shards
            .iter()
            .fold(0usize, |sum, shard| sum.wrapping_add(shard.lock().count));
        let order = table.order();
        match table.wants(count).cmp(&order) {
            core::cmp::Ordering::Greater if table.grow().is_ok() => {}
            core::cmp::Ordering::Less => table.shrink(),
            _ => return,
        }
        work::yield_now();
    }
}

/// Drops and frees an entry after its grace period. Softirq.
///
/// # Safety
///
/// `head` must be the head of an entry that was taken out of its table.
unsafe extern "C" fn free_entry<T: Body>(head: *mut bindings::callback_head) {
    let offset = core::mem::offset_of!(Entry<T>, tail);
    // SAFETY: the head is the entry's tail, and nobody else has the entry any more; the body is
    // dropped once, here.
    unsafe {
        let entry = head.byte_sub(offset).cast::<Entry<T>>();
        ManuallyDrop::drop(&mut (*entry).body);
        bindings::knet_cache_free(entry.cast::<c_void>());
    }
}
