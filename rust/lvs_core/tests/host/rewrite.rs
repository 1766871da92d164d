// SPDX-License-Identifier: GPL-2.0-only

use crate::wire::{endpoint, naive_sum, wire, Wire};
use lvs_core::packet::ParseError;
use lvs_core::rewrite::{decrement_ttl, rewrite, Side, TransportChecksum, TtlExpired};
use lvs_core::{Address, Endpoint};
use proptest::prelude::*;

const SERVER: ([u8; 4], u16) = ([10, 1, 2, 3], 8080);

fn to((octets, port): ([u8; 4], u16)) -> Endpoint {
    Endpoint::new(Address::from_v4(octets), port)
}

/// The same packet as it would be built with another end.
fn with(wire: &Wire, side: Side, end: ([u8; 4], u16)) -> Wire {
    let mut wire = wire.clone();
    match side {
        Side::Source => wire.source = end,
        Side::Destination => wire.destination = end,
    }
    wire
}

fn rewritten(bytes: &[u8], side: Side, end: ([u8; 4], u16), mode: TransportChecksum) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    rewrite(&mut bytes, side, to(end), mode).unwrap();
    bytes
}

#[test]
fn every_payload_length_both_sides_both_protocols() {
    for len in 0..=65 {
        for tcp in [true, false] {
            for side in [Side::Source, Side::Destination] {
                let mut wire = Wire::new(tcp);
                wire.payload = (0..len).map(|n| n as u8 ^ 0xa5).collect();
                assert_eq!(
                    rewritten(&wire.build(), side, SERVER, TransportChecksum::Full),
                    with(&wire, side, SERVER).build(),
                    "{len} {tcp} {side:?}"
                );
            }
        }
    }
}

/// Sets the last two octets of the payload so that the transport checksum comes out as 0.
fn with_checksum_zero(mut wire: Wire) -> Wire {
    wire.payload = vec![0; 4];
    let at = wire.checksum_at();
    let built = wire.build();
    // The sum of all else is the complement of the checksum; its own complement makes it all ones.
    wire.payload[2..].copy_from_slice(&built[at..at + 2]);
    wire
}

/// A checksum that comes out as 0 stands as 0 for TCP and as all ones for UDP, before and after.
#[test]
fn both_zeros() {
    for tcp in [true, false] {
        let zero = if tcp { [0, 0] } else { [0xff, 0xff] };
        let wire = with_checksum_zero(Wire::new(tcp));
        let at = wire.checksum_at();
        let bytes = wire.build();
        assert_eq!(bytes[at..at + 2], zero, "the test builds what it means to");
        for side in [Side::Source, Side::Destination] {
            // From it.
            let other = with(&wire, side, SERVER);
            let away = rewritten(&bytes, side, SERVER, TransportChecksum::Full);
            assert_eq!(away, other.build());
            assert_ne!(away[at..at + 2], zero);
            // And to it.
            let end = match side {
                Side::Source => wire.source,
                Side::Destination => wire.destination,
            };
            assert_eq!(rewritten(&away, side, end, TransportChecksum::Full), bytes);
        }
    }
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let mut wire = Wire::new(false);
    wire.unchecked = true;
    let at = wire.checksum_at();
    let bytes = rewritten(&wire.build(), Side::Source, SERVER, TransportChecksum::Full);
    assert_eq!(bytes[at..at + 2], [0, 0]);
    assert_eq!(bytes, with(&wire, Side::Source, SERVER).build());
}

/// A TCP checksum of 0 is a checksum like any other.
#[test]
fn tcp_has_no_missing_checksum() {
    let wire = with_checksum_zero(Wire::new(true));
    let bytes = rewritten(
        &wire.build(),
        Side::Destination,
        SERVER,
        TransportChecksum::Full,
    );
    let at = wire.checksum_at();
    assert_ne!(bytes[at..at + 2], [0, 0]);
}

#[test]
fn later_fragments_get_the_address_alone() {
    for tcp in [true, false] {
        for fragment in [0x0001, 0x2001, 0x1fff] {
            let mut wire = Wire::new(tcp);
            wire.options = vec![1; 4];
            wire.fragment = fragment;
            let before = wire.build();
            let after = rewritten(&before, Side::Destination, SERVER, TransportChecksum::Full);
            let expected = with(&wire, Side::Destination, SERVER).build();
            assert_eq!(after[..24], expected[..24]);
            assert_eq!(after[24..], before[24..]);
            // However little follows the header.
            let mut short = before[..24].to_vec();
            rewrite(
                &mut short,
                Side::Source,
                to(SERVER),
                TransportChecksum::Full,
            )
            .unwrap();
            assert_eq!(short[12..16], SERVER.0);
        }
    }
}

#[test]
fn the_first_fragment_carries_the_checksum_of_the_whole() {
    let mut wire = Wire::new(false);
    wire.payload = vec![0x5a; 1001];
    wire.fragment = 0x2000;
    let after = rewritten(
        &wire.build()[..128],
        Side::Source,
        SERVER,
        TransportChecksum::Full,
    );
    assert_eq!(after, with(&wire, Side::Source, SERVER).build()[..128]);
}

