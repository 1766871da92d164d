// SPDX-License-Identifier: GPL-2.0-only

//! Scenario files: TOML that says what is simulated.

mod values;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{Level, Renderer, Snippet};
use lvs_core::scheduler::Options;
use serde::Deserialize;
use toml::{Spanned, Table, Value};

pub use values::{Duration, Positive, Scheduler, Share};

use crate::cluster::{Discipline, End, Fault, Kind, Patience, ServerSetup, Session, Setup, View};
use crate::random::{Arrivals, Clients, Sizes};

/// Why a scenario cannot be used: what is wrong, where, and what would be right.
#[derive(Debug)]
pub struct ScenarioError {
    message: String,
    path: String,
    text: String,
    span: Option<Range<usize>>,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(span) = &self.span else {
            return write!(f, "error: {}: {}", self.path, self.message);
        };
        let mark = Level::Error.span(span.clone());
        let source = Snippet::source(&self.text).origin(&self.path);
        let source = source.fold(true).annotation(mark);
        let report = Level::Error.title(&self.message).snippet(source);
        write!(f, "{}", Renderer::plain().render(report))
    }
}

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// What it is about.
    #[serde(default)]
    title: String,
    run: Run,
    service: Service,
    servers: Vec<Servers>,
    workload: Workload,
    #[serde(default)]
    clients: ClientBehavior,
    #[serde(default)]
    load_data: Option<LoadData>,
    #[serde(default)]
    faults: Vec<Spanned<FaultEntry>>,
    #[serde(default)]
    sweep: Option<Spanned<Table>>,
    #[serde(default)]
    figure: Option<FigureEntry>,
}

/// What a scenario's figure shows: keys of the sweep, and a quantity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FigureEntry {
    /// The key along the horizontal axis.
    pub x: String,
    /// What the axis is called.
    pub x_label: String,
    /// The quantity.
    pub y: String,
    /// What the axis is called.
    pub y_label: String,
    /// The key that tells curves apart.
    #[serde(default)]
    pub series: Option<String>,
    /// The horizontal axis is logarithmic.
    #[serde(default)]
    pub log_x: bool,
    /// The vertical axis is logarithmic.
    #[serde(default)]
    pub log_y: bool,
    /// What follows from it.
    pub answer: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Run {
    #[serde(default = "one")]
    seed: u64,
    #[serde(default = "ten")]
    replications: Spanned<u32>,
    #[serde(default)]
    warmup: Option<Duration>,
    until: Spanned<Duration>,
    #[serde(default)]
    series: Option<Duration>,
}

fn one() -> u64 {
    1
}

