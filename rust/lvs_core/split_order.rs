// SPDX-License-Identifier: GPL-2.0-only

//! The split-ordered list of Shalev and Shavit ("Split-Ordered Lists: Lock-Free Extensible Hash
//! Tables", JACM 53(3), 2006), with locked writers, and readers that never wait.
//!
//! Entries are in singly linked lists, sorted by their bit-reversed hash. A bucket is a sentinel in
//! such a list. Doubling the table only inserts a sentinel into the middle of each bucket. No entry
//! moves, so a reader never misses one, never waits and never starts again.
//!
//! While no resize is in progress, a reader stops at the next sentinel without looking at it.
//! During a resize it walks through sentinels and stops at the first entry beyond its hash. One
//! word, the [`Geometry`], holds the number of buckets and whether a resize is in progress, so a
//! reader sees a matching pair:
//!
//! - [`grow`]: publish "resizing"; wait for a grace period, after which no reader stops at
//!   sentinels; insert the sentinels; publish the new size;
//! - [`shrink`]: publish the smaller size and "resizing"; wait, after which no reader starts at the
//!   upper sentinels; remove them; publish "not resizing"; wait, after which no reader is at one;
//!   free them.
//!
//! # Memory ordering
//!
//! An entry is complete before the link to it is stored (release), and links are loaded with
//! acquire. An entry or sentinel that was removed keeps its own link until a grace period has
//! passed. Writers load the geometry under the lock of the list that they change. A resize
//! publishes before it takes that lock, so the writers' geometry fits the list.
//!
//! # Crowded keys
//!
//! Entries whose keys are equal have equal hashes, and no resize separates them. So [`insert`]
//! takes a limit. Entries beyond it are inserted apart, under a hash that covers more than the key
//! ([`insert_apart`]). A reader that does not find an entry by its key looks there.
//!
//! # Where the words are
//!
//! The algorithm accesses memory only through [`Lists`] and [`Resizable`]. The kernel implements
//! them with pointers, the model in `tests/loom` with loom's atomics.

use core::{num::NonZeroUsize, sync::atomic::Ordering};

/// Tag of a link to a sentinel.
const SENTINEL: usize = 1;
const RESIZING: usize = 1;

/// The number of buckets, a power of two, and whether a resize is in progress: one word. It has the
/// mask of a bucket's number, which a lookup needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry(usize);

impl Geometry {
    /// 2^`order` buckets, and no resize.
    #[inline]
    pub const fn settled(order: u32) -> Self {
        Self(1usize.wrapping_shl(order).wrapping_sub(1) << 1)
    }

    /// 2^`order` buckets whose lists may hold further sentinels, of the next order.
    #[inline]
    pub const fn resizing(order: u32) -> Self {
        Self(Self::settled(order).0 | RESIZING)
    }

    /// The geometry in a word from [`word`](Self::word).
    #[inline]
    pub const fn from_word(word: usize) -> Self {
        Self(word)
    }

    /// The word to store.
    #[inline]
    pub const fn word(self) -> usize {
        self.0
    }

    /// log2 of the number of buckets.
    #[inline]
    pub const fn order(self) -> u32 {
        (self.0 >> 1).trailing_ones()
    }

    /// Whether a resize is in progress.
    #[inline]
    pub const fn is_resizing(self) -> bool {
        self.0 & RESIZING != 0
    }

    /// The bucket of `hash`.
    #[inline]
    const fn bucket(self, hash: u32) -> u32 {
        hash & (self.0 >> 1) as u32
    }
}

/// The target of a link: a sentinel that `S` names, or an entry that `E` names. The end of the last
/// list has neither. (There are two variants, so reading a link only tests the tag.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<E, S> {
    /// An entry, or the end.
    Entry(Option<E>),
    /// A sentinel, the start of a bucket.
    Sentinel(S),
}

impl Target<NonZeroUsize, usize> {
    /// Reads the word of a link: an even address. The lowest bit is set for a sentinel.
    #[inline]
    pub const fn from_word(word: usize) -> Self {
        if word & SENTINEL != 0 {
            Self::Sentinel(word & !SENTINEL)
        } else {
            Self::Entry(NonZeroUsize::new(word))
        }
    }

    /// The word to store.
    #[inline]
    pub const fn word(self) -> usize {
        match self {
            Self::Entry(None) => 0,
            Self::Entry(Some(address)) => address.get(),
            Self::Sentinel(address) => address | SENTINEL,
        }
    }
}

