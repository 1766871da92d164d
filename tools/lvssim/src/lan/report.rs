// SPDX-License-Identifier: GPL-2.0-only

//! The 2003 report's experiments and figures, what it printed, and what ns-2 2.35 gives for them.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::engine::SECOND;
use crate::plot::{Figure, Reference, Series};
use crate::statistics::Estimate;

use super::{run, LanOutcome, LanSetup, Method, Sending, Topology};

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Replies a second.
    Replied,
    /// Requests received by servers a second.
    Received,
    /// Packets dropped at the first director a second.
    LostAtDirector,
    /// Packets dropped at servers a second.
    LostAtServers,
}

impl Quantity {
    fn of(self, outcome: &LanOutcome) -> f64 {
        match self {
            Self::Replied => outcome.replied,
            Self::Received => outcome.received,
            Self::LostAtDirector => outcome.lost_at_director,
            Self::LostAtServers => outcome.lost_at_servers,
        }
    }

    fn axis(self) -> &'static str {
        match self {
            Self::Replied => "replies (1/s)",
            Self::Received => "requests received by servers (1/s)",
            Self::LostAtDirector => "packets lost at the director (1/s)",
            Self::LostAtServers => "packets lost at the servers (1/s)",
        }
    }
}

/// Clients at 100 Mb/s and at 1000 Mb/s.
const FAST: &[u32] = &[2, 4, 6, 8, 9, 10, 12, 14, 16, 18, 20, 22, 26, 30];
const GIGABIT: &[u32] = &[5, 10, 20, 30, 40, 50, 60, 70];

/// What ns-2 2.35 gives, one second after half a second of warm-up: servers, clients, and least,
/// median and greatest of three seeds of replies and of losses at the director; losses at servers.
/// Where one value is known, all three are that.
type OracleRow = (u32, u32, [f64; 3], [f64; 3], f64);
const ORACLE: &[OracleRow] = &[
    (1, 6, [6000.0; 3], [0.0; 3], 0.0),
    (1, 7, [7000.0; 3], [0.0; 3], 0.0),
    (1, 8, [8000.0; 3], [0.0; 3], 0.0),
    (1, 9, [8491.0, 8545.0, 8853.0], [0.0, 0.0, 9.0], 373.0),
    (1, 10, [7511.0, 7746.0, 7860.0], [126.0; 3], 2157.0),
    (1, 12, [6964.0, 6968.0, 7295.0], [786.0; 3], 4249.0),
    (1, 16, [5292.0, 5389.0, 5793.0], [1985.0; 3], 8668.0),
    (1, 20, [4816.0, 4977.0, 5156.0], [3895.0; 3], 11184.0),
    (
        1,
        22,
        [4308.0, 4880.0, 5434.0],
        [4391.0, 5281.0, 5969.0],
        11841.0,
    ),
    (1, 30, [4081.0, 4882.0, 5432.0], [13248.0; 3], 11867.0),
    (4, 9, [8583.0; 3], [119.0; 3], 49.0),
    (4, 12, [9418.0; 3], [2206.0; 3], 353.0),
    (4, 22, [9309.0; 3], [10757.0; 3], 1703.0),
    (4, 30, [9301.0; 3], [18852.0; 3], 1808.0),
    (8, 9, [8354.0; 3], [434.0; 3], 61.0),
    (8, 12, [8815.0; 3], [2927.0; 3], 118.0),
    (8, 22, [9233.0; 3], [12521.0; 3], 155.0),
    (8, 30, [9143.0; 3], [20401.0; 3], 163.0),
    (12, 9, [8486.0; 3], [284.0; 3], 9.0),
    (12, 12, [8521.0; 3], [3116.0; 3], 45.0),
    (12, 22, [8637.0; 3], [13165.0; 3], 47.0),
    (12, 30, [8364.0; 3], [21486.0; 3], 34.0),
];

