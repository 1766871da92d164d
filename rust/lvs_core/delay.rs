// SPDX-License-Identifier: GPL-2.0-only

//! An estimate of a delay: an exponentially weighted moving average that decays with time.
//!
//! This is the "peak EWMA" of Twitter's Finagle. A measurement above the estimate replaces it at
//! once. One below it counts more the older the last measurement is. An unanswered question counts
//! with its age, so silence never makes the estimate better. There is no lock.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// log2 of the microseconds in a tick. Estimates store their age in ticks.
const TICK: u32 = 10;
/// log2 of the half-life of an estimate in ticks: 2.1 seconds.
const HALF_LIFE: u32 = 11;
/// Microseconds after which an unanswered question becomes a measurement: 8.4 seconds. By then a
/// client has repeated a SYN three times (RFC 6298).
const PATIENCE: u64 = 1 << 23;

/// A delay as seen now, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delay {
    /// The estimate after the last measurement; 0 if there was none.
    pub measured: u32,
    /// The decayed estimate, or the age of the oldest unanswered question if that is more.
    pub present: u32,
}

/// An estimate of a delay.
#[derive(Debug, Default)]
pub struct Estimate {
    /// The estimate and the tick of the last measurement.
    average: AtomicU64,
    /// The time of the oldest unanswered question; 0 if there is none.
    waiting: AtomicU64,
}

impl Estimate {
    /// Returns an estimate without measurements.
    pub const fn new() -> Self {
        Self {
            average: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    /// Records a question that expects an answer. The first of several concurrent questions counts
    /// until any of them is answered.
    pub fn ask(&self, now: u64) {
        if self.waiting.load(Relaxed) == 0 {
            self.waiting.store(now, Relaxed);
        }
    }

    /// Records an answer that measures nothing.
    pub fn wait_no_more(&self) {
        self.waiting.store(0, Relaxed);
    }

    /// Adds a measurement, in microseconds. `now` is the clock's time in microseconds.
    pub fn observe(&self, microseconds: u32, now: u64) {
        self.wait_no_more();
        let measured = microseconds.max(1);
        let now = (now >> TICK) as u32;
        // The closure always returns `Some`, so there is no error to handle.
        let _ = self.average.fetch_update(Relaxed, Relaxed, |word| {
            let (estimate, then) = unpack(word);
            let above = estimate.saturating_sub(measured);
            let estimate = measured.saturating_add(decay(above, elapsed(then, now)));
            Some((u64::from(estimate) << 32) | u64::from(now))
        });
    }

    /// Returns the delay at the clock's time `now`, in microseconds.
    pub fn at(&self, now: u64) -> Delay {
        let since = self.waiting.load(Relaxed);
        let waited = match since {
            0 => 0,
            since => now.saturating_sub(since),
        };
        if waited > PATIENCE {
            // One of the readers turns it into a measurement, which then decays like any other.
            let ended = self.waiting.compare_exchange(since, 0, Relaxed, Relaxed);
            if ended.is_ok() {
                self.observe(PATIENCE as u32, now);
            }
        }
        let (measured, then) = unpack(self.average.load(Relaxed));
        let left = decay(measured, elapsed(then, (now >> TICK) as u32));
        Delay {
            measured,
            present: left.max(waited.min(PATIENCE) as u32),
        }
    }
}

/// The estimate and the tick of the last measurement.
const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Returns the ticks from `then` to `now`; 0 if another CPU's clock is a little ahead.
const fn elapsed(then: u32, now: u32) -> u32 {
    let ticks = now.wrapping_sub(then);
    if ticks > i32::MAX as u32 {
        0
    } else {
        ticks
    }
}

/// Returns `value` after that many ticks; each half-life halves it.
fn decay(value: u32, ticks: u32) -> u32 {
    const ONE: u64 = 1 << 16;
    let part = u64::from(ticks & ((1 << HALF_LIFE) - 1)) << (16 - HALF_LIFE);
    // 2^-x = 1 - x (0.6925 - x (0.2360 - 0.0435 x)) for x from 0 to 1, within a thousandth.
    let times = |slope: u64| part.wrapping_mul(slope) >> 16;
    let slope = 15_466_u64.saturating_sub(times(2850));
    let slope = 45_384_u64.saturating_sub(times(slope));
    let factor = ONE.saturating_sub(times(slope));
    let left = u64::from(value).wrapping_mul(factor) >> 16;
    left.checked_shr(ticks >> HALF_LIFE).unwrap_or(0) as u32
}
