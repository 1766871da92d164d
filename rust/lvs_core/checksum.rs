// SPDX-License-Identifier: GPL-2.0-only

//! The Internet checksum: RFC 1071, and its incremental update: RFC 1624, equation 3.

/// Adds the halves with end-around carry until 16 bits hold the sum. The upper half of the sum of a
/// number and itself with its halves exchanged is just that.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The unfolded ones-complement sum of the data in the machine's byte order, with `flip` (0 or all
/// ones) applied to all bits of it.
///
/// Neither the byte order nor the size of the words matters to such a sum before it is folded (RFC
/// 1071, section 2). 64 bits hold it for any slice below 16 GiB.
#[inline(always)]
fn words(data: &[u8], flip: u32) -> u64 {
    let mut sum: u64 = 0;
    let mut rest = data;
    while let Some((word, tail)) = rest.split_first_chunk() {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word) ^ flip));
        rest = tail;
    }
    // What is left counts as if zero octets followed; complemented they are another zero.
    let word = match *rest {
        [a, b, c] => [a, b, c, 0],
        [a, b] => [a, b, 0, 0],
        [a] => [a, 0, 0, 0],
        _ => return sum,
    };
    sum.wrapping_add(u64::from(u32::from_ne_bytes(word) ^ flip))
}

/// The folded ones-complement sum of the data, taken as big-endian 16-bit words; an odd last octet
/// is padded with zero (RFC 1071).
#[inline]
pub fn sum(data: &[u8]) -> u16 {
    u16::from_be(fold(words(data, 0)))
}

/// The checksum of the data: what a header's checksum field must hold if the field itself counted
/// as zero in `data`. 0 over data that already hold a right checksum.
#[inline]
pub fn checksum(data: &[u8]) -> u16 {
    !sum(data)
}

/// The checksum after `old` was replaced by `new`, by RFC 1624, equation 3: `~(~HC + ~m + m')`.
///
/// Both must start at an even offset of what the checksum covers, and be of the same length; an odd
/// length is right only at the end of it.
/// The result equals a full recomputation unless all the data are now zero, which cannot be where
/// an IP version or a pseudo-header is covered. A UDP checksum needs its own rule for zero: see
/// [`udp`].
#[inline]
pub fn update(check: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut difference = Difference::NONE;
    difference.replace(old, new);
    difference.checksum(check)
}

/// How far a ones-complement sum changes when some of the data change; in the machine's byte order.
#[derive(Clone, Copy, Debug)]
pub struct Difference(u64);

impl Difference {
    /// No change.
    pub const NONE: Self = Self(0);

    /// Counts the replacement of `old` by `new`; lengths and offsets as for [`update`].
    #[inline(always)]
    pub fn replace(&mut self, old: &[u8], new: &[u8]) {
        self.0 = self
            .0
            .wrapping_add(words(old, u32::MAX))
            .wrapping_add(words(new, 0));
    }

    /// Replaces what is in `place`, and counts it.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, place: &mut [u8; N], new: [u8; N]) {
        self.replace(place, &new);
        *place = new;
    }

    /// Counts another change too, of other data.
    #[inline]
    pub const fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The checksum after the change.
    #[inline]
    pub const fn checksum(self, check: u16) -> u16 {
        !self.sum(!check)
    }

    /// The plain, uncomplemented sum after the change, as a checksum field holds it while the
    /// checksum is left to the network device.
    #[inline]
    pub const fn sum(self, sum: u16) -> u16 {
        u16::from_be(fold(self.0.wrapping_add(sum.to_be() as u64)))
    }
}

/// What a UDP header's checksum field holds for this computed checksum: 0 there means that there is
/// none, so a computed 0 goes out as all ones (RFC 768).
#[inline]
pub const fn udp(check: u16) -> u16 {
    if check == 0 {
        0xffff
    } else {
        check
    }
}
