// SPDX-License-Identifier: GPL-2.0-only

//! The identity and the settings of a virtual service.

use crate::{
    engine::EngineName,
    uapi::service::{F_ONE_PACKET, F_PERSISTENT, SCHED_NAME_MAX},
    Address, Endpoint, Family, Protocol,
};
use core::{ffi::CStr, fmt};

/// Identifies a service and the packets that belong to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// Protocol, address and port; port 0 matches packets that no service with a port matches.
    Address {
        /// The protocol.
        protocol: Protocol,
        /// The virtual address and port.
        endpoint: Endpoint,
    },
    /// A firewall mark, for TCP, UDP and SCTP packets.
    Mark {
        /// The mark, not 0.
        mark: u32,
        /// The family of the marked packets.
        family: Family,
    },
}

impl Key {
    /// Returns the address family of the clients.
    #[inline]
    pub fn family(&self) -> Family {
        match self {
            Self::Address { endpoint, .. } => endpoint.address.family(),
            Self::Mark { family, .. } => *family,
        }
    }

    /// Returns the protocol, address and port. For a firewall mark there is no protocol, and the
    /// address is the mark in network byte order.
    #[inline]
    pub const fn identity(&self) -> (Option<Protocol>, Endpoint) {
        match self {
            Self::Address { protocol, endpoint } => (Some(*protocol), *endpoint),
            Self::Mark { mark, .. } => {
                (None, Endpoint::new(Address::from_v4(mark.to_be_bytes()), 0))
            }
        }
    }

    /// Returns the firewall mark; 0 for an address and port.
    #[inline]
    pub const fn mark(&self) -> u32 {
        match self {
            Self::Address { .. } => 0,
            Self::Mark { mark, .. } => *mark,
        }
    }

    /// Returns the virtual address; `None` for a firewall mark.
    #[inline]
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Address { endpoint, .. } => Some(endpoint.address),
            Self::Mark { .. } => None,
        }
    }
}

/// The form in logs: `TCP 192.0.2.1:80` or `firewall mark 7`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, endpoint } => write!(f, "{} {endpoint}", protocol.name()),
            Self::Mark { mark, .. } => write!(f, "firewall mark {mark}"),
        }
    }
}

/// The settings of a service, except its scheduler.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// `IP_VS_SVC_F_*`.
    pub flags: u32,
    /// Persistence timeout in seconds.
    pub timeout: u32,
    /// Persistence granularity: a netmask in network byte order for IPv4, a prefix length for
    /// IPv6.
    pub netmask: u32,
    /// The persistence engine.
    pub engine: Option<EngineName>,
}

impl Settings {
    /// Returns the seconds for which a client's template stays without a new connection. The C
    /// director checks a template with a timeout of 0 after a minute, so 0 means one minute.
    pub fn template_timeout(&self) -> u32 {
        match self.timeout {
            0 => 60,
            seconds => seconds,
        }
    }

    /// Returns true if a service without connection entries may have these settings.
    pub fn allow_stateless(&self) -> bool {
        self.flags & (F_PERSISTENT | F_ONE_PACKET) == 0
    }
}

/// The name of a scheduler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchedulerName([u8; SCHED_NAME_MAX]);

impl SchedulerName {
    /// Returns the name in `bytes`, or `None` if no scheduler can have it. A name has 1 to 15
    /// letters, digits, `_` and `-`, so it can be part of the name of a module.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; SCHED_NAME_MAX];
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if bytes.is_empty() || bytes.len() >= SCHED_NAME_MAX || !bytes.iter().all(plain) {
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
