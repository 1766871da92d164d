// SPDX-License-Identifier: GPL-2.0-only

use super::*;
use crate::engine::SECOND;
use crate::random::{Arrivals, Clients, Sizes};

fn servers(count: usize) -> Vec<ServerSetup> {
    vec![ServerSetup::default(); count]
}

/// Ten servers of one core, requests of 10 ms, 100 s.
fn base(scheduler: &str) -> Setup {
    Setup {
        scheduler: scheduler.to_owned(),
        servers: servers(10),
        sizes: Sizes::Exponential(0.01),
        end: End::At(100 * SECOND),
        ..Setup::default()
    }
    .with_load(0.8)
}

#[test]
fn every_request_is_answered_lost_or_held_with_every_scheduler() {
    for name in policy::names() {
        let setup = Setup {
            clients: Clients::Zipf(5000, 1.0),
            ..base(name)
        };
        let outcome = run(&setup, 0);
        assert!(outcome.is_conserved(), "{name}: {outcome:?}");
        assert!(outcome.arrived > 75_000, "{name}: {}", outcome.arrived);
    }
}

#[test]
fn a_run_depends_on_its_seed_and_replication_alone() {
    let sum = |seed, replication| {
        run(
            &Setup {
                seed,
                ..base("twos")
            },
            replication,
        )
        .sum
    };
    assert_eq!(sum(1, 0).to_bits(), sum(1, 0).to_bits());
    assert_ne!(sum(1, 0).to_bits(), sum(1, 1).to_bits());
    assert_ne!(sum(1, 0).to_bits(), sum(2, 0).to_bits());
}

#[test]
fn schedulers_see_the_same_arrivals_and_sizes() {
    let [one, other] = ["rr", "wlc"].map(|name| run(&base(name), 3));
    assert_eq!(one.arrived, other.arrived);
    let busy = |outcome: &Outcome| {
        outcome
            .servers
            .iter()
            .map(|server| server.busy)
            .sum::<u64>()
    };
    let ratio = busy(&one) as f64 / busy(&other) as f64;
    assert!((ratio - 1.0).abs() < 0.001, "{ratio}");
}

#[test]
fn deterministic_requests_on_deterministic_servers_take_their_time() {
    for discipline in [Discipline::Fifo, Discipline::Shared] {
        let setup = Setup {
            servers: vec![
                ServerSetup {
                    discipline,
                    ..ServerSetup::default()
                };
                2
            ],
            arrivals: Arrivals::Deterministic,
            sizes: Sizes::Constant(0.01),
            ..base("rr")
        }
        .with_load(0.5);
        let outcome = run(&setup, 0);
        assert!(
            (outcome.mean() - 0.01).abs() < 1e-6,
            "{discipline:?}: {}",
            outcome.mean()
        );
    }
}

#[test]
fn sharing_servers_slow_everybody_down_alike() {
    // Two requests of 10 ms at once on one core: both are done after 20 ms.
    let setup = Setup {
        servers: vec![ServerSetup {
            discipline: Discipline::Shared,
            ..ServerSetup::default()
        }],
        arrivals: Arrivals::Renewal(Sizes::Bimodal(1e-9, 2.0, 0.5)),
        sizes: Sizes::Constant(0.01),
        rate: 1.0,
        ..base("rr")
    };
    let outcome = run(&setup, 0);
    assert!(outcome.is_conserved());
    assert!(outcome.mean() > 0.0105, "{}", outcome.mean());
}

#[test]
fn a_crash_loses_what_the_server_had_and_what_comes_until_it_is_noticed() {
    let crash = |detected_after| {
        let fault = Fault {
            at: 50 * SECOND,
            server: 2,
            kind: Kind::Crash,
            repair: Some(20 * SECOND),
            detected_after,
        };
        run(
            &Setup {
                faults: vec![fault],
                ..base("rr")
            },
            0,
        )
    };
    let [noticed, unnoticed] = [Some(5 * SECOND), None].map(crash);
    // 80 requests a second for the server.
    assert!((350..450).contains(&noticed.dropped), "{}", noticed.dropped);
    assert!(
        (1500..1700).contains(&unnoticed.dropped),
        "{}",
        unnoticed.dropped
    );
    assert!(
        noticed.broken > 0 && noticed.broken < 50,
        "{}",
        noticed.broken
    );
    assert!(noticed.is_conserved() && unnoticed.is_conserved());
}

