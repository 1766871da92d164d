// SPDX-License-Identifier: GPL-2.0-only

//! The cluster model: clients, a director with a scheduler of `lvs_core`, and servers with queues.
//!
//! A request is what a user wants; an *attempt* is a connection for it. A request has more than one
//! attempt when the client loses patience.

mod faults;
mod outcome;
mod requests;
mod server;
mod setup;
mod times;

use std::collections::HashMap;

pub use outcome::{Marks, Outcome, Period, ServerOutcome, BATCHES};
pub use setup::{Discipline, End, Fault, Kind, Patience, ServerSetup, Session, Setup, View};

use crate::engine::{from_seconds, Queue, Time};
use crate::policy::{self, one, Balancer, Clock, SimServer};
use crate::random::{Arrivals, Process, Purpose, Stream};
use server::Server;
use times::Times;

/// What happens.
#[derive(Clone, Copy, Debug, Default)]
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
    #[default]
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
    /// The port of the last request, see [`requests`].
    port: u16,
    persistent: HashMap<u32, (u32, Time)>,
    users: HashMap<u32, User>,
    /// No director forwards before this time.
    outage: Time,
    next_arrival: Time,
    /// Arrivals that are drawn already, after the next one.
    later: Drawn,
    arrivals: Process,
    arrival_stream: Stream,
    size_stream: Stream,
    /// Work of requests, drawn already.
    works: Drawn,
    client_stream: Stream,
    report_stream: Stream,
    times: Times,
    outcome: Outcome,
    in_system: u64,
    area_since: Time,
    measuring: bool,
    batch: Batch,
}

/// Numbers that are drawn many at a time, which is quicker, and used one after the other.
struct Drawn {
    numbers: [Time; 64],
    next: usize,
}

impl Drawn {
    /// None.
    fn new() -> Self {
        Self {
            numbers: [0; 64],
            next: 64,
        }
    }

    /// The next number; `None` if more must be drawn.
    #[inline(always)]
    fn take(&mut self) -> Option<Time> {
        let number = self.numbers.get(self.next)?;
        self.next += 1;
        Some(*number)
    }

    /// Draws so many, with a function that gives seconds.
    fn draw(&mut self, count: usize, mut seconds: impl FnMut() -> f64) {
        self.next = self.numbers.len() - count;
        for number in &mut self.numbers[self.next..] {
            *number = from_seconds(seconds());
        }
    }
}

/// The batch of answers that a run is in: one of [`BATCHES`] equal parts of its length, which is
/// told in answers or in nanoseconds.
struct Batch {
    length: u64,
    number: usize,
    /// Where the next batch begins.
    next: u64,
}

impl Batch {
    fn new(setup: &Setup) -> Self {
        let length = match setup.end {
            End::At(end) => end.saturating_sub(setup.warmup),
            End::Answered(count) => count,
        };
        let mut batch = Self {
            length,
            number: 0,
            next: 0,
        };
        batch.next = batch.begin(1);
        batch
    }

    fn begin(&self, number: usize) -> u64 {
        let begin = (u128::from(self.length) * number as u128).div_ceil(BATCHES as u128);
        begin as u64
    }

    /// The batch at this progress, which never goes back.
    #[inline]
    fn at(&mut self, progress: u64) -> usize {
        while progress >= self.next && self.number + 1 < BATCHES {
            self.number += 1;
            self.next = self.begin(self.number + 1);
        }
        self.number
    }
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
            port: 0,
            persistent: HashMap::new(),
            users: HashMap::new(),
            outage: 0,
            next_arrival: 0,
            later: Drawn::new(),
            arrivals,
            arrival_stream,
            size_stream: stream(Purpose::Sizes),
            works: Drawn::new(),
            client_stream: stream(Purpose::Clients),
            report_stream: stream(Purpose::Reports),
            times: Times::new(),
            outcome: Outcome {
                times: Times::new().histogram(),
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
                marks: setup.marks(),
            },
            in_system: 0,
            area_since: 0,
            measuring: setup.warmup == 0,
            batch: Batch::new(setup),
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

