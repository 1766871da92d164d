// SPDX-License-Identifier: GPL-2.0-only

//! Addresses, ports, address families and transport protocols.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address in one 16-byte form.
///
/// IPv4 is stored as an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), so one comparison of
/// two words serves both families. The bytes are in network order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Address([u64; 2]);

/// The prefix before the four octets of an IPv4 address in its mapped form.
const MAPPED: u64 = 0xffff;

impl Address {
    /// The IPv4 address 0.0.0.0.
    pub const UNSPECIFIED: Self = Self::from_v4([0; 4]);

    /// The address with these IPv4 octets, in network order.
    #[inline]
    pub const fn from_v4(octets: [u8; 4]) -> Self {
        // One word, since the compiler does not make a word of four octets.
        let word = u32::from_ne_bytes(octets) as u64;
        Self([
            0,
            if cfg!(target_endian = "little") {
                (word << 32) | (MAPPED << 16)
            } else {
                (MAPPED << 32) | word
            },
        ])
    }

    /// The address with these IPv6 octets, in network order.
    #[inline]
    pub const fn from_v6(octets: [u8; 16]) -> Self {
        // As one number, since the compiler does not make words of single octets.
        let number = u128::from_le_bytes(octets);
        let (first, last) = (number as u64, (number >> 64) as u64);
        Self([first.to_le(), last.to_le()])
    }

    /// Returns the 16 octets in network order; an IPv4 address is IPv4-mapped.
    #[inline]
    pub const fn octets16(self) -> [u8; 16] {
        let [high, low] = self.0;
        let [a, b, c, d, e, f, g, h] = high.to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = low.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// The four IPv4 octets in network order, or `None` for an address that is not IPv4.
    #[inline(always)]
    pub const fn v4(self) -> Option<[u8; 4]> {
        if self.is_v4() {
            Some(self.last_octets())
        } else {
            None
        }
    }

    /// The last four octets in network order: all of an IPv4 address.
    #[inline(always)]
    pub const fn last_octets(self) -> [u8; 4] {
        let [_, low] = self.0;
        // One word, since the compiler does not make a word of four octets.
        (u64::from_be(low) as u32).to_be_bytes()
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        let [high, low] = self.0;
        high == 0 && u64::from_be(low) >> 32 == MAPPED
    }

    /// Whether this is the same address as the other one, which is of this family. If this one is
    /// of the other family, the answer may be wrong.
    #[inline(always)]
    pub const fn is_like(self, other: Self, family: Family) -> bool {
        let ([high, low], [other_high, other_low]) = (self.0, other.0);
        match family {
            Family::V4 => {
                let [octets, others] = [self.last_octets(), other.last_octets()];
                u32::from_ne_bytes(octets) == u32::from_ne_bytes(others)
            }
            Family::V6 => high == other_high && low == other_low,
        }
    }

    /// The 16 IPv6 octets in network order, or `None` for an address that is IPv4.
    #[inline(always)]
    pub const fn v6(self) -> Option<[u8; 16]> {
        if self.is_v4() {
            None
        } else {
            Some(self.octets16())
        }
    }

    /// The family that the address belongs to.
    #[inline]
    pub const fn family(self) -> Family {
        if self.is_v4() {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// Returns the first `prefix_len` bits of the address with all others 0. IPv4 has 32 bits, IPv6
    /// 128; a longer prefix keeps the whole address.
    #[must_use]
    pub const fn masked(self, prefix_len: u8) -> Self {
        let bits = match self.family() {
            // The mapped prefix of IPv4 always stays.
            Family::V4 => (prefix_len as u32).saturating_add(96),
            Family::V6 => prefix_len as u32,
        };
        let mask = match u128::MAX.checked_shl(128_u32.saturating_sub(bits)) {
            Some(mask) => mask,
            None => 0,
        };
        Self::from_v6((u128::from_be_bytes(self.octets16()) & mask).to_be_bytes())
    }

    /// Returns the address under a service's netmask: persistence treats all clients with the same
    /// result as one. `netmask` is four octets in network order for IPv4, and a prefix length for
    /// IPv6.
    #[must_use]
    pub fn persistence_client(self, netmask: u32) -> Self {
        match self.v4() {
            Some(octets) => {
                let masked = u32::from_ne_bytes(octets) & netmask;
                Self::from_v4(masked.to_ne_bytes())
            }
            None => self.masked(u8::try_from(netmask).unwrap_or(u8::MAX)),
        }
    }

    /// Returns the address as two words whose bytes in memory are in network order.
    #[inline]
    pub const fn to_words(self) -> [u64; 2] {
        self.0
    }

    /// Returns the address from the words of [`Address::to_words`].
    #[inline]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self(words)
    }

    /// Whether this can be the address of a single host: it is not unspecified, not multicast and,
    /// for IPv4, not the limited broadcast (RFC 1122 section 3.2.1.3, RFC 4291 section 2.4).
    #[must_use]
    pub fn is_host(self) -> bool {
        match self.v4() {
            Some(octets) => {
                let address = Ipv4Addr::from(octets);
                !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
            }
            None => {
                let address = Ipv6Addr::from(self.octets16());
                !(address.is_unspecified() || address.is_multicast())
            }
        }
    }

    /// Whether this is the address of a multicast group.
    pub fn is_multicast(self) -> bool {
        match self.v4() {
            Some(octets) => Ipv4Addr::from(octets).is_multicast(),
            None => Ipv6Addr::from(self.octets16()).is_multicast(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.v4() {
            Some(octets) => fmt::Display::fmt(&Ipv4Addr::from(octets), f),
            None => fmt::Display::fmt(&Ipv6Addr::from(self.octets16()), f),
        }
    }
}

/// The form in `/proc/net/ip_vs*`: `C0000201`, or the eight full groups of an IPv6 address,
/// `2001:0db8:0000:0000:0000:0000:0000:0001`.
impl fmt::UpperHex for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(octets) = self.v4() {
            return write!(f, "{:08X}", u32::from_be_bytes(octets));
        }
        let [a, b, c, d, e, f6, g, h] = Ipv6Addr::from(self.octets16()).segments();
        write!(
            f,
            "{a:04x}:{b:04x}:{c:04x}:{d:04x}:{e:04x}:{f6:04x}:{g:04x}:{h:04x}"
        )
    }
}

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The port in host order. In the address of a service, 0 means any port.
    pub port: u16,
}

impl Endpoint {
    /// The endpoint of this address and this port (host order).
    #[inline]
    pub const fn new(address: Address, port: u16) -> Self {
        Self { address, port }
    }
}

/// The form in logs: `192.0.2.1:80` or `[2001:db8::1]:80`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.is_v4() {
            write!(f, "{}:{}", self.address, self.port)
        } else {
            write!(f, "[{}]:{}", self.address, self.port)
        }
    }
}

