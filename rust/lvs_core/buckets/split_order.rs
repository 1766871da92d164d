// SPDX-License-Identifier: GPL-2.0-only

//! The list of the entries that have found no free slot: the split-ordered list of Shalev and
//! Shavit ("Split-Ordered Lists: Lock-Free Extensible Hash Tables", JACM 53(3), 2006), with locked
//! writers, and readers that never wait.
//!
//! Entries are in singly linked lists, sorted by their bit-reversed hash. A bucket has a sentinel
//! in such a list. Doubling the table only inserts a sentinel into the middle of each bucket's
//! list. No entry of a list moves, so a reader never misses one, never waits and never starts
//! again.
//!
//! While no resize is in progress, a reader stops at the next sentinel without looking at it.
//! During a resize it walks through sentinels and stops at the first entry beyond its hash.
//!
//! An entry or sentinel that was removed keeps its own link until a grace period has passed.

use super::geometry::{place, upper_half, upper_segment, Geometry, Place};
use core::{num::NonZeroUsize, sync::atomic::Ordering};

/// Tag of a link to a sentinel.
const SENTINEL: usize = 1;

/// The target of a link: a sentinel that `S` names, or an entry that `E` names. The end of the last
/// list has neither. (There are two variants, so reading a link only tests the tag.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<E, S> {
    /// An entry, or the end.
    Entry(Option<E>),
    /// A sentinel, the start of a bucket's list.
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

/// The links of a table, by opaque names.
///
/// The caller of a function that takes lists keeps the entries and sentinels alive: by a read
/// section if the function only reads, by the lock of the shard otherwise.
pub trait Lists {
    /// log2 of the smallest number of buckets.
    const MIN_ORDER: u32;
    /// log2 of the largest number of buckets.
    const MAX_ORDER: u32;
    /// Names an entry.
    type Entry: Copy;
    /// Names a bucket.
    type Bucket: Copy;
    /// Names the link of an entry or of a sentinel. In the latter case it also names the sentinel.
    type Link: Copy + PartialEq;

