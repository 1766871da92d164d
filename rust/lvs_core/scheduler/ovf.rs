// SPDX-License-Identifier: GPL-2.0-only

//! Weighted overflow.

use super::{capacity, Destination, Order, Ranked};
use core::cmp::Ordering;

/// Weighted overflow scheduling: takes the server with the greatest weight among those with no more
/// active connections than their weight, so the excess of one goes to the next. Among equals it
/// takes the first in the list.
pub type WeightedOverflow = Ranked<GreatestNotFull>;

/// The order of [`WeightedOverflow`].
#[derive(Debug)]
pub struct GreatestNotFull;

impl Order for GreatestNotFull {
    #[inline]
    fn capacity<S: Destination>(destination: &S) -> Option<u32> {
        capacity(destination).filter(|weight| destination.active() <= *weight)
    }

    #[inline]
    fn compare<S: Destination>((_, w): (&S, u32), (_, v): (&S, u32)) -> Ordering {
        v.cmp(&w)
    }
}
