// SPDX-License-Identifier: GPL-2.0-only

//! Times from request to answer, counted as they come.

use hdrhistogram::Histogram;

use crate::engine::{Time, SECOND};

/// Times below this are counted as one.
const UNIT_BITS: u32 = 9;

/// Each power of two has so many counts, as in a [`Histogram`] of three digits.
const STEP_BITS: u32 = 10;
const STEPS: usize = 1 << STEP_BITS;

/// Counts of times. It records a time in a quarter of the instructions that [`Histogram`] takes, in
/// the same steps, and becomes one at the end of a run.
pub(super) struct Times {
    /// Small, so that they stay in the processor's first cache.
    counts: Vec<u32>,
    /// The index of each count that went past its greatest number, once for each time.
    full: Vec<usize>,
    len: u64,
}

impl Times {
    pub(super) fn new() -> Self {
        let powers = (Time::BITS - UNIT_BITS - STEP_BITS + 1) as usize;
        Self {
            counts: vec![0; powers * STEPS],
            full: Vec::new(),
            len: 0,
        }
    }

    /// How many times there are.
    #[inline]
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Counts a time.
    #[inline]
    pub(super) fn record(&mut self, time: Time) {
        let units = time >> UNIT_BITS;
        // The highest bit that is not one of the first two powers'.
        let shift = (units | (2 * STEPS as u64 - 1)).ilog2() - STEP_BITS;
        let index = shift as usize * STEPS + (units >> shift) as usize;
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.wrapping_add(1);
            if *count == 0 {
                self.full.push(index);
            }
        }
        self.len += 1;
    }

    /// The same as a histogram, from a microsecond to a day and beyond, to a thousandth.
    pub(super) fn histogram(&self) -> Histogram<u64> {
        let mut times = match Histogram::new_with_bounds(1000, 86_400 * SECOND, 3) {
            Ok(times) => times,
            Err(error) => unreachable!("these bounds are valid: {error:?}"),
        };
        times.auto(true);
        let mut record = |index: usize, count| {
            let shift = (index / STEPS).saturating_sub(1);
            let units = (index - shift * STEPS) as u64;
            times.saturating_record_n(units << shift << UNIT_BITS, count);
        };
        for (index, count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            record(index, u64::from(*count));
        }
        for index in &self.full {
            record(*index, 1 << u32::BITS);
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_as_the_histogram_counts_them() {
        let mut times = Times::new();
        let mut wanted = Times::new().histogram();
        let mut time: Time = 1;
        for number in 0..20_000_u64 {
            time = time
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(number);
            // From nothing to four months.
            let time = time >> (11 + number % 50);
            times.record(time);
            wanted.saturating_record(time);
        }
        let got = times.histogram();
        assert_eq!([got.len(), times.len()], [wanted.len(); 2]);
        for quantile in [0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
            let value = |times: &Histogram<u64>| times.value_at_quantile(quantile);
            assert_eq!(value(&got), value(&wanted), "{quantile}");
        }
        assert_eq!(got.max(), wanted.max());
    }

    #[test]
    fn a_count_may_be_greater_than_a_word() {
        let mut times = Times::new();
        times.record(SECOND);
        for count in &mut times.counts {
            *count = count.wrapping_sub(u32::from(*count > 0) * 2);
        }
        times.record(SECOND);
        assert_eq!(times.histogram().len(), 1 << 32);
        times.record(SECOND);
        assert_eq!(times.histogram().len(), (1 << 32) + 1);
    }
}