/// The place of a sentinel. The first segment has the smallest table. Each further segment doubles
/// the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the segment.
    pub segment: usize,
    /// Index in the segment.
    pub index: usize,
}

/// The place of the sentinel of `bucket`, when the smallest table has 2^`min_order` buckets.
#[inline]
pub const fn place(min_order: u32, bucket: u32) -> Place {
    match bucket.wrapping_shr(min_order).checked_ilog2() {
        None => Place {
            segment: 0,
            index: bucket as usize,
        },
        Some(n) => Place {
            segment: (n as usize).wrapping_add(1),
            index: (bucket ^ 1u32.wrapping_shl(n.wrapping_add(min_order))) as usize,
        },
    }
}

/// The number of sentinels in segment number `segment`.
pub const fn segment_len(min_order: u32, segment: usize) -> usize {
    1usize.wrapping_shl(min_order.wrapping_add(segment.saturating_sub(1) as u32))
}

/// The links of a table, by opaque names.
///
/// The caller of a function that takes lists keeps the entries and sentinels alive: by a read
/// section for [`find`], by the lock of the shard for the others.
pub trait Lists {
    /// log2 of the smallest number of buckets.
    const MIN_ORDER: u32;
    /// log2 of the largest number of buckets.
    const MAX_ORDER: u32;
    /// Names an entry.
    type Entry: Copy;
    /// Names the link of an entry or of a sentinel. In the latter case it also names the sentinel.
    type Link: Copy + PartialEq;

    /// Loads the geometry.
    fn geometry(&self, ordering: Ordering) -> Geometry;
    /// The sentinel at `place`, if its segment exists. Loads the segment's address with acquire.
    fn sentinel(&self, place: Place) -> Option<Self::Link>;
    /// The index of `sentinel` in segment number `segment`, if it is in that segment.
    fn index(&self, segment: usize, sentinel: Self::Link) -> Option<usize>;
    /// The link of `entry` to the next one.
    fn link(&self, entry: Self::Entry) -> Self::Link;
    /// The hash of `entry`.
    fn hash(&self, entry: Self::Entry) -> u32;
    /// Loads a link.
    fn load(&self, link: Self::Link, ordering: Ordering) -> Target<Self::Entry, Self::Link>;
    /// Stores a link.
    fn store(&self, link: Self::Link, target: Target<Self::Entry, Self::Link>, ordering: Ordering);
}

/// A table with a changeable number of buckets. One thread at a time changes it.
pub trait Resizable {
    /// The lists of its entries.
    type Lists: Lists;

    /// Stores the geometry.
    fn set_geometry(&self, geometry: Geometry, ordering: Ordering);
    /// Waits until all currently open read sections have ended.
    fn grace_period(&self);
    /// Runs `change` with the lock of `bucket`'s shard held. A shard is all entries whose hashes
    /// have some low bits in common, at most [`Lists::MIN_ORDER`]: whole buckets at every size.
    fn locked(&self, bucket: u32, change: impl FnOnce(&Self::Lists));
    /// Allocates segment number `segment` with empty links, and stores its address with release.
    /// Returns false if there is no memory.
    fn add_segment(&self, segment: usize) -> bool;
    /// Frees segment number `segment`. No link names it, and no reader uses it.
    fn free_segment(&self, segment: usize);
}

#[inline]
fn sentinel_of<L: Lists>(lists: &L, bucket: u32) -> Option<L::Link> {
    lists.sentinel(place(L::MIN_ORDER, bucket))
}

/// Number of the segment that doubles a table of 2^`order` buckets.
const fn upper_segment<L: Lists>(order: u32) -> usize {
    order.wrapping_sub(L::MIN_ORDER).wrapping_add(1) as usize
}

/// Whether the order of the lists has `found` behind `hash`. Apart, so that it is computed only
/// while the table is resized.
#[cold]
#[inline(never)]
fn is_behind(found: u32, hash: u32) -> bool {
    found.reverse_bits() > hash.reverse_bits()
}

