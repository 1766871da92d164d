// SPDX-License-Identifier: GPL-2.0-only

//! The datagrams by which directors synchronize their connections, in the format of the C director
//! (protocol versions 0 and 1, `net/netfilter/ipvs/ip_vs_sync.c` of Linux 7.2).
//!
//! A datagram is a header and up to 255 records. Numbers are in network order unless a comment says
//! otherwise. Version 1:
//!
//! ====== ====== =====================================================
//! offset octets header
//! ====== ====== =====================================================
//! 0      1      0; version 0 has its number of records here
//! 1      1      syncid
//! 2      2      octets of the datagram
//! 4      1      number of records
//! 5      1      version
//! 6      2      0
//! ====== ====== =====================================================
//!
//! ====== ======== ===================================================
//! offset octets   record, at a multiple of 4
//! ====== ======== ===================================================
//! 0      1        1 for IPv6, 0 for IPv4
//! 1      1        IP protocol, 0 for a template of a firewall mark
//! 2      2        version 0 in 4 bits, octets with options in 12 bits
//! 4      4        flags
//! 8      2        state
//! 10     2 x 3    ports of client, service, server
//! 16     4        firewall mark
//! 20     4        timeout of the state in seconds
//! 24     4 or 16  addresses of client, service, server, 3 in all
//! then            options: kind (1), octets (1), data
//! ====== ======== ===================================================
//!
//! Everything that arrives is hostile. A record is refused unless it could belong to a connection:
//! the C director checks neither addresses nor ports.
//!
//! Two additions are invisible to the C director. A datagram without records carries messages
//! between directors ([`message`]): the C director reads none. The last option of a datagram is a
//! stamp ([`stamp`]): the C director skips it.
//!
//! Belongs here: formats, and what follows from a datagram. Never: sockets, clocks, connections.

mod entry;
mod event;
pub mod inbox;
pub mod join;
pub mod message;
mod read;
pub mod stamp;
pub mod window;
mod write;

pub use entry::Entry;
pub use event::Event;
pub use read::Datagram;
pub use write::{Unfit, Writer};

use crate::{destination::Forwarding, Endpoint, Protocol};

/// Octets of the header of version 1.
const HEADER: usize = 8;
/// Octets of the header of version 0.
const HEADER_V0: usize = 4;
/// Octets of a record of version 0 without sequence numbers.
const RECORD_V0: usize = 24;
/// Octets of sequence numbers, an option in version 1.
const SEQUENCES: usize = 24;
/// The octets before the addresses of a record of version 1.
const FIXED: usize = 24;
/// The octets of the largest record with its options, a limit of the 12-bit length.
const LARGEST: usize = 0xfff;
/// The record is of IPv6.
const KIND_V6: u8 = 1;
/// Option: sequence numbers.
const OPTION_SEQUENCES: u8 = 1;
/// Option: data of a persistence engine.
const OPTION_ENGINE_DATA: u8 = 2;
/// Option: name of a persistence engine.
const OPTION_ENGINE_NAME: u8 = 3;
/// A receiver that does not know an option with this bit ignores the option. Without this bit it
/// drops the record.
const OPTION_MAY_BE_IGNORED: u8 = 0x40;
/// Octets of the longest name of a persistence engine.
const ENGINE_NAME_MAX: usize = 16;

/// The version of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Version 0: IPv4 only, without timeouts, marks and options.
    V0,
    /// Version 1.
    V1,
}

impl Version {
    /// Returns the octets of the header.
    const fn header(self) -> usize {
        match self {
            Self::V0 => HEADER_V0,
            Self::V1 => HEADER,
        }
    }
}

/// The flags of a record (`IP_VS_CONN_F_*`), less those that no receiver uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u32);

