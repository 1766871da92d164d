// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization daemons.

use std::net::IpAddr;

/// Longest name of a network interface, in bytes.
pub const INTERFACE_NAME_MAX: usize = 15;

/// What a synchronization daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonRole {
    /// Sends connections.
    Master,
    /// Receives connections.
    Backup,
}

impl DaemonRole {
    /// As `--start-daemon` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A synchronization daemon. Zero and `None` leave the choice to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Sender or receiver.
    pub role: DaemonRole,
    /// Network interface of the multicast.
    pub interface: String,
    /// Which group of directors it belongs to.
    pub sync_id: u32,
    /// Longest message.
    pub max_length: u16,
    /// Multicast group.
    pub group: Option<IpAddr>,
    /// UDP port.
    pub port: u16,
    /// Time to live of the multicast.
    pub ttl: u8,
}
