// SPDX-License-Identifier: GPL-2.0-only

//! Destinations: the real servers of a service.

use std::fmt;
use std::net::IpAddr;

use lvs_core::uapi::destination::{FWD_MASK, F_NO_OUTPUT};

use super::address::endpoint;
use super::drops::Drops;
use super::stats::Traffic;

/// Weight of a destination when none is given.
pub const DEFAULT_WEIGHT: u32 = 1;

/// How packets reach a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// Network address translation (`-m`).
    Masquerade,
    /// The same for requests only: the server answers the client directly (`-m --direct-reply`).
    DirectReply,
    /// The director itself.
    Local,
    /// Encapsulation (`-i`).
    Tunnel,
    /// Direct routing (`-g`).
    Route,
    /// Anything else a kernel may answer.
    Other(u32),
}

impl From<u32> for Forwarding {
    fn from(flags: u32) -> Self {
        match flags & FWD_MASK {
            0 if flags & F_NO_OUTPUT != 0 => Self::DirectReply,
            0 => Self::Masquerade,
            1 => Self::Local,
            2 => Self::Tunnel,
            3 => Self::Route,
            other => Self::Other(other),
        }
    }
}

impl From<Forwarding> for u32 {
    fn from(forwarding: Forwarding) -> Self {
        match forwarding {
            Forwarding::Masquerade => 0,
            Forwarding::DirectReply => F_NO_OUTPUT,
            Forwarding::Local => 1,
            Forwarding::Tunnel => 2,
            Forwarding::Route => 3,
            Forwarding::Other(other) => other,
        }
    }
}

impl Forwarding {
    /// Whether requests are rewritten, so that the server's port may differ from the service's.
    #[must_use]
    pub fn rewrites(self) -> bool {
        matches!(self, Self::Masquerade | Self::DirectReply)
    }
}

/// The encapsulation of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelKind {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation.
    Gre,
    /// Anything else a kernel may answer.
    Other(u8),
}

impl TunnelKind {
    /// As `--tun-type` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
            Self::Other(_) => "?",
        }
    }
}

impl From<u8> for TunnelKind {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Ipip,
            1 => Self::Gue,
            2 => Self::Gre,
            other => Self::Other(other),
        }
    }
}

impl From<TunnelKind> for u8 {
    fn from(kind: TunnelKind) -> Self {
        match kind {
            TunnelKind::Ipip => 0,
            TunnelKind::Gue => 1,
            TunnelKind::Gre => 2,
            TunnelKind::Other(other) => other,
        }
    }
}

/// How the outer header is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelChecksum {
    /// Not at all (`--tun-nocsum`).
    #[default]
    None,
    /// By a checksum (`--tun-csum`).
    Full,
    /// By the inner checksum, offloaded (`--tun-remcsum`).
    Remote,
    /// Anything else a kernel may answer.
    Other(u16),
}

impl From<u16> for TunnelChecksum {
    fn from(flags: u16) -> Self {
        match flags {
            0 => Self::None,
            1 => Self::Full,
            2 => Self::Remote,
            other => Self::Other(other),
        }
    }
}

impl From<TunnelChecksum> for u16 {
    fn from(checksum: TunnelChecksum) -> Self {
        match checksum {
            TunnelChecksum::None => 0,
            TunnelChecksum::Full => 1,
            TunnelChecksum::Remote => 2,
            TunnelChecksum::Other(other) => other,
        }
    }
}

/// The tunnel to a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// Encapsulation.
    pub kind: TunnelKind,
    /// UDP port of GUE.
    pub port: u16,
    /// Checksum of the outer header.
    pub checksum: TunnelChecksum,
}

/// What makes a destination of a service itself and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationId {
    /// Address of the real server.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&endpoint(&self.address, self.port))
    }
}

/// A destination: a real server in its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Which destination.
    pub id: DestinationId,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share; 0 takes no new connections.
    pub weight: u32,
    /// No new connections above this many; 0 is no limit.
    pub upper_threshold: u32,
    /// New connections again below this many.
    pub lower_threshold: u32,
    /// The tunnel, for [`Forwarding::Tunnel`].
    pub tunnel: Tunnel,
}

/// A destination as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationEntry {
    /// The destination.
    pub destination: Destination,
    /// Connections in an active state.
    pub active: u32,
    /// Connections in any other state.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// Its statistics.
    pub stats: Traffic,
    /// Packets that were dropped, if the director counts them.
    pub drops: Drops,
}
