// SPDX-License-Identifier: GPL-2.0-only

//! The 2003 report's experiments: what each figure shows, and what the report's text says of it.

use crate::engine::SECOND;

use super::{LanOutcome, LanSetup, Method, Sending, Topology};

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
    pub(super) fn of(self, outcome: &LanOutcome) -> f64 {
        match self {
            Self::Replied => outcome.replied,
            Self::Received => outcome.received,
            Self::LostAtDirector => outcome.lost_at_director,
            Self::LostAtServers => outcome.lost_at_servers,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Replied => "throughput",
            Self::Received => "requests received",
            Self::LostAtDirector => "loss at the director",
            Self::LostAtServers => "loss at the servers",
        }
    }

    pub(super) fn axis(self) -> &'static str {
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

/// A curve of a figure.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) setup: LanSetup,
}

/// How a figure is made.
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) title: String,
    /// What the report says of it.
    pub(super) says: &'static str,
    pub(super) quantity: Quantity,
    pub(super) megabits: u64,
    /// The numbers of clients; empty: over time.
    pub(super) clients: &'static [u32],
    pub(super) curves: Vec<Curve>,
    /// Values by server over time.
    pub(super) by_server: bool,
    /// What the report's text says: x, and y.
    pub(super) printed: &'static [[f64; 2]],
    /// Servers of ns-2's rows.
    pub(super) oracle: &'static [u32],
}

