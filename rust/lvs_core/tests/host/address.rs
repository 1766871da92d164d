// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::{Address, Endpoint, Family, Protocol, Unsupported};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab];

#[test]
fn ipv4_is_stored_as_mapped_ipv6() {
    let address = Address::from_v4([192, 0, 2, 1]);
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
    assert_eq!(address.octets16(), mapped);
    assert_eq!(address, Address::from_v6(mapped));
    assert_eq!(address.v4(), Some([192, 0, 2, 1]));
    assert!(address.is_v4());
    assert_eq!(Address::UNSPECIFIED, Address::from_v4([0, 0, 0, 0]));
}

#[test]
fn only_the_mapped_prefix_makes_it_ipv4() {
    let mapped = Address::from_v4([192, 0, 2, 1]).octets16();
    for octet in 0..12 {
        let mut other = mapped;
        other[octet] ^= 1;
        let other = Address::from_v6(other);
        assert!(!other.is_v4(), "octet {octet}");
        assert_eq!(other.v4(), None, "octet {octet}");
    }
    assert!(!Address::from_v6([0; 16]).is_v4());
}

#[test]
fn addresses_of_a_family_are_compared_by_all_of_their_octets() {
    let v4 = [192, 0, 2, 1];
    for octet in 0..4 {
        let mut other = v4;
        other[octet] ^= 1;
        let (v4, other) = (Address::from_v4(v4), Address::from_v4(other));
        assert!(v4.is_like(v4, Family::V4));
        assert!(!v4.is_like(other, Family::V4), "octet {octet}");
    }
    for octet in 0..16 {
        let mut other = V6;
        other[octet] ^= 1;
        let (v6, other) = (Address::from_v6(V6), Address::from_v6(other));
        assert!(v6.is_like(v6, Family::V6));
        assert!(!v6.is_like(other, Family::V6), "octet {octet}");
    }
}

#[test]
fn size_and_alignment_are_two_words() {
    assert_eq!(size_of::<Address>(), 16);
    assert_eq!(align_of::<Address>(), 8);
}

#[test]
fn debug_texts_are_the_usual_ones() {
    let v4 = Endpoint::new(Address::from_v4([192, 0, 2, 1]), 80);
    let v6 = Endpoint::new(Address::from_v6(V6), 8080);
    assert_eq!(v4.to_string(), "192.0.2.1:80");
    assert_eq!(v4.address.to_string(), "192.0.2.1");
    assert_eq!(v6.to_string(), "[2001:db8::ab]:8080");
    assert_eq!(v6.address.to_string(), "2001:db8::ab");
}

#[test]
fn texts_for_proc() {
    let v4 = Endpoint::new(Address::from_v4([192, 0, 2, 1]), 80);
    let v6 = Endpoint::new(Address::from_v6(V6), 8080);
    assert_eq!(format!("{v4:X}"), "C0000201:0050");
    assert_eq!(format!("{:X}", v4.address), "C0000201");
    assert_eq!(format!("{:X}", Address::from_v4([0, 0, 0, 9])), "00000009");
    assert_eq!(
        format!("{v6:X}"),
        "[2001:0db8:0000:0000:0000:0000:0000:00ab]:1F90"
    );
    assert_eq!(
        format!("{:X}", v6.address),
        "2001:0db8:0000:0000:0000:0000:0000:00ab"
    );
}

#[test]
fn multicast_broadcast_and_unspecified_addresses_are_no_hosts() {
    for (octets, host) in [
        ([0, 0, 0, 0], false),
        ([0, 0, 0, 1], true),
        ([10, 0, 0, 1], true),
        ([127, 0, 0, 1], true),
        ([223, 255, 255, 255], true),
        ([224, 0, 0, 1], false),
        ([239, 255, 255, 255], false),
        ([255, 255, 255, 255], false),
    ] {
        assert_eq!(Address::from_v4(octets).is_host(), host, "{octets:?}");
    }
    let v6 = |text: &str| Address::from_v6(text.parse::<Ipv6Addr>().unwrap().octets());
    assert!(v6("2001:db8::1").is_host());
    assert!(!v6("::").is_host());
    assert!(!v6("ff02::1").is_host());
}

