// SPDX-License-Identifier: GPL-2.0-only

use crate::wire::{to, wire, Wire};
use lvs_core::packet::{addresses_v4, addresses_v6, is_icmp, parse, Headers, ParseError, TcpFlags};
use lvs_core::{Address, Family, Protocol};
use proptest::prelude::*;

/// A SYN with the options of a common client, octet by octet.
#[rustfmt::skip]
const SYN: [u8; 60] = [
    0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0xb1, 0xe6,
    0xac, 0x10, 0x0a, 0x63, 0xac, 0x10, 0x0a, 0x0c,
    0x9c, 0x42, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00, 0x00,
    0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00,
    0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
];

/// The result of parsing a good packet with one changed 16-bit field.
fn parse_with(wire: &Wire, at: usize, field: u16) -> Result<Headers, ParseError> {
    let mut packet = wire.build();
    packet[at..at + 2].copy_from_slice(&field.to_be_bytes());
    parse(Family::V4, &packet)
}

#[test]
fn a_syn_is_read_octet_by_octet() {
    assert_eq!(
        parse(Family::V4, &SYN),
        Ok(Headers {
            family: Family::V4,
            protocol: Protocol::Tcp,
            source: to(([172, 16, 10, 99].into(), 40002)),
            destination: to(([172, 16, 10, 12].into(), 80)),
            network_header_len: 20,
            tcp_flags: TcpFlags::SYN,
            more_fragments: false,
        })
    );
}

#[test]
fn tcp_flags_are_octet_13() {
    for (bit, flag) in [
        (0x01, TcpFlags::FIN),
        (0x02, TcpFlags::SYN),
        (0x04, TcpFlags::RST),
        (0x08, TcpFlags::PSH),
        (0x10, TcpFlags::ACK),
    ] {
        let mut packet = SYN;
        packet[33] = bit;
        assert_eq!(parse(Family::V4, &packet).unwrap().tcp_flags, flag);
    }
    let both = TcpFlags::SYN | TcpFlags::ACK;
    assert_eq!(both.bits(), 0x12);
    assert_eq!(TcpFlags::from_bits(0x12), both);
    assert!(both.contains(TcpFlags::ACK) && both.contains(both));
    assert!(!TcpFlags::SYN.contains(both));
    assert!(TcpFlags::SYN.contains(TcpFlags::EMPTY));
    assert_eq!(both | TcpFlags::ACK, both);
    // PSH, URG, ECE and CWR may accompany data. SYN, FIN and RST make the segment another kind.
    for bits in 0..=u8::MAX {
        let data = bits & 0x10 != 0 && bits & 0x07 == 0;
        assert_eq!(TcpFlags::from_bits(bits).is_data(), data, "{bits:#04x}");
        // SYN, without ACK and RST.
        let opens = bits & 0x02 != 0 && bits & 0x14 == 0;
        assert_eq!(
            TcpFlags::from_bits(bits).opens_connection(),
            opens,
            "{bits:#04x}"
        );
    }
}

/// With too few octets, the parser names a sufficient number. With that number it continues.
#[test]
fn truncation_names_the_missing_octets() {
    for tcp in [true, false] {
        for options in [0, 4, 40] {
            let mut wire = Wire::new(tcp);
            wire.options = vec![1; options];
            let packet = wire.build();
            let enough = wire.header_len() + if tcp { 20 } else { 8 };
            for len in 0..packet.len() {
                let expected = match len {
                    0..20 => Err(ParseError::Truncated { need: 20 }),
                    _ if len < enough => Err(ParseError::Truncated { need: enough }),
                    _ => parse(Family::V4, &packet),
                };
                assert_eq!(
                    parse(Family::V4, &packet[..len]),
                    expected,
                    "{len} of {wire:?}"
                );
            }
            assert!(parse(Family::V4, &packet[..enough]).is_ok());
        }
    }
}

#[test]
fn other_versions_and_protocols_are_refused() {
    for version in (0..16).filter(|version| *version != 4) {
        let mut packet = SYN;
        packet[0] = (version << 4) | 5;
        assert_eq!(
            parse(Family::V4, &packet),
            Err(ParseError::NotOurs),
            "{version}"
        );
        assert_eq!(
            parse(Family::V4, &packet[..1]),
            Err(ParseError::NotOurs),
            "{version}"
        );
    }
    for protocol in (0..=255).filter(|protocol| ![6, 17, 132].contains(protocol)) {
        let mut packet = SYN;
        packet[9] = protocol;
        assert_eq!(
            parse(Family::V4, &packet),
            Err(ParseError::NotOurs),
            "{protocol}"
        );
        // The same holds for a fragment.
        packet[7] = 1;
        assert_eq!(
            parse(Family::V4, &packet),
            Err(ParseError::NotOurs),
            "{protocol}"
        );
    }
}

#[test]
fn a_header_length_below_20_is_malformed() {
    for words in 0..5 {
        let mut packet = SYN;
        packet[0] = 0x40 | words;
        assert_eq!(
            parse(Family::V4, &packet),
            Err(ParseError::Malformed),
            "{words}"
        );
    }
}