pub(super) fn topology_one(servers: u32, megabits: u64, method: Method) -> LanSetup {
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
pub(super) fn weighted(scheduler: &'static str) -> LanSetup {
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
pub(super) fn uneven(scheduler: &'static str) -> LanSetup {
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

fn media() -> Vec<Curve> {
    let shared = topology_one(1, 100, Method::Nat);
    let switched = LanSetup {
        switched: true,
        ..shared.clone()
    };
    [
        ("shared half-duplex segment", shared),
        ("switch, full duplex", switched),
    ]
    .map(|(name, setup)| Curve {
        name: name.to_owned(),
        setup,
    })
    .into()
}

fn pair(one: LanSetup, other: LanSetup) -> Vec<Curve> {
    [one, other]
        .map(|setup| Curve {
            name: setup.scheduler.to_owned(),
            setup,
        })
        .into()
}

/// What a figure's curves stand for.
#[derive(Clone, Copy)]
enum Curves {
    /// One server of this bandwidth: the three methods.
    Methods(u64),
    /// The three methods, with servers that have links of their own to the clients.
    OwnLinks,
    /// 1, 4, 8 and 12 servers.
    Servers(u64, Method),
    /// Eight servers behind one director or two.
    Hierarchy,
    /// One server on the shared segment, and on a switch.
    Media,
    /// Round-robin and weighted round-robin over time.
    Weighted,
    /// Round-robin and least-connection over time.
    Uneven,
}

/// Servers of ns-2's rows that a figure shows.
const ONE: &[u32] = &[1];
const ALL: &[u32] = &[1, 4, 8, 12];

/// The number of what the report has no figure of.
const NO_FIGURE: u32 = u32::MAX;

/// Number, quantity, curves, what the report's text says (clients and packets), and the servers
/// whose runs of ns-2 are drawn.
type Row = (u32, Quantity, Curves, &'static [[f64; 2]], &'static [u32]);

#[rustfmt::skip]
const FIGURES: &[Row] = {
    use Curves::{Hierarchy, Media, Methods, OwnLinks, Servers, Uneven, Weighted};
    use Method::{Dr, Nat, Tun};
    use Quantity::{LostAtDirector, LostAtServers, Received, Replied};
    const PLATEAUS: &[[f64; 2]] =
        &[[22.0, 5000.0], [22.0, 4000.0], [30.0, 5000.0], [30.0, 4000.0]];
    &[
        (8, Replied, Methods(100), PLATEAUS, ONE),
        (9, LostAtDirector, Methods(100), &[[22.0, 5000.0], [4.0, 0.0]], ONE),
        (10, Received, Methods(100), &[], &[]),
        (11, LostAtServers, Methods(100), &[], ONE),
        (12, Replied, Servers(100, Nat), &[[30.0, 8500.0]], ALL),
        (13, LostAtDirector, Servers(100, Nat), &[[30.0, 21_100.0]], ALL),
        (14, LostAtServers, Servers(100, Nat), &[[30.0, 160.0]], ALL),
        (15, Replied, Servers(100, Tun), &[], &[]),
        (16, Replied, Servers(100, Dr), &[], ALL),
        (17, Replied, Methods(1000), &[], ONE),
        (18, LostAtDirector, Methods(1000), &[], ONE),
        (19, LostAtServers, Methods(1000), &[], ONE),
        (20, Replied, Servers(1000, Nat), &[], ALL),
        (22, Replied, OwnLinks, &[], &[]),
        (23, Replied, Weighted, &[], &[]),
        (25, Replied, Uneven, &[], &[]),
        (27, Replied, Hierarchy, &[], &[]),
        (28, LostAtDirector, Hierarchy, &[], &[]),
        (29, LostAtServers, Hierarchy, &[], &[]),
        (30, LostAtDirector, Servers(100, Tun), &[], &[]),
        (31, LostAtServers, Servers(100, Tun), &[], &[]),
        (32, LostAtDirector, Servers(100, Dr), &[], ALL),
        (33, LostAtServers, Servers(100, Dr), &[], ALL),
        (34, LostAtDirector, Servers(1000, Nat), &[], ALL),
        (35, LostAtServers, Servers(1000, Nat), &[], ALL),
        (36, Replied, Servers(1000, Tun), &[], &[]),
        (37, LostAtDirector, Servers(1000, Tun), &[], &[]),
        (38, LostAtServers, Servers(1000, Tun), &[], &[]),
        (39, LostAtDirector, Servers(1000, Dr), &[], ALL),
        (40, LostAtServers, Servers(1000, Dr), &[], ALL),
        (41, LostAtDirector, OwnLinks, &[], &[]),
        (42, Received, Weighted, &[], &[]),
        (43, LostAtServers, Weighted, &[], &[]),
        (44, Received, Uneven, &[], &[]),
        (45, LostAtServers, Uneven, &[], &[]),
        (NO_FIGURE, Replied, Media, &[], &[]),
    ]
};

impl Curves {
    fn curves(self) -> Vec<Curve> {
        match self {
            Self::Methods(megabits) => methods(|method| topology_one(1, megabits, method)),
            Self::OwnLinks => methods(|method| LanSetup {
                topology: Topology::OwnLinks,
                ..topology_one(1, 1000, method)
            }),
            Self::Servers(megabits, method) => servers(megabits, method),
            Self::Hierarchy => hierarchy(),
            Self::Media => media(),
            Self::Weighted => pair(weighted("rr"), weighted("wrr")),
            Self::Uneven => pair(uneven("rr"), uneven("lc")),
        }
    }

    /// The numbers of clients; none for a figure over time.
    fn clients(self) -> &'static [u32] {
        match self {
            Self::Weighted | Self::Uneven => &[],
            _ if self.megabits() == 100 => FAST,
            _ => GIGABIT,
        }
    }

    fn megabits(self) -> u64 {
        match self {
            Self::Methods(megabits) | Self::Servers(megabits, _) => megabits,
            Self::OwnLinks | Self::Hierarchy | Self::Weighted => 1000,
            Self::Uneven | Self::Media => 100,
        }
    }

    /// What the title says of them.
    fn subject(self) -> String {
        match self {
            Self::Methods(megabits) => format!("one server, {megabits} Mb/s"),
            Self::OwnLinks => "servers with links of their own, 1000 Mb/s".to_owned(),
            Self::Servers(megabits, method) => {
                format!("{}, {megabits} Mb/s", format!("{method:?}").to_uppercase())
            }
            Self::Hierarchy => "hierarchy, 1000 Mb/s".to_owned(),
            Self::Media => "one server, shared segment and switch, 100 Mb/s".to_owned(),
            Self::Weighted => "RR and WRR over time".to_owned(),
            Self::Uneven => "RR and LC over time".to_owned(),
        }
    }
}

/// What the report says of a figure, in short.
fn says(number: u32) -> &'static str {
    match number {
        8 => "peak at 9,000/s, then falling; beyond 22,000/s steady: NAT 5,000, TUN and DR 4,000",
        9 => "none below 6,000/s; steep beyond 22,000/s; below that DR loses most, NAT least",
        10 => "no more is received beyond 22,000/s",
        11 => "grows to 22,000/s, then steady",
        12 => "4 servers reply most, then 8, 12 and 1; 12 servers at 30,000/s reply 8,500",
        13 => "12 servers at 30,000/s: 21,100 are lost",
        14 => "12 servers at 30,000/s: 160 are lost",
        15 | 16 => "8 servers are best, 12 are below 8",
        17 => "flat beyond 30,000/s",
        18 | 19 => "losses are still severe",
        20 => "1 server is best, and each further server makes it worse",
        22 => "TUN and DR are equal, NAT is higher",
        23 => "WRR is much better",
        25 => "LC is above RR all the time",
        27 => "the hierarchy is better",
        28 => "the hierarchy loses far less",
        29 => "the hierarchy loses slightly more",
        41 => "losses only at the director, no collisions",
        42 | 43 => "RR loses at server 1",
        44 => "RR gives server 1 all requests of odd number",
        30..=40 | 45 => "a figure of the appendix, without numbers in the text",
        _ => "nothing: its LAN is always a shared segment",
    }
}

fn title(quantity: Quantity, curves: Curves) -> String {
    format!("{}, {}", quantity.title(), curves.subject())
}

/// All figures that are drawn, in the order of their numbers.
pub(super) fn recipes() -> Vec<Recipe> {
    let recipe = |(number, quantity, curves, printed, oracle): &Row| Recipe {
        name: match *number {
            NO_FIGURE => "ns2-switch".to_owned(),
            number => format!("ns2-{number}"),
        },
        title: match *number {
            NO_FIGURE => format!("Not in the report: {}", title(*quantity, *curves)),
            number => format!("Figure {number}: {}", title(*quantity, *curves)),
        },
        says: says(*number),
        quantity: *quantity,
        megabits: curves.megabits(),
        clients: curves.clients(),
        curves: curves.curves(),
        by_server: curves.clients().is_empty() && *quantity != Quantity::Replied,
        printed,
        oracle,
    };
    FIGURES.iter().map(recipe).collect()
}
