// SPDX-License-Identifier: GPL-2.0-only

//! Round-robin.

use super::{capacity, moved, Change, Server};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Round-robin scheduling: the servers in order, whatever their weights and loads.
#[derive(Debug)]
pub struct RoundRobin {
    /// The index of the server whose turn is next; the length of the list after the last one.
    cursor: AtomicU32,
}

impl RoundRobin {
    /// Starts with the first server.
    pub const fn new() -> Self {
        Self {
            cursor: AtomicU32::new(0),
        }
    }

    /// Keeps the place in the sequence when the list changes.
    pub fn changed<S: Server>(&self, _servers: &[S], change: Change) {
        // The closure never gives up, so there is no error to see.
        let _ = self
            .cursor
            .fetch_update(Relaxed, Relaxed, |cursor| Some(moved(cursor, change)));
    }

    /// The next server in the order that takes connections; `None` when none does.
    #[inline]
    pub fn select<S: Server>(&self, servers: &[S]) -> Option<usize> {
        let mut cursor = self.cursor.load(Relaxed);
        loop {
            let (index, next) = from(servers, cursor as usize).or_else(|| from(servers, 0))?;
            // Lock-free: when this fails, another CPU has made its selection.
            match self
                .cursor
                .compare_exchange_weak(cursor, next, Relaxed, Relaxed)
            {
                Ok(_) => return Some(index),
                Err(seen) => cursor = seen,
            }
        }
    }
}

/// The first server at or after `start` that takes connections, and the cursor after it.
#[inline]
fn from<S: Server>(servers: &[S], start: usize) -> Option<(usize, u32)> {
    let index = servers
        .get(start..)?
        .iter()
        .position(|server| capacity(server).is_some())?
        .checked_add(start)?;
    Some((index, u32::try_from(index).ok()?.checked_add(1)?))
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self::new()
    }
}
