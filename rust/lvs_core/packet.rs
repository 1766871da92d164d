// SPDX-License-Identifier: GPL-2.0-only

//! Reading the headers of a packet, from the start of its IP header.
//!
//! Formats: RFC 791 (IPv4), RFC 9293 section 3.1 (TCP), RFC 768 (UDP). No length field of a packet
//! is trusted: each is checked against the others and against the bytes at hand.

use crate::{Address, Endpoint, Family, Protocol};
use core::ops::BitOr;

/// Octets of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Octets of a TCP header without options.
pub(crate) const TCP_HEADER: usize = 20;
/// Octets of a UDP header.
pub(crate) const UDP_HEADER: usize = 8;

/// The control bits of a TCP header (RFC 9293, section 3.1), as they stand in its octet 13.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No control bit at all; also what a UDP packet has.
    pub const EMPTY: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);

    /// The flags of this octet.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The octet that holds the flags.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every flag of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the segment neither opens nor closes a connection: ACK without SYN, FIN and RST.
    #[inline]
    pub const fn is_data(self) -> bool {
        self.0 & (Self::ACK.0 | Self::SYN.0 | Self::FIN.0 | Self::RST.0) == Self::ACK.0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What the headers of a TCP or UDP packet say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The IP version.
    pub family: Family,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Where the packet comes from.
    pub source: Endpoint,
    /// Where the packet goes.
    pub destination: Endpoint,
    /// Octets of the IP header with its options: where the transport header begins.
    pub network_header_len: u16,
    /// Octets of the whole IP packet, from its header on. 0 for a TCP segment that offloading made
    /// larger than the field can say ("BIG TCP"): then only the buffer knows the length.
    pub total_len: u16,
    /// The sender forbids fragmentation (DF).
    pub dont_fragment: bool,
    /// The flags of the TCP header; empty for UDP.
    pub tcp_flags: TcpFlags,
    /// This is the first of several fragments (MF).
    pub more_fragments: bool,
}

/// Why there is no [`Packet`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// The slice ends too early.
    Truncated {
        /// How many octets, counted from the start of the IP header, must be present to go on.
        need: usize,
    },
    /// The headers contradict themselves: no larger slice makes sense of this packet.
    Malformed,
    /// Another transport protocol or another IP version.
    NotOurs,
    /// A fragment other than the first: it carries no ports.
    Fragment,
}

/// The fields of an IPv4 header that the director looks at, checked against one another.
#[derive(Clone, Copy)]
pub(crate) struct Ipv4Header {
    /// Octets of the header with options: 20 to 60.
    pub(crate) len: usize,
    /// The total length field.
    pub(crate) total_len: u16,
    /// Flags (three bits) and fragment offset (13 bits, in units of eight octets).
    pub(crate) fragment: u16,
    /// The protocol number.
    pub(crate) protocol: u8,
    /// The source address.
    pub(crate) source: [u8; 4],
    /// The destination address.
    pub(crate) destination: [u8; 4],
}

impl Ipv4Header {
    /// The DF flag.
    const DONT_FRAGMENT: u16 = 0x4000;
    /// The MF flag.
    const MORE_FRAGMENTS: u16 = 0x2000;
    /// The bits of the fragment offset.
    const OFFSET: u16 = 0x1fff;

