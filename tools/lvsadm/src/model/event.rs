// SPDX-License-Identifier: GPL-2.0-only

//! Changes of the configuration that the kernel reports.

use super::{Destination, DestinationId, Service, ServiceId};

/// What was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// A service was added.
    AddService,
    /// A service was edited.
    EditService,
    /// A service was deleted.
    DeleteService,
    /// A server was added.
    AddServer,
    /// A server was edited.
    EditServer,
    /// A server was deleted.
    DeleteServer,
    /// All services were deleted.
    Clear,
    /// The counters of a service, or of all, were set to zero.
    Zero,
    /// Timeouts were set.
    SetTimeouts,
    /// A command that is newer than this program.
    Other(u8),
}

impl Executed {
    /// As JSON names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AddService => "service_added",
            Self::EditService => "service_edited",
            Self::DeleteService => "service_deleted",
            Self::AddServer => "server_added",
            Self::EditServer => "server_edited",
            Self::DeleteServer => "server_deleted",
            Self::Clear => "table_cleared",
            Self::Zero => "counters_zeroed",
            Self::SetTimeouts => "timeouts_set",
            Self::Other(_) => "other",
        }
    }
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was executed.
    pub executed: Executed,
    /// The service that it was about.
    pub service: Option<ServiceId>,
    /// Its settings since, if it exists.
    pub service_now: Option<Service>,
    /// The server that it was about.
    pub server: Option<DestinationId>,
    /// Its settings since, if it exists.
    pub server_now: Option<Destination>,
}