    /// Loads the geometry.
    fn geometry(&self, ordering: Ordering) -> Geometry;
    /// The bucket at `place`, if its segment exists. Loads the segment's address with acquire.
    fn bucket(&self, place: Place) -> Option<Self::Bucket>;
    /// The sentinel of `bucket`.
    fn sentinel(&self, bucket: Self::Bucket) -> Self::Link;
    /// The index of the bucket of `sentinel` in segment number `segment`, if it is in that segment.
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

/// The bucket with this number, if its segment exists.
#[inline(always)]
pub(super) fn bucket_at<L: Lists>(lists: &L, number: u32) -> Option<L::Bucket> {
    lists.bucket(place(L::MIN_ORDER, number))
}

#[inline]
fn sentinel_at<L: Lists>(lists: &L, number: u32) -> Option<L::Link> {
    Some(lists.sentinel(bucket_at(lists, number)?))
}

/// Whether the order of the lists has `found` behind `hash`. Apart, so that it is computed only
/// while the table is resized.
#[cold]
#[inline(never)]
fn is_behind(found: u32, hash: u32) -> bool {
    found.reverse_bits() > hash.reverse_bits()
}

/// The next entry behind `link` in the list of `hash`, unless all with this hash are before it. In
/// a read section.
#[inline(always)]
pub(super) fn next<L: Lists>(
    lists: &L,
    geometry: Geometry,
    mut link: L::Link,
    hash: u32,
) -> Option<L::Entry> {
    loop {
        match lists.load(link, Ordering::Acquire) {
            Target::Sentinel(sentinel) if geometry.is_resizing() => link = sentinel,
            Target::Sentinel(_) => return None,
            Target::Entry(entry) => {
                return entry.filter(|&entry| {
                    !geometry.is_resizing() || !is_behind(lists.hash(entry), hash)
                });
            }
        }
    }
}

/// Calls `f` with the entries of the list that begins at `link`, in their order, while their
/// bit-reversed hashes are at most `last`. In a read section.
pub(super) fn for_each<L: Lists>(
    lists: &L,
    geometry: Geometry,
    mut link: L::Link,
    last: u32,
    f: &mut impl FnMut(L::Entry),
) {
    loop {
        match lists.load(link, Ordering::Acquire) {
            Target::Sentinel(sentinel) if geometry.is_resizing() => link = sentinel,
            Target::Entry(Some(entry)) if lists.hash(entry).reverse_bits() <= last => {
                f(entry);
                link = lists.link(entry);
            }
            _ => return,
        }
    }
}

/// The link after which an entry with `hash` is inserted: it precedes all others with its hash.
#[inline]
pub(super) fn place_of<L: Lists>(
    lists: &L,
    geometry: Geometry,
    sentinel: L::Link,
    hash: u32,
) -> L::Link {
    let reversed = hash.reverse_bits();
    walk(lists, sentinel, geometry, |step| match step {
        Step::Entry(other) => lists.hash(other).reverse_bits() >= reversed,
        Step::Sentinel(bucket) => bucket.reverse_bits() > reversed,
    })
}

/// Calls `f` with the entries that have `hash`, while it returns true; `before` is their place.
/// Returns whether it always did.
#[inline]
pub(super) fn for_each_with<L: Lists>(
    lists: &L,
    before: L::Link,
    hash: u32,
    mut f: impl FnMut(L::Entry) -> bool,
) -> bool {
    let mut link = before;
    while let Target::Entry(Some(other)) = lists.load(link, Ordering::Relaxed) {
        if lists.hash(other) != hash {
            return true;
        }
        if !f(other) {
            return false;
        }
        link = lists.link(other);
    }
    true
}

/// Inserts `entry` at its place. No reader is at its link.
#[inline]
pub(super) fn insert<L: Lists>(lists: &L, before: L::Link, entry: L::Entry) {
    let after = lists.load(before, Ordering::Relaxed);
    lists.store(lists.link(entry), after, Ordering::Relaxed);
    lists.store(before, Target::Entry(Some(entry)), Ordering::Release);
}

/// Removes `entry`. Returns false if it was not in the list.
pub(super) fn remove<L: Lists>(lists: &L, geometry: Geometry, entry: L::Entry) -> bool {
    let Some(before) = link_to(lists, geometry, entry) else {
        return false;
    };
    let after = lists.load(lists.link(entry), Ordering::Relaxed);
    lists.store(before, after, Ordering::Release);
    true
}

/// Replaces `old` by `new`, which has the same hash. Returns false if `old` was not in the list.
pub(super) fn replace<L: Lists>(
    lists: &L,
    geometry: Geometry,
    old: L::Entry,
    new: L::Entry,
) -> bool {
    let Some(before) = link_to(lists, geometry, old) else {
        return false;
    };
    let after = lists.load(lists.link(old), Ordering::Relaxed);
    lists.store(lists.link(new), after, Ordering::Relaxed);
    lists.store(before, Target::Entry(Some(new)), Ordering::Release);
    true
}

/// The link that leads to `entry`, if the entry is in the list.
fn link_to<L: Lists>(lists: &L, geometry: Geometry, entry: L::Entry) -> Option<L::Link> {
    let link = lists.link(entry);
    let sentinel = sentinel_at(lists, geometry.bucket(lists.hash(entry)))?;
    let before = walk(lists, sentinel, geometry, |step| match step {
        Step::Entry(other) => lists.link(other) == link,
        Step::Sentinel(_) => false,
    });
    match lists.load(before, Ordering::Relaxed) {
        Target::Entry(Some(other)) if lists.link(other) == link => Some(before),
        _ => None,
    }
}

/// Inserts the sentinel of bucket number `upper` into the list of the lower bucket, which it
/// splits, while the table grows from 2^`order` buckets.
pub(super) fn split<L: Lists>(lists: &L, order: u32, upper: u32) {
    let geometry = Geometry::settled(order);
    let reversed = upper.reverse_bits();
    let lower = sentinel_at(lists, geometry.bucket(upper));
    let (Some(lower), Some(new)) = (lower, sentinel_at(lists, upper)) else {
        return;
    };
    // Walk as if settled: each lower list gets only this sentinel, so the next one is its end.
    let before = walk(lists, lower, geometry, |step| match step {
        Step::Entry(entry) => lists.hash(entry).reverse_bits() >= reversed,
        Step::Sentinel(_) => true,
    });
    let after = lists.load(before, Ordering::Relaxed);
    lists.store(new, after, Ordering::Relaxed);
    lists.store(before, Target::Sentinel(new), Ordering::Release);
}

/// Removes the sentinel of bucket number `upper`, while the table shrinks to 2^`order` buckets. It
/// keeps its link, like an entry.
pub(super) fn join<L: Lists>(lists: &L, order: u32, upper: u32) {
    let geometry = Geometry::shrinking(order);
    let lower = sentinel_at(lists, geometry.bucket(upper));
    let (Some(lower), Some(old)) = (lower, sentinel_at(lists, upper)) else {
        return;
    };
    let before = walk(
        lists,
        lower,
        geometry,
        |step| matches!(step, Step::Sentinel(other) if other == upper),
    );
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

/// Walks over the list from the sentinel `link` until `stop` is true or the list ends. Returns the
/// link to that place. With the shard's lock held.
#[inline]
fn walk<L: Lists>(
    lists: &L,
    mut link: L::Link,
    geometry: Geometry,
    mut stop: impl FnMut(Step<L::Entry>) -> bool,
) -> L::Link {
    loop {
        match lists.load(link, Ordering::Acquire) {
            Target::Entry(None) => return link,
            Target::Sentinel(sentinel) => match in_flight(lists, sentinel, geometry) {
                Some(bucket) if !stop(Step::Sentinel(bucket)) => link = sentinel,
                _ => return link,
            },
            Target::Entry(Some(entry)) => {
                if stop(Step::Entry(entry)) {
                    return link;
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
    let index = lists.index(upper_segment(L::MIN_ORDER, order), sentinel)?;
    Some(index as u32 | upper_half(order))
}
