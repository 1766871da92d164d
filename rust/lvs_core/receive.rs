// SPDX-License-Identifier: GPL-2.0-only

//! Whether a received header is sound and ordinary, so that a packet can be forwarded where it
//! comes in, before the host's own checks.
//!
//! Rules: RFC 1122 section 3.2.1 and RFC 8200 section 3, as the kernel applies them. A packet that
//! is refused here takes the host's way, which decides about it and counts it.

use crate::checksum;
use crate::packet::{IPV4_HEADER, IPV6_HEADER};

/// Version 4, and a header without options.
const PLAIN_V4: u8 = 0x45;
/// Bits of IPv4's fourth halfword: the packet is a fragment.
const FRAGMENT: u16 = 0x3fff;
/// The first octet of IPv4's loopback addresses.
const LOOPBACK_NETWORK: u8 = 127;
/// The first octet of IPv6's multicast addresses.
const MULTICAST: u8 = 0xff;

/// The length of the IPv4 packet with this header, of which `available` bytes came in. `None`: it
/// has options, is a fragment or cut off, its time to live is used up, it is from this host, or its
/// header is wrong.
#[inline(always)]
pub fn length_v4(header: &[u8; IPV4_HEADER], available: u32) -> Option<u32> {
    let [version, _, len_high, len_low, _, _, _, _, ttl, _, _, _, source, ..] = *header;
    let len = u32::from(u16::from_be_bytes([len_high, len_low]));
    // One word, since the compiler does not make a word of two octets.
    let fragment: [u8; 2] = *header.get(6..)?.first_chunk()?;
    let whole = u16::from_ne_bytes(fragment) & FRAGMENT.to_be() == 0;
    let plain = version == PLAIN_V4 && whole && ttl > 1;
    let plain = plain && source != LOOPBACK_NETWORK;
    let whole = len >= IPV4_HEADER as u32 && len <= available;
    (plain && whole && checksum::is_right(header)).then_some(len)
}

/// The length of the IPv6 packet with this header, of which `available` bytes came in. `None`: it
/// is cut off, its hop limit is used up, it is from this host, or its header is wrong.
#[inline(always)]
pub fn length_v6(header: &[u8; IPV6_HEADER], available: u32) -> Option<u32> {
    let [version, _, _, _, len_high, len_low, _, hop_limit, source, ..] = *header;
    let payload = u32::from(u16::from_be_bytes([len_high, len_low]));
    let len = payload.wrapping_add(IPV6_HEADER as u32);
    // A payload of 0 octets stands for one that is larger than the field can tell.
    let plain = version >> 4 == 6 && payload != 0 && hop_limit > 1 && source != MULTICAST;
    // With the loopback address, which begins so, addresses are refused that no packet may have.
    let unusable = header.get(8..16) == Some(&[0; 8]);
    (plain && !unusable && len <= available).then_some(len)
}
