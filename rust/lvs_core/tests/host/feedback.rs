// SPDX-License-Identifier: GPL-2.0-only

//! Weights from reported loads: the law is stable, and a report moves nothing but its own server.

use lvs_core::feedback::{read, wanted, Controlled, Limits, Report, LONGEST};
use proptest::prelude::*;

#[test]
fn answers_of_agents() {
    for (answer, wanted) in [
        (&b"75%\n"[..], Report::Percent(75)),
        (b"up 50%\n", Report::Percent(50)),
        (b"50%,up\r\n", Report::Percent(50)),
        (b"ready\n", Report::Percent(100)),
        (b"drain\n", Report::Drain),
        (b"0%\n", Report::Drain),
        (b"down#overloaded\n", Report::Drain),
        (b"maint 80%\n", Report::Drain),
        (b"999%\n", Report::Silence),
        (b"-5%\n", Report::Silence),
        (b"75%", Report::Silence),
        (b"hello\n", Report::Silence),
        (b"\n", Report::Silence),
        (b"", Report::Silence),
        (b"\xff\xfe 75%\n", Report::Silence),
    ] {
        assert_eq!(
            read(answer),
            wanted,
            "{:?}",
            String::from_utf8_lossy(answer)
        );
    }
    let mut long = vec![b' '; LONGEST];
    long.extend(b"75%\n");
    assert_eq!(read(&long), Report::Silence);
}

/// The weights after so many equal reports.
fn after(base: u32, report: Report, periods: usize) -> Vec<u32> {
    let mut server = Controlled::new(base);
    (0..periods)
        .map(|_| server.next(report, &Limits::default()))
        .collect()
}

#[test]
fn a_weight_follows_reports_in_small_steps() {
    assert_eq!(after(100, Report::Percent(50), 4), [80, 64, 56, 56]);
    assert_eq!(after(100, Report::Percent(150), 2), [120, 138]);
    assert_eq!(after(100, Report::Percent(1), 40).last(), Some(&11));
    assert_eq!(after(100, Report::Percent(256), 40).last(), Some(&194));
    assert_eq!(after(1, Report::Percent(1), 9), [1; 9]);
    assert_eq!(after(0, Report::Percent(200), 9), [0; 9]);
}

#[test]
fn silence_keeps_the_weight_and_then_returns_to_the_base_weight() {
    let mut server = Controlled::new(100);
    let limits = Limits::default();
    for _ in 0..20 {
        server.next(Report::Percent(50), &limits);
    }
    let low = server.weight();
    let quiet: Vec<u32> = (0..20)
        .map(|_| server.next(Report::Silence, &limits))
        .collect();
    assert_eq!(quiet[..2], [low; 2]);
    assert!(quiet[2] > low, "{quiet:?}");
    assert_eq!(quiet.last(), Some(&100), "{quiet:?}");
}

#[test]
fn a_drained_server_comes_back_with_the_weight_that_it_had() {
    let mut server = Controlled::new(100);
    let limits = Limits::default();
    assert_eq!(server.next(Report::Drain, &limits), 0);
    assert_eq!(server.next(Report::Silence, &limits), 0);
    assert_eq!(server.next(Report::Percent(100), &limits), 100);
}

proptest! {
    #[test]
    fn no_answer_of_an_agent_is_too_much(answer: Vec<u8>) {
        if let Report::Percent(value) = read(&answer) {
            prop_assert!((1..=256).contains(&value));
        }
    }

    #[test]
    fn weights_stay_in_their_range(
        base in 0_u32..100_000,
        reports in prop::collection::vec(prop_oneof![
            any::<u32>().prop_map(Report::Percent),
            Just(Report::Drain),
            Just(Report::Silence),
        ], 1..60),
    ) {
        let mut server = Controlled::new(base);
        for report in reports {
            let before = server.weight();
            let weight = server.next(report, &Limits::default());
            prop_assert!(weight <= base.saturating_mul(2).max(u32::from(base > 0)));
            prop_assert!(weight == 0 || before == 0 || weight <= before + (before / 5 + 1).max(1));
        }
    }

    /// The server's load follows its weight and a demand that changes in a step. The report is up
    /// to five periods old.
    #[test]
    fn late_reports_do_not_make_weights_swing(
        delay in 0_usize..6,
        demand in 20_u32..300,
        other in 20_u32..300,
    ) {
        let settled = if delay < 3 { 20 } else { 60 };
        let mut server = Controlled::new(1000);
        let weights = periods(&mut server, delay, demand, 120);
        prop_assert!(swing(&weights[settled..]) < 0.1, "{delay} {demand}: {weights:?}");
        let weights = periods(&mut server, delay, other, 160);
        prop_assert!(swing(&weights[120..]) < 0.15, "{delay} {demand} {other}: {weights:?}");
    }
}

/// The weights in so many periods. The agent wants less weight the busier its server is.
fn periods(server: &mut Controlled, delay: usize, demand: u32, periods: usize) -> Vec<u32> {
    let report = |weight: u32| {
        let load = (demand * weight / 1000).min(100);
        Report::Percent(200_u32.saturating_sub(load * 3 / 2).max(1))
    };
    let mut reports = vec![report(server.weight()); delay];
    let mut weights = Vec::new();
    for _ in 0..periods {
        reports.push(report(server.weight()));
        weights.push(server.next(reports.remove(0), &Limits::default()));
    }
    weights
}

/// The difference between the greatest and the least weight, by the greatest.
fn swing(weights: &[u32]) -> f64 {
    let (least, greatest) = (weights.iter().min().unwrap(), weights.iter().max().unwrap());
    f64::from(greatest - least) / f64::from(*greatest)
}

#[test]
fn at_the_reference_load_a_server_has_its_base_weight() {
    for (load, reference, percent) in [
        (50, 50, 100),
        (0, 50, 200),
        (75, 50, 50),
        (100, 50, 1),
        (500, 50, 1),
        (0, 90, 256),
        (99, 100, 100),
    ] {
        assert_eq!(wanted(load, reference), percent, "{load} {reference}");
    }
}
