// SPDX-License-Identifier: GPL-2.0-only

//! Reading the headers of a packet, from the start of its IP header.
//!
//! Formats: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 section 3.1 (TCP), RFC 768 (UDP). No length
//! field of a packet is trusted: each is checked against the others and against the given bytes.

mod error;
mod flags;
pub mod ipsec;
pub(crate) mod ipv4;
pub(crate) mod ipv6;
pub mod sctp;

pub use error::ParseError;
pub use flags::TcpFlags;
pub use ipv4::{addresses_v4, IPV4_HEADER};
pub use ipv6::{addresses_v6, IPV6_HEADER};

use crate::{Address, Endpoint, Family, Protocol};

/// Octets of a TCP header without options.
pub(crate) const TCP_HEADER: usize = 20;
/// Octets of a UDP header.
pub(crate) const UDP_HEADER: usize = 8;

/// The headers of a TCP, UDP or SCTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers {
    /// The IP version.
    pub family: Family,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Where the packet comes from.
    pub source: Endpoint,
    /// Where the packet goes.
    pub destination: Endpoint,
    /// Octets of the IP header with its options or extension headers: where the transport header
    /// begins.
    pub network_header_len: u16,
    /// The flags of the TCP header; empty for UDP; for SCTP [`sctp::Event::flags`].
    pub tcp_flags: TcpFlags,
    /// This is the first of several fragments.
    pub more_fragments: bool,
}

/// Reads the headers of the packet of this family whose IP header starts the slice.
///
/// The slice may end before the packet does, as the linear part of a socket buffer.
///
/// # Errors
///
/// [`ParseError::Truncated`] has the number of bytes that another attempt needs. The other errors
/// are final. A first fragment too short for the transport header is malformed (RFC 1858,
/// RFC 7112).
#[inline(always)]
pub fn parse(family: Family, ip: &[u8]) -> Result<Headers, ParseError> {
    match family {
        Family::V4 => parse_v4::<true>(ip),
        Family::V6 => parse_v6::<true>(ip),
    }
}

/// The same for TCP and UDP only, so that their packets do not pay for SCTP.
///
/// # Errors
///
/// As [`parse`]; [`ParseError::NotOurs`] for SCTP.
#[inline(always)]
pub fn parse_frequent(family: Family, ip: &[u8]) -> Result<Headers, ParseError> {
    match family {
        Family::V4 => parse_v4::<false>(ip),
        Family::V6 => parse_v6::<false>(ip),
    }
}

/// The protocol in this fixed header of an IP packet, if it is TCP or UDP and no extension header
/// comes before it.
#[inline(always)]
pub fn plain_protocol(family: Family, header: &[u8]) -> Option<Protocol> {
    protocol::<false>(plain_number(family, header)?)
}

/// The number of TCP in an IP header.
pub const TCP: u8 = Protocol::Tcp as u8;
/// The number of UDP in an IP header.
pub const UDP: u8 = Protocol::Udp as u8;

/// Returns the protocol number in this fixed header of an IP packet, for callers with separate code
/// for each protocol. In IPv6 it may be that of an extension header.
#[inline(always)]
pub fn plain_number(family: Family, header: &[u8]) -> Option<u8> {
    let number = match family {
        Family::V4 => header.get(9),
        Family::V6 => header.get(6),
    };
    number.copied()
}

/// The octets of the IP header of this family, without options or extension headers.
#[inline(always)]
pub(crate) const fn fixed_header(family: Family) -> usize {
    match family {
        Family::V4 => IPV4_HEADER,
        Family::V6 => IPV6_HEADER,
    }
}

/// Reads the headers of a whole packet of `len` octets with this [`plain_protocol`] that has no IP
/// options, and whose IP header was found sound ([`crate::receive`]).
///
/// # Errors
///
/// As [`parse_frequent`].
#[inline(always)]
pub fn parse_plain(
    family: Family,
    protocol: Protocol,
    ip: &[u8],
    len: usize,
) -> Result<Headers, ParseError> {
    let at = fixed_header(family);
    let payload_len = len.checked_sub(at).ok_or(ParseError::Malformed)?;
    // First, since a slice that has this header has the other one.
    let transport = Transport::read(ip, at, payload_len, protocol, false)?;
    let (source, destination) = addresses(family, ip).ok_or(ParseError::Truncated { need: at })?;
    // As in ipv6::Header::read.
    if family == Family::V6 && (source.is_v4() || destination.is_v4()) {
        return Err(ParseError::NotOurs);
    }
    Ok(Headers {
        family,
        protocol,
        source: Endpoint::new(source, transport.source),
        destination: Endpoint::new(destination, transport.destination),
        network_header_len: at as u16,
        tcp_flags: transport.flags,
        more_fragments: false,
    })
}

