// SPDX-License-Identifier: GPL-2.0-only

//! The event queue: what happens next, and when.
//!
//! Time is a number of nanoseconds since the beginning of a run. Events of one instant happen in
//! the order in which they were put in, so a run depends on nothing but its seed.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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

/// An event in the queue.
struct Entry<E> {
    /// The time in the upper half, the number of the entry in the lower one: one comparison.
    key: u128,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest, since the heap gives out the greatest.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// Events that will happen.
pub struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::with_capacity(1024),
            sequence: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Lets `event` happen at `time`.
    #[inline]
    pub fn at(&mut self, time: Time, event: E) {
        self.sequence += 1;
        let key = (u128::from(time) << 64) | u128::from(self.sequence);
        self.heap.push(Entry { key, event });
    }

    /// The next event, and when it happens.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, E)> {
        self.heap
            .pop()
            .map(|entry| ((entry.key >> 64) as Time, entry.event))
    }

    /// When the next event happens.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<Time> {
        self.heap.peek().map(|entry| (entry.key >> 64) as Time)
    }

    /// Events put in so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sequence
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
    fn seconds_are_nanoseconds_and_back() {
        assert_eq!(from_seconds(1.5), 1_500_000_000);
        assert_eq!(from_seconds(-1.0), 0);
        assert!((seconds(2_500_000_000) - 2.5).abs() < 1e-12);
    }
}
