// SPDX-License-Identifier: GPL-2.0-only

//! The event queue: what happens next, and when.
//!
//! Time is a number of nanoseconds since the beginning of a run. Events of one instant happen in
//! the order in which they were put in, so a run depends on nothing but its seed.

use std::collections::VecDeque;

/// Nanoseconds since the beginning of the run.
pub type Time = u64;

/// Nanoseconds in a second.
pub const SECOND: Time = 1_000_000_000;

/// Seconds as nanoseconds, rounded; negative numbers become 0.
#[inline]
#[must_use]
pub fn from_seconds(seconds: f64) -> Time {
    // Not `round`, which is a call on plain x86-64. A cast to a signed number takes half of the
    // instructions, and saturates.
    match (seconds * SECOND as f64 + 0.5) as i64 {
        i64::MAX => Time::MAX,
        time => time.max(0) as Time,
    }
}

/// Nanoseconds as seconds.
#[must_use]
pub fn seconds(time: Time) -> f64 {
    time as f64 / SECOND as f64
}

/// Bits of a key: when, the number of the entry, and where the event is stored.
const TIME_BITS: u32 = 56;
const SEQUENCE_BITS: u32 = 44;
const SLOT_BITS: u32 = 28;

/// The latest time in the queue: two years. Events that are later happen then.
pub const LATEST: Time = (1 << TIME_BITS) - 1;

/// Children of a node of the heap: a node's children share a cache line.
const CHILDREN: usize = 4;

/// Places in the table, and bits of a place's number.
const PLACES: usize = 64;
const PLACE_BITS: u32 = 6;

/// The most events in a table whose places are all taken.
const MANY: usize = 40;

/// Keys of a heap that go back to the table.
const FEW: usize = 16;

/// A time, a number and a slot in one word, so that one comparison puts events in order.
type Key = u128;

#[inline]
const fn time_of(key: Key) -> Time {
    (key >> (SEQUENCE_BITS + SLOT_BITS)) as Time
}

#[inline]
const fn sequence_of(key: Key) -> u64 {
    (key >> SLOT_BITS) as u64 & ((1 << SEQUENCE_BITS) - 1)
}

/// A few events, in the order of their entry.
///
/// A heap has branches that no processor predicts. To look at a few times without a branch is
/// quicker. The place of an event that has happened stays free until the end is reached; then the
/// others move up.
struct Table<E> {
    /// For each place, the time of its event above the number of the place; [`FREE`] without one.
    /// So the least word is that of the first event: of those of one time, the earliest entry.
    times: [u64; PLACES],
    /// The numbers of the entries.
    sequences: [u64; PLACES],
    events: [E; PLACES],
    /// Places in use, with those that are free between them.
    end: usize,
    /// Where the events move up: the fewer there are, the earlier.
    limit: usize,
    /// Events.
    count: usize,
    /// The least of the times; 0 if it is not known.
    first: u64,
}

/// The word of a free place. No event is that late.
const FREE: u64 = u64::MAX;

/// Events that will happen.
///
/// A few are in a table. More are a heap, in which keys move and events do not. The place of the
/// event that happened last stays free until the next one is put in or asked for, since an event
/// mostly leads to another one: then one walk through the heap does both.
pub struct Queue<E> {
    table: Table<E>,
    /// The events are in the heap, not in the table.
    heap: bool,
    keys: Vec<Key>,
    /// The event that will be in the heap.
    spare: E,
    /// The first key has been taken and not been replaced yet.
    hole: bool,
    events: Vec<E>,
    /// Slots of [`Self::events`] that are not in use.
    free: Vec<u32>,
    /// Events that were put in by [`Self::in_order`].
    line: VecDeque<(Key, E)>,
    sequence: u64,
}

impl<E: Copy + Default> Default for Queue<E> {
    fn default() -> Self {
        Self {
            table: Table {
                times: [FREE; PLACES],
                sequences: [0; PLACES],
                events: [E::default(); PLACES],
                end: 0,
                limit: PLACES,
                count: 0,
                first: 0,
            },
            heap: false,
            keys: Vec::new(),
            spare: E::default(),
            hole: false,
            events: Vec::new(),
            free: Vec::new(),
            line: VecDeque::new(),
            sequence: 0,
        }
    }
}

/// The least key that an event of this time can have.
#[inline]
fn key_of(time: Time, sequence: u64) -> Key {
    let time = Key::from(time) << (SEQUENCE_BITS + SLOT_BITS);
    time | (Key::from(sequence) << SLOT_BITS)
}

