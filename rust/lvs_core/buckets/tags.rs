// SPDX-License-Identifier: GPL-2.0-only

//! The tags of a bucket's slots: eight bits of a hash each, eight in a word.
//!
//! A tag of 0 is a free slot's. One subtraction compares all tags of a word with one (the test for
//! a zero octet: Lamport, "Multiple Byte Processing with Full-Word Instructions", CACM 18(8),
//! 1975).

/// The number of tags in a word.
pub const TAGS: usize = 8;

const LOWEST: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// A tag, in each octet of a word.
#[derive(Clone, Copy)]
pub(super) struct Tag(u64);

impl Tag {
    /// The tag of a free slot.
    pub(super) const NONE: Self = Self(0);

    /// The tag of an entry with `hash`: never 0. It has bits that do not select a bucket.
    #[inline(always)]
    pub(super) const fn of(hash: u32) -> Self {
        let tag = hash >> 24;
        Self(LOWEST.wrapping_mul(if tag == 0 { 1 } else { tag as u64 }))
    }

    /// Returns the positions in `word` that have this tag, lowest first. Positions behind the first
    /// one may have others.
    #[inline(always)]
    pub(super) const fn positions(self, word: u64) -> Positions {
        let different = word ^ self.0;
        Positions(different.wrapping_sub(LOWEST) & !different & HIGHEST)
    }

    /// Returns `word` with this tag at `position`.
    #[inline]
    pub(super) const fn at(self, position: usize, word: u64) -> u64 {
        let mask = 0xffu64.wrapping_shl((position as u32).wrapping_mul(8));
        word & !mask | self.0 & mask
    }
}

/// Positions in a word of tags.
#[derive(Clone, Copy)]
pub(super) struct Positions(u64);

impl Iterator for Positions {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let bits = self.0;
        self.0 = bits & bits.wrapping_sub(1);
        (bits != 0).then(|| (bits.trailing_zeros() >> 3) as usize)
    }
}

/// Some slots of a bucket, or an endless set of slots.
#[derive(Clone, Copy)]
pub(super) struct SlotSet(u64);

impl SlotSet {
    /// No slot.
    pub(super) const EMPTY: Self = Self(0);

    /// All behind `slot`: endless.
    #[inline(always)]
    pub(super) const fn behind(slot: usize) -> Self {
        Self((u64::MAX - 1).wrapping_shl(slot as u32))
    }

    /// Whether [`behind`](Self::behind) returned the set.
    #[inline(always)]
    pub(super) const fn is_endless(self) -> bool {
        self.0 >> 63 != 0
    }

    /// The slots that both sets have.
    #[inline(always)]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These slots and those at `positions` in word number `word`.
    #[inline(always)]
    pub(super) const fn with(self, word: usize, positions: Positions) -> Self {
        // Bit 8n of the factor becomes bit 56 + n of the product.
        let slots = (positions.0 >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        Self(self.0 | slots.wrapping_shl((word as u32).wrapping_mul(TAGS as u32)))
    }
}

impl Iterator for SlotSet {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slots = self.0;
        self.0 = slots & slots.wrapping_sub(1);
        (slots != 0).then(|| slots.trailing_zeros() as usize)
    }
}