#[test]
fn repeated_syns_save_requests_from_a_crash() {
    let fault = Fault {
        at: 50 * SECOND,
        server: 2,
        kind: Kind::Crash,
        repair: Some(20 * SECOND),
        detected_after: Some(SECOND / 2),
    };
    let patience = Patience {
        repeats: true,
        ..Patience::default()
    };
    let outcome = run(
        &Setup {
            faults: vec![fault],
            patience,
            ..base("rr")
        },
        0,
    );
    assert_eq!(outcome.dropped, 0);
    assert!(outcome.repeats > 20, "{}", outcome.repeats);
    assert!(outcome.is_conserved());
}

#[test]
fn impatient_clients_cost_servers_work_that_nobody_wants() {
    let patience = Patience {
        repeats: false,
        timeout: Some(SECOND / 20),
        attempts: 3,
    };
    let setup = Setup {
        patience,
        ..base("rr")
    }
    .with_load(0.9);
    let outcome = run(&setup, 0);
    assert!(outcome.wasted > 1000, "{}", outcome.wasted);
    assert!(outcome.again >= outcome.wasted);
    assert!(outcome.is_conserved());
}

#[test]
fn a_hanging_server_attracts_nobody_who_counts_connections() {
    let fault = Fault {
        at: 10 * SECOND,
        server: 0,
        kind: Kind::Hang,
        repair: None,
        detected_after: None,
    };
    let [blind, counting] = ["rr", "lc"].map(|name| {
        run(
            &Setup {
                faults: vec![fault],
                ..base(name)
            },
            0,
        )
        .held
    });
    assert!(blind > 10 * counting, "{blind} {counting}");
}

#[test]
fn a_director_with_the_table_breaks_nothing_and_one_without_breaks_most() {
    let fail = |name: &str, state| {
        let fault = Fault {
            at: 50 * SECOND,
            server: 0,
            kind: Kind::Director(state),
            repair: None,
            detected_after: Some(0),
        };
        run(
            &Setup {
                faults: vec![fault],
                ..base(name)
            },
            0,
        )
        .broken
    };
    assert_eq!(fail("rr", true), 0);
    assert!(fail("rr", false) > 5, "{}", fail("rr", false));
    assert_eq!(fail("oneip", false), 0);
}

#[test]
fn sessions_stay_with_persistence_and_move_without() {
    let with = |persistence| {
        let setup = Setup {
            persistence,
            session: Some(Session {
                requests: 10.0,
                think: Sizes::Exponential(1.0),
            }),
            ..base("rr")
        };
        let outcome = run(&setup.with_load(0.5), 0);
        assert!(outcome.is_conserved());
        outcome.moved as f64 / outcome.followed as f64
    };
    assert!(with(0) > 0.8);
    assert!(with(60 * SECOND) < 0.001);
}

#[test]
fn a_newcomer_is_rushed_by_least_connection_unless_it_starts_slowly() {
    let join = |ramp| {
        let fault = Fault {
            at: 50 * SECOND,
            server: 9,
            kind: Kind::Join(ramp),
            repair: None,
            detected_after: None,
        };
        let setup = Setup {
            faults: vec![fault],
            servers: vec![
                ServerSetup {
                    weight: 10,
                    ..ServerSetup::default()
                };
                10
            ],
            series: Some(SECOND / 10),
            ..base("wlc")
        };
        let outcome = run(&setup.with_load(0.85), 0);
        outcome.series[500].assigned[9]
    };
    assert!(
        join(0) > join(20 * SECOND),
        "{} {}",
        join(0),
        join(20 * SECOND)
    );
}

