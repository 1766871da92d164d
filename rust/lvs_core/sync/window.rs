// SPDX-License-Identifier: GPL-2.0-only

//! The datagrams of a sender: which arrived, and how many are missing.

/// The datagrams before the latest one that are told apart.
pub const SIZE: u32 = 1024;
const WORDS: usize = (SIZE / 64) as usize;

/// The datagrams that arrived with the numbers of one epoch.
#[derive(Clone, Debug)]
pub struct Window {
    highest: u32,
    /// A bit for each of the last [`SIZE`] numbers, at the number modulo [`SIZE`].
    seen: [u64; WORDS],
    received: u64,
}

/// What a datagram says about others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It is later than all others, and so many are missing before it.
    After {
        /// The missing numbers.
        missing: u32,
    },
    /// It was missing.
    Late,
    /// It arrived before, or is so old that it may have.
    Again,
}

impl Window {
    /// Begins with the datagram `first`, which is counted.
    pub fn new(first: u32) -> Self {
        // What came before the first one is taken as old.
        Self {
            highest: first,
            seen: [u64::MAX; WORDS],
            received: 1,
        }
    }

    fn word(&mut self, number: u32) -> Option<(&mut u64, u64)> {
        let number = number % SIZE;
        let word = self.seen.get_mut((number / 64) as usize)?;
        Some((word, 1u64.checked_shl(number % 64)?))
    }

    fn mark(&mut self, number: u32) {
        if let Some((word, bit)) = self.word(number) {
            *word |= bit;
        }
        self.received = self.received.wrapping_add(1);
    }

    /// Notes the datagram `number`.
    pub fn note(&mut self, number: u32) -> Place {
        if let Some(ahead @ 1..) = number.checked_sub(self.highest) {
            // The numbers that are passed have not arrived.
            for passed in 0..ahead.min(SIZE) {
                if let Some((word, bit)) = self.word(number.wrapping_sub(passed)) {
                    *word &= !bit;
                }
            }
            self.highest = number;
            self.mark(number);
            return Place::After {
                missing: ahead.wrapping_sub(1),
            };
        }
        let is_old = self.highest.wrapping_sub(number) >= SIZE;
        match self.word(number) {
            Some((word, bit)) if !is_old && *word & bit == 0 => {
                self.mark(number);
                Place::Late
            }
            _ => Place::Again,
        }
    }

    /// Returns the highest number.
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// Returns how many datagrams arrived, each counted once.
    pub const fn received(&self) -> u64 {
        self.received
    }
}
