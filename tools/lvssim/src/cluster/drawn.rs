// SPDX-License-Identifier: GPL-2.0-only

//! Random numbers, drawn many at a time.

use crate::engine::{from_seconds, Time};

/// Numbers that are drawn many at a time, which is quicker, and used one after the other.
pub(super) struct Drawn {
    pub(super) numbers: [Time; 64],
    next: usize,
}

impl Drawn {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            numbers: [0; 64],
            next: 64,
        }
    }

    /// The next number; `None` if more must be drawn.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<Time> {
        let number = self.numbers.get(self.next)?;
        self.next += 1;
        Some(*number)
    }

    /// Draws so many, with a function that gives seconds.
    pub(super) fn draw(&mut self, count: usize, mut seconds: impl FnMut() -> f64) {
        self.next = self.numbers.len() - count;
        for number in &mut self.numbers[self.next..] {
            *number = from_seconds(seconds());
        }
    }
}
