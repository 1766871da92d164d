// SPDX-License-Identifier: GPL-2.0-only

//! The hash of connections: buckets of a cache line each, with locked writers, and readers that
//! never wait and never start again.
//!
//! A bucket has a few *slots*. A slot has the number of an entry and a *tag*, eight bits of the
//! entry's hash. So a lookup reads the bucket and then only its own entry, except one lookup in
//! thirty. An entry that finds no free slot is in the bucket's list ([`split_order`]).
//!
//! A reader searches the slots first and the list after that. So an entry may move from a slot to
//! the list, and never the other way.
//!
//! This file has the writers, [`lookup`] the readers, and [`resize`] the thread that changes the
//! number of buckets.
//!
//! # Memory ordering
//!
//! An entry is complete before its number or the link to it is stored (release), and these are
//! loaded with acquire. So are tags: a reader that finds a slot without its tag, or emptied, sees
//! the place to which the entry has moved. Writers load the geometry under the lock of the bucket
//! that they change. A resize publishes before it takes that lock, so the writers' geometry fits.
//!
//! # Entries with equal hashes
//!
//! Of several entries that a reader cannot distinguish, it finds the newest. So at most one of them
//! is in a slot, the newest: [`insert`] moves the former one to the front of the list.
//!
//! Entries whose keys are equal have equal hashes, and no resize separates them. So [`insert`]
//! takes a limit. Entries beyond it are inserted apart, under a hash that covers more than the key
//! ([`insert_apart`]). A reader that does not find an entry by its key looks there.
//!
//! # Where the words are
//!
//! The algorithm accesses memory only through [`Lists`], [`Slots`] and [`Resizable`]. The kernel
//! implements them with pointers, the model in `tests/loom` with loom's atomics.

mod geometry;
mod lookup;
mod resize;
mod split_order;
mod tags;

pub use geometry::{is_full, place, segment_len, wants, Geometry, Place, FILL};
pub use lookup::{candidate, find, first_bucket, first_from};
pub use resize::{grow, shrink, Resizable};
pub use split_order::{Lists, Target};
pub use tags::TAGS;

use core::sync::atomic::Ordering;
use split_order::bucket_at;
use tags::Tag;

/// The slots of the buckets, by opaque names. The caller keeps entries and buckets alive, as for
/// [`Lists`].
pub trait Slots: Lists {
    /// The number of slots of a bucket.
    const SLOTS: usize;
    /// Names an entry in a slot.
    type Number: Copy;

    /// Loads word number `word` of the tags, [`TAGS`] in each. Those without a slot are 0.
    fn tags(&self, bucket: Self::Bucket, word: usize, ordering: Ordering) -> u64;
    /// Stores a word of tags. Under the shard's lock.
    fn set_tags(&self, bucket: Self::Bucket, word: usize, tags: u64, ordering: Ordering);
    /// Loads the entry in slot number `slot`, if there is such a slot and it has one.
    fn slot(&self, bucket: Self::Bucket, slot: usize, ordering: Ordering) -> Option<Self::Entry>;
    /// Stores the number of an entry in slot number `slot`. Under the shard's lock.
    fn set_slot(
        &self,
        bucket: Self::Bucket,
        slot: usize,
        number: Option<Self::Number>,
        ordering: Ordering,
    );
    /// The number of `entry`. An entry without one is in the list.
    fn number(&self, entry: Self::Entry) -> Option<Self::Number>;
}

/// The buckets that may have an entry of a hash.
struct Way<B> {
    /// The first one whose slots a reader searches.
    first: B,
    /// During a resize, the second one: entries move from the first one there.
    second: Option<B>,
    /// The one with the list: that of the smaller number of buckets.
    home: B,
}

impl<B: Copy> Way<B> {
    #[inline(always)]
    fn new<S: Slots<Bucket = B>>(buckets: &S, geometry: Geometry, hash: u32) -> Option<Self> {
        let home = bucket_at(buckets, geometry.bucket(hash))?;
        if geometry.is_resizing() {
            return Self::resizing(buckets, geometry, hash, home);
        }
        Some(Self {
            first: home,
            second: None,
            home,
        })
    }

