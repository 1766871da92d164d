// SPDX-License-Identifier: GPL-2.0-only

//! Round-robin.

use super::{below, capacity, moved, Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Round-robin scheduling: takes the servers in order, regardless of weights and loads.
#[derive(Debug)]
pub struct RoundRobin {
    /// The index of the next server; the length of the list after the last one; with [`FRESH`]
    /// before the first turn.
    cursor: AtomicU32,
    seed: u64,
}

/// No server has had a turn yet.
const FRESH: u32 = 1 << 31;

impl Algorithm for RoundRobin {
    fn new(seed: u64) -> Self {
        Self {
            cursor: AtomicU32::new(FRESH),
            seed,
        }
    }

    /// Keeps the place in the sequence. The first place is random, except after [`Change::Reset`],
    /// when there were connections before.
    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], change: Change) {
        let start = below(self.seed, list.destinations.len() as u64) as u32 | FRESH;
        // The closure always returns `Some`, so there is no error to handle.
        let _ = self.cursor.fetch_update(Relaxed, Relaxed, |cursor| {
            Some(match change {
                Change::Reset => 0,
                _ if cursor & FRESH != 0 => start,
                _ => moved(cursor, change),
            })
        });
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        let destinations = list.destinations;
        let mut cursor = self.cursor.load(Relaxed);
        loop {
            let start = (cursor & !FRESH) as usize;
            let (index, next) = from(destinations, start).or_else(|| from(destinations, 0))?;
            // Lock-free: a failure means that another CPU has made its selection.
            match self
                .cursor
                .compare_exchange_weak(cursor, next, Relaxed, Relaxed)
            {
                Ok(_) => return Some(index),
                Err(seen) => cursor = seen,
            }
        }
    }
}

/// Returns the first server at or after `start` that accepts connections, and the cursor after it.
#[inline]
fn from<S: Destination>(destinations: &[S], start: usize) -> Option<(usize, u32)> {
    let index = destinations
        .get(start..)?
        .iter()
        .position(|destination| capacity(destination).is_some())?
        .checked_add(start)?;
    Some((index, u32::try_from(index).ok()?.checked_add(1)?))
}
