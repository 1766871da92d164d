// SPDX-License-Identifier: GPL-2.0-only

//! Why a director drops packets. The kernel module counts by these reasons, and the command shows
//! them: see `Documentation/drops.rst`.

/// Why a packet was dropped. The numbers are attributes of the netlink family `ipvs_rs`; a number
/// never gets a second meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Reason {
    /// No destination is available: there is none, or weights are 0.
    NoDestination = 1,
    /// Destinations would be available, but have reached their upper thresholds.
    Overload = 2,
    /// There is no route to the real server, or for a reply to the client.
    NoRoute = 3,
    /// The connection table is full (`conn_max`).
    TableFull = 4,
    /// There was no memory.
    NoMemory = 5,
    /// The packet is larger than the path's MTU, and must not be fragmented.
    TooLarge = 6,
    /// The time to live (hop limit) was used up.
    HopLimit = 7,
    /// The defense against floods dropped it (`drop_packet`).
    Defense = 8,
    /// The destination of the packet's connection was deleted.
    Deleted = 9,
    /// Two CPUs began the same connection at the same time. The client tries again.
    Race = 10,
    /// An IPsec policy of the host blocks it.
    Policy = 11,
    /// It came by a broadcast or multicast link address, and another server takes it
    /// (`oneip-filter`).
    Filtered = 12,
}

numbered! {
    Reason:
    NoDestination,
    Overload,
    NoRoute,
    TableFull,
    NoMemory,
    TooLarge,
    HopLimit,
    Defense,
    Deleted,
    Race,
    Policy,
    Filtered,
}

impl Reason {
    /// Its name in listings, metrics and trace events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoDestination => "no-destination",
            Self::Overload => "overload",
            Self::NoRoute => "no-route",
            Self::TableFull => "conn-max",
            Self::NoMemory => "no-memory",
            Self::TooLarge => "too-large",
            Self::HopLimit => "hop-limit",
            Self::Defense => "drop-packet",
            Self::Deleted => "deleted-destination",
            Self::Race => "race",
            Self::Policy => "policy",
            Self::Filtered => "filtered",
        }
    }

    /// A description for the kernel log and for people.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoDestination => "no destination is available",
            Self::Overload => "its destinations have reached their upper thresholds",
            Self::NoRoute => "there is no route",
            Self::TableFull => "the connection table is full (net.ipv4.vs.conn_max)",
            Self::NoMemory => "there is no memory",
            Self::TooLarge => "the packet is larger than the path's MTU",
            Self::HopLimit => "the time to live is used up",
            Self::Defense => "net.ipv4.vs.drop_packet is active",
            Self::Deleted => "the connection's destination was deleted",
            Self::Race => "the same connection began twice at the same time",
            Self::Policy => "an IPsec policy blocks it",
            Self::Filtered => "another server takes it (oneip-filter)",
        }
    }

    /// Whether an administrator can mend it, so that the kernel's log says it. Senders cause the
    /// others in normal operation, or the administrator wants them.
    pub const fn is_logged(self) -> bool {
        match self {
            Self::NoDestination
            | Self::Overload
            | Self::NoRoute
            | Self::TableFull
            | Self::NoMemory
            | Self::TooLarge
            | Self::Policy => true,
            Self::HopLimit | Self::Defense | Self::Deleted | Self::Race | Self::Filtered => false,
        }
    }
}