#[test]
fn families_and_protocols_have_their_numbers() {
    for number in 0..=u16::MAX {
        let expected = match number {
            2 => Ok(Family::V4),
            10 => Ok(Family::V6),
            _ => Err(Unsupported),
        };
        assert_eq!(Family::try_from(number), expected);
    }
    for number in 0..=u8::MAX {
        let expected = match number {
            6 => Ok(Protocol::Tcp),
            17 => Ok(Protocol::Udp),
            132 => Ok(Protocol::Sctp),
            _ => Err(Unsupported),
        };
        assert_eq!(Protocol::try_from(number), expected);
    }
    assert_eq!((Family::V4 as u8, Family::V6 as u8), (2, 10));
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    assert_eq!(protocols.map(|it| it as u8), [6, 17, 132]);
    assert_eq!(protocols.map(Protocol::name), ["TCP", "UDP", "SCTP"]);
}

proptest! {
    #[test]
    fn octets_come_back(v4: [u8; 4], v6: [u8; 16]) {
        prop_assert_eq!(Address::from_v4(v4).v4(), Some(v4));
        let address = Address::from_v6(v6);
        prop_assert_eq!(address.octets16(), v6);
        prop_assert_eq!(Address::from_words(address.to_words()), address);
        prop_assert_eq!(address.to_words().map(u64::to_ne_bytes).concat(), v6.to_vec());
    }

    #[test]
    fn texts_are_the_usual_ones(v4: [u8; 4], v6: [u8; 16]) {
        prop_assert_eq!(Address::from_v4(v4).to_string(), Ipv4Addr::from(v4).to_string());
        if Ipv6Addr::from(v6).to_ipv4_mapped().is_none() {
            prop_assert_eq!(Address::from_v6(v6).to_string(), Ipv6Addr::from(v6).to_string());
        }
    }
}

#[test]
fn family_and_octets_go_together() {
    let v4 = Address::from_v4([192, 0, 2, 1]);
    let v6 = Address::from_v6(V6);
    assert_eq!((v4.family(), v4.v6()), (Family::V4, None));
    assert_eq!((v6.family(), v6.v6()), (Family::V6, Some(V6)));
    assert_eq!((v6.v4(), v4.v4()), (None, Some([192, 0, 2, 1])));
}

/// The first bits of these octets, computed bit by bit.
fn prefix(octets: &[u8], len: u8) -> Vec<u8> {
    let mut masked = vec![0; octets.len()];
    for bit in 0..usize::from(len).min(octets.len() * 8) {
        masked[bit / 8] |= octets[bit / 8] & (0x80 >> (bit % 8));
    }
    masked
}

proptest! {
    #[test]
    fn a_prefix_keeps_the_first_bits(v4: [u8; 4], mut v6: [u8; 16], len: u8) {
        // Not IPv4-mapped, with any prefix.
        v6[0] |= 0x80;
        let len6 = len.max(1);
        let masked = Address::from_v4(v4).masked(len);
        prop_assert_eq!(masked.v4().unwrap().to_vec(), prefix(&v4, len));
        let masked = Address::from_v6(v6).masked(len6);
        prop_assert_eq!(masked.v6().unwrap().to_vec(), prefix(&v6, len6));
        let client = Address::from_v6(v6).persistence_client(len6.into());
        prop_assert_eq!(client, masked);
        // Without a network, the whole address counts.
        prop_assert_eq!(Address::from_v6(v6).persistence_client(128 + u32::from(len)), Address::from_v6(v6));
    }

    #[test]
    fn an_ipv4_netmask_is_any_four_octets(v4: [u8; 4], mask: [u8; 4]) {
        let netmask = u32::from_ne_bytes(mask);
        let expected: Vec<u8> = v4.iter().zip(mask).map(|(octet, mask)| octet & mask).collect();
        let client = Address::from_v4(v4).persistence_client(netmask);
        prop_assert_eq!(client.v4().unwrap().to_vec(), expected);
    }
}

#[test]
fn a_prefix_of_length_0_covers_every_address() {
    assert_eq!(Address::from_v6(V6).masked(0).octets16(), [0; 16]);
    assert_eq!(
        Address::from_v4([192, 0, 2, 1]).masked(0),
        Address::UNSPECIFIED
    );
}