    #[cold]
    #[inline(never)]
    fn resizing<S: Slots<Bucket = B>>(
        buckets: &S,
        geometry: Geometry,
        hash: u32,
        home: B,
    ) -> Option<Self> {
        let upper = match geometry.upper(hash) {
            Some(upper) => Some(bucket_at(buckets, upper)?),
            None => None,
        };
        let (first, second) = match upper {
            Some(upper) if geometry.is_shrinking() => (upper, Some(home)),
            _ => (home, upper),
        };
        Some(Self {
            first,
            second,
            home,
        })
    }

    /// The bucket that has the hash in the end.
    #[inline]
    fn destination(&self) -> B {
        self.second.unwrap_or(self.first)
    }
}

/// The number of words of tags.
#[inline(always)]
const fn words<S: Slots>() -> usize {
    S::SLOTS.div_ceil(TAGS)
}

/// The slot of a tag.
#[inline(always)]
const fn slot_at(word: usize, position: usize) -> usize {
    word.wrapping_mul(TAGS).wrapping_add(position)
}

/// The outcome of [`insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The entry is in the table.
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
/// If a reader cannot distinguish several entries, because one `is_like` the other, [`find`]
/// returns the one that was inserted last.
#[inline]
pub fn insert<S: Slots>(
    buckets: &S,
    entry: S::Entry,
    most: usize,
    is_like: impl Fn(S::Entry) -> bool,
    duplicates: impl Fn(S::Entry) -> bool,
    is_apart: impl FnOnce() -> bool,
) -> Inserted {
    let geometry = buckets.geometry(Ordering::Acquire);
    let hash = buckets.hash(entry);
    // There always is one: the segment of a bucket exists while the geometry includes it.
    let Some(way) = Way::new(buckets, geometry, hash) else {
        return Inserted::Crowded;
    };
    let before = split_order::place_of(buckets, geometry, buckets.sentinel(way.home), hash);
    let mut same = 0usize;
    let mut differs = |other| {
        same = same.wrapping_add(1);
        !duplicates(other)
    };
    let mut former = None;
    let is_new = for_each_slot(buckets, &way, hash, |slot, other| {
        if buckets.hash(other) != hash {
            return true;
        }
        if is_like(other) {
            former = Some((slot, other));
        }
        differs(other)
    });
    if !is_new || !split_order::for_each_with(buckets, before, hash, differs) {
        return Inserted::Duplicate;
    }
    if same >= most {
        return Inserted::Crowded;
    }
    if is_apart() {
        return Inserted::Duplicate;
    }
    match (former, buckets.number(entry)) {
        (None, Some(number)) if put(buckets, way.destination(), Tag::of(hash), number) => {}
        (None, _) => split_order::insert(buckets, before, entry),
        (Some((slot, other)), number) => {
            split_order::insert(buckets, before, other);
            slot.replace(buckets, before, entry, number);
        }
    }
    Inserted::Yes
}

/// Removes `entry`. Returns false if it was not in the table. Readers may be at it until a grace
/// period has passed. With the shard's lock held.
#[inline]
pub fn remove<S: Slots>(buckets: &S, entry: S::Entry) -> bool {
    let geometry = buckets.geometry(Ordering::Acquire);
    match slot_of(buckets, geometry, entry) {
        Some(slot) => {
            slot.clear(buckets);
            true
        }
        None => split_order::remove(buckets, geometry, entry),
    }
}

