// SPDX-License-Identifier: GPL-2.0-only

//! Whether a packet may be sent along a route, and the ICMP error for its sender if it may not.
//!
//! Rules: RFC 1812 section 5.3.1 (time to live), RFC 1191 and RFC 8201 (path MTU), RFC 2003, RFC
//! 2473 and RFC 4213 (tunnels), RFC 792 and RFC 4443 (ICMP).

use crate::{
    packet::{IPV4_HEADER, IPV6_HEADER},
    Family,
};

/// The size in bytes that every link carries of IPv6 (RFC 8200 section 5).
pub const IPV6_MIN_MTU: u32 = 1280;

/// Bit of IPv4's third halfword: do not fragment.
const DONT_FRAGMENT: u8 = 0x40;
/// The first octet of IPv4's loopback addresses (RFC 1122 section 3.2.1.3).
const LOOPBACK_NETWORK: u8 = 127;
/// IPv6's loopback address (RFC 4291 section 2.5.3).
const LOOPBACK_ADDRESS: [u8; 16] = 1u128.to_be_bytes();

/// The fields of an IP header that routers act on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handling {
    /// IPv4's type of service, IPv6's traffic class: DSCP and ECN.
    pub traffic_class: u8,
    /// IPv4's time to live, IPv6's hop limit.
    pub hop_limit: u8,
    /// Routers must not fragment the packet. Always set for IPv6.
    pub dont_fragment: bool,
    /// The source is a loopback address: the packet must not leave the host.
    pub from_loopback: bool,
}

impl Handling {
    /// Reads an IPv4 header.
    #[inline(always)]
    pub const fn of_v4(header: &[u8; IPV4_HEADER]) -> Self {
        let [_, tos, _, _, _, _, flags, _, ttl, _, _, _, source, ..] = *header;
        Self {
            traffic_class: tos,
            hop_limit: ttl,
            dont_fragment: flags & DONT_FRAGMENT != 0,
            from_loopback: source == LOOPBACK_NETWORK,
        }
    }

    /// Reads an IPv6 header.
    #[inline(always)]
    pub fn of_v6(header: &[u8; IPV6_HEADER]) -> Self {
        let [first, second, _, _, _, _, _, hop_limit, ..] = *header;
        let source = header.get(8..24);
        Self {
            traffic_class: (first << 4) | (second >> 4),
            hop_limit,
            dont_fragment: true,
            from_loopback: source == Some(&LOOPBACK_ADDRESS),
        }
    }

    /// The same for the outer header of a tunnel that carries a packet with this header.
    ///
    /// DSCP, ECN (RFC 6040, normal mode) and hop limit are copied. A router inside the tunnel may
    /// fragment the outer packet if the inner one may be fragmented. That is so for IPv4 without
    /// DF; for IPv6 up to [`IPV6_MIN_MTU`] (RFC 4213 section 3.2); for both if the packet arrived
    /// in fragments; and for IPv4 with DF if `ignore_df`, which the administrator chose.
    ///
    /// `len` is the inner packet's length; `largest_fragment` is the length of the largest
    /// fragment that it was reassembled from, 0 if it arrived whole.
    #[inline(always)]
    pub const fn outer(
        self,
        inner: Family,
        len: u32,
        largest_fragment: u16,
        ignore_df: bool,
    ) -> Self {
        Self {
            dont_fragment: match inner {
                Family::V4 => self.dont_fragment && !ignore_df && largest_fragment == 0,
                Family::V6 => len > IPV6_MIN_MTU && largest_fragment == 0,
            },
            ..self
        }
    }

    /// Whether a router has to discard the packet instead of forwarding it.
    #[inline(always)]
    const fn is_expired(self) -> bool {
        self.hop_limit <= 1
    }

    /// Whether a packet of this host may leave it.
    #[inline(always)]
    const fn may_leave(self) -> bool {
        !self.from_loopback
    }
}

/// A packet to be sent, as it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its IP version.
    pub family: Family,
    /// Its length in bytes, from the IP header on.
    pub len: u32,
    /// The handling that its header requests.
    pub handling: Handling,
    /// The length of the largest fragment that it was reassembled from, 0 if it arrived whole.
    pub largest_fragment: u16,
}

