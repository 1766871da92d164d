// SPDX-License-Identifier: GPL-2.0-only

//! Builds packets for the tests, every checksum computed over all the data.

use proptest::prelude::*;

/// A TCP or UDP packet to build.
#[derive(Clone, Debug)]
pub struct Wire {
    pub tcp: bool,
    pub source: ([u8; 4], u16),
    pub destination: ([u8; 4], u16),
    /// IP options, a multiple of four octets.
    pub options: Vec<u8>,
    /// TCP options, a multiple of four octets.
    pub tcp_options: Vec<u8>,
    pub tcp_flags: u8,
    pub ttl: u8,
    /// The 16 bits of flags and fragment offset.
    pub fragment: u16,
    pub payload: Vec<u8>,
    /// Leave the UDP checksum out.
    pub unchecked: bool,
}

/// The ones-complement sum, word by word with the carry put back at each step.
pub fn naive_sum(data: &[u8]) -> u16 {
    let mut sum: u16 = 0;
    for pair in data.chunks(2) {
        let word = u16::from(pair[0]) * 256 + pair.get(1).map_or(0, |low| u16::from(*low));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}

impl Wire {
    pub fn new(tcp: bool) -> Self {
        Self {
            tcp,
            source: ([192, 0, 2, 77], 40000),
            destination: ([198, 51, 100, 1], 80),
            options: vec![],
            tcp_options: vec![],
            tcp_flags: 0x10,
            ttl: 64,
            fragment: 0x4000,
            payload: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            unchecked: false,
        }
    }

    pub fn header_len(&self) -> usize {
        20 + self.options.len()
    }

    /// Octets of TCP (with options) or UDP header.
    pub fn transport_header_len(&self) -> usize {
        if self.tcp {
            20 + self.tcp_options.len()
        } else {
            8
        }
    }

    /// Offset of the transport checksum.
    pub fn checksum_at(&self) -> usize {
        self.header_len() + if self.tcp { 16 } else { 6 }
    }

    fn total_len(&self) -> usize {
        self.header_len() + self.transport_header_len() + self.payload.len()
    }

    /// The pseudo-header of RFC 9293 and RFC 768.
    fn pseudo_header(&self) -> Vec<u8> {
        let len = self.total_len() - self.header_len();
        let mut pseudo = [self.source.0, self.destination.0].concat();
        pseudo.extend([0, if self.tcp { 6 } else { 17 }]);
        pseudo.extend((len as u16).to_be_bytes());
        pseudo
    }

    fn transport(&self) -> Vec<u8> {
        let mut out = vec![];
        out.extend(self.source.1.to_be_bytes());
        out.extend(self.destination.1.to_be_bytes());
        if self.tcp {
            out.extend([1, 2, 3, 4, 5, 6, 7, 8]);
            out.push(((self.transport_header_len() / 4) << 4) as u8);
            out.extend([self.tcp_flags, 0xfa, 0xf0, 0, 0, 0, 0]);
            out.extend(&self.tcp_options);
        } else {
            out.extend(((8 + self.payload.len()) as u16).to_be_bytes());
            out.extend([0, 0]);
        }
        out.extend(&self.payload);
        out
    }

    /// The packet, with the sum of the pseudo-header alone in the checksum field.
    pub fn build_partial(&self) -> Vec<u8> {
        let sum = naive_sum(&self.pseudo_header());
        self.build_with(sum)
    }

    /// The packet.
    pub fn build(&self) -> Vec<u8> {
        let all = [self.pseudo_header(), self.transport()].concat();
        let check = match (self.tcp, !naive_sum(&all)) {
            (false, _) if self.unchecked => 0,
            (false, 0) => 0xffff,
            (_, check) => check,
        };
        self.build_with(check)
    }

    /// The packet with this in the transport checksum's field.
    pub fn build_with(&self, transport_check: u16) -> Vec<u8> {
        let mut out = vec![0x40 | (self.header_len() / 4) as u8, 0];
        out.extend((self.total_len() as u16).to_be_bytes());
        out.extend([0xbe, 0xef]);
        out.extend(self.fragment.to_be_bytes());
        out.extend([self.ttl, if self.tcp { 6 } else { 17 }, 0, 0]);
        out.extend(self.source.0);
        out.extend(self.destination.0);
        out.extend(&self.options);
        let check = !naive_sum(&out);
        out[10..12].copy_from_slice(&check.to_be_bytes());
        out.extend(self.transport());
        let at = self.checksum_at();
        out[at..at + 2].copy_from_slice(&transport_check.to_be_bytes());
        out
    }
}

/// Octets that favour the extremes, where the ends of ones-complement arithmetic lie.
pub fn octet() -> impl Strategy<Value = u8> {
    prop_oneof![2 => any::<u8>(), 1 => Just(0), 1 => Just(0xff)]
}

/// An address and a port.
pub fn endpoint() -> impl Strategy<Value = ([u8; 4], u16)> {
    let port = prop_oneof![3 => any::<u16>(), 1 => Just(0), 1 => Just(0xffff)];
    ([octet(), octet(), octet(), octet()], port)
}

/// Whole, unfragmented packets of all shapes.
pub fn wire() -> impl Strategy<Value = Wire> {
    let words =
        |most: usize| (0..=most).prop_flat_map(|n| proptest::collection::vec(any::<u8>(), n * 4));
    (
        (any::<bool>(), any::<bool>(), any::<bool>()),
        endpoint(),
        endpoint(),
        words(10),
        words(10),
        any::<u8>(),
        any::<u8>(),
        proptest::collection::vec(octet(), 0..70),
    )
        .prop_map(
            |(bits, source, destination, options, tcp_options, tcp_flags, ttl, payload)| Wire {
                tcp: bits.0,
                unchecked: bits.1,
                source,
                destination,
                options,
                tcp_options,
                tcp_flags,
                ttl,
                fragment: if bits.2 { 0x4000 } else { 0 },
                payload,
            },
        )
}