impl Flags {
    /// The forwarding method.
    const FORWARDING: u32 = 0x7;
    /// Replies bypass the director.
    pub const NO_OUTPUT: Self = Self(0x80);
    /// The connection counts as inactive.
    pub const INACTIVE: Self = Self(0x100);
    /// Sequence numbers of replies are translated.
    pub const OUT_SEQUENCES: Self = Self(0x200);
    /// Sequence numbers of requests are translated.
    pub const IN_SEQUENCES: Self = Self(0x400);
    /// The client's port is not known yet.
    pub const NO_CLIENT_PORT: Self = Self(0x800);
    /// The record is a persistence template.
    pub const TEMPLATE: Self = Self(0x1000);
    /// The connection lives for one packet. It is never synchronized.
    const ONE_PACKET: Self = Self(0x2000);
    /// The flags that a receiver uses (`IP_VS_CONN_F_BACKUP_MASK`, with `TEMPLATE`).
    const KNOWN: u32 = Self::FORWARDING | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x1000;

    /// Returns the flags for a forwarding method.
    pub const fn new(forwarding: Forwarding) -> Self {
        Self(forwarding.number())
    }

    /// Returns the flags as they are sent.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns these flags and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the forwarding method, or `None` for one that the director does not have.
    pub fn forwarding(self) -> Option<Forwarding> {
        match self.0 & Self::FORWARDING {
            0 => Forwarding::from_number(self.0 & Self::NO_OUTPUT.0),
            method => Forwarding::from_number(method),
        }
    }

    /// Returns true if the record must have sequence numbers.
    const fn has_sequences(self) -> bool {
        self.0 & (Self::OUT_SEQUENCES.0 | Self::IN_SEQUENCES.0) != 0
    }
}

/// How the sequence numbers of one direction are translated (`struct ip_vs_seq`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sequence {
    /// The sequence number from which on `delta` counts.
    pub initial: u32,
    /// The number that is added.
    pub delta: u32,
    /// The number that is added before `initial`.
    pub previous_delta: u32,
}

/// The sequence numbers of both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sequences {
    /// From client to server.
    pub input: Sequence,
    /// From server to client.
    pub output: Sequence,
}

/// A persistence engine, and what it found in the packets of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Engine<'a> {
    /// The name, 1 to 16 octets without a zero octet.
    pub name: &'a [u8],
    /// The data, at most 255 octets.
    pub data: &'a [u8],
}

/// One connection or template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The flags.
    pub flags: Flags,
    /// The protocol; `None` for a template of a firewall mark.
    pub protocol: Option<Protocol>,
    /// The state. 0 or 1 in a template, where 1 means that a connection was established.
    pub state: u16,
    /// The firewall mark of the packets.
    pub mark: u32,
    /// The timeout of the state in seconds; 0 in version 0, which has none.
    pub timeout: u32,
    /// The client. Its port is 0 in a template.
    pub client: Endpoint,
    /// The virtual service. For a firewall mark, the first four octets of the address are the mark.
    pub service: Endpoint,
    /// The real server.
    pub server: Endpoint,
    /// Sequence numbers. Present if a flag says so.
    pub sequences: Option<Sequences>,
    /// The persistence engine.
    pub engine: Option<Engine<'a>>,
}

/// The reason why a datagram, or the rest of it, cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The datagram is shorter than its header, or than a record that it announces.
    Truncated,
    /// The length in the header differs from that of the datagram.
    Length,
    /// The version is unknown.
    Version,
    /// A record is of an unknown kind or version.
    Kind,
    /// An option has a wrong length, or occurs twice.
    Option,
}

/// The reason why one record is refused. The next record can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// An unknown option must not be ignored.
    UnknownOption,
    /// The flags contradict each other or the options.
    Flags,
    /// The protocol is not supported.
    Protocol,
    /// The protocol has no such state.
    State,
    /// An address cannot be that of a host, or a port is 0.
    Endpoint,
    /// There are data of a persistence engine without its name.
    Engine,
}

/// The reason why a record is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// This record and the rest of the datagram.
    Rest(Malformed),
    /// Only this record.
    One(Unusable),
}
