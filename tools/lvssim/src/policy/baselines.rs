// SPDX-License-Identifier: GPL-2.0-only

//! Baselines: schedulers that the director does not have, to compare its schedulers with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;

use lvs_core::scheduler::{capacity, Algorithm, Change, Destination, Flow, List};

/// A draw from SplitMix64, for the baselines that draw.
#[inline]
fn draw(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random server that takes connections and satisfies a condition, in proportion to the weights.
fn random<S: Destination>(
    state: &AtomicU64,
    destinations: &[S],
    condition: impl Fn(&S) -> bool,
) -> Option<usize> {
    let weights = || {
        let weight = |server: &S| capacity(server).filter(|_| condition(server)).unwrap_or(0);
        destinations
            .iter()
            .map(move |server| u64::from(weight(server)))
    };
    let total: u64 = weights().sum();
    let mut number = ((u128::from(draw(state)) * u128::from(total)) >> 64) as u64;
    weights().position(|weight| match number.checked_sub(weight) {
        Some(rest) => {
            number = rest;
            false
        }
        None => true,
    })
}

/// Baseline: a server drawn at random, by weights.
pub struct Random(AtomicU64);

impl Algorithm for Random {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        random(&self.0, list.destinations, |_| true)
    }
}

/// Baseline: join the idle queue. A server without active connections, or any one at random.
pub struct JoinIdleQueue(AtomicU64);

impl Algorithm for JoinIdleQueue {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        random(&self.0, list.destinations, |server| server.active() == 0)
            .or_else(|| random(&self.0, list.destinations, |_| true))
    }
}

/// Baseline: the server with the least work left, which no director can know.
pub struct LeastWorkLeft;

impl Algorithm for LeastWorkLeft {
    const MEASURES_DELAYS: bool = true;

    fn new(_seed: u64) -> Self {
        Self
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        (0..list.destinations.len())
            .filter(|index| capacity(&list.destinations[*index]).is_some())
            .min_by_key(|index| list.destinations[*index].delay().present)
    }
}

/// Baseline: the hash of the ONE-IP paper (section 3.2). A client's address, hashed, modulo the
/// number of servers; if that server takes no connections, modulo the number of the others.
pub struct Modulo;

impl Algorithm for Modulo {
    fn new(_seed: u64) -> Self {
        Self
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let address = u32::from_be_bytes(flow.client.address.v4()?);
        let hash = draw(&AtomicU64::new(address.into())) as usize;
        let takes = |index: &usize| capacity(&list.destinations[*index]).is_some();
        let first = hash.checked_rem(list.destinations.len())?;
        if takes(&first) {
            return Some(first);
        }
        let others: Vec<usize> = (0..list.destinations.len()).filter(takes).collect();
        others.get(hash.checked_rem(others.len())?).copied()
    }
}

/// Baseline: round-robin DNS. Each resolver is given the next server and hands it to all its
/// clients for [`RoundRobinDns::TTL`]. The last eight bits of a client's address are its resolver.
pub struct RoundRobinDns(Mutex<DnsState>);

#[derive(Default)]
struct DnsState {
    next: usize,
    answers: HashMap<u8, (usize, u32)>,
}

impl RoundRobinDns {
    /// How many seconds a resolver keeps an answer.
    pub const TTL: u32 = 60;
}

impl Algorithm for RoundRobinDns {
    fn new(_seed: u64) -> Self {
        Self(Mutex::default())
    }

    fn changed<S: Destination>(&self, _list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
    }

    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let mut guard = self.0.lock().ok()?;
        let state = &mut *guard;
        let [.., resolver] = flow.client.address.v4()?;
        let answer = state.answers.get(&resolver);
        if let Some((index, _)) = answer.filter(|(_, since)| flow.now - since < Self::TTL) {
            // A client with the answer goes there, whether that server works or not.
            return Some(*index);
        }
        let count = list.destinations.len();
        let index = (state.next..state.next + count)
            .map(|index| index % count)
            .find(|index| capacity(&list.destinations[*index]).is_some())?;
        state.next = index + 1;
        state.answers.insert(resolver, (index, flow.now));
        Some(index)
    }
}
