// SPDX-License-Identifier: GPL-2.0-only

//! IPv6: the fixed header and the chain of extension headers.

use crate::wire::Wire;
use lvs_core::packet::{is_icmp, parse, Headers, ParseError};
use lvs_core::Family;

fn parsed(bytes: &[u8]) -> Result<Headers, ParseError> {
    parse(Family::V6, bytes)
}

/// A packet with these extension headers, each without its first octet.
fn with(tcp: bool, extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut wire = Wire::v6(tcp);
    wire.extensions = extensions
        .iter()
        .map(|(number, body)| (*number, body.to_vec()))
        .collect();
    wire.build()
}

/// The parsed headers, or the reason for their absence.
fn header_len(bytes: &[u8]) -> Result<u16, ParseError> {
    parsed(bytes).map(|packet| packet.network_header_len)
}

const PAD: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
const PAD_16: &[u8] = &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A routing header of type 4 with no segments left.
const ROUTED: &[u8] = &[0, 4, 0, 0, 0, 0, 0];
const ATOMIC: &[u8] = &[0, 0, 0, 1, 2, 3, 4];
/// An authentication header of 24 octets: its length counts 32-bit words and lacks two.
const AUTHENTICATION: &[u8] = &[
    4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8,
];

#[test]
fn each_extension_header_is_skipped_by_its_own_length() {
    for (extension, len) in [
        ((0, PAD), 8),
        ((0, PAD_16), 16),
        ((60, PAD), 8),
        ((60, PAD_16), 16),
        ((43, ROUTED), 8),
        ((44, ATOMIC), 8),
        ((51, AUTHENTICATION), 24),
    ] {
        for tcp in [true, false] {
            let packet = parsed(&with(tcp, &[extension])).unwrap();
            assert_eq!(packet.network_header_len, 40 + len, "{extension:?}");
            assert_eq!((packet.source.port, packet.destination.port), (40000, 80));
        }
    }
    // The second octet of a fragment header is reserved and is no length.
    let bytes = with(true, &[(44, &[0xff, 0, 0, 1, 2, 3, 4])]);
    assert_eq!(header_len(&bytes), Ok(48));
}

/// All headers of RFC 8200 section 4.1, in the recommended order.
#[test]
fn the_recommended_order_of_headers_is_read() {
    let bytes = with(
        true,
        &[
            (0, PAD),
            (60, PAD),
            (43, ROUTED),
            (44, ATOMIC),
            (51, AUTHENTICATION),
            (60, PAD_16),
        ],
    );
    assert_eq!(header_len(&bytes), Ok(40 + 4 * 8 + 24 + 16));
}

#[test]
fn hop_by_hop_options_come_first_or_not_at_all() {
    let bytes = with(true, &[(60, PAD), (0, PAD)]);
    assert_eq!(parsed(&bytes), Err(ParseError::Malformed));
    let bytes = with(true, &[(0, PAD), (0, PAD)]);
    assert_eq!(parsed(&bytes), Err(ParseError::Malformed));
}

/// With segments left, the packet's destination is only an intermediate node.
#[test]
fn a_packet_with_segments_left_is_refused() {
    for left in 1..=255 {
        let bytes = with(true, &[(43, &[0, 4, left, 0, 0, 0, 0])]);
        assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{left}");
    }
}

#[test]
fn fragment_headers_are_read() {
    let fragment = |field: u16, tcp| {
        let [high, low] = field.to_be_bytes();
        with(tcp, &[(44, &[0, high, low, 1, 2, 3, 4])])
    };
    for tcp in [true, false] {
        let first = parsed(&fragment(1, tcp)).unwrap();
        assert!(first.more_fragments);
        // Atomic fragments (RFC 6946) are whole packets. The two reserved bits have no meaning.
        for field in [0, 2, 4, 6] {
            let whole = parsed(&fragment(field, tcp)).unwrap();
            assert!(!whole.more_fragments, "{field:#06x}");
            assert_eq!(whole.network_header_len, 48);
        }
        for bit in 3..16 {
            for more in [0, 1] {
                let later = parsed(&fragment((1 << bit) | more, tcp));
                assert_eq!(later, Err(ParseError::Fragment), "offset bit {bit}");
            }
        }
    }
}

