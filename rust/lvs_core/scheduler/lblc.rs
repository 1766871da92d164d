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
pub type LocalityBasedLeastConnection = Locality<false>;

/// The same with replication. Connections to one address go to the least loaded server of a set.
/// The set gains a server when all of its servers are overloaded, and loses the most loaded one
/// when it has not changed for the length of the expiration.
pub type LocalityBasedWithReplication = Locality<true>;

/// The number of addresses that are remembered, that of the C director's table.
const ENTRIES: usize = 16384;
/// The number of places where an address may be stored.
const WAYS: usize = 4;
/// The servers of a word of a set.
const WORD: usize = u64::BITS as usize;
/// The most words of a set: servers beyond the first 4,096 are in no set.
const SET_MAX: usize = 64;

/// Locality-based least-connection scheduling with one server for an address, or with
/// `REPLICATION`.
///
/// The table has a constant size and stores addresses by their hashes. A new address without a free
/// place replaces the one that has been unused for the longest time. The words of an entry may come
/// from different CPUs. In that case one connection goes to another address's servers.
#[derive(Debug)]
pub struct Locality<const REPLICATION: bool> {
    ranking: WeightedLeastConnection,
}

/// The record of an address: a word with the tag and the second of the last use, a word with the
/// second of the last change of the servers, and the servers. With replication, these have one bit
/// each. Otherwise, there is one word, which has the index of the server + 1, or 0.
struct Entry<'a, const REPLICATION: bool>(&'a [AtomicU64]);

/// The places of the bits of a word that are set, from `first` on.
struct Bits {
    word: u64,
    first: usize,
}

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let rest = self.word & self.word.checked_sub(1)?;
        let place = self.word.trailing_zeros() as usize;
        self.word = rest;
        self.first.checked_add(place)
    }
}

impl<'a, const REPLICATION: bool> Entry<'a, REPLICATION> {
    /// The number of words of an entry in a list of this many servers.
    fn words(servers: usize) -> usize {
        let set = match REPLICATION {
            true => servers.div_ceil(WORD).clamp(1, SET_MAX),
            false => 1,
        };
        set.saturating_add(2)
    }

    fn head(&self) -> u64 {
        self.0.first().map_or(0, |word| word.load(Relaxed))
    }

    fn tag(&self) -> u32 {
        (self.head() >> 32) as u32
    }

    fn used(&self) -> u32 {
        self.head() as u32
    }

    fn touch(&self, tag: u32, now: u32) {
        let head = (u64::from(tag) << 32) | u64::from(now);
        if let (true, Some(word)) = (self.head() != head, self.0.first()) {
            word.store(head, Relaxed);
        }
    }

    fn changed(&self) -> u32 {
        self.0.get(1).map_or(0, |word| word.load(Relaxed) as u32)
    }

    fn change(&self, now: u32) {
        if let Some(word) = self.0.get(1) {
            word.store(u64::from(now), Relaxed);
        }
    }

    fn set(&self) -> &'a [AtomicU64] {
        self.0.get(2..).unwrap_or(&[])
    }

    /// The servers of the address.
    fn indices(&self) -> impl Iterator<Item = usize> + 'a {
        let (one, several) = match (REPLICATION, self.set()) {
            (true, set) => (None, set),
            (false, [word, ..]) => ((word.load(Relaxed) as usize).checked_sub(1), &[][..]),
            (false, []) => (None, &[][..]),
        };
        let several = several.iter().zip((0..).step_by(WORD));
        let several = several.flat_map(|(word, first)| Bits {
            word: word.load(Relaxed),
            first,
        });
        one.into_iter().chain(several)
    }

    /// The word of a server, and the server's bit in it.
    fn bit(&self, index: usize) -> Option<(&'a AtomicU64, u64)> {
        Some((self.set().get(index / WORD)?, 1 << (index % WORD)))
    }

    /// Adds a server; without replication, it replaces the former one.
    fn add(&self, index: usize) {
        match (REPLICATION, self.set()) {
            (true, _) => {
                if let Some((word, bit)) = self.bit(index) {
                    word.fetch_or(bit, Relaxed);
                }
            }
            (false, [word, ..]) => word.store((index as u64).wrapping_add(1), Relaxed),
            (false, []) => {}
        }
    }

    /// Removes a server from a set.
    fn remove(&self, index: usize) {
        if let (true, Some((word, bit))) = (REPLICATION, self.bit(index)) {
            word.fetch_and(!bit, Relaxed);
        }
    }

    /// Forgets the servers of the address that was here before.
    fn clear(&self) {
        for word in self.set() {
            word.store(0, Relaxed);
        }
    }
}

