// SPDX-License-Identifier: GPL-2.0-only

//! Weighted least-connection.

use super::{ranked::ratio, Destination, Order, Ranked};
use core::cmp::Ordering;

/// Weighted least-connection scheduling (section 4.4 of "Linux Virtual Server for Scalable Network
/// Services"): takes the server with the fewest active connections for its weight, among equals the
/// one with the fewest inactive connections for its weight, then the first in the list.
pub type WeightedLeastConnection = Ranked<FewestForWeight>;

/// The order of [`WeightedLeastConnection`].
#[derive(Debug)]
pub struct FewestForWeight;

impl Order for FewestForWeight {
    #[inline]
    fn number<S: Destination>(destination: &S) -> Option<u64> {
        Some(destination.connections())
    }

    #[inline]
    fn compare<S: Destination>((one, w): (&S, u32), (other, v): (&S, u32)) -> Ordering {
        let (a, b) = (one.connections(), other.connections());
        let active = |connections: u64| (connections >> 32) as u32;
        let inactive = |connections: u64| connections as u32;
        ratio(active(a), w, active(b), v).then_with(|| ratio(inactive(a), w, inactive(b), v))
    }
}
