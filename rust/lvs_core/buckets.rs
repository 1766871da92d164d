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
//! # Resizing
//!
//! Doubling the table moves entries from the slots of a *lower* bucket to those of an *upper* one,
//! and halving it moves them back. An entry is stored in its new place before it is removed from
//! the former one, and a reader searches in the order of that movement: first where entries come
//! from, then where they go, then the list. One word, the [`Geometry`], holds the number of
//! buckets and whether they are being doubled or halved, so a reader sees a matching set:
//!
//! - [`grow`]: publish "growing"; wait for a grace period, after which no reader looks at the lower
//!   bucket only; insert the sentinel of each upper bucket and move the entries; publish the new
//!   size;
//! - [`shrink`]: publish the smaller size and "shrinking"; wait, after which no reader looks at the
//!   upper bucket only; move the entries and remove the sentinels; publish "settled"; wait, after
//!   which no reader is at an upper bucket; free them.
//!
//! An entry that moves while its destination has no free slot moves to the list. The link of an
//! entry in a slot is unused, and no reader is there, since entries never return from the list.
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
mod split_order;
mod tags;

pub use geometry::{is_full, place, segment_len, wants, Geometry, Place, FILL};
pub use split_order::{Lists, Target};
pub use tags::TAGS;

use core::sync::atomic::Ordering;
use geometry::{upper_half, upper_segment};
use split_order::bucket_at;
use tags::{Positions, Tag};

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

/// A table with a changeable number of buckets. One thread at a time changes it.
pub trait Resizable {
    /// The buckets with their entries.
    type Buckets: Slots;

    /// Stores the geometry.
    fn set_geometry(&self, geometry: Geometry, ordering: Ordering);
    /// Waits until all currently open read sections have ended.
    fn grace_period(&self);
    /// Runs `change` with the lock of `bucket`'s shard held. A shard is all entries whose hashes
    /// have some low bits in common, at most [`Lists::MIN_ORDER`]: whole buckets at every size.
    fn locked(&self, bucket: u32, change: impl FnOnce(&Self::Buckets));
    /// Allocates segment number `segment` with empty buckets, and stores its address with release.
    /// Returns false if there is no memory.
    fn add_segment(&self, segment: usize) -> bool;
    /// Frees segment number `segment`. No link names it, and no reader uses it.
    fn free_segment(&self, segment: usize);
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

/// Finds the first entry with `hash` that `matches`. In a read section.
// A call would have the packets' headers in memory. So `matches` must be compiled once, and what
// few lookups need takes no registers.
#[inline(always)]
pub fn find<S: Slots>(
    buckets: &S,
    hash: u32,
    mut matches: impl FnMut(S::Entry) -> bool,
) -> Option<S::Entry> {
    let geometry = buckets.geometry(Ordering::Acquire);
    let bucket = bucket_at(buckets, geometry.bucket(hash))?;
    // During a resize, an entry that is found in this bucket is as good as any. To miss one, all
    // places have to be searched in their order.
    let (mut slot, mut entry) = match first_slot(buckets, bucket, Tag::of(hash)) {
        Some(slot) => (slot, buckets.slot(bucket, slot, Ordering::Acquire)),
        None => {
            if !geometry.is_resizing() {
                first_of_list(buckets, bucket)?;
            }
            (S::SLOTS, None)
        }
    };
    let mut search = None;
    loop {
        if let Some(entry) = entry {
            if buckets.hash(entry) == hash && matches(entry) {
                return Some(entry);
            }
        }
        let (next, found) = next(buckets, geometry, bucket, hash, slot, &mut search)?;
        (slot, entry) = (next, Some(found));
    }
}

/// The next entry with `hash` after that in slot number `slot` of `bucket`, where a lookup begins,
/// and its slot. Those after the slots are in a `search`.
// Not `cold`: what is in a loop with it would be cold, too.
#[inline(never)]
fn next<'s, S: Slots>(
    buckets: &'s S,
    geometry: Geometry,
    bucket: S::Bucket,
    hash: u32,
    slot: usize,
    search: &mut Option<Search<'s, S>>,
) -> Option<(usize, S::Entry)> {
    if slot < S::SLOTS && !geometry.is_resizing() {
        let tag = Tag::of(hash);
        let (mut word, position) = (slot / TAGS, slot % TAGS);
        let tags = buckets.tags(bucket, word, Ordering::Acquire);
        let mut positions = tag.positions(tags).after(position);
        loop {
            for position in positions.by_ref() {
                let slot = slot_at(word, position);
                if let Some(entry) = buckets.slot(bucket, slot, Ordering::Acquire) {
                    if buckets.hash(entry) == hash {
                        return Some((slot, entry));
                    }
                }
            }
            word = word.wrapping_add(1);
            if word >= words::<S>() {
                break;
            }
            positions = tag.positions(buckets.tags(bucket, word, Ordering::Acquire));
        }
    }
    if search.is_none() {
        *search = Search::new(buckets, geometry, hash);
    }
    Some((S::SLOTS, search.as_mut()?.next_entry()?))
}

