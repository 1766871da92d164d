// SPDX-License-Identifier: GPL-2.0-only

//! Services, destinations and statistics as the command represents them.
//!
//! Belongs here: plain data, and what follows from it alone. Never: the wire format, the command
//! line, the layout of listings.

mod address;
mod change;
mod daemon;
mod destination;
mod module;
mod service;
mod stats;
mod table;

pub use address::{Family, Protocol, endpoint};
pub use change::{Change, Timeouts};
pub use daemon::{Daemon, DaemonRole, INTERFACE_NAME_MAX};
pub use destination::{
    DEFAULT_WEIGHT, Destination, DestinationEntry, DestinationId, Forwarding, Tunnel,
    TunnelChecksum, TunnelKind,
};
pub use module::{Info, Module};
pub use service::{
    DEFAULT_PERSISTENCE, DEFAULT_SCHEDULER, ENGINE_NAME_MAX, Netmask, SCHEDULER_NAME_MAX, Service,
    ServiceEntry, ServiceFlags, ServiceId,
};
pub use stats::{Stats, Traffic};
pub use table::{Group, Table};
