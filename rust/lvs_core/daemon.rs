// SPDX-License-Identifier: GPL-2.0-only

//! The settings of a synchronization daemon.
//!
//! Source of names and limits: `include/uapi/linux/ip_vs.h`, and the observed behavior of the C
//! director of Linux 7.2.

use crate::{uapi::daemon::IFNAME_MAX, Address, Endpoint, Family};
use core::{ffi::CStr, fmt};

/// The group of the C director, `IP_VS_SYNC_GROUP`.
const GROUP: Address = Address::from_v4([224, 0, 0, 81]);
/// The port of the C director, `IP_VS_SYNC_PORT`.
const PORT: u16 = 8848;
/// Octets of a UDP header.
const UDP_HEADER: u16 = 8;
/// The MTU that a master assumes, and the least that a backup does.
const MTU: u32 = 1500;
/// A backup takes datagrams of at least this many octets.
const LEAST_RECEIVED: u16 = 1024;

/// What a synchronization daemon does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It sends connections.
    Master = 1,
    /// It receives connections.
    Backup = 2,
}

impl Role {
    /// Returns the role with this number of `IP_VS_STATE_*`.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Master),
            2 => Some(Self::Backup),
            _ => None,
        }
    }

    /// Returns the name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// The name of a network interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceName([u8; IFNAME_MAX]);

impl InterfaceName {
    /// Returns the name in `bytes`, or `None` if no interface can have it.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; IFNAME_MAX];
        if bytes.len() >= IFNAME_MAX || bytes.contains(&0) {
            return None;
        }
        name.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(name))
    }

    /// Returns the name as a C string.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_c_str().to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        Ok(())
    }
}

/// The settings of a daemon, as an administrator gives them. 0 and `None` stand for defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The interface that the multicast uses.
    pub interface: InterfaceName,
    /// The number that separates groups of directors. A backup with 0 accepts all.
    pub syncid: u8,
    /// Octets of the longest datagram.
    pub max_len: u16,
    /// The multicast group.
    pub group: Option<Address>,
    /// The UDP port. With several ports, the first one.
    pub port: u16,
    /// The time to live of the multicast.
    pub ttl: u8,
}

/// The complete settings of a daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// What it does.
    pub role: Role,
    /// The interface that the multicast uses.
    pub interface: InterfaceName,
    /// The number that separates groups of directors. A backup with 0 accepts all.
    pub syncid: u8,
    /// Octets of the longest datagram, without its UDP header.
    pub max_len: u16,
    /// The multicast group and the first UDP port.
    pub group: Endpoint,
    /// The time to live of the multicast.
    pub ttl: u8,
}

impl Wanted {
    /// Returns the complete settings. `mtu` is that of the interface, in octets.
    pub fn complete(&self, role: Role, mtu: u32) -> Daemon {
        let group = self.group.unwrap_or(GROUP);
        let headers = UDP_HEADER.saturating_add(match group.family() {
            Family::V4 => 20,
            Family::V6 => 40,
        });
        let (mtu, least) = match role {
            Role::Master => (MTU, 1),
            Role::Backup => (mtu.clamp(MTU, u32::from(u16::MAX)), LEAST_RECEIVED),
        };
        let most = u16::MAX.saturating_sub(headers);
        let max_len = match self.max_len {
            0 => u16::try_from(mtu)
                .unwrap_or(u16::MAX)
                .saturating_sub(headers),
            octets => octets.clamp(least, most),
        };
        let or = |value, default| if value == 0 { default } else { value };
        Daemon {
            role,
            interface: self.interface,
            syncid: self.syncid,
            max_len,
            group: Endpoint::new(group, or(self.port, PORT)),
            ttl: self.ttl.max(1),
        }
    }
}
