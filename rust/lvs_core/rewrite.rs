// SPDX-License-Identifier: GPL-2.0-only

//! Rewriting packet headers in place: network address translation (RFC 3022; "virtual server via
//! NAT" in the papers) and the hop count. Checksums are updated incrementally (RFC 1624).

use crate::checksum::{self, Difference};
use crate::packet::{sctp, Headers, ParseError, IPV4_HEADER, IPV6_HEADER, TCP_HEADER, UDP_HEADER};
use crate::{crc32c, Address, Endpoint, Family, Protocol};

/// The content of a transport header's checksum field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportChecksum {
    /// A checksum over pseudo-header, header and payload.
    Full,
    /// The uncomplemented sum of only the pseudo-header: the device adds the rest
    /// (`CHECKSUM_PARTIAL` in `linux/skbuff.h`). Only a changed address affects it.
    Partial,
}

/// Which end of a packet to rewrite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The source address and port.
    Source,
    /// The destination address and port.
    Destination,
}

/// Replaces the address and port on one side of the packet that starts the slice, and updates the
/// checksums of IPv4 and of TCP, UDP or SCTP. [`crate::packet::parse`] must have read its headers.
///
/// A UDP packet without a checksum keeps none; over IPv6 such a packet is a tunnel's (RFC 6935).
/// The payload is never read, so it may be beyond the slice. A sum over the whole packet
/// (`CHECKSUM_COMPLETE`) is no longer correct afterwards.
///
/// # Errors
///
/// [`ParseError::Truncated`] if the headers are not in the slice, [`ParseError::NotOurs`] if `to`
/// is of another family than the packet. The packet is then unchanged.
#[inline(always)]
pub fn rewrite(
    ip: &mut [u8],
    packet: &Headers,
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) -> Result<(), ParseError> {
    change::<false>(ip, packet, side, to, mode)
}

/// The same for a packet that is forwarded: does at once what [`rewrite`] and [`decrement_ttl`] do.
///
/// # Errors
///
/// As [`rewrite`]; [`ParseError::Malformed`] if the TTL (hop limit) would reach 0.
#[inline(always)]
pub fn forward(
    ip: &mut [u8],
    packet: &Headers,
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) -> Result<(), ParseError> {
    change::<true>(ip, packet, side, to, mode)
}

/// [`forward`], or with `AGE` false [`rewrite`].
#[inline(always)]
fn change<const AGE: bool>(
    ip: &mut [u8],
    packet: &Headers,
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) -> Result<(), ParseError> {
    // Use the lengths that were checked; do not read them again from the header.
    let at = usize::from(packet.network_header_len);
    let (len, check_at) = match packet.protocol {
        Protocol::Tcp => (TCP_HEADER, 16),
        Protocol::Udp => (UDP_HEADER, 6),
        // Without a reference to the headers, which may stay in registers then.
        Protocol::Sctp => return change_sctp::<AGE>(ip, packet.family, at, side, to, mode),
    };
    let truncated = ParseError::Truncated {
        need: at.saturating_add(len),
    };
    let (network, transport) = ip.split_at_mut_checked(at).ok_or(truncated)?;
    let transport = transport.get_mut(..len).ok_or(truncated)?;
    let addresses = change_address::<AGE>(network, packet.family, side, to.address)?;

    let port = field(transport, side.of(0, 2)).ok_or(truncated)?;
    let mut all = addresses;
    all.put(port, to.port.to_be_bytes());
    let check = field(transport, check_at).ok_or(truncated)?;
    let old = u16::from_be_bytes(*check);
    let new = match (mode, packet.protocol) {
        (TransportChecksum::Partial, _) => addresses.sum(old),
        (TransportChecksum::Full, Protocol::Tcp) => all.checksum(old),
        // The sender sent no checksum (RFC 768).
        (TransportChecksum::Full, Protocol::Udp) if old == 0 => 0,
        (TransportChecksum::Full, Protocol::Udp) => checksum::udp(all.checksum(old)),
        // It was handled above.
        (TransportChecksum::Full, Protocol::Sctp) => old,
    };
    *check = new.to_be_bytes();
    Ok(())
}

