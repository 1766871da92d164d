// SPDX-License-Identifier: GPL-2.0-only

//! What the slow timer does to the tables each second.

use crate::{
    services::engine,
    state::{connection::Connection, tables::Tables},
};
use core::sync::atomic::Ordering;
use knet::{
    rcu,
    table::{Body, Entry},
    work,
};
use lvs_core::{defence::Mode, rate::PERIOD, state::State};

/// The number of parts of the connection table; each second `drop_entry` searches one of them.
const PARTS: u32 = 32;
/// Keys of connections in a part.
const PART: u32 = u32::MAX / PARTS + 1;
/// A UDP connection that was unused for this many seconds counts as abandoned.
const UNUSED: u32 = 60;

impl Tables {
    /// Does the work of a second. Returns the milliseconds until the next one begins. Process
    /// context.
    pub(crate) fn upkeep(&self) -> u32 {
        let now = work::seconds();
        self.connections
            .expire(now, |connection| self.end_tracking(connection));
        let last = self.estimated.load(Ordering::Relaxed);
        if now.wrapping_sub(last) >= PERIOD {
            self.estimated.store(now, Ordering::Relaxed);
            if self.settings.run_estimation.load(Ordering::Relaxed) {
                self.for_each_destination(|destination| destination.statistics.estimate());
            }
        }
        self.settings.defence.update();
        drop_entries(self, now);
        end_orphans(self);
        self.deleted.expire(now);
        if self.settings.nat_icmp_send.load(Ordering::Relaxed) {
            self.nat_servers.refresh(&self.services);
        } else {
            self.nat_servers.clear();
        }
        if engine::is_any() {
            self.engine_servers.refresh(&self.services);
        } else {
            self.engine_servers.clear();
        }
        // At the beginning of the next second, so that an entry that is due waits no longer.
        work::until_next_second()
    }
}

/// Removes connections that can go from the part of the table that is searched in second `now`.
/// Process context.
fn drop_entries(tables: &Tables, now: u32) {
    let mode = tables.settings.defence.drop_entry.load(Ordering::Relaxed);
    if !Mode::from_number(mode).is_some_and(Mode::acts) {
        return;
    }
    let first = (now % PARTS).wrapping_mul(PART);
    let last = first.saturating_add(PART.wrapping_sub(1));
    let mut from = first;
    loop {
        let found = rcu::read(|section| {
            tables.connections.first_from(section, from, |connection| {
                if connection.key() <= last && can_go(&connection, now) {
                    tables.end(connection);
                }
            })
        });
        match found.and_then(|key| key.checked_add(1)) {
            Some(next) if next <= last => from = next,
            _ => return,
        }
        work::yield_now();
    }
}

/// Ends the connections of deleted destinations, with `expire_nodest_conn`. Process context.
fn end_orphans(tables: &Tables) {
    let expires = &tables.settings.expire_nodest_conn;
    if !expires.load(Ordering::Relaxed) || !tables.orphaned.swap(false, Ordering::Relaxed) {
        return;
    }
    let mut from = 0;
    loop {
        let found = rcu::read(|section| {
            tables.connections.first_from(section, from, |connection| {
                if !connection.destination().is_available() {
                    tables.end(connection);
                }
            })
        });
        match found.and_then(|key| key.checked_add(1)) {
            Some(next) => from = next,
            None => return,
        }
        work::yield_now();
    }
}

/// True for a connection that was never established, or is abandoned, and for a template without
/// an established connection.
fn can_go(connection: &Entry<Connection>, now: u32) -> bool {
    connection.is_half_open()
        || connection.state() == State::Udp && connection.unused(now) >= UNUSED
}
