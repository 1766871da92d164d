// SPDX-License-Identifier: GPL-2.0-only

//! How addresses pick slots of the filter that recognizes packets of bystanders.
//!
//! The filter counts virtual addresses and real servers' addresses in arrays of counters. An
//! address always picks the same slot, so an empty slot proves that the address is not counted;
//! addresses that share a slot by chance cost a lookup.

use crate::Address;

/// log2 of the number of slots of an array: four for each of a thousand addresses.
const ORDER: u32 = 12;
/// The number of slots of an array.
pub const SLOTS: usize = 1 << ORDER;

/// The word of an address by which it picks slots: an IPv4 address in network byte order, or the
/// sum of the words of an IPv6 address.
#[inline(always)]
pub fn word(octets: &[u8]) -> u32 {
    let mut word: u32 = 0;
    let mut rest = octets;
    while let Some((four, tail)) = rest.split_first_chunk() {
        word = word.wrapping_add(u32::from_ne_bytes(*four));
        rest = tail;
    }
    word
}

/// The [`word`] of any address.
pub fn word_of(address: Address) -> u32 {
    match address.v4() {
        Some(octets) => word(&octets),
        None => word(&address.octets16()),
    }
}

/// The slot of a virtual address, by its [`word`].
#[inline(always)]
pub const fn virtual_slot(word: u32) -> usize {
    slot::<0x9e37_79b9>(word)
}

/// The slot of a real server's address, by its [`word`]. Its multiplier is another one, so that an
/// address of both kinds picks two different slots.
#[inline(always)]
pub const fn server_slot(word: u32) -> usize {
    slot::<0x85eb_ca6b>(word)
}

/// Multiplicative hashing (Knuth, "The Art of Computer Programming", section 6.4). It has no key:
/// an attacker who makes addresses collide gains nothing but lookups.
#[inline(always)]
const fn slot<const MULTIPLIER: u32>(word: u32) -> usize {
    (word.wrapping_mul(MULTIPLIER) >> (u32::BITS - ORDER)) as usize
}
