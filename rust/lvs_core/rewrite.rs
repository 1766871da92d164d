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
#[inline]
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
        let Transport { ports, check } = Transport::of(ip, header.len, protocol)?;
        let [s0, s1, d0, d1] = ports;
        let [p0, p1] = match side {
            Side::Source => [s0, s1],
            Side::Destination => [d0, d1],
        };
        let old_port = [*p0, *p1];
        let new_port = to.port.to_be_bytes();
        [*p0, *p1] = new_port;

        let [c0, c1] = check;
        let old = u16::from_be_bytes([*c0, *c1]);
        let mut all = addresses;
        all.replace(&old_port, &new_port);
        let new = match (mode, protocol) {
            (TransportChecksum::Partial, _) => addresses.sum(old),
            (TransportChecksum::Full, Protocol::Tcp) => all.checksum(old),
            // The sender left it out (RFC 768).
            (TransportChecksum::Full, Protocol::Udp) if old == 0 => 0,
            (TransportChecksum::Full, Protocol::Udp) => checksum::udp(all.checksum(old)),
        };
        [*c0, *c1] = new.to_be_bytes();
    }
    rewrite_network(ip, side, new_address, addresses)
}

/// The fields of a transport header that translation changes.
struct Transport<'a> {
    /// Source port, destination port.
    ports: [&'a mut u8; 4],
    /// The checksum field.
    check: [&'a mut u8; 2],
}

impl<'a> Transport<'a> {
    /// The fields of the header that starts at this offset, if all of it is at hand.
    #[inline]
    fn of(ip: &'a mut [u8], offset: usize, protocol: Protocol) -> Result<Self, ParseError> {
        match protocol {
            Protocol::Tcp => {
                let [s0, s1, d0, d1, .., c0, c1, _, _] = fixed::<TCP_HEADER>(ip, offset)?;
                Ok(Self {
                    ports: [s0, s1, d0, d1],
                    check: [c0, c1],
                })
            }
            Protocol::Udp => {
                let [s0, s1, d0, d1, _, _, c0, c1] = fixed::<UDP_HEADER>(ip, offset)?;
                Ok(Self {
                    ports: [s0, s1, d0, d1],
                    check: [c0, c1],
                })
            }
        }
    }
}

/// `N` octets of the packet from this offset on.
#[inline]
fn fixed<const N: usize>(ip: &mut [u8], offset: usize) -> Result<&mut [u8; N], ParseError> {
    ip.get_mut(offset..)
        .and_then(<[u8]>::first_chunk_mut)
        .ok_or(ParseError::Truncated {
            need: offset.saturating_add(N),
        })
}

/// Puts the address into the IP header and updates its checksum.
#[inline]
fn rewrite_network(
    ip: &mut [u8],
    side: Side,
    address: [u8; 4],
    difference: Difference,
) -> Result<(), ParseError> {
    let Some([_, _, _, _, _, _, _, _, _, _, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3]) =
        ip.first_chunk_mut::<IPV4_HEADER>()
    else {
        return Err(ParseError::Truncated { need: IPV4_HEADER });
    };
    let check = difference.checksum(u16::from_be_bytes([*c0, *c1]));
    [*c0, *c1] = check.to_be_bytes();
    match side {
        Side::Source => [*s0, *s1, *s2, *s3] = address,
        Side::Destination => [*d0, *d1, *d2, *d3] = address,
    }
    Ok(())
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
#[inline]
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
