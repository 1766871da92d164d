// SPDX-License-Identifier: GPL-2.0-only

//! Weighted least-connection.

use super::{least, Change, Server};

/// Weighted least-connection scheduling (section 4.4 of "Linux Virtual Server for Scalable Network
/// Services"): the server with the fewest active connections in relation to its weight; among
/// equals the one with the fewest inactive ones in relation to its weight, then the first in the
/// list. Ratios are compared by cross-multiplication, never by division.
#[derive(Debug)]
pub struct WeightedLeastConnection;

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
        least(servers, |weight| weight)
    }
}

impl Default for WeightedLeastConnection {
    fn default() -> Self {
        Self::new()
    }
}
