// SPDX-License-Identifier: GPL-2.0-only

//! The cluster model: clients, a director with a scheduler of `lvs_core`, and servers with queues.
//!
//! A request is what a user wants; an *attempt* is a connection for it. A request has more than one
//! attempt when the client loses patience.

mod outcome;
mod server;
mod setup;

use std::collections::HashMap;

use hdrhistogram::Histogram;
pub use outcome::{Outcome, Period, ServerOutcome, BATCHES};
pub use setup::{Discipline, End, Fault, Kind, Patience, ServerSetup, Session, Setup, View};

use crate::engine::{from_seconds, Queue, Time, SECOND};
use crate::policy::{self, one, Balancer, Clock, SimServer};
use crate::random::{Process, Purpose, Stream};
use server::{Admission, Health, Server};

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The director has scheduled an attempt, which arrives at its server.
    Forward { attempt: u32, generation: u32 },
    /// A core of a first-come server has finished an attempt.
    Done {
        attempt: u32,
        server: u32,
        epoch: u32,
    },
    /// A sharing server has finished its next attempt.
    Shared { server: u32, epoch: u32 },
    /// A SYN is sent again.
    Repeat { attempt: u32, generation: u32 },
    /// A client has waited long enough.
    Timeout { attempt: u32, generation: u32 },
    /// The user of a session sends the next request.
    Next { client: u32 },
    /// A closed connection is forgotten.
    Forget { director: u32, server: u32 },
    /// All servers report their loads.
    Report,
    /// A change of a server's connections gets to the directors.
    See { server: u32, step: Step },
    /// The stage of a fault.
    Fault { number: u32, stage: Stage },
}

/// How the count of a server's connections changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// One more that is active.
    Open,
    /// One active less.
    Close,
    /// An active one is inactive now.
    Settle,
    /// One inactive less.
    Forget,
}

impl Step {
    /// What is added to the counts, see [`one`].
    #[inline]
    const fn difference(self) -> u64 {
        match self {
            Self::Open => one(true),
            Self::Close => one(true).wrapping_neg(),
            Self::Settle => one(false).wrapping_sub(one(true)),
            Self::Forget => one(false).wrapping_neg(),
        }
    }
}

/// What of a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Detected,
    Repaired,
    Found,
    Ramp(u8),
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The place in the table is free.
    Free,
    /// Waiting or being served.
    Served,
    /// Its SYN was lost and will be sent again.
    Unanswered,
    /// Its server has lost it, but the client still waits.
    Dead,
}

/// A connection for a request.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    /// When the user wanted it.
    born: Time,
    /// Nanoseconds of work at speed 1.
    work: u64,
    client: u32,
    server: u32,
    generation: u32,
    director: u16,
    port: u16,
    object: u16,
    /// Connections that were tried for the request, this one included.
    number: u8,
    /// SYNs that were sent.
    syns: u8,
    state: State,
    /// The server has taken it.
    accepted: bool,
    /// The client has gone on to another connection, or given up.
    abandoned: bool,
    /// No director knows the connection any more, so the answer will not arrive.
    severed: bool,
}

/// A user of a session.
#[derive(Clone, Copy, Debug)]
struct User {
    server: Option<u32>,
}

struct Sim<'a> {
    setup: &'a Setup,
    queue: Queue<Event>,
    now: Time,
    clock: Clock,
    directors: Vec<Box<dyn Balancer>>,
    /// The scheduler wants delays to be told.
    measures_delays: bool,
    /// The scheduler is one that is told how much work waits at the servers.
    knows_work: bool,
    director_free: Vec<Time>,
    servers: Vec<Server>,
    /// The truth about connections, as schedulers count them.
    connections: Vec<u64>,
    attempts: Vec<Attempt>,
    free: Vec<u32>,
    persistent: HashMap<u32, (u32, Time)>,
    users: HashMap<u32, User>,
    /// No director forwards before this time.
    outage: Time,
    next_arrival: Time,
    arrivals: Process,
    arrival_stream: Stream,
    size_stream: Stream,
    client_stream: Stream,
    report_stream: Stream,
    outcome: Outcome,
    in_system: u64,
    area_since: Time,
    measuring: bool,
}

