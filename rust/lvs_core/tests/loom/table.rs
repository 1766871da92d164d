// SPDX-License-Identifier: GPL-2.0-only

//! A connection table for the model: the kernel's algorithm with loom's memory, locks and RCU.
//!
//! Memory is never reused. Freed memory is overwritten through loom's atomics, so a test fails if a
//! thread can still read it.

use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use loom::sync::{Condvar, Mutex};
use lvs_core::buckets::{
    self, segment_len, Geometry, Inserted, Lists, Place, Resizable, Slots, Target,
};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// The value of memory before its first write and after it is freed: no link and no hash.
const POISON: usize = 0x5a5a_5a5a;

/// The number of slots of a bucket.
const SLOTS: usize = 2;

/// An entry, which uses the link and the hash, or a bucket, which uses all but the hash.
struct Node {
    link: AtomicUsize,
    hash: AtomicU32,
    tags: AtomicU64,
    slots: [AtomicUsize; SLOTS],
}

impl Node {
    fn new() -> Self {
        Self {
            link: AtomicUsize::new(POISON),
            hash: AtomicU32::new(POISON as u32),
            tags: AtomicU64::new(POISON as u64),
            slots: std::array::from_fn(|_| AtomicUsize::new(POISON)),
        }
    }

    /// Makes it an empty bucket.
    fn empty(&self) {
        self.link.store(Target::Entry(None).word(), Relaxed);
        self.tags.store(0, Relaxed);
        for slot in &self.slots {
            slot.store(0, Relaxed);
        }
    }

    fn free(&self) {
        self.link.store(POISON, Relaxed);
        self.hash.store(POISON as u32, Relaxed);
        self.tags.store(POISON as u64, Relaxed);
        for slot in &self.slots {
            slot.store(POISON, Relaxed);
        }
    }
}

/// Read-copy update: a grace period waits only for the read sections that are open when it starts.
/// Sections that start later see all earlier changes.
struct Rcu {
    sections: Mutex<Sections>,
    ended: Condvar,
}

#[derive(Default)]
struct Sections {
    next: u32,
    open: Vec<u32>,
}

impl Rcu {
    fn new() -> Self {
        Self {
            sections: Mutex::new(Sections::default()),
            ended: Condvar::new(),
        }
    }

    fn read<R>(&self, f: impl FnOnce() -> R) -> R {
        let mut sections = self.sections.lock().unwrap();
        let this = sections.next;
        sections.next += 1;
        sections.open.push(this);
        drop(sections);
        let result = f();
        let mut sections = self.sections.lock().unwrap();
        sections.open.retain(|&section| section != this);
        drop(sections);
        self.ended.notify_all();
        result
    }

    fn synchronize(&self) {
        let mut sections = self.sections.lock().unwrap();
        let begin = sections.next;
        while sections.open.iter().any(|&section| section < begin) {
            sections = self.ended.wait(sections).unwrap();
        }
    }
}

/// The entry that no slot can name.
pub(crate) const FAR: usize = 7;

/// A table of 2^`MIN` to 2^`MAX` buckets in two shards (in one if there can be one bucket).
pub struct Table<const MIN: u32, const MAX: u32> {
    geometry: AtomicUsize,
    /// The numbers of the segments' first nodes, or 0.
    segments: Vec<AtomicUsize>,
    nodes: Vec<Node>,
    /// The number of allocated nodes. Node 0 is never used.
    used: std::sync::atomic::AtomicUsize,
    shards: Vec<Mutex<()>>,
    rcu: Rcu,
}

impl<const MIN: u32, const MAX: u32> Table<MIN, MAX> {
    /// A table with entries that have these hashes, numbered 1, 2 and so on. It has memory for
    /// `room` entries and for growing `grows` times. No slot can name entry number [`FAR`].
    pub fn new(room: usize, grows: usize, hashes: &[u32]) -> Self {
        let sentinels = segment_len(MIN, 0) + grows * segment_len(MIN, (MAX - MIN) as usize);
        let table = Self {
            geometry: AtomicUsize::new(Geometry::settled(MIN).word()),
            segments: (0..=MAX - MIN).map(|_| AtomicUsize::new(0)).collect(),
            nodes: (0..1 + room + sentinels).map(|_| Node::new()).collect(),
            used: (1 + room).into(),
            shards: (0..1 << MIN.min(1)).map(|_| Mutex::new(())).collect(),
            rcu: Rcu::new(),
        };
        assert!((&table).add_segment(0));
        for (entry, &hash) in (1..).zip(hashes) {
            assert!(table.insert(entry, hash));
        }
        table
    }

