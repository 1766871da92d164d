// SPDX-License-Identifier: GPL-2.0-only

//! The IPv6 header and its extension headers: RFC 8200, with RFC 4302 (authentication header),
//! RFC 6946 (atomic fragments) and RFC 7112 (chains of headers that are longer than a fragment).

use super::error::ParseError;
use crate::{Address, Protocol};

/// Octets of an IPv6 header without extension headers.
pub const IPV6_HEADER: usize = 40;

/// The protocol number of ICMPv6 (RFC 4443).
pub(crate) const ICMP: u8 = 58;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Octets that every extension header has at least.
const EXTENSION: usize = 8;
/// Extension headers before a transport header. RFC 8200 section 4.1 foresees six.
const MAX_EXTENSIONS: usize = 8;
/// The maximum of octets for an IPv6 header with all extension headers. Every link carries that
/// much in one packet. A sender that follows RFC 7112 and uses path MTU discovery needs no more.
pub(crate) const MAX_HEADERS: usize = 1280;

/// The fields of an IPv6 header that the director looks at.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// The payload length field: octets after this header.
    payload_len: u16,
    /// The number of the next header.
    pub(crate) next: u8,
    /// The source address.
    pub(crate) source: Address,
    /// The destination address.
    pub(crate) destination: Address,
}

impl Header {
    /// Reads the IPv6 header that starts the slice.
    ///
    /// No packet may have an IPv4-mapped address, so such a packet is refused: [`Address`] would
    /// take the address for IPv4.
    #[inline(always)]
    pub(crate) fn read(ip: &[u8]) -> Result<Self, ParseError> {
        let Some(fixed) = ip.first_chunk::<IPV6_HEADER>() else {
            return Err(match ip.first() {
                Some(first) if first >> 4 != 6 => ParseError::NotOurs,
                _ => ParseError::Truncated { need: IPV6_HEADER },
            });
        };
        let [first, _, _, _, l0, l1, next, ..] = *fixed;
        let (source, destination) = addresses_v6(fixed);
        let source = Address::from_v6(source);
        let destination = Address::from_v6(destination);
        if first >> 4 != 6 || source.is_v4() || destination.is_v4() {
            return Err(ParseError::NotOurs);
        }
        Ok(Self {
            payload_len: u16::from_be_bytes([l0, l1]),
            next,
            source,
            destination,
        })
    }

    /// Where the packet ends, counted from the start of its header; without a bound where the
    /// field is 0, as it is in a packet too large for it.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        match self.payload_len {
            0 => usize::MAX,
            len => usize::from(len).saturating_add(IPV6_HEADER),
        }
    }

    /// Whether only the buffer knows how long the packet is.
    #[inline]
    pub(crate) const fn is_jumbo(&self) -> bool {
        self.payload_len == 0
    }

    /// Octets from the transport header at `at` to the end of the packet.
    ///
    /// The payload length is 0 in a TCP segment that offloading made too large for it ("BIG TCP"),
    /// with or without the jumbo payload option of RFC 2675, as the kernel's version will have it.
    /// No other packet is that large.
    #[inline]
    pub(crate) fn payload_len(&self, at: usize, protocol: Protocol) -> Result<usize, ParseError> {
        if self.is_jumbo() && protocol != Protocol::Tcp {
            return Err(ParseError::Malformed);
        }
        self.end().checked_sub(at).ok_or(ParseError::Malformed)
    }
}

/// The header after the extension headers.
#[derive(Clone, Copy)]
pub(crate) struct Upper {
    /// Its protocol number. For a later fragment, the number of the first header in the
    /// fragmentable part of the packet.
    pub(crate) protocol: u8,
    /// Its offset in the slice.
    pub(crate) at: usize,
    /// The packet is a fragment other than the first.
    pub(crate) is_later_fragment: bool,
    /// Fragments follow this one.
    pub(crate) more_fragments: bool,
}

impl Upper {
    /// The header directly after the IPv6 header that starts the slice.
    #[inline(always)]
    pub(crate) const fn after_no_extension(protocol: u8) -> Self {
        Self {
            protocol,
            at: IPV6_HEADER,
            is_later_fragment: false,
            more_fragments: false,
        }
    }

    /// The header after the IPv6 header at `start` of the slice and its extension headers. `next`
    /// is the number in the IPv6 header, and the packet ends at `end`.
    ///
    /// # Errors
    ///
    /// As [`super::parse`]. Longer chains than any in use are refused.
    #[inline]
    pub(crate) fn read(ip: &[u8], start: usize, next: u8, end: usize) -> Result<Self, ParseError> {
        if is_extension(next) {
            return skip_extensions(ip, start, next, end);
        }
        let mut upper = Self::after_no_extension(next);
        upper.at = upper.at.saturating_add(start);
        Ok(upper)
    }
}

/// Whether this is the number of an extension header that can be skipped. Encapsulating security
/// payload (50) and "no next header" (59) end the chain as a transport protocol does.
#[inline]
pub(crate) const fn is_extension(number: u8) -> bool {
    matches!(
        number,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

/// As [`Upper::read`], where there are extension headers.
#[cold]
#[inline(never)]
fn skip_extensions(ip: &[u8], start: usize, next: u8, end: usize) -> Result<Upper, ParseError> {
    let most = start.saturating_add(MAX_HEADERS);
    let mut upper = Upper::after_no_extension(next);
    upper.at = start.saturating_add(IPV6_HEADER);
    for count in 0..=MAX_EXTENSIONS {
        if !is_extension(upper.protocol) {
            return Ok(upper);
        }
        // Only the first may be for every node on the way (RFC 8200 section 4.1).
        if upper.protocol == HOP_BY_HOP && count != 0 {
            return Err(ParseError::Malformed);
        }
        let need = upper.at.saturating_add(EXTENSION);
        if need > end {
            return Err(ParseError::Malformed);
        }
        if count == MAX_EXTENSIONS {
            break;
        }
        let Some(extension) = ip.get(upper.at..).and_then(<[u8]>::first_chunk) else {
            return Err(ParseError::Truncated { need });
        };
        let [next, len, f0, f1, _, _, _, _]: [u8; EXTENSION] = *extension;
        let units = usize::from(len);
        let len = match upper.protocol {
            // Segments left: the packet is on its way to yet another node.
            ROUTING if f1 != 0 => return Err(ParseError::NotOurs),
            FRAGMENT => {
                let fragment = u16::from_be_bytes([f0, f1]);
                upper.is_later_fragment = fragment & 0xfff8 != 0;
                upper.more_fragments |= fragment & 1 != 0;
                EXTENSION
            }
            AUTHENTICATION => units.saturating_add(2) << 2,
            _ => units.saturating_add(1) << 3,
        };
        upper.protocol = next;
        upper.at = upper.at.saturating_add(len);
        if upper.at > end {
            return Err(ParseError::Malformed);
        }
        if upper.is_later_fragment {
            return Ok(upper);
        }
        if upper.at > most {
            break;
        }
    }
    Err(ParseError::NotOurs)
}

/// Source and destination address in an IPv6 header, in network byte order, as
/// [`addresses_v4`](super::addresses_v4).
// As whole arrays, since the compiler does not make words of single octets.
#[inline]
pub const fn addresses_v6(header: &[u8; IPV6_HEADER]) -> ([u8; 16], [u8; 16]) {
    let (_, addresses) = header.split_at(8);
    match (addresses.first_chunk(), addresses.last_chunk()) {
        (Some(source), Some(destination)) => (*source, *destination),
        _ => ([0; 16], [0; 16]),
    }
}
