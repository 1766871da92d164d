// SPDX-License-Identifier: GPL-2.0-only

//! ICMP errors: properties of all translated packets, and the parsed fields. `cases` compares whole
//! packets octet by octet.

use crate::wire::{naive_sum, octets, to, wire_and_end, End, Wire};
use lvs_core::icmp::{parse, quote, rewrite, writable, Error, Message, Quote, Size};
use lvs_core::packet::ParseError;
use lvs_core::rewrite::Side;
use lvs_core::{Address, Endpoint, Family};
use proptest::prelude::*;
use std::net::IpAddr;

/// An ICMP message to build.
#[derive(Clone, Debug)]
struct Report {
    from: IpAddr,
    to: IpAddr,
    kind: u8,
    code: u8,
    /// The second word of the ICMP header.
    word: [u8; 4],
    quote: Vec<u8>,
}

impl Report {
    /// An error about this packet, of the family's most common type.
    fn about(wire: &Wire, quoted: usize) -> Self {
        let (kind, from): (u8, IpAddr) = match wire.family() {
            Family::V4 => (3, [203, 0, 113, 9].into()),
            Family::V6 => (1, "2001:db8:ffff::9".parse().unwrap()),
        };
        let mut quote = wire.build();
        quote.truncate(wire.header_len() + quoted);
        Self {
            from,
            to: wire.source.0,
            kind,
            code: 1,
            word: [0; 4],
            quote,
        }
    }

    fn build(&self) -> Vec<u8> {
        let mut icmp = vec![self.kind, self.code, 0, 0];
        icmp.extend(self.word);
        icmp.extend(&self.quote);
        let ends = [octets(self.from), octets(self.to)].concat();
        let (mut ip, pseudo) = match self.from {
            IpAddr::V4(_) => {
                let total_len = (20 + icmp.len() as u16).to_be_bytes();
                let start = [&[0x45, 0], &total_len[..], &[7, 7, 0, 0, 64, 1, 0, 0]].concat();
                let mut ip = [start, ends].concat();
                let check = !naive_sum(&ip);
                ip[10..12].copy_from_slice(&check.to_be_bytes());
                (ip, vec![])
            }
            IpAddr::V6(_) => {
                let len = (icmp.len() as u16).to_be_bytes();
                let start = [&[0x60, 0, 0, 0], &len[..], &[58, 64]].concat();
                let pseudo = [&ends[..], &[0, 0], &len[..], &[0, 0, 0, 58]].concat();
                ([start, ends].concat(), pseudo)
            }
        };
        let check = !naive_sum(&[pseudo, icmp.clone()].concat());
        icmp[2..4].copy_from_slice(&check.to_be_bytes());
        ip.extend(icmp);
        ip
    }
}

fn wires() -> [Wire; 4] {
    [
        Wire::new(true),
        Wire::new(false),
        Wire::v6(true),
        Wire::v6(false),
    ]
}