#[test]
fn later_fragments_of_other_protocols_are_refused() {
    // The next header of a fragment header is the first header of the original packet's
    // fragmentable part.
    for (next, expected) in [
        (6, ParseError::Fragment),
        (17, ParseError::Fragment),
        (60, ParseError::Fragment),
        (58, ParseError::NotOurs),
        (50, ParseError::NotOurs),
        (59, ParseError::NotOurs),
        (132, ParseError::Fragment),
    ] {
        let mut bytes = with(true, &[(44, &[0, 1, 0, 1, 2, 3, 4])]);
        bytes[40] = next;
        assert_eq!(parsed(&bytes), Err(expected), "{next}");
        // Few octets may follow.
        bytes[4..6].copy_from_slice(&[0, 9]);
        assert_eq!(parsed(&bytes[..49]), Err(expected), "{next}");
    }
}

/// RFC 7112: otherwise a filter and the host behind it may see different packets.
#[test]
fn the_first_fragment_must_have_the_whole_chain() {
    let mut bytes = with(
        true,
        &[(44, &[0, 0, 1, 1, 2, 3, 4]), (60, &[31, 1, 4, 0, 0, 0, 0])],
    );
    assert_eq!(parsed(&bytes), Err(ParseError::Malformed));
    // The chain is complete, but the header after it is not.
    bytes[49] = 0;
    let payload_len = 8 + 8 + 19_u16;
    bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
    assert_eq!(parsed(&bytes), Err(ParseError::Malformed));
    bytes[4..6].copy_from_slice(&(payload_len + 1).to_be_bytes());
    assert!(parsed(&bytes).unwrap().more_fragments);
}

#[test]
fn esp_no_next_header_and_unknown_numbers_are_refused() {
    for number in (0..=255).filter(|number| ![0, 6, 17, 43, 44, 51, 60, 132].contains(number)) {
        let mut bytes = Wire::v6(true).build();
        bytes[6] = number;
        assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{number}");
        let mut bytes = with(true, &[(60, PAD)]);
        bytes[40] = number;
        assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{number}");
        assert_eq!(is_icmp(Family::V6, &bytes), number == 58, "{number}");
    }
}

#[test]
fn overlong_chains_are_refused() {
    for count in 0..=20 {
        let bytes = with(true, &vec![(60, PAD); count]);
        match count {
            0..=8 => assert_eq!(header_len(&bytes), Ok(40 + 8 * count as u16)),
            _ => assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{count}"),
        }
    }
    // The transport header starts at offset 1280 at the latest.
    for units in 0..=255 {
        let mut options = vec![units];
        options.resize(usize::from(units) * 8 + 7, 0);
        let bytes = with(true, &[(60, &options)]);
        match units {
            0..=154 => assert_eq!(header_len(&bytes), Ok(48 + 8 * u16::from(units))),
            _ => assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{units}"),
        }
    }
}

/// A length beyond the packet is refused, no matter how much other memory follows.
#[test]
fn extension_header_offsets_beyond_the_packet() {
    for number in [0, 43, 51, 60] {
        for units in 0..=255 {
            let mut bytes = with(true, &[(number, &[0, 0, 0, 0, 0, 0, 0])]);
            bytes[41] = units;
            let payload = bytes.len() - 40;
            // Octets that look like the rest of the packet.
            bytes.resize(4096, 6);
            let len = match number {
                51 => 4 * (usize::from(units) + 2),
                _ => 8 * (usize::from(units) + 1),
            };
            let result = parsed(&bytes);
            if len + 20 > payload {
                assert_eq!(result, Err(ParseError::Malformed), "{number} {units}");
            }
            // An unsupported header cannot start there, either.
            bytes[40] = 58;
            assert_eq!(is_icmp(Family::V6, &bytes), len <= payload);
        }
    }
}

