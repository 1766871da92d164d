// SPDX-License-Identifier: GPL-2.0-only

//! The hash of connections: 128-byte entries that readers find under RCU, resized while packets
//! flow.
//!
//! The algorithm is [`lvs_core::buckets`], which explains why no reader misses an entry.
//! [`buckets`] has their memory and resizes them. [`entry`] has the entries, [`wheel`] the slow
//! timer, and [`shards`] the locks. This file has the interface.
//!
//! # Crowded keys
//!
//! All entries of a key have the same hash, so a lookup examines them in turn. At most [`CROWD`]
//! entries share a hash. Further ones are inserted *apart*, under a hash that covers both ends of
//! the connection ([`Newcomer::hash_apart`]), in the same buckets. A reader looks there when it
//! does not find an entry by its key and [`Table::has_apart`].
//!
//! A reader with the server's end instead of the virtual end finds such an entry by its *alias*,
//! which has a hash and a body of its own. Aliases that readers cannot distinguish form a ring.
//! Only the newest alias of a ring is in a bucket, so no list grows with the number of entries.
//!
//! # Room for new entries
//!
//! When the table is full, a new entry replaces the oldest half-open one of a shard
//! ([`Body::is_half_open`]).

mod buckets;
mod cache;
mod entry;
mod shards;
mod wheel;

pub use cache::Cache;
pub use entry::{key_of, Body, Entry};

use crate::{bindings, lock::BhLock, memory::Payer, rcu::Section, work};
use buckets::Buckets;
use cache::Slab;
use core::{
    ffi::c_void,
    ops::Deref,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use entry::Retired;
use kernel::{alloc::KBox, prelude::*, sync::Arc, types::Opaque};
use lvs_core::buckets::{self as algorithm, Inserted};
use shards::{Shard, Shards, SHARD_BITS};

/// The number of entries with the same hash, beyond which further ones are inserted apart.
pub const CROWD: usize = 8;
/// The number of entries in a batch: some 40,000 instructions. After a batch, the lock is released
/// and other work can run.
const BATCH: usize = 32;
/// The maximum number of entries that a new one examines to find a half-open one.
const EXAMINED: usize = 64;
/// The maximum number of half-open entries that are removed to make room for one new entry.
const EVICTIONS: u32 = 8;

/// A table of entries about `T`.
pub struct Table<T: Body>(KBox<Inner<T>>);

struct Inner<T: Body> {
    buckets: Buckets,
    shards: Shards<T>,
    slab: Arc<Slab>,
    limit: AtomicUsize,
    /// The number of entries that are apart.
    apart: AtomicUsize,
    /// The number of aliases in buckets.
    aliases: AtomicUsize,
    busy: Busy,
    /// The number of half-open entries that were removed to make room for others.
    evicted: AtomicU64,
    /// A resize was queued and has not begun, or there was no memory for it.
    queued: AtomicBool,
    resize: Opaque<bindings::knet_work>,
}

/// What new entries write: a cache line of its own, so that they do not slow down lookups.
#[repr(align(64))]
struct Busy {
    /// The number of entries.
    count: AtomicUsize,
    /// One bit for each shard. A clear bit means a shard without half-open entries.
    half_open: AtomicU64,
}

// SAFETY: all parts are atomic or locked.
unsafe impl<T: Body> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Body> Sync for Table<T> {}

/// Why an entry was not inserted.
pub enum Refused {
    /// The table has an entry that this one would duplicate.
    Duplicate,
    /// The table has as many entries as its limit allows.
    Full,
    /// There is no memory.
    NoMemory,
}

/// The properties of a new entry that [`Table::insert`] needs.
pub trait Newcomer<T> {
    /// Whether the new entry would duplicate `other`. Must be false for aliases.
    fn duplicates(&self, other: &T) -> bool;
    /// The hash under which the new entry is inserted if its key is crowded.
    fn hash_apart(&self) -> u32;
    /// The hash and the body of its alias, if the entry needs one when it is apart.
    #[inline]
    fn alias(&self, _body: &T) -> Option<(u32, T)> {
        None
    }
    /// Whether a reader cannot distinguish two entries with the same hash, or two aliases. It then
    /// finds the newer one.
    #[inline]
    fn are_alike(&self, _one: &T, _other: &T) -> bool {
        false
    }
    /// Called when the entry of `other` was removed, to make room for the new one. No lock is held.
    fn evicted(&self, other: &T);
}

/// Where a lookup of a hash leads: a hint of [`Table::look_ahead`], which
/// [`Table::find_ahead`] takes.
pub struct Ahead<'a, T: Body>(Option<&'a Entry<T>>);

