// SPDX-License-Identifier: GPL-2.0-only

use crate::wire::{naive_sum, to, wire, wire_and_end, End, Wire};
use lvs_core::packet::{parse, Headers, ParseError, TcpFlags};
use lvs_core::rewrite::{decrement_ttl, forward, rewrite, Side, TransportChecksum, TtlExpired};
use lvs_core::{Family, Protocol};
use proptest::prelude::*;

/// A server of this family.
fn server(family: Family) -> End {
    match family {
        Family::V4 => ([10, 1, 2, 3].into(), 8080),
        Family::V6 => ("fd00::1:2:3".parse().unwrap(), 8080),
    }
}

/// Packets of both families and protocols.
fn wires() -> [Wire; 4] {
    [
        Wire::new(true),
        Wire::new(false),
        Wire::v6(true),
        Wire::v6(false),
    ]
}

/// The same packet, built with another end.
fn with(wire: &Wire, side: Side, end: End) -> Wire {
    let mut wire = wire.clone();
    match side {
        Side::Source => wire.source = end,
        Side::Destination => wire.destination = end,
    }
    wire
}

/// The parsed headers of this packet.
fn headers(wire: &Wire) -> Headers {
    parse(wire.family(), &wire.build()).unwrap()
}

fn rewritten(wire: &Wire, bytes: &[u8], side: Side, end: End, mode: TransportChecksum) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    rewrite(&mut bytes, &headers(wire), side, to(end), mode).unwrap();
    bytes
}

#[test]
fn every_payload_length_is_rewritten_for_both_sides_and_protocols() {
    for len in 0..=65 {
        for mut wire in wires() {
            wire.payload = (0..len).map(|n| n as u8 ^ 0xa5).collect();
            let server = server(wire.family());
            for side in [Side::Source, Side::Destination] {
                assert_eq!(
                    rewritten(&wire, &wire.build(), side, server, TransportChecksum::Full),
                    with(&wire, side, server).build(),
                    "{side:?} {wire:?}"
                );
            }
        }
    }
}

/// Sets the last two octets of the payload so that the transport checksum is 0.
fn with_checksum_zero(mut wire: Wire) -> Wire {
    wire.payload = vec![0; 4];
    let at = wire.checksum_at();
    let built = wire.build();
    // The sum of everything else is the complement of the checksum. Adding the checksum gives all
    // ones.
    wire.payload[2..].copy_from_slice(&built[at..at + 2]);
    wire
}

/// A checksum of 0 is written as 0 for TCP and as all ones for UDP, before and after the rewrite.
#[test]
fn both_zeros_of_a_checksum_are_right() {
    for wire in wires() {
        let zero = if wire.tcp { [0, 0] } else { [0xff, 0xff] };
        let wire = with_checksum_zero(wire);
        let server = server(wire.family());
        let at = wire.checksum_at();
        let bytes = wire.build();
        assert_eq!(bytes[at..at + 2], zero, "the test builds what it means to");
        for (side, end) in [
            (Side::Source, wire.source),
            (Side::Destination, wire.destination),
        ] {
            // Away from it.
            let other = with(&wire, side, server);
            let away = rewritten(&wire, &bytes, side, server, TransportChecksum::Full);
            assert_eq!(away, other.build());
            assert_ne!(away[at..at + 2], zero);
            // Back to it.
            let back = rewritten(&other, &away, side, end, TransportChecksum::Full);
            assert_eq!(back, bytes);
        }
    }
}

/// This also holds for IPv6, where tunnels may leave the checksum out (RFC 6935).
#[test]
fn udp_without_a_checksum_gets_none() {
    for mut wire in [Wire::new(false), Wire::v6(false)] {
        wire.unchecked = true;
        let at = wire.checksum_at();
        let server = server(wire.family());
        let full = TransportChecksum::Full;
        let bytes = rewritten(&wire, &wire.build(), Side::Source, server, full);
        assert_eq!(bytes[at..at + 2], [0, 0]);
        assert_eq!(bytes, with(&wire, Side::Source, server).build());
    }
}

/// A TCP checksum of 0 is a checksum like any other.
#[test]
fn a_tcp_checksum_of_zero_is_a_checksum() {
    for wire in [Wire::new(true), Wire::v6(true)] {
        let wire = with_checksum_zero(wire);
        let server = server(wire.family());
        let full = TransportChecksum::Full;
        let bytes = rewritten(&wire, &wire.build(), Side::Destination, server, full);
        let at = wire.checksum_at();
        assert_ne!(bytes[at..at + 2], [0, 0]);
    }
}