/// Finds the first entry with `hash` that `matches`. In a read section.
// A call would have the packets' headers in memory.
#[inline(always)]
pub fn find<L: Lists>(
    lists: &L,
    hash: u32,
    mut matches: impl FnMut(L::Entry) -> bool,
) -> Option<L::Entry> {
    let geometry = lists.geometry(Ordering::Acquire);
    let mut link = sentinel_of(lists, geometry.bucket(hash))?;
    loop {
        match lists.load(link, Ordering::Acquire) {
            Target::Sentinel(sentinel) => {
                if !geometry.is_resizing() {
                    return None;
                }
                link = sentinel;
            }
            Target::Entry(None) => return None,
            Target::Entry(Some(entry)) => {
                let found = lists.hash(entry);
                if found == hash && matches(entry) {
                    return Some(entry);
                }
                if geometry.is_resizing() && is_behind(found, hash) {
                    return None;
                }
                link = lists.link(entry);
            }
        }
    }
}

/// The sentinel at which [`find`] begins for `hash`. In a read section.
#[inline]
pub fn bucket<L: Lists>(lists: &L, hash: u32) -> Option<L::Link> {
    sentinel_of(lists, lists.geometry(Ordering::Acquire).bucket(hash))
}

/// The first entry that [`find`] examines for `hash`, unless a sentinel comes before it: a hint
/// about what a lookup will read. In a read section.
#[inline]
pub fn first_on_way<L: Lists>(lists: &L, hash: u32) -> Option<L::Entry> {
    follow(lists, bucket(lists, hash)?)
}

/// The entry that [`find`] examines after `entry`, if that is not the one, unless a sentinel comes
/// before it. In a read section.
#[inline]
pub fn next_on_way<L: Lists>(lists: &L, entry: L::Entry) -> Option<L::Entry> {
    follow(lists, lists.link(entry))
}

/// The entry to which a link leads.
#[inline]
fn follow<L: Lists>(lists: &L, link: L::Link) -> Option<L::Entry> {
    match lists.load(link, Ordering::Acquire) {
        Target::Entry(entry) => entry,
        Target::Sentinel(_) => None,
    }
}

/// Calls `f` for the entries with the lowest bit-reversed hash that is not below `from`. Returns
/// that bit-reversed hash, or `None` if there is no such entry. In a read section.
///
/// In a series of calls, each call starts after the hash that the previous one returned. The series
/// visits an entry that is in the list all the time exactly once, even if others are inserted or
/// removed, or the table is resized in the meantime.
pub fn first_from<L: Lists>(lists: &L, from: u32, mut f: impl FnMut(L::Entry)) -> Option<u32> {
    // Only the lists of the smallest table end, each with the last of its hashes.
    let last = u32::MAX.wrapping_shr(L::MIN_ORDER);
    let mut from = from;
    loop {
        let geometry = lists.geometry(Ordering::Acquire);
        let mut link = sentinel_of(lists, geometry.bucket(from.reverse_bits()))?;
        let mut first = None;
        loop {
            match lists.load(link, Ordering::Acquire) {
                Target::Sentinel(sentinel) => link = sentinel,
                Target::Entry(None) => break,
                Target::Entry(Some(entry)) => {
                    let reversed = lists.hash(entry).reverse_bits();
                    if first.is_some_and(|first| first != reversed) {
                        break;
                    }
                    if reversed >= from {
                        first = Some(reversed);
                        f(entry);
                    }
                    link = lists.link(entry);
                }
            }
        }
        if first.is_some() {
            return first;
        }
        from = (from | last).checked_add(1)?;
    }
}

/// The outcome of [`insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The entry is in the list.
    Yes,
    /// The entry was not inserted, because it would duplicate another.
    Duplicate,
    /// The entry was not inserted, because the maximum of entries have the same hash.
    Crowded,
}

/// Inserts `entry`, unless an entry with the same hash `duplicates` it, `most` entries have the
/// same hash, or `is_apart` returns that a duplicate was inserted apart. With the shard's lock
/// held.
///
/// The entry precedes all others with its hash, so if several entries match, [`find`] returns the
/// newest of them.
#[inline]
pub fn insert<L: Lists>(
    lists: &L,
    entry: L::Entry,
    most: usize,
    mut duplicates: impl FnMut(L::Entry) -> bool,
    is_apart: impl FnOnce() -> bool,
) -> Inserted {
    let geometry = lists.geometry(Ordering::Acquire);
    let hash = lists.hash(entry);
    let reversed = hash.reverse_bits();
    let before = walk(lists, hash, geometry, |step| match step {
        Step::Entry(other) => lists.hash(other).reverse_bits() >= reversed,
        Step::Sentinel(bucket) => bucket.reverse_bits() > reversed,
    });
    // There is always a link: the segment of a bucket exists while the geometry includes it.
    let Some(before) = before else {
        return Inserted::Crowded;
    };
    let mut same = 0usize;
    let mut link = before;
    while let Target::Entry(Some(other)) = lists.load(link, Ordering::Relaxed) {
        if lists.hash(other) != hash {
            break;
        }
        if duplicates(other) {
            return Inserted::Duplicate;
        }
        same = same.wrapping_add(1);
        link = lists.link(other);
    }
    if same >= most {
        return Inserted::Crowded;
    }
    if is_apart() {
        return Inserted::Duplicate;
    }
    let after = lists.load(before, Ordering::Relaxed);
    lists.store(lists.link(entry), after, Ordering::Relaxed);
    lists.store(before, Target::Entry(Some(entry)), Ordering::Release);
    Inserted::Yes
}

