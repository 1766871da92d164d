// SPDX-License-Identifier: GPL-2.0-only

//! Weighted round-robin.

use super::{below, capacity, gcd, moved, Algorithm, Change, Destination, Flow, List};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weighted round-robin scheduling (section 4.2 of "Linux Virtual Server for Scalable Network
/// Services"): servers with a higher weight get their connections first and get more of them, in
/// proportion to the weights.
///
/// The scheduler passes through the list again and again. In each pass a server has a turn if its
/// weight is at least the current weight. The current weight falls from the greatest weight to 0,
/// by the greatest common divisor of the weights in each pass. Passes without a turn are skipped,
/// so a selection takes at most three looks at each server, whatever the weights.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    /// A [`Position`] in one word.
    place: AtomicU64,
    /// The greatest common divisor of the weights; 0 while unknown.
    divisor: AtomicU32,
    seed: u64,
}

/// A position in the sequence.
#[derive(Clone, Copy)]
struct Position {
    /// No server has had a turn yet.
    fresh: bool,
    /// The index of the server to look at next, below 2^31.
    cursor: u32,
    /// The current weight; 0 before the first pass.
    current: u32,
}

impl Position {
    /// Before the first pass.
    const FIRST: Self = Self {
        fresh: false,
        cursor: 0,
        current: 0,
    };

    /// As one word.
    #[inline]
    fn pack(self) -> u64 {
        (u64::from(self.fresh) << 63) | (u64::from(self.cursor) << 32) | u64::from(self.current)
    }

    /// From one word.
    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            fresh: word >> 63 != 0,
            cursor: (word >> 32) as u32 & (u32::MAX >> 1),
            current: word as u32,
        }
    }

    /// Returns the next server in this pass, and the place after it.
    #[inline]
    fn turn<S: Destination>(self, destinations: &[S]) -> Option<(usize, Self)> {
        let start = self.cursor as usize;
        let index = destinations
            .get(start..)?
            .iter()
            .position(|destination| {
                capacity(destination).is_some_and(|weight| weight >= self.current)
            })?
            .checked_add(start)?;
        let cursor = u32::try_from(index).ok()?.checked_add(1)?;
        let fresh = false;
        Some((
            index,
            Self {
                cursor,
                fresh,
                ..self
            },
        ))
    }

    /// Returns the place before the turn with this number, in any order that begins with the
    /// overall first turn. Each turn of a server is at a different multiple of `divisor`.
    fn before<S: Destination>(destinations: &[S], divisor: u32, number: u64) -> Self {
        // The last one that `max_by_key` finds is the first in the list.
        let first = destinations
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, destination)| destination.weight());
        let first = first.map_or(0, |(index, _)| index);
        let mut number = number;
        for index in Iterator::chain(first..destinations.len(), 0..first) {
            let weight = destinations.get(index).map_or(0, Destination::weight);
            let turns = u64::from(weight.checked_div(divisor).unwrap_or(0));
            if number < turns {
                return Self {
                    fresh: true,
                    cursor: index as u32,
                    // At most the weight.
                    current: weight.saturating_sub((number as u32).wrapping_mul(divisor)),
                };
            }
            number = number.wrapping_sub(turns);
        }
        Self {
            fresh: true,
            ..Self::FIRST
        }
    }
}

impl Algorithm for WeightedRoundRobin {
    fn new(seed: u64) -> Self {
        let place = Position {
            fresh: true,
            ..Position::FIRST
        };
        Self {
            place: AtomicU64::new(place.pack()),
            divisor: AtomicU32::new(0),
            seed,
        }
    }

    /// Keeps the place in the sequence. The first place is random, except after [`Change::Reset`],
    /// when there were connections before.
    fn changed<S: Destination>(&self, list: &List<'_, S>, _former: &[AtomicU64], change: Change) {
        let weights = || list.destinations.iter().map(Destination::weight);
        let divisor = weights().fold(0, gcd);
        let greatest = weights().max().unwrap_or(0);
        let sum = |sum: u64, weight: u32| sum.wrapping_add(weight.into());
        let turns = weights().fold(0, sum).checked_div(divisor.into());
        let number = below(self.seed, turns.unwrap_or(0));
        let start = Position::before(list.destinations, divisor, number);
        self.divisor.store(divisor, Relaxed);
        // The closure always returns `Some`, so there is no error to handle.
        let _ = self.place.fetch_update(Relaxed, Relaxed, |word| {
            let place = Position::unpack(word);
            if change == Change::Reset {
                return Some(Position::FIRST.pack());
            }
            if place.fresh {
                return Some(start.pack());
            }
            // Continue at a step that the new weights have.
            let current = place
                .current
                .checked_next_multiple_of(divisor)
                .unwrap_or(greatest)
                .min(greatest);
            let cursor = moved(place.cursor, change);
            let place = Position {
                fresh: false,
                cursor,
                current,
            };
            Some(place.pack())
        });
    }

    #[inline]
    fn select<S: Destination>(&self, list: &List<'_, S>, _flow: &Flow<'_>) -> Option<usize> {
        let destinations = list.destinations;
        let mut word = self.place.load(Relaxed);
        loop {
            let place = Position::unpack(word);
            let (index, next) = match place.current {
                0 => self.next_pass(destinations, place)?,
                _ => match place.turn(destinations) {
                    Some(found) => found,
                    None => self.next_pass(destinations, place)?,
                },
            };
            // Lock-free: a failure means that another CPU has made its selection.
            match self
                .place
                .compare_exchange_weak(word, next.pack(), Relaxed, Relaxed)
            {
                Ok(_) => return Some(index),
                Err(seen) => word = seen,
            }
        }
    }
}

impl WeightedRoundRobin {
    /// Returns the first server of the next pass that has one, and the place after it.
    #[inline]
    fn next_pass<S: Destination>(
        &self,
        destinations: &[S],
        place: Position,
    ) -> Option<(usize, Position)> {
        let greatest = destinations.iter().filter_map(capacity).max()?;
        let divisor = self.divisor.load(Relaxed).max(1);
        let current = match place.current.saturating_sub(divisor) {
            0 => greatest,
            lower => lower.min(greatest),
        };
        let next = Position {
            fresh: false,
            cursor: 0,
            current,
        };
        // If a weight fell between the two looks, no server may reach this height. Then any server
        // that accepts connections will do.
        next.turn(destinations).or_else(|| {
            let lowest = Position {
                fresh: false,
                cursor: 0,
                current: 1,
            };
            lowest.turn(destinations)
        })
    }
}
