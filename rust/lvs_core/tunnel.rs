// SPDX-License-Identifier: GPL-2.0-only

//! Tunnels to real servers: IP in IP (RFC 2003, RFC 2473, RFC 4213), generic UDP encapsulation
//! (GUE, draft-ietf-intarea-gue) and generic routing encapsulation (GRE, RFC 2784 and RFC 2890).
//!
//! Here is how much a tunnel adds to a packet, its headers, and where the packet lies inside one
//! that a tunnel sent. Headers with a checksum beside that of IPv4 are written in `knet`, since
//! they depend on what the device offloads.

use crate::{
    packet::{IPV4_HEADER, IPV6_HEADER},
    transmit::Handling,
    Address, Family,
};

/// Protocol number of IPv4 in another IP packet.
const IPV4: u8 = 4;
/// Protocol number of IPv6 in another IP packet.
const IPV6: u8 = 41;
/// Protocol number of UDP.
const UDP: u8 = 17;
/// Protocol number of GRE.
const GRE: u8 = 47;

/// Protocol type of IPv4 in a GRE header.
const TYPE_IPV4: u16 = 0x0800;
/// Protocol type of IPv6 in a GRE header.
const TYPE_IPV6: u16 = 0x86dd;

/// Octets of a UDP header.
const UDP_HEADER: u16 = 8;
/// Octets of a GUE header without optional fields.
const GUE_HEADER: u16 = 4;
/// Octets of GUE's private flags and of the remote checksum's two offsets.
const GUE_REMOTE_CHECKSUM: u16 = 8;
/// Octets of a GRE header without optional fields.
const GRE_HEADER: u16 = 4;
/// Octets of each of GRE's optional fields.
const GRE_FIELD: u16 = 4;

/// Octets behind a tunnel's IP header that [`payload`] looks at: have them in the slice, if the
/// packet is that long.
pub const LOOKED_AT: usize = (UDP_HEADER + GUE_HEADER) as usize;

/// How GUE protects its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GueChecksum {
    /// Not at all: the UDP checksum is 0.
    None,
    /// By the UDP checksum.
    Full,
    /// By the remote checksum option: the receiver computes the inner transport checksum.
    Remote,
}

/// How packets get to a real server that is reached through a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tunnel {
    /// The packet as it is behind another IP header.
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// The UDP port of the server's tunnel, not 0.
        port: u16,
        /// The protection of the payload.
        checksum: GueChecksum,
    },
    /// Generic routing encapsulation.
    Gre {
        /// The header has a checksum.
        checksum: bool,
    },
}