/// The first slot of `bucket` with this tag.
#[inline(always)]
fn first_slot<S: Slots>(buckets: &S, bucket: S::Bucket, tag: Tag) -> Option<usize> {
    let mut word = 0usize;
    while word < words::<S>() {
        let tags = buckets.tags(bucket, word, Ordering::Acquire);
        if let Some(position) = tag.positions(tags).next() {
            return Some(slot_at(word, position));
        }
        word = word.wrapping_add(1);
    }
    None
}

/// The first entry of the list of `bucket`, unless a sentinel precedes it.
#[inline(always)]
fn first_of_list<S: Slots>(buckets: &S, bucket: S::Bucket) -> Option<S::Entry> {
    match buckets.load(buckets.sentinel(bucket), Ordering::Acquire) {
        Target::Entry(entry) => entry,
        Target::Sentinel(_) => None,
    }
}

/// A search in the lists, and during a resize in all places. In a read section.
struct Search<'s, S: Slots> {
    buckets: &'s S,
    geometry: Geometry,
    hash: u32,
    /// The bucket whose slots are searched, and the one after that.
    bucket: S::Bucket,
    second: Option<S::Bucket>,
    /// Where in the slots.
    word: usize,
    positions: Positions,
    /// Where in the list.
    link: S::Link,
}

impl<'s, S: Slots> Search<'s, S> {
    fn new(buckets: &'s S, geometry: Geometry, hash: u32) -> Option<Self> {
        let way = Way::new(buckets, geometry, hash)?;
        let (word, positions) = if geometry.is_resizing() {
            let tags = buckets.tags(way.first, 0, Ordering::Acquire);
            (0, Tag::of(hash).positions(tags))
        } else {
            (words::<S>(), Positions::NONE)
        };
        Some(Self {
            buckets,
            geometry,
            hash,
            bucket: way.first,
            second: way.second,
            word,
            positions,
            link: buckets.sentinel(way.home),
        })
    }

    /// The next entry with the hash.
    fn next_entry(&mut self) -> Option<S::Entry> {
        loop {
            let entry = match self.next_of_slots() {
                Some(entry) => entry,
                None => {
                    let entry =
                        split_order::next(self.buckets, self.geometry, self.link, self.hash)?;
                    self.link = self.buckets.link(entry);
                    entry
                }
            };
            if self.buckets.hash(entry) == self.hash {
                return Some(entry);
            }
        }
    }

    fn next_of_slots(&mut self) -> Option<S::Entry> {
        loop {
            if let Some(position) = self.positions.next() {
                let slot = slot_at(self.word, position);
                if let Some(entry) = self.buckets.slot(self.bucket, slot, Ordering::Acquire) {
                    return Some(entry);
                }
                continue;
            }
            self.word = self.word.wrapping_add(1);
            if self.word >= words::<S>() {
                self.word = words::<S>();
                self.bucket = self.second.take()?;
                self.word = 0;
            }
            let tags = self.buckets.tags(self.bucket, self.word, Ordering::Acquire);
            self.positions = Tag::of(self.hash).positions(tags);
        }
    }
}

/// The bucket that [`find`] reads first for `hash`. In a read section.
#[inline(always)]
pub fn first_bucket<S: Slots>(buckets: &S, hash: u32) -> Option<S::Bucket> {
    let geometry = buckets.geometry(Ordering::Acquire);
    Some(Way::new(buckets, geometry, hash)?.first)
}

/// An entry that [`find`] examines for `hash`, in all likelihood the one that it finds. This reads
/// no entry. In a read section.
#[inline(always)]
pub fn candidate<S: Slots>(buckets: &S, hash: u32) -> Option<S::Entry> {
    let bucket = first_bucket(buckets, hash)?;
    match first_slot(buckets, bucket, Tag::of(hash)) {
        Some(slot) => buckets.slot(bucket, slot, Ordering::Acquire),
        None => first_of_list(buckets, bucket),
    }
}

/// The number of entries with one hash that [`first_from`] tells apart.
const TOLD_APART: usize = 16;

/// Calls `f` for the entries with the lowest bit-reversed hash that is not below `from`. Returns
/// that bit-reversed hash, or `None` if there is no such entry. In a read section.
///
/// In a series of calls, each call starts after the hash that the previous one returned. The series
/// visits an entry that is in the table all the time exactly once, even if others are inserted or
/// removed, or the table is resized in the meantime. If more than sixteen entries have the same
/// hash, one that moves meanwhile may be visited twice.
pub fn first_from<S: Slots>(buckets: &S, from: u32, mut f: impl FnMut(S::Entry)) -> Option<u32> {
    let mut from = from;
    loop {
        let geometry = buckets.geometry(Ordering::Acquire);
        let last = from | u32::MAX.checked_shr(geometry.order()).unwrap_or(0);
        let mut first = None;
        for_each_until(buckets, geometry, from, last, |key, _| {
            if first.is_none_or(|first| key < first) {
                first = Some(key);
            }
        })?;
        if let Some(first) = first {
            let mut met = [None; TOLD_APART];
            let mut count = 0usize;
            for_each_until(buckets, geometry, first, first, |_, entry| {
                let link = Some(buckets.link(entry));
                if met.contains(&link) {
                    return;
                }
                if let Some(place) = met.get_mut(count) {
                    *place = link;
                    count = count.wrapping_add(1);
                }
                f(entry);
            })?;
            return Some(first);
        }
        from = last.checked_add(1)?;
    }
}