    /// Reads the fixed part of an IPv4 header. The options may lie beyond the slice.
    #[inline(always)]
    pub(crate) fn read(ip: &[u8]) -> Result<Self, ParseError> {
        let Some(fixed) = ip.first_chunk::<IPV4_HEADER>() else {
            return Err(match ip.first() {
                Some(first) if first >> 4 != 4 => ParseError::NotOurs,
                _ => ParseError::Truncated { need: IPV4_HEADER },
            });
        };
        #[rustfmt::skip]
        let [first, _, t0, t1, _, _, f0, f1, _, protocol, _, _,
             s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
        if first >> 4 != 4 {
            return Err(ParseError::NotOurs);
        }
        let len = usize::from(first & 0x0f) << 2;
        if len < IPV4_HEADER {
            return Err(ParseError::Malformed);
        }
        Ok(Self {
            len,
            total_len: u16::from_be_bytes([t0, t1]),
            fragment: u16::from_be_bytes([f0, f1]),
            protocol,
            source: [s0, s1, s2, s3],
            destination: [d0, d1, d2, d3],
        })
    }

    /// Whether this is a fragment other than the first.
    #[inline]
    pub(crate) const fn is_later_fragment(&self) -> bool {
        self.fragment & Self::OFFSET != 0
    }

    /// Octets after the IP header, by the total length field.
    ///
    /// The kernel clears that field in a TCP segment that offloading made too large for it, and the
    /// IP layer lets no other packet with 0 there pass: then the length is without a bound.
    #[inline]
    fn payload_len(&self, protocol: Protocol) -> Result<usize, ParseError> {
        if self.total_len == 0 && protocol == Protocol::Tcp {
            return Ok(usize::MAX);
        }
        usize::from(self.total_len)
            .checked_sub(self.len)
            .ok_or(ParseError::Malformed)
    }
}

/// Reads the headers of the packet whose IP header starts the slice.
///
/// The slice may end before the packet does, as the linear part of a socket buffer.
///
/// # Errors
///
/// [`ParseError::Truncated`] says how much of the packet must be at hand to try again; the rest is
/// final. A first fragment too short for the transport header is malformed (RFC 1858).
#[inline(always)]
pub fn parse(ip: &[u8]) -> Result<Packet, ParseError> {
    let header = Ipv4Header::read(ip)?;
    let protocol = Protocol::try_from(header.protocol).map_err(|_| ParseError::NotOurs)?;
    let payload_len = header.payload_len(protocol)?;
    if header.is_later_fragment() {
        return Err(ParseError::Fragment);
    }
    let more_fragments = header.fragment & Ipv4Header::MORE_FRAGMENTS != 0;

    let minimum = match protocol {
        Protocol::Tcp => TCP_HEADER,
        Protocol::Udp => UDP_HEADER,
    };
    if payload_len < minimum {
        return Err(ParseError::Malformed);
    }
    let truncated = ParseError::Truncated {
        need: header.len.saturating_add(minimum),
    };
    let transport = ip.get(header.len..).ok_or(truncated)?;
    let (ports, tcp_flags) = match protocol {
        Protocol::Tcp => {
            let [s0, s1, d0, d1, _, _, _, _, _, _, _, _, offset, flags, ..] =
                *transport.first_chunk::<TCP_HEADER>().ok_or(truncated)?;
            let len = usize::from(offset >> 4) << 2;
            if len < TCP_HEADER || len > payload_len {
                return Err(ParseError::Malformed);
            }
            ([s0, s1, d0, d1], TcpFlags(flags))
        }
        Protocol::Udp => {
            let [s0, s1, d0, d1, l0, l1, ..] =
                *transport.first_chunk::<UDP_HEADER>().ok_or(truncated)?;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            // The field counts the whole datagram, of which the first fragment holds a part.
            if len < UDP_HEADER || (len > payload_len && !more_fragments) {
                return Err(ParseError::Malformed);
            }
            ([s0, s1, d0, d1], TcpFlags::EMPTY)
        }
    };
    let [s0, s1, d0, d1] = ports;
    Ok(Packet {
        family: Family::V4,
        protocol,
        source: Endpoint {
            address: Address::from_v4(header.source),
            port: u16::from_be_bytes([s0, s1]),
        },
        destination: Endpoint {
            address: Address::from_v4(header.destination),
            port: u16::from_be_bytes([d0, d1]),
        },
        // At most 60.
        network_header_len: header.len as u16,
        total_len: header.total_len,
        dont_fragment: header.fragment & Ipv4Header::DONT_FRAGMENT != 0,
        tcp_flags,
        more_fragments,
    })
}

/// Source and destination address in the fixed part of an IPv4 header, in network byte order: the
/// cheapest way to see that a packet is not for the director.
#[inline]
pub const fn addresses_v4(header: &[u8; IPV4_HEADER]) -> ([u8; 4], [u8; 4]) {
    let [_, _, _, _, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    ([s0, s1, s2, s3], [d0, d1, d2, d3])
}