/// The limits of a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest packet that it carries, in bytes.
    pub mtu: u32,
    /// Bytes that a tunnel adds to a packet; 0 without a tunnel.
    pub overhead: u16,
    /// A tunnel's packets may be fragmented even if the inner IPv4 header has DF.
    pub ignore_df: bool,
}

impl Limits {
    /// The largest packet of this family that fits, in bytes.
    ///
    /// IPv6 in a tunnel is never less than [`IPV6_MIN_MTU`]: a tunnel with a smaller MTU fragments
    /// its own packets (RFC 2473 section 7.1).
    pub fn largest(self, family: Family) -> u32 {
        let largest = self.mtu.saturating_sub(self.overhead.into());
        match family {
            Family::V6 if self.overhead != 0 => largest.max(IPV6_MIN_MTU),
            _ => largest,
        }
    }
}

/// The smallest MTU with which [`check`] certainly lets a packet pass, so that only other packets
/// need be checked: `u32::MAX` if its time to live is used up, or if it must not leave the host.
#[inline(always)]
pub const fn sufficient_mtu(handling: Handling, len: u32, overhead: u16) -> u32 {
    if handling.is_expired() || !handling.may_leave() {
        u32::MAX
    } else {
        len.saturating_add(overhead as u32)
    }
}

/// Whether a packet may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// The packet may be sent.
    Pass,
    /// The packet may not be sent, and its sender gets no report.
    Discard,
    /// The packet may not be sent. Its sender gets this report.
    Report(Report),
}

/// Checks a packet against a route. For a packet that segmentation offload joined, `segments_fit`
/// returns whether each segment is at most that long. For other packets it returns false.
pub fn check(packet: Candidate, limits: Limits, segments_fit: impl FnOnce(u32) -> bool) -> Check {
    let Candidate {
        family,
        len,
        handling,
        largest_fragment,
    } = packet;
    if !handling.may_leave() {
        return Check::Discard;
    }
    if handling.is_expired() {
        return Check::Report(Report::time_exceeded(family));
    }
    let largest = limits.largest(family);
    let tunnel = limits.overhead != 0;
    let may_fragment =
        family == Family::V4 && (!handling.dont_fragment || (tunnel && limits.ignore_df));
    let fits = if len <= largest || may_fragment {
        true
    } else if largest_fragment != 0 {
        // It leaves in fragments as large as those that came. Through a tunnel it travels whole,
        // in fragments of the tunnel.
        u32::from(largest_fragment) <= largest || (family == Family::V6 && tunnel)
    } else {
        segments_fit(largest)
    };
    if fits {
        Check::Pass
    } else {
        Check::Report(Report::too_big(family, largest))
    }
}

/// An ICMP error to a packet's sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The second word of the ICMP header: the MTU, or 0.
    pub info: u32,
}

impl Report {
    const fn new(kind: u8, code: u8, info: u32) -> Self {
        Self { kind, code, info }
    }

    /// The time to live was used up in transit.
    pub const fn time_exceeded(family: Family) -> Self {
        match family {
            Family::V4 => Self::new(11, 0, 0),
            Family::V6 => Self::new(3, 0, 0),
        }
    }

    /// The packet was too large; `mtu` bytes would fit. For IPv6 it is at
    /// least [`IPV6_MIN_MTU`].
    pub const fn too_big(family: Family, mtu: u32) -> Self {
        match family {
            Family::V4 => Self::new(3, 4, mtu),
            Family::V6 if mtu < IPV6_MIN_MTU => Self::new(2, 0, IPV6_MIN_MTU),
            Family::V6 => Self::new(2, 0, mtu),
        }
    }

    /// The host cannot be reached.
    pub const fn host_unreachable(family: Family) -> Self {
        match family {
            Family::V4 => Self::new(3, 1, 0),
            Family::V6 => Self::new(1, 3, 0),
        }
    }

    /// No process listens on the port.
    pub const fn port_unreachable(family: Family) -> Self {
        match family {
            Family::V4 => Self::new(3, 3, 0),
            Family::V6 => Self::new(1, 4, 0),
        }
    }
}
