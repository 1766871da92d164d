// SPDX-License-Identifier: GPL-2.0-only

//! Doubling and halving the number of buckets, one thread at a time.
//!
//! Doubling the table moves entries from the slots of a *lower* bucket to those of an *upper* one,
//! and halving it moves them back. An entry is stored in its new place before it is removed from
//! the former one, and a reader searches in the order of that movement: first where entries come
//! from, then where they go, then the list. One word, the [`Geometry`], holds the number of
//! buckets and whether they are being doubled or halved, so a reader sees a matching set:
//!
//! - [`grow`]: publish "growing"; wait for a grace period, after which no reader looks at the lower
//!   bucket only; insert the sentinel of each upper bucket and move the entries; publish the new
//!   size;
//! - [`shrink`]: publish the smaller size and "shrinking"; wait, after which no reader looks at the
//!   upper bucket only; move the entries and remove the sentinels; publish "settled"; wait, after
//!   which no reader is at an upper bucket; free them.
//!
//! An entry that moves while its destination has no free slot moves to the list. The link of an
//! entry in a slot is unused, and no reader is there, since entries never return from the list.

use super::{
    geometry::{upper_half, upper_segment, Geometry},
    put,
    split_order::{self, bucket_at, Lists},
    tags::Tag,
    Slot, Slots,
};
use core::sync::atomic::Ordering;

/// A table with a changeable number of buckets. One thread at a time changes it.
pub trait Resizable {
    /// The buckets with their entries.
    type Buckets: Slots;

    /// Stores the geometry.
    fn set_geometry(&self, geometry: Geometry, ordering: Ordering);
    /// Waits until all currently open read sections have ended.
    fn grace_period(&self);
    /// Runs `change` with the lock of `bucket`'s shard held. A shard is all entries whose hashes
    /// have some low bits in common, at most [`Lists::MIN_ORDER`]: whole buckets at every size.
    fn locked(&self, bucket: u32, change: impl FnOnce(&Self::Buckets));
    /// Allocates segment number `segment` with empty buckets, and stores its address with release.
    /// Returns false if there is no memory.
    fn add_segment(&self, segment: usize) -> bool;
    /// Frees segment number `segment`. No link names it, and no reader uses it.
    fn free_segment(&self, segment: usize);
}

/// Doubles a number of 2^`order` buckets. Returns false if there is no memory.
pub fn grow<R: Resizable>(table: &R, order: u32) -> bool {
    let segment = upper_segment(R::Buckets::MIN_ORDER, order);
    if order >= R::Buckets::MAX_ORDER || !table.add_segment(segment) {
        return false;
    }
    let growing = Geometry::growing(order);
    table.set_geometry(growing, Ordering::Release);
    table.grace_period();
    for upper in upper_buckets(order) {
        table.locked(upper, |buckets| {
            split_order::split(buckets, order, upper);
            let [lower, upper] = [growing.bucket(upper), upper];
            move_slots(buckets, growing, lower, upper, |hash| {
                growing.upper(hash).is_some()
            });
        });
    }
    let larger = Geometry::settled(order.wrapping_add(1));
    table.set_geometry(larger, Ordering::Release);
    true
}

/// Halves a number of 2^`order` buckets.
pub fn shrink<R: Resizable>(table: &R, order: u32) {
    if order <= R::Buckets::MIN_ORDER {
        return;
    }
    let order = order.wrapping_sub(1);
    let shrinking = Geometry::shrinking(order);
    table.set_geometry(shrinking, Ordering::Release);
    table.grace_period();
    for upper in upper_buckets(order) {
        table.locked(upper, |buckets| {
            let lower = shrinking.bucket(upper);
            move_slots(buckets, shrinking, upper, lower, |_| true);
            split_order::join(buckets, order, upper);
        });
    }
    table.set_geometry(Geometry::settled(order), Ordering::Release);
    table.grace_period();
    table.free_segment(upper_segment(R::Buckets::MIN_ORDER, order));
}

/// The additional buckets of a table that doubles from 2^`order` buckets.
fn upper_buckets(order: u32) -> core::ops::Range<u32> {
    let half = upper_half(order);
    half..half.wrapping_mul(2)
}

/// Moves the entries of bucket number `from` that `go`, by their hashes, to bucket number `to` or
/// to the list. With the shard's lock held.
fn move_slots<S: Slots>(
    buckets: &S,
    geometry: Geometry,
    from: u32,
    to: u32,
    go: impl Fn(u32) -> bool,
) {
    let home = bucket_at(buckets, geometry.bucket(from));
    let (Some(bucket), Some(to), Some(home)) =
        (bucket_at(buckets, from), bucket_at(buckets, to), home)
    else {
        return;
    };
    let sentinel = buckets.sentinel(home);
    for slot in 0..S::SLOTS {
        let Some(entry) = buckets.slot(bucket, slot, Ordering::Relaxed) else {
            continue;
        };
        let hash = buckets.hash(entry);
        if !go(hash) {
            continue;
        }
        let has_moved = match buckets.number(entry) {
            Some(number) => put(buckets, to, Tag::of(hash), number),
            None => false,
        };
        if !has_moved {
            let before = split_order::place_of(buckets, geometry, sentinel, hash);
            split_order::insert(buckets, before, entry);
        }
        Slot {
            bucket,
            number: slot,
        }
        .clear(buckets);
    }
}