impl<const REPLICATION: bool> Locality<REPLICATION> {
    /// The ranking of the servers, and the words of the entries.
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

    /// The entries in some words, in a list of this many servers.
    fn entries(
        words: &[AtomicU64],
        servers: usize,
    ) -> impl Iterator<Item = Entry<'_, REPLICATION>> {
        words
            .chunks_exact(Entry::<REPLICATION>::words(servers))
            .map(Entry)
    }

    /// The entries of the former list.
    fn former(
        memory: &[AtomicU64],
        servers: usize,
        change: Change,
    ) -> impl Iterator<Item = Entry<'_, REPLICATION>> {
        let servers = match change {
            Change::Added(_) => servers.saturating_sub(1),
            Change::Removed(_) => servers.saturating_add(1),
            Change::Edited(_) | Change::Reset => servers,
        };
        Self::entries(memory.get(servers..).unwrap_or(&[]), servers)
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

/// Returns the least loaded and the most loaded of the servers that accept connections.
fn extremes<S: Destination>(
    destinations: &[S],
    indices: impl Iterator<Item = usize>,
) -> Option<(usize, usize)> {
    let look = |index: usize| {
        let destination = destinations.get(index)?;
        Some((destination, super::capacity(destination)?))
    };
    let mut extremes: Option<(usize, usize)> = None;
    for index in indices.filter(|index| look(*index).is_some()) {
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

impl<const REPLICATION: bool> Algorithm for Locality<REPLICATION> {
    const FOLLOWS_LOADS: bool = true;

    fn new(seed: u64) -> Self {
        Self {
            ranking: WeightedLeastConnection::new(seed),
        }
    }

    fn words(destinations: usize, _former: usize) -> usize {
        let entries = ENTRIES.saturating_mul(Entry::<REPLICATION>::words(destinations));
        destinations.saturating_add(entries)
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, former: &[AtomicU64], change: Change) {
        let Some((ranked, memory)) = Self::parts(list) else {
            return;
        };
        self.ranking.changed(&ranked, &[], change);
        let servers = list.destinations.len();
        let new = Self::entries(memory, servers);
        for (old, new) in Self::former(former, servers, change).zip(new) {
            for index in old.indices().filter_map(|index| change.index(index)) {
                new.add(index);
                new.touch(old.tag(), old.used());
                new.change(old.changed());
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
        let servers = list.destinations.len();
        let begin = (below(hash, (ENTRIES / WAYS) as u64) as usize)
            .wrapping_mul(WAYS)
            .wrapping_mul(Entry::<REPLICATION>::words(servers));
        let ways = || Self::entries(memory.get(begin..).unwrap_or(&[]), servers).take(WAYS);
        let age = |entry: &Entry<'_, REPLICATION>| flow.now.wrapping_sub(entry.used());

        let expiration = match REPLICATION {
            false => flow.options.lblc_expiration,
            true => flow.options.lblcr_expiration,
        };

        let known = ways().find(|entry| entry.tag() == tag && age(entry) < expiration);
        if let Some(entry) = &known {
            if let Some((least, most)) = extremes(list.destinations, entry.indices()) {
                entry.touch(tag, flow.now);
                if least != most && flow.now.wrapping_sub(entry.changed()) > expiration {
                    entry.remove(most);
                    entry.change(flow.now);
                }
                if !self.is_too_much(&ranked, least, flow) {
                    return Some(least);
                }
            }
        }

        let choice = self.ranking.select(&ranked, flow)?;
        let empty = |entry: &Entry<'_, REPLICATION>| entry.tag() == 0;
        let entry = match known {
            Some(entry) => entry,
            None => {
                let entry = ways().max_by_key(|entry| (empty(entry), age(entry)))?;
                entry.clear();
                entry
            }
        };
        entry.touch(tag, flow.now);
        entry.add(choice);
        entry.change(flow.now);
        Some(choice)
    }
}
