// SPDX-License-Identifier: GPL-2.0-only

//! The connection table in one thread; `tests/loom` has several.

use lvs_core::buckets::{
    self, is_full, place, segment_len, wants, Geometry, Inserted, Lists, Place, Resizable, Slots,
    Target, FILL,
};
use proptest::prelude::*;
use std::{cell::Cell, collections::HashSet, num::NonZeroUsize, sync::atomic::Ordering};

/// Each sentinel has a place of its own, and the segments have no other places.
#[test]
fn places_fill_the_segments() {
    for min_order in [0, 1, 4, 10] {
        for doublings in 0..4 {
            let order = min_order + doublings;
            let mut taken = HashSet::new();
            for bucket in 0..1u32 << order {
                let place = place(min_order, bucket);
                assert!(place.segment <= doublings as usize);
                assert!(place.index < segment_len(min_order, place.segment));
                assert!(taken.insert((place.segment, place.index)), "{bucket}");
            }
            let room: usize = (0..=doublings as usize)
                .map(|segment| segment_len(min_order, segment))
                .sum();
            assert_eq!(room, taken.len());
        }
    }
}

/// Doubling adds buckets in the order of the new segment, so a writer derives a sentinel's bucket
/// from its index.
#[test]
fn doubling_fills_one_segment_in_order() {
    for (segment, order) in [(1, 10), (2, 11), (14, 23)] {
        for index in [0, 1, (1 << order) - 1] {
            let place = place(10, (1 << order) | index);
            assert_eq!((place.segment, place.index), (segment, index as usize));
        }
    }
}

#[test]
fn the_size_follows_the_count() {
    for (order, count, wanted) in [
        (7, 0, 7),
        (7, 1024, 7),
        (7, 1025, 8),
        (8, 512, 8),
        (8, 511, 7),
        (20, 1 << 24, 21),
        (21, usize::MAX, 21),
    ] {
        assert_eq!(wants(7, 21, order, count), wanted, "{order} {count}");
    }
    // A table that has just grown does not shrink at once, and the reverse.
    for order in 7..21 {
        let grown = (FILL << order) + 1;
        assert_eq!(wants(7, 21, order + 1, grown), order + 1);
        let shrunk = (FILL << order) / 4 - 1;
        assert_eq!(wants(7, 21, order - 1, shrunk), order - 1);
    }
}

/// A new entry has the table grow exactly if a resize would do that.
#[test]
fn a_full_table_grows() {
    for order in 7..=21 {
        for count in [FILL << order, (FILL << order) + 1] {
            let grows = wants(7, 21, order, count) > order;
            assert_eq!(is_full(21, order, count), grows, "{order} {count}");
        }
    }
}

#[test]
fn words_can_be_decoded() {
    for order in 0..=24 {
        for (geometry, resizing) in [
            (Geometry::settled(order), false),
            (Geometry::growing(order), true),
            (Geometry::shrinking(order), true),
        ] {
            let read = Geometry::from_word(geometry.word());
            assert_eq!((read.order(), read.is_resizing()), (order, resizing));
        }
    }
    for word in [0, 2, 0x80, usize::MAX - 1] {
        assert!(matches!(Target::from_word(word), Target::Entry(address)
            if address.map_or(0, |address| address.get()) == word));
        assert_eq!(Target::from_word(word).word(), word);
        assert_eq!(Target::from_word(word | 1), Target::Sentinel(word));
        assert_eq!(Target::from_word(word | 1).word(), word | 1);
    }
}

/// A table in memory, for one thread: two to eight buckets with as many slots as the kernel's.
struct Model {
    geometry: Cell<usize>,
    buckets: Vec<Bucket>,
    hashes: Vec<u32>,
    links: Vec<Cell<usize>>,
}

#[derive(Default)]
struct Bucket {
    list: Cell<usize>,
    tags: [Cell<u64>; 2],
    slots: [Cell<usize>; SLOTS],
}

const SLOTS: usize = 11;
const MIN: u32 = 1;
const MAX: u32 = 3;
/// Entries that have no number.
const FAR: usize = 7;

/// A link of an entry or of a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    Entry(usize),
    Bucket(usize),
}