    fn view(&self) -> View<'_, MIN, MAX> {
        View {
            table: self,
            steps: Cell::new(0),
        }
    }

    /// Runs `change` with the lock of the shard of `hash` held. That is a read section, too: the
    /// kernel's lock disables bottom halves.
    fn locked<'a, R>(&'a self, hash: u32, change: impl FnOnce(&View<'a, MIN, MAX>) -> R) -> R {
        self.rcu.read(|| {
            let shard = &self.shards[hash as usize % self.shards.len()];
            let _lock = shard.lock().unwrap();
            change(&self.view())
        })
    }

    /// Looks up `entry` by its hash, as a packet does.
    pub fn has(&self, entry: usize, hash: u32) -> bool {
        self.rcu.read(|| {
            let view = self.view();
            let found = buckets::find(&view, hash, |other| other == entry).is_some();
            assert!(
                view.steps.get() <= self.nodes.len(),
                "a walk longer than all that there is"
            );
            found
        })
    }

    /// The first entry with this hash.
    pub fn first(&self, hash: u32) -> Option<usize> {
        self.rcu
            .read(|| buckets::find(&self.view(), hash, |_| true))
    }

    /// The hash of the entry that a lookup of `hash` probably finds.
    pub fn candidate(&self, hash: u32) -> Option<u32> {
        self.rcu.read(|| {
            let view = self.view();
            buckets::candidate(&view, hash).map(|entry| view.hash(entry))
        })
    }

    /// The entries in the order of a listing. Each step has a read section of its own.
    pub fn list(&self) -> Vec<usize> {
        let mut met = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            let found = self
                .rcu
                .read(|| buckets::first_from(&self.view(), start, |entry| met.push(entry)));
            from = found.and_then(|reversed| reversed.checked_add(1));
        }
        met
    }

    /// Fills `entry` and inserts it.
    pub fn insert(&self, entry: usize, hash: u32) -> bool {
        self.nodes[entry].hash.store(hash, Relaxed);
        self.locked(hash, |view| {
            buckets::insert(view, entry, usize::MAX, |_| true, |_| false, || false) == Inserted::Yes
        })
    }

    /// Fills `entry` and replaces `old` by it. Both have the same hash.
    pub fn replace(&self, old: usize, entry: usize, hash: u32) -> bool {
        self.nodes[entry].hash.store(hash, Relaxed);
        self.locked(hash, |view| buckets::replace(view, old, entry))
    }

    /// Inserts `entry` as the kernel's table does: at `home`, which has room for one entry, or
    /// `apart`. `duplicates` returns whether an entry belongs to the same connection.
    pub fn insert_bounded(
        &self,
        entry: usize,
        home: u32,
        apart: u32,
        duplicates: impl Fn(usize) -> bool + Copy,
    ) -> bool {
        let node = &self.nodes[entry];
        node.hash.store(home, Relaxed);
        let is_in = |hash| buckets::find(&self.view(), hash, duplicates).is_some();
        let inserted = self.locked(home, |view| {
            buckets::insert(view, entry, 1, |_| true, duplicates, || is_in(apart))
        });
        if inserted != Inserted::Crowded {
            return inserted == Inserted::Yes;
        }
        node.hash.store(apart, Relaxed);
        buckets::insert_apart(
            || {
                self.locked(apart, |view| {
                    let inserted =
                        buckets::insert(view, entry, usize::MAX, |_| true, duplicates, || false);
                    inserted == Inserted::Yes
                })
            },
            || self.locked(home, |_| is_in(home)),
            || {
                self.locked(apart, |view| buckets::remove(view, entry));
            },
        )
    }

    /// Removes `entry`.
    pub fn remove(&self, entry: usize, hash: u32) -> bool {
        self.locked(hash, |view| buckets::remove(view, entry))
    }

    /// Frees a removed entry after a grace period.
    pub fn free(&self, entry: usize) {
        self.rcu.synchronize();
        self.nodes[entry].free();
    }

    /// Doubles the number of buckets.
    pub fn grow(&self) {
        assert!(buckets::grow(&self, self.order()));
    }

    /// Halves the number of buckets.
    pub fn shrink(&self) {
        buckets::shrink(&self, self.order());
    }

    /// log2 of the number of buckets.
    pub fn order(&self) -> u32 {
        Geometry::from_word(self.geometry.load(Relaxed)).order()
    }
}

/// The lists of a table, with the number of links loaded through this view.
pub struct View<'a, const MIN: u32, const MAX: u32> {
    table: &'a Table<MIN, MAX>,
    steps: Cell<usize>,
}