#[test]
fn the_first_fragment_carries_the_checksum_of_the_whole() {
    let mut v4 = Wire::new(false);
    v4.fragment = 0x2000;
    let mut v6 = Wire::v6(false);
    v6.extensions = vec![(44, vec![0, 0, 1, 0, 0, 0, 7])];
    for mut wire in [v4, v6] {
        wire.payload = vec![0x5a; 1001];
        let server = server(wire.family());
        let first = &wire.build()[..128];
        let full = TransportChecksum::Full;
        let after = rewritten(&wire, first, Side::Source, server, full);
        assert_eq!(after, with(&wire, Side::Source, server).build()[..128]);
    }
}

#[test]
fn a_slice_with_only_the_headers_is_enough() {
    for mut wire in wires() {
        match wire.family() {
            Family::V4 => wire.options = vec![1; 12],
            Family::V6 => wire.extensions = vec![(60, vec![0, 1, 4, 0, 0, 0, 0])],
        }
        let whole = wire.build();
        let packet = headers(&wire);
        let end = server(wire.family());
        let full = TransportChecksum::Full;
        let need = wire.header_len() + if wire.tcp { 20 } else { 8 };
        for len in 0..need {
            let mut bytes = whole[..len].to_vec();
            let result = rewrite(&mut bytes, &packet, Side::Source, to(end), full);
            assert_eq!(result, Err(ParseError::Truncated { need }));
            assert_eq!(bytes, whole[..len], "an error leaves the packet alone");
        }
        let head = rewritten(&wire, &whole[..need], Side::Source, end, full);
        assert_eq!(head, with(&wire, Side::Source, end).build()[..need]);
    }
}

