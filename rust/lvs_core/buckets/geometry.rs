// SPDX-License-Identifier: GPL-2.0-only

//! The number of buckets of the connection table, and where they are.

const RESIZING: usize = 1;
const SHRINKING: usize = 2;
/// The place of the mask in the word.
const MASK: u32 = 2;

/// The number of buckets, a power of two, and whether a resize is in progress: one word. It has the
/// mask of a bucket's number, which a lookup needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry(usize);

impl Geometry {
    /// 2^`order` buckets, and no resize.
    #[inline]
    pub const fn settled(order: u32) -> Self {
        Self(1usize.wrapping_shl(order).wrapping_sub(1) << MASK)
    }

    /// 2^`order` buckets that are being split into twice as many.
    #[inline]
    pub const fn growing(order: u32) -> Self {
        Self(Self::settled(order).0 | RESIZING)
    }

    /// 2^`order` buckets, which get the entries of as many others.
    #[inline]
    pub const fn shrinking(order: u32) -> Self {
        Self(Self::settled(order).0 | RESIZING | SHRINKING)
    }

    /// The geometry in a word from [`word`](Self::word).
    #[inline]
    pub const fn from_word(word: usize) -> Self {
        Self(word)
    }

    /// The word to store.
    #[inline]
    pub const fn word(self) -> usize {
        self.0
    }

    /// log2 of the number of buckets. During a resize, of the smaller number.
    #[inline]
    pub const fn order(self) -> u32 {
        (self.0 >> MASK).trailing_ones()
    }

    /// Whether a resize is in progress.
    #[inline]
    pub const fn is_resizing(self) -> bool {
        self.0 & RESIZING != 0
    }

    /// Whether the number of buckets is being halved.
    #[inline]
    pub(super) const fn is_shrinking(self) -> bool {
        self.0 & SHRINKING != 0
    }

    /// The bucket of `hash`. During a resize, that of the smaller number.
    #[inline]
    pub(super) const fn bucket(self, hash: u32) -> u32 {
        hash & (self.0 >> MASK) as u32
    }

    /// The bucket of `hash` among twice as many, if it is another one.
    #[inline]
    pub(super) const fn upper(self, hash: u32) -> Option<u32> {
        let half = upper_half(self.order());
        let bucket = hash & (half.wrapping_mul(2)).wrapping_sub(1);
        if bucket >= half {
            Some(bucket)
        } else {
            None
        }
    }
}

/// The number of 2^`order` buckets, which is also the number of the first one that doubling adds.
#[inline]
pub(super) const fn upper_half(order: u32) -> u32 {
    1u32.wrapping_shl(order)
}

/// The place of a bucket. The first segment has the smallest table. Each further segment doubles
/// the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the segment.
    pub segment: usize,
    /// Index in the segment.
    pub index: usize,
}

/// The place of `bucket`, when the smallest table has 2^`min_order` buckets.
#[inline]
pub const fn place(min_order: u32, bucket: u32) -> Place {
    if bucket.wrapping_shr(min_order) == 0 {
        return Place {
            segment: 0,
            index: bucket as usize,
        };
    }
    // The position of the highest bit, as one instruction has it.
    let highest = bucket.leading_zeros() ^ (u32::BITS - 1);
    Place {
        segment: highest.wrapping_sub(min_order).wrapping_add(1) as usize,
        index: (bucket ^ 1u32.wrapping_shl(highest)) as usize,
    }
}

/// The number of buckets in segment number `segment`.
pub const fn segment_len(min_order: u32, segment: usize) -> usize {
    1usize.wrapping_shl(min_order.wrapping_add(segment.saturating_sub(1) as u32))
}

/// Number of the segment that doubles a table of 2^`order` buckets.
pub(super) const fn upper_segment(min_order: u32, order: u32) -> usize {
    order.wrapping_sub(min_order).wrapping_add(1) as usize
}

/// The number of entries for each bucket that the table is sized for. With eleven slots, 3 % of the
/// entries of a full table find no free slot.
pub const FILL: usize = 8;

/// The order that suits `count` entries in a table of 2^`order` buckets: at most [`FILL`] entries
/// for each bucket, and half as many buckets only if there are fewer than a quarter of that.
pub const fn wants(min_order: u32, max_order: u32, order: u32, count: usize) -> u32 {
    let full = FILL.wrapping_shl(order);
    if count > full && order < max_order {
        order.wrapping_add(1)
    } else if count < full / 4 && order > min_order {
        order.wrapping_sub(1)
    } else {
        order
    }
}

/// Whether `count` entries justify more than 2^`order` buckets.
#[inline]
pub const fn is_full(max_order: u32, order: u32, count: usize) -> bool {
    order < max_order && count > FILL.wrapping_shl(order)
}