fn error(family: Family, ip: &[u8]) -> Error {
    match parse(family, ip) {
        Ok(Message::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn address(ip: IpAddr) -> Address {
    to((ip, 0)).address
}

#[test]
fn the_fields_of_an_error_are_read() {
    for wire in wires() {
        let family = wire.family();
        let fixed = wire.fixed_len();
        let report = Report::about(&wire, 8);
        let protocol = if wire.tcp { 6 } else { 17 };
        let at = (fixed + 8) as u16;
        assert_eq!(
            error(family, &report.build()),
            Error {
                family,
                source: address(report.from),
                destination: address(report.to),
                kind: report.kind,
                code: report.code,
                mtu: None,
                header: fixed as u16,
                quote: Quote {
                    family,
                    protocol,
                    source: address(wire.source.0),
                    destination: address(wire.destination.0),
                    ports: Some((40000, 80)),
                    at,
                    transport: at + fixed as u16,
                    check: (!wire.tcp).then_some(at + fixed as u16 + 6),
                },
            }
        );
    }
}

#[test]
fn an_mtu_counts_if_a_link_may_have_it() {
    let too_large = [(Wire::new(true), 3, 4, 68u32), (Wire::v6(true), 2, 0, 1280)];
    for (wire, kind, code, least) in too_large {
        let size = |code, mtu: u32| {
            let mut report = Report::about(&wire, 20);
            (report.kind, report.code, report.word) = (kind, code, mtu.to_be_bytes());
            error(wire.family(), &report.build()).size()
        };
        assert_eq!(size(code, least), Size::Mtu(least));
        for absurd in [0, 1, least - 1] {
            assert_eq!(size(code, absurd), Size::Absurd);
        }
        if wire.family() == Family::V4 {
            assert_eq!(size(3, 1000), Size::Unmentioned);
        }
    }
}

#[test]
fn errors_have_the_types_of_the_rfcs() {
    for (wire, errors) in [
        (Wire::new(true), &[3, 4, 11, 12][..]),
        (Wire::v6(true), &[1, 2, 3, 4]),
    ] {
        for kind in 0..=255 {
            let mut report = Report::about(&wire, 20);
            report.kind = kind;
            let message = parse(wire.family(), &report.build()).unwrap();
            let is_error = matches!(message, Message::Error(_));
            assert_eq!(is_error, errors.contains(&kind), "{kind}");
        }
    }
}

#[test]
fn the_mtu_of_the_next_hop_is_read() {
    let mtu = |wire: &Wire, kind, code| {
        let mut report = Report::about(wire, 20);
        (report.kind, report.code) = (kind, code);
        report.word = [0x00, 0x01, 0x05, 0x78];
        error(wire.family(), &report.build()).mtu
    };
    for (kind, code) in [(3, 0), (3, 1), (3, 3), (3, 5), (4, 4), (11, 4), (12, 4)] {
        assert_eq!(mtu(&Wire::new(true), kind, code), None, "{kind}/{code}");
    }
    // In IPv4, the first half of the word is another field.
    assert_eq!(mtu(&Wire::new(true), 3, 4), Some(1400));
    for kind in [1, 3, 4] {
        assert_eq!(mtu(&Wire::v6(true), kind, 4), None, "{kind}");
    }
    assert_eq!(mtu(&Wire::v6(true), 2, 0), Some(0x10578));
    // "The code is ignored" (RFC 4443 section 3.2).
    assert_eq!(mtu(&Wire::v6(true), 2, 9), Some(0x10578));
}

/// A packet cut after every octet. The parser names the missing octets and reads none of them.
#[test]
fn truncation_names_the_missing_octets() {
    for wire in wires() {
        let family = wire.family();
        let fixed = wire.fixed_len();
        let bytes = Report::about(&wire, 20).build();
        let enough = fixed + 8 + fixed + 8;
        for len in 0..bytes.len() {
            let need = match len {
                _ if len < fixed => fixed,
                _ if len < fixed + 8 => fixed + 8,
                _ if len < fixed + 8 + fixed => fixed + 8 + fixed,
                _ => enough,
            };
            let expected = match len < enough {
                true => Err(ParseError::Truncated { need }),
                false => parse(family, &bytes),
            };
            assert_eq!(parse(family, &bytes[..len]), expected, "{len}");
        }
    }
}

/// A packet that ends after any octet, according to its own length.
#[test]
fn short_packets_are_malformed() {
    for wire in wires() {
        let family = wire.family();
        let fixed = wire.fixed_len();
        for quoted in 0..8 {
            let bytes = Report::about(&wire, quoted).build();
            assert_eq!(parse(family, &bytes), Err(ParseError::Malformed));
        }
        for len in 0..fixed {
            let mut report = Report::about(&wire, 8);
            report.quote.truncate(len);
            assert_eq!(parse(family, &report.build()), Err(ParseError::Malformed));
            // The amount of other memory behind it does not matter.
            let more = [report.build(), wire.build()].concat();
            assert_eq!(parse(family, &more), Err(ParseError::Malformed));
        }
    }
}

/// This holds even if the quoted transport header is not read.
#[test]
fn a_quoted_header_does_not_reach_beyond_the_packet() {
    let mut report = Report::about(&Wire::new(true), 8);
    report.quote[9] = 47;
    for ihl in 5..16 {
        report.quote[0] = 0x40 | ihl;
        let result = parse(Family::V4, &report.build());
        match usize::from(ihl) * 4 <= report.quote.len() {
            true => assert!(matches!(result, Ok(Message::Error(_))), "{ihl}"),
            false => assert_eq!(result, Err(ParseError::Malformed), "{ihl}"),
        }
    }
}

/// No ICMP message is so large that only the buffer has its length.
#[test]
fn a_length_of_zero_is_malformed() {
    for (wire, at) in [(Wire::new(true), 2), (Wire::v6(true), 4)] {
        let mut bytes = Report::about(&wire, 20).build();
        bytes[at..at + 2].fill(0);
        assert_eq!(parse(wire.family(), &bytes), Err(ParseError::Malformed));
    }
}

/// All written octets are within the range of `writable`. With a shorter slice nothing is written.
#[test]
fn inner_icmp_headers_outside_the_linear_area() {
    for wire in wires() {
        for quoted in [8, 16, 17, 18, 20, 30] {
            let family = wire.family();
            let bytes = Report::about(&wire, quoted).build();
            let error = error(family, &bytes);
            let need = writable(&error);
            let fixed = wire.fixed_len();
            let last = match wire.tcp {
                true if quoted >= 18 => 18,
                true => 4,
                false => 8,
            };
            assert_eq!(need, fixed + 8 + fixed + last);
            let outer = Some((Side::Destination, address(wire.destination.0)));
            let quoted = (Side::Source, to(wire.destination));
            for len in 0..=bytes.len() {
                let mut cut = bytes[..len].to_vec();
                let result = rewrite(&mut cut, &error, outer, quoted);
                if len < need {
                    assert_eq!(result, Err(ParseError::Truncated { need }));
                    assert_eq!(cut, bytes[..len]);
                } else {
                    assert_eq!(result, Ok(()));
                    assert_eq!(cut[need..], bytes[need..len]);
                }
            }
        }
    }
}

/// Other directors had out-of-bounds writes in ICMP NAT. Here, no length in the packet decides the
/// place of a write after the packet was parsed.
#[test]
fn ihl_is_not_re_read_after_a_check() {
    let wire = Wire::new(true);
    let bytes = Report::about(&wire, 20).build();
    let error = error(Family::V4, &bytes);
    let quoted = (Side::Source, to(([10, 1, 2, 3].into(), 8080)));
    let mut expected = bytes.clone();
    rewrite(&mut expected, &error, None, quoted).unwrap();
    for ihl in 0..16 {
        for at in [0, 28] {
            let mut changed = bytes.clone();
            changed[at] = 0x40 | ihl;
            rewrite(&mut changed, &error, None, quoted).unwrap();
            changed[at] = 0x45;
            assert_eq!(changed, expected, "{ihl} at {at}");
        }
    }
}

#[test]
fn addresses_of_the_other_family_change_nothing() {
    let v6 = Wire::v6(true).source;
    let v4 = Wire::new(true).source;
    for wire in wires() {
        let family = wire.family();
        let (own, other) = if family == Family::V4 {
            (v4, v6)
        } else {
            (v6, v4)
        };
        let bytes = Report::about(&wire, 8).build();
        let error = error(family, &bytes);
        let outer = |end: End| Some((Side::Source, address(end.0)));
        for (outer, end) in [(outer(other), own), (outer(own), other), (None, other)] {
            let mut changed = bytes.clone();
            let quoted = (Side::Source, to(end));
            let result = rewrite(&mut changed, &error, outer, quoted);
            assert_eq!(result, Err(ParseError::NotOurs));
            assert_eq!(changed, bytes);
        }
    }
}

/// An error quotes a tunnel's packet, which contains another packet.
#[test]
fn a_packet_in_a_quoted_tunnel_packet_is_read() {
    for inner in wires() {
        let (source, destination) = (to(inner.source), to(inner.destination));
        let inner_family = inner.family();
        let inner = inner.build();
        // The tunnel's packet, over IPv4: protocol 4 or 41.
        let mut tunnel = Wire::new(true).build();
        tunnel.truncate(20);
        tunnel[9] = if inner_family == Family::V4 { 4 } else { 41 };
        let mut report = Report::about(&Wire::new(true), 0);
        report.quote = [tunnel, inner.clone()].concat();
        let bytes = report.build();
        let outer = error(Family::V4, &bytes);
        assert_eq!((outer.quote.ports, outer.quote.transport), (None, 48));

        let found = quote(inner_family, &bytes, 48).unwrap();
        assert_eq!(
            (found.source, found.destination),
            (source.address, destination.address)
        );
        assert_eq!(found.ports, Some((source.port, destination.port)));
        assert_eq!(found.at, 48);
        // It ends with the outer packet.
        let enough = usize::from(found.transport) + 8;
        report.quote.truncate(enough - 28);
        let bytes = report.build();
        assert!(quote(inner_family, &bytes, 48).is_ok());
        assert_eq!(
            quote(inner_family, &bytes[..enough - 1], 48),
            Err(ParseError::Truncated { need: enough })
        );
        report.quote.truncate(enough - 29);
        let bytes = report.build();
        assert_eq!(quote(inner_family, &bytes, 48), Err(ParseError::Malformed));
    }
}

#[test]
fn other_packets_are_no_icmp_errors() {
    for wire in wires() {
        assert_eq!(
            parse(wire.family(), &wire.build()),
            Err(ParseError::NotOurs)
        );
    }
    // ICMP of one family in a packet of the other.
    let mut bytes = Report::about(&Wire::new(true), 8).build();
    bytes[9] = 58;
    assert_eq!(parse(Family::V4, &bytes), Err(ParseError::NotOurs));
    assert_eq!(parse(Family::V6, &bytes), Err(ParseError::NotOurs));
    let mut bytes = Report::about(&Wire::v6(true), 8).build();
    bytes[6] = 1;
    assert_eq!(parse(Family::V6, &bytes), Err(ParseError::NotOurs));
}

/// An error about a packet with the first of its octets, after translation of the quoted source.
fn translated(wire: &Wire, end: End, quoted: usize) -> (Vec<u8>, Vec<u8>) {
    let mut other = wire.clone();
    other.source = end;
    (
        Report::about(wire, quoted).build(),
        Report::about(&other, quoted).build(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A translated error about a reply equals, octet by octet, an error about a packet of the
    /// server.
    #[test]
    fn a_translated_error_equals_a_new_one((wire, end) in wire_and_end(), quoted in 8..200_usize) {
        // Half a checksum cannot be updated: see the case in the data.
        prop_assume!(!wire.tcp || quoted != 17);
        let family = wire.family();
        let (mut bytes, expected) = translated(&wire, end, quoted);
        let error = error(family, &bytes);
        let outer = Some((Side::Destination, address(end.0)));
        rewrite(&mut bytes, &error, outer, (Side::Source, to(end))).unwrap();
        // Ones-complement arithmetic has two zeros.
        let check = wire.fixed_len() + 2;
        if [bytes[check], bytes[check + 1]] == [255, 255] {
            bytes[check..check + 2].fill(0);
        }
        prop_assert_eq!(bytes, expected);
    }

    /// Offsets of another packet cause no panic. The packet is translated completely or not at all.
    #[test]
    fn no_input_causes_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        (wire, end) in wire_and_end(),
        offsets in proptest::array::uniform4(prop_oneof![0..200_u16, any::<u16>()]),
        check: bool,
        ports: bool,
        at: usize,
    ) {
        let family = wire.family();
        for (at, octet) in Report::about(&wire, 30).build().into_iter().enumerate() {
            if let Some(place) = bytes.get_mut(at).filter(|octet| **octet > 30) {
                *place = octet;
            }
        }
        let _ = parse(family, &bytes);
        for at in [at, at % 256] {
            let _ = quote(family, &bytes, at);
        }
        let mut error = error(family, &Report::about(&wire, 30).build());
        [error.header, error.quote.at, error.quote.transport, _] = offsets;
        error.quote.check = check.then_some(offsets[3]);
        error.quote.ports = ports.then_some((1, 2));
        let before = bytes.clone();
        let quoted = (Side::Destination, Endpoint::new(address(end.0), end.1));
        let outer = Some((Side::Source, address(end.0)));
        if rewrite(&mut bytes, &error, outer, quoted).is_err() {
            prop_assert_eq!(bytes, before);
        }
    }
}
