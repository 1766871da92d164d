// SPDX-License-Identifier: GPL-2.0-only

//! An estimate of a delay: an exponentially weighted moving average that forgets by the clock.
//!
//! It is the "peak EWMA" of Twitter's Finagle: a measurement above the estimate is believed at once, one
//! below it the more, the longer ago the one before was. What is still waited for counts as long as it has
//! lasted, so that silence is no good sign. There is nothing to lock.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// log2 of the microseconds in a tick, the unit in which an estimate knows its age.
const TICK: u32 = 10;
/// log2 of the ticks in which half of an estimate is forgotten: 2.1 seconds.
const HALF_LIFE: u32 = 11;
/// Microseconds after which nobody waits any more, as if there had been an answer: 8.4 seconds. By then a
/// SYN has been repeated three times (RFC 6298).
const PATIENCE: u64 = 1 << 23;

/// What is known of a delay, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delay {
    /// The estimate after the last measurement; 0 when there was none.
    pub measured: u32,
    /// What time has left of it, or how long an answer is waited for now, if that is more.
    pub present: u32,
}

/// An estimate of a delay.
#[derive(Debug, Default)]
pub struct Estimate {
    /// The estimate, and the tick of the last measurement.
    average: AtomicU64,
    /// Since when an answer is waited for; 0 when none is.
    waiting: AtomicU64,
}

impl Estimate {
    /// One of which nothing is known.
    pub const fn new() -> Self {
        Self {
            average: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    /// Something was asked for, and the answer is to be waited for. Of several questions at a time the first
    /// one counts, until anyone is answered.
    pub fn ask(&self, now: u64) {
        if self.waiting.load(Relaxed) == 0 {
            self.waiting.store(now, Relaxed);
        }
    }

    /// There was an answer that tells nothing of the delay.
    pub fn wait_no_more(&self) {
        self.waiting.store(0, Relaxed);
    }

    /// Takes a measurement of so many microseconds into account; `now` is a clock's microseconds.
    pub fn observe(&self, microseconds: u32, now: u64) {
        self.wait_no_more();
        let measured = microseconds.max(1);
        let now = (now >> TICK) as u32;
        // The closure never gives up, so there is no error to see.
        let _ = self.average.fetch_update(Relaxed, Relaxed, |word| {
            let (estimate, then) = unpack(word);
            let above = estimate.saturating_sub(measured);
            let estimate = measured.saturating_add(decay(above, elapsed(then, now)));
            Some((u64::from(estimate) << 32) | u64::from(now))
        });
    }

    /// What is known when a clock shows `now` microseconds.
    pub fn at(&self, now: u64) -> Delay {
        let since = self.waiting.load(Relaxed);
        let waited = match since {
            0 => 0,
            since => now.saturating_sub(since),
        };
        if waited > PATIENCE {
            // One of those who look takes it for an answer; from then on it is forgotten as any.
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

/// The estimate, and the tick of the last measurement.
const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Ticks from `then` to `now`; none where another CPU's clock is a little ahead.
const fn elapsed(then: u32, now: u32) -> u32 {
    let ticks = now.wrapping_sub(then);
    if ticks > i32::MAX as u32 {
        0
    } else {
        ticks
    }
}

/// What is left of `value` after so many ticks: half of it for each half-life.
fn decay(value: u32, ticks: u32) -> u32 {
    const ONE: u64 = 1 << 16;
    let part = u64::from(ticks & ((1 << HALF_LIFE) - 1)) << (16 - HALF_LIFE);
    // 2^-x = 1 - x (0.6925 - x (0.2360 - 0.0435 x)) for x from 0 to 1, to a thousandth.
    let times = |slope: u64| part.wrapping_mul(slope) >> 16;
    let slope = 15_466_u64.saturating_sub(times(2850));
    let slope = 45_384_u64.saturating_sub(times(slope));
    let factor = ONE.saturating_sub(times(slope));
    let left = u64::from(value).wrapping_mul(factor) >> 16;
    left.checked_shr(ticks >> HALF_LIFE).unwrap_or(0) as u32
}
