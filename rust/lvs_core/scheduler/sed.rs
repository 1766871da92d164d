// SPDX-License-Identifier: GPL-2.0-only

//! Shortest expected delay.

use super::{ranked::ratio, Destination, Order, Ranked};
use core::cmp::Ordering;

/// Shortest-expected-delay scheduling: takes the server with the least (active + 1) / weight, which
/// is the expected delay of the new connection, and among equals the first in the list.
pub type ShortestExpectedDelay = Ranked<ShortestDelay>;

/// The order of [`ShortestExpectedDelay`].
#[derive(Debug)]
pub struct ShortestDelay;

impl Order for ShortestDelay {
    #[inline]
    fn compare<S: Destination>((one, w): (&S, u32), (other, v): (&S, u32)) -> Ordering {
        let delay = |destination: &S| destination.active().saturating_add(1);
        ratio(delay(one), w, delay(other), v)
    }
}
