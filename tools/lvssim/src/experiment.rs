// SPDX-License-Identifier: GPL-2.0-only

//! Runs scenarios, every point and every replication, on all cores. Computes the results.

use rayon::prelude::*;
use serde::Serialize;

use crate::cluster::{self, End, Setup};
use crate::engine::Time;
use crate::metric::METRICS;
use crate::plot::{Figure, Series};
use crate::scenario::{Duration, Scenario, Stop};
use crate::statistics::{mser5, Estimate};

/// The version of the JSON that [`Results`] become.
pub const SCHEMA: u32 = 1;

/// A quantity's estimate.
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    /// See [`crate::metric::Metric::name`].
    pub metric: &'static str,
    /// See [`crate::metric::Metric::unit`].
    pub unit: &'static str,
    /// From all replications.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// The result of a point.
#[derive(Clone, Debug, Serialize)]
pub struct PointResult {
    /// What is different from other points: key and value.
    pub parameters: Vec<(String, String)>,
    /// All quantities.
    pub values: Vec<Value>,
}

impl PointResult {
    /// The estimate of a quantity.
    #[must_use]
    pub fn get(&self, metric: &str) -> Option<&Estimate> {
        let value = self.values.iter().find(|value| value.metric == metric)?;
        Some(&value.estimate)
    }

    /// The value of a parameter.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(name, _)| name == key)?;
        Some(value)
    }
}

/// The result of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's title.
    pub title: String,
    /// Replications of each point.
    pub replications: u32,
    /// The points, in the order of the sweep.
    pub points: Vec<PointResult>,
}

/// How many runs a scenario takes, without those that its stop rule adds.
#[must_use]
pub fn runs(scenario: &Scenario) -> u64 {
    scenario.points.len() as u64 * u64::from(scenario.replications)
}

/// All quantities of a run.
type Run = Vec<f64>;

/// Pilot runs that find a warm-up, and the periods of each.
const PILOTS: u32 = 3;
const PERIODS: u64 = 1000;

/// The warm-up of a setup: MSER-5 over the mean times of short periods, averaged over all pilot
/// runs. These have random numbers of their own.
fn warmup(setup: &Setup) -> Time {
    let End::At(end) = setup.end else {
        return setup.warmup;
    };
    let period = (end / PERIODS).max(1);
    let pilot = Setup {
        warmup: 0,
        series: Some(period),
        ..setup.clone()
    };
    let mut sums = vec![(0.0, 0_u64); PERIODS as usize];
    for number in 0..PILOTS {
        let outcome = cluster::run(&pilot, u32::MAX - number);
        for (sum, period) in sums.iter_mut().zip(&outcome.series) {
            sum.0 += period.times.iter().copied().map(f64::from).sum::<f64>();
            sum.1 += period.times.len() as u64;
        }
    }
    let filled = sums.iter().enumerate().filter(|(_, sum)| sum.1 > 0);
    let (places, means): (Vec<u64>, Vec<f64>) = filled
        .map(|(place, (sum, count))| (place as u64, sum / *count as f64))
        .unzip();
    places
        .get(mser5(&means))
        .map_or(setup.warmup, |place| place * period)
}

/// Runs all replications of all points: as many as the scenario says, and then more of those points
/// whose interval is not narrow enough. Replications of all points have the same random numbers.
fn observe(scenario: &Scenario, progress: impl Fn() + Sync) -> Vec<Vec<Run>> {
    let setups: Vec<Setup> = scenario
        .points
        .par_iter()
        .with_max_len(1)
        .map(|point| match scenario.finds_warmup {
            true => Setup {
                warmup: warmup(&point.setup),
                ..point.setup.clone()
            },
            false => point.setup.clone(),
        })
        .collect();
    let mut all: Vec<Vec<Run>> = vec![Vec::new(); setups.len()];
    let mut open: Vec<usize> = (0..setups.len()).collect();
    while !open.is_empty() {
        let pairs: Vec<(usize, u32)> = open
            .iter()
            .flat_map(|point| {
                let begin = all[*point].len() as u32;
                (begin..begin + scenario.replications).map(move |number| (*point, number))
            })
            .collect();
        let runs: Vec<Run> = pairs
            .par_iter()
            .with_max_len(1)
            .map(|(point, number)| {
                let outcome = cluster::run(&setups[*point], *number);
                progress();
                METRICS
                    .iter()
                    .map(|metric| (metric.get)(&outcome))
                    .collect()
            })
            .collect();
        for ((point, _), run) in pairs.into_iter().zip(runs) {
            all[point].push(run);
        }
        open.retain(|point| {
            scenario
                .stop
                .as_ref()
                .is_some_and(|stop| stop.asks_for_more(&all[*point]))
        });
    }
    all
}

