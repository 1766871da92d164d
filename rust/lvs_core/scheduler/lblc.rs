// SPDX-License-Identifier: GPL-2.0-only

//! Locality-based least-connection, without and with replication.

use super::{
    below, slots, Algorithm, Change, Destination, FewestForWeight, Flow, List, Order,
    WeightedLeastConnection,
};
use crate::Endpoint;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Locality-based least-connection scheduling, for caches behind a firewall mark. Connections to
/// one address go to the server that served it last. If that server has more active connections
/// than its weight while another has less than half of its own weight, and for a new address, it
/// takes the server of [`WeightedLeastConnection`].
pub type LocalityBasedLeastConnection = Locality<1>;

/// The same with replication. Connections to one address go to the least loaded server of a set.
/// The set gains a server when all of its servers are overloaded, and loses the most loaded one
/// when it has not changed for the length of the expiration.
pub type LocalityBasedWithReplication = Locality<REPLICAS_MAX>;

/// The number of addresses that are remembered, that of the C director's table.
const ENTRIES: usize = 16384;
/// The most servers of an address.
const REPLICAS_MAX: usize = 8;
/// The number of places where an address may be stored.
const WAYS: usize = 4;
/// Words of an entry: tag and second of last use, servers in two words, and the second of the
/// servers' last change.
const WORDS: usize = 4;
const MEMORY: usize = ENTRIES * WORDS;

/// Locality-based least-connection scheduling with at most `REPLICAS` servers, of at most eight,
/// for an address.
///
/// The table has a constant size and stores addresses by their hashes. A new address without a free
/// place replaces the one that has been unused for the longest time. The words of an entry may come
/// from different CPUs. In that case one connection goes to another address's servers.
#[derive(Debug)]
pub struct Locality<const REPLICAS: usize> {
    ranking: WeightedLeastConnection,
}

/// The record of an address.
struct Entry<'a>(&'a [AtomicU64; WORDS]);

/// The servers of an address, 16 bits each: index + 1, or 0.
#[derive(Clone, Copy)]
struct Set(u128);

impl Set {
    fn indices(self) -> impl Iterator<Item = usize> {
        (0..REPLICAS_MAX as u32).filter_map(move |place| {
            ((self.0 >> place.wrapping_mul(16)) as u16 as usize).checked_sub(1)
        })
    }

    /// Returns those of `indices` that fit.
    fn of(indices: impl Iterator<Item = usize>) -> Self {
        let words = indices.filter_map(|index| u16::try_from(index.checked_add(1)?).ok());
        Self(
            words
                .take(REPLICAS_MAX)
                .fold(0, |set, word| (set << 16) | u128::from(word)),
        )
    }
}

impl Entry<'_> {
    fn tag(&self) -> u32 {
        let [tag, ..] = self.0;
        (tag.load(Relaxed) >> 32) as u32
    }

    fn used(&self) -> u32 {
        let [tag, ..] = self.0;
        tag.load(Relaxed) as u32
    }

    fn touch(&self, tag: u32, now: u32) {
        let word = (u64::from(tag) << 32) | u64::from(now);
        let [tag, ..] = self.0;
        if tag.load(Relaxed) != word {
            tag.store(word, Relaxed);
        }
    }

    fn set(&self) -> Set {
        let [_, low, high, _] = self.0;
        Set((u128::from(high.load(Relaxed)) << 64) | u128::from(low.load(Relaxed)))
    }

    fn change(&self, set: Set, now: u32) {
        let [_, low, high, changed] = self.0;
        low.store(set.0 as u64, Relaxed);
        high.store((set.0 >> 64) as u64, Relaxed);
        changed.store(u64::from(now), Relaxed);
    }

    fn changed(&self) -> u32 {
        let [_, _, _, changed] = self.0;
        changed.load(Relaxed) as u32
    }
}

fn entries(memory: &[AtomicU64]) -> impl Iterator<Item = Entry<'_>> {
    memory
        .chunks_exact(WORDS)
        .filter_map(|words| words.try_into().ok().map(Entry))
}

