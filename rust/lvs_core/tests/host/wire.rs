// SPDX-License-Identifier: GPL-2.0-only

//! Builds packets for the tests. Every checksum is computed over all the data.

use lvs_core::{Address, Endpoint, Family};
use proptest::prelude::*;
use std::net::IpAddr;

/// An address and a port.
pub type End = (IpAddr, u16);

/// A TCP or UDP packet to build.
#[derive(Clone, Debug)]
pub struct Wire {
    pub tcp: bool,
    /// Both ends have the family of the packet.
    pub source: End,
    pub destination: End,
    /// IPv4 options, a multiple of four octets.
    pub options: Vec<u8>,
    /// IPv6 extension headers: the number of each, and the header without its first octet.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// TCP options, a multiple of four octets.
    pub tcp_options: Vec<u8>,
    pub tcp_flags: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The 16 bits of the IPv4 flags and fragment offset.
    pub fragment: u16,
    pub payload: Vec<u8>,
    /// Whether the UDP checksum is left out.
    pub unchecked: bool,
}

/// The ones-complement sum, word by word, with the carry added at each step.
pub fn naive_sum(data: &[u8]) -> u16 {
    let mut sum: u16 = 0;
    for pair in data.chunks(2) {
        let word = u16::from(pair[0]) * 256 + pair.get(1).map_or(0, |low| u16::from(*low));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}

/// The octets of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => Address::from_v4(address.octets()),
        IpAddr::V6(address) => Address::from_v6(address.octets()),
    }
}

pub fn to((ip, port): End) -> Endpoint {
    Endpoint::new(address(ip), port)
}

impl Wire {
    pub fn new(tcp: bool) -> Self {
        Self {
            tcp,
            source: ([192, 0, 2, 77].into(), 40000),
            destination: ([198, 51, 100, 1].into(), 80),
            options: vec![],
            extensions: vec![],
            tcp_options: vec![],
            tcp_flags: 0x10,
            ttl: 64,
            fragment: 0x4000,
            payload: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            unchecked: false,
        }
    }

    pub fn v6(tcp: bool) -> Self {
        Self {
            source: ("2001:db8:1::77".parse().unwrap(), 40000),
            destination: ("2001:db8:2::1".parse().unwrap(), 80),
            ..Self::new(tcp)
        }
    }

