// SPDX-License-Identifier: GPL-2.0-only

//! Virtual services.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use lvs_core::uapi::service;

use super::address::{endpoint, Family, Protocol};
use super::drops::Drops;
use super::stats::Traffic;

/// Scheduler of a service when none is given.
pub const DEFAULT_SCHEDULER: &str = "wlc";
/// Persistence timeout in seconds when `-p` has no value.
pub const DEFAULT_PERSISTENCE: u32 = 360;
/// Longest name of a scheduler that the kernel accepts, in bytes.
pub const SCHEDULER_NAME_MAX: usize = 15;
/// Longest name of a persistence engine that the kernel accepts, in bytes.
pub const ENGINE_NAME_MAX: usize = 15;

/// What makes a virtual service itself and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServiceId {
    /// By protocol, virtual address and port.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port; 0 stands for every port.
        port: u16,
    },
    /// By firewall mark.
    Mark {
        /// The mark, never 0.
        mark: u32,
        /// Family of the packets that the mark is looked at on.
        family: Family,
    },
}

impl ServiceId {
    /// Family of the service's clients.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(address),
            Self::Mark { family, .. } => *family,
        }
    }

    /// The port a destination takes over when it names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Address { port, .. } => *port,
            Self::Mark { .. } => 0,
        }
    }

    /// The protocol, where the service has one.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Address { protocol, .. } => Some(*protocol),
            Self::Mark { .. } => None,
        }
    }

    /// Is this a firewall-mark service?
    #[must_use]
    pub fn is_mark(&self) -> bool {
        matches!(self, Self::Mark { .. })
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address {
                protocol,
                address,
                port,
            } => write!(f, "{protocol} {}", endpoint(address, *port)),
            Self::Mark { mark, family } => write!(f, "firewall mark {mark} ({family})"),
        }
    }
}

/// How many clients one persistence template stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netmask {
    /// A mask over the client's IPv4 address.
    Inet(Ipv4Addr),
    /// A prefix length over the client's IPv6 address.
    Inet6(u32),
}

impl Netmask {
    /// The mask that keeps all clients of `family` apart.
    #[must_use]
    pub fn host(family: Family) -> Self {
        match family {
            Family::Inet => Self::Inet(Ipv4Addr::BROADCAST),
            Family::Inet6 => Self::Inet6(128),
        }
    }

    /// The mask as the wire has it: four octets as they stand.
    #[must_use]
    pub fn to_octets(self) -> [u8; 4] {
        match self {
            Self::Inet(mask) => mask.octets(),
            Self::Inet6(prefix) => prefix.to_ne_bytes(),
        }
    }

    /// The mask of a service of `family` from the wire.
    #[must_use]
    pub fn from_octets(family: Family, octets: [u8; 4]) -> Self {
        match family {
            Family::Inet => Self::Inet(Ipv4Addr::from(octets)),
            Family::Inet6 => Self::Inet6(u32::from_ne_bytes(octets)),
        }
    }

    /// Does every client stand for itself?
    #[must_use]
    pub fn is_host(self) -> bool {
        match self {
            Self::Inet(mask) => mask == Ipv4Addr::BROADCAST,
            Self::Inet6(prefix) => prefix == 128,
        }
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(mask) => mask.fmt(f),
            Self::Inet6(prefix) => prefix.fmt(f),
        }
    }
}

/// Flags of a service (`IP_VS_SVC_F_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceFlags(pub u32);

impl ServiceFlags {
    /// Connections of one client go to one destination.
    pub const PERSISTENT: Self = Self(service::F_PERSISTENT);
    /// Set by the kernel while the service is in its table.
    pub const HASHED: Self = Self(service::F_HASHED);
    /// Every packet is scheduled by itself.
    pub const ONE_PACKET: Self = Self(service::F_ONE_PACKET);
    /// A client whose server does not answer gets another server.
    pub const REDISPATCH: Self = Self(service::F_REDISPATCH);
    /// First flag that means what the scheduler says.
    pub const SCHEDULER_1: Self = Self(service::F_SCHED1);
    /// Second flag that means what the scheduler says.
    pub const SCHEDULER_2: Self = Self(service::F_SCHED2);
    /// Third flag that means what the scheduler says.
    pub const SCHEDULER_3: Self = Self(service::F_SCHED3);

    /// Are all flags of `other` set?
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The seed of hashes of clients.
    #[must_use]
    pub fn hash_seed(self) -> u8 {
        u8::try_from(self.0 >> service::HASH_SEED_SHIFT).unwrap_or(0)
    }

    /// These flags with another seed of hashes of clients.
    #[must_use]
    pub fn with_hash_seed(self, seed: u8) -> Self {
        Self((self.0 & !service::F_HASH_SEED) | (u32::from(seed) << service::HASH_SEED_SHIFT))
    }

    /// The scheduler's flags by name, in the order of their bits: all of them, so that `-b` makes
    /// the same flags again.
    #[must_use]
    pub fn scheduler_names(self, scheduler: &str) -> Vec<&'static str> {
        let own: &[(&'static str, Self)] = match scheduler {
            "sh" => &[
                ("sh-fallback", Self::SCHEDULER_1),
                ("sh-port", Self::SCHEDULER_2),
            ],
            "mh" => &[
                ("mh-fallback", Self::SCHEDULER_1),
                ("mh-port", Self::SCHEDULER_2),
            ],
            // The names of other schedulers' flags are unknown to ipvsadm, which reads the rules.
            _ => &[("flag-1", Self::SCHEDULER_1), ("flag-2", Self::SCHEDULER_2)],
        };
        own.iter()
            .chain(&[("flag-3", Self::SCHEDULER_3)])
            .filter(|(_, flag)| self.contains(*flag))
            .map(|(name, _)| *name)
            .collect()
    }

    /// The flags that the text listing shows: as ipvsadm, it shows no third flag of `sh` and `mh`.
    #[must_use]
    pub fn listed_scheduler_names(self, scheduler: &str) -> Vec<&'static str> {
        let mut names = self.scheduler_names(scheduler);
        if ["sh", "mh"].contains(&scheduler) {
            names.retain(|name| *name != "flag-3");
        }
        names
    }
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Which service.
    pub id: ServiceId,
    /// Scheduler by name.
    pub scheduler: String,
    /// Flags.
    pub flags: ServiceFlags,
    /// Persistence timeout in seconds; 0 without persistence.
    pub timeout: u32,
    /// Persistence granularity.
    pub netmask: Netmask,
    /// Persistence engine by name.
    pub engine: Option<String>,
}

/// A service as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEntry {
    /// The service.
    pub service: Service,
    /// Its statistics.
    pub stats: Traffic,
    /// Packets that were dropped, if the director counts them.
    pub drops: Drops,
}