impl<const MIN: u32, const MAX: u32> Lists for View<'_, MIN, MAX> {
    const MIN_ORDER: u32 = MIN;
    const MAX_ORDER: u32 = MAX;
    type Entry = usize;
    type Bucket = usize;
    type Link = usize;

    fn geometry(&self, ordering: Ordering) -> Geometry {
        Geometry::from_word(self.table.geometry.load(ordering))
    }

    fn bucket(&self, place: Place) -> Option<usize> {
        let first = self.table.segments.get(place.segment)?.load(Acquire);
        assert!(place.index < segment_len(MIN, place.segment));
        (first != 0).then(|| first + place.index)
    }

    fn sentinel(&self, bucket: usize) -> usize {
        bucket
    }

    fn index(&self, segment: usize, sentinel: usize) -> Option<usize> {
        let first = self.table.segments[segment].load(Acquire);
        let index = sentinel.wrapping_sub(first);
        (first != 0 && index < segment_len(MIN, segment)).then_some(index)
    }

    fn link(&self, entry: usize) -> usize {
        entry
    }

    fn hash(&self, entry: usize) -> u32 {
        let hash = self.table.nodes[entry].hash.load(Relaxed);
        assert_ne!(
            hash, POISON as u32,
            "seen before it was complete or after it was freed"
        );
        hash
    }

    fn load(&self, link: usize, ordering: Ordering) -> Target<usize, usize> {
        self.steps.set(self.steps.get() + 1);
        let word = self.table.nodes[link].link.load(ordering);
        assert_ne!(
            word, POISON,
            "seen before it was complete or after it was freed"
        );
        match Target::from_word(word) {
            Target::Entry(address) => Target::Entry(address.map(|address| address.get() / 2)),
            Target::Sentinel(address) => Target::Sentinel(address / 2),
        }
    }

    fn store(&self, link: usize, target: Target<usize, usize>, ordering: Ordering) {
        let word = match target {
            Target::Entry(number) => {
                Target::Entry(number.and_then(|number| NonZeroUsize::new(number * 2)))
            }
            Target::Sentinel(number) => Target::Sentinel(number * 2),
        };
        self.table.nodes[link].link.store(word.word(), ordering);
    }
}

impl<const MIN: u32, const MAX: u32> Slots for View<'_, MIN, MAX> {
    const SLOTS: usize = SLOTS;
    type Number = usize;

    fn tags(&self, bucket: usize, word: usize, ordering: Ordering) -> u64 {
        assert_eq!(word, 0);
        let tags = self.table.nodes[bucket].tags.load(ordering);
        assert_ne!(tags, POISON as u64, "read after it was freed");
        tags
    }

    fn set_tags(&self, bucket: usize, word: usize, tags: u64, ordering: Ordering) {
        assert_eq!(word, 0);
        self.table.nodes[bucket].tags.store(tags, ordering);
    }

    fn slot(&self, bucket: usize, slot: usize, ordering: Ordering) -> Option<usize> {
        let entry = self.table.nodes[bucket].slots.get(slot)?.load(ordering);
        assert_ne!(entry, POISON, "read after it was freed");
        (entry != 0).then_some(entry)
    }

    fn set_slot(&self, bucket: usize, slot: usize, number: Option<usize>, ordering: Ordering) {
        self.table.nodes[bucket].slots[slot].store(number.unwrap_or(0), ordering);
    }

    fn number(&self, entry: usize) -> Option<usize> {
        (entry != FAR).then_some(entry)
    }
}

impl<'a, const MIN: u32, const MAX: u32> Resizable for &'a Table<MIN, MAX> {
    type Buckets = View<'a, MIN, MAX>;

    fn set_geometry(&self, geometry: Geometry, ordering: Ordering) {
        self.geometry.store(geometry.word(), ordering);
    }

    fn grace_period(&self) {
        self.rcu.synchronize();
    }

    fn locked(&self, bucket: u32, change: impl FnOnce(&View<'a, MIN, MAX>)) {
        Table::locked(self, bucket, change);
    }

    fn add_segment(&self, segment: usize) -> bool {
        let len = segment_len(MIN, segment);
        let first = self.used.fetch_add(len, Relaxed);
        for node in &self.nodes[first..first + len] {
            node.empty();
        }
        self.segments[segment].store(first, Release);
        true
    }

    fn free_segment(&self, segment: usize) {
        let first = self.segments[segment].swap(0, Relaxed);
        for node in &self.nodes[first..first + segment_len(MIN, segment)] {
            node.free();
        }
    }
}