/// Replies at 1000 Mb/s with one server, in thousands.
const ORACLE_GIGABIT: &[(u32, f64)] = &[
    (20, 13_700.0),
    (30, 22_800.0),
    (40, 32_400.0),
    (50, 42_300.0),
    (70, 62_000.0),
];

/// A curve of a figure.
struct Curve {
    name: String,
    setup: LanSetup,
}

/// How a figure is made.
struct Recipe {
    number: u32,
    title: String,
    quantity: Quantity,
    /// The numbers of clients; empty: over time.
    clients: &'static [u32],
    curves: Vec<Curve>,
    /// Values by server over time.
    by_server: bool,
    /// What the report's text says: x, and y.
    printed: &'static [[f64; 2]],
    /// Servers of the oracle's rows.
    oracle: &'static [u32],
}

fn topology_one(servers: u32, megabits: u64, method: Method) -> LanSetup {
    LanSetup {
        servers,
        megabits,
        method,
        ..LanSetup::default()
    }
}

fn methods(setup: impl Fn(Method) -> LanSetup) -> Vec<Curve> {
    [
        ("NAT", Method::Nat),
        ("TUN", Method::Tun),
        ("DR", Method::Dr),
    ]
    .map(|(name, method)| Curve {
        name: name.to_owned(),
        setup: setup(method),
    })
    .into()
}

fn servers(megabits: u64, method: Method) -> Vec<Curve> {
    [1, 4, 8, 12]
        .map(|servers| Curve {
            name: match servers {
                1 => "1 server".to_owned(),
                _ => format!("{servers} servers"),
            },
            setup: topology_one(servers, megabits, method),
        })
        .into()
}

/// Two servers of weights 1 and 3, whose queues are 50 and 150; each request is a connection.
fn weighted(scheduler: &'static str) -> LanSetup {
    LanSetup {
        clients: 100,
        servers: 2,
        megabits: 1000,
        scheduler,
        weights: &[1, 3],
        server_queues: &[50, 150],
        director_queue: 10_000,
        connection: Some(1),
        warmup: 3 * SECOND / 5,
        until: SECOND,
        series: Some(SECOND / 50),
        ..LanSetup::default()
    }
}

/// One client, requests of odd number with three replies, connections of 1 ms.
fn uneven(scheduler: &'static str) -> LanSetup {
    LanSetup {
        servers: 2,
        scheduler,
        connection: Some(1_000_000),
        sending: Sending::HalfOrWhole,
        odd_replies: 3,
        until: 3 * SECOND / 2,
        warmup: SECOND / 2,
        series: Some(SECOND / 20),
        ..LanSetup::default()
    }
}

fn hierarchy() -> Vec<Curve> {
    let flat = topology_one(8, 1000, Method::Nat);
    let hierarchy = LanSetup {
        servers: 3,
        behind: 5,
        ..flat.clone()
    };
    vec![
        Curve {
            name: "flat, 8 servers".to_owned(),
            setup: flat,
        },
        Curve {
            name: "hierarchy, 3 and 5 servers".to_owned(),
            setup: hierarchy,
        },
    ]
}

fn pair(one: LanSetup, other: LanSetup) -> Vec<Curve> {
    [one, other]
        .map(|setup| Curve {
            name: setup.scheduler.to_owned(),
            setup,
        })
        .into()
}