fn ten() -> Spanned<u32> {
    Spanned::new(0..0, 10)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Service {
    scheduler: Scheduler,
    #[serde(default)]
    persistence: Option<Duration>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    directors: Option<Spanned<u32>>,
    /// What a new connection costs the director.
    #[serde(default)]
    cost: Option<Duration>,
    /// How long closed connections are counted, and as what.
    #[serde(default)]
    linger: Option<Duration>,
    #[serde(default)]
    linger_as: LingerAs,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LingerAs {
    #[default]
    Inactive,
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Flag {
    Port,
    Fallback,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Servers {
    #[serde(default = "count_one")]
    count: Spanned<usize>,
    #[serde(default = "weight_one")]
    weight: u32,
    #[serde(default = "speed_one")]
    speed: Positive,
    #[serde(default = "weight_one")]
    cores: u32,
    #[serde(default)]
    queue: Option<usize>,
    #[serde(default)]
    discipline: DisciplineName,
    #[serde(default)]
    threshold: u32,
}

fn count_one() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

fn weight_one() -> u32 {
    1
}

fn speed_one() -> Positive {
    Positive(1.0)
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DisciplineName {
    #[default]
    Fifo,
    Ps,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Workload {
    /// The share of the servers' capacity that is asked for.
    #[serde(default)]
    load: Option<Positive>,
    /// Requests, or sessions, a second.
    #[serde(default)]
    rate: Option<Spanned<Positive>>,
    #[serde(default)]
    arrivals: ArrivalsEntry,
    size: SizeEntry,
    #[serde(default)]
    clients: ClientsEntry,
    #[serde(default)]
    addresses: Option<u16>,
    #[serde(default)]
    session: Option<SessionEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SessionEntry {
    requests: Positive,
    think: Duration,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum ArrivalsEntry {
    #[default]
    Poisson,
    Deterministic,
    /// Two rates in turn: how many times the calm one the other is, and how long each lasts.
    Bursts {
        ratio: Positive,
        calm: Duration,
        storm: Duration,
    },
    OnOff {
        sources: u32,
        alpha: Positive,
        least: Duration,
    },
    Diurnal {
        period: Duration,
        depth: Share,
    },
    Flash {
        at: Duration,
        hold: Duration,
        factor: Positive,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum SizeEntry {
    Constant {
        mean: Duration,
    },
    Exponential {
        mean: Duration,
    },
    Uniform {
        from: Duration,
        to: Duration,
    },
    Lognormal {
        mean: Duration,
        cv2: Positive,
    },
    Hyperexponential {
        mean: Duration,
        cv2: Positive,
    },
    Pareto {
        mean: Duration,
        alpha: Positive,
        ratio: Positive,
    },
    Bimodal {
        mean: Duration,
        factor: Positive,
        share: Share,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum ClientsEntry {
    /// Each request comes from another client.
    #[default]
    Fresh,
    Equal {
        count: u32,
    },
    Zipf {
        count: u32,
        exponent: Positive,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClientBehavior {
    #[serde(default)]
    repeat_syn: bool,
    #[serde(default)]
    timeout: Option<Duration>,
    #[serde(default = "three")]
    attempts: u8,
}

fn three() -> u8 {
    3
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum LoadData {
    Exact,
    Snapshot {
        period: Duration,
        #[serde(default)]
        loss: Option<Share>,
        #[serde(default)]
        own: bool,
    },
    Delayed {
        age: Duration,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FaultEntry {
    at: Duration,
    #[serde(default)]
    server: usize,
    kind: FaultKind,
    #[serde(default)]
    repair: Option<Duration>,
    #[serde(default)]
    detected_after: Option<Duration>,
    /// It happens again after so long.
    #[serde(default)]
    every: Option<Positive>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum FaultKind {
    Crash,
    Hang,
    Slow { factor: Positive },
    Join { ramp: Duration },
    Director { state: bool },
}

/// A point of a sweep.
#[derive(Clone, Debug)]
pub struct Point {
    /// What is different from other points: key and value.
    pub parameters: Vec<(String, String)>,
    /// What is run.
    pub setup: Setup,
}

/// A scenario that can be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub title: String,
    /// How often each point is run, with other random numbers.
    pub replications: u32,
    /// The points; one, unless there is a sweep.
    pub points: Vec<Point>,
    /// What is drawn of them.
    pub figure: Option<FigureEntry>,
}

/// Something wrong that only more than one value shows.
struct Wrong {
    message: String,
    span: Range<usize>,
}

fn wrong(span: Range<usize>, message: impl Into<String>) -> Wrong {
    Wrong {
        message: message.into(),
        span,
    }
}

impl Scenario {
    /// Reads a scenario from a file.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`], with the line that is wrong.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|error| ScenarioError {
            message: error.to_string(),
            path: path.display().to_string(),
            text: String::new(),
            span: None,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a scenario from text; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        let fail = |message: String, span: Option<Range<usize>>| ScenarioError {
            message,
            path: path.to_owned(),
            text: text.to_owned(),
            span,
        };
        let of_toml = |error: toml::de::Error| fail(error.message().to_owned(), error.span());
        let of_wrong = |error: Wrong| {
            let span = Some(error.span).filter(|span| !span.is_empty());
            fail(error.message, span)
        };
        let file: File = toml::from_str(text).map_err(of_toml)?;
        let mut table: Table = toml::from_str(text).map_err(of_toml)?;
        table.remove("sweep");
        let base = file.setup().map_err(of_wrong)?;
        let mut points = vec![(Vec::new(), table)];
        let mut sweep_span = None;
        if let Some(sweep) = &file.sweep {
            sweep_span = Some(sweep.span());
            let mut leaves = Vec::new();
            flatten("", sweep.get_ref(), &mut leaves);
            for (key, values) in leaves {
                let Value::Array(values) = values else {
                    let message =
                        format!("`{key}` must be a list of values, such as {key} = [{values}]");
                    return Err(fail(message, sweep_span));
                };
                let mut next = Vec::new();
                for (parameters, table) in &points {
                    for value in values {
                        let mut parameters: Vec<(String, String)> = parameters.clone();
                        let mut table = table.clone();
                        if !set(&mut table, &key, value.clone()) {
                            let message = format!("no key `{key}` can be set in this scenario");
                            return Err(fail(message, sweep_span));
                        }
                        parameters.push((key.clone(), show(value)));
                        next.push((parameters, table));
                    }
                }
                points = next;
            }
        }
        let mut all = Vec::new();
        for (parameters, table) in points {
            if parameters.is_empty() {
                let setup = base.clone();
                all.push(Point { parameters, setup });
                continue;
            }
            let explain = |message: &str| {
                let values = parameters
                    .iter()
                    .map(|(key, value)| format!("{key} = {value}"));
                format!("with {}: {message}", values.collect::<Vec<_>>().join(", "))
            };
            let text = toml::to_string(&table)
                .map_err(|error| fail(explain(&error.to_string()), sweep_span.clone()))?;
            let file: File = toml::from_str(&text)
                .map_err(|error| fail(explain(error.message()), sweep_span.clone()))?;
            let setup = file
                .setup()
                .map_err(|error| fail(explain(&error.message), sweep_span.clone()))?;
            all.push(Point { parameters, setup });
        }
        Ok(Self {
            title: file.title,
            replications: *file.run.replications.get_ref(),
            points: all,
            figure: file.figure,
        })
    }
}

/// A value as a table shows it.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Of a choice with details, its name.
        Value::Table(table) => table.keys().cloned().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The leaves of nested tables, with dotted keys.
fn flatten<'a>(prefix: &str, table: &'a Table, leaves: &mut Vec<(String, &'a Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{key}."), inner, leaves),
            other => leaves.push((key, other)),
        }
    }
}

/// Sets a value at a dotted key, in which numbers are places in lists.
fn set(table: &mut Table, key: &str, value: Value) -> bool {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let Some(rest) = rest else {
        table.insert(first.to_owned(), value);
        return true;
    };
    let entry = table
        .entry(first.to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    match entry {
        Value::Table(inner) => set(inner, rest, value),
        Value::Array(list) => {
            let Some((place, rest)) = rest.split_once('.') else {
                return false;
            };
            let inner = place
                .parse()
                .ok()
                .and_then(|place: usize| list.get_mut(place));
            match inner {
                Some(Value::Table(inner)) => set(inner, rest, value),
                _ => false,
            }
        }
        _ => false,
    }
}

impl File {
    fn setup(&self) -> Result<Setup, Wrong> {
        let until = self.run.until.get_ref().time();
        let warmup = self.run.warmup.map_or(until / 10, Duration::time);
        if warmup >= until {
            let span = self.run.until.span();
            return Err(wrong(
                span,
                "the run ends before its warm-up; `until` must be later",
            ));
        }
        if *self.run.replications.get_ref() == 0 {
            let span = self.run.replications.span();
            return Err(wrong(span, "there must be at least one replication"));
        }
        let servers = self.servers()?;
        let workload = &self.workload;
        let directors = self.service.directors.as_ref();
        if let Some(directors) = directors.filter(|directors| *directors.get_ref() == 0) {
            return Err(wrong(
                directors.span(),
                "there must be at least one director",
            ));
        }
        let mut setup = Setup {
            seed: self.run.seed,
            scheduler: self.service.scheduler.0.clone(),
            options: Options {
                port: self.service.flags.contains(&Flag::Port),
                fallback: self.service.flags.contains(&Flag::Fallback),
            },
            directors: directors.map_or(1, |directors| *directors.get_ref()),
            cost: self.service.cost.map_or(0, Duration::time),
            persistence: self.service.persistence.map_or(0, Duration::time),
            faults: self.faults(servers.len(), until)?,
            servers,
            arrivals: arrivals(&workload.arrivals),
            rate: 1.0,
            sizes: sizes(&workload.size),
            clients: match workload.clients {
                ClientsEntry::Fresh => Clients::Fresh,
                ClientsEntry::Equal { count } => Clients::Equal(count.max(1)),
                ClientsEntry::Zipf { count, exponent } => Clients::Zipf(count.max(1), exponent.0),
            },
            objects: workload.addresses.unwrap_or(1),
            session: workload.session.as_ref().map(|session| Session {
                requests: session.requests.0.max(1.0),
                think: Sizes::Exponential(session.think.0),
            }),
            patience: Patience {
                repeats: self.clients.repeat_syn,
                timeout: self.clients.timeout.map(Duration::time),
                attempts: self.clients.attempts.max(1),
            },
            view: match self.load_data {
                None | Some(LoadData::Exact) => View::Exact,
                Some(LoadData::Snapshot { period, loss, own }) => View::Snapshot {
                    period: period.time().max(1),
                    loss: loss.map_or(0.0, |loss| loss.0),
                    own,
                },
                Some(LoadData::Delayed { age }) => View::Delayed { age: age.time() },
            },
            linger: self.service.linger.map_or(0, Duration::time),
            linger_active: matches!(self.service.linger_as, LingerAs::Active),
            warmup,
            end: End::At(until),
            series: self
                .run
                .series
                .map(Duration::time)
                .filter(|length| *length > 0),
            ..Setup::default()
        };
        match (&workload.load, &workload.rate) {
            (Some(load), None) => setup = setup.with_load(load.0),
            (None, Some(rate)) => setup.rate = rate.get_ref().0,
            (Some(_), Some(rate)) => {
                let message = "`load` and `rate` say the same in two ways; give one of them";
                return Err(wrong(rate.span(), message));
            }
            (None, None) => {
                let message = "[workload] needs `load` (a share of capacity) or `rate` (a second)";
                return Err(wrong(0..0, message));
            }
        }
        Ok(setup)
    }

    fn servers(&self) -> Result<Vec<ServerSetup>, Wrong> {
        let mut servers = Vec::new();
        for group in &self.servers {
            let count = *group.count.get_ref();
            if count > 65_000 {
                return Err(wrong(
                    group.count.span(),
                    "there can be at most 65000 servers",
                ));
            }
            let server = ServerSetup {
                weight: group.weight,
                speed: group.speed.0,
                cores: group.cores.max(1),
                room: group.queue.unwrap_or(usize::MAX),
                discipline: match group.discipline {
                    DisciplineName::Fifo => Discipline::Fifo,
                    DisciplineName::Ps => Discipline::Shared,
                },
                threshold: group.threshold,
            };
            servers.extend(std::iter::repeat_n(server, count));
        }
        if servers.is_empty() {
            return Err(wrong(
                0..0,
                "there are no servers; write [[servers]] with count = 1 or more",
            ));
        }
        Ok(servers)
    }

    fn faults(&self, servers: usize, until: u64) -> Result<Vec<Fault>, Wrong> {
        let mut faults = Vec::new();
        for entry in &self.faults {
            let fault = entry.get_ref();
            if fault.server >= servers {
                let message = format!(
                    "there is no server {}; they are numbered from 0 to {}",
                    fault.server,
                    servers - 1
                );
                return Err(wrong(entry.span(), message));
            }
            let mut fault_at = Fault {
                at: fault.at.time(),
                server: fault.server,
                kind: match fault.kind {
                    FaultKind::Crash => Kind::Crash,
                    FaultKind::Hang => Kind::Hang,
                    FaultKind::Slow { factor } => Kind::Slow(factor.0),
                    FaultKind::Join { ramp } => Kind::Join(ramp.time()),
                    FaultKind::Director { state } => Kind::Director(state),
                },
                repair: fault.repair.map(Duration::time),
                detected_after: fault.detected_after.map(Duration::time),
            };
            faults.push(fault_at);
            if let Some(every) = fault.every {
                let every = Duration(every.0).time().max(1_000_000);
                while fault_at.at + every < until {
                    fault_at.at += every;
                    faults.push(fault_at);
                }
            }
        }
        Ok(faults)
    }
}

fn arrivals(entry: &ArrivalsEntry) -> Arrivals {
    match *entry {
        ArrivalsEntry::Poisson => Arrivals::Poisson,
        ArrivalsEntry::Deterministic => Arrivals::Deterministic,
        ArrivalsEntry::Bursts { ratio, calm, storm } => {
            let calm_rate = (calm.0 + storm.0) / (calm.0 + ratio.0 * storm.0);
            Arrivals::Bursts {
                rates: [calm_rate, calm_rate * ratio.0],
                dwell: [calm.0, storm.0],
            }
        }
        ArrivalsEntry::OnOff {
            sources,
            alpha,
            least,
        } => Arrivals::OnOff {
            sources: sources.max(1),
            alpha: alpha.0,
            least: least.0.max(1e-6),
        },
        ArrivalsEntry::Diurnal { period, depth } => Arrivals::Diurnal {
            period: period.0,
            depth: depth.0,
        },
        ArrivalsEntry::Flash { at, hold, factor } => Arrivals::Flash {
            at: at.0,
            hold: hold.0,
            factor: factor.0,
        },
    }
}

fn sizes(entry: &SizeEntry) -> Sizes {
    match *entry {
        SizeEntry::Constant { mean } => Sizes::Constant(mean.0),
        SizeEntry::Exponential { mean } => Sizes::Exponential(mean.0),
        SizeEntry::Uniform { from, to } => Sizes::Uniform(from.0, to.0),
        SizeEntry::Lognormal { mean, cv2 } => Sizes::log_normal(mean.0, cv2.0),
        SizeEntry::Hyperexponential { mean, cv2 } => Sizes::hyper(mean.0, cv2.0),
        SizeEntry::Pareto { mean, alpha, ratio } => Sizes::pareto(mean.0, alpha.0, ratio.0),
        SizeEntry::Bimodal {
            mean,
            factor,
            share,
        } => {
            let small = mean.0 / (1.0 + (factor.0 - 1.0) * share.0);
            Sizes::Bimodal(small, small * factor.0, share.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
