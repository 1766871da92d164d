// SPDX-License-Identifier: GPL-2.0-only

//! Weighted overflow.

use super::{capacity, Order, Ranked, Server};
use core::cmp::Ordering;

/// Weighted overflow scheduling: the server of the greatest weight that has no more active
/// connections than its weight says, so that what is too much for one goes to the next; among
/// equals the first in the list.
pub type WeightedOverflow = Ranked<GreatestNotFull>;

/// The order of [`WeightedOverflow`].
#[derive(Debug)]
pub struct GreatestNotFull;

impl Order for GreatestNotFull {
    #[inline]
    fn capacity<S: Server>(server: &S) -> Option<u32> {
        capacity(server).filter(|weight| server.active() <= *weight)
    }

    #[inline]
    fn compare<S: Server>((_, w): (&S, u32), (_, v): (&S, u32)) -> Ordering {
        v.cmp(&w)
    }
}
