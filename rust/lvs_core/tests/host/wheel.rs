// SPDX-License-Identifier: GPL-2.0-only

//! Compares the slow timer with a clock that examines every entry in every second.

use lvs_core::wheel::{Hand, Lists, HELD, PROBATION, SLOT_COUNT};
use std::collections::VecDeque;

#[derive(Clone, Default)]
struct Entry {
    due: u32,
    held: bool,
    half_open: bool,
    slot: Option<u32>,
}

/// The slots as queues of indices into `entries`.
struct Slots {
    entries: Vec<Entry>,
    slots: Vec<VecDeque<usize>>,
}

impl Slots {
    fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            slots: vec![VecDeque::new(); SLOT_COUNT],
        }
    }
}

impl Lists for Slots {
    type Entry = usize;

    fn first(&self, slot: u32) -> Option<usize> {
        self.slots[slot as usize].front().copied()
    }

    fn append(&mut self, slot: u32, entry: usize) {
        assert_eq!(self.entries[entry].slot.replace(slot), None, "in two slots");
        self.slots[slot as usize].push_back(entry);
    }

    fn remove(&mut self, entry: usize) {
        let slot = self.entries[entry].slot.take().expect("in no slot");
        self.slots[slot as usize].retain(|&other| other != entry);
    }

    fn due(&self, entry: usize) -> u32 {
        self.entries[entry].due
    }

    fn is_held(&self, entry: usize) -> bool {
        self.entries[entry].held
    }

    fn is_half_open(&self, entry: usize) -> bool {
        self.entries[entry].half_open
    }
}

/// Turns the wheel to `now` and removes the entries that are due.
fn expire(hand: &mut Hand, slots: &mut Slots, now: u32) -> Vec<usize> {
    let mut expired = Vec::new();
    loop {
        let mut budget = 3;
        while let Some(entry) = hand.advance(slots, now, &mut budget) {
            slots.remove(entry);
            expired.push(entry);
        }
        if budget > 0 {
            return expired;
        }
    }
}

fn entry_due(due: u32) -> Entry {
    Entry {
        due,
        ..Entry::default()
    }
}

fn half_open_due(due: u32) -> Entry {
    Entry {
        half_open: true,
        ..entry_due(due)
    }
}

/// A small generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) as u32) % limit
    }
}

#[test]
fn entries_expire_in_the_second_in_which_they_are_due() {
    // Two starting times: an ordinary one, and one with seconds that wrap around to 0.
    for start in [1000, u32::MAX - 100] {
        let mut numbers = Numbers(7);
        let mut hand = Hand::new(start);
        let mut slots = Slots::new(Vec::new());
        for now in 0..12_000 {
            let second = start.wrapping_add(now);
            let mut due: Vec<_> = (0..slots.entries.len())
                .filter(|&n| slots.entries[n].slot.is_some() && slots.entries[n].due == second)
                .collect();
            let mut expired = expire(&mut hand, &mut slots, second);
            expired.sort_unstable();
            due.sort_unstable();
            assert_eq!(expired, due, "in second {now}");
            // Distances on both sides of the limit of each row.
            for limit in [2, 70, 4200, 9000] {
                if now < 2500 && numbers.below(4) == 0 {
                    let ahead = 1 + numbers.below(limit);
                    let half_open = numbers.below(3) == 0;
                    let entry = slots.entries.len();
                    slots.entries.push(Entry {
                        half_open,
                        ..entry_due(second.wrapping_add(ahead))
                    });
                    hand.insert(&mut slots, entry);
                }
            }
        }
        assert!(slots.entries.len() > 2000);
        assert!(slots.entries.iter().all(|entry| entry.slot.is_none()));
    }
}

#[test]
fn an_entry_that_was_used_expires_later() {
    let mut hand = Hand::new(0);
    let mut slots = Slots::new(vec![entry_due(5), entry_due(5)]);
    hand.insert(&mut slots, 0);
    hand.insert(&mut slots, 1);
    slots.entries[0].due = 200;
    assert_eq!(expire(&mut hand, &mut slots, 100), [1]);
    assert_eq!(expire(&mut hand, &mut slots, 199), []);
    assert_eq!(expire(&mut hand, &mut slots, 200), [0]);
}

