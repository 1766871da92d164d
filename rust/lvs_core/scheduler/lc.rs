// SPDX-License-Identifier: GPL-2.0-only

//! Least-connection.

use super::{least, Change, Server};

/// Least-connection scheduling: the server with the fewest active connections; among equals the one
/// with the fewest inactive ones, then the first in the list.
#[derive(Debug)]
pub struct LeastConnection;

impl LeastConnection {
    /// There is nothing to remember.
    pub const fn new() -> Self {
        Self
    }

    /// Nothing depends on the list before a selection.
    pub fn changed<S: Server>(&self, _servers: &[S], _change: Change) {}

    /// The server with the fewest connections; `None` when none takes any.
    #[inline]
    pub fn select<S: Server>(&self, servers: &[S]) -> Option<usize> {
        least(servers, |_| 1)
    }
}

impl Default for LeastConnection {
    fn default() -> Self {
        Self::new()
    }
}
