// SPDX-License-Identifier: GPL-2.0-only

//! Packets of ESP and AH are read as packets of the ISAKMP flow between their hosts.

use lvs_core::packet::{ipsec::parse, ParseError, TcpFlags};
use lvs_core::rewrite::{readdress, Side};
use lvs_core::{checksum, Address, Family, Protocol};

fn v4(protocol: u8, fragment: u16) -> Vec<u8> {
    let [high, low] = fragment.to_be_bytes();
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, high, low, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 10, 1, 0, 100]);
    let check = checksum::checksum(&packet);
    packet[10..12].copy_from_slice(&check.to_be_bytes());
    packet.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    packet
}

fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet[5] = rest.len() as u8;
    packet.extend([0xfd; 16]);
    packet.extend([0xfc; 16]);
    packet.extend(rest);
    packet
}

#[test]
fn esp_and_ah_have_the_ports_of_isakmp() {
    for (protocol, covers_addresses) in [(50, false), (51, true)] {
        // Fragments have the same addresses.
        for fragment in [0, 0x2000, 5, 0x4000] {
            let related = parse(Family::V4, &v4(protocol, fragment)).unwrap();
            assert_eq!(related.covers_addresses, covers_addresses);
            let flow = related.flow;
            assert_eq!(
                (flow.protocol, flow.tcp_flags),
                (Protocol::Udp, TcpFlags::EMPTY)
            );
            assert_eq!((flow.source.port, flow.destination.port), (500, 500));
            assert_eq!(flow.source.address, Address::from_v4([10, 0, 0, 1]));
            assert_eq!(flow.destination.address, Address::from_v4([10, 1, 0, 100]));
            assert_eq!(flow.network_header_len, 20);
        }
    }
    let esp = [1, 2, 3, 4, 5, 6, 7, 8];
    let flow = parse(Family::V6, &v6(50, &esp)).unwrap().flow;
    assert_eq!(flow.source.address, Address::from_v6([0xfd; 16]));
    assert_eq!(flow.destination.address, Address::from_v6([0xfc; 16]));
    assert_eq!(flow.network_header_len, 40);
    // Behind an extension header; as a later fragment.
    for extension in [[50, 0, 1, 4, 0, 0, 0, 0], [50, 0, 0, 8, 0, 0, 0, 1]] {
        let next = if extension[2] == 1 { 60 } else { 44 };
        let packet = v6(next, &[extension, esp].concat());
        assert_eq!(
            parse(Family::V6, &packet).unwrap().flow.network_header_len,
            48
        );
    }
}

#[test]
fn other_protocols_and_broken_headers_are_not_read() {
    for protocol in (0..=255).filter(|protocol| ![50, 51].contains(protocol)) {
        assert_eq!(
            parse(Family::V4, &v4(protocol, 0)),
            Err(ParseError::NotOurs),
            "{protocol}"
        );
    }
    // AH is an extension header in IPv6, and TCP follows.
    let ah = [6, 1, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1];
    let packet = v6(51, &[&ah[..], &[0; 20]].concat());
    assert_eq!(parse(Family::V6, &packet), Err(ParseError::NotOurs));
    let whole = v4(50, 0);
    for len in 1..20 {
        assert_eq!(
            parse(Family::V4, &whole[..len]),
            Err(ParseError::Truncated { need: 20 })
        );
    }
    for (at, value) in [(0, 0x44), (3, 19)] {
        let mut broken = whole.clone();
        broken[at] = value;
        assert_eq!(parse(Family::V4, &broken), Err(ParseError::Malformed));
    }
    assert_eq!(parse(Family::V6, &whole), Err(ParseError::NotOurs));
}

#[test]
fn an_address_is_replaced_and_nothing_behind_it() {
    let mut packet = v4(50, 0);
    let related = parse(Family::V4, &packet).unwrap();
    let server = Address::from_v4([10, 2, 0, 11]);
    readdress(&mut packet, &related.flow, Side::Destination, server).unwrap();
    assert_eq!(packet[16..20], [10, 2, 0, 11]);
    assert_eq!(packet[20..], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(checksum::checksum(&packet[..20]), 0);
    let mut six = v6(50, &[0; 8]);
    let related = parse(Family::V6, &six).unwrap();
    assert_eq!(
        readdress(&mut six, &related.flow, Side::Source, server),
        Err(ParseError::NotOurs)
    );
}
