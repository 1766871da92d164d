// SPDX-License-Identifier: GPL-2.0-only

//! Least-connection.

use super::{Destination, Order, Ranked};
use core::cmp::Ordering;

/// Least-connection scheduling (section 4.3 of "Linux Virtual Server for Scalable Network
/// Services"): takes the server with the fewest active connections, among equals the one with the
/// fewest inactive connections, then the first in the list.
pub type LeastConnection = Ranked<FewestConnections>;

/// The order of [`LeastConnection`].
#[derive(Debug)]
pub struct FewestConnections;

impl Order for FewestConnections {
    #[inline]
    fn compare<S: Destination>((one, _): (&S, u32), (other, _): (&S, u32)) -> Ordering {
        one.connections().cmp(&other.connections())
    }
}