    #[inline(always)]
    fn draw_arrival(&mut self) {
        self.next_arrival = match self.later.take() {
            Some(time) => time,
            None => self.draw_arrivals(),
        };
    }

    #[inline(never)]
    fn draw_arrivals(&mut self) -> Time {
        // A trace tells the client of one request at a time.
        let count = match self.setup.arrivals {
            Arrivals::Trace(_) => 1,
            _ => self.later.numbers.len(),
        };
        let (arrivals, stream) = (&mut self.arrivals, &mut self.arrival_stream);
        self.later.draw(count, || arrivals.advance(stream));
        self.later.take().unwrap_or(Time::MAX)
    }

    /// The work of the next request.
    #[inline(always)]
    fn draw_work(&mut self) -> Time {
        match self.works.take() {
            Some(work) => work,
            None => self.draw_works(),
        }
    }

    #[inline(never)]
    fn draw_works(&mut self) -> Time {
        let (sizes, stream) = (&self.setup.sizes, &mut self.size_stream);
        let count = self.works.numbers.len();
        self.works.draw(count, || sizes.sample(stream));
        self.works.take().unwrap_or(0)
    }

    /// Whether the setup has none of the features that most studies do without. Then the code of
    /// these features is left out.
    fn is_plain(&self) -> bool {
        let setup = self.setup;
        let one_director = setup.directors == 1 && setup.cost == 0 && setup.persistence == 0;
        let exact = setup.view == View::Exact && setup.linger == 0 && !self.measures_delays;
        let patient = setup.patience.timeout.is_none() && setup.session.is_none();
        let simple = setup.objects <= 1 && setup.faults.is_empty() && setup.series.is_none();
        one_director && exact && patient && simple
    }

    fn run(self) -> Outcome {
        match self.is_plain() {
            true => self.run_as::<true>(),
            false => self.run_as::<false>(),
        }
    }

    fn run_as<const PLAIN: bool>(mut self) -> Outcome {
        let (end, answers) = match self.setup.end {
            End::At(time) => (time, u64::MAX),
            End::Answered(count) => (Time::MAX, count),
        };
        loop {
            match self.queue.pop_before(self.next_arrival.min(end)) {
                Some((time, event)) => {
                    self.advance(time);
                    self.happen::<PLAIN>(event);
                    if self.times.len() >= answers {
                        break;
                    }
                }
                None if self.next_arrival >= end => {
                    self.advance(end);
                    break;
                }
                None => {
                    self.advance(self.next_arrival);
                    self.arrive::<PLAIN>();
                    self.draw_arrival();
                }
            }
        }
        self.finish()
    }

    /// It is `time` now.
    #[inline]
    fn advance(&mut self, time: Time) {
        if !self.measuring && time >= self.setup.warmup {
            self.begin_measuring();
        }
        self.now = time;
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
        self.outcome.times = self.times.histogram();
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

    #[inline(never)]
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

    #[inline(always)]
    fn happen<const PLAIN: bool>(&mut self, event: Event) {
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
                self.answer::<PLAIN>(attempt);
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
                    self.answer::<PLAIN>(attempt);
                }
            }
            Event::Forward {
                attempt,
                generation,
            } => {
                let one = &self.attempts[attempt as usize];
                if one.generation == generation && one.state == State::Served {
                    self.forward_late(attempt);
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
            Event::Next { client } => self.want_next(client),
            Event::Forget { director, server } => {
                let step = match self.setup.linger_active {
                    true => Step::Close,
                    false => Step::Forget,
                };
                self.count::<false>(director as usize, server as usize, step);
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
    #[inline(never)]
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
                self.count::<false>(director, index, Step::Close);
                self.remove(number);
            }
            State::Unanswered => self.remove(number),
            State::Served if !attempt.accepted => {
                // Only its SYNs are on the way.
                self.count::<false>(director, index, Step::Close);
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
        self.connect::<false>(next);
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
}

#[cfg(test)]
mod tests;