impl Model {
    fn new(hashes: Vec<u32>) -> Self {
        Self {
            geometry: Cell::new(Geometry::settled(MIN).word()),
            buckets: (0..1 << MAX).map(|_| Bucket::default()).collect(),
            links: hashes.iter().map(|_| Cell::new(0)).collect(),
            hashes,
        }
    }

    fn order(&self) -> u32 {
        Geometry::from_word(self.geometry.get()).order()
    }

    fn link(&self, link: Link) -> &Cell<usize> {
        match link {
            Link::Entry(entry) => &self.links[entry],
            Link::Bucket(bucket) => &self.buckets[bucket].list,
        }
    }

    /// Inserts `entry`, which no reader distinguishes from others with its hash.
    fn insert(&self, entry: usize, duplicates: impl Fn(usize) -> bool) -> Inserted {
        buckets::insert(&self, entry, usize::MAX, |_| true, duplicates, || false)
    }

    /// All entries in the order of a listing.
    fn listed(&self) -> Vec<usize> {
        let mut met = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            let found = buckets::first_from(&self, start, |entry| met.push(entry));
            from = found.and_then(|key| key.checked_add(1));
        }
        met
    }
}

// The words of links: entries from 1 on, in steps of 2, and buckets.
impl Lists for &Model {
    const MIN_ORDER: u32 = MIN;
    const MAX_ORDER: u32 = MAX;
    type Entry = usize;
    type Bucket = usize;
    type Link = Link;

    fn geometry(&self, _: Ordering) -> Geometry {
        Geometry::from_word(self.geometry.get())
    }

    fn bucket(&self, place: Place) -> Option<usize> {
        let segments = (0..place.segment).map(|segment| segment_len(MIN, segment));
        Some(segments.sum::<usize>() + place.index)
    }

    fn sentinel(&self, bucket: usize) -> Link {
        Link::Bucket(bucket)
    }

    fn index(&self, segment: usize, sentinel: Link) -> Option<usize> {
        let Link::Bucket(bucket) = sentinel else {
            panic!("not a sentinel");
        };
        let first = (0..segment).map(|segment| segment_len(MIN, segment)).sum();
        let index = bucket.checked_sub(first)?;
        (index < segment_len(MIN, segment)).then_some(index)
    }

    fn link(&self, entry: usize) -> Link {
        Link::Entry(entry)
    }

    fn hash(&self, entry: usize) -> u32 {
        self.hashes[entry]
    }

    fn load(&self, link: Link, _: Ordering) -> Target<usize, Link> {
        match Target::from_word(Model::link(self, link).get()) {
            Target::Entry(entry) => Target::Entry(entry.map(|entry| entry.get() / 2 - 1)),
            Target::Sentinel(bucket) => Target::Sentinel(Link::Bucket(bucket / 2)),
        }
    }

    fn store(&self, link: Link, target: Target<usize, Link>, _: Ordering) {
        let target = match target {
            Target::Entry(entry) => {
                Target::Entry(entry.and_then(|entry| NonZeroUsize::new(2 * entry + 2)))
            }
            Target::Sentinel(Link::Bucket(bucket)) => Target::Sentinel(2 * bucket),
            Target::Sentinel(Link::Entry(_)) => panic!("not a sentinel"),
        };
        Model::link(self, link).set(target.word());
    }
}

impl Slots for &Model {
    const SLOTS: usize = SLOTS;
    type Number = usize;

    fn tags(&self, bucket: usize, word: usize, _: Ordering) -> u64 {
        self.buckets[bucket].tags[word].get()
    }

    fn set_tags(&self, bucket: usize, word: usize, tags: u64, _: Ordering) {
        assert!(word == 0 || tags >> 24 == 0, "tags without slots");
        self.buckets[bucket].tags[word].set(tags);
    }

    fn slot(&self, bucket: usize, slot: usize, _: Ordering) -> Option<usize> {
        self.buckets[bucket].slots.get(slot)?.get().checked_sub(1)
    }

    fn set_slot(&self, bucket: usize, slot: usize, number: Option<usize>, _: Ordering) {
        self.buckets[bucket].slots[slot].set(number.map_or(0, |number| number + 1));
    }

