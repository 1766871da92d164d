// SPDX-License-Identifier: GPL-2.0-only

//! Services, destinations and statistics as the command represents them.
//!
//! Belongs here: plain data, and what follows from it alone. Never: the wire format, the command
//! line, the layout of listings.

mod address;
mod change;
mod daemon;
mod destination;
mod drops;
mod event;
mod module;
pub mod scheduler;
mod service;
mod stats;
mod synchronization;
mod table;

pub use address::{endpoint, Family, Protocol};
pub use change::{Change, Timeouts};
pub use daemon::{Daemon, DaemonRole, INTERFACE_NAME_MAX};
pub use destination::{
    Destination, DestinationEntry, DestinationId, Forwarding, Tunnel, TunnelChecksum, TunnelKind,
    DEFAULT_WEIGHT,
};
pub use drops::Drops;
pub use event::{Event, Executed};
pub use module::{Info, Module};
pub use service::{
    Netmask, Service, ServiceEntry, ServiceFlags, ServiceId, DEFAULT_PERSISTENCE,
    DEFAULT_SCHEDULER, ENGINE_NAME_MAX, SCHEDULER_NAME_MAX,
};
pub use stats::{Stats, Traffic};
pub use synchronization::{Joined, State as SyncState, Synchronization};
pub use table::{Group, Table};