fn recipes() -> Vec<Recipe> {
    use Quantity::{LostAtDirector, LostAtServers, Received, Replied};
    let mut all = Vec::new();
    let mut add = |number, title: &str, quantity, clients, curves, printed, oracle| {
        all.push(Recipe {
            number,
            title: title.to_owned(),
            quantity,
            clients,
            curves,
            by_server: false,
            printed,
            oracle,
        });
    };
    let one = |megabits| methods(move |method| topology_one(1, megabits, method));
    let own = || {
        methods(|method| LanSetup {
            topology: Topology::OwnLinks,
            ..topology_one(1, 1000, method)
        })
    };
    add(
        8,
        "throughput, one server, 100 Mb/s",
        Replied,
        FAST,
        one(100),
        &[
            [22.0, 5000.0],
            [22.0, 4000.0],
            [30.0, 5000.0],
            [30.0, 4000.0],
        ],
        &[1],
    );
    add(
        9,
        "loss at the director, one server, 100 Mb/s",
        LostAtDirector,
        FAST,
        one(100),
        &[[22.0, 5000.0], [4.0, 0.0]],
        &[1],
    );
    add(
        10,
        "requests received, one server, 100 Mb/s",
        Received,
        FAST,
        one(100),
        &[],
        &[],
    );
    add(
        11,
        "loss at the server, 100 Mb/s",
        LostAtServers,
        FAST,
        one(100),
        &[],
        &[1],
    );
    add(
        12,
        "throughput, NAT, 100 Mb/s",
        Replied,
        FAST,
        servers(100, Method::Nat),
        &[[30.0, 8500.0]],
        &[1, 4, 8, 12],
    );
    add(
        13,
        "loss at the director, NAT, 100 Mb/s",
        LostAtDirector,
        FAST,
        servers(100, Method::Nat),
        &[[30.0, 21_100.0]],
        &[1, 4, 8, 12],
    );
    add(
        14,
        "loss at the servers, NAT, 100 Mb/s",
        LostAtServers,
        FAST,
        servers(100, Method::Nat),
        &[[30.0, 160.0]],
        &[1, 4, 8, 12],
    );
    add(
        15,
        "throughput, TUN, 100 Mb/s",
        Replied,
        FAST,
        servers(100, Method::Tun),
        &[],
        &[],
    );
    add(
        16,
        "throughput, DR, 100 Mb/s",
        Replied,
        FAST,
        servers(100, Method::Dr),
        &[],
        &[1, 4, 8, 12],
    );
    add(
        17,
        "throughput, one server, 1000 Mb/s",
        Replied,
        GIGABIT,
        one(1000),
        &[],
        &[1],
    );
    add(
        18,
        "loss at the director, one server, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        one(1000),
        &[],
        &[],
    );
    add(
        19,
        "loss at the server, 1000 Mb/s",
        LostAtServers,
        GIGABIT,
        one(1000),
        &[],
        &[],
    );
    add(
        20,
        "throughput, NAT, 1000 Mb/s",
        Replied,
        GIGABIT,
        servers(1000, Method::Nat),
        &[],
        &[1],
    );
    add(
        22,
        "throughput, servers with links of their own, 1000 Mb/s",
        Replied,
        GIGABIT,
        own(),
        &[],
        &[],
    );
    add(
        27,
        "throughput, hierarchy, 1000 Mb/s",
        Replied,
        GIGABIT,
        hierarchy(),
        &[],
        &[],
    );
    add(
        28,
        "loss at the director, hierarchy, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        hierarchy(),
        &[],
        &[],
    );
    add(
        29,
        "loss at the servers, hierarchy, 1000 Mb/s",
        LostAtServers,
        GIGABIT,
        hierarchy(),
        &[],
        &[],
    );
    add(
        30,
        "loss at the director, TUN, 100 Mb/s",
        LostAtDirector,
        FAST,
        servers(100, Method::Tun),
        &[],
        &[],
    );
    add(
        31,
        "loss at the servers, TUN, 100 Mb/s",
        LostAtServers,
        FAST,
        servers(100, Method::Tun),
        &[],
        &[],
    );
    add(
        32,
        "loss at the director, DR, 100 Mb/s",
        LostAtDirector,
        FAST,
        servers(100, Method::Dr),
        &[],
        &[1, 4, 8, 12],
    );
    add(
        33,
        "loss at the servers, DR, 100 Mb/s",
        LostAtServers,
        FAST,
        servers(100, Method::Dr),
        &[],
        &[1, 4, 8, 12],
    );
    add(
        34,
        "loss at the director, NAT, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        servers(1000, Method::Nat),
        &[],
        &[],
    );
    add(
        35,
        "loss at the servers, NAT, 1000 Mb/s",
        LostAtServers,
        GIGABIT,
        servers(1000, Method::Nat),
        &[],
        &[],
    );
    add(
        36,
        "throughput, TUN, 1000 Mb/s",
        Replied,
        GIGABIT,
        servers(1000, Method::Tun),
        &[],
        &[],
    );
    add(
        37,
        "loss at the director, TUN, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        servers(1000, Method::Tun),
        &[],
        &[],
    );
    add(
        38,
        "loss at the servers, TUN, 1000 Mb/s",
        LostAtServers,
        GIGABIT,
        servers(1000, Method::Tun),
        &[],
        &[],
    );
    add(
        39,
        "loss at the director, DR, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        servers(1000, Method::Dr),
        &[],
        &[],
    );
    add(
        40,
        "loss at the servers, DR, 1000 Mb/s",
        LostAtServers,
        GIGABIT,
        servers(1000, Method::Dr),
        &[],
        &[],
    );
    add(
        41,
        "loss at the director, servers with links of their own, 1000 Mb/s",
        LostAtDirector,
        GIGABIT,
        own(),
        &[],
        &[],
    );
    for (number, title, quantity, curves, by_server) in [
        (
            23,
            "throughput over time, RR and WRR",
            Replied,
            pair(weighted("rr"), weighted("wrr")),
            false,
        ),
        (
            42,
            "requests received over time, RR and WRR",
            Received,
            pair(weighted("rr"), weighted("wrr")),
            true,
        ),
        (
            43,
            "loss at the servers over time, RR and WRR",
            LostAtServers,
            pair(weighted("rr"), weighted("wrr")),
            true,
        ),
        (
            25,
            "throughput over time, RR and LC",
            Replied,
            pair(uneven("rr"), uneven("lc")),
            false,
        ),
        (
            44,
            "requests received over time, RR and LC",
            Received,
            pair(uneven("rr"), uneven("lc")),
            true,
        ),
        (
            45,
            "loss at the servers over time, RR and LC",
            LostAtServers,
            pair(uneven("rr"), uneven("lc")),
            true,
        ),
    ] {
        all.push(Recipe {
            number,
            title: title.to_owned(),
            quantity,
            clients: &[],
            curves,
            by_server,
            printed: &[],
            oracle: &[],
        });
    }
    all.sort_by_key(|recipe| recipe.number);
    all
}