/// Runs the model once; `replication` chooses other streams of random numbers.
///
/// # Panics
///
/// When there is no scheduler of that name: names are checked as scenarios are read.
#[must_use]
pub fn run(setup: &Setup, replication: u32) -> Outcome {
    Sim::new(setup, replication).run()
}

impl<'a> Sim<'a> {
    fn new(setup: &'a Setup, replication: u32) -> Self {
        let stream = |purpose| Stream::new(setup.seed, replication, purpose);
        let clock = Clock::default();
        let joins = |index: usize| {
            let join = |fault: &Fault| matches!(fault.kind, Kind::Join(_)) && fault.server == index;
            setup.faults.iter().any(join)
        };
        let mut scheduler_stream = stream(Purpose::Scheduler);
        let server = |(index, server): (usize, &ServerSetup)| {
            let weight = if joins(index) { 0 } else { server.weight };
            SimServer::new(policy::server_endpoint(index), weight, clock.clone())
                .with_thresholds(server.threshold, 0)
        };
        let directors: Vec<_> = (0..setup.directors)
            .map(|_| {
                let name = &setup.scheduler;
                let Some(mut director) = policy::director(name, scheduler_stream.bits()) else {
                    panic!("no scheduler is called {name}");
                };
                director.add_all(setup.servers.iter().enumerate().map(server).collect());
                director
            })
            .collect();
        let measures_delays = directors.iter().any(|director| director.measures_delays());
        let mut arrival_stream = stream(Purpose::Arrivals);
        let arrivals = Process::new(setup.arrivals.clone(), setup.rate, &mut arrival_stream);
        let mut sim = Self {
            setup,
            queue: Queue::default(),
            now: 0,
            clock,
            directors,
            measures_delays,
            knows_work: setup.scheduler == "lwl",
            director_free: vec![0; setup.directors as usize],
            servers: setup.servers.iter().map(Server::new).collect(),
            connections: vec![0; setup.servers.len()],
            attempts: Vec::with_capacity(1024),
            free: Vec::new(),
            persistent: HashMap::new(),
            users: HashMap::new(),
            outage: 0,
            next_arrival: 0,
            arrivals,
            arrival_stream,
            size_stream: stream(Purpose::Sizes),
            client_stream: stream(Purpose::Clients),
            report_stream: stream(Purpose::Reports),
            outcome: Outcome {
                times: histogram(),
                sum: 0.0,
                batches: [(0.0, 0); BATCHES],
                arrived: 0,
                answered: 0,
                lost: 0,
                held: 0,
                refused: 0,
                dropped: 0,
                broken: 0,
                repeats: 0,
                again: 0,
                wasted: 0,
                moved: 0,
                followed: 0,
                servers: vec![ServerOutcome::default(); setup.servers.len()],
                area: 0,
                span: 0,
                begun: 0,
                scheduled: 0,
                series: Vec::new(),
            },
            in_system: 0,
            area_since: 0,
            measuring: setup.warmup == 0,
        };
        sim.prepare();
        sim
    }

    /// The first events.
    fn prepare(&mut self) {
        self.draw_arrival();
        if let View::Snapshot { period, .. } = self.setup.view {
            self.queue.at(period, Event::Report);
        }
        for (number, fault) in (0..).zip(&self.setup.faults) {
            let stage = Stage::Begin;
            self.queue.at(fault.at, Event::Fault { number, stage });
        }
    }

    #[inline]
    fn draw_arrival(&mut self) {
        self.next_arrival = from_seconds(self.arrivals.advance(&mut self.arrival_stream));
    }