/// Replaces `old` by `new`, which has the same hash and is in no table. Returns false if `old` was
/// not in the table. With the shard's lock held.
pub fn replace<S: Slots>(buckets: &S, old: S::Entry, new: S::Entry) -> bool {
    let geometry = buckets.geometry(Ordering::Acquire);
    let Some(slot) = slot_of(buckets, geometry, old) else {
        return split_order::replace(buckets, geometry, old, new);
    };
    let hash = buckets.hash(new);
    let Some(way) = Way::new(buckets, geometry, hash) else {
        return false;
    };
    let before = split_order::place_of(buckets, geometry, buckets.sentinel(way.home), hash);
    slot.replace(buckets, before, new, buckets.number(new));
    true
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

/// Puts the entry with this number into a free slot of `bucket`. Returns false if there is none.
/// With the shard's lock held.
#[inline(always)]
fn put<S: Slots>(buckets: &S, bucket: S::Bucket, tag: Tag, number: S::Number) -> bool {
    for word in 0..words::<S>() {
        let tags = buckets.tags(bucket, word, Ordering::Relaxed);
        let free = Tag::NONE.positions(tags).next();
        if let Some(position) = free.filter(|&position| slot_at(word, position) < S::SLOTS) {
            let slot = slot_at(word, position);
            buckets.set_slot(bucket, slot, Some(number), Ordering::Release);
            let tags = tag.at(position, tags);
            buckets.set_tags(bucket, word, tags, Ordering::Release);
            return true;
        }
    }
    false
}

/// A slot that has an entry. Used with the shard's lock held.
#[derive(Clone, Copy)]
struct Slot<B> {
    bucket: B,
    number: usize,
}

impl<B: Copy> Slot<B> {
    /// Replaces the entry by one with the same hash. If that one has no number, it comes `before`
    /// the others in the list.
    #[inline]
    fn replace<S: Slots<Bucket = B>>(
        &self,
        buckets: &S,
        before: S::Link,
        entry: S::Entry,
        number: Option<S::Number>,
    ) {
        if number.is_some() {
            buckets.set_slot(self.bucket, self.number, number, Ordering::Release);
        } else {
            split_order::insert(buckets, before, entry);
            self.clear(buckets);
        }
    }

    /// Removes the entry.
    #[inline]
    fn clear<S: Slots<Bucket = B>>(&self, buckets: &S) {
        let (word, position) = (self.number / TAGS, self.number % TAGS);
        let tags = buckets.tags(self.bucket, word, Ordering::Relaxed);
        buckets.set_slot(self.bucket, self.number, None, Ordering::Release);
        let tags = Tag::NONE.at(position, tags);
        buckets.set_tags(self.bucket, word, tags, Ordering::Release);
    }
}

/// Calls `f` with the slots that have the tag of `hash`, and their entries, while it returns true.
/// Returns whether it always did. With the shard's lock held.
#[inline]
fn for_each_slot<S: Slots>(
    buckets: &S,
    way: &Way<S::Bucket>,
    hash: u32,
    mut f: impl FnMut(Slot<S::Bucket>, S::Entry) -> bool,
) -> bool {
    let tag = Tag::of(hash);
    let (mut bucket, mut second) = (way.first, way.second);
    loop {
        for word in 0..words::<S>() {
            let tags = buckets.tags(bucket, word, Ordering::Relaxed);
            for position in tag.positions(tags) {
                let number = slot_at(word, position);
                if let Some(entry) = buckets.slot(bucket, number, Ordering::Relaxed) {
                    if !f(Slot { bucket, number }, entry) {
                        return false;
                    }
                }
            }
        }
        match second.take() {
            Some(other) => bucket = other,
            None => return true,
        }
    }
}

/// The slot of `entry`, if it is in one. With the shard's lock held.
#[inline]
fn slot_of<S: Slots>(buckets: &S, geometry: Geometry, entry: S::Entry) -> Option<Slot<S::Bucket>> {
    let hash = buckets.hash(entry);
    let way = Way::new(buckets, geometry, hash)?;
    let link = buckets.link(entry);
    let mut found = None;
    for_each_slot(buckets, &way, hash, |slot, other| {
        if buckets.link(other) == link {
            found = Some(slot);
        }
        found.is_none()
    });
    found
}