/// Calls `f` with the bit-reversed hash of each entry between `from` and `last`, which are hashes
/// of one bucket of the smaller number, and with the entry. An entry that moves may be met twice.
/// Returns `None` if there is no such bucket.
fn for_each_until<S: Slots>(
    buckets: &S,
    geometry: Geometry,
    from: u32,
    last: u32,
    mut f: impl FnMut(u32, S::Entry),
) -> Option<()> {
    // The upper bucket has the larger of these keys.
    let way = Way::new(buckets, geometry, last.reverse_bits())?;
    let mut visit = |entry| {
        let key = buckets.hash(entry).reverse_bits();
        if (from..=last).contains(&key) {
            f(key, entry);
        }
    };
    for bucket in [Some(way.first), way.second].into_iter().flatten() {
        for slot in 0..S::SLOTS {
            if let Some(entry) = buckets.slot(bucket, slot, Ordering::Acquire) {
                visit(entry);
            }
        }
    }
    let sentinel = buckets.sentinel(way.home);
    split_order::for_each(buckets, geometry, sentinel, last, &mut visit);
    Some(())
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

/// Doubles a number of 2^`order` buckets. Returns false if there is no memory.
pub fn grow<R: Resizable>(table: &R, order: u32) -> bool {
    let segment = upper_segment(R::Buckets::MIN_ORDER, order);
    if order >= R::Buckets::MAX_ORDER || !table.add_segment(segment) {
        return false;
    }
    let growing = Geometry::growing(order);
    table.set_geometry(growing, Ordering::Release);
    table.grace_period();
    for upper in upper_buckets(order) {
        table.locked(upper, |buckets| {
            split_order::split(buckets, order, upper);
            let [lower, upper] = [growing.bucket(upper), upper];
            move_slots(buckets, growing, lower, upper, |hash| {
                growing.upper(hash).is_some()
            });
        });
    }
    let larger = Geometry::settled(order.wrapping_add(1));
    table.set_geometry(larger, Ordering::Release);
    true
}

/// Halves a number of 2^`order` buckets.
pub fn shrink<R: Resizable>(table: &R, order: u32) {
    if order <= R::Buckets::MIN_ORDER {
        return;
    }
    let order = order.wrapping_sub(1);
    let shrinking = Geometry::shrinking(order);
    table.set_geometry(shrinking, Ordering::Release);
    table.grace_period();
    for upper in upper_buckets(order) {
        table.locked(upper, |buckets| {
            let lower = shrinking.bucket(upper);
            move_slots(buckets, shrinking, upper, lower, |_| true);
            split_order::join(buckets, order, upper);
        });
    }
    table.set_geometry(Geometry::settled(order), Ordering::Release);
    table.grace_period();
    table.free_segment(upper_segment(R::Buckets::MIN_ORDER, order));
}

/// The additional buckets of a table that doubles from 2^`order` buckets.
fn upper_buckets(order: u32) -> core::ops::Range<u32> {
    let half = upper_half(order);
    half..half.wrapping_mul(2)
}

/// Moves the entries of bucket number `from` that `go`, by their hashes, to bucket number `to` or
/// to the list. With the shard's lock held.
fn move_slots<S: Slots>(
    buckets: &S,
    geometry: Geometry,
    from: u32,
    to: u32,
    go: impl Fn(u32) -> bool,
) {
    let home = bucket_at(buckets, geometry.bucket(from));
    let (Some(bucket), Some(to), Some(home)) =
        (bucket_at(buckets, from), bucket_at(buckets, to), home)
    else {
        return;
    };
    let sentinel = buckets.sentinel(home);
    for slot in 0..S::SLOTS {
        let Some(entry) = buckets.slot(bucket, slot, Ordering::Relaxed) else {
            continue;
        };
        let hash = buckets.hash(entry);
        if !go(hash) {
            continue;
        }
        let has_moved = match buckets.number(entry) {
            Some(number) => put(buckets, to, Tag::of(hash), number),
            None => false,
        };
        if !has_moved {
            let before = split_order::place_of(buckets, geometry, sentinel, hash);
            split_order::insert(buckets, before, entry);
        }
        Slot {
            bucket,
            number: slot,
        }
        .clear(buckets);
    }
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