/// The form in `/proc/net/ip_vs`: `C0000201:0050`, or `[2001:0db8:…:0001]:0050`.
impl fmt::UpperHex for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.is_v4() {
            write!(f, "{:X}:{:04X}", self.address, self.port)
        } else {
            write!(f, "[{:X}]:{:04X}", self.address, self.port)
        }
    }
}

/// An address family or transport protocol that the director does not balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsupported;

/// An address family, numbered as `AF_INET` and `AF_INET6` (`linux/socket.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4, `AF_INET`.
    V4 = 2,
    /// IPv6, `AF_INET6`.
    V6 = 10,
}

impl Family {
    /// Returns the unspecified address, which stands for any.
    pub const fn unspecified(self) -> Address {
        match self {
            Self::V4 => Address::from_v4([0; 4]),
            Self::V6 => Address::from_v6([0; 16]),
        }
    }

    /// The number of bits in an address.
    #[inline]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl TryFrom<u16> for Family {
    type Error = Unsupported;

    #[inline]
    fn try_from(number: u16) -> Result<Self, Unsupported> {
        match number {
            2 => Ok(Self::V4),
            10 => Ok(Self::V6),
            _ => Err(Unsupported),
        }
    }
}

/// A transport protocol, numbered as in the IP header (`linux/in.h`, IANA protocol numbers).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// The Transmission Control Protocol, RFC 9293.
    Tcp = 6,
    /// The User Datagram Protocol, RFC 768.
    Udp = 17,
    /// The Stream Control Transmission Protocol, RFC 9260.
    Sctp = 132,
}

impl Protocol {
    /// The name in listings: `TCP`, `UDP` or `SCTP`.
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl TryFrom<u8> for Protocol {
    type Error = Unsupported;

    #[inline]
    fn try_from(number: u8) -> Result<Self, Unsupported> {
        match number {
            6 => Ok(Self::Tcp),
            17 => Ok(Self::Udp),
            132 => Ok(Self::Sctp),
            _ => Err(Unsupported),
        }
    }
}