    fn run(mut self) -> Outcome {
        let (end, answers) = match self.setup.end {
            End::At(time) => (time, u64::MAX),
            End::Answered(count) => (Time::MAX, count),
        };
        loop {
            let next_event = self.queue.peek().unwrap_or(Time::MAX);
            let time = self.next_arrival.min(next_event);
            if !self.measuring && time >= self.setup.warmup {
                self.begin_measuring();
            }
            if time >= end {
                self.now = end;
                break;
            }
            self.now = time;
            if self.next_arrival <= next_event {
                self.arrive();
                self.draw_arrival();
            } else if let Some((_, event)) = self.queue.pop() {
                self.happen(event);
                if self.outcome.times.len() >= answers {
                    break;
                }
            }
        }
        self.finish()
    }

    fn begin_measuring(&mut self) {
        self.measuring = true;
        self.area_since = self.setup.warmup;
        for (server, outcome) in self.servers.iter_mut().zip(&mut self.outcome.servers) {
            server.account(self.setup.warmup);
            server.area = 0;
            server.busy = 0;
            *outcome = ServerOutcome::default();
        }
    }

    fn finish(mut self) -> Outcome {
        self.account();
        self.outcome.span = self.now.saturating_sub(self.setup.warmup);
        self.outcome.held = self.in_system;
        for (server, outcome) in self.servers.iter_mut().zip(&mut self.outcome.servers) {
            server.account(self.now);
            outcome.busy = server.busy;
            outcome.area = server.area;
            outcome.most = server.most;
        }
        self.outcome
    }

    /// Adds the time since the last change of the number of requests in the system.
    #[inline]
    fn account(&mut self) {
        if self.measuring {
            let since = self.now.saturating_sub(self.area_since);
            self.outcome.area += u128::from(self.in_system) * u128::from(since);
            self.area_since = self.now;
        }
    }

    fn period(&mut self) -> Option<&mut Period> {
        let length = self.setup.series?;
        let index = (self.now / length) as usize;
        let servers = self.servers.len();
        let series = &mut self.outcome.series;
        while series.len() <= index {
            series.push(Period {
                assigned: vec![0; servers],
                ..Period::default()
            });
        }
        series.get_mut(index)
    }

    // --- requests ------------------------------------------------------------------------------

    /// A new request, or a new session.
    fn arrive(&mut self) {
        let number = self.outcome.arrived as u32;
        let client = self.setup.clients.sample(number, &mut self.client_stream);
        if self.setup.session.is_some() {
            let user = User { server: None };
            self.users.insert(client, user);
        }
        self.want(client);
    }

    /// A user wants something.
    fn want(&mut self, client: u32) {
        self.account();
        self.in_system += 1;
        self.outcome.arrived += 1;
        self.outcome.begun += u64::from(self.measuring);
        let work = from_seconds(self.setup.sizes.sample(&mut self.size_stream)).max(1);
        let object = match self.setup.objects {
            0 | 1 => 0,
            count => self.client_stream.below(u64::from(count)) as u16,
        };
        let attempt = self.add(Attempt {
            born: self.now,
            work,
            client,
            server: 0,
            generation: 0,
            director: 0,
            port: 1024 + (self.outcome.arrived % 60_000) as u16,
            object,
            number: 1,
            syns: 1,
            state: State::Unanswered,
            accepted: false,
            abandoned: false,
            severed: false,
        });
        self.connect(attempt);
    }

    #[inline]
    fn add(&mut self, mut attempt: Attempt) -> u32 {
        if let Some(place) = self.free.pop() {
            attempt.generation = self.attempts[place as usize].generation.wrapping_add(1);
            self.attempts[place as usize] = attempt;
            place
        } else {
            self.attempts.push(attempt);
            self.attempts.len() as u32 - 1
        }
    }

    #[inline]
    fn remove(&mut self, attempt: u32) {
        self.attempts[attempt as usize].state = State::Free;
        self.free.push(attempt);
    }

