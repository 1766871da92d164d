// SPDX-License-Identifier: GPL-2.0-only

//! Reads headers from a packet's buffer.

use crate::path::context::Context;
use knet::packet::{Packet, Verdict, Version};
use lvs_core::{
    filter,
    packet::{self, Headers, ParseError, IPV4_HEADER, IPV6_HEADER},
    Family, Protocol,
};

/// Why the ports of a packet cannot be read.
pub(crate) enum Unusual {
    /// It is a fragment.
    Fragment,
    /// It is of another protocol.
    Other,
    /// Its headers contradict each other, or there is no memory.
    Unreadable,
}

/// Reads the headers of a whole TCP or UDP packet, with `SCTP` also of an SCTP packet; makes them
/// linear if they are not.
#[inline(always)]
pub(crate) fn headers<V: Version, const SCTP: bool>(
    packet: &mut Packet<'_, V>,
) -> Result<Headers, Unusual> {
    // The length of one header is known only after the one before; each turn pulls more.
    loop {
        let parsed = match SCTP {
            true => packet::parse(V::FAMILY, packet.head()),
            false => packet::parse_frequent(V::FAMILY, packet.head()),
        };
        let Err(ParseError::Truncated { need }) = parsed else {
            return of_whole_packet(parsed);
        };
        if SCTP && packet.has_parts() {
            return headers_of_parts(packet, need);
        }
        pull(packet, need).ok_or(Unusual::Unreadable)?;
    }
}

/// The protocol of a packet, if it is TCP or UDP and no extension header comes before it.
#[inline(always)]
pub(crate) fn plain_protocol<V: Version>(packet: &Packet<'_, V>) -> Option<Protocol> {
    packet::plain_protocol(V::FAMILY, packet.header().as_ref())
}

/// Reads the headers of a packet of `len` bytes with this [`plain_protocol`] in the hook of a
/// device, which has no IP options. The error is the number of bytes that must be linear, if more
/// would help.
#[inline(always)]
pub(crate) fn plain_headers<V: Version>(
    packet: &Packet<'_, V>,
    protocol: Protocol,
    len: u32,
) -> Result<Headers, Option<usize>> {
    let headers = packet::parse_plain(V::FAMILY, protocol, packet.head(), len as usize);
    headers.map_err(|error| match error {
        ParseError::Truncated { need } => Some(need),
        ParseError::Fragment | ParseError::NotOurs | ParseError::Malformed => None,
    })
}

/// The same, with more bytes made linear if that is necessary.
#[inline(always)]
pub(crate) fn pulled_headers<V: Version>(packet: &mut Packet<'_, V>, len: u32) -> Option<Headers> {
    let protocol = plain_protocol(packet)?;
    loop {
        match plain_headers(packet, protocol, len) {
            Ok(headers) => return Some(headers),
            Err(need) => pull(packet, need?)?,
        }
    }
}

/// Returns the headers of a whole packet.
#[inline(always)]
fn of_whole_packet(parsed: Result<Headers, ParseError>) -> Result<Headers, Unusual> {
    match parsed {
        Ok(headers) if headers.more_fragments => Err(Unusual::Fragment),
        Ok(headers) => Ok(headers),
        Err(ParseError::Fragment) => Err(Unusual::Fragment),
        Err(ParseError::NotOurs) => Err(Unusual::Other),
        Err(ParseError::Truncated { .. } | ParseError::Malformed) => Err(Unusual::Unreadable),
    }
}

/// Reads the headers of a packet that has its chunks in parts, from a copy of its first `need`
/// bytes or more. The parts must stay as they are.
#[cold]
#[inline(never)]
fn headers_of_parts<V: Version>(
    packet: &Packet<'_, V>,
    mut need: usize,
) -> Result<Headers, Unusual> {
    loop {
        let copy = packet.copy(need).map_err(|_| Unusual::Unreadable)?;
        match packet::parse(V::FAMILY, &copy) {
            Err(ParseError::Truncated { need: more }) if more > need => need = more,
            parsed => return of_whole_packet(parsed),
        }
    }
}

/// Makes `need` bytes of a packet linear, if that is more than there are now.
#[cold]
#[inline(never)]
pub(crate) fn pull<V: Version>(packet: &mut Packet<'_, V>, need: usize) -> Option<()> {
    if need <= packet.head().len() {
        return None;
    }
    packet.pull(need).ok()
}

/// Waits for the other fragments of a packet that a connection may have, and returns it whole.
pub(crate) fn gather<'a, V: Version>(
    context: Context<'_>,
    packet: Packet<'a, V>,
) -> Result<Packet<'a, V>, Verdict<'a>> {
    let (source, destination) = address_words(&packet);
    let tables = context.tables;
    if !tables.filter.may_be_ours(source, destination) {
        return Err(packet.accept());
    }
    packet.gather(context.point)
}

/// The words by which the filter knows a packet's source and destination.
#[inline(always)]
pub(crate) fn address_words<V: Version>(packet: &Packet<'_, V>) -> (u32, u32) {
    let (source, destination) = V::addresses(packet.header());
    (
        filter::word(source.as_ref()),
        filter::word(destination.as_ref()),
    )
}

/// True if nothing is between the fixed IP header and the transport header.
#[inline(always)]
pub(crate) fn is_plain<V: Version>(headers: &Headers) -> bool {
    let plain = match V::FAMILY {
        Family::V4 => IPV4_HEADER,
        Family::V6 => IPV6_HEADER,
    };
    usize::from(headers.network_header_len) == plain
}
