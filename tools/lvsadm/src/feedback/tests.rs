// SPDX-License-Identifier: GPL-2.0-only

use std::io::Write;
use std::net::TcpListener;

use super::*;
use crate::client::memory::Memory;
use crate::names::Fixed;

const RULES: &str = "\
# as -S prints them
-A -t 192.0.2.1:80 -s rr
-a -t 192.0.2.1:80 -r 10.2.0.11:80 -m -w 100 --agent 127.0.0.1:5555
-a -t 192.0.2.1:80 -r 10.2.0.12:80 -m -w 50 --agent [::1]:5555
-a -t 192.0.2.1:80 -r 10.2.0.13:80 -m -w 7
";

fn prepared() -> (Memory, Vec<Watched>) {
    let mut director = Memory::default();
    let lines = RULES
        .lines()
        .map(|line| line.split(" --agent").next().unwrap());
    let rules = lines.collect::<Vec<_>>().join("\n");
    for rule in restore::parse(&rules, &Fixed).unwrap() {
        director.change(&rule.change).unwrap();
    }
    (director, read(RULES, &Fixed).unwrap())
}

fn weights(director: &Memory) -> Vec<u32> {
    let servers = &director.groups[0].destinations;
    servers
        .iter()
        .map(|entry| entry.destination.weight)
        .collect()
}

#[test]
fn rules_with_an_agent_are_watched() {
    let (_, watched) = prepared();
    let bases: Vec<_> = watched
        .iter()
        .map(|one| (one.base, one.agent.port()))
        .collect();
    assert_eq!(bases, [(100, 5555), (50, 5555)]);
    for (rules, why) in [
        (
            "-a -t 192.0.2.1:80 -r 10.2.0.11 -m --agent",
            "line 1: --agent",
        ),
        (
            "-a -t 192.0.2.1:80 -r 10.2.0.11 -m --agent host:1",
            "line 1: --agent",
        ),
        (
            "\n-A -t 192.0.2.1:80 --agent 10.2.0.11:1",
            "line 2: --agent is for rules",
        ),
        (
            "-a -t 192.0.2.1:80 -r 10.2.0.11 -w x --agent 10.2.0.11:1",
            "line 1",
        ),
        ("-A -t 192.0.2.1:80", "no rule has an agent"),
    ] {
        let error = read(rules, &Fixed).unwrap_err().to_string();
        assert!(error.contains(why), "{rules}: {error}");
    }
}

#[test]
fn weights_follow_reports_and_nothing_else_changes() {
    let (mut director, mut watched) = prepared();
    let lines = follow(
        &mut director,
        &mut watched,
        &[Report::Percent(10), Report::Drain],
    )
    .unwrap();
    assert_eq!(weights(&director), [80, 0, 7]);
    assert_eq!(
        lines,
        [
            "TCP 192.0.2.1:80 10.2.0.11:80: weight 100 -> 80 (10 %)",
            "TCP 192.0.2.1:80 10.2.0.12:80: weight 50 -> 0 (drain)",
        ]
    );
    let lines = follow(
        &mut director,
        &mut watched,
        &[Report::Silence, Report::Percent(100)],
    )
    .unwrap();
    assert_eq!((weights(&director), lines.len()), (vec![80, 50, 7], 1));
}

#[test]
fn a_server_that_somebody_quiesced_or_deleted_stays_so() {
    let (mut director, mut watched) = prepared();
    let reports = [Report::Percent(50); 2];
    follow(&mut director, &mut watched, &reports).unwrap();
    director.groups[0].destinations[0].destination.weight = 0;
    let deleted = director.groups[0].destinations.remove(1);
    for _ in 0..5 {
        follow(&mut director, &mut watched, &reports).unwrap();
        assert_eq!(weights(&director), [0, 7]);
    }
    director.groups[0].destinations[0].destination.weight = 100;
    director.groups[0].destinations.push(deleted);
    follow(&mut director, &mut watched, &reports).unwrap();
    assert_eq!(weights(&director)[0], 80);
}

#[test]
fn after_a_restart_the_weight_goes_on_from_where_it_was() {
    let (mut director, _) = prepared();
    director.groups[0].destinations[0].destination.weight = 60;
    let mut watched = read(RULES, &Fixed).unwrap();
    follow(
        &mut director,
        &mut watched,
        &[Report::Percent(60), Report::Silence],
    )
    .unwrap();
    assert_eq!(weights(&director), [60, 50, 7]);
}

#[test]
fn an_agent_that_hangs_or_floods_is_silent_and_delays_nobody() {
    let listeners: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let (_, watched) = prepared();
    let watched: Vec<_> = listeners
        .iter()
        .map(|listener| Watched {
            agent: listener.local_addr().unwrap(),
            ..watched[0].clone()
        })
        .collect();
    let threads: Vec<_> = listeners
        .into_iter()
        .zip([&b"75%\n"[..], b"", &[b'9'; 1 << 20]])
        .map(|(listener, answer)| {
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Fails when the other side has read enough.
                stream.write_all(answer).ok();
                if answer.is_empty() {
                    std::thread::sleep(Duration::from_secs(2));
                }
            })
        })
        .collect();
    let began = Instant::now();
    let reports = ask_all(&watched, Duration::from_millis(500));
    assert_eq!(
        reports,
        [Report::Percent(75), Report::Silence, Report::Silence]
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn exit_statuses_are_those_of_keepalived() {
    for (report, base, status) in [
        (Report::Silence, 100, 0),
        (Report::Drain, 100, 2),
        (Report::Percent(50), 100, 52),
        (Report::Percent(256), 200, 255),
        (Report::Percent(1), 10, 3),
        (Report::Percent(1), 0, 2),
    ] {
        assert_eq!(exit_status(report, base), status, "{report:?} {base}");
    }
}

#[test]
fn a_load_average_counts_for_all_processors() {
    assert_eq!(agent::percent(2.0, 4), 50);
    assert_eq!(agent::percent(0.0, 0), 0);
    assert_eq!(agent::percent(f64::NAN, 1), 0);
}
