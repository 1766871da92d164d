// SPDX-License-Identifier: GPL-2.0-only

//! Servers near the client.

use super::{capacity, Algorithm, Change, Destination, FewestForWeight, Flow, List, Order};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Takes a server of the nearest region that has one which accepts connections. In that region it
/// takes the server with the fewest connections for its weight, like
/// [`WeightedLeastConnection`](super::WeightedLeastConnection). A region whose servers are full or
/// quiesced spills over into the next one.
///
/// The regions of the client and of the servers come from the table of [`Flow::regions`]. Without a
/// table, and for clients in no region, all servers are equally near.
///
/// "Geographically distributed" servers are in section 3.2 of "LinuxDirector: A Connection Director
/// for Scalable Internet Services", and scheduling by location is in its section 8.
#[derive(Debug)]
pub struct NearestRegion;

/// What is known about a server: the generation of the table, and the region in the low octet.
const REGION_BITS: u32 = 8;

impl Algorithm for NearestRegion {
    fn new(_seed: u64) -> Self {
        Self
    }

    /// The region of each server, with the generation of the table that it was looked up in. The
    /// memory is all zeros at first, which is the generation of no table.
    fn words(destinations: usize, _former: usize) -> usize {
        destinations
    }

    fn changed<S: Destination>(&self, _: &List<'_, S>, _: &[AtomicU64], _: Change) {}

    fn select<S: Destination>(&self, list: &List<'_, S>, flow: &Flow<'_>) -> Option<usize> {
        let regions = flow.regions;
        let generation = regions.generation();
        let client = regions.region(flow.client.address);
        let region = |server: &S, word: &AtomicU64| {
            let known = word.load(Relaxed);
            if known >> REGION_BITS == generation {
                return known as u8;
            }
            // CPUs with the same table store the same word.
            let region = regions.region(server.endpoint().address);
            word.store((generation << REGION_BITS) | u64::from(region), Relaxed);
            region
        };
        let mut best: Option<(usize, u8, (&S, u32))> = None;
        for (index, (server, word)) in list.destinations.iter().zip(list.memory).enumerate() {
            let Some(weight) = capacity(server) else {
                continue;
            };
            let distance = match client {
                0 => 0,
                client => regions.distance(client, region(server, word)),
            };
            let is_better = best.is_none_or(|(_, least, other)| {
                let order = distance.cmp(&least);
                order
                    .then_with(|| FewestForWeight::compare((server, weight), other))
                    .is_lt()
            });
            if is_better {
                best = Some((index, distance, (server, weight)));
            }
        }
        best.map(|(index, ..)| index)
    }
}