    pub fn family(&self) -> Family {
        match self.source.0 {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Octets of the IP header without options or extension headers.
    pub fn fixed_len(&self) -> usize {
        match self.family() {
            Family::V4 => 20,
            Family::V6 => 40,
        }
    }

    /// Octets of the IP header with options or extension headers.
    pub fn header_len(&self) -> usize {
        let extensions: usize = self.extensions.iter().map(|(_, body)| 1 + body.len()).sum();
        self.fixed_len() + self.options.len() + extensions
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

    fn protocol(&self) -> u8 {
        if self.tcp {
            6
        } else {
            17
        }
    }

    /// The pseudo-header of RFC 9293 and RFC 768, or of RFC 8200.
    fn pseudo_header(&self) -> Vec<u8> {
        let len = self.total_len() - self.header_len();
        let mut pseudo = [octets(self.source.0), octets(self.destination.0)].concat();
        match self.family() {
            Family::V4 => {
                pseudo.extend([0, self.protocol()]);
                pseudo.extend((len as u16).to_be_bytes());
            }
            Family::V6 => {
                pseudo.extend((len as u32).to_be_bytes());
                pseudo.extend([0, 0, 0, self.protocol()]);
            }
        }
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

    /// The packet with only the sum of the pseudo-header in the checksum field.
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

    fn network_v4(&self) -> Vec<u8> {
        let mut out = vec![0x40 | (self.header_len() / 4) as u8, 0];
        out.extend((self.total_len() as u16).to_be_bytes());
        out.extend([0xbe, 0xef]);
        out.extend(self.fragment.to_be_bytes());
        out.extend([self.ttl, self.protocol(), 0, 0]);
        out.extend(octets(self.source.0));
        out.extend(octets(self.destination.0));
        out.extend(&self.options);
        let check = !naive_sum(&out);
        out[10..12].copy_from_slice(&check.to_be_bytes());
        out
    }

    fn network_v6(&self) -> Vec<u8> {
        let mut next: Vec<u8> = self.extensions.iter().map(|(number, _)| *number).collect();
        next.push(self.protocol());
        let mut out = vec![0x60, 1, 2, 3];
        out.extend(((self.total_len() - 40) as u16).to_be_bytes());
        out.extend([next[0], self.ttl]);
        out.extend(octets(self.source.0));
        out.extend(octets(self.destination.0));
        for ((_, body), next) in self.extensions.iter().zip(&next[1..]) {
            out.push(*next);
            out.extend(body);
        }
        out
    }

    /// The packet with this value in the transport checksum field.
    pub fn build_with(&self, transport_check: u16) -> Vec<u8> {
        let mut out = match self.family() {
            Family::V4 => self.network_v4(),
            Family::V6 => self.network_v6(),
        };
        out.extend(self.transport());
        let at = self.checksum_at();
        out[at..at + 2].copy_from_slice(&transport_check.to_be_bytes());
        out
    }
}

/// Octets with many extreme values, the limits of ones-complement arithmetic.
pub fn octet() -> impl Strategy<Value = u8> {
    prop_oneof![2 => any::<u8>(), 1 => Just(0), 1 => Just(0xff)]
}

/// An address and a port of this family.
pub fn end(family: Family) -> impl Strategy<Value = End> {
    let port = prop_oneof![3 => any::<u16>(), 1 => Just(0), 1 => Just(0xffff)];
    let octets = proptest::collection::vec(octet(), 16);
    (octets, port).prop_map(move |(octets, port)| match family {
        Family::V4 => (<[u8; 4]>::try_from(&octets[..4]).unwrap().into(), port),
        Family::V6 => {
            let mut octets = <[u8; 16]>::try_from(octets).unwrap();
            // No IPv4-mapped address: no packet has one.
            octets[0] |= 1;
            (octets.into(), port)
        }
    })
}

/// Extension headers that may precede the transport header of a whole packet.
pub fn extensions() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let options = |number: u8| {
        (0..4_u8).prop_map(move |units| {
            let mut body = vec![units];
            body.resize(7 + 8 * usize::from(units), 0);
            (number, body)
        })
    };
    let routing = (0..3_u8).prop_map(|units| {
        let mut body = vec![units, 4, 0];
        body.resize(7 + 8 * usize::from(units), 0x33);
        (43, body)
    });
    let atomic_fragment = any::<[u8; 4]>().prop_map(|id| (44, [&[0, 0, 0], &id[..]].concat()));
    let authentication = (1..6_u8).prop_map(|units| {
        let mut body = vec![units];
        body.resize(4 * (usize::from(units) + 2) - 1, 0x5a);
        (51, body)
    });
    let others = prop_oneof![options(60), routing, atomic_fragment, authentication];
    (
        proptest::option::of(options(0)),
        proptest::collection::vec(others, 0..7),
    )
        .prop_map(|(first, others)| first.into_iter().chain(others).collect())
}

/// Whole, unfragmented packets of all shapes.
pub fn wire() -> impl Strategy<Value = Wire> {
    any::<bool>().prop_flat_map(|v6| wire_of(if v6 { Family::V6 } else { Family::V4 }))
}

/// Whole, unfragmented packets of all shapes of one family.
pub fn wire_of(family: Family) -> impl Strategy<Value = Wire> {
    let words =
        |most: usize| (0..=most).prop_flat_map(|n| proptest::collection::vec(any::<u8>(), n * 4));
    (
        (any::<bool>(), any::<bool>(), any::<bool>()),
        end(family),
        end(family),
        words(10),
        prop_oneof![Just(vec![]), extensions()],
        words(10),
        any::<u8>(),
        any::<u8>(),
        proptest::collection::vec(octet(), 0..70),
    )
        .prop_map(
            move |(
                bits,
                source,
                destination,
                options,
                extensions,
                tcp_options,
                tcp_flags,
                ttl,
                payload,
            )| Wire {
                tcp: bits.0,
                unchecked: bits.1,
                source,
                destination,
                options: if family == Family::V4 {
                    options
                } else {
                    vec![]
                },
                extensions: if family == Family::V6 {
                    extensions
                } else {
                    vec![]
                },
                tcp_options,
                tcp_flags,
                ttl,
                fragment: if bits.2 { 0x4000 } else { 0 },
                payload,
            },
        )
}

/// A packet, and another end of its family.
pub fn wire_and_end() -> impl Strategy<Value = (Wire, End)> {
    wire().prop_flat_map(|wire| {
        let end = end(wire.family());
        (Just(wire), end)
    })
}
