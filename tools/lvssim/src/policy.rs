// SPDX-License-Identifier: GPL-2.0-only

//! The adapter to the director's own schedulers, and baselines that the director does not have.
//!
//! A [`Director`] gives an algorithm of `lvs_core::scheduler` what the kernel module gives it: the
//! list of servers, memory for the list, and word of every change. No algorithm of the director is
//! implemented here.

mod baselines;
mod server;

use std::sync::atomic::AtomicU64;

use lvs_core::regions::Regions;
use lvs_core::scheduler::{self as lvs, Algorithm, Change, Flow, List, Options};
use lvs_core::{Address, Endpoint, Protocol};

pub use baselines::{JoinIdleQueue, LeastWorkLeft, Modulo, Random, RoundRobinDns};
pub use server::{one, Clock, SimServer};

/// A director with one virtual service, whatever its scheduler.
pub trait Balancer {
    /// Whether [`Self::asked`] and [`Self::answered`] must report delays.
    fn measures_delays(&self) -> bool;

    /// Adds a server at the end of the list.
    fn add(&mut self, server: SimServer);

    /// Adds several servers and lets the sequence begin with the first of all, as when the service
    /// takes over from another scheduler.
    fn add_all(&mut self, servers: Vec<SimServer>);

    /// Deletes the server at `index`.
    fn delete(&mut self, index: usize);

    /// Gives the server at `index` another weight.
    fn set_weight(&mut self, index: usize, weight: u32);

    /// The servers, in the order of the list.
    fn servers(&self) -> &[SimServer];

    /// The server for a new connection.
    fn select(&self, flow: &Flow<'_>) -> Option<usize>;

    /// The server for a new connection, which is added to the view of the server's connections.
    fn take(&mut self, flow: &Flow<'_>) -> Option<usize>;

    /// Adds a wrapping difference to the view of a server's connections.
    fn add_connections(&mut self, index: usize, difference: u64);

    /// Sets the view of a server's connections.
    fn set_connections(&mut self, index: usize, connections: u64);

    /// A new connection whose delay is measured went to a server.
    fn asked(&self, index: usize) {
        if let Some(server) = self.servers().get(index) {
            server.ask();
        }
    }

    /// A server answered a new connection after so many microseconds.
    fn answered(&self, index: usize, after: u32) {
        if let Some(server) = self.servers().get(index) {
            server.observe(after);
        }
    }

    /// Tells an algorithm that knows the future how many microseconds of work wait at a server.
    fn set_work(&mut self, index: usize, work: u32);
}

/// A director whose scheduler is `A`.
pub struct Director<A> {
    algorithm: A,
    servers: Vec<SimServer>,
    memory: Vec<AtomicU64>,
}

/// Memory of so many words, all zero.
fn memory(words: usize) -> Vec<AtomicU64> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

impl<A: Algorithm> Director<A> {
    /// A director whose service has no servers yet; `seed` stands for the module's random number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            algorithm: A::new(seed),
            servers: Vec::new(),
            memory: memory(A::words(0, 0)),
        }
    }

    #[inline]
    fn list(&self) -> List<'_, SimServer> {
        List {
            destinations: &self.servers,
            memory: &self.memory,
        }
    }

    /// Changes the list of servers and tells the algorithm, with new memory, as the module does.
    fn change(&mut self, change: Change) {
        let words = A::words(self.servers.len(), self.memory.len());
        let former = std::mem::replace(&mut self.memory, memory(words));
        let former = match change {
            Change::Reset => &[][..],
            _ => &former,
        };
        self.algorithm.changed(&self.list(), former, change);
    }

    /// The view of a server's connections has changed.
    // A function of its own: it is a third of the work for a request, and the callers stay small.
    #[inline(never)]
    fn seen(&mut self, index: usize) {
        if let Some(server) = self.servers.get_mut(index) {
            server.judge_load();
        }
        if A::FOLLOWS_LOADS {
            self.algorithm.load_changed(&self.list(), index);
        }
    }
}

impl<A: Algorithm> Balancer for Director<A> {
    fn measures_delays(&self) -> bool {
        A::MEASURES_DELAYS
    }

    fn add(&mut self, server: SimServer) {
        self.servers.push(server);
        self.change(Change::Added(self.servers.len() - 1));
    }

    fn add_all(&mut self, servers: Vec<SimServer>) {
        self.servers.extend(servers);
        self.change(Change::Reset);
    }

    fn delete(&mut self, index: usize) {
        self.servers.remove(index);
        self.change(Change::Removed(index));
    }

    fn set_weight(&mut self, index: usize, weight: u32) {
        if let Some(server) = self.servers.get_mut(index) {
            server.set_weight(weight);
            self.change(Change::Edited(index));
        }
    }