impl<T: Body> Clone for Ahead<'_, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Body> Copy for Ahead<'_, T> {}

impl<T: Body> Ahead<'_, T> {
    /// Nobody knows.
    pub const UNKNOWN: Self = Self(None);
}

/// An entry of a table, together with the table.
///
/// # Invariants
///
/// The entry is in the table, or was in it and has been removed.
pub struct Member<'a, T: Body> {
    table: &'a Table<T>,
    entry: &'a Entry<T>,
}

impl<T: Body> Clone for Member<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Body> Copy for Member<'_, T> {}

impl<T: Body> Deref for Member<'_, T> {
    type Target = Entry<T>;

    #[inline]
    fn deref(&self) -> &Entry<T> {
        self.entry
    }
}

impl<'a, T: Body> Member<'a, T> {
    /// The entry, for as long as it cannot be freed.
    #[inline]
    pub fn entry(self) -> &'a Entry<T> {
        self.entry
    }

    /// Gives the entry a new timeout in seconds. Softirq or process context.
    pub fn set_timeout(self, timeout: u32) {
        let former = self.entry.swap_timeout(timeout);
        // If the entry is due later, the wheel finds that out at the former time. If it is due
        // earlier, it must move.
        if timeout < former {
            if let Some(shard) = self.table.0.shards.of(self.entry.hash) {
                let mut shard = shard.lock();
                // SAFETY: the shard of the entry's hash is locked.
                unsafe { shard.wheel.reinsert(self.entry) };
                self.table.0.note_half_open(self.entry.hash, &shard);
            }
        }
    }

    /// Removes the entry from the table, if it is still there. Softirq or process context.
    pub fn remove(self) {
        let table = &self.table.0;
        let Some(shard) = table.shards.of(self.entry.hash) else {
            return;
        };
        // SAFETY: by the invariant the entry was in the table, and this is the shard of its hash.
        if unsafe { table.take_out(&mut shard.lock(), self.entry) } {
            // SAFETY: removed here.
            unsafe {
                table.take_out_alias(self.entry);
                self.entry.retire();
            }
        }
    }
}

impl<T: Body> Table<T> {
    /// An empty table; `payer` is charged for its entries and buckets. Its slow timer starts in
    /// second `now`. [`ENODEV`]: there is no [`Cache`]. Process context.
    pub fn new(now: u32, payer: Payer) -> Result<Self> {
        let slab = Slab::current()?;
        let inner = KBox::new(
            Inner {
                buckets: Buckets::new(payer, &slab)?,
                shards: Shards::new(now)?,
                slab,
                limit: AtomicUsize::new(usize::MAX),
                apart: AtomicUsize::new(0),
                aliases: AtomicUsize::new(0),
                busy: Busy {
                    count: AtomicUsize::new(0),
                    half_open: AtomicU64::new(0),
                },
                evicted: AtomicU64::new(0),
                queued: AtomicBool::new(false),
                resize: Opaque::uninit(),
            },
            GFP_KERNEL,
        )?;
        let data = (&raw const *inner).cast::<c_void>().cast_mut();
        // SAFETY: the work is in the box and is canceled before that is freed.
        unsafe { bindings::knet_work_init(inner.resize.get(), Some(resize::<T>), data) };
        Ok(Self(inner))
    }

    /// The number of entries that the present buckets are made for: a power of two. Any context.
    pub fn room(&self) -> u32 {
        self.0.buckets.room()
    }

