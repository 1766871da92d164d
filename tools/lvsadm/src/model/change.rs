// SPDX-License-Identifier: GPL-2.0-only

//! Changes to a director.

use super::daemon::{Daemon, DaemonRole};
use super::destination::{Destination, DestinationId};
use super::service::{Service, ServiceId};

/// Timeouts in seconds. In a change, 0 leaves a timeout as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp: u32,
    /// TCP after a FIN.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

/// One thing to change in the director.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `-A`.
    AddService(Service),
    /// `-E`.
    EditService(Service),
    /// `-D`.
    DeleteService(ServiceId),
    /// `-C`.
    Clear,
    /// `-Z`, of one service or of all.
    Zero(Option<ServiceId>),
    /// `-a`.
    AddDestination(ServiceId, Destination),
    /// `-e`.
    EditDestination(ServiceId, Destination),
    /// `-d`.
    DeleteDestination(ServiceId, DestinationId),
    /// `--set`.
    SetTimeouts(Timeouts),
    /// `--start-daemon`.
    StartDaemon(Daemon),
    /// `--stop-daemon`.
    StopDaemon(DaemonRole),
}
