// SPDX-License-Identifier: GPL-2.0-only

//! A real server: cores that serve, a queue before them, and what can befall it.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::Time;

use super::setup::{Discipline, ServerSetup};

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// It answers nothing.
    Down,
    /// It takes requests and answers none.
    Hung,
}

/// What became of a request that arrived.
pub(super) enum Admission {
    /// It is being served, until then.
    Serving(Time),
    /// All share the server; the first will be done then.
    Sharing(Time),
    /// It waits.
    Waiting,
    /// There is no room, or nobody answers.
    NoRoom,
}

/// A real server.
pub(super) struct Server {
    setup: ServerSetup,
    health: Health,
    /// How many times longer everything takes.
    pub(super) slowness: f64,
    /// Events of earlier epochs are void.
    pub(super) epoch: u32,
    /// What is served first come, first served, with the end of each.
    serving: Vec<(u32, Time)>,
    waiting: VecDeque<(u32, u64)>,
    /// Work in the queue, in nanoseconds at speed 1.
    waiting_work: u64,
    /// What shares the server: by the virtual time at which it will be done.
    shared: BTreeMap<(u64, u32), ()>,
    /// Work that each of the sharing requests has got, in nanoseconds at speed 1.
    virtual_time: f64,
    virtual_since: Time,
    since: Time,
    pub(super) area: u128,
    pub(super) busy: u64,
    pub(super) most: u64,
}

impl Server {
    pub(super) fn new(setup: &ServerSetup) -> Self {
        Self {
            setup: setup.clone(),
            health: Health::Well,
            slowness: 1.0,
            epoch: 0,
            serving: Vec::new(),
            waiting: VecDeque::new(),
            waiting_work: 0,
            shared: BTreeMap::new(),
            virtual_time: 0.0,
            virtual_since: 0,
            since: 0,
            area: 0,
            busy: 0,
            most: 0,
        }
    }

    #[inline]
    fn load(&self) -> usize {
        self.serving.len() + self.waiting.len() + self.shared.len()
    }

    /// Adds the time since the last change of the load.
    #[inline(always)]
    pub(super) fn account(&mut self, now: Time) {
        let since = now.saturating_sub(self.since);
        let load = self.load() as u64;
        self.area += u128::from(load) * u128::from(since);
        if self.health == Health::Well {
            self.busy += load.min(u64::from(self.setup.cores)) * since;
        }
        self.since = now;
    }

    /// Nanoseconds that so much work takes on one core.
    #[inline]
    fn duration(&self, work: u64) -> Time {
        // The usual case, without a division.
        if self.slowness == self.setup.speed {
            return work;
        }
        (work as f64 * self.slowness / self.setup.speed) as Time
    }

    /// A request arrives.
    #[inline(always)]
    pub(super) fn admit(&mut self, now: Time, attempt: u32, work: u64) -> Admission {
        if self.health == Health::Down || self.load() >= self.setup.room {
            return Admission::NoRoom;
        }
        self.account(now);
        let admission = if self.health == Health::Hung {
            self.wait(attempt, work);
            Admission::Waiting
        } else {
            match self.setup.discipline {
                Discipline::Fifo if self.serving.len() < self.setup.cores as usize => {
                    let done = now + self.duration(work);
                    self.serving.push((attempt, done));
                    Admission::Serving(done)
                }
                Discipline::Fifo => {
                    self.wait(attempt, work);
                    Admission::Waiting
                }
                Discipline::Shared => {
                    self.advance(now);
                    let end = self.virtual_time + work as f64;
                    self.shared.insert((end as u64, attempt), ());
                    self.next_shared(now)
                        .map_or(Admission::Waiting, Admission::Sharing)
                }
            }
        };
        self.most = self.most.max(self.load() as u64);
        admission
    }

    #[inline]
    fn wait(&mut self, attempt: u32, work: u64) {
        self.waiting.push_back((attempt, work));
        self.waiting_work += work;
    }

    /// A core has finished a request; gives the next one that is served, and its end.
    #[inline(always)]
    pub(super) fn finish(&mut self, now: Time, attempt: u32) -> Option<(u32, Time)> {
        self.account(now);
        if let Some(place) = self.serving.iter().position(|(one, _)| *one == attempt) {
            self.serving.swap_remove(place);
        }
        let (next, work) = self.waiting.pop_front()?;
        self.waiting_work -= work;
        let done = now + self.duration(work);
        self.serving.push((next, done));
        Some((next, done))
    }

    /// Work that each sharing request gets in a nanosecond.
    fn rate(&self) -> f64 {
        let load = self.shared.len().max(1) as f64;
        self.setup.speed / self.slowness * (f64::from(self.setup.cores) / load).min(1.0)
    }

    /// Brings the virtual time up to now.
    fn advance(&mut self, now: Time) {
        if !self.shared.is_empty() {
            self.virtual_time += (now - self.virtual_since) as f64 * self.rate();
        }
        self.virtual_since = now;
    }

    /// When the first of the sharing requests will be done; earlier answers to this are void.
    pub(super) fn next_shared(&mut self, now: Time) -> Option<Time> {
        self.epoch = self.epoch.wrapping_add(1);
        let ((end, _), ()) = self.shared.first_key_value()?;
        let left = (*end as f64 - self.virtual_time).max(0.0);
        Some(now + (left / self.rate()).ceil() as Time)
    }

    /// The first of the sharing requests is done.
    pub(super) fn finish_shared(&mut self, now: Time) -> Option<u32> {
        self.account(now);
        self.advance(now);
        let ((end, attempt), ()) = self.shared.pop_first()?;
        // Rounding must not leave anybody behind.
        self.virtual_time = self.virtual_time.max(end as f64);
        if self.shared.is_empty() {
            self.virtual_time = 0.0;
        }
        Some(attempt)
    }

    /// Nanoseconds until all that is here would be done.
    pub(super) fn work_left(&self, now: Time) -> u64 {
        let serving = self
            .serving
            .iter()
            .map(|(_, done)| done.saturating_sub(now));
        let elapsed = (now - self.virtual_since) as f64 * self.rate();
        let shared = self.shared.keys().map(|(end, _)| {
            let left = *end as f64 - self.virtual_time - elapsed;
            self.duration(left.max(0.0) as u64)
        });
        let sum = serving.sum::<u64>() + shared.sum::<u64>() + self.duration(self.waiting_work);
        sum / u64::from(self.setup.cores)
    }

    /// Whether it answers.
    pub(super) fn is_well(&self) -> bool {
        self.health == Health::Well
    }

    /// Its health changes; gives the requests that are lost with that.
    pub(super) fn stop(&mut self, now: Time, health: Health) -> Vec<u32> {
        self.account(now);
        self.health = health;
        self.epoch = self.epoch.wrapping_add(1);
        let mut lost: Vec<u32> = self.serving.drain(..).map(|(attempt, _)| attempt).collect();
        lost.extend(self.waiting.drain(..).map(|(attempt, _)| attempt));
        lost.extend(
            std::mem::take(&mut self.shared)
                .into_keys()
                .map(|(_, attempt)| attempt),
        );
        self.waiting_work = 0;
        self.virtual_time = 0.0;
        self.slowness = 1.0;
        lost
    }

    /// It is so many times slower from now on; what is being served first come, first served keeps
    /// its end.
    pub(super) fn slow_down(&mut self, now: Time, factor: f64) -> Option<Time> {
        self.account(now);
        if self.setup.discipline == Discipline::Shared {
            self.advance(now);
            self.slowness = factor;
            return self.next_shared(now);
        }
        self.slowness = factor;
        None
    }
}
