// SPDX-License-Identifier: GPL-2.0-only

//! The IPv4 header: RFC 791.

use super::error::ParseError;
use crate::Protocol;

/// Octets of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;

/// The protocol number of ICMP.
pub(crate) const ICMP: u8 = 1;

/// The fields of an IPv4 header that the director looks at.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// Octets of the header with options: 20 to 60.
    pub(crate) len: usize,
    /// The total length field.
    pub(crate) total_len: u16,
    /// Flags (three bits) and fragment offset (13 bits, in units of eight octets).
    fragment: u16,
    /// The protocol number.
    pub(crate) protocol: u8,
    /// The source address.
    pub(crate) source: [u8; 4],
    /// The destination address.
    pub(crate) destination: [u8; 4],
}

impl Header {
    /// The MF flag.
    const MORE_FRAGMENTS: u16 = 0x2000;
    /// The bits of the fragment offset.
    const OFFSET: u16 = 0x1fff;

    /// Reads the fixed part of the IPv4 header that starts the slice. The options may lie beyond
    /// the slice.
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

    /// Whether fragments follow this one.
    #[inline]
    pub(crate) const fn has_more_fragments(&self) -> bool {
        self.fragment & Self::MORE_FRAGMENTS != 0
    }

    /// Octets after the IP header, by the total length field.
    ///
    /// The kernel clears that field in a TCP segment that offloading made too large for it ("BIG
    /// TCP"), and the IP layer lets no other packet with 0 there pass: then the length is without a
    /// bound.
    #[inline]
    pub(crate) fn payload_len(&self, protocol: Protocol) -> Result<usize, ParseError> {
        if self.total_len == 0 && protocol == Protocol::Tcp {
            return Ok(usize::MAX);
        }
        usize::from(self.total_len)
            .checked_sub(self.len)
            .ok_or(ParseError::Malformed)
    }
}

/// Source and destination address in the fixed part of an IPv4 header, in network byte order: the
/// cheapest way to see that a packet is not for the director.
#[inline]
pub const fn addresses_v4(header: &[u8; IPV4_HEADER]) -> ([u8; 4], [u8; 4]) {
    let [_, _, _, _, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    ([s0, s1, s2, s3], [d0, d1, d2, d3])
}