impl<E: Copy> Table<E> {
    /// Puts an event in; `false` if there is no place.
    #[inline(always)]
    fn put(&mut self, time: Time, sequence: u64, event: E) -> bool {
        if self.end == self.limit && !self.close_up() {
            return false;
        }
        let place = self.end % PLACES;
        self.end = place + 1;
        self.count += 1;
        let word = (time << PLACE_BITS) | place as u64;
        self.times[place] = word;
        self.sequences[place] = sequence;
        self.events[place] = event;
        self.first = self.first.min(word);
        true
    }

    /// Moves the events to the first places; `false` if there are too many for that to help.
    #[inline(never)]
    fn close_up(&mut self) -> bool {
        if self.count > MANY {
            return false;
        }
        let mut end = 0;
        for place in 0..self.end {
            // Without a branch: what a free place writes is written over.
            let word = self.times[place];
            self.times[end] = (word & !(PLACES as u64 - 1)) | end as u64;
            self.sequences[end] = self.sequences[place];
            self.events[end] = self.events[place];
            end += usize::from(word != FREE);
        }
        self.times[end..].fill(FREE);
        (self.end, self.first) = (end, 0);
        self.limit = (2 * end + 12).min(PLACES);
        true
    }

    /// The word of the first event; [`FREE`] if there is none.
    #[inline(always)]
    fn first(&mut self) -> u64 {
        if self.first == 0 {
            // Four at a time, since each minimum waits for the one before.
            let mut least = [FREE; 4];
            // Eight in one turn, so that the compiler adds no branch for four that are left.
            for words in self.times[..self.end.next_multiple_of(8)].chunks_exact(8) {
                for (place, word) in words.iter().enumerate() {
                    least[place % 4] = least[place % 4].min(*word);
                }
            }
            let [a, b, c, d] = least;
            self.first = a.min(b).min(c.min(d));
        }
        self.first
    }

    /// Frees the place of a word.
    #[inline(always)]
    fn take(&mut self, word: u64) -> E {
        let place = word as usize % PLACES;
        self.count -= 1;
        self.times[place] = FREE;
        self.first = 0;
        self.events[place]
    }
}

impl<E: Copy> Queue<E> {
    /// Lets `event` happen at `time`.
    #[inline(always)]
    pub fn at(&mut self, time: Time, event: E) {
        self.sequence += 1;
        let time = time.min(LATEST);
        if self.heap || !self.table.put(time, self.sequence, event) {
            // Not an argument: it would be put together in memory for the table, too.
            self.spare = event;
            self.put_in_heap(time);
        }
    }

    /// Lets `event` happen at `time`, which is not before that of any other event that was put in
    /// by this function: quicker than [`Self::at`], for events that have all the same delay.
    #[inline]
    pub fn in_order(&mut self, time: Time, event: E) {
        self.sequence += 1;
        let key = key_of(time.min(LATEST), self.sequence);
        debug_assert!(self.line.back().is_none_or(|(last, _)| *last < key));
        self.line.push_back((key, event));
    }