/// The same for SCTP, whose checksum does not cover addresses.
#[cold]
#[inline(never)]
fn change_sctp<const AGE: bool>(
    ip: &mut [u8],
    family: Family,
    at: usize,
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) -> Result<(), ParseError> {
    let truncated = ParseError::Truncated {
        need: at.saturating_add(sctp::HEADER),
    };
    let (len, before) = match family {
        Family::V4 => (*field::<2>(ip, 2).ok_or(truncated)?, at),
        // The field does not count the fixed header.
        Family::V6 => {
            let len = *field::<2>(ip, 4).ok_or(truncated)?;
            (len, at.saturating_sub(IPV6_HEADER))
        }
    };
    // An offset in the headers has 16 bits.
    let len = u16::from_be_bytes(len).saturating_sub(before as u16);
    let (network, transport) = ip.split_at_mut_checked(at).ok_or(truncated)?;
    let header = transport
        .first_chunk_mut::<{ sctp::HEADER }>()
        .ok_or(truncated)?;
    change_address::<AGE>(network, family, side, to.address)?;
    let old = *field::<4>(header, 0).ok_or(truncated)?;
    *field(header, side.of(0, 2)).ok_or(truncated)? = to.port.to_be_bytes();
    let new = *field::<4>(header, 0).ok_or(truncated)?;
    if mode == TransportChecksum::Full && old != new {
        let check = field::<4>(header, 8).ok_or(truncated)?;
        let updated = crc32c::update(u32::from_be_bytes(*check), old, new, len);
        *check = updated.to_be_bytes();
    }
    Ok(())
}

/// Replaces the address on one side of the packet that starts the slice, and updates the checksum
/// of IPv4. What follows the IP header stays as it is.
///
/// # Errors
///
/// As [`rewrite`].
pub fn readdress(
    ip: &mut [u8],
    packet: &Headers,
    side: Side,
    to: Address,
) -> Result<(), ParseError> {
    rewrite_address(ip, packet.family, side, to).map(|_| ())
}

/// Which sequence number of a TCP header to rewrite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// The number of the first octet.
    Sequence,
    /// The number of the next octet that the sender expects.
    Acknowledgment,
}

/// Replaces a number in the TCP header that starts the slice by what `change` makes of it, and
/// updates the checksum. `None` if the slice is shorter than the header; nothing is changed then.
pub fn renumber(
    tcp: &mut [u8],
    which: Number,
    mode: TransportChecksum,
    change: impl FnOnce(u32) -> u32,
) -> Option<()> {
    let tcp = tcp.first_chunk_mut::<TCP_HEADER>()?;
    let at = match which {
        Number::Sequence => 4,
        Number::Acknowledgment => 8,
    };
    let number = field::<4>(tcp, at)?;
    let new = change(u32::from_be_bytes(*number)).to_be_bytes();
    let mut difference = Difference::NONE;
    difference.put(number, new);
    if mode == TransportChecksum::Full {
        let check = field(tcp, 16)?;
        *check = difference
            .checksum(u16::from_be_bytes(*check))
            .to_be_bytes();
    }
    Some(())
}

/// Replaces two octets of TCP options at `at` by no-operations, and updates the checksum. `header`
/// is the TCP header with its options. `None` if it is too short; nothing is changed then.
pub fn blank_option(header: &mut [u8], at: usize, mode: TransportChecksum) -> Option<()> {
    let begin = at.checked_add(TCP_HEADER)?;
    let end = begin.checked_add(2)?;
    let (fixed, _) = header.split_first_chunk::<TCP_HEADER>()?;
    let mut check = u16::from_be_bytes([*fixed.get(16)?, *fixed.get(17)?]);
    let option = header.get_mut(begin..end)?;
    if mode == TransportChecksum::Full {
        // A sum counts octets at even positions as the high ones.
        let (old, new) = match (begin % 2, &*option) {
            (0, [a, b]) => ([*a, *b, 0, 0], [1, 1, 0, 0]),
            (_, [a, b]) => ([0, *a, *b, 0], [0, 1, 1, 0]),
            _ => return None,
        };
        check = checksum::update(check, &old, &new);
    }
    option.fill(1);
    *field(header, 16)? = check.to_be_bytes();
    Some(())
}

