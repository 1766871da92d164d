// SPDX-License-Identifier: GPL-2.0-only

//! The cluster model: clients, a director with a scheduler of `lvs_core`, and servers with queues.
//!
//! A request is what a user wants; an *attempt* is a connection for it. A request has more than one
//! attempt when the client loses patience.

mod batch;
mod controller;
mod drawn;
mod event;
mod faults;
mod feedback;
mod happen;
mod outcome;
mod requests;
mod server;
mod setup;
mod times;

use std::collections::HashMap;

pub use outcome::{Marks, Outcome, Period, ServerOutcome, BATCHES};
pub use setup::{
    Discipline, End, Fault, Feedback, Kind, Patience, ServerSetup, Session, Setup, View,
};

use crate::engine::{Queue, Time};
use crate::policy::{self, Balancer, Clock, SimServer};
use crate::random::{Process, Purpose, Stream};
use batch::Batch;
use controller::Controller;
use drawn::Drawn;
use event::{Event, Stage, Step};
use server::Server;
use times::Times;

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
    controller: Controller,
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
            controller: Controller::new(setup),
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
        if let Some(feedback) = self.setup.feedback {
            self.queue.at(feedback.period, Event::Feedback);
        }
        for (number, fault) in (0..).zip(&self.setup.faults) {
            let stage = Stage::Begin;
            self.queue.at(fault.at, Event::Fault { number, stage });
        }
    }

    /// Whether the setup has none of the features that most studies do without. Then the code of
    /// these features is left out.
    fn is_plain(&self) -> bool {
        let setup = self.setup;
        let one_director = setup.directors == 1 && setup.cost == 0 && setup.persistence == 0;
        let exact = setup.view == View::Exact && setup.linger == 0 && !self.measures_delays;
        let patient = setup.patience.timeout.is_none() && setup.session.is_none();
        let still = setup.faults.is_empty() && setup.feedback.is_none();
        let simple = setup.objects <= 1 && still && setup.series.is_none();
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
        for server in &mut self.servers {
            server.account(self.setup.warmup);
        }
        self.controller.begin_measuring(&self.servers);
        for (server, outcome) in self.servers.iter_mut().zip(&mut self.outcome.servers) {
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
}

#[cfg(test)]
mod tests;
