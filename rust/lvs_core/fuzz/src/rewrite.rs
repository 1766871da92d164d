// SPDX-License-Identifier: GPL-2.0-only

use super::{ip_checksum, octets, same_but, same_checksums, verify, Orders};
use lvs_core::packet::{self, Headers, ParseError, TcpFlags};
use lvs_core::rewrite::{self, Side, TransportChecksum};
use lvs_core::{Endpoint, Family, Protocol};

/// [`rewrite::rewrite`], [`rewrite::decrement_ttl`].
pub fn run(data: &[u8]) {
    let Some(mut orders) = Orders::new(data) else {
        return;
    };
    let (family, side) = (orders.family(), orders.side());
    let (partial, foreign) = (orders.bit(), orders.bit());
    let mode = if partial {
        TransportChecksum::Partial
    } else {
        TransportChecksum::Full
    };
    let Some(to) = orders.endpoint(family) else {
        return;
    };
    if foreign {
        return rewrite_by_foreign_headers(&mut orders, family, side, to, mode);
    }
    let before = orders.rest;

    let mut after = before.to_vec();
    match rewrite::decrement_ttl(family, &mut after) {
        Ok(()) => {
            let at = if family == Family::V4 { 8 } else { 7 };
            assert_eq!(after[at], before[at] - 1);
            same_checksums(before, &after);
            same_but(before, &after, &[at..at + 1, ip_checksum(family)]);
        }
        Err(rewrite::TtlExpired) => assert_eq!(after, before),
    }

    let Ok(headers) = packet::parse(family, before) else {
        return;
    };
    let mut after = before.to_vec();
    let result = rewrite::rewrite(&mut after, &headers, side, to, mode);
    if to.address.family() != family {
        // Sixteen octets may be an IPv4-mapped address.
        assert_eq!((result, &after[..]), (Err(ParseError::NotOurs), before));
        return;
    }
    assert_eq!(result, Ok(()));

    let at = usize::from(headers.network_header_len);
    let (source, destination) = verify::addresses(before);
    let (address, port, old) = match side {
        Side::Source => (source, at..at + 2, headers.source),
        Side::Destination => (destination, at + 2..at + 4, headers.destination),
    };
    assert_eq!(after[address.clone()], octets(to.address));
    assert_eq!(after[port.clone()], to.port.to_be_bytes());
    let check = match headers.protocol {
        Protocol::Tcp => at + 16..at + 18,
        Protocol::Udp => at + 6..at + 8,
        Protocol::Sctp => at + 8..at + 12,
    };
    let touched = [address, port, check.clone(), ip_checksum(family)];
    same_but(before, &after, &touched);
    if headers.protocol == Protocol::Sctp {
        // The host tests compute CRCs.
        return;
    }
    match mode {
        TransportChecksum::Full => same_checksums(before, &after),
        TransportChecksum::Partial => {
            let (old, new) = (before, &after);
            let pseudo = |ip: &[u8]| {
                let field = u16::from_be_bytes([ip[check.start], ip[check.start + 1]]);
                verify::pseudo_header_is(ip, field)
            };
            assert_eq!(pseudo(old), pseudo(new));
        }
    }

    let mut back = after;
    assert_eq!(
        rewrite::rewrite(&mut back, &headers, side, old, mode),
        Ok(())
    );
    // Except for the two zeros of ones-complement arithmetic.
    same_but(before, &back, &[check.clone(), ip_checksum(family)]);
    for field in [check, ip_checksum(family)] {
        let value = |ip: &[u8]| match ip[field.clone()] {
            [a, b] => u16::from_be_bytes([a, b]) % 0xffff,
            _ => 0,
        };
        assert_eq!(value(before), value(&back));
    }
}

/// Headers of another packet: the rewrite must not panic, and must change everything or nothing.
fn rewrite_by_foreign_headers(
    orders: &mut Orders<'_>,
    family: Family,
    side: Side,
    to: Endpoint,
    mode: TransportChecksum,
) {
    let protocol = if orders.bit() {
        Protocol::Tcp
    } else {
        Protocol::Udp
    };
    let Some(network_header_len) = orders.number() else {
        return;
    };
    let headers = Headers {
        family,
        protocol,
        source: to,
        destination: to,
        network_header_len,
        tcp_flags: TcpFlags::EMPTY,
        more_fragments: false,
    };
    let mut after = orders.rest.to_vec();
    if rewrite::rewrite(&mut after, &headers, side, to, mode).is_err() {
        assert_eq!(after, orders.rest);
    }
}