/// The names of all figures.
#[must_use]
pub fn names() -> Vec<String> {
    recipes()
        .iter()
        .map(|recipe| format!("ns2-{}", recipe.number))
        .collect()
}

/// Outcomes of runs, each made once: figures share most of them.
#[derive(Default)]
pub struct Runs(HashMap<LanSetup, LanOutcome>);

impl Runs {
    /// Direct routing is NAT as far as the LAN is concerned.
    fn key(setup: &LanSetup) -> LanSetup {
        let mut key = setup.clone();
        if key.method == Method::Dr {
            key.method = Method::Nat;
        }
        key
    }

    /// Makes the runs that are missing, on all cores.
    pub fn make(&mut self, setups: impl IntoIterator<Item = LanSetup>, progress: impl Fn() + Sync) {
        let mut missing: Vec<LanSetup> = Vec::new();
        for setup in setups {
            let key = Self::key(&setup);
            if !self.0.contains_key(&key) && !missing.contains(&key) {
                missing.push(key);
            }
        }
        // The longest first.
        missing.sort_by_key(|setup| std::cmp::Reverse(setup.clients * (setup.servers + 2)));
        let outcomes: Vec<LanOutcome> = missing
            .par_iter()
            .with_max_len(1)
            .map(|setup| {
                let outcome = run(setup);
                progress();
                outcome
            })
            .collect();
        self.0.extend(missing.into_iter().zip(outcomes));
    }

