// SPDX-License-Identifier: GPL-2.0-only

//! What a run of the cluster model is made of. All values are checked before they come here.

use lvs_core::scheduler::Options;

use super::Marks;
use crate::engine::Time;
use crate::random::{Arrivals, Clients, Sizes};

/// How a server shares itself between requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Discipline {
    /// First come, first served, as many at a time as there are cores.
    #[default]
    Fifo,
    /// All at once (processor sharing), none faster than one core.
    Shared,
}

/// A real server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSetup {
    /// The weight that the director is given.
    pub weight: u32,
    /// Work done in a unit of time by one core.
    pub speed: f64,
    /// How many cores there are.
    pub cores: u32,
    /// How many requests may wait or be served at once; more are refused room.
    pub room: usize,
    /// How it shares itself.
    pub discipline: Discipline,
    /// The director's upper threshold of connections; 0 for none.
    pub threshold: u32,
}

impl Default for ServerSetup {
    fn default() -> Self {
        Self {
            weight: 1,
            speed: 1.0,
            cores: 1,
            room: usize::MAX,
            discipline: Discipline::Fifo,
            threshold: 0,
        }
    }
}

/// What the director knows of the servers' loads.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum View {
    /// Its own counts of connections, at every moment: what the module does.
    #[default]
    Exact,
    /// Reports once in a period; a report of a server is lost with a probability.
    Snapshot {
        /// The period.
        period: Time,
        /// The probability that a report is lost.
        loss: f64,
        /// The director counts its own choices on top of the last report.
        own: bool,
    },
    /// The counts as they were so long ago.
    Delayed {
        /// How long ago.
        age: Time,
    },
}

/// How clients behave when they get no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A lost SYN is sent again after 1, 2 and 4 s; otherwise the request is lost at once.
    pub repeats: bool,
    /// A request without an answer for so long is sent again, on another connection; the answer of
    /// the old one is wasted.
    pub timeout: Option<Time>,
    /// So many connections are tried at most for a request.
    pub attempts: u8,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            repeats: false,
            timeout: None,
            attempts: 3,
        }
    }
}

/// Users who send several requests, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// How many requests, on average (geometric).
    pub requests: f64,
    /// Seconds between an answer and the next request.
    pub think: Sizes,
}

/// What goes wrong, or is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The server is gone with all its requests, and answers nothing.
    Crash,
    /// The server takes requests and answers none.
    Hang,
    /// The server is so many times slower.
    Slow(f64),
    /// The server is new: it is not in the list before. Its weight grows in ten steps for so long.
    Join(Time),
    /// The director fails, and another takes over; `true`: with the table of connections.
    Director(bool),
}

/// Something that happens at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// When.
    pub at: Time,
    /// To which server.
    pub server: usize,
    /// What.
    pub kind: Kind,
    /// After which time it is as before.
    pub repair: Option<Time>,
    /// How long after that, and after the repair, the director gives the server weight 0, and its
    /// own again. For the director itself: how long nobody forwards.
    pub detected_after: Option<Time>,
}

/// Weights that follow the loads which servers report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The time between two reports.
    pub period: Time,
    /// How many periods a report is on its way.
    pub age: u32,
    /// The load, in percent, at which a server wants its base weight.
    pub reference: u32,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At a time.
    At(Time),
    /// After so many requests were answered since the warm-up.
    Answered(u64),
}

/// A run of the cluster model.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// All randomness comes from it.
    pub seed: u64,
    /// The name of the scheduler.
    pub scheduler: String,
    /// The options of hashing schedulers.
    pub options: Options,
    /// How many directors share the service; each counts its own connections only.
    pub directors: u32,
    /// How long a director works on a new connection.
    pub cost: Time,
    /// For how long a client keeps its server after its last request; 0 for no persistence.
    pub persistence: Time,
    /// The real servers.
    pub servers: Vec<ServerSetup>,
    /// When requests, or sessions, arrive.
    pub arrivals: Arrivals,
    /// Requests, or sessions, a second.
    pub rate: f64,
    /// Seconds of one core of speed 1 that a request takes.
    pub sizes: Sizes,
    /// Who sends requests.
    pub clients: Clients,
    /// How many virtual addresses are asked for.
    pub objects: u16,
    /// Users with several requests.
    pub session: Option<Session>,
    /// How clients behave without an answer.
    pub patience: Patience,
    /// What the director knows of loads.
    pub view: View,
    /// What changes weights.
    pub feedback: Option<Feedback>,
    /// How long a closed connection is counted as inactive; 0: it is forgotten at once.
    pub linger: Time,
    /// Closed connections count as active ones while they linger.
    pub linger_active: bool,
    /// How long a server takes for a handshake when it is not slowed down.
    pub handshake: Time,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Answers before this time are not counted.
    pub warmup: Time,
    /// When it ends.
    pub end: End,
    /// The length of the periods in which answers and losses are told one by one.
    pub series: Option<Time>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            scheduler: "wlc".to_owned(),
            options: Options::default(),
            directors: 1,
            cost: 0,
            persistence: 0,
            servers: vec![ServerSetup::default()],
            arrivals: Arrivals::Poisson,
            rate: 1.0,
            sizes: Sizes::Exponential(1.0),
            clients: Clients::Fresh,
            objects: 1,
            session: None,
            patience: Patience::default(),
            view: View::Exact,
            feedback: None,
            linger: 0,
            linger_active: false,
            handshake: 200_000,
            faults: Vec::new(),
            warmup: 0,
            end: End::Answered(100_000),
            series: None,
        }
    }
}

impl Setup {
    /// Work that all servers together do in a second.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.servers
            .iter()
            .map(|server| server.speed * f64::from(server.cores))
            .sum()
    }

    /// What [`Outcome::recovery`](super::Outcome::recovery) needs, if there is a fault.
    pub(super) fn marks(&self) -> Option<Marks> {
        Some(Marks {
            period: self.series?,
            warmup: self.warmup,
            fault: self.faults.iter().map(|fault| fault.at).min()?,
        })
    }

    /// Sets the rate so that the servers are busy for this share of the time.
    #[must_use]
    pub fn with_load(mut self, load: f64) -> Self {
        let requests = self
            .session
            .as_ref()
            .map_or(1.0, |session| session.requests);
        self.rate = load * self.capacity() / (self.sizes.mean() * requests);
        self
    }
}