#[test]
fn the_payload_length_must_hold_the_headers() {
    for tcp in [true, false] {
        let least = if tcp { 8 + 20 } else { 8 + 26 };
        for payload_len in 0..=100_u16 {
            let mut bytes = with(tcp, &[(0, PAD)]);
            bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
            let result = parsed(&bytes);
            match payload_len {
                // Offloading made the segment too large for the field.
                0 if tcp => assert!(result.is_ok()),
                _ if payload_len < least => {
                    assert_eq!(result, Err(ParseError::Malformed), "{payload_len}");
                }
                _ => assert!(result.is_ok(), "{payload_len}"),
            }
        }
    }
}

/// The parser never requests octets of an extension header beyond the packet.
#[test]
fn a_packet_that_ends_in_an_extension_header_is_malformed() {
    let mut bytes = with(true, &[(60, PAD)]);
    for payload_len in 1..8 {
        bytes[5] = payload_len;
        let len = 40 + usize::from(payload_len);
        assert_eq!(parsed(&bytes[..len]), Err(ParseError::Malformed), "{len}");
    }
}

/// "BIG TCP", with the jumbo payload option (RFC 2675) of older kernels and without.
#[test]
fn payload_length_zero_is_a_big_tcp_segment() {
    let jumbo: &[u8] = &[0, 0xc2, 4, 0, 2, 0, 0];
    for (extensions, len) in [(vec![], 40), (vec![(0, jumbo)], 48)] {
        for tcp in [true, false] {
            let mut bytes = with(tcp, &extensions);
            bytes[4..6].copy_from_slice(&[0, 0]);
            let expected = if tcp {
                Ok(len)
            } else {
                Err(ParseError::Malformed)
            };
            assert_eq!(header_len(&bytes), expected);
        }
    }
}

/// `Address` stores IPv4 in this form, so such a packet would be taken for one of another
/// connection.
#[test]
fn packets_with_ipv4_mapped_addresses_are_refused() {
    for at in [8, 24] {
        let mut bytes = Wire::v6(true).build();
        bytes[at..at + 16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
        assert_eq!(parsed(&bytes), Err(ParseError::NotOurs));
        // The IPv4-compatible form is only deprecated.
        bytes[at + 10..at + 12].copy_from_slice(&[0, 0]);
        assert!(parsed(&bytes).is_ok());
    }
}

/// With too few octets, the parser names a sufficient number for the next header.
#[test]
fn truncation_names_the_missing_octets() {
    for tcp in [true, false] {
        let bytes = with(tcp, &[(0, PAD), (60, PAD_16), (44, ATOMIC)]);
        let enough = 72 + if tcp { 20 } else { 8 };
        for len in 0..bytes.len() {
            let need = match len {
                0..40 => 40,
                40..48 => 48,
                48..56 => 56,
                56..72 => 72,
                _ => enough,
            };
            let expected = match len < enough {
                true => Err(ParseError::Truncated { need }),
                false => parsed(&bytes),
            };
            assert_eq!(parsed(&bytes[..len]), expected, "{len}");
        }
    }
}

#[test]
fn other_versions_are_refused() {
    for version in (0..16).filter(|version| *version != 6) {
        let mut bytes = Wire::v6(true).build();
        bytes[0] = version << 4;
        assert_eq!(parsed(&bytes), Err(ParseError::NotOurs), "{version}");
        assert_eq!(parsed(&bytes[..1]), Err(ParseError::NotOurs), "{version}");
    }
    assert_eq!(
        parse(Family::V4, &Wire::v6(true).build()),
        Err(ParseError::NotOurs)
    );
}

#[test]
fn icmp_has_a_number_in_each_family() {
    for (family, number) in [(Family::V4, 1), (Family::V6, 58)] {
        for protocol in 0..=255 {
            let (mut bytes, at) = match family {
                Family::V4 => (Wire::new(true).build(), 9),
                Family::V6 => (Wire::v6(true).build(), 6),
            };
            bytes[at] = protocol;
            assert_eq!(is_icmp(family, &bytes), protocol == number, "{protocol}");
        }
    }
    let mut bytes = with(true, &[(0, PAD), (60, PAD)]);
    bytes[48] = 58;
    assert!(is_icmp(Family::V6, &bytes));
    assert!(!is_icmp(Family::V6, &bytes[..50]), "not known yet");
    assert!(!is_icmp(Family::V6, &[]) && !is_icmp(Family::V4, &[]));
}
