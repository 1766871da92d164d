// SPDX-License-Identifier: GPL-2.0-only

//! Scenario files, right and wrong.

use super::*;
use crate::cluster::End;

const GOOD: &str = r#"
title = "ten servers"
[run]
seed = 7
replications = 3
until = "20 s"
[service]
scheduler = "wlc"
[[servers]]
count = 10
[workload]
load = 0.8
size = { exponential = { mean = "10 ms" } }
"#;

fn error(change: impl Fn(&str) -> String) -> String {
    Scenario::parse("bad.toml", &change(GOOD))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_scenario_becomes_a_setup() {
    let scenario = Scenario::parse("good.toml", GOOD).unwrap();
    assert_eq!((scenario.replications, scenario.points.len()), (3, 1));
    let setup = &scenario.points[0].setup;
    assert_eq!(setup.servers.len(), 10);
    assert!((setup.rate - 800.0).abs() < 1e-6, "{}", setup.rate);
    assert_eq!((setup.seed, setup.warmup), (7, 2_000_000_000));
}

#[test]
fn the_cost_of_a_new_connection_is_a_time_or_what_was_measured() {
    let cost = |value: &str| {
        let service = format!("scheduler = \"wlc\"\ncost = \"{value}\"");
        let text = GOOD.replace("scheduler = \"wlc\"", &service);
        Scenario::parse("good.toml", &text).map(|scenario| scenario.points[0].setup.cost)
    };
    assert_eq!(cost("2 us").unwrap(), 2000);
    assert_eq!(cost("measured").unwrap(), 1196);
    let error = cost("-1 us").unwrap_err().to_string();
    assert!(error.contains("neither a time such as \"2 us\" nor \"measured\""));
    assert!(error.contains("good.toml:9"), "{error}");
}

#[test]
fn a_sweep_is_every_combination() {
    let text = format!(
        "{GOOD}\n[sweep]\nworkload.load = [0.5, 0.9]\nservice.scheduler = [\"rr\", \"lc\"]\n"
    );
    let scenario = Scenario::parse("good.toml", &text).unwrap();
    let names: Vec<_> = scenario
        .points
        .iter()
        .map(|point| {
            (
                point.setup.scheduler.clone(),
                point.setup.rate.round() as u32,
            )
        })
        .collect();
    assert_eq!(scenario.points.len(), 4);
    for wanted in [("rr", 500), ("lc", 500), ("rr", 900), ("lc", 900)] {
        assert!(
            names.contains(&(wanted.0.to_owned(), wanted.1)),
            "{names:?}"
        );
    }
}

#[test]
fn mistakes_are_shown_with_file_line_and_what_would_be_right() {
    let unknown = error(|text| text.replace("seed", "sead"));
    assert!(unknown.contains("unknown field `sead`"), "{unknown}");
    assert!(unknown.contains("bad.toml:4:1"), "{unknown}");
    assert!(unknown.contains("`seed`"), "{unknown}");

    let negative = error(|text| text.replace("load = 0.8", "rate = -3"));
    assert!(
        negative.contains("-3 is out of range; it must be above 0"),
        "{negative}"
    );
    assert!(negative.contains("bad.toml:12:8"), "{negative}");

    let scheduler = error(|text| text.replace("\"wlc\"", "\"wcl\""));
    assert!(
        scheduler.contains("no scheduler `wcl`; did you mean `wlc`?"),
        "{scheduler}"
    );
    assert!(scheduler.contains("bad.toml:8:13"), "{scheduler}");

    let unit = error(|text| text.replace("10 ms", "10 parsecs"));
    assert!(unit.contains("`10 parsecs` is not a time"), "{unit}");
    assert!(unit.contains("\"10 ms\""), "{unit}");

    let both = error(|text| text.replace("load = 0.8", "load = 0.8\nrate = 5"));
    assert!(both.contains("bad.toml:13"), "{both}");

    let short = error(|text| text.replace("seed = 7", "warmup = \"30 s\""));
    assert!(short.contains("the run ends before its warm-up"), "{short}");
}

#[test]
fn mistakes_in_faults_and_sweeps_are_found() {
    let fault = "\n[[faults]]\nat = \"1 s\"\nserver = 10\nkind = \"crash\"\n";
    let far = error(|text| format!("{text}{fault}"));
    assert!(
        far.contains("no server 10; they are numbered from 0 to 9"),
        "{far}"
    );
    let sweep = error(|text| format!("{text}\n[sweep]\nworkload.load = [0.5, -1.0]\n"));
    assert!(
        sweep.contains("with workload.load = -1.0: -1 is out of range"),
        "{sweep}"
    );
    let list = error(|text| format!("{text}\n[sweep]\nworkload.load = 0.5\n"));
    assert!(list.contains("must be a list of values"), "{list}");
    let key = error(|text| format!("{text}\n[sweep]\nworkload.laod = [0.5]\n"));
    assert!(key.contains("unknown field `laod`"), "{key}");
}

#[test]
fn mistakes_in_figures_are_shown_with_their_line() {
    let sweep = "[sweep]\nworkload.load = [0.5]\n";
    let figure = "[figure]\nx = \"workload.load\"\nx-label = \"\"\ny = \"p99\"\ny-label = \"\"\n\
                  answer = \"\"\n";
    let with = |text: &str, figure: &str| format!("{text}{sweep}{figure}");
    Scenario::parse("good.toml", &with(GOOD, figure)).unwrap();

    let quantity = error(|text| with(text, &figure.replace("p99", "p98")));
    assert!(
        quantity.contains("no quantity `p98`; did you mean `p9"),
        "{quantity}"
    );
    assert!(quantity.contains("bad.toml:19:5"), "{quantity}");

    let axis = error(|text| with(text, &figure.replace("workload.load", "load")));
    assert!(
        axis.contains("the sweep has no key `load`; its keys are workload.load"),
        "{axis}"
    );
    assert!(axis.contains("bad.toml:17:5"), "{axis}");

    let series = "series = \"service.scheduler\"\n";
    let curves = error(|text| with(text, &format!("{figure}{series}")));
    assert!(curves.contains("no key `service.scheduler`"), "{curves}");

    let alone = error(|text| format!("{text}{figure}"));
    assert!(alone.contains("a figure needs a [sweep]"), "{alone}");
}

#[test]
fn a_trace_says_when_requests_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let traced = |load: &str| {
        let arrivals = "arrivals = { trace = { file = \"log.csv\" } }";
        GOOD.replace("load = 0.8", &format!("{load}\n{arrivals}"))
    };
    let scenario = file("trace.toml", &traced(""));
    let parse = |text: &str| Scenario::parse(&scenario, text);

    let missing = parse(&traced("")).unwrap_err().to_string();
    assert!(missing.contains("log.csv: No such file"), "{missing}");
    assert!(missing.contains("trace.toml:13:"), "{missing}");

    file(
        "log.csv",
        "1.0,192.0.2.7,12 ms\n1.5,192.0.2.8\nsoon,192.0.2.9\n",
    );
    let wrong = parse(&traced("")).unwrap_err().to_string();
    assert!(
        wrong.contains("log.csv:3: `soon` is not a number of seconds"),
        "{wrong}"
    );

    file(
        "log.csv",
        "3.0,192.0.2.7,12 ms\n3.0,192.0.2.8\n4.0,192.0.2.9,1 s\n",
    );
    let rate = parse(&traced("rate = 3")).unwrap_err().to_string();
    assert!(rate.contains("leave out `load` and `rate`"), "{rate}");
    let scenario = parse(&traced("")).unwrap();
    let outcome = crate::cluster::run(&scenario.points[0].setup, 0);
    assert_eq!((outcome.arrived, outcome.count()), (3, 3));
    // The histogram has three digits.
    assert!((outcome.times.max() as f64 / 1e9 - 1.0).abs() < 0.001);
}

