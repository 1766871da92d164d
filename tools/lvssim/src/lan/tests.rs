// SPDX-License-Identifier: GPL-2.0-only

use super::*;

fn clients(clients: u32) -> LanSetup {
    LanSetup {
        clients,
        ..LanSetup::default()
    }
}

#[test]
fn one_client_has_the_reports_round_trip() {
    for scheduler in ["rr", "wrr", "lc", "wlc"] {
        let setup = LanSetup {
            servers: 200,
            scheduler,
            ..clients(1)
        };
        let outcome = run(&setup);
        assert!(
            (outcome.round_trip - 0.006_891).abs() < 1e-6,
            "{}",
            outcome.round_trip
        );
        assert_eq!(outcome.replied.round() as u32, 1000);
    }
}

#[test]
fn six_clients_in_phase_have_it_too() {
    for (method, wanted) in [(Method::Nat, 0.007_233), (Method::Tun, 0.007_242)] {
        let outcome = run(&LanSetup {
            method,
            ..clients(6)
        });
        assert!(
            (outcome.round_trip - wanted).abs() < 10e-6,
            "{method:?}: {}",
            outcome.round_trip
        );
    }
}

#[test]
fn nothing_is_lost_below_nine_clients() {
    for count in 1..=8 {
        let outcome = run(&clients(count));
        assert!(
            (outcome.replied - 1000.0 * f64::from(count)).abs() < 20.0,
            "{outcome:?}"
        );
        assert_eq!(outcome.lost_at_director + outcome.lost_at_servers, 0.0);
    }
}

#[test]
fn a_switch_carries_what_a_shared_segment_cannot() {
    let switched = |count| LanSetup {
        switched: true,
        ..clients(count)
    };
    let outcome = run(&switched(22));
    assert!((outcome.replied - 22_000.0).abs() < 50.0, "{outcome:?}");
    assert_eq!(outcome.lost_at_director + outcome.lost_at_servers, 0.0);
    // 514 octets at 100 Mb/s: 24,319 frames a second, and no fall beyond that.
    let outcome = run(&switched(40));
    assert!((outcome.replied - 24_319.0).abs() < 100.0, "{outcome:?}");
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let [one, same] = [(), ()].map(|()| run(&clients(12)));
    assert_eq!(one, same);
    assert_ne!(
        one,
        run(&LanSetup {
            seed: 2,
            ..clients(12)
        })
    );
}
