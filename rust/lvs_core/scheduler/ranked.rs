// SPDX-License-Identifier: GPL-2.0-only

//! Schedulers that take the first server in some order of their loads.

use super::{capacity, ranking, Algorithm, Change, Flow, List, Server};
use core::{cmp::Ordering, marker::PhantomData, sync::atomic::AtomicU64};

/// An order of servers.
pub trait Order: Send + Sync + 'static {
    /// See [`Algorithm::MEASURES_DELAYS`].
    const MEASURES_DELAYS: bool = false;

    /// The weight of a server that may be chosen, or `None`.
    #[inline]
    fn capacity<S: Server>(server: &S) -> Option<u32> {
        capacity(server)
    }

    /// Which of two servers that may be chosen comes first; each stands beside its weight. Among
    /// equals it is the first in the list.
    fn compare<S: Server>(one: (&S, u32), other: (&S, u32)) -> Ordering;
}

/// Takes the first server in the order `O`, and keeps a [`ranking`] to find it: a new connection
/// costs looks at the first server and at its rivals, of which there are as many as the logarithm
/// of the number of servers. Only where nobody takes connections a selection looks at all.
#[derive(Debug)]
pub struct Ranked<O>(PhantomData<O>);

impl<O: Order> Ranked<O> {
    /// Whether the server at index `one` comes before that at `other`.
    #[inline(always)]
    fn beats<S: Server>(servers: &[S], one: usize, other: usize) -> bool {
        let (Some(a), Some(b)) = (servers.get(one), servers.get(other)) else {
            return false;
        };
        match (O::capacity(a), O::capacity(b)) {
            (Some(w), Some(v)) => match O::compare((a, w), (b, v)) {
                Ordering::Less => true,
                Ordering::Equal => one < other,
                Ordering::Greater => false,
            },
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

    fn words(servers: usize, _former: usize) -> usize {
        servers
    }

    fn changed<S: Server>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        let beats = |one, other| Self::beats(list.servers, one, other);
        ranking::play_all(list.memory, list.servers.len(), beats);
    }

    #[inline]
    fn load_changed<S: Server>(&self, list: &List<'_, S>, index: usize) {
        let beats = |one, other| Self::beats(list.servers, one, other);
        ranking::update(list.memory, list.servers.len(), index, beats);
    }

    #[inline]
    fn select<S: Server>(&self, list: &List<'_, S>, _flow: &Flow) -> Option<usize> {
        let takes = |index: &usize| list.servers.get(*index).and_then(O::capacity).is_some();
        let first = ranking::winner(list.memory, list.servers.len())?;
        if takes(&first) {
            return Some(first);
        }
        // Either nobody takes connections, or this one has only just ceased to, and who made it so
        // is about to say it.
        let best = |one, other| match Self::beats(list.servers, other, one) {
            true => other,
            false => one,
        };
        (0..list.servers.len()).filter(takes).reduce(best)
    }
}

/// Which of `a / w` and `b / v` is greater, by cross-multiplication, never by division; `w` and `v`
/// are not 0.
#[inline]
pub(super) fn ratio(a: u32, w: u32, b: u32, v: u32) -> Ordering {
    // The product of 32-bit numbers fits 64 bits.
    let cross = |a: u32, v: u32| u64::from(a).wrapping_mul(u64::from(v));
    cross(a, v).cmp(&cross(b, w))
}