    fn servers(&self) -> &[SimServer] {
        &self.servers
    }

    #[inline(never)]
    fn select(&self, flow: &Flow<'_>) -> Option<usize> {
        self.algorithm.select(&self.list(), flow)
    }

    fn take(&mut self, flow: &Flow<'_>) -> Option<usize> {
        let index = self.select(flow)?;
        self.add_connections(index, one(true));
        Some(index)
    }

    #[inline]
    fn add_connections(&mut self, index: usize, difference: u64) {
        if let Some(server) = self.servers.get_mut(index) {
            server.connections = server.connections.wrapping_add(difference);
            self.seen(index);
        }
    }

    fn set_connections(&mut self, index: usize, connections: u64) {
        if let Some(server) = self.servers.get_mut(index) {
            server.connections = connections;
            self.seen(index);
        }
    }

    fn set_work(&mut self, index: usize, work: u32) {
        if let Some(server) = self.servers.get_mut(index) {
            server.work = Some(work);
        }
    }
}

/// The address of the real server with this number.
#[must_use]
pub fn server_endpoint(number: usize) -> Endpoint {
    let [.., high, low] = (number as u32 + 1).to_be_bytes();
    Endpoint::new(Address::from_v4([10, 2, high, low]), 80)
}

/// The number of the client with this address.
#[must_use]
pub fn client_number([a, b, c, d]: [u8; 4]) -> u32 {
    u32::from_be_bytes([100 ^ a, b, c, d])
}

/// The flow of a client's connection.
#[inline]
#[must_use]
pub fn flow(client: u32, port: u16, object: u16, now: u32, options: Options) -> Flow<'static> {
    let [a, b, c, d] = client.to_be_bytes();
    let [high, low] = object.to_be_bytes();
    Flow {
        protocol: Protocol::Tcp,
        client: Endpoint::new(Address::from_v4([100 ^ a, b, c, d]), port),
        virtual_endpoint: Endpoint::new(Address::from_v4([10, 1, high, low]), 80),
        options,
        now,
        regions: Regions::NONE,
    }
}

macro_rules! schedulers {
    (
        director { $($name:literal $algorithm:path, $about:literal;)* }
        baselines { $($baseline:literal $own:path, $what:literal;)* }
    ) => {
        /// The director's schedulers: name, type in `lvs_core::scheduler`, description.
        pub const SCHEDULERS: &[(&str, &str, &str)] =
            &[$(($name, stringify!($algorithm), $about)),*];

        /// Baselines that the director does not have: name and description.
        pub const BASELINES: &[(&str, &str)] = &[$(($baseline, $what)),*];

        /// A director with the scheduler of this name, without servers; `None` when there is no
        /// such scheduler.
        #[must_use]
        pub fn director(name: &str, seed: u64) -> Option<Box<dyn Balancer>> {
            Some(match name {
                $($name => Box::new(Director::<$algorithm>::new(seed)),)*
                $($baseline => Box::new(Director::<$own>::new(seed)),)*
                _ => return None,
            })
        }
    };
}

schedulers! {
    director {
    "rr" lvs::RoundRobin, "round-robin";
    "wrr" lvs::WeightedRoundRobin, "weighted round-robin";
    "lc" lvs::LeastConnection, "fewest active connections";
    "wlc" lvs::WeightedLeastConnection, "fewest active connections for the weight";
    "sed" lvs::ShortestExpectedDelay, "(active connections + 1) / weight";
    "nq" lvs::NeverQueue, "idle servers first, then sed";
    "fo" lvs::WeightedFailover, "the greatest weight";
    "ovf" lvs::WeightedOverflow, "the greatest weight that is not full";
    "lblc" lvs::LocalityBasedLeastConnection, "one server for a destination address";
    "lblcr" lvs::LocalityBasedWithReplication, "a set of servers for a destination address";
    "dh" lvs::DestinationHashing, "hash of the destination address";
    "sh" lvs::SourceHashing, "hash of the client's address";
    "mh" lvs::MaglevHashing, "Maglev hash of the client's address";
    "twos" lvs::PowerOfTwoChoices, "the better one of two at random";
    "ewma" lvs::PeakEwma, "the faster one of two at random";
    "oneip" lvs::OneIp, "highest random weight of the client's address";
    "geo" lvs::NearestRegion, "as wlc: there are no regions here";
    }
    baselines {
    "random" Random, "a server at random";
    "jiq" JoinIdleQueue, "an idle server, or one at random";
    "lwl" LeastWorkLeft, "the least work left, which nobody can know";
    "rrdns" RoundRobinDns, "round-robin DNS with caching resolvers";
    "modulo" Modulo, "hash of the client's address modulo the number of servers";
    }
}