    fn all(&self, setup: &LanSetup, seeds: u64) -> Vec<&LanOutcome> {
        (1..=seeds)
            .filter_map(|seed| {
                self.0.get(&Self::key(&LanSetup {
                    seed,
                    ..setup.clone()
                }))
            })
            .collect()
    }

    /// The estimate of a quantity from so many seeds.
    #[must_use]
    pub fn estimate(&self, setup: &LanSetup, quantity: Quantity, seeds: u64) -> Estimate {
        Estimate::of(
            self.all(setup, seeds)
                .into_iter()
                .map(|outcome| quantity.of(outcome)),
        )
    }
}

impl Recipe {
    fn setups(&self, seeds: u64) -> Vec<LanSetup> {
        let mut setups = Vec::new();
        for curve in &self.curves {
            for seed in 1..=seeds {
                let setup = LanSetup {
                    seed,
                    ..curve.setup.clone()
                };
                if self.clients.is_empty() {
                    setups.push(setup);
                    continue;
                }
                let with = |clients: &u32| LanSetup {
                    clients: *clients,
                    ..setup.clone()
                };
                setups.extend(self.clients.iter().map(with));
            }
        }
        setups
    }

    fn figure(&self, runs: &Runs, seeds: u64) -> Figure {
        let over_time = self.clients.is_empty();
        let series = match over_time {
            true => self
                .curves
                .iter()
                .flat_map(|curve| self.over_time(curve, runs, seeds))
                .collect(),
            false => self
                .curves
                .iter()
                .map(|curve| self.over_clients(curve, runs, seeds))
                .collect(),
        };
        let mut references = Vec::new();
        let oracle = self.oracle_points();
        if !oracle.is_empty() {
            references.push(Reference {
                name: "ns-2 2.35, range of seeds".to_owned(),
                points: oracle,
            });
        }
        if !self.printed.is_empty() {
            let points = self.printed.iter().map(|[x, y]| [*x, *y, *y, *y]).collect();
            // The filled mark is the report's, whether there is an oracle or not.
            if references.is_empty() {
                references.push(Reference {
                    name: String::new(),
                    points: Vec::new(),
                });
            }
            references.push(Reference {
                name: "the report's text".to_owned(),
                points,
            });
        }
        references.retain(|reference| !reference.points.is_empty());
        Figure {
            name: format!("ns2-{}", self.number),
            title: format!("Figure {} of the 2003 report: {}", self.number, self.title),
            x: match over_time {
                true => "time (s)".to_owned(),
                false => "clients, each with 1000 requests a second".to_owned(),
            },
            y: self.quantity.axis().to_owned(),
            series,
            references,
            ..Figure::default()
        }
    }

    fn over_clients(&self, curve: &Curve, runs: &Runs, seeds: u64) -> Series {
        let point = |clients: &u32| {
            let setup = LanSetup {
                clients: *clients,
                ..curve.setup.clone()
            };
            let estimate = runs.estimate(&setup, self.quantity, seeds);
            [f64::from(*clients), estimate.mean, estimate.half_width]
        };
        Series {
            name: curve.name.clone(),
            points: self.clients.iter().map(point).collect(),
        }
    }

    fn over_time(&self, curve: &Curve, runs: &Runs, seeds: u64) -> Vec<Series> {
        let outcomes = runs.all(&curve.setup, seeds);
        let length = curve.setup.series.unwrap_or(SECOND) as f64 / SECOND as f64;
        let periods = outcomes
            .iter()
            .map(|outcome| outcome.series.len())
            .min()
            .unwrap_or(0);
        let of = |server: Option<usize>, name: String| Series {
            name,
            points: (0..periods)
                .map(|place| {
                    let values = outcomes.iter().map(|outcome| {
                        let period = &outcome.series[place];
                        match (self.quantity, server) {
                            (Quantity::Received, Some(server)) => period.received[server],
                            (Quantity::LostAtServers, Some(server)) => period.lost[server],
                            _ => period.replied,
                        }
                    });
                    let estimate = Estimate::of(values);
                    [0.5 + place as f64 * length, estimate.mean, 0.0]
                })
                .collect(),
        };
        match self.by_server {
            false => vec![of(None, curve.name.clone())],
            true => (0..2)
                .map(|server| {
                    of(
                        Some(server),
                        format!("{}, server {}", curve.name, server + 1),
                    )
                })
                .collect(),
        }
    }

