// SPDX-License-Identifier: GPL-2.0-only

//! Rewriting packet headers in place: network address translation (RFC 3022; "virtual server via
//! NAT" in the papers) and the hop count. Checksums are updated incrementally (RFC 1624).

use crate::checksum::{self, Difference};
use crate::packet::{Ipv4Header, ParseError, IPV4_HEADER, TCP_HEADER, UDP_HEADER};
use crate::{Endpoint, Protocol};

/// What the checksum field of a TCP or UDP header holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportChecksum {
    /// A checksum over pseudo-header, header and payload.
    Full,
    /// The sum of the pseudo-header alone, not complemented: the device computes the rest
    /// (`CHECKSUM_PARTIAL` in `linux/skbuff.h`). Only a change of address counts.
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

/// Puts another address and port on one side of the packet whose IP header starts the slice, and
/// updates the checksums of the IP header and of TCP or UDP.
///
/// A fragment other than the first gets the address alone. A UDP packet without a checksum stays
/// without. Nothing of the payload is read, so any part of it may lie beyond the slice. A sum that
/// somebody keeps over the whole packet (`CHECKSUM_COMPLETE`) is no longer right afterwards.
///
/// # Errors
///
/// As [`crate::packet::parse`], but never [`ParseError::Fragment`];
/// [`ParseError::NotOurs`] also when `to` is of another family than the packet. The packet is
/// unchanged then.
#[inline(always)]
pub fn rewrite(
    ip: &mut [u8],
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) -> Result<(), ParseError> {
    let header = Ipv4Header::read(ip)?;
    let protocol = Protocol::try_from(header.protocol).map_err(|_| ParseError::NotOurs)?;
    let new_address = to.address.v4().ok_or(ParseError::NotOurs)?;
    let old_address = match side {
        Side::Source => header.source,
        Side::Destination => header.destination,
    };
    let mut addresses = Difference::NONE;
    addresses.replace(&old_address, &new_address);

    if header.is_later_fragment() {
        if ip.len() < header.len {
            return Err(ParseError::Truncated { need: header.len });
        }
    } else {
        let (len, check_at) = match protocol {
            Protocol::Tcp => (TCP_HEADER, 16),
            Protocol::Udp => (UDP_HEADER, 6),
        };
        let truncated = ParseError::Truncated {
            need: header.len.saturating_add(len),
        };
        let (_, transport) = ip.split_at_mut_checked(header.len).ok_or(truncated)?;
        let transport = transport.get_mut(..len).ok_or(truncated)?;
        let port = field(transport, side.of(0, 2)).ok_or(truncated)?;
        let old_port = *port;
        let new_port = to.port.to_be_bytes();
        *port = new_port;

        let check = field(transport, check_at).ok_or(truncated)?;
        let old = u16::from_be_bytes(*check);
        let mut all = addresses;
        all.replace(&old_port, &new_port);
        let new = match (mode, protocol) {
            (TransportChecksum::Partial, _) => addresses.sum(old),
            (TransportChecksum::Full, Protocol::Tcp) => all.checksum(old),
            // The sender left it out (RFC 768).
            (TransportChecksum::Full, Protocol::Udp) if old == 0 => 0,
            (TransportChecksum::Full, Protocol::Udp) => checksum::udp(all.checksum(old)),
        };
        *check = new.to_be_bytes();
    }
    // All there, as it was read above.
    let short = ParseError::Truncated { need: IPV4_HEADER };
    let fixed = ip.first_chunk_mut::<IPV4_HEADER>().ok_or(short)?;
    let check = field(fixed, 10).ok_or(short)?;
    *check = addresses.checksum(u16::from_be_bytes(*check)).to_be_bytes();
    *field(fixed, side.of(12, 16)).ok_or(short)? = new_address;
    Ok(())
}

impl Side {
    /// One of two, by the side.
    #[inline]
    const fn of(self, source: usize, destination: usize) -> usize {
        match self {
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

/// `N` octets of a header.
#[inline]
fn field<const N: usize>(header: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    header.get_mut(at..)?.first_chunk_mut()
}

/// The packet may not be forwarded: its hop count is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TtlExpired;

/// Takes one from the time to live of the IPv4 packet whose header starts the slice, and updates
/// the header checksum (RFC 1812, section 5.3.1).
///
/// # Errors
///
/// [`TtlExpired`], with the packet unchanged, when the time to live would reach 0, and for a slice
/// without a whole fixed IPv4 header.
#[inline(always)]
pub fn decrement_ttl(ip: &mut [u8]) -> Result<(), TtlExpired> {
    let Some([first, _, _, _, _, _, _, _, ttl, protocol, c0, c1, ..]) =
        ip.first_chunk_mut::<IPV4_HEADER>()
    else {
        return Err(TtlExpired);
    };
    if *first >> 4 != 4 || *ttl <= 1 {
        return Err(TtlExpired);
    }
    let old = [*ttl, *protocol];
    *ttl = ttl.wrapping_sub(1);
    let check = u16::from_be_bytes([*c0, *c1]);
    [*c0, *c1] = checksum::update(check, &old, &[*ttl, *protocol]).to_be_bytes();
    Ok(())
}
