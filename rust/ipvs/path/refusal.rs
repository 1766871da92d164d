// SPDX-License-Identifier: GPL-2.0-only

//! Why a packet does not begin a connection.

use knet::table::Refused;

/// Why a packet does not begin a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No virtual service matches.
    NoService,
    /// A TCP segment that does not open a connection.
    NotOpening,
    /// The defence against floods dropped it.
    Defence,
    /// No destination takes new connections.
    NoDestination,
    /// The destination was deleted after it was chosen.
    DestinationDeleted,
    /// The connection table is full.
    TableFull,
    /// No memory for the entry.
    NoMemory,
    /// Another CPU entered the same connection, and it is gone or has lost its destination.
    Lost,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Duplicate => Self::Lost,
            Refused::Full => Self::TableFull,
            Refused::NoMemory => Self::NoMemory,
        }
    }
}
