// SPDX-License-Identifier: GPL-2.0-only

//! ICMP errors: RFC 792 and RFC 1812 (IPv4), RFC 4443 (IPv6), RFC 4884 (extensions).
//!
//! An error quotes the beginning of the packet that caused it: at least its IP header and the next
//! eight octets. The quoted addresses and ports identify the connection, and the error follows it.
//! Where addresses are translated, the quote is translated, too (RFC 3022 section 4.3, RFC 5508).

use crate::checksum::{self, Difference};
use crate::packet::{fixed_header, ipv4, ipv6, ParseError, IPV4_HEADER, IPV6_HEADER};
use crate::rewrite::{field, rewrite_address, Side};
use crate::transmit::IPV6_MIN_MTU;
use crate::{Address, Endpoint, Family};

/// Octets of an ICMP header before the quote.
const HEADER: usize = 8;
/// Octets after the quoted IP header that every error quotes.
const LEAST: usize = 8;
/// The minimum length in octets of a quote that extensions follow (RFC 4884 section 5).
const LEAST_EXTENDED: usize = 128;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// The least MTU that a link may have: RFC 791 section 3.2, RFC 8200 section 5.
const fn least_mtu(family: Family) -> u32 {
    match family {
        Family::V4 => 68,
        Family::V6 => IPV6_MIN_MTU,
    }
}

/// The kind of an ICMP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// An error.
    Error(Error),
    /// Anything else, such as an echo request or an IPv4 redirect.
    Other,
}

/// An ICMP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// The IP version of the error's packet, and of the packet that it quotes.
    pub family: Family,
    /// The address of the reporter.
    pub source: Address,
    /// The recipient of the error: the source of the quoted packet, as far as the reporter knows.
    pub destination: Address,
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The MTU of "fragmentation needed" (IPv4; routers older than RFC 1191 send 0) and of "packet
    /// too big" (IPv6).
    pub mtu: Option<u32>,
    /// The offset of the ICMP header.
    pub header: u16,
    /// The packet that caused the error.
    pub quote: Quote,
}

/// What an error says about the size of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// Nothing: it is another error.
    Unmentioned,
    /// The quoted packet was too large; a link on its path has this MTU.
    Mtu(u32),
    /// Nothing to act on: no MTU, or less than any link has. Routers older than RFC 1191 report 0.
    /// RFC 8201 section 4 demands that less than 1280 is ignored.
    Absurd,
}

impl Error {
    /// What it says about the size of packets.
    pub fn size(&self) -> Size {
        match self.mtu {
            None => Size::Unmentioned,
            Some(mtu) if mtu < least_mtu(self.family) => Size::Absurd,
            Some(mtu) => Size::Mtu(mtu),
        }
    }
}

/// The beginning of a packet, quoted in an ICMP error. All offsets are from the start of the outer
/// IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// The IP version.
    pub family: Family,
    /// The transport protocol's number.
    pub protocol: u8,
    /// The quoted source address.
    pub source: Address,
    /// The quoted destination address.
    pub destination: Address,
    /// Source and destination port of TCP, UDP and SCTP. A fragment other than the first has none.
    pub ports: Option<(u16, u16)>,
    /// The offset of the quoted IP header.
    pub at: u16,
    /// The offset of the quoted transport header.
    pub transport: u16,
    /// The offset of the quoted TCP or UDP checksum. TCP's is beyond the first eight octets.
    pub check: Option<u16>,
}

/// Parses the ICMP message of this family in the packet whose IP header starts the slice.
///
/// It does not verify the checksum.
///
/// # Errors
///
/// Like [`crate::packet::parse`]. A fragmented error is a [`ParseError::Fragment`], the first
/// fragment included; reassemble it first.
pub fn parse(family: Family, ip: &[u8]) -> Result<Message, ParseError> {
    let outer = Outer::read(family, ip)?;
    let quoted = outer.header.saturating_add(HEADER);
    if quoted > outer.end {
        return Err(ParseError::Malformed);
    }
    let header = ip.get(outer.header..).and_then(<[u8]>::first_chunk);
    let Some(&[kind, code, _, _, b4, b5, b6, b7]): Option<&[u8; HEADER]> = header else {
        return Err(ParseError::Truncated { need: quoted });
    };
    // The length of the quote, if extensions follow it.
    let (is_error, length) = match (family, kind) {
        (Family::V4, 3 | 11 | 12) => (true, usize::from(b5) << 2),
        (Family::V4, 4) => (true, 0),
        (Family::V6, 1 | 3) => (true, usize::from(b4) << 3),
        (Family::V6, 2 | 4) => (true, 0),
        _ => (false, 0),
    };
    if !is_error {
        return Ok(Message::Other);
    }
    let mtu = match (family, kind, code) {
        (Family::V4, 3, 4) => Some(u16::from_be_bytes([b6, b7]).into()),
        (Family::V6, 2, _) => Some(u32::from_be_bytes([b4, b5, b6, b7])),
        _ => None,
    };
    let end = match length {
        // Some senders write garbage to this octet, which was unused before RFC 4884.
        0..LEAST_EXTENDED => outer.end,
        _ => outer.end.min(quoted.saturating_add(length)),
    };
    Ok(Message::Error(Error {
        family,
        source: outer.source,
        destination: outer.destination,
        kind,
        code,
        mtu,
        header: offset(outer.header)?,
        quote: read_quote(family, ip, quoted, end)?,
    }))
}