/// Replaces the address on one side of the IP header that starts the slice, updates the header's
/// checksum if it has one, and returns the change for a sum over the addresses. On error the header
/// is unchanged.
#[inline(always)]
pub(crate) fn rewrite_address(
    ip: &mut [u8],
    family: Family,
    side: Side,
    to: Address,
) -> Result<Difference, ParseError> {
    change_address::<false>(ip, family, side, to)
}

/// The same; with `AGE`, also decrements the TTL or the hop limit.
#[inline(always)]
fn change_address<const AGE: bool>(
    ip: &mut [u8],
    family: Family,
    side: Side,
    to: Address,
) -> Result<Difference, ParseError> {
    let mut difference = Difference::NONE;
    match family {
        Family::V4 => {
            let short = ParseError::Truncated { need: IPV4_HEADER };
            let new = to.v4().ok_or(ParseError::NotOurs)?;
            let fixed = ip.first_chunk_mut::<IPV4_HEADER>().ok_or(short)?;
            let mut header = Difference::NONE;
            if AGE {
                let [ttl] = field::<1>(fixed, 8).ok_or(short)?;
                let lower = ttl.checked_sub(1).filter(|&ttl| ttl != 0);
                *ttl = lower.ok_or(ParseError::Malformed)?;
                header.decrement_high();
            }
            difference.put(field(fixed, side.of(12, 16)).ok_or(short)?, new);
            header.add(difference);
            let check = field(fixed, 10).ok_or(short)?;
            *check = header.checksum(u16::from_be_bytes(*check)).to_be_bytes();
        }
        Family::V6 => {
            let short = ParseError::Truncated { need: IPV6_HEADER };
            let new = to.v6().ok_or(ParseError::NotOurs)?;
            let fixed = ip.first_chunk_mut::<IPV6_HEADER>().ok_or(short)?;
            if AGE {
                let [limit] = field::<1>(fixed, 7).ok_or(short)?;
                let lower = limit.checked_sub(1).filter(|&limit| limit != 0);
                *limit = lower.ok_or(ParseError::Malformed)?;
            }
            difference.put(field(fixed, side.of(8, 24)).ok_or(short)?, new);
        }
    }
    Ok(difference)
}

impl Side {
    /// Returns one of two values, by the side.
    #[inline]
    pub(crate) const fn of(self, source: usize, destination: usize) -> usize {
        match self {
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

/// Returns `N` octets of a header.
#[inline]
pub(crate) fn field<const N: usize>(header: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    header.get_mut(at..)?.first_chunk_mut()
}

/// The packet must not be forwarded: its hop count is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TtlExpired;

/// Decrements the TTL of the IPv4 packet that starts the slice and updates the header checksum (RFC
/// 1812, section 5.3.1), or decrements the hop limit of the IPv6 packet (RFC 8200, section 3).
///
/// # Errors
///
/// [`TtlExpired`] if the TTL would reach 0, or if the slice has no whole fixed header of this
/// family. The packet is then unchanged.
#[inline(always)]
pub fn decrement_ttl(family: Family, ip: &mut [u8]) -> Result<(), TtlExpired> {
    match family {
        Family::V4 => {
            let Some([first, _, _, _, _, _, _, _, ttl, _, c0, c1, ..]) =
                ip.first_chunk_mut::<IPV4_HEADER>()
            else {
                return Err(TtlExpired);
            };
            if *first >> 4 != 4 || *ttl <= 1 {
                return Err(TtlExpired);
            }
            *ttl = ttl.wrapping_sub(1);
            let mut difference = Difference::NONE;
            difference.decrement_high();
            let check = difference.checksum(u16::from_be_bytes([*c0, *c1]));
            [*c0, *c1] = check.to_be_bytes();
        }
        Family::V6 => {
            let Some([first, _, _, _, _, _, _, limit, ..]) = ip.first_chunk_mut::<IPV6_HEADER>()
            else {
                return Err(TtlExpired);
            };
            if *first >> 4 != 6 || *limit <= 1 {
                return Err(TtlExpired);
            }
            *limit = limit.wrapping_sub(1);
        }
    }
    Ok(())
}