#[test]
fn an_entry_moves_when_its_timeout_becomes_shorter() {
    let mut hand = Hand::new(0);
    let mut slots = Slots::new(vec![entry_due(900)]);
    hand.insert(&mut slots, 0);
    slots.entries[0].due = 10;
    hand.reinsert(&mut slots, 0);
    assert_eq!(expire(&mut hand, &mut slots, 9), []);
    assert_eq!(expire(&mut hand, &mut slots, 10), [0]);
}

#[test]
fn an_entry_whose_time_is_over_expires_in_the_next_second() {
    let mut hand = Hand::new(50);
    let mut slots = Slots::new(vec![entry_due(40)]);
    hand.insert(&mut slots, 0);
    assert_eq!(expire(&mut hand, &mut slots, 50), []);
    assert_eq!(expire(&mut hand, &mut slots, 51), [0]);
}

#[test]
fn a_held_entry_is_examined_every_few_seconds() {
    let mut hand = Hand::new(0);
    let mut slots = Slots::new(vec![Entry {
        held: true,
        ..entry_due(3)
    }]);
    hand.insert(&mut slots, 0);
    assert_eq!(expire(&mut hand, &mut slots, 3 + 5 * HELD), []);
    slots.entries[0].held = false;
    assert_eq!(expire(&mut hand, &mut slots, 2 + 6 * HELD), []);
    assert_eq!(expire(&mut hand, &mut slots, 3 + 6 * HELD), [0]);
}

#[test]
fn the_oldest_half_open_entry_comes_first() {
    let mut hand = Hand::new(10);
    let mut slots = Slots::new(vec![half_open_due(u32::MAX); 6]);
    assert!(!hand.may_have_half_open());
    assert_eq!(hand.oldest_half_open(&mut slots, &mut 100), None);
    // Two per second. One of them has a timeout beyond the row.
    for entry in 0..6 {
        let second = 10 + entry as u32 / 2;
        slots.entries[entry].due = second + if entry % 2 == 0 { 60 } else { 360 };
        assert_eq!(expire(&mut hand, &mut slots, second), []);
        hand.insert(&mut slots, entry);
    }
    assert!(hand.may_have_half_open());
    for entry in [0, 2, 4, 1, 3, 5] {
        assert_eq!(hand.oldest_half_open(&mut slots, &mut 100), Some(entry));
        slots.remove(entry);
    }
    assert_eq!(hand.oldest_half_open(&mut slots, &mut 100), None);
    assert!(!hand.may_have_half_open());
}

#[test]
fn half_open_entries_of_a_second_queue() {
    let mut hand = Hand::new(10);
    let mut slots = Slots::new(vec![half_open_due(70); 100]);
    for entry in 0..100 {
        hand.insert(&mut slots, entry);
    }
    for entry in 0..100 {
        assert_eq!(hand.oldest_half_open(&mut slots, &mut 1), Some(entry));
        slots.remove(entry);
    }
}

#[test]
fn established_entries_never_make_room() {
    let mut hand = Hand::new(10);
    let mut slots = Slots::new(vec![half_open_due(70); 10]);
    for entry in 0..10 {
        hand.insert(&mut slots, entry);
    }
    for entry in 0..9 {
        slots.entries[entry].half_open = false;
        slots.entries[entry].due = 900;
    }
    assert_eq!(
        hand.oldest_half_open(&mut slots, &mut 5),
        None,
        "of 5 entries"
    );
    assert!(hand.may_have_half_open());
    assert_eq!(hand.oldest_half_open(&mut slots, &mut 5), Some(9));
    slots.remove(9);
    assert_eq!(hand.oldest_half_open(&mut slots, &mut 5), None);
    assert!(!hand.may_have_half_open());
    // They expire when they are due.
    assert_eq!(expire(&mut hand, &mut slots, 899), []);
    assert_eq!(expire(&mut hand, &mut slots, 900).len(), 9);
}

#[test]
fn a_half_open_entry_with_a_long_timeout_keeps_its_row() {
    let mut hand = Hand::new(0);
    let mut slots = Slots::new(vec![half_open_due(360)]);
    hand.insert(&mut slots, 0);
    for now in [PROBATION - 1, PROBATION, 200, 359] {
        assert_eq!(expire(&mut hand, &mut slots, now), []);
        assert_eq!(
            hand.oldest_half_open(&mut slots, &mut 1),
            Some(0),
            "in second {now}"
        );
    }
    assert_eq!(expire(&mut hand, &mut slots, 360), [0]);
}
