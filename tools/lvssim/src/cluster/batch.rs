// SPDX-License-Identifier: GPL-2.0-only

//! The parts of a run that intervals are computed from.

use super::outcome::BATCHES;
use super::setup::{End, Setup};

/// The batch of answers that a run is in: one of [`BATCHES`] equal parts of its length, which is
/// told in answers or in nanoseconds.
pub(super) struct Batch {
    length: u64,
    number: usize,
    /// Where the next batch begins.
    next: u64,
}

impl Batch {
    pub(super) fn new(setup: &Setup) -> Self {
        let length = match setup.end {
            End::At(end) => end.saturating_sub(setup.warmup),
            End::Answered(count) => count,
        };
        let mut batch = Self {
            length,
            number: 0,
            next: 0,
        };
        batch.next = batch.begin(1);
        batch
    }

    fn begin(&self, number: usize) -> u64 {
        let begin = (u128::from(self.length) * number as u128).div_ceil(BATCHES as u128);
        begin as u64
    }

    /// The batch at this progress, which never goes back.
    #[inline]
    pub(super) fn at(&mut self, progress: u64) -> usize {
        while progress >= self.next && self.number + 1 < BATCHES {
            self.number += 1;
            self.next = self.begin(self.number + 1);
        }
        self.number
    }
}