/// Returns the headers that [`parse_plain`] reads, without their checks, and without flags. They
/// are wrong for a packet that it refuses: a hint, which is cheaper.
#[inline(always)]
pub fn guess_plain(family: Family, protocol: Protocol, ip: &[u8]) -> Option<Headers> {
    let at = fixed_header(family);
    let [a, b, c, d] = *ip.get(at..)?.first_chunk()?;
    let (source, destination) = addresses(family, ip)?;
    Some(Headers {
        family,
        protocol,
        source: Endpoint::new(source, u16::from_be_bytes([a, b])),
        destination: Endpoint::new(destination, u16::from_be_bytes([c, d])),
        network_header_len: at as u16,
        tcp_flags: TcpFlags::EMPTY,
        more_fragments: false,
    })
}

/// Source and destination in a fixed IP header of this family.
#[inline(always)]
fn addresses(family: Family, ip: &[u8]) -> Option<(Address, Address)> {
    Some(match family {
        Family::V4 => {
            let (source, destination) = addresses_v4(ip.first_chunk()?);
            (Address::from_v4(source), Address::from_v4(destination))
        }
        Family::V6 => {
            let (source, destination) = addresses_v6(ip.first_chunk()?);
            (Address::from_v6(source), Address::from_v6(destination))
        }
    })
}

/// The protocol with this number, if it is one that is read.
#[inline(always)]
fn protocol<const SCTP: bool>(number: u8) -> Option<Protocol> {
    match Protocol::try_from(number) {
        Ok(Protocol::Tcp) => Some(Protocol::Tcp),
        Ok(Protocol::Udp) => Some(Protocol::Udp),
        Ok(Protocol::Sctp) if SCTP => Some(Protocol::Sctp),
        _ => None,
    }
}

#[inline(always)]
fn parse_v4<const SCTP: bool>(ip: &[u8]) -> Result<Headers, ParseError> {
    let header = ipv4::Header::read(ip)?;
    let protocol = protocol::<SCTP>(header.protocol).ok_or(ParseError::NotOurs)?;
    let payload_len = header.payload_len(protocol)?;
    if header.is_later_fragment() {
        return Err(ParseError::Fragment);
    }
    let more_fragments = header.has_more_fragments();
    let transport = Transport::read(ip, header.len, payload_len, protocol, more_fragments)?;
    Ok(Headers {
        family: Family::V4,
        protocol,
        source: Endpoint::new(Address::from_v4(header.source), transport.source),
        destination: Endpoint::new(Address::from_v4(header.destination), transport.destination),
        // At most 60.
        network_header_len: header.len as u16,
        tcp_flags: transport.flags,
        more_fragments,
    })
}

#[inline(always)]
fn parse_v6<const SCTP: bool>(ip: &[u8]) -> Result<Headers, ParseError> {
    let header = ipv6::Header::read(ip)?;
    let upper = match protocol::<SCTP>(header.next) {
        Some(_) => ipv6::Upper::after_no_extension(header.next),
        None => ipv6::Upper::read(ip, 0, header.next, header.end())?,
    };
    let protocol = match protocol::<SCTP>(upper.protocol) {
        // A later fragment may begin in the middle of the headers' chain.
        None if upper.is_later_fragment && ipv6::is_extension(upper.protocol) => {
            return Err(ParseError::Fragment);
        }
        None => return Err(ParseError::NotOurs),
        Some(_) if upper.is_later_fragment => return Err(ParseError::Fragment),
        Some(protocol) => protocol,
    };
    let payload_len = header.payload_len(upper.at, protocol)?;
    let transport = Transport::read(ip, upper.at, payload_len, protocol, upper.more_fragments)?;
    Ok(Headers {
        family: Family::V6,
        protocol,
        source: Endpoint::new(header.source, transport.source),
        destination: Endpoint::new(header.destination, transport.destination),
        // At most ipv6::MAX_HEADERS.
        network_header_len: upper.at as u16,
        tcp_flags: transport.flags,
        more_fragments: upper.more_fragments,
    })
}

