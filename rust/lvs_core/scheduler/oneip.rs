// SPDX-License-Identifier: GPL-2.0-only

//! ONE-IP.

use super::{slots, Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Dispatching by the client's address (sections 3.2 and 6.3 of O. Damani et al., "ONE-IP:
/// Techniques for Hosting a Service on a Cluster of Machines", WWW6 1997). A hash of the address
/// selects the server, and a second server if that one accepts no connections. Other clients are
/// not affected.
///
/// The paper leaves the hash open. This is the highest random weight (D. Thaler, C. Ravishankar,
/// "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1),
/// 1998). Each server has a random rank with each client, and the client goes to the server with
/// the highest rank that accepts connections. A new server takes its share of the clients and no
/// other client moves. A server that leaves gives its clients to the others in equal shares. The
/// result depends only on the set of servers, not on their order or history.
#[derive(Debug)]
pub struct OneIp;

impl Algorithm for OneIp {
    const MAY_BE_STATELESS: bool = true;

    fn new(_seed: u64) -> Self {
        Self
    }

    /// The hash of each server.
    fn words(destinations: usize, _former: usize) -> usize {
        destinations
    }

    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], _change: Change) {
        for (destination, word) in list.destinations.iter().zip(list.memory) {
            word.store(slots::hash(destination.endpoint(), 0), Relaxed);
        }
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let client = slots::seeded(slots::client(flow), 0, flow.options.seed);
        let mut best = None;
        let mut highest = 0;
        for (index, (destination, word)) in list.destinations.iter().zip(list.memory).enumerate() {
            let rank = rank(client, word.load(Relaxed));
            // Few ranks are the highest so far, so this looks at few servers.
            if rank >= highest && super::capacity(destination).is_some() {
                (best, highest) = (Some(index), rank);
            }
        }
        best
    }
}

/// Returns the rank of a server with a client: both halves of the product, as in wyhash (Wang Yi,
/// 2019).
#[inline]
fn rank(client: u64, destination: u64) -> u64 {
    let product = u128::from(client).wrapping_mul(u128::from(destination));
    (product >> 64) as u64 ^ product as u64
}
