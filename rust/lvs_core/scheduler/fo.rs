// SPDX-License-Identifier: GPL-2.0-only

//! Weighted failover.

use super::{Destination, Order, Ranked};
use core::cmp::Ordering;

/// Weighted failover scheduling: takes the server with the greatest weight that accepts
/// connections, and among equals the first in the list.
pub type WeightedFailover = Ranked<GreatestWeight>;

/// The order of [`WeightedFailover`].
#[derive(Debug)]
pub struct GreatestWeight;

impl Order for GreatestWeight {
    #[inline]
    fn compare<S: Destination>((_, w): (&S, u32), (_, v): (&S, u32)) -> Ordering {
        v.cmp(&w)
    }
}
