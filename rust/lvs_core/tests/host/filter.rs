// SPDX-License-Identifier: GPL-2.0-only

//! The filter's slots.

use lvs_core::filter::{server_slot, virtual_slot, word, word_of, SLOTS};
use lvs_core::Address;
use proptest::prelude::*;
use std::collections::HashSet;

proptest! {
    #[test]
    fn every_word_picks_a_slot_that_exists(word: u32) {
        prop_assert!(virtual_slot(word) < SLOTS);
        prop_assert!(server_slot(word) < SLOTS);
    }

    #[test]
    fn an_address_has_the_word_of_its_octets_in_a_packet(v4: [u8; 4], v6: [u8; 16]) {
        prop_assert_eq!(word_of(Address::from_v4(v4)), word(&v4));
        let address = Address::from_v6(v6);
        if !address.is_v4() {
            prop_assert_eq!(word_of(address), word(&v6));
        }
    }
}

#[test]
fn addresses_of_one_subnet_spread_over_the_slots() {
    for slot in [virtual_slot, server_slot] {
        let used: HashSet<_> = (0..=255)
            .map(|host| slot(word(&[192, 0, 2, host])))
            .collect();
        assert!(used.len() > 200, "{} slots for 256 addresses", used.len());
    }
}

#[test]
fn addresses_of_one_ipv6_subnet_spread_over_the_slots() {
    let mut octets = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut used = HashSet::new();
    for host in 0..=255 {
        octets[15] = host;
        used.insert(virtual_slot(word(&octets)));
    }
    assert!(used.len() > 200, "{} slots for 256 addresses", used.len());
}