    fn number(&self, entry: usize) -> Option<usize> {
        (entry % FAR != 0).then_some(entry)
    }
}

impl<'a> Resizable for &'a Model {
    type Buckets = &'a Model;

    fn set_geometry(&self, geometry: Geometry, _: Ordering) {
        self.geometry.set(geometry.word());
    }

    fn grace_period(&self) {}

    fn locked(&self, _: u32, change: impl FnOnce(&&'a Model)) {
        change(self);
    }

    fn add_segment(&self, _: usize) -> bool {
        true
    }

    /// Moving leaves nothing behind.
    fn free_segment(&self, segment: usize) {
        let first = (0..segment)
            .map(|segment| segment_len(MIN, segment))
            .sum::<usize>();
        for bucket in &self.buckets[first..first + segment_len(MIN, segment)] {
            assert!(bucket.tags.iter().all(|tags| tags.get() == 0));
            assert!(bucket.slots.iter().all(|slot| slot.get() == 0));
            bucket.list.set(0);
        }
    }
}

/// What a test does to the table: with an entry, or with its size.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(usize),
    Remove(usize),
    Replace(usize, usize),
    Grow,
    Shrink,
}

fn steps(entries: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..entries).prop_map(Step::Insert),
        4 => (0..entries).prop_map(Step::Remove),
        1 => (0..entries, 0..entries).prop_map(|(old, new)| Step::Replace(old, new)),
        1 => Just(Step::Grow),
        1 => Just(Step::Shrink),
    ];
    proptest::collection::vec(step, 1..300)
}

/// Hashes with few buckets, few tags, and several entries each.
fn hash() -> impl Strategy<Value = u32> {
    (
        0..12u32,
        prop_oneof![Just(0), Just(1), Just(0x80), Just(0xff), 0..256u32],
    )
        .prop_map(|(low, tag)| (tag << 24) | low)
}

proptest! {
    /// After any changes, the table has what a list has to which the same was done. Of entries with
    /// one hash, the one that was inserted last is found first.
    #[test]
    fn the_table_has_what_was_inserted(
        hashes in proptest::collection::vec(hash(), 80),
        steps in steps(80),
    ) {
        let model = &Model::new(hashes.clone());
        // The entries in the table, the newest last.
        let mut there = Vec::new();
        for step in steps {
            match step {
                Step::Insert(entry) if !there.contains(&entry) => {
                    prop_assert_eq!(model.insert(entry, |_| false), Inserted::Yes);
                    there.push(entry);
                }
                Step::Insert(entry) => {
                    let inserted = model.insert(entry, |other| other == entry);
                    prop_assert_eq!(inserted, Inserted::Duplicate);
                }
                Step::Remove(entry) => {
                    let was_there = there.contains(&entry);
                    there.retain(|&other| other != entry);
                    prop_assert_eq!(buckets::remove(&model, entry), was_there);
                }
                // Only of entries with the same hash, and not back into the table.
                Step::Replace(old, new) => {
                    let place = there.iter().position(|&other| other == old);
                    if hashes[old] != hashes[new] || there.contains(&new) {
                        continue;
                    }
                    prop_assert_eq!(buckets::replace(&model, old, new), place.is_some());
                    if let Some(place) = place {
                        there[place] = new;
                    }
                }
                Step::Grow => {
                    let order = model.order();
                    prop_assert_eq!(buckets::grow(&model, order), order < MAX);
                }
                Step::Shrink => buckets::shrink(&model, model.order()),
            }
        }
        for (entry, &hash) in hashes.iter().enumerate() {
            let found = buckets::find(&model, hash, |other| other == entry);
            prop_assert_eq!(found.is_some(), there.contains(&entry), "entry {}", entry);
            let newest = there.iter().rev().find(|&&other| hashes[other] == hash).copied();
            prop_assert_eq!(buckets::find(&model, hash, |_| true), newest);
        }
        let mut listed = model.listed();
        prop_assert!(listed.is_sorted_by_key(|&entry| hashes[entry].reverse_bits()));
        listed.sort_unstable();
        there.sort_unstable();
        prop_assert_eq!(listed, there);
    }
}
