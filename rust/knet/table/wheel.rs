// SPDX-License-Identifier: GPL-2.0-only

//! A shard's slow timer: the slots of [`lvs_core::wheel`] as doubly linked lists of entries.

use super::entry::{Body, Entry, Links, UNLINKED};
use core::ptr::{self, NonNull};
use lvs_core::wheel::{Hand, Lists, SLOT_COUNT};

/// The wheel of one shard. The shard's lock protects all of it.
pub(super) struct Wheel<T: Body> {
    hand: Hand,
    slots: Slots<T>,
}

impl<T: Body> Wheel<T> {
    /// An empty wheel in second `now`.
    pub(super) const fn new(now: u32) -> Self {
        Self {
            hand: Hand::new(now),
            slots: Slots([ptr::null_mut(); SLOT_COUNT]),
        }
    }

    /// Inserts `entry` into the slot in which it is due: that of the next second at the earliest.
    ///
    /// # Safety
    ///
    /// The shard must be locked. `entry` must belong to the shard, be in no slot, and stay alive
    /// until it is removed.
    #[inline]
    pub(super) unsafe fn insert(&mut self, entry: &Entry<T>) {
        self.hand.insert(&mut self.slots, NonNull::from(entry));
    }

    /// Removes `entry` from its slot. Returns false if it was in none.
    ///
    /// # Safety
    ///
    /// The shard must be locked, and `entry` must belong to it.
    pub(super) unsafe fn remove(&mut self, entry: &Entry<T>) -> bool {
        let linked = entry.slot() != UNLINKED;
        if linked {
            self.slots.remove(NonNull::from(entry));
        }
        linked
    }

    /// Moves `entry` to the slot in which it is due now, if it is in one.
    ///
    /// # Safety
    ///
    /// The shard must be locked, and `entry` must belong to it.
    pub(super) unsafe fn reinsert(&mut self, entry: &Entry<T>) {
        if entry.slot() != UNLINKED {
            self.hand.reinsert(&mut self.slots, NonNull::from(entry));
        }
    }

    /// Turns the wheel toward second `now`. Stops at the next entry that is due, or after `budget`
    /// entries were examined. The shard must be locked while the entry is used.
    pub(super) fn advance(&mut self, now: u32, budget: &mut usize) -> Option<NonNull<Entry<T>>> {
        self.hand.advance(&mut self.slots, now, budget)
    }

    /// The oldest half-open entry, which may be replaced: see [`Hand::oldest_half_open`]. The shard
    /// must be locked while the entry is used.
    pub(super) fn oldest_half_open(&mut self, budget: &mut usize) -> Option<NonNull<Entry<T>>> {
        self.hand.oldest_half_open(&mut self.slots, budget)
    }

    /// Whether there may be half-open entries.
    #[inline]
    pub(super) fn may_have_half_open(&self) -> bool {
        self.hand.may_have_half_open()
    }

    /// Any entry, if there is one. The shard must be locked while the entry is used.
    pub(super) fn any(&self) -> Option<NonNull<Entry<T>>> {
        self.slots.0.iter().find_map(|&head| NonNull::new(head))
    }
}

/// The slots: each is the first entry of a circular list, or null.
///
/// # Invariants
///
/// The lists contain live entries of the shard. Each entry is in at most one list, and its `slot`
/// names that list.
struct Slots<T: Body>([*mut Entry<T>; SLOT_COUNT]);

// SAFETY: the pointers are to entries of the table, which may be shared.
unsafe impl<T: Body> Send for Slots<T> {}

impl<T: Body> Lists for Slots<T> {
    type Entry = NonNull<Entry<T>>;

    #[inline]
    fn first(&self, slot: u32) -> Option<NonNull<Entry<T>>> {
        NonNull::new(*self.0.get(slot as usize)?)
    }

    #[inline]
    fn append(&mut self, slot: u32, entry: NonNull<Entry<T>>) {
        let Some(head) = self.0.get_mut(slot as usize) else {
            return;
        };
        let this = entry.as_ptr();
        // SAFETY: the shard is locked, by the contracts of `Wheel`'s functions. The entry is live
        // and in no slot, and by the invariant the head is null or live, and so are its neighbors.
        unsafe {
            let links = entry.as_ref().links();
            match NonNull::new(*head) {
                None => {
                    *links = Links::between(this, this);
                    *head = this;
                }
                Some(first) => {
                    let first_links = first.as_ref().links();
                    let last = (*first_links).previous;
                    *links = Links::between(last, first.as_ptr());
                    (*(*last).links()).next = this;
                    (*first_links).previous = this;
                }
            }
            entry.as_ref().set_slot(slot);
        }
    }

    #[inline]
    fn remove(&mut self, entry: NonNull<Entry<T>>) {
        // SAFETY: the entry is live, by the contracts of `Wheel`'s functions.
        let slot = unsafe { entry.as_ref() }.slot();
        // SAFETY: as above.
        unsafe { entry.as_ref() }.set_slot(UNLINKED);
        let Some(head) = self.0.get_mut(slot as usize) else {
            return;
        };
        let this = entry.as_ptr();
        // SAFETY: the shard is locked, and by the invariant the entry is in the list of this slot,
        // so its neighbors are live.
        unsafe {
            let Links { next, previous } = *entry.as_ref().links();
            if ptr::eq(next, this) {
                *head = ptr::null_mut();
                return;
            }
            (*(*previous).links()).next = next;
            (*(*next).links()).previous = previous;
            if ptr::eq(*head, this) {
                *head = next;
            }
        }
    }

    #[inline]
    fn due(&self, entry: NonNull<Entry<T>>) -> u32 {
        // SAFETY: the entry is live, by the invariant or the contract of `Wheel::insert`.
        unsafe { entry.as_ref() }.due()
    }

    fn is_held(&self, entry: NonNull<Entry<T>>) -> bool {
        // SAFETY: as above.
        unsafe { entry.as_ref() }.is_held()
    }

    #[inline]
    fn is_half_open(&self, entry: NonNull<Entry<T>>) -> bool {
        // SAFETY: as above.
        unsafe { entry.as_ref() }.is_half_open()
    }
}