/// The numbers that describe a tunnel in requests and answers. They need not describe one that
/// exists: a destination without a tunnel keeps them too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbers {
    /// `IP_VS_CONN_F_TUNNEL_TYPE_*` of `linux/ip_vs.h`.
    pub kind: u8,
    /// The UDP port of GUE.
    pub port: u16,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`, of GUE and GRE.
    pub flags: u16,
}

impl Numbers {
    /// The tunnel that these numbers describe, or `None`.
    #[inline]
    pub const fn tunnel(self) -> Option<Tunnel> {
        Tunnel::from_numbers(self.kind, self.port, self.flags)
    }

    /// True for GUE without a UDP port, which no destination may have.
    pub const fn lacks_port(self) -> bool {
        self.kind == 1 && self.port == 0
    }

    /// All of them in one word. A plain IP in IP tunnel is 0.
    pub const fn pack(self) -> u64 {
        let [p0, p1] = self.port.to_le_bytes();
        let [f0, f1] = self.flags.to_le_bytes();
        u64::from_le_bytes([self.kind, p0, p1, f0, f1, 0, 0, 0])
    }

    /// The numbers in a word that [`Self::pack`] made.
    #[inline]
    pub const fn unpack(word: u64) -> Self {
        let [kind, p0, p1, f0, f1, ..] = word.to_le_bytes();
        Self {
            kind,
            port: u16::from_le_bytes([p0, p1]),
            flags: u16::from_le_bytes([f0, f1]),
        }
    }
}

impl Tunnel {
    /// The tunnel with these numbers of `linux/ip_vs.h` (`IP_VS_CONN_F_TUNNEL_TYPE_*`,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`), or `None` if there is no such tunnel. The port applies to
    /// GUE, the flags to GUE and GRE.
    pub const fn from_numbers(kind: u8, port: u16, flags: u16) -> Option<Self> {
        match (kind, flags) {
            (0, _) => Some(Self::Ipip),
            (1, 0..=2) if port != 0 => Some(Self::Gue {
                port,
                checksum: match flags {
                    0 => GueChecksum::None,
                    1 => GueChecksum::Full,
                    _ => GueChecksum::Remote,
                },
            }),
            (2, 0..=1) => Some(Self::Gre {
                checksum: flags == 1,
            }),
            _ => None,
        }
    }

    /// The protocol that the outer IP header announces for an inner packet of this family.
    #[inline(always)]
    pub const fn protocol(self, inner: Family) -> u8 {
        match (self, inner) {
            (Self::Ipip, Family::V4) => IPV4,
            (Self::Ipip, Family::V6) => IPV6,
            (Self::Gue { .. }, _) => UDP,
            (Self::Gre { .. }, _) => GRE,
        }
    }

    /// Whether the tunnel sends packets with this protocol in the outer IP header, and with these
    /// UDP ports behind it, for an inner packet of this family.
    pub fn sends(self, protocol: u8, ports: Option<(u16, u16)>, inner: Family) -> bool {
        let to_its_port = match self {
            Self::Gue { port, .. } => ports.is_some_and(|(_, destination)| destination == port),
            Self::Ipip | Self::Gre { .. } => true,
        };
        protocol == self.protocol(inner) && to_its_port
    }

    /// Whether none of its headers but that of IPv4 has a checksum.
    #[inline(always)]
    pub const fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Ipip
                | Self::Gue {
                    checksum: GueChecksum::None,
                    ..
                }
                | Self::Gre { checksum: false }
        )
    }

    /// Writes what a [plain](Self::is_plain) tunnel puts between the outer IP header and a packet
    /// of this family. `between` has as many octets as [`Self::overhead`] says beside the outer
    /// header, `source` is the UDP port, and `len` is the length of the packet.
    #[inline(always)]
    pub fn write_between(self, between: &mut [u8], inner: Family, source: u16, len: u32) {
        match self {
            Self::Ipip => {}
            Self::Gue { port, .. } => {
                let Some(header) = between.first_chunk_mut() else {
                    return;
                };
                let added = UDP_HEADER.wrapping_add(GUE_HEADER);
                let len = u16::try_from(len).unwrap_or(0).wrapping_add(added);
                let ([s0, s1], [p0, p1]) = (source.to_be_bytes(), port.to_be_bytes());
                let [l0, l1] = len.to_be_bytes();
                let protocol = Self::Ipip.protocol(inner);
                *header = [s0, s1, p0, p1, l0, l1, 0, 0, 0, protocol, 0, 0];
            }
            Self::Gre { .. } => {
                let Some(header) = between.first_chunk_mut() else {
                    return;
                };
                let [t0, t1] = match inner {
                    Family::V4 => TYPE_IPV4,
                    Family::V6 => TYPE_IPV6,
                }
                .to_be_bytes();
                *header = [0, 0, t0, t1];
            }
        }
    }

    /// Octets that the tunnel puts before a packet when it goes over this family.
    #[inline]
    pub const fn overhead(self, outer: Family) -> u16 {
        let ip: u16 = match outer {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        ip.saturating_add(match self {
            Self::Ipip => 0,
            Self::Gue { checksum, .. } => {
                UDP_HEADER
                    .saturating_add(GUE_HEADER)
                    .saturating_add(match checksum {
                        GueChecksum::None | GueChecksum::Full => 0,
                        GueChecksum::Remote => GUE_REMOTE_CHECKSUM,
                    })
            }
            Self::Gre { checksum: false } => GRE_HEADER,
            Self::Gre { checksum: true } => GRE_HEADER.saturating_add(GRE_FIELD),
        })
    }
}

/// The outer IP header of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outer {
    /// See [`Handling::outer`].
    pub handling: Handling,
    /// See [`Tunnel::protocol`].
    pub protocol: u8,
    /// The director's address.
    pub source: Address,
    /// The tunnel's end, of the same family.
    pub destination: Address,
}