    /// The next event, and when it happens.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, E)> {
        self.pop_before(Time::MAX)
    }

    /// The next event, and when it happens, if that is before `limit`.
    #[inline(always)]
    pub fn pop_before(&mut self, limit: Time) -> Option<(Time, E)> {
        if self.heap {
            self.fill();
        }
        if self.heap {
            return self.pop_heap(limit);
        }
        let word = self.table.first();
        let time = word >> PLACE_BITS;
        if let Some((key, _)) = self.line.front() {
            let sequence = self.table.sequences[word as usize % PLACES];
            if *key < key_of(time, sequence) {
                return self.pop_line(limit);
            }
        }
        // Also if there is none.
        if time >= limit || word == FREE {
            return None;
        }
        Some((time, self.table.take(word)))
    }

    /// Takes the first event of the line, if it is before `limit`.
    #[inline]
    fn pop_line(&mut self, limit: Time) -> Option<(Time, E)> {
        let (key, event) = self.line.front()?;
        let next = (time_of(*key), *event);
        if next.0 >= limit {
            return None;
        }
        self.line.pop_front();
        Some(next)
    }

    #[inline]
    fn pop_heap(&mut self, limit: Time) -> Option<(Time, E)> {
        let least = self.keys.first().copied().unwrap_or(Key::MAX);
        if let Some((key, _)) = self.line.front() {
            if *key < least {
                return self.pop_line(limit);
            }
        }
        // Also if there is none.
        if time_of(least) >= limit || least == Key::MAX {
            return None;
        }
        let slot = least as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        self.hole = true;
        Some((time_of(least), self.events[slot as usize]))
    }

    /// Events put in so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sequence
    }

    /// A new key of the heap.
    #[inline]
    fn key(&mut self, time: Time, sequence: u64, event: E) -> Key {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.events[slot as usize] = event;
                slot
            }
            None => {
                self.events.push(event);
                self.events.len() as u32 - 1
            }
        };
        key_of(time, sequence) | Key::from(slot)
    }

    #[inline(never)]
    fn put_in_heap(&mut self, time: Time) {
        let key = self.key(time, self.sequence, self.spare);
        if self.hole {
            self.hole = false;
            self.sink(0, key);
            return;
        }
        self.keys.push(key);
        if self.heap {
            self.rise(key);
        } else {
            self.move_to_heap();
        }
    }

    /// The table is full: its events become a heap, with the key that is there.
    fn move_to_heap(&mut self) {
        for place in 0..PLACES {
            let word = self.table.times[place];
            if word != FREE {
                let (sequence, event) = (self.table.sequences[place], self.table.events[place]);
                let key = self.key(word >> PLACE_BITS, sequence, event);
                self.keys.push(key);
            }
        }
        self.table.times = [FREE; PLACES];
        (self.table.end, self.table.limit) = (0, PLACES);
        (self.table.count, self.table.first) = (0, 0);
        self.heap = true;
        for place in (0..=self.keys.len() / CHILDREN).rev() {
            self.sink(place, self.keys[place]);
        }
    }

    /// Few events are left: they go back to the table.
    fn move_to_table(&mut self) {
        self.heap = false;
        self.keys.sort_unstable_by_key(|key| sequence_of(*key));
        for key in &self.keys {
            let slot = *key as u32 & ((1 << SLOT_BITS) - 1);
            let event = self.events[slot as usize];
            self.table.put(time_of(*key), sequence_of(*key), event);
        }
        self.keys.clear();
        self.events.clear();
        self.free.clear();
    }

    /// Closes the hole with the last key.
    #[inline]
    fn fill(&mut self) {
        if self.hole {
            self.hole = false;
            if let Some(last) = self.keys.pop() {
                if !self.keys.is_empty() {
                    self.sink(0, last);
                }
            }
            if self.keys.len() <= FEW {
                self.move_to_table();
            }
        }
    }

    /// Puts a key in a place of the heap, or where it belongs below.
    #[inline]
    fn sink(&mut self, mut place: usize, key: Key) {
        loop {
            let first = place * CHILDREN + 1;
            let mut least = key;
            let mut next = place;
            let last = (first + CHILDREN).min(self.keys.len());
            for (child, other) in self.keys.iter().enumerate().take(last).skip(first) {
                if *other < least {
                    least = *other;
                    next = child;
                }
            }
            self.keys[place] = least;
            if next == place {
                break;
            }
            place = next;
        }
    }

    /// Moves a key up from the last place.
    #[inline]
    fn rise(&mut self, key: Key) {
        let mut place = self.keys.len() - 1;
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            let above = self.keys[parent];
            if above < key {
                break;
            }
            self.keys[place] = above;
            place = parent;
        }
        self.keys[place] = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_by_time_and_then_in_the_order_of_their_entry() {
        let mut queue = Queue::default();
        for (time, name) in [(5, "c"), (3, "a"), (5, "d"), (3, "b")] {
            queue.at(time, name);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(3, "a"), (3, "b"), (5, "c"), (5, "d")]);
    }

    #[test]
    fn the_queue_is_a_sorted_list() {
        let mut stream = crate::random::Stream::new(1, 0, crate::random::Purpose::Sizes);
        let mut queue = Queue::default();
        let mut list: Vec<(Time, u64)> = Vec::new();
        let mut now = 0;
        for number in 0..20_000 {
            // It grows, shrinks to nothing, and grows again.
            let puts = match number / 2500 % 2 {
                0 => stream.below(3),
                _ => stream.below(2),
            };
            for _ in 0..puts {
                let event = queue.count();
                let time = match stream.below(4) {
                    0 => now + 1000,
                    _ => now + stream.below(1000),
                };
                match time == now + 1000 {
                    true => queue.in_order(time, event),
                    false => queue.at(time, event),
                }
                list.push((time, event));
            }
            list.sort_unstable();
            let wanted = (!list.is_empty()).then(|| list.remove(0));
            let time = wanted.map_or(now, |(time, _)| time);
            assert_eq!(queue.pop_before(time), None);
            assert_eq!(queue.pop_before(time + 1), wanted);
            now = time;
        }
    }

    #[test]
    fn an_event_beyond_the_latest_time_happens_then() {
        let mut queue = Queue::default();
        queue.at(Time::MAX, "late");
        queue.at(LATEST - 1, "early");
        assert_eq!(queue.pop(), Some((LATEST - 1, "early")));
        assert_eq!(queue.pop(), Some((LATEST, "late")));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn seconds_are_nanoseconds_and_back() {
        assert_eq!(from_seconds(1.5), 1_500_000_000);
        assert_eq!(from_seconds(-1.0), 0);
        assert!((seconds(2_500_000_000) - 2.5).abs() < 1e-12);
    }
}
