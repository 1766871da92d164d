// SPDX-License-Identifier: GPL-2.0-only

//! Services, destinations and statistics as the command thinks of them.
//!
//! Belongs here: plain data and what follows from it alone. Never: how it looks on the wire, on the
//! command line or in a listing.

mod destination;
mod service;

pub use destination::*;
pub use service::*;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

/// The scheduler of a service that names none.
pub const DEFAULT_SCHEDULER: &str = "wlc";
/// Persistence timeout in seconds when `-p` has no value.
pub const DEFAULT_PERSISTENCE: u32 = 360;
/// Weight of a destination that names none.
pub const DEFAULT_WEIGHT: u32 = 1;
/// Longest scheduler name that the kernel takes.
pub const SCHEDULER_NAME_MAX: usize = 15;
/// Longest persistence engine name that the kernel takes.
pub const ENGINE_NAME_MAX: usize = 15;
/// Longest network interface name.
pub const INTERFACE_NAME_MAX: usize = 15;

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// The mask of a persistent service that groups no clients.
    #[must_use]
    pub fn host_mask(self) -> Netmask {
        match self {
            Self::Inet => Netmask::Inet(Ipv4Addr::BROADCAST),
            Self::Inet6 => Netmask::Inet6(128),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "IPv4",
            Self::Inet6 => "IPv6",
        })
    }
}

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Anything else a kernel may answer.
    Other(u16),
}

impl Protocol {
    /// As /etc/services and JSON spell it; `None` for a protocol without a name here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Tcp => Some("tcp"),
            Self::Udp => Some("udp"),
            Self::Sctp => Some("sctp"),
            Self::Other(_) => None,
        }
    }
}

impl From<u16> for Protocol {
    fn from(number: u16) -> Self {
        match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            132 => Self::Sctp,
            other => Self::Other(other),
        }
    }
}

impl From<Protocol> for u16 {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
            Protocol::Other(other) => other,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
            Self::Other(_) => "?",
        })
    }
}

/// An address with a port, as people write it.
#[must_use]
pub fn endpoint(address: &IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

/// Counters and rates. Rates are per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Connections per second.
    pub connection_rate: u64,
    /// Packets from clients per second.
    pub packet_rate_in: u64,
    /// Packets to clients per second.
    pub packet_rate_out: u64,
    /// Bytes from clients per second.
    pub byte_rate_in: u64,
    /// Bytes to clients per second.
    pub byte_rate_out: u64,
}

/// What a service or a destination has done. Where that is nothing it takes no room: there may be a
/// hundred thousand of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic(Option<Box<Stats>>);

impl From<Stats> for Traffic {
    fn from(stats: Stats) -> Self {
        Self((stats != Stats::default()).then(|| Box::new(stats)))
    }
}

impl Deref for Traffic {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        const NONE: &Stats = &Stats {
            connections: 0,
            packets_in: 0,
            packets_out: 0,
            bytes_in: 0,
            bytes_out: 0,
            connection_rate: 0,
            packet_rate_in: 0,
            packet_rate_out: 0,
            byte_rate_in: 0,
            byte_rate_out: 0,
        };
        self.0.as_deref().unwrap_or(NONE)
    }
}

/// What the kernel says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version, one octet a part.
    pub version: u32,
    /// Buckets of the connection table.
    pub table_size: u32,
}

impl Info {
    /// The version as people write it.
    #[must_use]
    pub fn version(&self) -> String {
        let [_, major, minor, patch] = self.version.to_be_bytes();
        format!("{major}.{minor}.{patch}")
    }
}

/// The kernel module, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// Its version; absent where it cannot be asked for it.
    pub version: Option<String>,
    /// What it offers beside what all modules do, by names that this command may or may not know.
    pub features: Vec<String>,
}

impl Module {
    /// What this command could use and the module does not offer.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        lvs_core::extension::feature::ALL
            .iter()
            .filter_map(|feature| feature.to_str().ok())
            .filter(|feature| !self.features.iter().any(|offered| offered == feature))
            .collect()
    }
}

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

/// What a synchronisation daemon does.
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

/// A synchronisation daemon. Zero and `None` leave the choice to the kernel.
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