impl Outer {
    /// Writes an IPv4 header except for length and checksum, which are the last step before it is
    /// sent. `identification` counts only if the packet may be fragmented (RFC 6864).
    #[inline(always)]
    pub fn write_v4(self, header: &mut [u8; IPV4_HEADER], identification: u16) {
        let Handling {
            traffic_class,
            hop_limit,
            dont_fragment,
            ..
        } = self.handling;
        let (flags, identification) = if dont_fragment {
            (0x40, 0)
        } else {
            (0, identification)
        };
        let [i0, i1] = identification.to_be_bytes();
        let (fixed, addresses) = header.split_at_mut(12);
        #[rustfmt::skip]
        fixed.copy_from_slice(&[
            0x45, traffic_class, 0, 0, i0, i1, flags, 0, hop_limit, self.protocol, 0, 0,
        ]);
        let (source, destination) = addresses.split_at_mut(4);
        source.copy_from_slice(&self.source.last_octets());
        destination.copy_from_slice(&self.destination.last_octets());
    }

    /// Writes an IPv6 header, before `payload` octets. The device segments a packet with more than
    /// 65,535 octets and sets the length of each segment.
    #[inline(always)]
    pub fn write_v6(self, header: &mut [u8; IPV6_HEADER], payload: u32) {
        let class = self.handling.traffic_class;
        let [p0, p1] = u16::try_from(payload).unwrap_or(0).to_be_bytes();
        let (fixed, addresses) = header.split_at_mut(8);
        #[rustfmt::skip]
        fixed.copy_from_slice(&[
            0x60 | (class >> 4), class << 4, 0, 0, p0, p1, self.protocol, self.handling.hop_limit,
        ]);
        // By words, since the compiler does not make words of the octets of an address.
        let [s0, s1] = self.source.to_words();
        let [d0, d1] = self.destination.to_words();
        let mut rest = addresses;
        for word in [s0, s1, d0, d1] {
            let Some((octets, behind)) = rest.split_first_chunk_mut() else {
                return;
            };
            *octets = word.to_ne_bytes();
            rest = behind;
        }
    }
}

/// Finds the IP header of a tunnel's inner packet. Returns its family and its offset.
///
/// `protocol` is the protocol in the tunnel's outer IP header, and `at` is the offset of the
/// tunnel's header in the slice. Returns `None` for other protocols, and for a header beyond the
/// slice. The inner IP header may be incomplete; its own parser checks that.
pub fn payload(protocol: u8, ip: &[u8], at: usize) -> Option<(Family, usize)> {
    match protocol {
        IPV4 => Some((Family::V4, at)),
        IPV6 => Some((Family::V6, at)),
        UDP => {
            let at = at.checked_add(UDP_HEADER.into())?;
            let [first, protocol, ..] = header::<{ GUE_HEADER as usize }>(ip, at)?;
            // Two bits of variant, the control bit, five bits of length in units of four octets.
            if first & 0xe0 != 0 {
                return None;
            }
            let optional = usize::from(first & 0x1f) << 2;
            let at = at.checked_add(GUE_HEADER.into())?.checked_add(optional)?;
            match protocol {
                IPV4 => Some((Family::V4, at)),
                IPV6 => Some((Family::V6, at)),
                _ => None,
            }
        }
        GRE => {
            const CHECKSUM: u16 = 0x8000;
            const KEY: u16 = 0x2000;
            const SEQUENCE: u16 = 0x1000;
            // Bits 1, 4 and 5 would say that there is more (RFC 2784 section 2.1), and the last
            // three are the version.
            const OTHERS: u16 = 0x4c07;
            let [f0, f1, t0, t1] = header::<{ GRE_HEADER as usize }>(ip, at)?;
            let flags = u16::from_be_bytes([f0, f1]);
            if flags & OTHERS != 0 {
                return None;
            }
            let fields = (flags & (CHECKSUM | KEY | SEQUENCE)).count_ones() as u16;
            let len = GRE_FIELD.saturating_mul(fields).saturating_add(GRE_HEADER);
            let at = at.checked_add(len.into())?;
            match u16::from_be_bytes([t0, t1]) {
                TYPE_IPV4 => Some((Family::V4, at)),
                TYPE_IPV6 => Some((Family::V6, at)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `N` octets of the slice.
fn header<const N: usize>(ip: &[u8], at: usize) -> Option<[u8; N]> {
    ip.get(at..)?.first_chunk().copied()
}
