// SPDX-License-Identifier: GPL-2.0-only

//! ONE-IP.

use super::{slots, Algorithm, Change, Flow, List, Server};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many times a client is hashed again before it gets the next server that takes connections.
const ROUNDS: u32 = 64;

/// Dispatching by the client's address (section 3.2 of O. Damani et al., "ONE-IP: Techniques for
/// Hosting a Service on a Cluster of Machines", WWW6 1997): the address is hashed to one of the
/// servers, and hashed again when that one takes no connections; other clients are not affected.
///
/// The paper leaves the hash open; here it is the jump consistent hash of J. Lamping and E. Veach
/// ("A Fast, Minimal Memory, Consistent Hash Algorithm", 2014), so that one more server takes its
/// share of the clients and nobody else moves. A server that was deleted leaves a gap, so that
/// nobody else moves then either; the next one that is added fills it.
#[derive(Debug)]
pub struct OneIp;

impl Algorithm for OneIp {
    fn new(_seed: u64) -> Self {
        Self
    }

    /// A slot for each server, and gaps.
    fn words(servers: usize, former: usize) -> usize {
        servers.max(former)
    }

    fn changed<S: Server>(&self, list: &List<'_, S>, former: &[AtomicU64], change: Change) {
        let all = || list.memory.iter().enumerate();
        if change == Change::Reset {
            for (slot, _) in all().take(list.servers.len()) {
                slots::give(list.memory, slot, slot);
            }
            return;
        }
        for slot in 0..former.len() {
            if let Some(index) = slots::owner(former, slot).and_then(|index| change.index(index)) {
                slots::give(list.memory, slot, index);
            }
        }
        if let Change::Added(index) = change {
            if let Some((gap, _)) = all().find(|(_, word)| word.load(Relaxed) == 0) {
                slots::give(list.memory, gap, index);
            }
        }
    }

    #[inline]
    fn select<S: Server>(&self, list: &List<'_, S>, flow: &Flow) -> Option<usize> {
        let client = slots::client(flow);
        (0..ROUNDS)
            .filter_map(|round| {
                let slot = jump(slots::hash(client, round), list.memory.len() as u64);
                slots::owner(list.memory, slot as usize)
            })
            .find(|index| slots::takes(list.servers, *index))
            .or_else(|| {
                let bound = list.servers.len() as u64;
                slots::from(
                    list.servers,
                    super::below(slots::hash(client, 0), bound) as usize,
                )
            })
    }
}

/// The bucket of `key` among so many.
fn jump(mut key: u64, buckets: u64) -> u64 {
    let mut bucket = 0;
    let mut next = 0;
    while next < buckets {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // (bucket + 1) / r with r from 0 to 1, in steps of 2^-31; there are fewer than 2^32
        // buckets.
        let step = bucket.wrapping_add(1) << 31;
        next = step
            .checked_div((key >> 33).wrapping_add(1))
            .unwrap_or(buckets);
    }
    bucket
}
