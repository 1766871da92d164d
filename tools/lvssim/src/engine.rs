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
    // Not `round`, which is a call on plain x86-64; the cast saturates.
    (seconds * SECOND as f64 + 0.5) as Time
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

/// Keys that become a heap, and keys of a heap that become a plain list.
const MANY: usize = 24;
const FEW: usize = 8;

/// A time, a number and a slot in one word, so that one comparison puts events in order.
type Key = u128;

#[inline]
const fn time_of(key: Key) -> Time {
    (key >> (SEQUENCE_BITS + SLOT_BITS)) as Time
}

/// Events that will happen.
///
/// Keys move, events do not. A few keys are not sorted: to look at them all is quicker than a heap,
/// whose branches no processor predicts. More keys are a heap. There the place of the event that
/// happened last stays free until the next one is put in or asked for, since an event mostly leads
/// to another one: then one walk through the heap does both.
pub struct Queue<E> {
    keys: Vec<Key>,
    /// The keys are a heap.
    heap: bool,
    /// The first key has been taken and not been replaced yet.
    hole: bool,
    events: Vec<E>,
    /// Slots of [`Self::events`] that are not in use.
    free: Vec<u32>,
    /// Events that were put in by [`Self::in_order`].
    line: VecDeque<(Key, E)>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            keys: Vec::with_capacity(1024),
            heap: false,
            hole: false,
            events: Vec::with_capacity(1024),
            free: Vec::with_capacity(1024),
            line: VecDeque::new(),
            sequence: 0,
        }
    }
}

impl<E: Copy> Queue<E> {
    /// The key of the next entry.
    #[inline]
    fn key(&mut self, time: Time, slot: u32) -> Key {
        self.sequence += 1;
        let time = Key::from(time.min(LATEST)) << (SEQUENCE_BITS + SLOT_BITS);
        time | (Key::from(self.sequence) << SLOT_BITS) | Key::from(slot)
    }

    /// Lets `event` happen at `time`.
    #[inline]
    pub fn at(&mut self, time: Time, event: E) {
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
        let key = self.key(time, slot);
        if self.hole {
            self.hole = false;
            self.sink(0, key);
            return;
        }
        self.keys.push(key);
        if self.heap {
            self.rise(key);
        } else if self.keys.len() > MANY {
            self.heap = true;
            for place in (0..=self.keys.len() / CHILDREN).rev() {
                self.sink(place, self.keys[place]);
            }
        }
    }

    /// Lets `event` happen at `time`, which is not before that of any other event that was put in
    /// by this function: quicker than [`Self::at`], for events that have all the same delay.
    #[inline]
    pub fn in_order(&mut self, time: Time, event: E) {
        let key = self.key(time, 0);
        debug_assert!(self.line.back().is_none_or(|(last, _)| *last < key));
        self.line.push_back((key, event));
    }

    /// The next event, and when it happens.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, E)> {
        self.pop_before(Time::MAX)
    }

    /// The next event, and when it happens, if that is before `limit`.
    #[inline]
    pub fn pop_before(&mut self, limit: Time) -> Option<(Time, E)> {
        let (place, least) = self.least();
        if let Some((key, event)) = self.line.front() {
            if *key < least {
                let next = (time_of(*key), *event);
                if next.0 >= limit {
                    return None;
                }
                self.line.pop_front();
                return Some(next);
            }
        }
        // Also if there is none.
        if time_of(least) >= limit || least == Key::MAX {
            return None;
        }
        let slot = least as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        if self.heap {
            self.hole = true;
        } else {
            self.keys.swap_remove(place);
        }
        Some((time_of(least), self.events[slot as usize]))
    }

    /// The least key and its place; the greatest number if there is none.
    #[inline]
    fn least(&mut self) -> (usize, Key) {
        if self.heap {
            self.fill();
        }
        if self.heap {
            return (0, self.keys.first().copied().unwrap_or(Key::MAX));
        }
        let mut least = (0, Key::MAX);
        for (place, key) in self.keys.iter().enumerate() {
            // With masks, since the compiler makes a branch of a condition.
            let mask = Key::from(*key < least.1).wrapping_neg();
            least.0 ^= (least.0 ^ place) & mask as usize;
            least.1 ^= (least.1 ^ *key) & mask;
        }
        least
    }

    /// Events put in so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sequence
    }

    /// Closes the hole with the last key.
    #[inline]
    fn fill(&mut self) {
        if self.hole {
            self.hole = false;
            if let Some(last) = self.keys.pop() {
                self.sink(0, last);
            }
            self.heap = self.keys.len() > FEW;
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
