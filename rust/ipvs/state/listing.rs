// SPDX-License-Identifier: GPL-2.0-only

//! Lists connections, for `/proc/net/ip_vs_conn` and netlink.

use crate::{
    services::destination::Forwarding,
    state::{
        connection::{Connection, Lease},
        tables::Tables,
    },
};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{rcu, table::Entry, work};
use lvs_core::{
    selection::{Ends, Selection},
    state::State,
};

/// A connection or template, as it is listed.
#[derive(Clone)]
pub(crate) struct Row {
    /// Its position in the order of the listing.
    pub(crate) key: u32,
    /// What identifies it.
    pub(crate) ends: Ends,
    /// Its state.
    pub(crate) state: State,
    /// Seconds until it expires when no packet comes.
    pub(crate) expires: u32,
    /// It was learned from another director, and no packet has used it here since.
    pub(crate) is_learned: bool,
    /// That of a template with what a persistence engine found.
    evidence: Option<Arc<Lease>>,
}

impl Row {
    fn new(connection: &Entry<Connection>, now: u32) -> Self {
        Self {
            key: connection.key(),
            ends: Ends {
                protocol: connection.protocol().map_or(0, |protocol| protocol as u8),
                client: connection.client(),
                service: connection.virtual_endpoint(),
                server: match connection.forwarding() {
                    // The destination that stands for the packets' own.
                    Forwarding::Bypass => connection.destination().endpoint,
                    _ => connection.server(),
                },
            },
            state: match connection.is_template() && connection.is_confirmed() {
                true => State::Assured,
                false => connection.state(),
            },
            expires: connection.due().saturating_sub(now),
            is_learned: connection.is_learned(),
            evidence: connection.found().and_then(|_| connection.lease()),
        }
    }

    /// The name of a persistence engine, and what it found about the client of this template.
    pub(crate) fn found(&self) -> Option<(&CStr, &[u8])> {
        let found = self.evidence.as_ref()?.found()?;
        Some((found.engine.name().as_c_str(), found.text))
    }
}

/// Calls `f` for the connections with the lowest key that is at least `from`, and returns that key;
/// `None` if there are no more. A walk that continues with the next key meets each connection once
/// that exists all the time, whatever comes, goes or is resized. Any context.
pub(crate) fn rows_from(tables: &Tables, from: u32, mut f: impl FnMut(&Row)) -> Option<u32> {
    let now = work::seconds();
    rcu::read(|section| {
        tables
            .connections
            .first_from(section, from, |connection| f(&Row::new(&connection, now)))
    })
}

/// Removes the connections and templates of a selection, and returns their number. One that begins
/// meanwhile may stay. Process context.
pub(crate) fn remove(tables: &Tables, selection: &Selection) -> u32 {
    let (mut from, mut removed) = (0, 0u32);
    loop {
        let now = work::seconds();
        let mut key = Some(from);
        for _ in 0..BATCH {
            let Some(at) = key else {
                return removed;
            };
            let found = rcu::read(|section| {
                tables.connections.first_from(section, at, |connection| {
                    let row = Row::new(&connection, now);
                    if selection.matches(&row.ends, row.state) {
                        connection.remove();
                        removed = removed.wrapping_add(1);
                    }
                })
            });
            key = found.and_then(|key| key.checked_add(1));
        }
        let Some(next) = key else {
            return removed;
        };
        from = next;
        work::yield_now();
    }
}

/// Keys between two yields to other work.
const BATCH: usize = 64;

/// A walk over the connections of a [`Selection`]. It needs memory for those of one key only.
pub(crate) struct Rows {
    tables: Option<Arc<Tables>>,
    selection: Selection,
    /// The key to continue with; none at the end.
    next: Option<u32>,
    /// The rows found last, and how many of them were listed.
    found: KVVec<Row>,
    listed: usize,
}

impl Rows {
    /// Begins a walk. Process context.
    pub(crate) fn new(tables: Option<Arc<Tables>>, selection: Selection) -> Self {
        Self {
            tables,
            selection,
            next: Some(0),
            found: KVVec::new(),
            listed: 0,
        }
    }

    /// Finds the current row; false if there are no more. Process context.
    pub(crate) fn find(&mut self) -> Result<bool> {
        let Some(tables) = self.tables.clone() else {
            return Ok(false);
        };
        loop {
            for _ in 0..BATCH {
                if self.listed < self.found.len() {
                    return Ok(true);
                }
                let Some(from) = self.next else {
                    return Ok(false);
                };
                self.find_from(&tables, from)?;
            }
            work::yield_now();
        }
    }

    fn find_from(&mut self, tables: &Tables, from: u32) -> Result {
        loop {
            self.found.clear();
            self.listed = 0;
            let mut matching = 0usize;
            let key = rows_from(tables, from, |row| {
                if self.selection.matches(&row.ends, row.state) {
                    matching = matching.wrapping_add(1);
                    // Without room, all are searched again.
                    let _ = self.found.push_within_capacity(row.clone());
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

    /// The current row, if [`Self::find`] has found one.
    pub(crate) fn row(&self) -> Option<&Row> {
        self.found.get(self.listed)
    }

    /// Advances to the next row.
    pub(crate) fn advance(&mut self) {
        self.listed = self.listed.wrapping_add(1);
    }
}
