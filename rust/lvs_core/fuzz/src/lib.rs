// SPDX-License-Identifier: GPL-2.0-only

//! The guarantees of lvs_core's parsers and rewriters for any input. Each fuzz target has a module
//! with a function `run`. The fuzzer calls it with generated inputs, the host tests call it with
//! the corpus.
//!
//! Nothing here may need the fuzzer. No expectation may come from the code under test: `verify`
//! computes the correct results.

pub mod ftp;
pub mod icmp;
pub mod netlink;
pub mod packet;
pub mod regions;
pub mod rewrite;
pub mod sip;
pub mod sync;
pub mod sync_join;
pub mod tunnel;
pub mod verify;

use lvs_core::rewrite::Side;
use lvs_core::{Address, Endpoint, Family};
use std::ops::Range;

/// The first octets select an operation of the target; the others are a packet.
struct Orders<'a> {
    bits: u8,
    rest: &'a [u8],
}

impl<'a> Orders<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let (bits, rest) = data.split_first()?;
        Some(Self { bits: *bits, rest })
    }

    /// The next bit of the first octet.
    fn bit(&mut self) -> bool {
        let bit = self.bits & 1 == 1;
        self.bits >>= 1;
        bit
    }

    fn family(&mut self) -> Family {
        if self.bit() {
            Family::V6
        } else {
            Family::V4
        }
    }

    fn side(&mut self) -> Side {
        if self.bit() {
            Side::Source
        } else {
            Side::Destination
        }
    }

    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*octets)
    }

    fn number(&mut self) -> Option<u16> {
        self.octets().map(u16::from_be_bytes)
    }

    fn address(&mut self, family: Family) -> Option<Address> {
        match family {
            Family::V4 => self.octets().map(Address::from_v4),
            Family::V6 => self.octets().map(Address::from_v6),
        }
    }

    fn endpoint(&mut self, family: Family) -> Option<Endpoint> {
        Some(Endpoint::new(self.address(family)?, self.number()?))
    }
}

/// The octets of an address.
fn octets(address: Address) -> Vec<u8> {
    match address.v4() {
        Some(octets) => octets.to_vec(),
        None => address.octets16().to_vec(),
    }
}

/// The offset of an IP header's checksum.
fn ip_checksum(family: Family) -> Range<usize> {
    match family {
        Family::V4 => 10..12,
        Family::V6 => 0..0,
    }
}

/// Asserts that the packets differ only in these places.
fn same_but(before: &[u8], after: &[u8], places: &[Range<usize>]) {
    assert_eq!(before.len(), after.len());
    for (at, (old, new)) in before.iter().zip(after).enumerate() {
        let allowed = places.iter().any(|place| place.contains(&at));
        assert!(
            allowed || old == new,
            "octet {at}: {old:#04x} became {new:#04x}"
        );
    }
}

/// Asserts that correct checksums stayed correct and wrong ones stayed wrong.
fn same_checksums(before: &[u8], after: &[u8]) {
    assert_eq!(verify::checksums(before), verify::checksums(after));
}
