// SPDX-License-Identifier: GPL-2.0-only

//! Weighted least-connection.

use super::{least, Change, Server};

/// Weighted least-connection scheduling (section 4.4 of "Linux Virtual Server for Scalable Network
/// Services"): the server with the fewest active connections in relation to its weight; among
/// equals the one with the fewest inactive ones in relation to its weight, then the first in the
/// list. Ratios are compared by cross-multiplication, never by division.
#[derive(Debug)]
pub struct WeightedLeastConnection;

/// A server's load at the moment it was looked at.
#[derive(Clone, Copy)]
struct Load {
    /// The weight, not 0.
    weight: u32,
    /// Active connections.
    active: u32,
    /// Inactive connections.
    inactive: u32,
}

impl Load {
    /// Whether this server is to be preferred to the other.
    #[inline]
    fn is_less(self, other: Self) -> bool {
        // a / w < b / v, where w and v are not 0; the product of 32-bit numbers fits 64 bits.
        let cross = |a: u32, v: u32| u64::from(a).wrapping_mul(u64::from(v));
        let ours = cross(self.active, other.weight);
        let theirs = cross(other.active, self.weight);
        ours < theirs
            || (ours == theirs
                && cross(self.inactive, other.weight) < cross(other.inactive, self.weight))
    }
}

impl WeightedLeastConnection {
    /// There is nothing to remember.
    pub const fn new() -> Self {
        Self
    }

    /// Nothing depends on the list before a selection.
    pub fn changed<S: Server>(&self, _servers: &[S], _change: Change) {}

    /// The server with the least load for its weight; `None` when none takes connections.
    #[inline]
    pub fn select<S: Server>(&self, servers: &[S]) -> Option<usize> {
        let load = |server: &S, weight| Load {
            weight,
            active: server.active(),
            inactive: server.inactive(),
        };
        least(servers, load, Load::is_less)
    }
}

impl Default for WeightedLeastConnection {
    fn default() -> Self {
        Self::new()
    }
}