/// Removes `entry`. Returns false if it was not in the list. The entry keeps its link, because
/// readers may be at it until a grace period has passed. With the shard's lock held.
#[inline]
pub fn remove<L: Lists>(lists: &L, entry: L::Entry) -> bool {
    let Some(before) = link_to(lists, entry) else {
        return false;
    };
    let after = lists.load(lists.link(entry), Ordering::Relaxed);
    lists.store(before, after, Ordering::Release);
    true
}

/// Replaces `old` by `new`, which has the same hash. Returns false if `old` was not in the list.
/// `old` keeps its link, as with [`remove`]. With the shard's lock held.
pub fn replace<L: Lists>(lists: &L, old: L::Entry, new: L::Entry) -> bool {
    let Some(before) = link_to(lists, old) else {
        return false;
    };
    let after = lists.load(lists.link(old), Ordering::Relaxed);
    lists.store(lists.link(new), after, Ordering::Relaxed);
    lists.store(before, Target::Entry(Some(new)), Ordering::Release);
    true
}

/// The link that leads to `entry`, if the entry is in the list. With the shard's lock held.
#[inline]
fn link_to<L: Lists>(lists: &L, entry: L::Entry) -> Option<L::Link> {
    let geometry = lists.geometry(Ordering::Acquire);
    let link = lists.link(entry);
    let before = walk(lists, lists.hash(entry), geometry, |step| match step {
        Step::Entry(other) => lists.link(other) == link,
        Step::Sentinel(_) => false,
    })?;
    match lists.load(before, Ordering::Relaxed) {
        Target::Entry(Some(other)) if lists.link(other) == link => Some(before),
        _ => None,
    }
}

/// Inserts an entry apart from the others of its key. The key's own hash, its *home*, is crowded,
/// so the entry has a hash that covers both ends of its connection. Returns whether it was
/// inserted.
///
/// No lock covers both hashes, so a duplicate of this entry may be inserted at home at the same
/// time. Two rules leave exactly one of them in the table:
///
/// - this function searches the home *after* it has published the entry, and withdraws the entry if
///   it finds a duplicate;
/// - an inserter at home, with the home's lock held, searches for a duplicate of its entry that is
///   apart: `is_apart` of [`insert`].
///
/// `publish` inserts the entry with its shard's lock held and returns true, unless a duplicate has
/// the same hash. `is_at_home` returns, with the home's lock held, whether there is a duplicate.
/// `withdraw` removes the entry.
pub fn insert_apart(
    publish: impl FnOnce() -> bool,
    is_at_home: impl FnOnce() -> bool,
    withdraw: impl FnOnce(),
) -> bool {
    if !publish() {
        return false;
    }
    let stays = !is_at_home();
    if !stays {
        withdraw();
    }
    stays
}

/// Doubles a number of 2^`order` buckets. Returns false if there is no memory.
pub fn grow<R: Resizable>(table: &R, order: u32) -> bool {
    if order >= R::Lists::MAX_ORDER || !table.add_segment(upper_segment::<R::Lists>(order)) {
        return false;
    }
    table.set_geometry(Geometry::resizing(order), Ordering::Release);
    table.grace_period();
    for bucket in upper_buckets(order) {
        table.locked(bucket, |lists| put_in(lists, order, bucket));
    }
    let larger = Geometry::settled(order.wrapping_add(1));
    table.set_geometry(larger, Ordering::Release);
    true
}

/// Halves a number of 2^`order` buckets.
pub fn shrink<R: Resizable>(table: &R, order: u32) {
    if order <= R::Lists::MIN_ORDER {
        return;
    }
    let order = order.wrapping_sub(1);
    table.set_geometry(Geometry::resizing(order), Ordering::Release);
    table.grace_period();
    for bucket in upper_buckets(order) {
        table.locked(bucket, |lists| take_out(lists, order, bucket));
    }
    table.set_geometry(Geometry::settled(order), Ordering::Release);
    table.grace_period();
    table.free_segment(upper_segment::<R::Lists>(order));
}

