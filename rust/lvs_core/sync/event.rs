// SPDX-License-Identifier: GPL-2.0-only

//! What synchronization daemons count. The kernel module counts these events, and the command shows
//! them: see `Documentation/failover.rst`.

/// Something that a daemon counts. The numbers are attributes of the netlink family `ipvs_rs`; a
/// number never gets a second meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Event {
    /// A datagram was sent.
    Sent = 1,
    /// A connection or template was sent.
    SentRecord = 2,
    /// A datagram could not be sent.
    Unsent = 3,
    /// The format has no form for an entry.
    Inexpressible = 4,
    /// Changes came faster than they could be queued, so that the whole table was sent.
    Overflow = 5,
    /// A datagram of this group of directors was received.
    Received = 6,
    /// A connection or template was taken over.
    Taken = 7,
    /// A connection or template was taken over, but this director lacks its real server.
    Unbound = 8,
    /// A datagram was from another group of directors (syncid).
    Foreign = 9,
    /// A datagram, or the rest of it, was malformed.
    Malformed = 10,
    /// A record was refused: it contradicts itself, or this director does not support it.
    Refused = 11,
    /// A record was older than what this director knows by packets of the connection.
    Outdated = 12,
    /// A record was refused because the table was full, or for want of memory.
    NoRoom = 13,
    /// A datagram of a master has not arrived.
    Missing = 14,
    /// A datagram arrived before, or is too old.
    Repeated = 15,
    /// A datagram was not signed.
    Unsigned = 16,
    /// A datagram was signed with a key that this director lacks.
    OtherKey = 17,
    /// A datagram had a wrong code.
    Forged = 18,
    /// A signed datagram's master has not proved that it sends now.
    Unproved = 19,
    /// A datagram was from an address that is no peer.
    Stranger = 20,
    /// A backup asked for the whole table.
    Asked = 21,
    /// A master answered a backup.
    Answered = 22,
    /// The whole table was sent at once.
    Bulk = 23,
}

numbered! {
    Event:
    Sent,
    SentRecord,
    Unsent,
    Inexpressible,
    Overflow,
    Received,
    Taken,
    Unbound,
    Foreign,
    Malformed,
    Refused,
    Outdated,
    NoRoom,
    Missing,
    Repeated,
    Unsigned,
    OtherKey,
    Forged,
    Unproved,
    Stranger,
    Asked,
    Answered,
    Bulk,
}

impl Event {
    /// Its name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "datagrams sent",
            Self::SentRecord => "entries sent",
            Self::Unsent => "datagrams unsent",
            Self::Inexpressible => "entries inexpressible",
            Self::Overflow => "queue overflows",
            Self::Received => "datagrams received",
            Self::Taken => "entries taken",
            Self::Unbound => "entries without server",
            Self::Foreign => "datagrams of other syncid",
            Self::Malformed => "datagrams malformed",
            Self::Refused => "entries refused",
            Self::Outdated => "entries outdated",
            Self::NoRoom => "entries without room",
            Self::Missing => "datagrams missing",
            Self::Repeated => "datagrams repeated",
            Self::Unsigned => "datagrams unsigned",
            Self::OtherKey => "datagrams of other key",
            Self::Forged => "datagrams forged",
            Self::Unproved => "datagrams unproved",
            Self::Stranger => "datagrams of strangers",
            Self::Asked => "table requests",
            Self::Answered => "table requests answered",
            Self::Bulk => "table transfers",
        }
    }
}