#[test]
fn refusals_leave_the_packet_alone() {
    for wire in wires() {
        let other = match wire.family() {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        let mut bytes = wire.build();
        let end = to(server(other));
        let packet = headers(&wire);
        let result = rewrite(
            &mut bytes,
            &packet,
            Side::Source,
            end,
            TransportChecksum::Full,
        );
        assert_eq!(result, Err(ParseError::NotOurs));
        assert_eq!(bytes, wire.build());
    }
}

/// The parser has found the start of the transport header. The rewrite does not read it again from
/// the packet, whose memory may be shared and may have changed.
#[test]
fn ihl_is_not_re_read_after_a_check() {
    for ihl in 0..16 {
        let wire = Wire::new(true);
        let mut bytes = wire.build();
        bytes[0] = 0x40 | ihl;
        let end = server(Family::V4);
        let after = rewritten(&wire, &bytes, Side::Source, end, TransportChecksum::Full);
        let expected = with(&wire, Side::Source, end).build();
        assert_eq!(after[1..], expected[1..]);
        assert_eq!(after[0], bytes[0]);
    }
}

#[test]
fn a_ttl_above_one_is_decremented() {
    for mut wire in wires() {
        for ttl in 0..=255 {
            wire.ttl = ttl;
            let mut bytes = wire.build();
            let before = bytes.clone();
            let result = decrement_ttl(wire.family(), &mut bytes);
            if ttl <= 1 {
                assert_eq!((result, &bytes), (Err(TtlExpired), &before));
            } else {
                wire.ttl -= 1;
                assert_eq!((result, bytes), (Ok(()), wire.build()));
            }
        }
    }
}

#[test]
fn a_ttl_outside_a_header_is_not_decremented() {
    for wire in wires() {
        let family = wire.family();
        let whole = wire.build();
        let fixed = wire.fixed_len();
        for len in [0, 1, 8, fixed - 1] {
            let mut bytes = whole[..len].to_vec();
            assert_eq!(decrement_ttl(family, &mut bytes), Err(TtlExpired));
            assert_eq!(bytes, whole[..len]);
        }
        assert_eq!(decrement_ttl(family, &mut whole[..fixed].to_vec()), Ok(()));
        let mut bytes = whole;
        bytes[0] ^= 0x20;
        let before = bytes.clone();
        assert_eq!(decrement_ttl(family, &mut bytes), Err(TtlExpired));
        assert_eq!(bytes, before);
    }
}

#[test]
fn a_ttl_of_one_is_not_forwarded() {
    for mut wire in wires() {
        for ttl in 0..=3 {
            wire.ttl = ttl;
            let (before, end) = (wire.build(), server(wire.family()));
            let mut bytes = before.clone();
            let (packet, full) = (headers(&wire), TransportChecksum::Full);
            let result = forward(&mut bytes, &packet, Side::Destination, to(end), full);
            if ttl <= 1 {
                assert_eq!((result, bytes), (Err(ParseError::Malformed), before));
            } else {
                let mut after = with(&wire, Side::Destination, end);
                after.ttl -= 1;
                assert_eq!((result, bytes), (Ok(()), after.build()));
            }
        }
    }
}

/// Headers that a parser could return for another packet.
fn any_packet() -> impl Strategy<Value = Headers> {
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    let len = prop_oneof![0..100_u16, any::<u16>()];
    (family, protocol, len).prop_map(|(family, protocol, network_header_len)| Headers {
        family,
        protocol,
        source: to(server(family)),
        destination: to(server(family)),
        network_header_len,
        tcp_flags: TcpFlags::EMPTY,
        more_fragments: false,
    })
}

fn side_of(source: bool) -> Side {
    if source {
        Side::Source
    } else {
        Side::Destination
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A rewritten packet equals a new one, octet by octet.
    #[test]
    fn a_rewritten_packet_equals_a_new_one((wire, end) in wire_and_end(), source: bool) {
        let side = side_of(source);
        let other = with(&wire, side, end);
        let at = wire.checksum_at();
        prop_assert_eq!(
            rewritten(&wire, &wire.build(), side, end, TransportChecksum::Full),
            other.build()
        );
        // A wrong checksum stays wrong: a rewrite does not hide damage.
        if wire.tcp {
            let mut damaged = wire.build();
            damaged[at] ^= 0x10;
            let after = rewritten(&wire, &damaged, side, end, TransportChecksum::Full);
            prop_assert_ne!(after, other.build());
        }
    }

    /// If the device completes the checksum, the field follows the pseudo-header.
    #[test]
    fn partial_checksums_follow_the_pseudo_header((wire, end) in wire_and_end(), source: bool) {
        let side = side_of(source);
        let before = wire.build_partial();
        prop_assert_eq!(
            rewritten(&wire, &before, side, end, TransportChecksum::Partial),
            with(&wire, side, end).build_partial()
        );
    }

    #[test]
    fn the_reverse_rewrite_restores_the_packet((wire, end) in wire_and_end()) {
        let (side, full) = (Side::Source, TransportChecksum::Full);
        let before = wire.build();
        let there = rewritten(&wire, &before, side, end, full);
        let back = rewritten(&with(&wire, side, end), &there, side, wire.source, full);
        prop_assert_eq!(back, before);
    }

    #[test]
    fn a_decremented_ttl_keeps_the_header_checksum_right(wire in wire()) {
        let mut bytes = wire.build();
        if decrement_ttl(wire.family(), &mut bytes).is_ok() && wire.family() == Family::V4 {
            prop_assert_eq!(naive_sum(&bytes[..wire.header_len()]), 0xffff);
        }
    }

    #[test]
    fn a_forwarded_packet_equals_a_new_one((wire, end) in wire_and_end(), source: bool) {
        let side = side_of(source);
        let mut bytes = wire.build();
        let full = TransportChecksum::Full;
        let result = forward(&mut bytes, &headers(&wire), side, to(end), full);
        let mut other = with(&wire, side, end);
        if wire.ttl <= 1 {
            prop_assert_eq!((result, bytes), (Err(ParseError::Malformed), wire.build()));
        } else {
            other.ttl -= 1;
            prop_assert_eq!((result, bytes), (Ok(()), other.build()));
        }
    }

    /// This holds even with the headers of another packet.
    #[test]
    fn no_input_causes_a_panic(
        mut bytes: Vec<u8>,
        packet in any_packet(),
        to_v4: bool,
        source: bool,
        partial: bool,
    ) {
        let mode = if partial { TransportChecksum::Partial } else { TransportChecksum::Full };
        let end = to(server(if to_v4 { Family::V4 } else { Family::V6 }));
        let before = bytes.clone();
        if rewrite(&mut bytes, &packet, side_of(source), end, mode).is_err() {
            prop_assert_eq!(&bytes, &before);
        }
        let before = bytes.clone();
        if forward(&mut bytes, &packet, side_of(source), end, mode).is_err() {
            prop_assert_eq!(&bytes, &before);
        }
        let before = bytes.clone();
        if decrement_ttl(packet.family, &mut bytes).is_err() {
            prop_assert_eq!(&bytes, &before);
        }
    }
}