/// The fields of a transport header that the director uses.
struct Transport {
    source: u16,
    destination: u16,
    flags: TcpFlags,
}

impl Transport {
    /// Reads the transport header that begins at `at`, with `payload_len` octets from there to the
    /// end of the packet.
    #[inline(always)]
    fn read(
        ip: &[u8],
        at: usize,
        payload_len: usize,
        protocol: Protocol,
        more_fragments: bool,
    ) -> Result<Self, ParseError> {
        let ([s0, s1, d0, d1], flags) = match protocol {
            Protocol::Tcp => {
                let [s0, s1, d0, d1, _, _, _, _, _, _, _, _, offset, flags, ..] =
                    *Self::fixed::<TCP_HEADER>(ip, at, payload_len)?;
                let len = usize::from(offset >> 4) << 2;
                if len < TCP_HEADER || len > payload_len {
                    return Err(ParseError::Malformed);
                }
                ([s0, s1, d0, d1], TcpFlags::from_bits(flags))
            }
            Protocol::Udp => {
                let [s0, s1, d0, d1, l0, l1, ..] = *Self::fixed::<UDP_HEADER>(ip, at, payload_len)?;
                let len = usize::from(u16::from_be_bytes([l0, l1]));
                // The field counts the whole datagram, of which the first fragment holds a part.
                let whole = match more_fragments {
                    true => UDP_HEADER,
                    false => len,
                };
                if len < UDP_HEADER || whole > payload_len {
                    return Err(ParseError::Malformed);
                }
                ([s0, s1, d0, d1], TcpFlags::EMPTY)
            }
            Protocol::Sctp => return Self::read_sctp(ip, at, payload_len),
        };
        Ok(Self {
            source: u16::from_be_bytes([s0, s1]),
            destination: u16::from_be_bytes([d0, d1]),
            flags,
        })
    }

    /// The fixed part of a transport header, if it is in the slice. The packet may end before it
    /// even so.
    #[inline(always)]
    fn fixed<const N: usize>(
        ip: &[u8],
        at: usize,
        payload_len: usize,
    ) -> Result<&[u8; N], ParseError> {
        let need = at.saturating_add(N);
        let header = ip.get(at..need).and_then(<[u8]>::first_chunk);
        header.ok_or(match payload_len < N {
            true => ParseError::Malformed,
            false => ParseError::Truncated { need },
        })
    }

    /// The same as [`Self::read`] for SCTP: the flags are those of the first chunk's event.
    #[cold]
    #[inline(never)]
    fn read_sctp(ip: &[u8], at: usize, payload_len: usize) -> Result<Self, ParseError> {
        let short = |need: usize| ParseError::Truncated {
            need: at.saturating_add(need),
        };
        if payload_len < sctp::HEADER {
            return Err(ParseError::Malformed);
        }
        let packet = ip.get(at..).ok_or(short(sctp::HEADER))?;
        let [s0, s1, d0, d1, ..] = *packet
            .first_chunk::<{ sctp::HEADER }>()
            .ok_or(short(sctp::HEADER))?;
        Ok(Self {
            source: u16::from_be_bytes([s0, s1]),
            destination: u16::from_be_bytes([d0, d1]),
            flags: sctp::Event::read(packet, payload_len)
                .map_err(short)?
                .flags(),
        })
    }
}

/// Whether the packet of this family whose IP header starts the slice is of its ICMP. False when
/// the slice ends before this is known.
#[inline(always)]
pub fn is_icmp(family: Family, ip: &[u8]) -> bool {
    match family {
        Family::V4 => ip.get(9) == Some(&ipv4::ICMP),
        Family::V6 => match ip.get(6) {
            Some(&next) if ipv6::is_extension(next) => is_icmp_behind_extensions(next, ip),
            next => next == Some(&ipv6::ICMP),
        },
    }
}

// Not inline: packets of bystanders would save registers for it.
#[cold]
#[inline(never)]
fn is_icmp_behind_extensions(next: u8, ip: &[u8]) -> bool {
    ipv6::Header::read(ip)
        .and_then(|header| ipv6::Upper::read(ip, 0, next, header.end()))
        .is_ok_and(|upper| upper.protocol == ipv6::ICMP)
}
