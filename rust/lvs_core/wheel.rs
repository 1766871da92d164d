// SPDX-License-Identifier: GPL-2.0-only

//! The slow timer of Zhang ("Linux Virtual Server for Scalable Network Services", section 3.5): a
//! timing wheel that turns once a second.
//!
//! A packet only records the second of its arrival. The wheel examines an entry when its slot comes
//! up. If the entry was used in the meantime, the wheel moves it to the slot in which it is due
//! now. The slots form three rows:
//!
//! - *near*: 64 slots of one second;
//! - *far*: 64 slots of 64 seconds. An entry that is due later than that waits in the last far slot
//!   and moves on from there;
//! - *half-open*: 64 slots of one second, for connections that are not established yet. Each slot
//!   is a queue, so the oldest half-open entries can make room for new ones. An entry stays in this
//!   row for at most [`PROBATION`] seconds before the wheel examines it.
//!
//! The algorithm reaches entries through [`Lists`] only. The kernel implements that with pointers,
//! the host tests with vectors.

const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
const MASK: u32 = SLOTS - 1;
/// The first slot of the far row. The near row begins at 0.
const FAR: u32 = SLOTS;
/// The first slot of the half-open row.
const HALF_OPEN: u32 = 2 * SLOTS;
/// The largest distance of a slot, in seconds.
const SPAN: u32 = SLOTS * SLOTS - 1;

/// The number of slots of all rows.
pub const SLOT_COUNT: usize = 3 * SLOTS as usize;
/// Seconds after which a half-open entry is examined at the latest.
pub const PROBATION: u32 = SLOTS - 1;
/// Seconds until an entry that is due but held is examined again.
pub const HELD: u32 = 4;

/// The slots' lists of entries.
pub trait Lists {
    /// Names an entry.
    type Entry: Copy;

    /// The entry that has been in `slot` for the longest time; `None` if the slot is empty.
    fn first(&self, slot: u32) -> Option<Self::Entry>;
    /// Appends `entry`, which is in no slot, to `slot`.
    fn append(&mut self, slot: u32, entry: Self::Entry);
    /// Removes `entry` from its slot.
    fn remove(&mut self, entry: Self::Entry);
    /// The second in which `entry` is due.
    fn due(&self, entry: Self::Entry) -> u32;
    /// Whether `entry` stays although it is due.
    fn is_held(&self, entry: Self::Entry) -> bool;
    /// Whether `entry` is half-open.
    fn is_half_open(&self, entry: Self::Entry) -> bool;
}

/// The hand of a wheel: the second that the wheel has reached.
pub struct Hand {
    /// The second whose slots are being worked on.
    now: u32,
    /// The far slot that belongs to `now` has been emptied.
    cascaded: bool,
    /// One bit for each slot of the half-open row. A clear bit means an empty slot; the slot of a
    /// set bit may have been emptied since.
    half_open: u64,
}

impl Hand {
    /// The hand of an empty wheel in second `now`.
    #[must_use]
    pub const fn new(now: u32) -> Self {
        Self {
            now,
            cascaded: true,
            half_open: 0,
        }
    }

    /// Whether there may be half-open entries.
    #[must_use]
    pub const fn may_have_half_open(&self) -> bool {
        self.half_open != 0
    }

    /// Inserts `entry`, which is in no slot, into the slot in which it is due: that of the next
    /// second at the earliest.
    #[inline]
    pub fn insert<L: Lists>(&mut self, lists: &mut L, entry: L::Entry) {
        let ahead = self.ahead(lists.due(entry)).max(1);
        self.place(lists, entry, ahead);
    }

    /// Appends `entry` to the slot of its row that is `ahead` seconds away.
    #[inline]
    fn place<L: Lists>(&mut self, lists: &mut L, entry: L::Entry, ahead: u32) {
        let slot = if lists.is_half_open(entry) {
            let bit = self.now.wrapping_add(ahead.min(PROBATION)) & MASK;
            self.half_open |= 1u64.wrapping_shl(bit);
            HALF_OPEN | bit
        } else {
            self.slot(ahead)
        };
        lists.append(slot, entry);
    }

    /// Moves `entry` from its slot to the one in which it is due now.
    pub fn reinsert<L: Lists>(&mut self, lists: &mut L, entry: L::Entry) {
        lists.remove(entry);
        self.insert(lists, entry);
    }

    /// Turns the wheel toward second `now`. Stops at the next entry that is due, which stays in
    /// its slot until the caller removes it. Returns `None` when no further entry is due, or when
    /// `budget` entries have been examined.
    pub fn advance<L: Lists>(
        &mut self,
        lists: &mut L,
        now: u32,
        budget: &mut usize,
    ) -> Option<L::Entry> {
        while *budget > 0 {
            if !self.cascaded {
                // Entries of the far slot move to near slots, some of them to that of this second.
                if let Some(entry) = lists.first(FAR | (self.now.wrapping_shr(BITS) & MASK)) {
                    *budget = budget.wrapping_sub(1);
                    lists.remove(entry);
                    let ahead = self.ahead(lists.due(entry));
                    self.place(lists, entry, ahead);
                    continue;
                }
                self.cascaded = true;
            }
            let slot = self.now & MASK;
            if let Some(entry) = lists.first(slot).or_else(|| lists.first(HALF_OPEN | slot)) {
                *budget = budget.wrapping_sub(1);
                if self.ahead(lists.due(entry)) > 0 {
                    self.reinsert(lists, entry);
                } else if lists.is_held(entry) {
                    lists.remove(entry);
                    self.place(lists, entry, HELD);
                } else {
                    return Some(entry);
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

    /// Returns the oldest half-open entry, which stays in its slot until the caller removes it.
    /// Entries that are established by now move to the other rows. Returns `None` when there are no
    /// half-open entries, or when `budget` entries have been examined.
    pub fn oldest_half_open<L: Lists>(
        &mut self,
        lists: &mut L,
        budget: &mut usize,
    ) -> Option<L::Entry> {
        while *budget > 0 && self.half_open != 0 {
            // The slots in the order in which their seconds come, beginning with this one.
            let ahead = self
                .half_open
                .rotate_right(self.now & MASK)
                .trailing_zeros();
            let bit = self.now.wrapping_add(ahead) & MASK;
            let Some(entry) = lists.first(HALF_OPEN | bit) else {
                self.half_open &= !1u64.wrapping_shl(bit);
                continue;
            };
            if lists.is_half_open(entry) {
                return Some(entry);
            }
            *budget = budget.wrapping_sub(1);
            self.reinsert(lists, entry);
        }
        None
    }

    /// Seconds until `due`, 0 for the past.
    const fn ahead(&self, due: u32) -> u32 {
        match due.wrapping_sub(self.now) {
            past if (past as i32) < 0 => 0,
            ahead => ahead,
        }
    }

    /// The near or far slot that is `ahead` seconds away.
    const fn slot(&self, ahead: u32) -> u32 {
        if ahead < SLOTS {
            return self.now.wrapping_add(ahead) & MASK;
        }
        let ahead = if ahead < SPAN { ahead } else { SPAN };
        FAR | (self.now.wrapping_add(ahead).wrapping_shr(BITS) & MASK)
    }
}
