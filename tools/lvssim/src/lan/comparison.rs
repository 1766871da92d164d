// SPDX-License-Identifier: GPL-2.0-only

//! The LAN model against ns-2 2.35 and the 2003 report: what `lvssim validate --ns2` checks.

use super::figures::Runs;
use super::oracle::{self, Range};
use super::recipes::{topology_one, uneven, weighted, Quantity};
use super::{run, LanSetup, Method, Topology};

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

fn setup(servers: u32, clients: u32, megabits: u64) -> LanSetup {
    LanSetup {
        clients,
        ..topology_one(servers, megabits, Method::Nat)
    }
}

fn with_seeds(setup: LanSetup, seeds: u64) -> impl Iterator<Item = LanSetup> {
    (1..=seeds).map(move |seed| LanSetup {
        seed,
        ..setup.clone()
    })
}

/// The median of seeds against ns-2's range, widened by 10 % (5 % up to nine clients, where less is
/// left to chance).
#[must_use]
pub fn compare(runs: &mut Runs, seeds: u64, progress: impl Fn() + Sync) -> Vec<Comparison> {
    let of_row = |row: &oracle::Row| setup(row.servers, row.clients, row.megabits);
    let setups = oracle::ROWS.iter().map(of_row);
    runs.make(setups.flat_map(|setup| with_seeds(setup, seeds)), progress);
    let mut all = vec![round_trip(1, Method::Nat, 0.006_891, 1e-6)];
    all.push(round_trip(6, Method::Nat, 0.007_233, 10e-6));
    all.push(round_trip(6, Method::Tun, 0.007_242, 10e-6));
    for row in oracle::ROWS.iter() {
        let slack = if row.clients <= 9 { 0.05 } else { 0.1 };
        let mut add = |what: &str, quantity, [low, _, high]: Range| {
            // A few packets more or less where hardly any are lost.
            let room = if high < 500.0 { 100.0 } else { 0.0 };
            let servers = match row.servers {
                1 => "1 server".to_owned(),
                count => format!("{count} servers"),
            };
            all.push(Comparison {
                name: format!(
                    "{} Mb/s, {servers}, {} clients: {what}",
                    row.megabits, row.clients
                ),
                wanted: [
                    (low * (1.0 - slack) - room).max(0.0),
                    high * (1.0 + slack) + room,
                ],
                got: runs.estimate(&of_row(row), quantity, seeds).median,
            });
        };
        add("replies", Quantity::Replied, row.replied);
        let lost = row.lost_at_director;
        add("lost at the director", Quantity::LostAtDirector, lost);
        let lost = row.lost_at_servers;
        add("lost at the servers", Quantity::LostAtServers, lost);
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
        name: format!(
            "{clients} client{}, {}: round trip, in microseconds",
            if clients == 1 { "" } else { "s" },
            format!("{method:?}").to_uppercase()
        ),
        wanted: [(wanted - within) * 1e6, (wanted + within) * 1e6],
        got: run(&setup).round_trip * 1e6,
    }
}

/// How many runs [`compare`] takes with so many seeds, and [`orders`] with 20, at most.
#[must_use]
pub fn count(seeds: u64) -> u64 {
    oracle::ROWS.len() as u64 * seeds + 24 * 20
}

/// What is larger than what: the gap between the 95 % intervals of so many seeds. It must be above
/// 0 for what the report claims and ns-2 confirms, and for what the documentation says against the
/// report. It must be below 0 where the report sees a difference that is none.
#[must_use]
pub fn orders(runs: &mut Runs, seeds: u64, progress: impl Fn() + Sync) -> Vec<Comparison> {
    use Quantity::{LostAtDirector, LostAtServers, Replied};
    let fast = |servers| setup(servers, 14, 100);
    let gigabit = |servers| setup(servers, 70, 1000);
    let tree = LanSetup {
        behind: 5,
        ..gigabit(3)
    };
    let method = |method, clients| LanSetup {
        method,
        ..setup(1, clients, 100)
    };
    let own_links = |clients| LanSetup {
        topology: Topology::OwnLinks,
        ..setup(1, clients, 1000)
    };
    let switched = LanSetup {
        switched: true,
        ..setup(1, 22, 100)
    };
    let orders = [
        (
            "22 clients: a switch replies more than a shared segment",
            Replied,
            switched,
            setup(1, 22, 100),
        ),
        (
            "figure 22: 70 clients get more replies than 50",
            Replied,
            own_links(70),
            own_links(50),
        ),
        (
            "figure 29: the flat one loses more at the servers",
            LostAtServers,
            gigabit(8),
            tree.clone(),
        ),
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
    // What the report says to differ and does not: the intervals overlap.
    let equals = [
        (
            "22 clients: NAT and TUN reply alike",
            method(Method::Nat, 22),
            method(Method::Tun, 22),
        ),
        (
            "30 clients: NAT and TUN reply alike",
            method(Method::Nat, 30),
            method(Method::Tun, 30),
        ),
        (
            "figure 25: LC and RR reply alike",
            uneven("lc"),
            uneven("rr"),
        ),
    ];
    let setups = orders
        .iter()
        .map(|(_, _, more, less)| (more, less))
        .chain(equals.iter().map(|(_, one, other)| (one, other)))
        .flat_map(|(one, other)| [one.clone(), other.clone()]);
    runs.make(setups.flat_map(|setup| with_seeds(setup, seeds)), progress);
    let of = |setup: &LanSetup, quantity| runs.estimate(setup, quantity, seeds);
    let ordered = orders
        .iter()
        .map(|(name, quantity, more, less)| Comparison {
            name: format!("{name} (gap between the intervals)"),
            wanted: [0.0, f64::INFINITY],
            got: of(more, *quantity).low() - of(less, *quantity).high(),
        });
    let equal = equals.iter().map(|(name, one, other)| {
        let [one, other] = [one, other].map(|setup| of(setup, Replied));
        Comparison {
            name: format!("{name} (gap between the intervals)"),
            wanted: [f64::NEG_INFINITY, 0.0],
            got: (one.low() - other.high()).max(other.low() - one.high()),
        }
    });
    ordered.chain(equal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_can_fail() {
        let comparison = |got| Comparison {
            name: String::new(),
            wanted: [1.0, 2.0],
            got,
        };
        assert!(comparison(1.5).holds());
        assert!(!comparison(0.9).holds() && !comparison(f64::NAN).holds());
    }
}
