// SPDX-License-Identifier: GPL-2.0-only

//! Peak EWMA.

use super::{BestOfTwo, FewestForWeight, Order, Server};
use crate::delay::Delay;
use core::cmp::Ordering;

/// The power of two choices by delays that were measured (peak EWMA, as in Twitter's Finagle): two
/// servers are drawn at random, in proportion to their weights, and the one is taken that promises the
/// least delay for the new connection, as [`LeastPeakDelay`] compares.
pub type PeakEwma = BestOfTwo<LeastPeakDelay>;

/// The order of [`PeakEwma`]: (active connections + 1) times the estimated delay, for the weight.
///
/// An estimate that is not renewed is forgotten with time, so that a server which was slow is tried again,
/// but only until both are equal; and one that does not answer is as slow as it lets wait. Where one of
/// the two was never measured, as always with UDP, it is [`FewestForWeight`].
#[derive(Debug)]
pub struct LeastPeakDelay;

impl Order for LeastPeakDelay {
    const MEASURES_DELAYS: bool = true;

    #[inline]
    fn compare<S: Server>((one, w): (&S, u32), (other, v): (&S, u32)) -> Ordering {
        let by_loads = || FewestForWeight::compare((one, w), (other, v));
        let (a, b) = (one.delay(), other.delay());
        let least = a.measured.min(b.measured);
        if least == 0 {
            return by_loads();
        }
        // Two numbers of 32 bits fit 64, three fit 128. Cross-multiplied, as everywhere.
        let cost = |server: &S, delay: Delay, weight: u32| {
            let queue = u64::from(server.active()).wrapping_add(1);
            u128::from(queue.wrapping_mul(delay.present.max(least).into()))
                .wrapping_mul(weight.into())
        };
        cost(one, a, v).cmp(&cost(other, b, w)).then_with(by_loads)
    }
}