/// Parses the headers of a quoted packet of this family at offset `at` of the packet whose IP
/// header starts the slice.
///
/// [`parse`] does this for the packet that caused the error. If that is a tunnel's packet, call
/// this for the inner packet.
///
/// # Errors
///
/// Like [`parse`]. Only the quoted part must be in the slice. The quoted total length and payload
/// length are ignored.
pub fn quote(family: Family, ip: &[u8], at: usize) -> Result<Quote, ParseError> {
    let end = match ip.first() {
        Some(first) if first >> 4 == 6 => ipv6::Header::read(ip)?.end(),
        _ => ipv4::Header::read(ip)?.total_len.into(),
    };
    read_quote(family, ip, at, end)
}

/// The packet that contains an ICMP message.
struct Outer {
    source: Address,
    destination: Address,
    /// The offset of the ICMP header.
    header: usize,
    /// The end of the packet.
    end: usize,
}

impl Outer {
    fn read(family: Family, ip: &[u8]) -> Result<Self, ParseError> {
        match family {
            Family::V4 => {
                let header = ipv4::Header::read(ip)?;
                if header.protocol != ipv4::ICMP {
                    return Err(ParseError::NotOurs);
                }
                if header.is_later_fragment() || header.has_more_fragments() {
                    return Err(ParseError::Fragment);
                }
                Ok(Self {
                    source: Address::from_v4(header.source),
                    destination: Address::from_v4(header.destination),
                    header: header.len,
                    end: header.total_len.into(),
                })
            }
            Family::V6 => {
                let header = ipv6::Header::read(ip)?;
                let upper = ipv6::Upper::read(ip, 0, header.next, header.end())?;
                if upper.protocol != ipv6::ICMP {
                    return Err(ParseError::NotOurs);
                }
                if upper.is_later_fragment || upper.more_fragments {
                    return Err(ParseError::Fragment);
                }
                if header.is_jumbo() {
                    return Err(ParseError::Malformed);
                }
                Ok(Self {
                    source: header.source,
                    destination: header.destination,
                    header: upper.at,
                    end: header.end(),
                })
            }
        }
    }
}

/// Parses the quote at `at`, which ends at `end` at the latest.
fn read_quote(family: Family, ip: &[u8], at: usize, end: usize) -> Result<Quote, ParseError> {
    let fixed = fixed_header(family);
    let need = at.saturating_add(fixed);
    if need > end {
        return Err(ParseError::Malformed);
    }
    let truncated = ParseError::Truncated { need };
    let quoted = ip.get(at..).filter(|quoted| quoted.len() >= fixed);
    let quoted = quoted.ok_or(truncated)?;
    let (source, destination, protocol, transport, is_later_fragment) = match family {
        Family::V4 => {
            let header = ipv4::Header::read(quoted)?;
            (
                Address::from_v4(header.source),
                Address::from_v4(header.destination),
                header.protocol,
                at.saturating_add(header.len),
                header.is_later_fragment(),
            )
        }
        Family::V6 => {
            let header = ipv6::Header::read(quoted)?;
            let upper = ipv6::Upper::read(ip, at, header.next, end)?;
            (
                header.source,
                header.destination,
                upper.protocol,
                upper.at,
                upper.is_later_fragment,
            )
        }
    };
    if transport > end {
        return Err(ParseError::Malformed);
    }
    let mut quote = Quote {
        family,
        protocol,
        source,
        destination,
        ports: None,
        at: offset(at)?,
        transport: offset(transport)?,
        check: None,
    };
    if is_later_fragment || !matches!(protocol, TCP | UDP | SCTP) {
        return Ok(quote);
    }
    let need = transport.saturating_add(LEAST);
    if need > end {
        return Err(ParseError::Malformed);
    }
    let Some(&[s0, s1, d0, d1, ..]) = ip.get(transport..).and_then(<[u8]>::first_chunk::<LEAST>)
    else {
        return Err(ParseError::Truncated { need });
    };
    quote.ports = Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])));
    let check = match protocol {
        TCP => Some(transport.saturating_add(16)),
        UDP => Some(transport.saturating_add(6)),
        // SCTP has a CRC over its packet without the addresses, at another offset.
        _ => None,
    };
    if let Some(check) = check.filter(|check| check.saturating_add(2) <= end) {
        quote.check = Some(offset(check)?);
    }
    Ok(quote)
}

