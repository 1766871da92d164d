// SPDX-License-Identifier: GPL-2.0-only

use super::{ip_checksum, same_but, same_checksums, verify, Orders};
use lvs_core::icmp::{self, Message};
use lvs_core::packet::ParseError;
use lvs_core::rewrite::Side;
use lvs_core::Family;
use std::ops::Range;

/// [`icmp::parse`], [`icmp::quote`], [`icmp::rewrite`].
pub fn run(data: &[u8]) {
    let Some(mut orders) = Orders::new(data) else {
        return;
    };
    let family = orders.family();
    let (outer_side, quoted_side) = (orders.side(), orders.side());
    let (with_outer, foreign) = (orders.bit(), orders.bit());
    let (Some(outer), Some(to), Some(at)) = (
        orders.address(family),
        orders.endpoint(family),
        orders.number(),
    ) else {
        return;
    };
    let outer = with_outer.then_some((outer_side, outer));
    let before = orders.rest;
    for family in [Family::V4, Family::V6] {
        if let Err(ParseError::Truncated { need }) = icmp::quote(family, before, at.into()) {
            assert!(need > before.len());
        }
    }
    let mut error = match icmp::parse(family, before) {
        Err(ParseError::Truncated { need }) => {
            assert!(need > before.len());
            return;
        }
        Ok(Message::Error(error)) => error,
        Ok(Message::Other) | Err(_) => return,
    };
    if foreign {
        // Offsets from another packet.
        error.header ^= at & 0xff;
        error.quote.at ^= at >> 8;
        error.quote.transport ^= at.rotate_left(4);
        error.quote.check = error.quote.check.map(|check| check ^ at);
        let mut after = before.to_vec();
        let result = icmp::rewrite(&mut after, &error, outer, (quoted_side, to));
        if result.is_err() {
            assert_eq!(after, before);
        }
        return;
    }
    let quote = error.quote;
    let again = icmp::quote(family, before, quote.at.into());
    assert!(again.is_ok_and(|again| (again.ports, again.at) == (quote.ports, quote.at)));

    let need = icmp::writable(&error);
    let mut after = before.to_vec();
    let result = icmp::rewrite(&mut after, &error, outer, (quoted_side, to));
    let families = outer.iter().map(|(_, address)| address.family());
    if families
        .chain([to.address.family()])
        .any(|other| other != family)
    {
        assert_eq!((result, &after[..]), (Err(ParseError::NotOurs), before));
        return;
    }
    if before.len() < need {
        // A TCP checksum beyond the slice.
        let truncated = Err(ParseError::Truncated { need });
        assert_eq!((result, &after[..]), (truncated, before));
        return;
    }
    assert_eq!(result, Ok(()));
    same_checksums(before, &after);

    let header = usize::from(error.header);
    let mut touched = vec![ip_checksum(family), header + 2..header + 4];
    if let Some((side, _)) = outer {
        touched.push(address_at(before, 0, side));
    }
    touched.push(address_at(before, quote.at.into(), quoted_side));
    let ip_checksum = ip_checksum(family);
    if !ip_checksum.is_empty() {
        let at = usize::from(quote.at);
        touched.push(at + ip_checksum.start..at + ip_checksum.end);
    }
    let port = usize::from(quote.transport);
    match (quote.ports, quoted_side) {
        (None, _) => {}
        (Some(_), Side::Source) => touched.push(port..port + 2),
        (Some(_), Side::Destination) => touched.push(port + 2..port + 4),
    }
    if let Some(check) = quote.check {
        let check = usize::from(check);
        touched.push(check..check + 2);
    }
    same_but(before, &after, &touched);
    assert!(touched.iter().all(|range| range.end <= need));
}

/// The place of one side's address in the IP packet at `at`.
fn address_at(ip: &[u8], at: usize, side: Side) -> Range<usize> {
    let (source, destination) = verify::addresses(&ip[at..]);
    let range = match side {
        Side::Source => source,
        Side::Destination => destination,
    };
    at + range.start..at + range.end
}
