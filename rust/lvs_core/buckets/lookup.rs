// SPDX-License-Identifier: GPL-2.0-only

//! Lookups: readers find an entry, or visit all of them.

use super::{
    geometry::Geometry,
    slot_at,
    split_order::{self, bucket_at, Target},
    tags::{SlotSet, Tag},
    words, Slots, Way,
};
use core::sync::atomic::Ordering;

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
    let (mut rest, mut entry) = match first_slot(buckets, bucket, Tag::of(hash)) {
        Some(slot) => (
            SlotSet::behind(slot),
            buckets.slot(bucket, slot, Ordering::Acquire),
        ),
        None => {
            if !geometry.is_resizing() {
                first_of_list(buckets, bucket)?;
            }
            (SlotSet::EMPTY, None)
        }
    };
    let mut search = None;
    loop {
        if let Some(entry) = entry {
            if buckets.hash(entry) == hash && matches(entry) {
                return Some(entry);
            }
        }
        let (behind, next) = next(buckets, geometry, bucket, hash, rest, &mut search)?;
        (rest, entry) = (behind, Some(next));
    }
}

/// The next entry that may have `hash`, and the `rest` of the slots of `bucket`, where a lookup
/// begins, behind that entry. Entries in other places are in a `search`.
// Not `cold`: what is in a loop with it would be cold, too.
#[inline(never)]
fn next<'s, S: Slots>(
    buckets: &'s S,
    geometry: Geometry,
    bucket: S::Bucket,
    hash: u32,
    mut rest: SlotSet,
    search: &mut Option<Search<'s, S>>,
) -> Option<(SlotSet, S::Entry)> {
    if rest.is_endless() {
        rest = match geometry.is_resizing() {
            true => SlotSet::EMPTY,
            false => rest.and(slots_with(buckets, bucket, Tag::of(hash))),
        };
    }
    while let Some(slot) = rest.next() {
        if let Some(entry) = buckets.slot(bucket, slot, Ordering::Acquire) {
            return Some((rest, entry));
        }
    }
    Some((
        SlotSet::EMPTY,
        next_elsewhere(buckets, geometry, hash, search)?,
    ))
}

// A function of its own, so that `next` saves no registers.
#[inline(never)]
fn next_elsewhere<'s, S: Slots>(
    buckets: &'s S,
    geometry: Geometry,
    hash: u32,
    search: &mut Option<Search<'s, S>>,
) -> Option<S::Entry> {
    if search.is_none() {
        *search = Search::new(buckets, geometry, hash);
    }
    search.as_mut()?.next_entry()
}

/// The slots of `bucket` with this tag.
#[inline]
fn slots_with<S: Slots>(buckets: &S, bucket: S::Bucket, tag: Tag) -> SlotSet {
    let mut slots = SlotSet::EMPTY;
    for word in 0..words::<S>() {
        let tags = buckets.tags(bucket, word, Ordering::Acquire);
        slots = slots.with(word, tag.positions(tags));
    }
    slots
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

/// A search in the list, and during a resize in all places. In a read section.
struct Search<'s, S: Slots> {
    buckets: &'s S,
    geometry: Geometry,
    hash: u32,
    /// The slots to examine of this bucket, and the bucket after that.
    slots: SlotSet,
    bucket: S::Bucket,
    second: Option<S::Bucket>,
    /// Where in the list.
    link: S::Link,
}

impl<'s, S: Slots> Search<'s, S> {
    fn new(buckets: &'s S, geometry: Geometry, hash: u32) -> Option<Self> {
        let way = Way::new(buckets, geometry, hash)?;
        let slots = match geometry.is_resizing() {
            true => slots_with(buckets, way.first, Tag::of(hash)),
            false => SlotSet::EMPTY,
        };
        Some(Self {
            buckets,
            geometry,
            hash,
            slots,
            bucket: way.first,
            second: way.second,
            link: buckets.sentinel(way.home),
        })
    }

    /// The next entry with the hash.
    fn next_entry(&mut self) -> Option<S::Entry> {
        while let Some(entry) = self.next_of_slots() {
            if self.buckets.hash(entry) == self.hash {
                return Some(entry);
            }
        }
        loop {
            let entry = split_order::next(self.buckets, self.geometry, self.link, self.hash)?;
            self.link = self.buckets.link(entry);
            if self.buckets.hash(entry) == self.hash {
                return Some(entry);
            }
        }
    }

    fn next_of_slots(&mut self) -> Option<S::Entry> {
        loop {
            for slot in self.slots.by_ref() {
                let entry = self.buckets.slot(self.bucket, slot, Ordering::Acquire);
                if entry.is_some() {
                    return entry;
                }
            }
            self.bucket = self.second.take()?;
            self.slots = slots_with(self.buckets, self.bucket, Tag::of(self.hash));
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
