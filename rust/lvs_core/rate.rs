// SPDX-License-Identifier: GPL-2.0-only

//! Rates of counters, as exponentially weighted moving averages.
//!
//! The estimator reads a counter once in each [`PERIOD`]. Each reading moves the rate by a quarter
//! of the difference to the new measurement. A rate therefore follows a change to 90 % within 16
//! seconds.

/// Seconds between two readings.
pub const PERIOD: u32 = 2;

/// Fractional bits of a [`Rate`].
const FRACTION: u32 = 10;
/// The rate of one event in a period.
const EVENT: u64 = (1 << FRACTION) / PERIOD as u64;

/// Events per second, in fixed point.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rate(u64);

impl Rate {
    /// Returns the rate from the result of [`Self::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits, to store the rate in an atomic.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the rate after another [`PERIOD`] with this many `events`.
    #[must_use]
    pub const fn after(self, events: u64) -> Self {
        let sample = events.saturating_mul(EVENT);
        // A quarter of each, with the remainders, so that the rate reaches a steady value exactly.
        let kept = self.0.saturating_sub(self.0.div_ceil(4));
        Self(kept.saturating_add(sample.div_ceil(4)))
    }

    /// Events per second, rounded to the nearest.
    #[must_use]
    pub const fn per_second(self) -> u64 {
        self.0.saturating_add(1 << (FRACTION - 1)) >> FRACTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(events: u64, periods: usize) -> Rate {
        (0..periods).fold(Rate::default(), |rate, _| rate.after(events))
    }

    #[test]
    fn a_steady_flow_is_told_exactly() {
        for per_second in [1u64, 7, 1000, 1_000_000, 10_000_000_000] {
            assert_eq!(steady(per_second * 2, 100).per_second(), per_second);
        }
    }

    #[test]
    fn nine_tenths_within_sixteen_seconds() {
        let rate = steady(2000, 8).per_second();
        assert!((895..=905).contains(&rate), "{rate}");
    }

    #[test]
    fn silence_ends_at_zero() {
        let mut rate = steady(2_000_000, 100);
        for _ in 0..100 {
            rate = rate.after(0);
        }
        assert_eq!(rate, Rate::default());
    }

    #[test]
    fn absurd_counts_saturate() {
        assert!(Rate::from_bits(u64::MAX).after(u64::MAX).per_second() > 0);
    }

    #[test]
    fn bits_come_back() {
        let rate = steady(12345, 3);
        assert_eq!(Rate::from_bits(rate.to_bits()), rate);
    }
}
