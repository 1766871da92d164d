// SPDX-License-Identifier: GPL-2.0-only

//! Peak EWMA.

use super::{BestOfTwo, Destination, FewestForWeight, Order};
use crate::delay::Delay;
use core::cmp::Ordering;

/// The power of two choices by measured delays (peak EWMA, as in Twitter's Finagle). It draws two
/// servers at random, by weight, and takes the one with the lower expected delay for the new
/// connection, as [`LeastPeakDelay`] compares.
pub type PeakEwma = BestOfTwo<LeastPeakDelay>;

/// The order of [`PeakEwma`]: (active connections + 1) times the estimated delay, divided by the
/// weight.
///
/// An old estimate decays, so a slow server is tried again, but it decays only until both are
/// equal. A silent server is as slow as its oldest unanswered question is old. If one of the two
/// has no measurement, as always with UDP, [`FewestForWeight`] decides.
#[derive(Debug)]
pub struct LeastPeakDelay;

impl Order for LeastPeakDelay {
    const MEASURES_DELAYS: bool = true;

    #[inline]
    fn compare<S: Destination>((one, w): (&S, u32), (other, v): (&S, u32)) -> Ordering {
        let by_loads = || FewestForWeight::compare((one, w), (other, v));
        let (a, b) = (one.delay(), other.delay());
        let least = a.measured.min(b.measured);
        if least == 0 {
            return by_loads();
        }
        // Cross-multiplied, like all comparisons here. Two 32-bit numbers fit into 64 bits, three
        // into 128.
        let cost = |destination: &S, delay: Delay, weight: u32| {
            let queue = u64::from(destination.active()).wrapping_add(1);
            u128::from(queue.wrapping_mul(delay.present.max(least).into()))
                .wrapping_mul(weight.into())
        };
        cost(one, a, v).cmp(&cost(other, b, w)).then_with(by_loads)
    }
}
