// SPDX-License-Identifier: GPL-2.0-only

//! The shards of a table. A shard is all entries whose hashes have the same low [`SHARD_BITS`]
//! bits, which is a set of whole buckets at every size. Its lock covers its lists and its part of
//! the slow timer, so a new connection takes one lock.

use super::{entry::Body, wheel::Wheel};
use crate::{lock::BhLock, new_bh_lock};
use kernel::{
    alloc::{KBox, KVec},
    prelude::*,
};

/// log2 of the number of shards.
pub(super) const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;

/// The data under a shard's lock, beside the lists.
pub(super) struct Shard<T: Body> {
    pub(super) wheel: Wheel<T>,
}

/// All shards of a table.
pub(super) struct Shards<T: Body>(KVec<Pin<KBox<BhLock<Shard<T>>>>>);

impl<T: Body> Shards<T> {
    /// Empty shards whose slow timer starts in second `now`. Process context.
    pub(super) fn new(now: u32) -> Result<Self> {
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let shard = Shard {
                wheel: Wheel::new(now),
            };
            let lock = new_bh_lock!(shard, c"ipvs_rs_shard");
            shards.push(KBox::pin_init(lock, GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Self(shards))
    }

    /// The shard of a hash or of a bucket. It always exists; the `Option` avoids a panic.
    #[inline]
    pub(super) fn of(&self, hash: u32) -> Option<&BhLock<Shard<T>>> {
        self.0
            .get(hash as usize & (SHARDS - 1))
            .map(|shard| &**shard)
    }

    /// All shards.
    pub(super) fn iter(&self) -> impl Iterator<Item = &BhLock<Shard<T>>> {
        self.0.iter().map(|shard| &**shard)
    }
}
