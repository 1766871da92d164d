// SPDX-License-Identifier: GPL-2.0-only

//! Weighted round-robin.

use super::{capacity, moved, Change, Server};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weighted round-robin scheduling (section 4.2 of "Linux Virtual Server for Scalable Network
/// Services"): servers of higher weight get their connections first and get more of them, in
/// proportion to the weights.
///
/// The list is gone through again and again. In each pass a server has a turn if its weight is at
/// least the current weight; that falls from the greatest weight to 0, by the greatest common
/// divisor of the weights from pass to pass. Passes in which nobody would have a turn are skipped
/// at once, so that a selection takes at most three looks at each server, whatever the weights.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    /// [`Place`] in one word.
    place: AtomicU64,
    /// The greatest common divisor of the weights; 0 while unknown.
    divisor: AtomicU32,
}

/// A place in the sequence.
#[derive(Clone, Copy)]
struct Place {
    /// The index of the server to look at next.
    cursor: u32,
    /// The current weight; 0 before the first pass.
    current: u32,
}

impl Place {
    /// As one word.
    #[inline]
    fn pack(self) -> u64 {
        (u64::from(self.cursor) << 32) | u64::from(self.current)
    }

    /// From one word.
    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            cursor: (word >> 32) as u32,
            current: word as u32,
        }
    }

    /// The next server in this pass, and the place after it.
    #[inline]
    fn turn<S: Server>(self, servers: &[S]) -> Option<(usize, Self)> {
        let start = self.cursor as usize;
        let index = servers
            .get(start..)?
            .iter()
            .position(|server| capacity(server).is_some_and(|weight| weight >= self.current))?
            .checked_add(start)?;
        let cursor = u32::try_from(index).ok()?.checked_add(1)?;
        Some((index, Self { cursor, ..self }))
    }
}

impl WeightedRoundRobin {
    /// Starts with the first server of the greatest weight.
    pub const fn new() -> Self {
        Self {
            place: AtomicU64::new(0),
            divisor: AtomicU32::new(0),
        }
    }

    /// Keeps the place in the sequence when the list or a weight changes.
    pub fn changed<S: Server>(&self, servers: &[S], change: Change) {
        let weights = || servers.iter().map(Server::weight);
        let divisor = weights().fold(0, gcd);
        let greatest = weights().max().unwrap_or(0);
        self.divisor.store(divisor, Relaxed);
        // The closure never gives up, so there is no error to see.
        let _ = self.place.fetch_update(Relaxed, Relaxed, |word| {
            let place = Place::unpack(word);
            let current = match change {
                Change::Reset => 0,
                // On to a step that the new weights have.
                _ => place
                    .current
                    .checked_next_multiple_of(divisor)
                    .unwrap_or(greatest)
                    .min(greatest),
            };
            let cursor = moved(place.cursor, change);
            Some(Place { cursor, current }.pack())
        });
    }

    /// The next server in the sequence that takes connections; `None` when none does.
    #[inline]
    pub fn select<S: Server>(&self, servers: &[S]) -> Option<usize> {
        let mut word = self.place.load(Relaxed);
        loop {
            let place = Place::unpack(word);
            let (index, next) = match place.current {
                0 => self.next_pass(servers, place)?,
                _ => match place.turn(servers) {
                    Some(found) => found,
                    None => self.next_pass(servers, place)?,
                },
            };
            // Lock-free: when this fails, another CPU has made its selection.
            match self
                .place
                .compare_exchange_weak(word, next.pack(), Relaxed, Relaxed)
            {
                Ok(_) => return Some(index),
                Err(seen) => word = seen,
            }
        }
    }

    /// The first server of the next pass in which there is one, and the place after it.
    #[inline]
    fn next_pass<S: Server>(&self, servers: &[S], place: Place) -> Option<(usize, Place)> {
        let greatest = servers.iter().filter_map(capacity).max()?;
        let divisor = self.divisor.load(Relaxed).max(1);
        let current = match place.current.saturating_sub(divisor) {
            0 => greatest,
            lower => lower.min(greatest),
        };
        let next = Place { cursor: 0, current };
        // A weight that falls between the two looks leaves nobody at this height: then one server
        // that takes connections is as good as any.
        next.turn(servers).or_else(|| {
            let lowest = Place {
                cursor: 0,
                current: 1,
            };
            lowest.turn(servers)
        })
    }
}

/// The greatest common divisor; that of 0 and `b` is `b`.
fn gcd(mut a: u32, mut b: u32) -> u32 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

impl Default for WeightedRoundRobin {
    fn default() -> Self {
        Self::new()
    }
}