    /// Sends an attempt's first SYN to a director.
    #[inline]
    fn connect(&mut self, number: u32) {
        if let Some(timeout) = self.setup.patience.timeout {
            let generation = self.attempts[number as usize].generation;
            let event = Event::Timeout {
                attempt: number,
                generation,
            };
            self.queue.at(self.now + timeout, event);
        }
        self.schedule(number);
    }

    /// Lets a director choose a server, and forwards the attempt.
    #[inline]
    fn schedule(&mut self, number: u32) {
        if self.now < self.outage {
            self.unanswered(number);
            return;
        }
        let director = match self.setup.directors {
            1 => 0,
            count => self.report_stream.below(u64::from(count)) as usize,
        };
        let Some(index) = self.choose(number, director) else {
            self.outcome.refused += u64::from(self.measuring);
            self.lose(number);
            return;
        };
        let attempt = &mut self.attempts[number as usize];
        attempt.server = index as u32;
        attempt.director = director as u16;
        attempt.state = State::Served;
        self.outcome.servers[index].assigned += 1;
        if self.setup.series.is_some() {
            if let Some(period) = self.period() {
                period.assigned[index] += 1;
            }
        }
        self.count(director, index, Step::Open);
        if self.measures_delays {
            self.directors[director].asked(index);
        }
        if self.setup.cost == 0 {
            self.forward(number);
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

    /// The server that a director chooses for an attempt.
    #[inline]
    fn choose(&mut self, number: u32, director: usize) -> Option<usize> {
        let attempt = self.attempts[number as usize];
        if self.setup.persistence > 0 {
            if let Some(index) = self.remembered(attempt.client, director) {
                return Some(index);
            }
        }
        self.outcome.scheduled += 1;
        if self.measures_delays {
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
        let index = self.directors[director].select(&flow)?;
        if self.setup.persistence > 0 {
            let until = self.now + self.setup.persistence;
            self.persistent
                .insert(attempt.client, (index as u32, until));
        }
        Some(index)
    }

    /// The server that a client keeps, if it takes connections.
    fn remembered(&mut self, client: u32, director: usize) -> Option<usize> {
        let (server, until) = self.persistent.get_mut(&client)?;
        let index = *server as usize;
        let known = self.directors[director].servers().get(index)?;
        lvs_core::scheduler::capacity(known).filter(|_| *until > self.now)?;
        *until = self.now + self.setup.persistence;
        Some(index)
    }

    /// Changes the true count of a server's connections, and what the directors know of it.
    #[inline]
    fn count(&mut self, director: usize, index: usize, step: Step) {
        let difference = step.difference();
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
    #[inline]
    fn forward(&mut self, number: u32) {
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
        if self.measures_delays && !self.knows_work {
            let answer = (self.setup.handshake as f64 * self.servers[index].slowness) as u64;
            self.clock.set((self.now + answer) / 1000);
            let after = u32::try_from(answer / 1000).unwrap_or(u32::MAX);
            self.directors[usize::from(attempt.director)].answered(index, after);
        }
    }

    /// A SYN got no answer.
    fn unanswered(&mut self, number: u32) {
        let attempt = &mut self.attempts[number as usize];
        if attempt.state == State::Free {
            return;
        }
        let (syns, generation) = (attempt.syns, attempt.generation);
        if !self.setup.patience.repeats || syns > 3 {
            let scheduled = attempt.state == State::Served;
            let (director, server) = (usize::from(attempt.director), attempt.server as usize);
            if scheduled {
                self.count(director, server, Step::Close);
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
    fn repeat(&mut self, number: u32) {
        self.outcome.repeats += u64::from(self.measuring);
        let attempt = self.attempts[number as usize];
        if attempt.state == State::Served {
            let (director, index) = (usize::from(attempt.director), attempt.server as usize);
            let quiesced = self.directors[director].servers().get(index);
            if quiesced.is_some_and(|server| lvs_core::scheduler::Server::weight(server) > 0) {
                self.forward(number);
                return;
            }
            self.count(director, index, Step::Close);
            self.attempts[number as usize].state = State::Unanswered;
        }
        self.schedule(number);
    }

    /// A request is lost, or at least this connection for it.
    fn lose(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        self.remove(number);
        if !attempt.abandoned {
            self.give_up(attempt.client);
        }
    }

    /// A server has finished an attempt.
    #[inline]
    fn answer(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        let (director, index) = (usize::from(attempt.director), attempt.server as usize);
        if attempt.severed && !attempt.abandoned {
            self.attempts[number as usize].state = State::Dead;
            return;
        }
        self.close(director, index);
        self.remove(number);
        if attempt.abandoned {
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
        if self.setup.series.is_some() {
            let time = crate::engine::seconds(self.now - attempt.born) as f32;
            if let Some(period) = self.period() {
                period.times.push(time);
            }
        }
        if self.setup.session.is_some() {
            self.go_on(attempt.client, attempt.server);
        }
    }

    #[inline]
    fn record(&mut self, time: Time) {
        let outcome = &mut self.outcome;
        let batch = match self.setup.end {
            End::Answered(count) => outcome.times.len() * BATCHES as u64 / count.max(1),
            End::At(end) => {
                let span = (end - self.setup.warmup).max(1);
                let since = self.now - self.setup.warmup;
                (u128::from(since) * BATCHES as u128 / u128::from(span)) as u64
            }
        };
        outcome.times.saturating_record(time);
        outcome.sum += time as f64;
        let batch = &mut outcome.batches[(batch as usize).min(BATCHES - 1)];
        batch.0 += time as f64;
        batch.1 += 1;
    }

    /// A connection is closed: it is forgotten, or lingers.
    #[inline]
    fn close(&mut self, director: usize, index: usize) {
        if self.setup.linger == 0 {
            self.count(director, index, Step::Close);
            return;
        }
        if !self.setup.linger_active {
            self.count(director, index, Step::Settle);
        }
        let event = Event::Forget {
            director: director as u32,
            server: index as u32,
        };
        self.queue.at(self.now + self.setup.linger, event);
    }

    /// The user of a session has an answer.
    fn go_on(&mut self, client: u32, server: u32) {
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

    // --- events --------------------------------------------------------------------------------

    #[inline]
    fn happen(&mut self, event: Event) {
        match event {
            Event::Done {
                attempt,
                server,
                epoch,
            } => {
                let server_number = server;
                let server = &mut self.servers[server as usize];
                if server.epoch != epoch {
                    return;
                }
                if let Some((next, done)) = server.finish(self.now, attempt) {
                    let event = Event::Done {
                        attempt: next,
                        server: server_number,
                        epoch,
                    };
                    self.queue.at(done, event);
                }
                self.answer(attempt);
            }
            Event::Shared { server, epoch } => {
                let number = server;
                let server = &mut self.servers[server as usize];
                if server.epoch != epoch {
                    return;
                }
                let finished = server.finish_shared(self.now);
                if let Some(done) = server.next_shared(self.now) {
                    let epoch = server.epoch;
                    self.queue.at(
                        done,
                        Event::Shared {
                            server: number,
                            epoch,
                        },
                    );
                }
                if let Some(attempt) = finished {
                    self.answer(attempt);
                }
            }
            Event::Forward {
                attempt,
                generation,
            } => {
                let one = &self.attempts[attempt as usize];
                if one.generation == generation && one.state == State::Served {
                    self.forward(attempt);
                }
            }
            Event::Repeat {
                attempt,
                generation,
            } => {
                let one = &self.attempts[attempt as usize];
                if one.generation == generation && one.state != State::Free && !one.abandoned {
                    self.repeat(attempt);
                }
            }
            Event::Timeout {
                attempt,
                generation,
            } => self.time_out(attempt, generation),
            Event::Next { client } => self.want(client),
            Event::Forget { director, server } => {
                let step = match self.setup.linger_active {
                    true => Step::Close,
                    false => Step::Forget,
                };
                self.count(director as usize, server as usize, step);
            }
            Event::Report => self.report(),
            Event::See { server, step } => {
                for director in &mut self.directors {
                    director.add_connections(server as usize, step.difference());
                }
            }
            Event::Fault { number, stage } => self.fault(number, stage),
        }
    }

    /// A client gives a connection up and tries another one.
    fn time_out(&mut self, number: u32, generation: u32) {
        let attempt = self.attempts[number as usize];
        if attempt.generation != generation || attempt.state == State::Free {
            return;
        }
        let last = attempt.number >= self.setup.patience.attempts;
        self.attempts[number as usize].abandoned = true;
        let (director, index) = (usize::from(attempt.director), attempt.server as usize);
        match attempt.state {
            State::Dead => {
                self.count(director, index, Step::Close);
                self.remove(number);
            }
            State::Unanswered => self.remove(number),
            State::Served if !attempt.accepted => {
                // Only its SYNs are on the way.
                self.count(director, index, Step::Close);
                self.remove(number);
            }
            State::Served | State::Free => {}
        }
        if last {
            self.outcome.broken += u64::from(self.measuring);
            self.give_up(attempt.client);
            return;
        }
        self.outcome.again += u64::from(self.measuring);
        let next = self.add(Attempt {
            number: attempt.number + 1,
            syns: 1,
            state: State::Unanswered,
            accepted: false,
            severed: false,
            port: attempt.port.wrapping_add(1),
            ..attempt
        });
        self.connect(next);
    }

    fn report(&mut self) {
        let View::Snapshot { period, loss, .. } = self.setup.view else {
            return;
        };
        for (index, connections) in self.connections.iter().enumerate() {
            if loss > 0.0 && self.report_stream.unit() < loss {
                continue;
            }
            for director in &mut self.directors {
                director.set_connections(index, *connections);
            }
        }
        self.queue.at(self.now + period, Event::Report);
    }

    // --- faults --------------------------------------------------------------------------------

    fn fault(&mut self, number: u32, stage: Stage) {
        let Some(fault) = self.setup.faults.get(number as usize).copied() else {
            return;
        };
        let index = fault.server;
        let then = |sim: &mut Self, after: Time, stage| {
            sim.queue
                .at(sim.now + after, Event::Fault { number, stage });
        };
        match (stage, fault.kind) {
            (Stage::Begin, Kind::Director(state)) => self.fail_over(fault, state),
            (Stage::Begin, Kind::Join(ramp)) => {
                let first = if ramp == 0 { 10 } else { 1 };
                self.fault(number, Stage::Ramp(first));
            }
            (Stage::Ramp(step), Kind::Join(ramp)) => {
                let weight = self.setup.servers[index].weight * u32::from(step) / 10;
                self.set_weight(index, weight.max(1));
                if step < 10 {
                    then(self, ramp / 10, Stage::Ramp(step + 1));
                }
            }
            (Stage::Begin, _) => {
                self.strike(index, fault.kind);
                let noticed = |after: &Time| fault.repair.is_none_or(|repair| *after < repair);
                if let Some(after) = fault.detected_after.filter(noticed) {
                    then(self, after, Stage::Detected);
                }
                if let Some(after) = fault.repair {
                    then(self, after, Stage::Repaired);
                }
            }
            (Stage::Detected, _) => self.set_weight(index, 0),
            (Stage::Repaired, _) => {
                self.heal(index);
                if let Some(after) = fault.detected_after {
                    then(self, after, Stage::Found);
                }
            }
            (Stage::Found, _) => {
                let weight = self.setup.servers[index].weight;
                self.set_weight(index, weight);
            }
            (Stage::Ramp(_), _) => {}
        }
    }

    fn set_weight(&mut self, index: usize, weight: u32) {
        for director in &mut self.directors {
            director.set_weight(index, weight);
        }
    }

    /// Something befalls a server.
    fn strike(&mut self, index: usize, kind: Kind) {
        let now = self.now;
        let server = &mut self.servers[index];
        let lost = match kind {
            Kind::Crash => server.stop(now, Health::Down),
            Kind::Hang => server.stop(now, Health::Hung),
            Kind::Slow(factor) => {
                self.slow_down(index, factor);
                return;
            }
            Kind::Join(_) | Kind::Director(_) => return,
        };
        for number in lost {
            self.break_off(number);
        }
    }

    fn slow_down(&mut self, index: usize, factor: f64) {
        let server = &mut self.servers[index];
        if let Some(done) = server.slow_down(self.now, factor) {
            let (server, epoch) = (index as u32, server.epoch);
            self.queue.at(done, Event::Shared { server, epoch });
        }
    }

    /// A server is well again; what hung in it is lost.
    fn heal(&mut self, index: usize) {
        if self.servers[index].is_well() {
            self.slow_down(index, 1.0);
            return;
        }
        for number in self.servers[index].stop(self.now, Health::Well) {
            self.break_off(number);
        }
    }

    /// A connection has lost its server.
    fn break_off(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        if attempt.abandoned || self.setup.patience.timeout.is_none() {
            let (director, index) = (usize::from(attempt.director), attempt.server as usize);
            self.count(director, index, Step::Close);
            self.outcome.broken += u64::from(self.measuring && !attempt.abandoned);
            self.lose(number);
        } else {
            self.attempts[number as usize].state = State::Dead;
        }
    }

    /// The director has forgotten a connection; its server works on, and the
    /// answer is lost.
    fn sever(&mut self, number: u32) {
        let attempt = &mut self.attempts[number as usize];
        attempt.severed = true;
        if self.setup.patience.timeout.is_some() || attempt.abandoned {
            return;
        }
        attempt.abandoned = true;
        let client = attempt.client;
        self.outcome.broken += u64::from(self.measuring);
        self.give_up(client);
    }

    /// A user will get no answer.
    fn give_up(&mut self, client: u32) {
        self.account();
        self.in_system -= 1;
        self.outcome.lost += 1;
        if let Some(period) = self.period() {
            period.lost += 1;
        }
        self.users.remove(&client);
    }

    /// Another director takes over: with the same table of connections, or with none. Without one,
    /// a connection goes on only if its next packet, scheduled anew, meets the same server.
    fn fail_over(&mut self, fault: Fault, state: bool) {
        self.outage = self.now + fault.detected_after.unwrap_or(0);
        if state {
            return;
        }
        self.persistent.clear();
        for director in &mut self.directors {
            for index in 0..director.servers().len() {
                director.set_connections(index, 0);
            }
        }
        self.connections.fill(0);
        for number in 0..self.attempts.len() as u32 {
            let attempt = self.attempts[number as usize];
            if attempt.state != State::Served {
                continue;
            }
            let now = (self.now / SECOND) as u32;
            let (client, port) = (attempt.client, attempt.port);
            let flow = policy::flow(client, port, attempt.object, now, self.setup.options);
            let director = usize::from(attempt.director);
            let choice = self.directors[director].select(&flow);
            self.count(director, attempt.server as usize, Step::Open);
            if choice != Some(attempt.server as usize) {
                self.sever(number);
            }
        }
    }
}

/// Room for times from a microsecond to a day, to a thousandth.
fn histogram() -> Histogram<u64> {
    let mut times = match Histogram::new_with_bounds(1000, 86_400 * SECOND, 3) {
        Ok(times) => times,
        Err(error) => unreachable!("these bounds are valid: {error:?}"),
    };
    times.auto(true);
    times
}

#[cfg(test)]
mod tests;