    fn oracle_points(&self) -> Vec<[f64; 4]> {
        if self.clients == GIGABIT {
            let point =
                |(clients, value): &(u32, f64)| [f64::from(*clients), *value, *value, *value];
            return match self.oracle {
                [1] => ORACLE_GIGABIT.iter().map(point).collect(),
                _ => Vec::new(),
            };
        }
        ORACLE
            .iter()
            .filter(|(servers, ..)| self.oracle.contains(servers))
            .map(|(_, clients, replied, director, at_servers)| {
                let [low, middle, high] = match self.quantity {
                    Quantity::LostAtDirector => *director,
                    Quantity::LostAtServers => [*at_servers; 3],
                    Quantity::Replied | Quantity::Received => *replied,
                };
                [f64::from(*clients), low, middle, high]
            })
            .collect()
    }
}

/// The runs that the figures of these names need.
#[must_use]
pub fn setups(names: &[String], seeds: u64) -> Vec<LanSetup> {
    recipes()
        .iter()
        .filter(|recipe| names.contains(&format!("ns2-{}", recipe.number)))
        .flat_map(|recipe| recipe.setups(seeds))
        .collect()
}

/// The figure of this name, from runs that were made.
#[must_use]
pub fn figure(name: &str, runs: &Runs, seeds: u64) -> Option<Figure> {
    let recipes = recipes();
    let recipe = recipes
        .iter()
        .find(|recipe| format!("ns2-{}", recipe.number) == name)?;
    Some(recipe.figure(runs, seeds))
}

/// A requirement on the LAN model and what it compares.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What is compared.
    pub name: String,
    /// What it must be: least and greatest.
    pub wanted: [f64; 2],
    /// What it is.
    pub got: f64,
}

impl Comparison {
    /// Whether it is what it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        let [low, high] = self.wanted;
        (low..=high).contains(&self.got)
    }
}

fn oracle_setup(servers: u32, clients: u32) -> LanSetup {
    LanSetup {
        clients,
        ..topology_one(servers, 100, Method::Nat)
    }
}

/// The median of seeds against ns-2's range, widened by 10 % (5 % up to nine clients). `every`: all
/// rows of the oracle, instead of those that take little time.
#[must_use]
pub fn compare(
    runs: &mut Runs,
    seeds: u64,
    every: bool,
    progress: impl Fn() + Sync,
) -> Vec<Comparison> {
    let rows: Vec<&OracleRow> = ORACLE
        .iter()
        .filter(|(servers, clients, ..)| {
            every || (*servers == 1 && matches!(clients, 6 | 9 | 12 | 22))
        })
        .collect();
    let of_row = |(servers, clients, ..): &&OracleRow| oracle_setup(*servers, *clients);
    let with_seeds = |setup: LanSetup| {
        (1..=seeds).map(move |seed| LanSetup {
            seed,
            ..setup.clone()
        })
    };
    runs.make(rows.iter().map(of_row).flat_map(with_seeds), progress);
    let mut all = vec![round_trip(1, Method::Nat, 0.006_891, 1e-6)];
    all.push(round_trip(6, Method::Nat, 0.007_233, 10e-6));
    all.push(round_trip(6, Method::Tun, 0.007_242, 10e-6));
    for row in rows {
        let (servers, clients, replied, director, _) = row;
        let slack = if *clients <= 9 { 0.05 } else { 0.1 };
        let setup = oracle_setup(*servers, *clients);
        let mut add = |what: &str, quantity, range: &[f64; 3]| {
            let got = runs.estimate(&setup, quantity, seeds).median;
            // A few packets more or less where there are hardly any.
            let room = if range[2] < 500.0 { 100.0 } else { 0.0 };
            all.push(Comparison {
                name: format!("{servers} servers, {clients} clients: {what}"),
                wanted: [
                    range[0] * (1.0 - slack) - room,
                    range[2] * (1.0 + slack) + room,
                ],
                got,
            });
        };
        add("replies", Quantity::Replied, replied);
        add("lost at the director", Quantity::LostAtDirector, director);
    }
    all
}