impl<const REPLICAS: usize> Locality<REPLICAS> {
    /// The ranking of the servers, and the entries.
    #[inline]
    fn parts<'a, S>(list: &List<'a, S>) -> Option<(List<'a, S>, &'a [AtomicU64])> {
        let (memory, entries) = list.memory.split_at_checked(list.destinations.len())?;
        let destinations = list.destinations;
        Some((
            List {
                destinations,
                memory,
            },
            entries,
        ))
    }

    /// Whether an address must leave this server.
    fn is_too_much<S: Destination>(
        &self,
        ranked: &List<'_, S>,
        index: usize,
        flow: &Flow<'_>,
    ) -> bool {
        let Some(destination) = ranked.destinations.get(index) else {
            return true;
        };
        destination.active() > destination.weight()
            && self
                .ranking
                .select(ranked, flow)
                .and_then(|least| ranked.destinations.get(least))
                .is_some_and(|least| least.active() < least.weight().div_ceil(2))
    }
}

/// Returns the least loaded and the most loaded server of `set` that accept connections.
fn extremes<S: Destination>(destinations: &[S], set: Set) -> Option<(usize, usize)> {
    let look = |index: usize| {
        let destination = destinations.get(index)?;
        Some((destination, super::capacity(destination)?))
    };
    let mut extremes: Option<(usize, usize)> = None;
    for index in set.indices().filter(|index| look(*index).is_some()) {
        let (mut least, mut most) = extremes.unwrap_or((index, index));
        let less = |one: usize, other: usize| match (look(one), look(other)) {
            (Some(one), Some(other)) => FewestForWeight::compare(one, other).is_lt(),
            _ => false,
        };
        if less(index, least) {
            least = index;
        }
        if less(most, index) {
            most = index;
        }
        extremes = Some((least, most));
    }
    extremes
}

impl<const REPLICAS: usize> Algorithm for Locality<REPLICAS> {
    const FOLLOWS_LOADS: bool = true;

    fn new(seed: u64) -> Self {
        Self {
            ranking: WeightedLeastConnection::new(seed),
        }
    }

    fn words(destinations: usize, _former: usize) -> usize {
        destinations.saturating_add(MEMORY)
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, former: &[AtomicU64], change: Change) {
        let Some((ranked, memory)) = Self::parts(list) else {
            return;
        };
        self.ranking.changed(&ranked, &[], change);
        let former = former
            .len()
            .checked_sub(MEMORY)
            .and_then(|begin| former.get(begin..));
        for (old, new) in entries(former.unwrap_or(&[])).zip(entries(memory)) {
            let set = Set::of(old.set().indices().filter_map(|index| change.index(index)));
            if set.0 != 0 {
                new.touch(old.tag(), old.used());
                new.change(set, old.changed());
            }
        }
    }

    fn load_changed<S: Destination>(&self, list: &List<'_, S>, index: usize) {
        if let Some((ranked, _)) = Self::parts(list) {
            self.ranking.load_changed(&ranked, index);
        }
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let (ranked, memory) = Self::parts(list)?;
        let hash = slots::hash(Endpoint::new(flow.virtual_endpoint.address, 0), 0);
        // A tag is never 0.
        let tag = hash as u32 | 1;
        let begin = (below(hash, (ENTRIES / WAYS) as u64) as usize).wrapping_mul(WAYS * WORDS);
        let ways = || entries(memory.get(begin..).unwrap_or(&[])).take(WAYS);
        let age = |entry: &Entry<'_>| flow.now.wrapping_sub(entry.used());

        let expiration = match REPLICAS {
            1 => flow.options.lblc_expiration,
            _ => flow.options.lblcr_expiration,
        };

        let known = ways().find(|entry| entry.tag() == tag && age(entry) < expiration);
        let set = known.as_ref().map_or(Set(0), Entry::set);
        let extremes = extremes(list.destinations, set);
        if let (Some(entry), Some((least, most))) = (&known, extremes) {
            entry.touch(tag, flow.now);
            if least != most && flow.now.wrapping_sub(entry.changed()) > expiration {
                entry.change(
                    Set::of(set.indices().filter(|index| *index != most)),
                    flow.now,
                );
            }
            if !self.is_too_much(&ranked, least, flow) {
                return Some(least);
            }
        }

        let choice = self.ranking.select(&ranked, flow)?;
        let empty = |entry: &Entry<'_>| entry.tag() == 0;
        let entry = known.or_else(|| ways().max_by_key(|entry| (empty(entry), age(entry))))?;
        let others = set.indices().filter(|index| *index != choice);
        // In a full set, the new server replaces the most loaded one.
        let full = set.indices().count() >= REPLICAS;
        let others =
            others.filter(|index| !full || extremes.is_none_or(|(_, most)| most != *index));
        let room = REPLICAS.saturating_sub(1);
        entry.touch(tag, flow.now);
        entry.change(
            Set::of(core::iter::once(choice).chain(others.take(room))),
            flow.now,
        );
        Some(choice)
    }
}