#[test]
fn a_run_may_end_when_an_interval_is_narrow() {
    let text = GOOD.replace(
        "until = \"20 s\"",
        "until = { length = \"20 s\", ci = 0.02, of = \"p99\" }\nwarmup = \"mser-5\"",
    );
    let scenario = Scenario::parse("good.toml", &text).unwrap();
    let stop = Stop {
        of: "p99".to_owned(),
        ci: 0.02,
        most: 1000,
    };
    assert_eq!(scenario.stop, Some(stop));
    assert!(scenario.finds_warmup);
    assert_eq!(scenario.points[0].setup.end, End::At(20_000_000_000));
}

#[test]
fn a_wrong_stop_rule_gets_its_line_and_what_would_be_right() {
    for (until, wanted) in [
        (
            "{ length = \"20 s\", ci = -0.02, of = \"p99\" }",
            "-0.02 is out of range; it must be above 0",
        ),
        (
            "{ length = \"20 s\", ci = 0.02, of = \"p98\" }",
            "there is no quantity `p98`; did you mean `p9",
        ),
        (
            "{ length = \"20 s\", ci = 0.02, off = \"p99\" }",
            "unknown field `off`",
        ),
        ("{ ci = 0.02, of = \"p99\" }", "missing field `length`"),
        ("20", "a time such as \"60 s\", or { length"),
        ("\"20\"", "`20` is not a time"),
    ] {
        let error = error(|good| good.replace("\"20 s\"", until));
        assert!(
            error.contains(wanted) && error.contains("bad.toml:6"),
            "{error}"
        );
    }
    let error = error(|good| good.replace("seed = 7", "warmup = \"auto\""));
    assert!(
        error.contains("`auto` is neither a time such as \"10 s\" nor \"mser-5\""),
        "{error}"
    );
}
