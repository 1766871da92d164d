// SPDX-License-Identifier: GPL-2.0-only

//! Requests: from the wish of a user, over the director and a server, to the answer or the loss.

use super::server::Admission;
use super::{Attempt, End, Event, Sim, State, Step, User, View};
use crate::engine::{from_seconds, Time, SECOND};
use crate::policy;

/// Ports that requests come from, one after the other, from 1024 on.
const PORTS: u16 = 60_000;

impl Sim<'_> {
    /// A new request, or a new session.
    #[inline(always)]
    pub(super) fn arrive<const PLAIN: bool>(&mut self) {
        let (client, size) = match self.arrivals.visit() {
            Some(visit) => (visit.client, visit.size),
            None => self.newcomer(),
        };
        self.want::<PLAIN>(client, size);
    }

    /// The client of a new request or session.
    #[inline(always)]
    fn newcomer(&mut self) -> (u32, Option<f64>) {
        let number = self.outcome.arrived as u32;
        let client = self.setup.clients.sample(number, &mut self.client_stream);
        if self.setup.session.is_some() {
            let user = User { server: None };
            self.users.insert(client, user);
        }
        (client, None)
    }

    /// The user of a session wants something.
    #[inline(never)]
    pub(super) fn want_next(&mut self, client: u32) {
        self.want::<false>(client, None);
    }

    /// A director has worked on a connection and forwards it.
    #[inline(never)]
    pub(super) fn forward_late(&mut self, number: u32) {
        self.forward::<false>(number);
    }

    /// A user wants something, of a random size if none is given.
    #[inline(always)]
    pub(super) fn want<const PLAIN: bool>(&mut self, client: u32, size: Option<f64>) {
        self.account();
        self.in_system += 1;
        self.outcome.arrived += 1;
        self.outcome.begun += u64::from(self.measuring);
        // Without a division: it is done for each request.
        self.port = match self.port + 1 {
            PORTS => 0,
            next => next,
        };
        let work = match size {
            Some(size) => from_seconds(size),
            None => self.draw_work(),
        };
        let object = match self.setup.objects {
            _ if PLAIN => 0,
            0 | 1 => 0,
            count => self.client_stream.below(u64::from(count)) as u16,
        };
        let attempt = self.add(Attempt {
            born: self.now,
            work: work.max(1),
            client,
            server: 0,
            generation: 0,
            director: 0,
            port: 1024 + self.port,
            object,
            number: 1,
            syns: 1,
            state: State::Unanswered,
            accepted: false,
            abandoned: false,
            severed: false,
        });
        self.connect::<PLAIN>(attempt);
    }

    #[inline(always)]
    pub(super) fn add(&mut self, mut attempt: Attempt) -> u32 {
        if let Some(place) = self.free.pop() {
            attempt.generation = self.attempts[place as usize].generation.wrapping_add(1);
            self.attempts[place as usize] = attempt;
            place
        } else {
            self.attempts.push(attempt);
            self.attempts.len() as u32 - 1
        }
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, attempt: u32) {
        self.attempts[attempt as usize].state = State::Free;
        self.free.push(attempt);
    }

    /// Sends an attempt's first SYN to a director.
    #[inline(always)]
    pub(super) fn connect<const PLAIN: bool>(&mut self, number: u32) {
        if let Some(timeout) = self.setup.patience.timeout.filter(|_| !PLAIN) {
            let generation = self.attempts[number as usize].generation;
            let event = Event::Timeout {
                attempt: number,
                generation,
            };
            self.queue.at(self.now + timeout, event);
        }
        self.schedule::<PLAIN>(number);
    }

    /// Lets a director choose a server, and forwards the attempt.
    #[inline(always)]
    pub(super) fn schedule<const PLAIN: bool>(&mut self, number: u32) {
        if !PLAIN && self.now < self.outage {
            self.unanswered(number);
            return;
        }
        let director = match self.setup.directors {
            _ if PLAIN => 0,
            1 => 0,
            count => self.report_stream.below(u64::from(count)) as usize,
        };
        let Some(index) = self.choose::<PLAIN>(number, director) else {
            self.outcome.refused += u64::from(self.measuring);
            self.lose(number);
            return;
        };
        let attempt = &mut self.attempts[number as usize];
        attempt.server = index as u32;
        attempt.director = director as u16;
        attempt.state = State::Served;
        self.outcome.servers[index].assigned += 1;
        if !PLAIN && self.setup.series.is_some() {
            if let Some(period) = self.period() {
                period.assigned[index] += 1;
            }
        }
        if !PLAIN && self.measures_delays {
            self.directors[director].asked(index);
        }
        if PLAIN || self.setup.cost == 0 {
            self.forward::<PLAIN>(number);
        } else {
            let free = self.director_free[director].max(self.now) + self.setup.cost;
            self.director_free[director] = free;
            let generation = self.attempts[number as usize].generation;
            let event = Event::Forward {
                attempt: number,
                generation,
            };
            self.queue.at(free, event);
        }
    }

    /// The server that a director chooses for an attempt, whose connection it counts.
    #[inline(always)]
    pub(super) fn choose<const PLAIN: bool>(
        &mut self,
        number: u32,
        director: usize,
    ) -> Option<usize> {
        let attempt = self.attempts[number as usize];
        if !PLAIN && self.setup.persistence > 0 {
            if let Some(index) = self.remembered(attempt.client, director) {
                self.count::<PLAIN>(director, index, Step::Open);
                return Some(index);
            }
        }
        self.outcome.scheduled += 1;
        if !PLAIN && self.measures_delays {
            self.clock.set(self.now / 1000);
            if self.knows_work {
                for (index, server) in self.servers.iter().enumerate() {
                    let work = server.work_left(self.now) / 1000;
                    let work = u32::try_from(work).unwrap_or(u32::MAX);
                    self.directors[director].set_work(index, work);
                }
            }
        }
        let flow = policy::flow(
            attempt.client,
            attempt.port,
            attempt.object,
            (self.now / SECOND) as u32,
            self.setup.options,
        );
        let index = if PLAIN || self.setup.view == View::Exact {
            let index = self.directors[director].take(&flow)?;
            if !PLAIN {
                self.connections[index] += Step::Open.difference();
            }
            index
        } else {
            let index = self.directors[director].select(&flow)?;
            self.count::<PLAIN>(director, index, Step::Open);
            index
        };
        if !PLAIN && self.setup.persistence > 0 {
            let until = self.now + self.setup.persistence;
            self.persistent
                .insert(attempt.client, (index as u32, until));
        }
        Some(index)
    }

    /// The server that a client keeps, if it takes connections.
    pub(super) fn remembered(&mut self, client: u32, director: usize) -> Option<usize> {
        let (server, until) = self.persistent.get_mut(&client)?;
        let index = *server as usize;
        let known = self.directors[director].servers().get(index)?;
        lvs_core::scheduler::capacity(known).filter(|_| *until > self.now)?;
        *until = self.now + self.setup.persistence;
        Some(index)
    }

    /// Changes the true count of a server's connections, and what the directors know of it.
    #[inline(always)]
    pub(super) fn count<const PLAIN: bool>(&mut self, director: usize, index: usize, step: Step) {
        let difference = step.difference();
        if PLAIN {
            // Nothing reads the truth: the director's counts are the same.
            self.directors[director].add_connections(index, difference);
            return;
        }
        self.connections[index] = self.connections[index].wrapping_add(difference);
        match self.setup.view {
            View::Exact => self.directors[director].add_connections(index, difference),
            View::Snapshot { own, .. } => {
                if own && step == Step::Open {
                    self.directors[director].add_connections(index, difference);
                }
            }
            View::Delayed { age } => {
                let server = index as u32;
                self.queue.at(self.now + age, Event::See { server, step });
            }
        }
    }

    /// An attempt arrives at its server.
    #[inline(always)]
    pub(super) fn forward<const PLAIN: bool>(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        let index = attempt.server as usize;
        let server = &mut self.servers[index];
        match server.admit(self.now, number, attempt.work) {
            Admission::Serving(done) => {
                let (attempt, epoch) = (number, server.epoch);
                let server = index as u32;
                self.queue.at(
                    done,
                    Event::Done {
                        attempt,
                        server,
                        epoch,
                    },
                );
            }
            Admission::Sharing(done) => {
                let (server, epoch) = (index as u32, server.epoch);
                self.queue.at(done, Event::Shared { server, epoch });
            }
            Admission::Waiting => {}
            Admission::NoRoom => {
                self.unanswered(number);
                return;
            }
        }
        self.attempts[number as usize].accepted = true;
        if !PLAIN && self.measures_delays && !self.knows_work {
            let answer = (self.setup.handshake as f64 * self.servers[index].slowness) as u64;
            self.clock.set((self.now + answer) / 1000);
            let after = u32::try_from(answer / 1000).unwrap_or(u32::MAX);
            self.directors[usize::from(attempt.director)].answered(index, after);
        }
    }

    /// A SYN got no answer.
    #[inline(never)]
    pub(super) fn unanswered(&mut self, number: u32) {
        let attempt = &mut self.attempts[number as usize];
        if attempt.state == State::Free {
            return;
        }
        let (syns, generation) = (attempt.syns, attempt.generation);
        if !self.setup.patience.repeats || syns > 3 {
            let scheduled = attempt.state == State::Served;
            let (director, server) = (usize::from(attempt.director), attempt.server as usize);
            if scheduled {
                self.count::<false>(director, server, Step::Close);
            }
            self.outcome.dropped += u64::from(self.measuring);
            self.lose(number);
            return;
        }
        attempt.syns += 1;
        let pause = SECOND << (syns - 1);
        let event = Event::Repeat {
            attempt: number,
            generation,
        };
        self.queue.at(self.now + pause, event);
    }

    /// A SYN is sent again: to the same server, unless the director has taken that out.
    #[inline(never)]
    pub(super) fn repeat(&mut self, number: u32) {
        self.outcome.repeats += u64::from(self.measuring);
        let attempt = self.attempts[number as usize];
        if attempt.state == State::Served {
            let (director, index) = (usize::from(attempt.director), attempt.server as usize);
            let quiesced = self.directors[director].servers().get(index);
            if quiesced.is_some_and(|server| lvs_core::scheduler::Destination::weight(server) > 0) {
                self.forward::<false>(number);
                return;
            }
            self.count::<false>(director, index, Step::Close);
            self.attempts[number as usize].state = State::Unanswered;
        }
        self.schedule::<false>(number);
    }

    /// A request is lost, or at least this connection for it.
    pub(super) fn lose(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        self.remove(number);
        if !attempt.abandoned {
            self.give_up(attempt.client);
        }
    }

    /// A server has finished an attempt.
    #[inline(always)]
    pub(super) fn answer<const PLAIN: bool>(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        let (director, index) = (usize::from(attempt.director), attempt.server as usize);
        if !PLAIN && attempt.severed && !attempt.abandoned {
            self.attempts[number as usize].state = State::Dead;
            return;
        }
        self.close::<PLAIN>(director, index);
        self.remove(number);
        if !PLAIN && attempt.abandoned {
            self.outcome.wasted += u64::from(self.measuring);
            return;
        }
        self.account();
        self.in_system -= 1;
        self.outcome.answered += 1;
        if self.measuring {
            let time = self.now - attempt.born;
            self.outcome.servers[index].answered += 1;
            self.record(time);
        }
        if !PLAIN && self.setup.series.is_some() {
            let time = crate::engine::seconds(self.now - attempt.born) as f32;
            if let Some(period) = self.period() {
                period.times.push(time);
            }
        }
        if !PLAIN && self.setup.session.is_some() {
            self.go_on(attempt.client, attempt.server);
        }
    }

    #[inline(always)]
    pub(super) fn record(&mut self, time: Time) {
        let progress = match self.setup.end {
            End::Answered(_) => self.times.len(),
            End::At(_) => self.now - self.setup.warmup,
        };
        let batch = self.batch.at(progress);
        self.times.record(time);
        let outcome = &mut self.outcome;
        outcome.sum += time as f64;
        let batch = &mut outcome.batches[batch];
        batch.0 += time as f64;
        batch.1 += 1;
    }

    /// A connection is closed: it is forgotten, or lingers.
    #[inline(always)]
    pub(super) fn close<const PLAIN: bool>(&mut self, director: usize, index: usize) {
        if PLAIN || self.setup.linger == 0 {
            self.count::<PLAIN>(director, index, Step::Close);
            return;
        }
        if !self.setup.linger_active {
            self.count::<PLAIN>(director, index, Step::Settle);
        }
        let event = Event::Forget {
            director: director as u32,
            server: index as u32,
        };
        self.queue.at(self.now + self.setup.linger, event);
    }

    /// The user of a session has an answer.
    pub(super) fn go_on(&mut self, client: u32, server: u32) {
        let Some(session) = &self.setup.session else {
            return;
        };
        let Some(user) = self.users.get_mut(&client) else {
            return;
        };
        if let Some(before) = user.server.filter(|_| self.measuring) {
            self.outcome.followed += 1;
            self.outcome.moved += u64::from(before != server);
        }
        user.server = Some(server);
        if self.client_stream.unit() * session.requests < 1.0 {
            self.users.remove(&client);
            return;
        }
        let think = from_seconds(session.think.sample(&mut self.client_stream));
        self.queue.at(self.now + think, Event::Next { client });
    }
}
