// SPDX-License-Identifier: GPL-2.0-only

//! Listing connections: what `/proc/net/ip_vs_conn` and netlink tell of each, and the walk over all of
//! them that both are read by.

use crate::{director::Director, path::Path, state::connection::Connection};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{rcu, table::Entry, work};
use lvs_core::{
    selection::{Ends, Selection},
    state::State,
};

/// What is told of a connection or a template.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Where it stands in the order of the listing.
    pub(crate) key: u32,
    /// What tells it from others.
    pub(crate) ends: Ends,
    /// Its state.
    pub(crate) state: State,
    /// Seconds until it expires when no packet comes.
    pub(crate) expires: u32,
}

impl Row {
    fn new(connection: &Entry<Connection>, now: u32) -> Self {
        Self {
            key: connection.key(),
            ends: Ends {
                protocol: connection.protocol().map_or(0, |protocol| protocol as u8),
                client: connection.client(),
                service: connection.virtual_endpoint(),
                server: connection.server(),
            },
            state: connection.state(),
            expires: connection.due().saturating_sub(now),
        }
    }
}

/// Calls `f` for the connections with the lowest key from `from` on, and returns that key; `None` when
/// there are no more. Going on behind it tells each once that is there all the while, whatever comes, goes
/// or is resized. Any context.
pub(crate) fn rows_from(path: &Path, from: u32, mut f: impl FnMut(&Row)) -> Option<u32> {
    let now = work::seconds();
    rcu::read(|section| {
        let row = |connection: &Entry<Connection>| f(&Row::new(connection, now));
        path.connections.first_from(section, from, row)
    })
}

/// Keys looked at before other work is let in.
const BATCH: usize = 64;

/// The connections of a [`Selection`], one after the other, in as little memory as those of one key take.
pub(crate) struct Rows {
    path: Option<Arc<Path>>,
    selection: Selection,
    /// The key to go on from; none at the end.
    next: Option<u32>,
    /// Those found last, and the number of those that were told.
    found: KVVec<Row>,
    told: usize,
}

impl Rows {
    /// Begins a walk. Process context.
    pub(crate) fn new(director: &Director, selection: Selection) -> Self {
        Self {
            path: director.path(),
            selection,
            next: Some(0),
            found: KVVec::new(),
            told: 0,
        }
    }

    /// Finds the row at which the walk stands; false when there are no more. Process context.
    pub(crate) fn find(&mut self) -> Result<bool> {
        let Some(path) = self.path.clone() else {
            return Ok(false);
        };
        loop {
            for _ in 0..BATCH {
                if self.told < self.found.len() {
                    return Ok(true);
                }
                let Some(from) = self.next else {
                    return Ok(false);
                };
                self.find_from(&path, from)?;
            }
            work::yield_now();
        }
    }

    fn find_from(&mut self, path: &Path, from: u32) -> Result {
        loop {
            self.found.clear();
            self.told = 0;
            let mut matching = 0usize;
            let key = rows_from(path, from, |row| {
                if self.selection.matches(&row.ends) {
                    matching = matching.wrapping_add(1);
                    // Without room it is found again.
                    let _ = self.found.push_within_capacity(*row);
                }
            });
            if matching == self.found.len() {
                self.next = key.and_then(|key| key.checked_add(1));
                return Ok(());
            }
            self.found.clear();
            self.found.reserve(matching, GFP_KERNEL)?;
        }
    }

    /// The row at which the walk stands, if [`Self::find`] has found one.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.found.get(self.told)
    }

    /// Goes on to the next row.
    pub(crate) fn advance(&mut self) {
        self.told = self.told.wrapping_add(1);
    }
}