/// An offset in a packet. It fits because no header is further from the start.
fn offset(at: usize) -> Result<u16, ParseError> {
    u16::try_from(at).map_err(|_| ParseError::NotOurs)
}

/// Returns the number of octets from the start of the packet that [`rewrite`] may modify.
pub fn writable(error: &Error) -> usize {
    let quote = &error.quote;
    let (end, len) = match (quote.check, quote.ports, quote.family) {
        (Some(check), _, _) => (check, 2),
        (None, Some(_), _) => (quote.transport, 4),
        (None, None, Family::V4) => (quote.at, IPV4_HEADER),
        (None, None, Family::V6) => (quote.at, IPV6_HEADER),
    };
    usize::from(end).saturating_add(len)
}

/// Translates an ICMP error that starts the slice and that [`parse`] has read. It replaces an
/// address on one side of the packet itself, if `outer` is given, and the address and port on one
/// side of the quoted packet. A quote without ports gets only the address.
///
/// It updates all checksums: the quoted IPv4 header's, the quoted TCP or UDP checksum if it is in
/// the quote (an absent UDP checksum stays absent), ICMP's, and the IPv4 header's.
///
/// # Errors
///
/// [`ParseError::Truncated`] if the slice has less than [`writable`] of the packet,
/// [`ParseError::NotOurs`] if an address is of another family than the packet,
/// [`ParseError::Malformed`] for an `error` that [`parse`] cannot have returned. The packet is then
/// unchanged.
pub fn rewrite(
    ip: &mut [u8],
    error: &Error,
    outer: Option<(Side, Address)>,
    quoted: (Side, Endpoint),
) -> Result<(), ParseError> {
    let need = writable(error);
    let truncated = ParseError::Truncated { need };
    let (side, to) = quoted;
    let quote = &error.quote;
    let is_ours = |address: Address| address.family() == error.family;
    if quote.family != error.family || !is_ours(to.address) {
        return Err(ParseError::NotOurs);
    }
    if outer.is_some_and(|(_, address)| !is_ours(address)) {
        return Err(ParseError::NotOurs);
    }
    let (header, at) = (usize::from(error.header), usize::from(quote.at));
    let transport = usize::from(quote.transport);
    let fixed = fixed_header(error.family);
    // The order in which `parse` finds them, so nothing below can fail.
    let is_in_order = fixed <= header
        && header.saturating_add(HEADER) <= at
        && at.saturating_add(fixed) <= transport
        && quote
            .check
            .is_none_or(|check| transport.saturating_add(6) <= check.into());
    if !is_in_order {
        return Err(ParseError::Malformed);
    }
    if ip.len() < need {
        return Err(truncated);
    }

    let inner = ip.get_mut(at..).ok_or(truncated)?;
    let before = checksum_of(inner, quote.family);
    let addresses = rewrite_address(inner, quote.family, side, to.address)?;
    // The changes of the ICMP message, and of what the quoted transport checksum covers.
    let mut message = addresses;
    let mut covered = addresses;
    if let (Some(before), Some(after)) = (before, checksum_of(inner, quote.family)) {
        message.replace(&before, &after);
    }
    if quote.ports.is_some() {
        let port = transport.saturating_add(side.of(0, 2));
        let port = field(ip, port).ok_or(truncated)?;
        let mut difference = Difference::NONE;
        difference.put(port, to.port.to_be_bytes());
        message.add(difference);
        covered.add(difference);
    }
    if let Some(check) = quote.check {
        let check = field(ip, check.into()).ok_or(truncated)?;
        let old = u16::from_be_bytes(*check);
        let new = match quote.protocol {
            UDP if old == 0 => 0,
            UDP => checksum::udp(covered.checksum(old)),
            _ => covered.checksum(old),
        };
        message.put(check, new.to_be_bytes());
    }
    if let Some((side, address)) = outer {
        let addresses = rewrite_address(ip, error.family, side, address)?;
        // Only ICMPv6 has a pseudo-header.
        if error.family == Family::V6 {
            message.add(addresses);
        }
    }
    let check = field(ip, header.saturating_add(2)).ok_or(truncated)?;
    *check = message.checksum(u16::from_be_bytes(*check)).to_be_bytes();
    Ok(())
}

/// The checksum field of the IP header that starts the slice.
fn checksum_of(ip: &[u8], family: Family) -> Option<[u8; 2]> {
    match family {
        Family::V4 => ip.get(10..)?.first_chunk().copied(),
        Family::V6 => None,
    }
}