/// The additional buckets of a table that doubles from 2^`order` buckets.
fn upper_buckets(order: u32) -> core::ops::Range<u32> {
    let half = 1u32.wrapping_shl(order);
    half..half.wrapping_mul(2)
}

/// Inserts the sentinel of `bucket` into the list of the lower bucket, which it splits.
fn put_in<L: Lists>(lists: &L, order: u32, bucket: u32) {
    let reversed = bucket.reverse_bits();
    // Walk as if settled: each lower list gets only this sentinel, so the next one is its end.
    let before = walk(lists, bucket, Geometry::settled(order), |step| match step {
        Step::Entry(entry) => lists.hash(entry).reverse_bits() >= reversed,
        Step::Sentinel(_) => true,
    });
    if let (Some(before), Some(new)) = (before, sentinel_of(lists, bucket)) {
        let after = lists.load(before, Ordering::Relaxed);
        lists.store(new, after, Ordering::Relaxed);
        lists.store(before, Target::Sentinel(new), Ordering::Release);
    }
}

/// Removes the sentinel of `bucket`. It keeps its link, like an entry.
fn take_out<L: Lists>(lists: &L, order: u32, bucket: u32) {
    let before = walk(
        lists,
        bucket,
        Geometry::resizing(order),
        |step| matches!(step, Step::Sentinel(other) if other == bucket),
    );
    let (Some(before), Some(old)) = (before, sentinel_of(lists, bucket)) else {
        return;
    };
    match lists.load(before, Ordering::Relaxed) {
        Target::Sentinel(sentinel) if sentinel == old => {
            let after = lists.load(old, Ordering::Relaxed);
            lists.store(before, after, Ordering::Release);
        }
        _ => {}
    }
}

/// A node that a writer visits in a list.
enum Step<E> {
    Entry(E),
    /// The sentinel of this bucket, which a resize is inserting or removing.
    Sentinel(u32),
}

/// Walks over the list of the bucket of `hash` until `stop` is true or the list ends. Returns the
/// link to that place. With the shard's lock held.
#[inline]
fn walk<L: Lists>(
    lists: &L,
    hash: u32,
    geometry: Geometry,
    mut stop: impl FnMut(Step<L::Entry>) -> bool,
) -> Option<L::Link> {
    let mut link = sentinel_of(lists, geometry.bucket(hash))?;
    loop {
        match lists.load(link, Ordering::Acquire) {
            Target::Entry(None) => return Some(link),
            Target::Sentinel(sentinel) => match in_flight(lists, sentinel, geometry) {
                Some(bucket) if !stop(Step::Sentinel(bucket)) => link = sentinel,
                _ => return Some(link),
            },
            Target::Entry(Some(entry)) => {
                if stop(Step::Entry(entry)) {
                    return Some(link);
                }
                link = lists.link(entry);
            }
        }
    }
}

/// The bucket of a sentinel that a resize is inserting or removing. `None` for a sentinel that
/// stays and ends the writer's list.
fn in_flight<L: Lists>(lists: &L, sentinel: L::Link, geometry: Geometry) -> Option<u32> {
    if !geometry.is_resizing() {
        return None;
    }
    let order = geometry.order();
    let index = lists.index(upper_segment::<L>(order), sentinel)?;
    Some(index as u32 | 1u32.wrapping_shl(order))
}

/// The order that suits `count` entries in a table of 2^`order` buckets: at most one entry for each
/// bucket, and half as many buckets only if there is fewer than one entry for four.
pub const fn wants(min_order: u32, max_order: u32, order: u32, count: usize) -> u32 {
    let buckets = 1usize.wrapping_shl(order);
    if count > buckets && order < max_order {
        order.wrapping_add(1)
    } else if count < buckets / 4 && order > min_order {
        order.wrapping_sub(1)
    } else {
        order
    }
}

/// Whether `count` entries in one of 2^`shard_bits` shards justify more than
/// 2^`order` buckets: twice the mean. One slightly fuller shard does not justify a resize.
#[inline]
pub const fn crowded(max_order: u32, shard_bits: u32, order: u32, count: usize) -> bool {
    order < max_order && count > 2usize.wrapping_shl(order).wrapping_shr(shard_bits)
}