    /// The number of entries. Any context.
    pub fn count(&self) -> usize {
        self.0.busy.count.load(Ordering::Relaxed)
    }

    /// The number of half-open entries that were removed to make room for others. Any context.
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// The number of entries that are apart. Any context.
    pub fn apart(&self) -> usize {
        self.0.apart.load(Ordering::Relaxed)
    }

    /// Whether there are entries apart, which [`Self::find`] finds by their other hash, and
    /// [`Self::find_aliased`]. Any context.
    #[inline]
    pub fn has_apart(&self) -> bool {
        self.0.apart.load(Ordering::Relaxed) != 0
    }

    /// Limits the number of entries. Entries in the table stay. Any context.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Finds the first entry with `hash` that `matches`. Any context.
    #[inline(always)]
    pub fn find<'a>(
        &'a self,
        _section: &'a Section<'_>,
        hash: u32,
        matches: impl Fn(&T) -> bool,
    ) -> Option<Member<'a, T>> {
        // SAFETY: the section is the read lock, for `'a`.
        let filled = unsafe { self.0.buckets.with_entries::<T>() };
        let entry = algorithm::find(&filled, hash, |entry| matches(entry))?;
        // INVARIANT: found in this table.
        Some(Member { table: self, entry })
    }

    /// The same, where [`Self::look_ahead`] has told where the lookup leads, for a packet that
    /// shares its read section. An entry that has been removed since may be found. Any context.
    #[inline(always)]
    pub fn find_ahead<'a>(
        &'a self,
        section: &'a Section<'_>,
        hash: u32,
        ahead: Ahead<'a, T>,
        matches: impl Fn(&T) -> bool,
    ) -> Option<Member<'a, T>> {
        match ahead.0 {
            // INVARIANT: it was found in this table.
            Some(entry) if entry.hash == hash && matches(entry) => {
                Some(Member { table: self, entry })
            }
            _ => self.find(section, hash, matches),
        }
    }

    /// Has the processor load what lookups of the first `N` of these hashes will read: the
    /// buckets, and the entries that these have for the hashes. Returns where the lookups lead, in
    /// the order of the hashes. Any context.
    #[inline(always)]
    pub fn look_ahead<'a, const N: usize>(
        &'a self,
        _section: &'a Section<'_>,
        hashes: impl Iterator<Item = u32> + Clone,
    ) -> [Ahead<'a, T>; N] {
        let mut ways = [Ahead::UNKNOWN; N];
        // SAFETY: the section is the read lock, for `'a`.
        let filled = unsafe { self.0.buckets.with_entries::<T>() };
        // In turn, so that the memory of all lookups loads at once.
        for hash in hashes.clone().take(N) {
            filled.prefetch_bucket(hash);
        }
        for (way, hash) in ways.iter_mut().zip(hashes) {
            way.0 = algorithm::candidate(&filled, hash).map(Entry::prefetch);
        }
        ways
    }

    /// Finds the entry whose alias has this `hash` and `matches`. Any context.
    pub fn find_aliased<'a>(
        &'a self,
        section: &'a Section<'_>,
        hash: u32,
        matches: impl Fn(&T) -> bool,
    ) -> Option<Member<'a, T>> {
        let alias = self.find(section, hash, matches)?;
        // INVARIANT: an alias is in a bucket only while its entry is in this table, or about to
        // be inserted or retired; and it stays for `'a`.
        Some(Member {
            table: self,
            entry: alias.entry.aliased()?,
        })
    }

    /// Calls `f` for the entries with the lowest key that is not below `from`. Returns that key, or
    /// `None` if there are no more entries. To visit all entries, continue with the key after the
    /// returned one. Any context.
    pub fn first_from(
        &self,
        _section: &Section<'_>,
        from: u32,
        mut f: impl FnMut(Member<'_, T>),
    ) -> Option<u32> {
        // SAFETY: the section is the read lock, for as long as the call.
        let filled = unsafe { self.0.buckets.with_entries::<T>() };
        // INVARIANT: found in this table.
        algorithm::first_from(&filled, from, |entry| {
            if !entry.is_alias() {
                f(Member { table: self, entry });
            }
        })
    }

    /// Inserts an entry about `body`, last used in second `now`. It expires when it is unused for
    /// `timeout` seconds. If the table has an entry that `newcomer` duplicates, nothing is
    /// inserted. Softirq or process context.
    pub fn insert<'a>(
        &'a self,
        section: &'a Section<'_>,
        hash: u32,
        body: T,
        now: u32,
        timeout: u32,
        newcomer: &impl Newcomer<T>,
    ) -> Result<Member<'a, T>, Refused> {
        self.insert_with(section, hash, now, newcomer, || body, |_| timeout)
    }

    /// Does what [`Self::insert`] does, without copying the body. `make` returns the body. `finish`
    /// may change it in its place, and returns the timeout. Neither is called if the table is full
    /// or there is no memory. Softirq or process context.
    pub fn insert_with<'a>(
        &'a self,
        section: &'a Section<'_>,
        hash: u32,
        now: u32,
        newcomer: &impl Newcomer<T>,
        make: impl FnOnce() -> T,
        finish: impl FnOnce(&mut T) -> u32,
    ) -> Result<Member<'a, T>, Refused> {
        let counted = self.0.count_in(hash, newcomer).ok_or(Refused::Full)?;
        let (slab, payer) = (&self.0.slab, self.0.buckets.payer());
        let place = Entry::alloc(slab, payer, hash, now, make, finish);
        let place = place.ok_or(Refused::NoMemory)?;
        // SAFETY: initialized, and once it is published freed only after a grace period.
        let entry: &'a Entry<T> = unsafe { place.as_ref() };
        let is_apart = || {
            self.has_apart()
                && self
                    .find(section, newcomer.hash_apart(), |other| {
                        newcomer.duplicates(other)
                    })
                    .is_some()
        };
        let is_full = self.0.is_full(&counted);
        let mut shard = self.0.shards.of(hash).ok_or(Refused::NoMemory)?.lock();
        // SAFETY: the shard is locked, in a read section for `'a`.
        let filled = unsafe { self.0.buckets.with_entries::<T>() };
        let duplicates = |other: &Entry<T>| newcomer.duplicates(other);
        let is_like = |other: &Entry<T>| newcomer.are_alike(entry, other);
        match algorithm::insert(&filled, entry, CROWD, is_like, duplicates, is_apart) {
            Inserted::Yes => {}
            Inserted::Duplicate => {
                drop(shard);
                // SAFETY: never published, so this is the only reference.
                unsafe { Entry::free(place) };
                return Err(Refused::Duplicate);
            }
            Inserted::Crowded => {
                drop(shard);
                let timeout = entry.timeout();
                // SAFETY: as above.
                let body = unsafe { Entry::take_body(place) };
                return self.insert_apart(section, hash, body, now, timeout, newcomer, counted);
            }
        }
        // SAFETY: the shard of the entry's hash is locked, and `take_out` removes the entry.
        unsafe { shard.wheel.insert(entry) };
        self.0.note_half_open(hash, &shard);
        core::mem::forget(counted);
        drop(shard);
        if is_full {
            self.0.request_resize();
        }
        // INVARIANT: just inserted.
        Ok(Member { table: self, entry })
    }

    /// Inserts an entry whose key, with the hash `home`, is crowded.
    #[cold]
    #[expect(clippy::too_many_arguments)]
    fn insert_apart<'a>(
        &'a self,
        section: &'a Section<'_>,
        home: u32,
        body: T,
        now: u32,
        timeout: u32,
        newcomer: &impl Newcomer<T>,
        counted: Counted<'_>,
    ) -> Result<Member<'a, T>, Refused> {
        let table = &self.0;
        let hash = newcomer.hash_apart();
        let (slab, payer) = (&table.slab, table.buckets.payer());
        let place = match newcomer.alias(&body) {
            Some(alias) => Entry::alloc_pair(slab, payer, hash, body, alias, now, timeout),
            None => Entry::alloc_apart(slab, payer, hash, body, now, timeout),
        };
        let place = place.ok_or(Refused::NoMemory)?;
        // SAFETY: initialized, and freed only after a grace period from here on.
        let entry: &'a Entry<T> = unsafe { place.as_ref() };
        // INVARIANT: it is in the table when the caller gets it.
        let member = Member { table: self, entry };
        let duplicates = |other: &T| newcomer.duplicates(other);
        let is_full = table.is_full(&counted);
        let mut published = false;

        table.apart.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the alias is new, and `section` is the read section.
        unsafe { table.insert_alias(entry, |alias, other| newcomer.are_alike(alias, other)) };
        let stays = algorithm::insert_apart(
            || {
                let Some(shard) = table.shards.of(hash) else {
                    return false;
                };
                let mut shard = shard.lock();
                // SAFETY: the shard is locked, in a read section for `'a`.
                let filled = unsafe { table.buckets.with_entries::<T>() };
                let duplicates = |other: &Entry<T>| duplicates(other);
                let is_like = |other: &Entry<T>| newcomer.are_alike(entry, other);
                let inserted =
                    algorithm::insert(&filled, entry, usize::MAX, is_like, duplicates, || false);
                if inserted != Inserted::Yes {
                    return false;
                }
                published = true;
                // SAFETY: as in `insert`.
                unsafe { shard.wheel.insert(entry) };
                table.note_half_open(hash, &shard);
                core::mem::forget(counted);
                true
            },
            || {
                // The lock makes every entry visible that inserters of that hash have published.
                let _shard = table.shards.of(home).map(|shard| shard.lock());
                self.find(section, home, duplicates).is_some()
            },
            || member.remove(),
        );
        if !published {
            table.apart.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: not in the table; a reader may have found it by its alias.
            unsafe {
                table.take_out_alias(entry);
                entry.retire();
            }
        }
        if is_full {
            table.request_resize();
        }
        if stays {
            Ok(member)
        } else {
            Err(Refused::Duplicate)
        }
    }

    /// Removes the entries that are due up to second `now`, and calls `ended` for each one with no
    /// lock held. Process context. Other work can run between batches.
    ///
    /// A million entries that expire together would be a burst of RCU callbacks in softirq, so this
    /// waits for one grace period and frees them itself.
    pub fn expire(&self, now: u32, mut ended: impl FnMut(&T)) {
        let mut retired = Retired::new();
        for shard in self.0.shards.iter() {
            loop {
                let last = retired.last();
                let more = self.0.take_out_batch(shard, &mut retired, |shard, budget| {
                    shard.wheel.advance(now, budget)
                });
                retired.for_each_since(last, |entry| ended(entry));
                work::yield_now();
                if !more {
                    break;
                }
            }
        }
        if self.0.buckets.should_resize(self.0.in_buckets()) {
            self.0.queue_resize();
        }
    }

    /// Removes all entries. Process context.
    pub fn clear(&self) {
        let mut retired = Retired::new();
        for shard in self.0.shards.iter() {
            while self.0.take_out_batch(shard, &mut retired, |shard, budget| {
                *budget = budget.checked_sub(1)?;
                shard.wheel.any()
            }) {
                work::yield_now();
            }
        }
    }
}

