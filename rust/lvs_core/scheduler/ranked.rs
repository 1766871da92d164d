// SPDX-License-Identifier: GPL-2.0-only

//! Schedulers that take the first server in an order of their loads.

use super::{capacity, ranking, Algorithm, Change, Destination, Flow, List};
use core::{cmp::Ordering, marker::PhantomData, sync::atomic::AtomicU64};

/// An order of servers.
pub trait Order: Send + Sync + 'static {
    /// See [`Algorithm::MEASURES_DELAYS`].
    const MEASURES_DELAYS: bool = false;

    /// Returns the weight of a server that may be chosen, or `None`.
    #[inline]
    fn capacity<S: Destination>(destination: &S) -> Option<u32> {
        capacity(destination)
    }

    /// Returns a number that puts servers of one weight into this order, if there is such a number.
    #[inline]
    fn number<S: Destination>(destination: &S) -> Option<u64> {
        let _ = destination;
        None
    }

    /// Compares two servers that may be chosen, each with its weight. Among equals the first in the
    /// list comes first.
    fn compare<S: Destination>(one: (&S, u32), other: (&S, u32)) -> Ordering;
}

/// Takes the first server in the order `O`. It keeps a [`ranking`], so a new connection looks only
/// at the first server and at its rivals, whose number is the logarithm of the number of servers.
/// It looks at all servers only if no server accepts connections.
#[derive(Debug)]
pub struct Ranked<O>(PhantomData<O>);

impl<O: Order> Ranked<O> {
    /// Whether the server at index `one` comes before that at `other`.
    #[inline(always)]
    fn beats<S: Destination>(destinations: &[S], one: usize, other: usize) -> bool {
        let (Some(a), Some(b)) = (destinations.get(one), destinations.get(other)) else {
            return false;
        };
        match (O::capacity(a), O::capacity(b)) {
            (Some(w), Some(v)) => {
                // Most servers of a service have the same weight.
                let numbers = match w == v {
                    true => O::number(a).zip(O::number(b)),
                    false => None,
                };
                let order = match numbers {
                    Some((m, n)) => m.cmp(&n),
                    None => O::compare((a, w), (b, v)),
                };
                order.then(one.cmp(&other)) == Ordering::Less
            }
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => one < other,
        }
    }
}

impl<O: Order> Algorithm for Ranked<O> {
    const FOLLOWS_LOADS: bool = true;

    fn new(_seed: u64) -> Self {
        Self(PhantomData)
    }

    fn words(destinations: usize, _former: usize) -> usize {
        destinations
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        let beats = |one, other| Self::beats(list.destinations, one, other);
        ranking::play_all(list.memory, list.destinations.len(), beats);
    }

    #[inline]
    fn load_changed<S: Destination>(&self, list: &List<'_, S>, index: usize) {
        let contestants = list.destinations.len();
        if S::SHARED {
            let beats = |one, other| Self::beats(list.destinations, one, other);
            return ranking::update(list.memory, contestants, index, beats);
        }
        let number = |index: usize| {
            let destination = list.destinations.get(index)?;
            Some((O::number(destination)?, O::capacity(destination)?))
        };
        if let Some(left) = ranking::update_numbers(list.memory, contestants, index, number) {
            let beats = |one, other| Self::beats(list.destinations, one, other);
            ranking::finish_alone(list.memory, contestants, index, left, beats);
        }
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        let takes = |index: &usize| {
            list.destinations
                .get(*index)
                .and_then(O::capacity)
                .is_some()
        };
        let first = ranking::winner(list.memory, list.destinations.len())?;
        if takes(&first) {
            return Some(first);
        }
        // Either no server accepts connections, or this one has just stopped, and the CPU that
        // changed it is about to report that.
        let best = |one, other| match Self::beats(list.destinations, other, one) {
            true => other,
            false => one,
        };
        (0..list.destinations.len()).filter(takes).reduce(best)
    }
}

/// Compares `a / w` and `b / v` by cross-multiplication, without division. `w` and `v` are not 0.
#[inline]
pub(super) fn ratio(a: u32, w: u32, b: u32, v: u32) -> Ordering {
    // The product of 32-bit numbers fits 64 bits.
    let cross = |a: u32, v: u32| u64::from(a).wrapping_mul(u64::from(v));
    cross(a, v).cmp(&cross(b, w))
}
