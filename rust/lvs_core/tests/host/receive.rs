// SPDX-License-Identifier: GPL-2.0-only

//! Which received headers are sound and ordinary.

use lvs_core::{
    packet::{parse_frequent, parse_plain, plain_protocol, IPV4_HEADER, IPV6_HEADER},
    receive::{length_v4, length_v6},
    Family,
};
use proptest::prelude::*;

/// The checksum of RFC 1071, by halfwords.
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn summed(mut header: [u8; IPV4_HEADER]) -> [u8; IPV4_HEADER] {
    header[10..12].copy_from_slice(&[0, 0]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// A UDP datagram of 46 octets, with DF.
fn v4() -> [u8; IPV4_HEADER] {
    summed([
        0x45, 0, 0, 46, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 9, 0, 1,
    ])
}

fn v6() -> [u8; IPV6_HEADER] {
    let mut header = [0; IPV6_HEADER];
    header[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 26, 17, 64]);
    header[8] = 0xfd;
    header[24] = 0xfd;
    header
}

fn v4_with(at: usize, octet: u8) -> [u8; IPV4_HEADER] {
    let mut header = v4();
    header[at] = octet;
    summed(header)
}

fn v6_with(at: usize, octet: u8) -> [u8; IPV6_HEADER] {
    let mut header = v6();
    header[at] = octet;
    header
}

#[test]
fn a_whole_packet_has_its_length() {
    assert_eq!(length_v4(&v4(), 46), Some(46));
    assert_eq!(length_v6(&v6(), 66), Some(66));
}

#[test]
fn padding_is_no_part_of_the_packet() {
    assert_eq!(length_v4(&v4(), 60), Some(46));
    assert_eq!(length_v6(&v6(), 80), Some(66));
}

#[test]
fn a_packet_that_is_cut_off_is_refused() {
    assert_eq!(length_v4(&v4(), 45), None);
    assert_eq!(length_v6(&v6(), 65), None);
    assert_eq!(length_v4(&v4_with(3, 19), 60), None);
}

#[test]
fn other_versions_and_options_are_refused() {
    for first in [0x44, 0x46, 0x4f, 0x55, 0x65, 0x05] {
        assert_eq!(length_v4(&v4_with(0, first), 60), None, "{first:x}");
    }
    for first in [0x40, 0x50, 0x70] {
        assert_eq!(length_v6(&v6_with(0, first), 66), None, "{first:x}");
    }
}

#[test]
fn fragments_are_refused() {
    for (at, octet) in [(6, 0x20), (6, 0x01), (6, 0x10), (7, 1), (7, 0xff)] {
        assert_eq!(length_v4(&v4_with(at, octet), 46), None, "{at} {octet:x}");
    }
    // Without DF, it is no fragment yet.
    assert_eq!(length_v4(&v4_with(6, 0), 46), Some(46));
}

#[test]
fn a_used_up_time_to_live_is_refused() {
    for ttl in [0, 1] {
        assert_eq!(length_v4(&v4_with(8, ttl), 46), None);
        assert_eq!(length_v6(&v6_with(7, ttl), 66), None);
    }
    assert_eq!(length_v4(&v4_with(8, 2), 46), Some(46));
    assert_eq!(length_v6(&v6_with(7, 2), 66), Some(66));
}

#[test]
fn a_multicast_source_is_refused() {
    assert_eq!(length_v6(&v6_with(8, 0xff), 66), None);
}

#[test]
fn a_loopback_source_is_refused() {
    assert_eq!(length_v4(&v4_with(12, 127), 46), None);
    let mut header = v6();
    header[8..24].fill(0);
    assert_eq!(length_v6(&header, 66), None, "unspecified");
    header[23] = 1;
    assert_eq!(length_v6(&header, 66), None, "loopback");
    // NAT64.
    header[8..12].copy_from_slice(&[0, 0x64, 0xff, 0x9b]);
    assert_eq!(length_v6(&header, 66), Some(66));
}

#[test]
fn a_jumbogram_is_refused() {
    assert_eq!(length_v6(&v6_with(5, 0), 100_000), None);
}

#[test]
fn a_wrong_checksum_is_refused() {
    for bit in 0..IPV4_HEADER * 8 {
        let mut header = v4();
        header[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(length_v4(&header, 60), None, "bit {bit}");
    }
}

proptest! {
    #[test]
    fn the_short_parser_reads_as_the_general_one(
        transport in proptest::collection::vec(any::<u8>(), 0..64),
        tcp: bool,
        right: bool,
        cut in 0..64_usize,
    ) {
        let protocol = if tcp { 6 } else { 17 };
        let mut transport = transport;
        if right && transport.len() >= 20 {
            let len = transport.len() as u8;
            transport[12] = 0x50;
            if !tcp {
                transport[4..6].copy_from_slice(&[0, len]);
            }
        }
        let visible = cut.min(transport.len());
        let mut header = v4_with(9, protocol);
        header[2..4].copy_from_slice(&((IPV4_HEADER + transport.len()) as u16).to_be_bytes());
        let header = summed(header);
        let len = length_v4(&header, 200).unwrap() as usize;
        let packet = [&header[..], &transport[..visible]].concat();
        let number = plain_protocol(Family::V4, &header).unwrap();
        prop_assert_eq!(number as u8, protocol);
        let plain = parse_plain(Family::V4, number, &packet, len);
        prop_assert_eq!(plain, parse_frequent(Family::V4, &packet));
        let mut header = v6_with(6, protocol);
        header[4..6].copy_from_slice(&(transport.len() as u16).to_be_bytes());
        let Some(len) = length_v6(&header, 200) else {
            return Ok(());
        };
        let packet = [&header[..], &transport[..visible]].concat();
        prop_assert_eq!(plain_protocol(Family::V6, &header), Some(number));
        let plain = parse_plain(Family::V6, number, &packet, len as usize);
        prop_assert_eq!(plain, parse_frequent(Family::V6, &packet));
        // Extension headers, and another protocol.
        prop_assert_eq!(plain_protocol(Family::V6, &v6_with(6, 0)), None);
        prop_assert_eq!(plain_protocol(Family::V4, &v4_with(9, 132)), None);
    }

    #[test]
    fn a_header_is_taken_if_its_checksum_is_right(
        mut header: [u8; IPV4_HEADER],
        right: bool,
    ) {
        header[0] = 0x45;
        header[2..4].copy_from_slice(&[0, 40]);
        header[6..8].copy_from_slice(&[0x40, 0]);
        header[8] = 64;
        if right {
            header = summed(header);
        }
        prop_assume!(header[12] != 127);
        let expected = (checksum(&header) == 0).then_some(40);
        prop_assert_eq!(length_v4(&header, 40), expected);
    }
}