#[test]
fn the_total_length_must_hold_the_headers() {
    for tcp in [true, false] {
        let mut wire = Wire::new(tcp);
        wire.options = vec![1; 8];
        wire.payload = vec![];
        let least = (28 + wire.transport_header_len()) as u16;
        for total_len in 1..least {
            let parsed = parse_with(&wire, 2, total_len);
            assert_eq!(parsed, Err(ParseError::Malformed), "{total_len}");
        }
        assert_eq!(parse_with(&wire, 2, least).unwrap().destination.port, 80);
        // The slice may be shorter than the packet.
        assert_eq!(parse_with(&wire, 2, 65535).unwrap().destination.port, 80);
    }
}

#[test]
fn a_fragment_shorter_than_its_ip_header_is_malformed() {
    let mut wire = Wire::new(true);
    wire.fragment = 1;
    assert_eq!(parse_with(&wire, 2, 19), Err(ParseError::Malformed));
    assert_eq!(parse_with(&wire, 2, 20), Err(ParseError::Fragment));
}

/// The kernel clears the total length of a segment that is too large for the field.
#[test]
fn total_length_zero_is_a_big_tcp_segment() {
    let packet = parse_with(&Wire::new(true), 2, 0).unwrap();
    assert_eq!(packet.destination.port, 80);
    let udp = parse_with(&Wire::new(false), 2, 0);
    assert_eq!(udp, Err(ParseError::Malformed));
}

#[test]
fn the_tcp_header_length_must_fit() {
    let wire = Wire::new(true);
    let segment = (wire.build().len() - 20) as u16;
    for words in 0..16u16 {
        let parsed = parse_with(&wire, 32, words << 12);
        let fits = words >= 5 && words * 4 <= segment;
        match fits {
            true => assert!(parsed.is_ok(), "{words}"),
            false => assert_eq!(parsed, Err(ParseError::Malformed), "{words}"),
        }
    }
}

#[test]
fn the_udp_length_must_fit() {
    let wire = Wire::new(false);
    let whole = (wire.build().len() - 20) as u16;
    for len in 0..=whole + 3 {
        let parsed = parse_with(&wire, 24, len);
        match (8..=whole).contains(&len) {
            true => assert!(parsed.is_ok(), "{len}"),
            false => assert_eq!(parsed, Err(ParseError::Malformed), "{len}"),
        }
    }
    // The first fragment has only a part of the datagram.
    let mut wire = wire;
    wire.fragment = 0x2000;
    assert!(parse_with(&wire, 24, whole + 1000).unwrap().more_fragments);
    assert_eq!(parse_with(&wire, 24, 7), Err(ParseError::Malformed));
}

#[test]
fn flags_and_fragment_offset_are_read() {
    let wire = Wire::new(true);
    for bit in 0..13 {
        assert_eq!(
            parse_with(&wire, 6, 1 << bit),
            Err(ParseError::Fragment),
            "offset bit {bit}"
        );
    }
    let more = |field| parse_with(&wire, 6, field).unwrap().more_fragments;
    assert!(more(0x2000));
    // DF and the reserved bit have no effect here.
    assert!(!more(0) && !more(0x4000) && !more(0x8000));
}

proptest! {
    #[test]
    fn built_packets_can_be_read(wire in wire()) {
        let bytes = wire.build();
        let packet = parse(wire.family(), &bytes).unwrap();
        prop_assert_eq!(packet, Headers {
            family: wire.family(),
            protocol: if wire.tcp { Protocol::Tcp } else { Protocol::Udp },
            source: to(wire.source),
            destination: to(wire.destination),
            network_header_len: wire.header_len() as u16,
            tcp_flags: TcpFlags::from_bits(if wire.tcp { wire.tcp_flags } else { 0 }),
            more_fragments: false,
        });
        let (source, destination) = match wire.family() {
            Family::V4 => {
                let (source, destination) = addresses_v4(bytes.first_chunk().unwrap());
                (Address::from_v4(source), Address::from_v4(destination))
            }
            Family::V6 => {
                let (source, destination) = addresses_v6(bytes.first_chunk().unwrap());
                (Address::from_v6(source), Address::from_v6(destination))
            }
        };
        prop_assert_eq!(source, packet.source.address);
        prop_assert_eq!(destination, packet.destination.address);
        prop_assert!(!is_icmp(wire.family(), &bytes));
    }

    #[test]
    fn no_packet_causes_a_panic(
        wire in wire(),
        damage in proptest::collection::vec((0..90usize, any::<u8>()), 0..6),
        len in 0..400usize,
    ) {
        let mut bytes = wire.build();
        for (at, octet) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = octet;
            }
        }
        bytes.truncate(len);
        if let Err(ParseError::Truncated { need }) = parse(wire.family(), &bytes) {
            prop_assert!(need > bytes.len() && need <= 1300);
        }
    }

    #[test]
    fn no_noise_causes_a_panic(mut bytes: Vec<u8>) {
        for family in [Family::V4, Family::V6] {
            let _ = parse(family, &bytes);
            if let Some(first) = bytes.first_mut() {
                *first = if family == Family::V4 { 0x45 } else { 0x60 };
            }
            let _ = parse(family, &bytes);
        }
    }
}