fn round_trip(clients: u32, method: Method, wanted: f64, within: f64) -> Comparison {
    let setup = LanSetup {
        clients,
        method,
        ..LanSetup::default()
    };
    Comparison {
        name: format!("{clients} clients, {method:?}: round trip, in microseconds"),
        wanted: [(wanted - within) * 1e6, (wanted + within) * 1e6],
        got: run(&setup).round_trip * 1e6,
    }
}

/// Runs that [`compare`] with five seeds and [`orders`] take, at most.
pub const COMPARE_RUNS: u64 = 330;

/// Runs that [`orders`] takes with 20 seeds, at most.
pub const ORDER_RUNS: u64 = 220;

/// The orders that the report claims and ns-2 confirms: how far the 95 % intervals of so many seeds
/// lie apart, which must be above 0.
#[must_use]
pub fn orders(runs: &mut Runs, seeds: u64, progress: impl Fn() + Sync) -> Vec<Comparison> {
    use Quantity::{LostAtDirector, LostAtServers, Replied};
    let fast = |servers| oracle_setup(servers, 14);
    let gigabit = |servers| LanSetup {
        clients: 70,
        ..topology_one(servers, 1000, Method::Nat)
    };
    let tree = LanSetup {
        behind: 5,
        ..gigabit(3)
    };
    let orders = [
        (
            "100 Mb/s, 14 clients: 4 servers reply more than 8",
            Replied,
            fast(4),
            fast(8),
        ),
        (
            "100 Mb/s, 14 clients: 8 servers reply more than 12",
            Replied,
            fast(8),
            fast(12),
        ),
        (
            "100 Mb/s, 14 clients: 12 servers reply more than 1",
            Replied,
            fast(12),
            fast(1),
        ),
        (
            "1000 Mb/s, 70 clients: 1 server replies more than 4",
            Replied,
            gigabit(1),
            gigabit(4),
        ),
        (
            "WRR replies more than RR",
            Replied,
            weighted("wrr"),
            weighted("rr"),
        ),
        (
            "a hierarchy replies more than a flat one",
            Replied,
            tree.clone(),
            gigabit(8),
        ),
        (
            "a hierarchy loses less at the director",
            LostAtDirector,
            gigabit(8),
            tree.clone(),
        ),
        (
            "100 Mb/s, 16 clients: a hierarchy loses more at the servers",
            LostAtServers,
            LanSetup {
                megabits: 100,
                clients: 16,
                ..tree
            },
            LanSetup {
                megabits: 100,
                clients: 16,
                ..gigabit(8)
            },
        ),
    ];
    let setups = orders
        .iter()
        .flat_map(|(_, _, more, less)| [more.clone(), less.clone()]);
    let with_seeds = |setup: LanSetup| {
        (1..=seeds).map(move |seed| LanSetup {
            seed,
            ..setup.clone()
        })
    };
    runs.make(setups.flat_map(with_seeds), progress);
    orders
        .into_iter()
        .map(|(name, quantity, more, less)| {
            let [more, less] = [more, less].map(|setup| runs.estimate(&setup, quantity, seeds));
            Comparison {
                name: name.to_owned(),
                wanted: [0.0, f64::INFINITY],
                got: more.low() - less.high(),
            }
        })
        .collect()
}
