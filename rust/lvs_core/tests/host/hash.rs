// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::hash::{flow_hash, hash_apart, Apart, HashKey};
use lvs_core::{Address, Endpoint, Family};
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hasher};

const K0: u64 = 0x0706_0504_0302_0100;
const K1: u64 = 0x0f0e_0d0c_0b0a_0908;
const KEY: HashKey = HashKey::new(K0, K1);

/// SipHash-1-3 of the octets 0, 1, 2, … with the key 0, 1, …, 15. The tests of other
/// implementations have the same values. Here: for 7 octets and for 19.
#[test]
fn the_hash_has_the_published_values() {
    let v4 = Endpoint::new(Address::from_v4([3, 4, 5, 6]), 0x0102);
    let hash = flow_hash(&KEY, Family::V4, 0, v4);
    assert_eq!(hash.to_le_bytes(), [0x40, 0x11, 0xb1, 0x9b]);
    let v6 = core::array::from_fn(|n| n as u8 + 3);
    let v6 = Endpoint::new(Address::from_v6(v6), 0x0102);
    let hash = flow_hash(&KEY, Family::V6, 0, v6);
    assert_eq!(hash.to_le_bytes(), [0x1c, 0x7d, 0x29, 0x8d]);
}

/// The hasher of the standard library is SipHash-1-3 with a key of zeros.
fn standard(message: &[&[u8]]) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&message.concat());
    hasher.finish() as u32
}

#[test]
fn every_part_of_the_key_counts() {
    let client = Endpoint::new(Address::from_v4([192, 0, 2, 1]), 40000);
    let hash = |key: &HashKey| flow_hash(key, Family::V4, 6, client);
    for bit in 0..64 {
        let k0 = HashKey::new(K0 ^ (1 << bit), K1);
        let k1 = HashKey::new(K0, K1 ^ (1 << bit));
        assert_ne!(hash(&k0), hash(&KEY), "bit {bit} of k0");
        assert_ne!(hash(&k1), hash(&KEY), "bit {bit} of k1");
    }
}

/// Clients with neighboring addresses and ports spread over the buckets like random ones.
#[test]
fn neighboring_clients_spread_evenly() {
    const BUCKETS: usize = 1024;
    const CLIENTS: u32 = 64 * BUCKETS as u32;
    for shift in [0, 22] {
        let mut counts = [0u32; BUCKETS];
        for n in 0..CLIENTS {
            let address = Address::from_v4([10, 0, (n >> 8) as u8 & 15, n as u8]);
            let client = Endpoint::new(address, 32768 + (n >> 12) as u16);
            let hash = flow_hash(&KEY, Family::V4, 6, client);
            counts[(hash >> shift) as usize % BUCKETS] += 1;
        }
        let mean = f64::from(CLIENTS) / BUCKETS as f64;
        let squares: f64 = counts.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum();
        // Chi-squared with 1023 degrees of freedom: within five standard deviations of its mean.
        let chi = squares / mean;
        assert!(
            (797.0..1249.0).contains(&chi),
            "{chi} with bits from {shift}"
        );
    }
}

proptest! {
    #[test]
    fn the_hash_is_siphash_1_3(protocol: u8, port: u16, v4: [u8; 4], v6: [u8; 16]) {
        let key = HashKey::new(0, 0);
        let client = Endpoint::new(Address::from_v4(v4), port);
        prop_assert_eq!(
            flow_hash(&key, Family::V4, protocol, client),
            standard(&[&[protocol], &port.to_be_bytes(), &v4])
        );
        let client = Endpoint::new(Address::from_v6(v6), port);
        prop_assert_eq!(
            flow_hash(&key, Family::V6, protocol, client),
            standard(&[&[protocol], &port.to_be_bytes(), &v6])
        );
    }
}

#[test]
fn the_hash_apart_covers_both_ends() {
    let end = |last, port| Endpoint::new(Address::from_v4([192, 0, 2, last]), port);
    let hash = |apart, protocol, client, other| hash_apart(&KEY, apart, protocol, client, other);
    let (client, other) = (end(1, 40000), end(2, 80));
    let base = hash(Apart::Virtual, 6, client, other);
    for different in [
        hash(Apart::Server, 6, client, other),
        hash(Apart::Template, 6, client, other),
        hash(Apart::Virtual, 17, client, other),
        hash(Apart::Virtual, 6, end(3, 40000), other),
        hash(Apart::Virtual, 6, end(1, 40001), other),
        hash(Apart::Virtual, 6, client, end(3, 80)),
        hash(Apart::Virtual, 6, client, end(2, 81)),
        hash(Apart::Virtual, 6, other, client),
        hash_apart(&HashKey::new(K0, K1 ^ 1), Apart::Virtual, 6, client, other),
        flow_hash(&KEY, Family::V4, 6, client),
    ] {
        assert_ne!(different, base);
    }
    // The same message, hashed octet by octet by the standard library.
    let message: [&[u8]; 6] = [
        &40000u16.to_le_bytes(),
        &80u16.to_le_bytes(),
        &[6, Apart::Virtual as u8, 0, 0],
        &client.address.octets16(),
        &other.address.octets16(),
        &[],
    ];
    let zero = HashKey::new(0, 0);
    assert_eq!(
        hash_apart(&zero, Apart::Virtual, 6, client, other),
        standard(&message)
    );
}

/// One client port with connections to all ports of a service. The hash of both ends spreads them
/// over the buckets like random ones.
#[test]
fn ports_of_a_service_spread_evenly() {
    const BUCKETS: usize = 1024;
    let end = |last, port| Endpoint::new(Address::from_v4([192, 0, 2, last]), port);
    for apart in [Apart::Virtual, Apart::Server] {
        let mut counts = [0u32; BUCKETS];
        for port in 0..u16::MAX {
            let hash = hash_apart(&KEY, apart, 17, end(1, 40000), end(2, port));
            counts[hash as usize % BUCKETS] += 1;
        }
        let longest = counts.iter().max();
        assert!(longest < Some(&120), "{longest:?} of 64 on average");
    }
}
