// SPDX-License-Identifier: GPL-2.0-only

//! Never queue.

use super::{Destination, Order, Ranked, ShortestDelay};
use core::cmp::Ordering;

/// Never-queue scheduling: takes the first server in the list that is idle, that is, has no active
/// connection. If there is none, it takes the server of
/// [`ShortestExpectedDelay`](super::ShortestExpectedDelay).
pub type NeverQueue = Ranked<IdleFirst>;

/// The order of [`NeverQueue`].
#[derive(Debug)]
pub struct IdleFirst;

impl Order for IdleFirst {
    #[inline]
    fn compare<S: Destination>(one: (&S, u32), other: (&S, u32)) -> Ordering {
        let is_busy = |destination: &S| destination.active() != 0;
        match (is_busy(one.0), is_busy(other.0)) {
            (true, true) => ShortestDelay::compare(one, other),
            (a, b) => a.cmp(&b),
        }
    }
}
