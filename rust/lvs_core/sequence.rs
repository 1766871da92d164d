// SPDX-License-Identifier: GPL-2.0-only

//! TCP sequence numbers of a stream in which a director replaces text by longer or shorter text.
//!
//! One end sends numbers that the other end must see shifted, and receives acknowledgments that
//! must be shifted back (RFC 9293, section 3.4). Numbers are compared modulo 2^32 (RFC 1982).
//!
//! Selective acknowledgments (RFC 2018) are not translated. The director removes the option that
//! permits them from the client's SYN: [`forbid_selective`].

/// How far the numbers of a stream are shifted: by `before` up to `at`, by `after` beyond.
///
/// Two shifts suffice, because a control connection has one request under way: text before the last
/// replacement but one has been acknowledged when the next replacement happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Deltas {
    /// The sender's number of the segment that was changed last.
    at: u32,
    before: i16,
    after: i16,
}

/// Whether `a` comes after `b`.
#[inline]
const fn is_after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

impl Deltas {
    /// Reads what [`Self::pack`] made.
    #[inline]
    pub const fn unpack(word: u64) -> Self {
        Self {
            at: (word >> 32) as u32,
            before: (word >> 16) as i16,
            after: word as i16,
        }
    }

    /// Returns one word, 0 if nothing was ever shifted.
    #[inline]
    pub const fn pack(self) -> u64 {
        ((self.at as u64) << 32) | ((self.before as u16 as u64) << 16) | self.after as u16 as u64
    }

    /// Returns the shifts of a stream by `before` up to the segment with the sender's number `at`,
    /// and by `after` beyond.
    pub const fn new(at: u32, before: i16, after: i16) -> Self {
        Self { at, before, after }
    }

    /// Returns what [`Self::new`] took.
    pub const fn parts(self) -> (u32, i16, i16) {
        (self.at, self.before, self.after)
    }

    /// Returns the shifts after the text of the segment with the sender's number `sequence` has
    /// become longer by `change` octets. A segment that is sent again changes nothing. `None` if
    /// the shift would not fit.
    pub fn changed(self, sequence: u32, change: i16) -> Option<Self> {
        let is_known = self.before != self.after || self.after != 0;
        if change == 0 || is_known && !is_after(sequence, self.at) {
            return Some(self);
        }
        Some(Self {
            at: sequence,
            before: self.after,
            after: self.after.checked_add(change)?,
        })
    }

    /// Returns the number that the receiver sees in place of the sender's `sequence`.
    #[inline]
    pub const fn translate(self, sequence: u32) -> u32 {
        let shift = match is_after(sequence, self.at) {
            true => self.after,
            false => self.before,
        };
        sequence.wrapping_add_signed(shift as i32)
    }

    /// Returns the number that the sender knows in place of the receiver's `acknowledgment`.
    #[inline]
    pub const fn restore(self, acknowledgment: u32) -> u32 {
        // What the receiver has when it has all of the text before the change.
        let shift = match is_after(
            acknowledgment.wrapping_add_signed((self.before as i32).wrapping_neg()),
            self.at,
        ) {
            true => self.after,
            false => self.before,
        };
        acknowledgment.wrapping_add_signed((shift as i32).wrapping_neg())
    }
}

/// The option "SACK permitted" (RFC 2018, section 2).
const SACK_PERMITTED: u8 = 4;

/// Returns where the option "SACK permitted" is in the options of a SYN, if it is there.
pub fn forbid_selective(options: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        match options.get(at..)? {
            [0, ..] | [] => return None,
            [1, ..] => at = at.checked_add(1)?,
            [SACK_PERMITTED, 2, ..] => return Some(at),
            [_, len, ..] if *len >= 2 => at = at.checked_add(usize::from(*len))?,
            _ => return None,
        }
    }
}