impl Stop {
    /// Whether the interval of these runs is not narrow enough yet.
    fn asks_for_more(&self, runs: &[Run]) -> bool {
        let Some(place) = METRICS.iter().position(|metric| metric.name == self.of) else {
            return false;
        };
        let estimate = Estimate::of(runs.iter().map(|run| run[place]));
        let narrow = runs.len() > 1 && estimate.half_width <= self.ci * estimate.mean.abs();
        !narrow && runs.len() < self.most as usize
    }
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

/// The figure that a scenario asks for.
///
/// # Errors
///
/// A sentence, when there is none to draw, or it names what the scenario does not have.
pub fn figure(name: &str, scenario: &Scenario, results: &Results) -> Result<Figure, String> {
    let entry = scenario
        .figure
        .as_ref()
        .ok_or("this scenario has no [figure]")?;
    if !METRICS.iter().any(|metric| metric.name == entry.y) {
        let names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        let names = names.join(", ");
        return Err(format!(
            "[figure] y: there is no quantity `{}`; the quantities are {names}",
            entry.y
        ));
    }
    let mut categories: Vec<String> = Vec::new();
    let mut curves: Vec<(String, Vec<(String, Estimate)>)> = Vec::new();
    for point in &results.points {
        let missing = |key: &str| format!("[figure]: `{key}` is no key of the sweep");
        let x = point.parameter(&entry.x).ok_or_else(|| missing(&entry.x))?;
        if !categories.iter().any(|one| one == x) {
            categories.push(x.to_owned());
        }
        let curve = match &entry.series {
            Some(key) => point.parameter(key).ok_or_else(|| missing(key))?,
            None => entry.y.as_str(),
        };
        let Some(estimate) = point.get(&entry.y) else {
            continue;
        };
        let place = curves
            .iter()
            .position(|(one, _)| one == curve)
            .unwrap_or_else(|| {
                curves.push((curve.to_owned(), Vec::new()));
                curves.len() - 1
            });
        curves[place].1.push((x.to_owned(), *estimate));
    }
    // Numbers, and times in seconds, have an axis; names stand side by side.
    let numbers: Option<Vec<f64>> = categories
        .iter()
        .map(|text| Duration::number(text))
        .collect();
    let place = |x: &str| match &numbers {
        Some(_) => Duration::number(x).unwrap_or(0.0),
        None => categories.iter().position(|one| one == x).unwrap_or(0) as f64,
    };
    let series = curves
        .into_iter()
        .map(|(name, points)| {
            let point =
                |(x, estimate): &(String, Estimate)| [place(x), estimate.mean, estimate.half_width];
            let mut points: Vec<_> = points.iter().map(point).collect();
            points.sort_by(|one, other| one[0].total_cmp(&other[0]));
            Series {
                name: legend(entry.series.as_deref(), name),
                points,
            }
        })
        .collect();
    Ok(Figure {
        name: name.to_owned(),
        title: scenario.title.clone(),
        caption: entry.answer.trim().to_owned(),
        x: entry.x_label.clone(),
        y: entry.y_label.clone(),
        log_x: entry.log_x && numbers.is_some(),
        log_y: entry.log_y,
        categories: if numbers.is_some() {
            Vec::new()
        } else {
            categories
        },
        series,
        references: Vec::new(),
    })
}

/// The name of a curve: of a value that says nothing alone, with its key's last word.
fn legend(key: Option<&str>, value: String) -> String {
    let word = key.and_then(|key| key.rsplit('.').next());
    let bare = Duration::number(&value).is_some() || matches!(value.as_str(), "true" | "false");
    match word {
        Some(word) if bare => format!("{word} {value}"),
        _ => value,
    }
}

/// The difference between two points of a sweep, in one quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The values of the other keys.
    pub parameters: Vec<(String, String)>,
    /// The value of the key that is compared.
    pub value: String,
    /// See [`crate::metric::Metric::name`].
    pub metric: &'static str,
    /// See [`crate::metric::Metric::unit`].
    pub unit: &'static str,
    /// The mean of the point that it is compared with.
    pub base: f64,
    /// From the differences of pairs of runs with the same random numbers.
    #[serde(flatten)]
    pub estimate: Estimate,
}

impl Difference {
    /// What the interval says.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.estimate {
            estimate if estimate.low() > 0.0 => "more",
            estimate if estimate.high() < 0.0 => "less",
            _ => "no difference shown",
        }
    }
}

