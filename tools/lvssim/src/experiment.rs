// SPDX-License-Identifier: GPL-2.0-only

//! Runs scenarios, every point and every replication, on all cores. Computes the results.

mod compare;
mod figure;
mod observe;
mod results;
mod table;

pub use compare::{compare, Difference};
pub use figure::figure;
pub use results::{PointResult, Results, Value, SCHEMA};
pub use table::{aligned, rounded};

use crate::metric::METRICS;
use crate::scenario::Scenario;
use crate::statistics::Estimate;
use observe::observe;

/// How many runs a scenario takes, without those that its stop rule adds.
#[must_use]
pub fn runs(scenario: &Scenario) -> u64 {
    scenario.points.len() as u64 * u64::from(scenario.replications)
}

/// Runs a scenario on all cores; `progress` is told of each run that is done. Replications of all
/// points have the same random numbers.
pub fn run(scenario: &Scenario, progress: impl Fn() + Sync) -> Results {
    let all = observe(scenario, progress);
    let replications = all.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let points = scenario
        .points
        .iter()
        .zip(all)
        .map(|(point, runs)| PointResult {
            parameters: point.parameters.clone(),
            values: METRICS
                .iter()
                .enumerate()
                .map(|(place, metric)| Value {
                    metric: metric.name,
                    unit: metric.unit,
                    estimate: Estimate::of(runs.iter().map(|run| run[place])),
                })
                .collect(),
        })
        .collect();
    Results {
        schema: SCHEMA,
        title: scenario.title.clone(),
        replications,
        points,
    }
}

#[cfg(test)]
mod tests {
    use super::observe::warmup;
    use super::*;
    use crate::scenario::Stop;

    fn scenario() -> Scenario {
        let text = r#"
            [run]
            replications = 4
            until = "10 s"
            [service]
            scheduler = "rr"
            [[servers]]
            count = 2
            [workload]
            load = 0.5
            size = { exponential = { mean = "10 ms" } }
            [sweep]
            service.scheduler = ["rr", "lc"]
        "#;
        Scenario::parse("test.toml", text).unwrap()
    }

    #[test]
    fn results_have_intervals_and_are_the_same_again() {
        let [one, other] = [(), ()].map(|()| run(&scenario(), || {}));
        let json = |results: &Results| serde_json::to_string(results).unwrap();
        assert_eq!(json(&one), json(&other));
        let mean = one.points[0].get("mean").unwrap();
        assert_eq!(mean.count, 4);
        assert!(mean.half_width > 0.0 && mean.mean > 10.0, "{mean:?}");
        assert!(one.points[1].get("mean").unwrap().mean < mean.mean);
    }

    #[test]
    fn differences_of_pairs_have_narrower_intervals_than_values() {
        let metrics = ["mean".to_owned()];
        let key = "service.scheduler";
        let differences = compare(&scenario(), key, None, &metrics, || {}).unwrap();
        let [one] = differences.as_slice() else {
            panic!("{differences:?}");
        };
        assert_eq!((one.value.as_str(), one.verdict()), ("lc", "less"));
        let results = run(&scenario(), || {});
        let rr = results.points[0].get("mean").unwrap();
        assert!((one.base - rr.mean).abs() < 1e-9);
        assert!(one.estimate.half_width < rr.half_width, "{one:?} {rr:?}");
        for (key, base, wanted) in [
            (
                "load",
                None,
                "the sweep has no key `load`; its keys are service.scheduler",
            ),
            (
                key,
                Some("wlc"),
                "has no value `wlc` in the sweep; it has rr, lc",
            ),
        ] {
            let error = compare(&scenario(), key, base, &metrics, || {}).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn replications_are_added_until_the_interval_is_narrow() {
        let mut scenario = scenario();
        let stop = |ci, most| {
            Some(Stop {
                of: "mean".to_owned(),
                ci,
                most,
            })
        };
        scenario.stop = stop(0.03, 1000);
        let results = run(&scenario, || {});
        for point in &results.points {
            let mean = point.get("mean").unwrap();
            assert!(
                mean.half_width <= 0.03 * mean.mean && mean.count > 4,
                "{mean:?}"
            );
        }
        scenario.stop = stop(1e-9, 8);
        assert_eq!(run(&scenario, || {}).replications, 8);
    }

    #[test]
    fn pilot_runs_find_the_warm_up() {
        let busy = |load| {
            let text = format!(
                "[run]\nuntil = \"100 s\"\nwarmup = \"mser-5\"\n[service]\nscheduler = \"rr\"\n\
                 [[servers]]\ncount = 10\n[workload]\nload = {load}\n\
                 size = {{ exponential = {{ mean = \"100 ms\" }} }}\n"
            );
            let scenario = Scenario::parse("test.toml", &text).unwrap();
            assert!(scenario.finds_warmup);
            warmup(&scenario.points[0].setup) as f64 / 1e9
        };
        // The queues of a busy service take longer to fill.
        let [calm, busy] = [0.3, 0.97].map(busy);
        assert!(calm < 20.0 && busy > 5.0, "{calm} {busy}");
    }

    #[test]
    fn tables_are_aligned_and_leave_out_what_is_zero() {
        let table = run(&scenario(), || {}).table(&[]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[0].starts_with("service.scheduler") && !lines[0].contains("broken"));
        let ends = |line: &str| line.chars().count();
        assert!(
            lines.iter().all(|line| ends(line) == ends(lines[0])),
            "{table}"
        );
    }
}
