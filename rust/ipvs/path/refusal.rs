// SPDX-License-Identifier: GPL-2.0-only

//! Why a packet does not begin a connection.

use crate::services::destination::Destination;
use kernel::sync::Arc;
use knet::{packet::Unsent, table};
use lvs_core::drop::Reason;

/// Why a packet does not begin a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A TCP segment that does not open a connection.
    NotOpening,
    /// The defence against floods dropped it.
    Defence,
    /// No destination takes new connections: none has a weight above 0, or all are overloaded.
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

impl Refusal {
    /// The reason by which the packet is counted as dropped; none if it goes on.
    pub(crate) fn reason(self) -> Option<Reason> {
        Some(match self {
            Self::NotOpening => return None,
            Self::Defence => Reason::Defense,
            Self::NoDestination => Reason::NoDestination,
            Self::DestinationDeleted => Reason::Deleted,
            Self::TableFull => Reason::TableFull,
            Self::NoMemory => Reason::NoMemory,
            Self::Lost => Reason::Race,
        })
    }

    /// The same, and the destination that was chosen.
    pub(crate) fn by(self, destination: &Arc<Destination>) -> Refused {
        Refused {
            refusal: self,
            destination: Some(destination.clone()),
        }
    }
}

/// A refusal, and the destination that had been chosen.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    pub(crate) destination: Option<Arc<Destination>>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            destination: None,
        }
    }
}

impl From<table::Refused> for Refusal {
    fn from(refused: table::Refused) -> Self {
        match refused {
            table::Refused::Duplicate => Self::Lost,
            table::Refused::Full => Self::TableFull,
            table::Refused::NoMemory => Self::NoMemory,
        }
    }
}

/// The reason by which a packet that cannot be sent is counted as dropped.
pub(crate) fn unsent(unsent: Unsent) -> Reason {
    match unsent {
        Unsent::NoRoute => Reason::NoRoute,
        Unsent::NotWritable => Reason::NoMemory,
        Unsent::TooLarge => Reason::TooLarge,
        Unsent::HopLimit => Reason::HopLimit,
        Unsent::Forbidden => Reason::Policy,
    }
}
