// SPDX-License-Identifier: GPL-2.0-only

//! A keyed hash of connections: SipHash (Aumasson and Bernstein, 2012) with one compression and
//! three finalization rounds. Without the key, an attacker cannot choose different inputs that
//! collide.

use crate::{Endpoint, Family};

/// The secret key of a hash table; fill it with random bits once.
#[derive(Clone, Copy)]
pub struct HashKey(SipHash);

impl HashKey {
    /// The key of these halves.
    #[inline]
    pub const fn new(k0: u64, k1: u64) -> Self {
        Self(SipHash([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]))
    }
}

/// The inner state of SipHash-1-3. A key is the state before any data.
#[derive(Clone, Copy)]
struct SipHash([u64; 4]);

impl SipHash {
    /// One SipRound.
    #[inline]
    fn round(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.0;
        v0 = v0.wrapping_add(v1);
        v2 = v2.wrapping_add(v3);
        v1 = v1.rotate_left(13) ^ v0;
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.rotate_left(32).wrapping_add(v3);
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.rotate_left(32);
        self.0 = [v0, v1, v2, v3];
    }

    /// Takes in eight octets, little-endian. The last block holds the message length in its top
    /// octet.
    #[inline]
    fn block(&mut self, m: u64) {
        let [_, _, _, v3] = &mut self.0;
        *v3 ^= m;
        self.round();
        let [v0, ..] = &mut self.0;
        *v0 ^= m;
    }

    /// The hash.
    #[inline(always)]
    fn finish(mut self) -> u64 {
        let [_, _, v2, _] = &mut self.0;
        *v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        let [v0, v1, v2, v3] = self.0;
        v0 ^ v1 ^ v2 ^ v3
    }
}

/// The hash of a connection by its client's end, under a secret key.
///
/// The message is protocol, port and address in network order. It has 7 octets for IPv4, which fill
/// one block together with the length, and 19 for IPv6. The length distinguishes the families.
#[inline(always)]
pub fn flow_hash(key: &HashKey, family: Family, protocol: u8, client: Endpoint) -> u32 {
    let HashKey(mut hash) = *key;
    let [high, low] = client.address.to_words().map(u64::from_le);
    // In the order of the octets, the lowest first: protocol, port, address, length.
    let begin = u64::from(protocol) | (u64::from(client.port.swap_bytes()) << 8);
    match family {
        Family::V4 => hash.block(begin | ((low >> 32) << 24) | (7 << 56)),
        Family::V6 => {
            hash.block(begin | (high << 24));
            hash.block((high >> 40) | (low << 24));
            hash.block((low >> 40) | (19 << 56));
        }
    }
    hash.finish() as u32
}

/// The end by which [`hash_apart`] distinguishes connections of one client's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Apart {
    /// The virtual address and port.
    Virtual = 1,
    /// The real server's address and port.
    Server,
    /// The service of a persistence template.
    Template,
}

/// The hash of a connection by both ends, under a secret key: `client` and, by `apart`, the `other`
/// end. Its values have nothing in common with those of [`flow_hash`].
#[must_use]
pub fn hash_apart(
    key: &HashKey,
    apart: Apart,
    protocol: u8,
    client: Endpoint,
    other: Endpoint,
) -> u32 {
    let HashKey(mut hash) = *key;
    let words = |endpoint: Endpoint| endpoint.address.to_words().map(u64::from_le);
    let ports = u64::from(client.port) | (u64::from(other.port) << 16);
    hash.block(ports | (u64::from(protocol) << 32) | ((apart as u64) << 40));
    for word in words(client).into_iter().chain(words(other)) {
        hash.block(word);
    }
    // The last block: no further octets, and a length that no other message has.
    hash.block(40 << 56);
    hash.finish() as u32
}

/// The hash of a text, under a secret key.
#[must_use]
pub fn hash_text(key: &HashKey, text: &[u8]) -> u32 {
    let HashKey(mut hash) = *key;
    for part in text.chunks(8) {
        let mut word = [0; 8];
        for (place, octet) in word.iter_mut().zip(part) {
            *place = *octet;
        }
        hash.block(u64::from_le_bytes(word));
    }
    // The length distinguishes texts that end with zeros.
    hash.block(text.len() as u64);
    hash.finish() as u32
}