/// All names, those of the director first.
pub fn names() -> impl Iterator<Item = &'static str> {
    let own = SCHEDULERS.iter().map(|(name, ..)| *name);
    own.chain(BASELINES.iter().map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use lvs::Destination;

    use super::*;

    /// The table has what the kernel's modules have, name for name and type for type.
    #[test]
    fn the_table_is_that_of_the_modules() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sched");
        let mut modules = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let value = |key: &str| {
                let line = text.lines().find(|line| line.trim().starts_with(key))?;
                Some(
                    line.trim()
                        .trim_start_matches(key)
                        .trim_end_matches(',')
                        .trim()
                        .to_owned(),
                )
            };
            let (Some(algorithm), Some(name)) = (value("algorithm:"), value("scheduler:")) else {
                continue;
            };
            let name = name
                .trim_start_matches("c\"")
                .trim_end_matches('"')
                .to_owned();
            modules.push((name, algorithm.replace("lvs_core::scheduler::", "lvs::")));
        }
        let mut table: Vec<_> = SCHEDULERS
            .iter()
            .map(|(name, algorithm, _)| ((*name).to_owned(), algorithm.replace(' ', "")))
            .collect();
        modules.sort();
        table.sort();
        assert_eq!(table, modules);
    }

    fn director<A: Algorithm>(weights: &[u32]) -> Director<A> {
        let clock = Clock::default();
        let mut director = Director::new(1);
        for (number, weight) in weights.iter().enumerate() {
            let endpoint = server_endpoint(number);
            director.add(SimServer::new(endpoint, *weight, clock.clone()));
        }
        director
    }

    fn someone(client: u32) -> Flow<'static> {
        flow(client, 1, 0, 0, Options::default())
    }

    #[test]
    fn a_director_follows_loads() {
        let mut director = director::<lvs::LeastConnection>(&[1, 1, 1]);
        let mut chosen = Vec::new();
        for client in 0..5 {
            let index = director.select(&someone(client)).unwrap();
            director.add_connections(index, one(true));
            chosen.push(index);
        }
        director.add_connections(1, one(true).wrapping_neg());
        director.add_connections(1, one(true).wrapping_neg());
        chosen.push(director.select(&someone(9)).unwrap());
        assert_eq!(chosen, [0, 1, 2, 0, 1, 1]);
    }

    #[test]
    fn one_thread_finds_the_server_with_the_fewest_connections_for_its_weight() {
        let equal = [2; 10];
        let mixed = [1, 2, 4, 0, 2, 2, 1, 3, 0, 5];
        for weights in [equal, mixed] {
            let mut director = director::<lvs::WeightedLeastConnection>(&weights);
            let mut noise = 1_u32;
            for step in 0..5000 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let index = (noise >> 8) as usize % weights.len();
                let connections = (u64::from(noise >> 30) << 32) | u64::from((noise >> 28) & 3);
                director.set_connections(index, connections);
                let rank = |index: usize| {
                    let server = &director.servers[index];
                    // 60 is a multiple of all weights.
                    let for_weight = |count: u32| count * 60 / server.weight();
                    [for_weight(server.active()), for_weight(server.inactive())]
                };
                let takes = |index: &usize| weights[*index] > 0;
                let wanted = (0..weights.len())
                    .filter(takes)
                    .min_by_key(|one| rank(*one));
                assert_eq!(director.select(&someone(0)), wanted, "{weights:?} {step}");
            }
        }
    }

    #[test]
    fn thresholds_have_the_modules_hysteresis() {
        let mut director = director::<lvs::RoundRobin>(&[1]);
        director.servers[0].upper_threshold = 4;
        let full: Vec<_> = [4, 3, 2]
            .into_iter()
            .map(|count| {
                director.set_connections(0, count * one(true));
                director.select(&someone(0)).is_none()
            })
            .collect();
        assert_eq!(full, [true, true, false]);
    }

    #[test]
    fn baselines_skip_servers_that_take_no_connections() {
        for name in ["random", "jiq", "lwl", "rrdns", "modulo"] {
            let mut director = super::director(name, 1).unwrap();
            let clock = Clock::default();
            for (number, weight) in [0, 1, 0].into_iter().enumerate() {
                director.add(SimServer::new(
                    server_endpoint(number),
                    weight,
                    clock.clone(),
                ));
            }
            let chosen = |client| director.select(&someone(client)) == Some(1);
            assert!((0..100).all(chosen), "{name}");
        }
    }

    #[test]
    fn resolvers_keep_their_answer() {
        let director = director::<RoundRobinDns>(&[1, 1]);
        let at = |client, now| {
            director
                .select(&Flow {
                    now,
                    ..someone(client)
                })
                .unwrap()
        };
        assert_eq!([at(1, 0), at(2, 0), at(257, 59), at(1, 60)], [0, 1, 0, 0]);
    }
}
