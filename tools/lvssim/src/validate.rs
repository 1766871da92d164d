// SPDX-License-Identifier: GPL-2.0-only

//! The model against theory: what `lvssim validate` checks.

use rayon::prelude::*;
use serde::Serialize;

use lvs_core::scheduler::Options;

use crate::cluster::{self, Discipline, End, Outcome, ServerSetup, Setup};
use crate::engine::{Time, SECOND};
use crate::policy::{self, server_endpoint, Balancer, Clock, SimServer};
use crate::random::{Arrivals, Sizes};
use crate::theory;

/// A comparison of a result with what theory says.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was simulated, and which quantity.
    pub name: String,
    /// What theory says: a number, or the lowest and greatest that it allows.
    pub wanted: [f64; 2],
    /// What came out.
    pub got: f64,
    /// Half the width of the 99 % confidence interval; 0 where the result is exact.
    pub half_width: f64,
    /// How far the result may be off, as a share.
    pub tolerance: f64,
    /// Requests simulated.
    pub requests: u64,
}

impl Check {
    /// Whether theory and result agree: within the tolerance, and within the confidence interval.
    #[must_use]
    pub fn holds(&self) -> bool {
        let [low, high] = self.wanted;
        let allowed = |slack: f64| self.got >= low - slack && self.got <= high + slack;
        let within = allowed(self.tolerance * low.abs().max(high.abs()));
        // The interval is an estimate itself: a hundredth of the value is added to it, so that a
        // narrow one that is a hair's breadth off does not fail a right model.
        within && (self.half_width == 0.0 || allowed(self.half_width + 0.002 * high.abs()))
    }

    fn exact(name: impl Into<String>, wanted: [f64; 2], got: f64, tolerance: f64) -> Self {
        Self {
            name: name.into(),
            wanted,
            got,
            half_width: 0.0,
            tolerance,
            requests: 0,
        }
    }
}

/// The unit of service: small enough that a nanosecond does not matter.
const UNIT: f64 = 1e-3;

/// A simulated system of the theory.
struct Case {
    name: &'static str,
    setup: Setup,
    wanted: Wanted,
    tolerance: f64,
}

enum Wanted {
    Mean(f64),
    Between(f64, f64),
    P99(f64),
}

/// How much of their length all runs have: as much as the time limit of the quick check allows.
const LENGTH: f64 = 0.6;

/// Servers of one core, mean service of a unit, about so many million answers.
fn setup(scheduler: &str, servers: usize, rho: f64, sizes: Sizes, millions: f64) -> Setup {
    let answers = (millions * LENGTH * 1e6) as u64;
    let setup = Setup {
        seed: 20_261_125,
        scheduler: scheduler.to_owned(),
        servers: vec![ServerSetup::default(); servers],
        arrivals: Arrivals::Poisson,
        sizes,
        handshake: 0,
        end: End::Answered(answers),
        ..Setup::default()
    }
    .with_load(rho);
    // A fifth of the whole is warm-up.
    let warmup = (answers as f64 * 0.2 / setup.rate * 1e9) as Time;
    Setup { warmup, ..setup }
}

fn exponential() -> Sizes {
    Sizes::Exponential(UNIT)
}

/// One queue for so many servers.
fn pooled(servers: u32, rho: f64, millions: f64) -> Setup {
    let mut setup = setup("rr", 1, rho, exponential(), millions);
    setup.servers[0].cores = servers;
    setup.with_load(rho)
}

fn shared(sizes: Sizes, millions: f64) -> Setup {
    let mut setup = setup("rr", 1, 0.8, sizes, millions);
    setup.servers[0].discipline = Discipline::Shared;
    setup
}