#[test]
fn stale_reports_make_herds() {
    let mean = |view| run(&Setup { view, ..base("lc") }.with_load(0.7), 0).mean();
    let fresh = mean(View::Exact);
    let stale = mean(View::Snapshot {
        period: SECOND,
        loss: 0.0,
        own: false,
    });
    let own = mean(View::Snapshot {
        period: SECOND,
        loss: 0.0,
        own: true,
    });
    let delayed = mean(View::Delayed { age: SECOND });
    assert!(stale > 5.0 * fresh, "{stale} {fresh}");
    assert!(delayed > 2.0 * fresh, "{delayed} {fresh}");
    assert!(own < stale / 3.0, "{own} {stale}");
}

#[test]
fn lingering_connections_are_inactive() {
    let setup = Setup {
        linger: 10 * SECOND,
        ..base("lc")
    };
    assert!(run(&setup, 0).is_conserved());
}

#[test]
fn recovery_takes_as_long_as_the_fault_is_felt() {
    let recovery = |name: &str, repair| {
        let fault = Fault {
            at: 40 * SECOND,
            server: 0,
            kind: Kind::Slow(20.0),
            repair: Some(repair * SECOND),
            detected_after: None,
        };
        let setup = Setup {
            faults: vec![fault],
            series: Some(2 * SECOND),
            ..base(name)
        };
        run(&setup.with_load(0.5), 0).recovery()
    };
    let [short, long] = [5, 20].map(|repair| recovery("rr", repair));
    assert!((5.0..20.0).contains(&short), "{short}");
    assert!(long > 20.0, "{long}");
    let without = Setup {
        series: Some(2 * SECOND),
        ..base("rr")
    };
    assert_eq!(run(&without, 0).recovery(), 0.0);
}

/// Ten servers with weight 100, three of which become half as fast after 10 s. Counts start 60
/// periods of feedback later, and last as long. Reports are `age` periods late.
fn fed(period: Time, age: u32, feeds: bool) -> Outcome {
    let slow = |server| Fault {
        at: 10 * SECOND,
        server,
        kind: Kind::Slow(2.2),
        repair: None,
        detected_after: None,
    };
    let weighted = ServerSetup {
        weight: 100,
        ..ServerSetup::default()
    };
    let setup = Setup {
        servers: vec![weighted; 10],
        faults: (0..3).map(slow).collect(),
        warmup: (10 + 60 * period) * SECOND,
        end: End::At((10 + 120 * period) * SECOND),
        feedback: feeds.then_some(Feedback {
            period: period * SECOND,
            age,
            reference: 50,
        }),
        ..base("wrr")
    };
    run(&setup.with_load(0.5), 0)
}

/// Reports in time, and very late ones.
const REPORTS: [(Time, u32); 6] = [(1, 0), (2, 0), (2, 2), (2, 5), (5, 0), (5, 5)];

#[test]
fn feedback_relieves_servers_that_are_slower_than_their_weights_say() {
    for (period, age) in REPORTS {
        let [without, with] = [false, true].map(|feeds| fed(period, age, feeds));
        assert!(with.is_conserved());
        let gain = without.mean() / with.mean();
        assert!(gain > 5.0, "{period} s, {age} periods late: {gain}");
    }
}

#[test]
fn weights_from_feedback_settle() {
    for (period, age) in REPORTS {
        // Loads of a period are random, too. Very late reports make weights swing, but slow servers
        // never get the weights of the others.
        let (most_swing, slow, others) = match age {
            0..=2 => (0.4, 30..70, 75..101),
            _ => (0.8, 10..90, 60..110),
        };
        for (index, server) in fed(period, age, true).servers.iter().enumerate() {
            let (least, greatest) = server.weights;
            let case = format!("{period} s, {age} late, server {index}: {least} to {greatest}");
            let swing = f64::from(greatest - least) / f64::from(greatest);
            assert!(swing < most_swing, "{case}");
            let expected = if index < 3 { &slow } else { &others };
            let inside = [least, greatest]
                .iter()
                .all(|weight| expected.contains(weight));
            assert!(inside, "{case}");
        }
    }
}
