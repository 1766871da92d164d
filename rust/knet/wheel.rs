// SPDX-License-Identifier: GPL-2.0-only

//! The slow timer (Zhang, "Linux Virtual Server for Scalable Network Services", section 3.5): a
//! wheel that turns once a second.
//!
//! A packet only notes the second in which it came. An entry is looked at when its turn comes; one
//! that was used meanwhile is put back to where it is due now. The wheel has two levels, of 64
//! slots of one second and 64 slots of 64 seconds; what is due later than that waits in the last
//! slot and is put back from there.

use crate::table::{Body, Entry};
use core::{
    ptr::{self, NonNull},
    sync::atomic::Ordering,
};

const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
const MASK: u32 = SLOTS - 1;
/// The farthest that an entry can be put away, in seconds.
const SPAN: u32 = SLOTS * SLOTS - 1;

/// Seconds until an entry that is due and held is looked at again.
const HELD: u32 = 4;

/// Place of an entry that is in no slot.
pub(crate) const UNLINKED: u32 = u32::MAX;

/// Neighbours of an entry in its slot.
pub(crate) struct Links<T: Body> {
    next: *mut Entry<T>,
    previous: *mut Entry<T>,
}

impl<T: Body> Clone for Links<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Body> Copy for Links<T> {}

impl<T: Body> Links<T> {
    pub(crate) const fn none() -> Self {
        Self::to(ptr::null_mut())
    }

    /// Only a next one.
    pub(crate) const fn to(next: *mut Entry<T>) -> Self {
        Self {
            next,
            previous: ptr::null_mut(),
        }
    }

    pub(crate) const fn next(&self) -> *mut Entry<T> {
        self.next
    }
}

/// One shard's wheel. All of it is under the shard's lock.
///
/// # Invariants
///
/// Each slot heads a doubly linked list of live entries of the shard, whose `slot` names it; an
/// entry whose `slot` is [`UNLINKED`] is in no list.
pub(crate) struct Wheel<T: Body> {
    /// Slots of one second, then slots of [`SLOTS`] seconds.
    slots: [*mut Entry<T>; 2 * SLOTS as usize],
    /// The second whose slot is being worked on.
    now: u32,
    /// The far slot that belongs to `now` has been emptied.
    cascaded: bool,
}

// SAFETY: the pointers are to entries of the table, which may be shared.
unsafe impl<T: Body> Send for Wheel<T> {}

impl<T: Body> Wheel<T> {
    pub(crate) const fn new(now: u32) -> Self {
        Self {
            slots: [ptr::null_mut(); 2 * SLOTS as usize],
            now,
            cascaded: true,
        }
    }

    /// Puts `entry` where it is due, in the second after this one at the earliest.
    pub(crate) fn insert(&mut self, entry: &Entry<T>) {
        let ahead = (entry.due().wrapping_sub(self.now) as i32).max(1);
        self.put(entry, ahead as u32);
    }

    fn put(&mut self, entry: &Entry<T>, ahead: u32) {
        let due = self.now.wrapping_add(ahead.min(SPAN));
        let slot = if ahead < SLOTS {
            due & MASK
        } else {
            SLOTS | ((due >> BITS) & MASK)
        };
        let Some(head) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let this = ptr::from_ref(entry).cast_mut();
        // SAFETY: the lock is held; the entry is in the table or about to be, and in no slot, and
        // by the invariant the head is null or live.
        unsafe {
            *entry.links() = Links {
                next: *head,
                previous: ptr::null_mut(),
            };
            if let Some(next) = head.as_ref() {
                (*next.links()).previous = this;
            }
        }
        *head = this;
        entry.slot.store(slot, Ordering::Relaxed);
    }

    /// Takes `entry` out of its slot.
    pub(crate) fn remove(&mut self, entry: &Entry<T>) {
        let slot = entry.slot.swap(UNLINKED, Ordering::Relaxed);
        let Some(head) = self.slots.get_mut(slot as usize) else {
            return;
        };
        // SAFETY: the lock is held, and by the invariant the neighbours are live.
        unsafe {
            let Links { next, previous } = *entry.links();
            match previous.as_ref() {
                Some(previous) => (*previous.links()).next = next,
                None => *head = next,
            }
            if let Some(next) = next.as_ref() {
                (*next.links()).previous = previous;
            }
        }
    }

    /// Moves `entry` to where it is due now, if it is still in the wheel.
    pub(crate) fn reinsert(&mut self, entry: &Entry<T>) {
        if entry.slot.load(Ordering::Relaxed) != UNLINKED {
            self.remove(entry);
            self.insert(entry);
        }
    }

    /// Turns the wheel towards second `now` and stops at the next entry that is due, or when
    /// `budget` entries have been looked at.
    pub(crate) fn advance(&mut self, now: u32, budget: &mut usize) -> Option<NonNull<Entry<T>>> {
        while *budget > 0 {
            if !self.cascaded {
                // Entries of the far slot go to near slots, among them that of this very second.
                let slot = SLOTS | ((self.now >> BITS) & MASK);
                if let Some(entry) = self.first(slot) {
                    *budget = budget.wrapping_sub(1);
                    self.remove(entry);
                    let ahead = (entry.due().wrapping_sub(self.now) as i32).max(0);
                    self.put(entry, ahead as u32);
                    continue;
                }
                self.cascaded = true;
            }
            if let Some(entry) = self.first(self.now & MASK) {
                *budget = budget.wrapping_sub(1);
                if entry.due().wrapping_sub(self.now) as i32 > 0 {
                    self.remove(entry);
                    self.insert(entry);
                } else if entry.is_held() {
                    self.remove(entry);
                    self.put(entry, HELD);
                } else {
                    return Some(NonNull::from(entry));
                }
                continue;
            }
            if self.now.wrapping_sub(now) as i32 >= 0 {
                return None;
            }
            self.now = self.now.wrapping_add(1);
            self.cascaded = self.now & MASK != 0;
        }
        None
    }

    /// Some entry, if there is one.
    pub(crate) fn any(&self) -> Option<NonNull<Entry<T>>> {
        self.slots.iter().find_map(|&entry| NonNull::new(entry))
    }

    fn first<'a>(&self, slot: u32) -> Option<&'a Entry<T>> {
        let entry = *self.slots.get(slot as usize)?;
        // SAFETY: by the invariant it is null or live, and entries are freed only after they were
        // taken out, which needs the lock that the caller holds.
        unsafe { entry.as_ref() }
    }
}