impl<T: Body> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`; waits for a resize that is running.
        unsafe { bindings::knet_work_cancel(self.0.resize.get()) };
        self.clear();
    }
}

impl<T: Body> Inner<T> {
    /// The number of entries and aliases in the buckets.
    fn in_buckets(&self) -> usize {
        let entries = self.busy.count.load(Ordering::Relaxed);
        entries.wrapping_add(self.aliases.load(Ordering::Relaxed))
    }

    /// Whether the table, with an entry that is `counted`, needs more buckets.
    #[inline]
    fn is_full(&self, counted: &Counted<'_>) -> bool {
        let aliases = self.aliases.load(Ordering::Relaxed);
        self.buckets.is_full(counted.number.wrapping_add(aliases))
    }

    fn queue_resize(&self) {
        // SAFETY: initialized when the table was made, and live.
        unsafe { bindings::knet_work_queue(self.resize.get(), 0) };
    }

    /// Queues a resize, unless one is queued already. Any context.
    fn request_resize(&self) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.queue_resize();
        }
    }

    /// Records whether the locked `shard` of `hash` may have half-open entries.
    #[inline]
    fn note_half_open(&self, hash: u32, shard: &Shard<T>) {
        let bit = 1u64.wrapping_shl(hash & ((1 << SHARD_BITS) - 1));
        let half_open = &self.busy.half_open;
        if shard.wheel.may_have_half_open() && half_open.load(Ordering::Relaxed) & bit == 0 {
            half_open.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Counts an entry before it is inserted, so the limit is never exceeded. If the table is full,
    /// half-open entries make room; `hash` is that of the new entry.
    #[inline]
    fn count_in(&self, hash: u32, newcomer: &impl Newcomer<T>) -> Option<Counted<'_>> {
        let counted = Counted::new(self);
        if counted.is_some() {
            return counted;
        }
        self.count_in_after_eviction(hash, newcomer)
    }

    #[cold]
    fn count_in_after_eviction(
        &self,
        hash: u32,
        newcomer: &impl Newcomer<T>,
    ) -> Option<Counted<'_>> {
        for _ in 0..EVICTIONS {
            if !self.make_room(hash, newcomer) {
                return None;
            }
            // Another CPU may have used the room.
            let counted = Counted::new(self);
            if counted.is_some() {
                return counted;
            }
        }
        None
    }

    /// Removes the oldest half-open entry of the first shard that has one, starting with the shard
    /// of `hash`. Returns false if there is none.
    #[cold]
    fn make_room(&self, hash: u32, newcomer: &impl Newcomer<T>) -> bool {
        let mut budget = EXAMINED;
        for n in 0..1u32 << SHARD_BITS {
            let number = hash.wrapping_add(n) & ((1 << SHARD_BITS) - 1);
            let bit = 1u64.wrapping_shl(number);
            if budget == 0 {
                return false;
            }
            if self.busy.half_open.load(Ordering::Relaxed) & bit == 0 {
                continue;
            }
            let Some(shard) = self.shards.of(number) else {
                return false;
            };
            let mut shard = shard.lock();
            let oldest = shard.wheel.oldest_half_open(&mut budget);
            let Some(entry) = oldest else {
                if !shard.wheel.may_have_half_open() {
                    self.busy.half_open.fetch_and(!bit, Ordering::Relaxed);
                }
                continue;
            };
            // SAFETY: the shard's wheel only holds live entries that are in the table. It is freed
            // after a grace period that begins when it is retired.
            let entry = unsafe { entry.as_ref() };
            // SAFETY: this is the entry's shard.
            if unsafe { self.take_out(&mut shard, entry) } {
                drop(shard);
                newcomer.evicted(entry);
                // SAFETY: removed here.
                unsafe {
                    self.take_out_alias(entry);
                    entry.retire();
                }
                self.evicted.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Removes the entries that `next` selects from the shard and moves them to `retired`. Returns
    /// true when the budget of a batch is spent, false when there are no more. Process context.
    fn take_out_batch(
        &self,
        shard: &BhLock<Shard<T>>,
        retired: &mut Retired<T>,
        mut next: impl FnMut(&mut Shard<T>, &mut usize) -> Option<NonNull<Entry<T>>>,
    ) -> bool {
        let mut budget = BATCH;
        let mut paired = false;
        let last = retired.last();
        let mut shard = shard.lock();
        while budget > 0 {
            let Some(entry) = next(&mut shard, &mut budget) else {
                break;
            };
            // SAFETY: the shard's wheel only holds live entries that are in the table.
            unsafe {
                let entry = entry.as_ref();
                if self.take_out(&mut shard, entry) {
                    paired |= entry.alias().is_some();
                    retired.push(entry);
                }
            }
        }
        drop(shard);
        if paired {
            retired.for_each_since(last, |entry| {
                // SAFETY: removed above, and freed when `retired` is dropped.
                unsafe { self.take_out_alias(entry) };
            });
        }
        budget == 0
    }

    /// Inserts the alias of `entry`, if it has one. It takes the place of one in a bucket that is
    /// the `same`, so readers find the newest entry.
    ///
    /// # Safety
    ///
    /// The alias must be in no list. The caller must be in a read section.
    unsafe fn insert_alias(&self, entry: &Entry<T>, same: impl Fn(&T, &T) -> bool) {
        let Some(alias) = entry.alias() else {
            return;
        };
        let Some(shard) = self.shards.of(alias.hash) else {
            return;
        };
        let _shard = shard.lock();
        // SAFETY: the shard is locked, in a read section.
        let filled = unsafe { self.buckets.with_entries::<T>() };
        let head = algorithm::find(&filled, alias.hash, |other| {
            other.is_alias() && same(alias, other)
        });
        match head {
            Some(head) => {
                algorithm::replace(&filled, head, alias);
                // SAFETY: the shard is locked, and all of a ring have the same hash.
                unsafe { entry::link_before(head, alias) };
            }
            None => {
                algorithm::insert(&filled, alias, usize::MAX, |_| false, |_| false, || false);
                self.aliases.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes the alias of `entry`, if it has one.
    ///
    /// # Safety
    ///
    /// The caller must have just removed `entry`, for good, or never have published it.
    unsafe fn take_out_alias(&self, entry: &Entry<T>) {
        let Some(alias) = entry.alias() else {
            return;
        };
        let Some(shard) = self.shards.of(alias.hash) else {
            return;
        };
        let _shard = shard.lock();
        // SAFETY: the shard is locked.
        let filled = unsafe { self.buckets.with_entries::<T>() };
        // SAFETY: the shard is locked, and the alias was inserted.
        match unsafe { entry::unlink(alias) } {
            entry::Unlinked::Member => {}
            entry::Unlinked::Head(next) => {
                algorithm::replace(&filled, alias, next);
            }
            entry::Unlinked::Last => {
                if algorithm::remove(&filled, alias) {
                    self.aliases.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Removes `entry` from its bucket and the wheel of the locked `shard`, for good; false if it
    /// was removed before. If true, the caller must retire the entry.
    ///
    /// # Safety
    ///
    /// The entry must be in this table, or have been, and `shard` be the shard of its hash.
    unsafe fn take_out(&self, shard: &mut Shard<T>, entry: &Entry<T>) -> bool {
        // SAFETY: the shard is the entry's and is locked. The wheel inserts an entry once only, so
        // one that is not in the wheel is in no bucket either.
        if !unsafe { shard.wheel.remove(entry) } {
            return false;
        }
        // SAFETY: the shard is locked.
        let filled = unsafe { self.buckets.with_entries() };
        let was_in = algorithm::remove(&filled, entry);
        if was_in {
            self.busy.count.fetch_sub(1, Ordering::Relaxed);
            if entry.is_apart() {
                self.apart.fetch_sub(1, Ordering::Relaxed);
            }
            entry.removed();
        }
        was_in
    }
}

/// An entry that is counted before it is inserted.
struct Counted<'a> {
    count: &'a AtomicUsize,
    /// The number of entries with this one.
    number: usize,
}

impl<'a> Counted<'a> {
    fn new<T: Body>(table: &'a Inner<T>) -> Option<Self> {
        let count = &table.busy.count;
        let former = count.fetch_add(1, Ordering::Relaxed);
        let counted = Self {
            count,
            number: former.wrapping_add(1),
        };
        (former < table.limit.load(Ordering::Relaxed)).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Resizes the table until the size suits.
///
/// # Safety
///
/// `data` must be the `Inner<T>` of a live table.
unsafe extern "C" fn resize<T: Body>(data: *mut c_void) {
    // SAFETY: by this function's contract.
    let table = unsafe { &*data.cast::<Inner<T>>() };
    table.queued.store(false, Ordering::Relaxed);
    if !table.buckets.resize(&table.shards, || table.in_buckets()) {
        // Not with each new entry: the slow timer tries again.
        table.queued.store(true, Ordering::Relaxed);
    }
}