fn cases() -> Vec<Case> {
    use Wanted::{Between, Mean, P99};
    let mut cases = Vec::new();
    let mut add = |name, setup, wanted, tolerance| {
        cases.push(Case {
            name,
            setup,
            wanted,
            tolerance,
        });
    };
    let one = |rho, millions| setup("rr", 1, rho, exponential(), millions);
    add(
        "M/M/1, rho 0.8",
        one(0.8, 8.0),
        Mean(theory::mm1(0.8)),
        0.01,
    );
    add(
        "M/M/1, rho 0.8: p99",
        one(0.8, 8.0),
        P99(100_f64.ln() / 0.2),
        0.02,
    );
    for (name, servers, rho, millions) in [
        ("M/M/2, rho 0.9", 2, 0.9, 20.0),
        ("M/M/4, rho 0.9", 4, 0.9, 8.0),
        ("M/M/8, rho 0.9", 8, 0.9, 6.0),
        ("M/M/16, rho 0.9", 16, 0.9, 6.0),
        ("M/M/2, rho 0.7", 2, 0.7, 2.0),
        ("M/M/4, rho 0.7", 4, 0.7, 2.0),
        ("M/M/8, rho 0.7", 8, 0.7, 2.0),
        ("M/M/16, rho 0.7", 16, 0.7, 2.0),
    ] {
        let wanted = Mean(theory::mmc(rho, servers));
        add(name, pooled(servers, rho, millions), wanted, 0.01);
    }
    let md1 = setup("rr", 1, 0.9, Sizes::Constant(UNIT), 10.0);
    add("M/D/1, rho 0.9", md1, Mean(theory::mg1(0.9, 0.0)), 0.01);
    let mg1 = setup("rr", 1, 0.8, Sizes::hyper(UNIT, 4.0), 12.0);
    add(
        "M/G/1, cv2 4, rho 0.8",
        mg1,
        Mean(theory::mg1(0.8, 4.0)),
        0.03,
    );
    let pareto = Sizes::pareto(UNIT, 1.5, 1e2);
    for (name, sizes) in [
        ("M/G/1-PS, rho 0.8, constant", Sizes::Constant(UNIT)),
        ("M/G/1-PS, rho 0.8, exponential", exponential()),
        ("M/G/1-PS, rho 0.8, Pareto 1.5", pareto),
    ] {
        add(name, shared(sizes, 3.0), Mean(theory::mm1(0.8)), 0.02);
    }
    for (name, servers, millions) in [
        ("rr, 2 servers (E2/M/1), rho 0.9", 2, 20.0),
        ("rr, 4 servers (E4/M/1), rho 0.9", 4, 12.0),
        ("rr, 10 servers (E10/M/1), rho 0.9", 10, 10.0),
        ("rr, 100 servers (E100/M/1), rho 0.9", 100, 10.0),
    ] {
        let wanted = Mean(theory::erlang_m1(0.9, servers));
        let setup = setup("rr", servers as usize, 0.9, exponential(), millions);
        add(name, setup, wanted, 0.01);
    }
    let split = setup("random", 10, 0.9, exponential(), 20.0);
    add(
        "random split, 10 servers, rho 0.9",
        split,
        Mean(theory::mm1(0.9)),
        0.01,
    );
    for (name, rho, millions, tolerance) in [
        ("twos, 1000 servers, rho 0.5", 0.5, 2.0, 0.01),
        ("twos, 1000 servers, rho 0.7", 0.7, 2.0, 0.01),
        ("twos, 1000 servers, rho 0.9", 0.9, 4.0, 0.01),
        ("twos, 1000 servers, rho 0.95", 0.95, 5.0, 0.01),
        ("twos, 1000 servers, rho 0.99", 0.99, 16.0, 0.02),
    ] {
        let setup = setup("twos", 1000, rho, exponential(), millions);
        add(name, setup, Mean(theory::two_choices(rho)), tolerance);
    }
    let two = setup("lc", 2, 0.9, exponential(), 10.0);
    let wanted = Mean(theory::shortest_of_two(0.9));
    add("lc, 2 servers, rho 0.9", two, wanted, 0.01);
    let ten = setup("lc", 10, 0.9, exponential(), 4.0);
    let wanted = Between(theory::mmc(0.9, 10), theory::two_choices(0.9));
    add("lc, 10 servers, rho 0.9", ten, wanted, 0.0);
    cases
}

/// The check of a case, and those that hold for every run.
fn examine(case: &Case) -> Vec<Check> {
    let outcome = cluster::run(&case.setup, 0);
    let mean = outcome.mean() / UNIT;
    let half_width = outcome.half_width(0.995) / UNIT;
    let (wanted, got, half_width) = match case.wanted {
        Wanted::Mean(value) => ([value; 2], mean, half_width),
        Wanted::Between(low, high) => ([low, high], mean, half_width),
        Wanted::P99(value) => ([value; 2], outcome.quantile(0.99) / UNIT, 0.0),
    };
    let main = Check {
        name: case.name.to_owned(),
        wanted,
        got,
        half_width,
        tolerance: case.tolerance,
        requests: outcome.arrived,
    };
    vec![
        main,
        little(case.name, &outcome),
        conserved(case.name, &outcome),
    ]
}

fn little(name: &str, outcome: &Outcome) -> Check {
    let (mean, by_rate) = outcome.little();
    Check::exact(format!("{name}: L = lambda W"), [by_rate; 2], mean, 0.005)
}

fn conserved(name: &str, outcome: &Outcome) -> Check {
    let accounted = (outcome.answered + outcome.lost + outcome.held) as f64;
    let name = format!("{name}: in = out + lost + held");
    Check::exact(name, [outcome.arrived as f64; 2], accounted, 0.0)
}