#[test]
fn only_the_headers_need_be_at_hand() {
    for tcp in [true, false] {
        let mut wire = Wire::new(tcp);
        wire.options = vec![1; 12];
        let whole = wire.build();
        let enough = 32 + if tcp { 20 } else { 8 };
        for len in 0..enough {
            let mut bytes = whole[..len].to_vec();
            let need = if len < 20 { 20 } else { enough };
            assert_eq!(
                rewrite(
                    &mut bytes,
                    Side::Source,
                    to(SERVER),
                    TransportChecksum::Full
                ),
                Err(ParseError::Truncated { need })
            );
            assert_eq!(bytes, whole[..len], "an error leaves the packet alone");
        }
        let head = rewritten(
            &whole[..enough],
            Side::Source,
            SERVER,
            TransportChecksum::Full,
        );
        assert_eq!(head, with(&wire, Side::Source, SERVER).build()[..enough]);

        wire.fragment = 1;
        let mut bytes = wire.build()[..31].to_vec();
        assert_eq!(
            rewrite(
                &mut bytes,
                Side::Source,
                to(SERVER),
                TransportChecksum::Full
            ),
            Err(ParseError::Truncated { need: 32 })
        );
        assert_eq!(bytes, wire.build()[..31]);
    }
}

#[test]
fn refusals_leave_the_packet_alone() {
    let good = Wire::new(true).build();
    let mut icmp = good.clone();
    icmp[9] = 1;
    let mut ipv6 = good.clone();
    ipv6[0] = 0x60;
    let mut short_header = good.clone();
    short_header[0] = 0x44;
    let v6 = Endpoint::new(Address::from_v6([0x20; 16]), 80);
    for (packet, end, error) in [
        (&icmp, to(SERVER), ParseError::NotOurs),
        (&ipv6, to(SERVER), ParseError::NotOurs),
        (&short_header, to(SERVER), ParseError::Malformed),
        (&good, v6, ParseError::NotOurs),
    ] {
        let mut bytes = packet.clone();
        let result = rewrite(&mut bytes, Side::Source, end, TransportChecksum::Full);
        assert_eq!(result, Err(error));
        assert_eq!(&bytes, packet);
    }
}

#[test]
fn ttl_counts_down_to_one() {
    for ttl in 0..=255 {
        let mut wire = Wire::new(true);
        wire.ttl = ttl;
        let mut bytes = wire.build();
        let before = bytes.clone();
        let result = decrement_ttl(&mut bytes);
        if ttl <= 1 {
            assert_eq!((result, &bytes), (Err(TtlExpired), &before));
        } else {
            wire.ttl -= 1;
            assert_eq!((result, bytes), (Ok(()), wire.build()));
        }
    }
}

#[test]
fn ttl_of_what_is_no_ipv4_header() {
    let mut bytes = Wire::new(true).build();
    assert_eq!(decrement_ttl(&mut bytes[..19]), Err(TtlExpired));
    assert_eq!(decrement_ttl(&mut bytes[..20]), Ok(()));
    assert_eq!(decrement_ttl(&mut []), Err(TtlExpired));
    bytes[0] = 0x65;
    let before = bytes.clone();
    assert_eq!(decrement_ttl(&mut bytes), Err(TtlExpired));
    assert_eq!(bytes, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A rewritten packet is, octet by octet, what building it anew gives.
    #[test]
    fn full_checksums(wire in wire(), end in endpoint(), source: bool) {
        let side = if source { Side::Source } else { Side::Destination };
        let other = with(&wire, side, end);
        let at = wire.checksum_at();
        prop_assert_eq!(
            rewritten(&wire.build(), side, end, TransportChecksum::Full),
            other.build()
        );
        // A checksum that was wrong stays wrong: damage is not repaired on the way.
        if wire.tcp {
            let mut damaged = wire.build();
            damaged[at] ^= 0x10;
            let after = rewritten(&damaged, side, end, TransportChecksum::Full);
            prop_assert_ne!(after, other.build());
        }
    }

    /// With the checksum left to the device, the field follows the pseudo-header.
    #[test]
    fn partial_checksums(wire in wire(), end in endpoint(), source: bool) {
        let side = if source { Side::Source } else { Side::Destination };
        prop_assert_eq!(
            rewritten(&wire.build_partial(), side, end, TransportChecksum::Partial),
            with(&wire, side, end).build_partial()
        );
    }

    #[test]
    fn there_and_back(wire in wire(), end in endpoint()) {
        let before = wire.build();
        let there = rewritten(&before, Side::Source, end, TransportChecksum::Full);
        let back = rewritten(&there, Side::Source, wire.source, TransportChecksum::Full);
        prop_assert_eq!(back, before);
    }

    #[test]
    fn ttl_keeps_the_header_sum(wire in wire()) {
        let mut bytes = wire.build();
        if decrement_ttl(&mut bytes).is_ok() {
            prop_assert_eq!(naive_sum(&bytes[..wire.header_len()]), 0xffff);
        }
    }

    #[test]
    fn nothing_panics(mut bytes: Vec<u8>, version in 0..3, source: bool, partial: bool) {
        match (version, bytes.as_mut_slice()) {
            (1, [first, ..]) => *first = 0x45,
            (2, [first, .., ]) => *first = 0x40 | (*first & 15),
            _ => {}
        }
        if let Some(protocol) = bytes.get_mut(9) {
            *protocol = if partial { 6 } else { 17 };
        }
        let side = if source { Side::Source } else { Side::Destination };
        let mode = if partial { TransportChecksum::Partial } else { TransportChecksum::Full };
        let before = bytes.clone();
        if rewrite(&mut bytes, side, to(SERVER), mode).is_err() {
            prop_assert_eq!(&bytes, &before);
        }
        let before = bytes.clone();
        if decrement_ttl(&mut bytes).is_err() {
            prop_assert_eq!(&bytes, &before);
        }
    }
}
