// SPDX-License-Identifier: GPL-2.0-only

//! What synchronization daemons have sent and received.

use core::sync::atomic::{AtomicU64, Ordering};

/// Something that a daemon counts.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    /// A datagram was sent.
    Sent,
    /// A connection or template was sent.
    SentRecord,
    /// A datagram could not be sent.
    Unsent,
    /// The format has no form for an entry.
    Inexpressible,
    /// Changes came faster than they could be queued, so that the whole table was sent.
    Overflow,
    /// A datagram of this group of directors was received.
    Received,
    /// A connection or template was taken over.
    Taken,
    /// A connection or template was taken over, but this director lacks its real server.
    Unbound,
    /// A datagram was from another group of directors (syncid).
    Foreign,
    /// A datagram, or the rest of it, was malformed.
    Malformed,
    /// A record was refused: it contradicts itself, or this director does not support it.
    Refused,
    /// A record was older than what this director knows by packets of the connection.
    Outdated,
    /// A record was refused because the table was full, or for want of memory.
    NoRoom,
}

impl Event {
    /// All of them, with their names in listings.
    pub(crate) const ALL: [(Self, &'static str); 13] = [
        (Self::Sent, "datagrams sent"),
        (Self::SentRecord, "entries sent"),
        (Self::Unsent, "datagrams unsent"),
        (Self::Inexpressible, "entries inexpressible"),
        (Self::Overflow, "queue overflows"),
        (Self::Received, "datagrams received"),
        (Self::Taken, "entries taken"),
        (Self::Unbound, "entries without server"),
        (Self::Foreign, "datagrams of other syncid"),
        (Self::Malformed, "datagrams malformed"),
        (Self::Refused, "entries refused"),
        (Self::Outdated, "entries outdated"),
        (Self::NoRoom, "entries without room"),
    ];
}

/// Counters of events. Any context.
#[derive(Default)]
pub(crate) struct Counters([AtomicU64; Event::ALL.len()]);

impl Counters {
    /// Counts one.
    pub(crate) fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// Counts some.
    pub(crate) fn add(&self, event: Event, number: u64) {
        if let Some(counter) = self.0.get(event as usize) {
            counter.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub(crate) fn get(&self, event: Event) -> u64 {
        let counter = self.0.get(event as usize);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