/// Shares of saturated servers with weights 4, 3 and 2.
fn shares(scheduler: &str, tolerance: f64) -> Vec<Check> {
    let weights = [4, 3, 2];
    let setup = Setup {
        scheduler: scheduler.to_owned(),
        servers: weights
            .iter()
            .map(|weight| ServerSetup {
                weight: *weight,
                speed: f64::from(*weight),
                ..ServerSetup::default()
            })
            .collect(),
        sizes: exponential(),
        end: End::At(20 * SECOND),
        ..Setup::default()
    }
    .with_load(1.3);
    let outcome = cluster::run(&setup, 0);
    let total: u64 = outcome.servers.iter().map(|server| server.assigned).sum();
    // The sequence may end within a cycle.
    let rest = if tolerance == 0.0 {
        4.0 / total as f64
    } else {
        0.0
    };
    weights
        .iter()
        .zip(&outcome.servers)
        .map(|(weight, server)| {
            let wanted = f64::from(*weight) / 9.0;
            let got = server.assigned as f64 / total as f64;
            let name = format!("{scheduler}, saturated: share of weight {weight} of 9");
            Check::exact(name, [wanted - rest, wanted + rest], got, tolerance)
        })
        .collect()
}

/// How many clients of 100,000 move when an eleventh server is added to ten, and how uneven the
/// servers' shares are.
fn hashing(name: &'static str, [least, moved]: [f64; 2]) -> Vec<Check> {
    let clock = Clock::default();
    let server = |number| SimServer::new(server_endpoint(number), 1, clock.clone());
    let Some(mut director) = policy::director(name, 1) else {
        return Vec::new();
    };
    director.add_all((0..10).map(server).collect());
    let choices = |director: &dyn Balancer| -> Vec<_> {
        let flow = |client| policy::flow(client, 1, 0, 0, Options::default());
        (0..100_000)
            .map(|client| director.select(&flow(client)))
            .collect()
    };
    let before = choices(&*director);
    director.add(server(10));
    let after = choices(&*director);
    let count = before.len() as f64;
    let moves = before
        .iter()
        .zip(&after)
        .filter(|(one, other)| one != other)
        .count() as f64;
    let mut shares = [0_u32; 10];
    for index in before.into_iter().flatten() {
        if let Some(share) = shares.get_mut(index) {
            *share += 1;
        }
    }
    let mean = count / 10.0;
    let most = f64::from(shares.into_iter().max().unwrap_or(0)) / mean;
    // Three standard deviations of the binomial distribution.
    let limit = 1.0 + 3.0 * (0.9 / mean).sqrt();
    vec![
        Check::exact(
            format!("{name}: clients that move to an eleventh server, or about"),
            [least, moved],
            moves / count,
            0.0,
        ),
        Check::exact(
            format!("{name}: greatest share by mean share"),
            [1.0, limit],
            most,
            0.0,
        ),
    ]
}

/// Runs all checks on all cores; `progress` is told of each that is done.
pub fn run(progress: impl Fn() + Sync) -> Vec<Check> {
    let mut cases = cases();
    // The longest first, so that both cores end together.
    let length = |case: &Case| match case.setup.end {
        End::Answered(count) => std::cmp::Reverse(count),
        End::At(_) => std::cmp::Reverse(0),
    };
    cases.sort_by_key(length);
    let mut checks: Vec<Check> = cases
        .par_iter()
        .with_max_len(1)
        .flat_map_iter(|case| {
            let checks = examine(case);
            progress();
            checks
        })
        .collect();
    checks.extend(shares("wrr", 0.0));
    checks.extend(shares("wlc", 0.01));
    // With the least possible churn, an eleventh of the clients move.
    let share = 1.0 / 11.0;
    checks.extend(hashing("mh", [share * 0.97, 0.115]));
    checks.extend(hashing("oneip", [share * 0.97, 0.094]));
    // Numbers have the same remainder by 10 and by 11 in one of eleven cases.
    checks.extend(hashing(
        "modulo",
        [(1.0 - share) * 0.99, (1.0 - share) * 1.01],
    ));
    checks
}

/// How many times [`run`] tells of its progress.
#[must_use]
pub fn count() -> usize {
    cases().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: f64, got: f64, half_width: f64, tolerance: f64) -> Check {
        Check {
            half_width,
            ..Check::exact("", [wanted; 2], got, tolerance)
        }
    }

    #[test]
    fn a_check_can_fail() {
        assert!(check(5.0, 5.04, 0.05, 0.01).holds());
        assert!(!check(5.0, 5.06, 0.05, 0.01).holds());
        assert!(!check(5.0, 5.06, 1.0, 0.01).holds());
        assert!(!check(5.0, 5.04, 0.01, 0.01).holds());
        assert!(!check(7.0, 8.0, 0.0, 0.0).holds());
    }

    #[test]
    fn a_wrong_model_is_found() {
        let right = Case {
            name: "M/M/1",
            setup: setup("rr", 1, 0.5, exponential(), 0.5),
            wanted: Wanted::Mean(2.0),
            tolerance: 0.01,
        };
        assert!(
            examine(&right).iter().all(Check::holds),
            "{:?}",
            examine(&right)
        );
        let wrong = Case {
            setup: setup("rr", 1, 0.55, exponential(), 0.5),
            ..right
        };
        assert!(!examine(&wrong)[0].holds());
    }
}