/// Compares the values of a key of the sweep with one of them, in these quantities. Both have the
/// same arrivals and sizes in each replication, so the differences have narrower intervals than the
/// values.
///
/// # Errors
///
/// A sentence, when the sweep does not have the key, or the key does not have the value.
pub fn compare(
    scenario: &Scenario,
    key: &str,
    base: Option<&str>,
    metrics: &[String],
    progress: impl Fn() + Sync,
) -> Result<Vec<Difference>, String> {
    let mut values: Vec<&str> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    for (name, value) in scenario.points.iter().flat_map(|point| &point.parameters) {
        if !keys.contains(&name.as_str()) {
            keys.push(name);
        }
        if name == key && !values.contains(&value.as_str()) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Err(match keys.as_slice() {
            [] => "the scenario has no [sweep]; its keys are what is compared".to_owned(),
            keys => format!(
                "the sweep has no key `{key}`; its keys are {}",
                keys.join(", ")
            ),
        });
    }
    let base = base.unwrap_or(values[0]);
    if !values.contains(&base) {
        let values = values.join(", ");
        return Err(format!(
            "`{key}` has no value `{base}` in the sweep; it has {values}"
        ));
    }
    let split = |place: usize| {
        let (own, others): (Vec<_>, Vec<_>) = scenario.points[place]
            .parameters
            .iter()
            .cloned()
            .partition(|(name, _)| name == key);
        let own = own.into_iter().map(|(_, value)| value).next();
        (own.unwrap_or_default(), others)
    };
    let all = observe(scenario, progress);
    let mut differences = Vec::new();
    for (place, runs) in all.iter().enumerate() {
        let (value, parameters) = split(place);
        let partner =
            (0..all.len()).find(|other| split(*other) == (base.to_owned(), parameters.clone()));
        let Some(partner) = partner.filter(|partner| *partner != place) else {
            continue;
        };
        for (place, metric) in METRICS.iter().enumerate() {
            if !metrics.iter().any(|name| name == metric.name) {
                continue;
            }
            let of = |run: &Run| run[place];
            let pairs = runs.iter().zip(&all[partner]);
            differences.push(Difference {
                parameters: parameters.clone(),
                value: value.clone(),
                metric: metric.name,
                unit: metric.unit,
                base: Estimate::of(all[partner].iter().map(of)).mean,
                estimate: Estimate::of(pairs.map(|(run, base)| of(run) - of(base))),
            });
        }
    }
    Ok(differences)
}

/// A number with as many digits as its interval allows.
#[must_use]
pub fn rounded(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "-".to_owned(),
        _ if size == 0.0 => "0".to_owned(),
        _ if size >= 1000.0 => format!("{value:.0}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

impl Results {
    /// An aligned table: a line for each point, or for each quantity if there is only one point.
    #[must_use]
    pub fn table(&self, metrics: &[String]) -> String {
        let shown =
            |value: &&Value| metrics.is_empty() || metrics.iter().any(|m| m == value.metric);
        let cell = |value: &Value| {
            let estimate = &value.estimate;
            match estimate.half_width {
                0.0 => rounded(estimate.mean),
                half => format!("{} ±{}", rounded(estimate.mean), rounded(half)),
            }
        };
        let mut rows: Vec<Vec<String>> = Vec::new();
        match self.points.as_slice() {
            [point] => {
                for value in point.values.iter().filter(shown) {
                    let name = match value.unit {
                        "" => value.metric.to_owned(),
                        unit => format!("{} ({unit})", value.metric),
                    };
                    rows.push(vec![name, cell(value)]);
                }
            }
            points => {
                let Some(first) = points.first() else {
                    return String::new();
                };
                let mut head: Vec<String> = first
                    .parameters
                    .iter()
                    .map(|(key, _)| key.clone())
                    .collect();
                // Quantities that are 0 everywhere say nothing.
                let silent = |place: usize| {
                    metrics.is_empty()
                        && points
                            .iter()
                            .all(|point| point.values[place].estimate.greatest == 0.0)
                };
                let places: Vec<usize> = (0..first.values.len())
                    .filter(|place| shown(&&first.values[*place]) && !silent(*place))
                    .collect();
                for place in &places {
                    let value = &first.values[*place];
                    head.push(match value.unit {
                        "" => value.metric.to_owned(),
                        unit => format!("{} ({unit})", value.metric),
                    });
                }
                rows.push(head);
                for point in points {
                    let mut row: Vec<String> = point
                        .parameters
                        .iter()
                        .map(|(_, value)| value.clone())
                        .collect();
                    row.extend(places.iter().map(|place| cell(&point.values[*place])));
                    rows.push(row);
                }
            }
        }
        aligned(&rows)
    }
}

/// Rows in columns: the first to the left, the others to the right.
#[must_use]
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            match column {
                0 => text.push_str(&format!("{cell}{pad}")),
                _ => text.push_str(&format!("  {pad}{cell}")),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
