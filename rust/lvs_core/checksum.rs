// SPDX-License-Identifier: GPL-2.0-only

//! The Internet checksum: RFC 1071, and its incremental update: RFC 1624, equation 3.

/// Folds the sum to 16 bits with end-around carry. Adding a number to itself with its halves
/// exchanged leaves that result in the upper half.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// Returns the unfolded ones-complement sum of the data in the machine's byte order. Every word is
/// first XORed with `flip` (0 or all ones).
///
/// Before folding, the sum depends neither on the byte order nor on the size of the words (RFC
/// 1071, section 2). 64 bits hold it for any slice below 16 GiB.
#[inline(always)]
fn words(data: &[u8], flip: u32) -> u64 {
    let mut sum: u64 = 0;
    let mut rest = data;
    while let Some((word, tail)) = rest.split_first_chunk() {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word) ^ flip));
        rest = tail;
    }
    // The remaining octets count as if zeros followed. Their complement is another zero.
    let word = match *rest {
        [a, b, c] => [a, b, c, 0],
        [a, b] => [a, b, 0, 0],
        [a] => [a, 0, 0, 0],
        _ => return sum,
    };
    sum.wrapping_add(u64::from(u32::from_ne_bytes(word) ^ flip))
}

/// Returns the folded ones-complement sum of the data as big-endian 16-bit words. An odd last octet
/// is padded with zero (RFC 1071).
#[inline(always)]
pub fn sum(data: &[u8]) -> u16 {
    u16::from_be(fold(words(data, 0)))
}

/// Whether the data include their correct checksum. They are not all zero.
#[inline(always)]
pub fn is_right(data: &[u8]) -> bool {
    // Folding changes no remainder, and leaves 0xffff of a sum with the remainder 0.
    words(data, 0) % 0xffff == 0
}

/// Returns the checksum of the data. Set the checksum field in `data` to zero first. The result is
/// 0 for data that include their correct checksum.
#[inline]
pub fn checksum(data: &[u8]) -> u16 {
    !sum(data)
}

/// Returns the checksum after `old` was replaced by `new`, by RFC 1624, equation 3: `~(~HC + ~m +
/// m')`.
///
/// `old` and `new` have the same length and start at an even offset of the covered data. An odd
/// length is correct only at the end of the data.
///
/// The result equals a full recomputation unless all the data are zero afterwards. That cannot
/// happen when they include an IP version or a pseudo-header. UDP has its own rule for zero: see
/// [`udp`].
#[inline]
pub fn update(check: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut difference = Difference::NONE;
    difference.replace(old, new);
    difference.checksum(check)
}

/// The change of a ones-complement sum when some of the data change, in the machine's byte order.
#[derive(Clone, Copy, Debug)]
pub struct Difference(u64);

impl Difference {
    /// No change.
    pub const NONE: Self = Self(0);

    /// Adds the replacement of `old` by `new`. Lengths and offsets are as for [`update`].
    #[inline(always)]
    pub fn replace(&mut self, old: &[u8], new: &[u8]) {
        self.0 = self
            .0
            .wrapping_add(words(old, u32::MAX))
            .wrapping_add(words(new, 0));
    }

    /// Writes `new` to `place` and adds the change.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, place: &mut [u8; N], new: [u8; N]) {
        self.replace(place, &new);
        *place = new;
    }

    /// Adds that of a word whose higher octet was decremented, and was not 0 before.
    #[inline(always)]
    pub const fn decrement_high(&mut self) {
        // The word is less by 0x0100, so the complement of its old value and the new value add up
        // to the complement of that.
        self.0 = self.0.wrapping_add(u16::from_ne_bytes([0xfe, 0xff]) as u64);
    }

    /// Adds a change of other data.
    #[inline]
    pub const fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The checksum after the change.
    #[inline]
    pub const fn checksum(self, check: u16) -> u16 {
        !self.sum(!check)
    }

    /// Returns the plain, uncomplemented sum after the change. A checksum field holds it when the
    /// network device completes the checksum.
    #[inline]
    pub const fn sum(self, sum: u16) -> u16 {
        u16::from_be(fold(self.0.wrapping_add(sum.to_be() as u64)))
    }
}

/// Returns the value for a UDP header's checksum field. A field of 0 means "no checksum", so a
/// computed 0 is sent as all ones (RFC 768).
#[inline]
pub const fn udp(check: u16) -> u16 {
    if check == 0 {
        0xffff
    } else {
        check
    }
}
