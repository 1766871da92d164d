// SPDX-License-Identifier: GPL-2.0-only

//! The command: reads its arguments, runs what they say and writes to the terminal.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lvssim::access::{Comparison, Log};
use lvssim::cli::{self, Cli, Command, CompareArgs, FigureArgs, PointArgs, RunArgs};
use lvssim::experiment::{self, aligned, rounded};
use lvssim::lan::{comparison, figures as ns2};
use lvssim::metric::METRICS;
use lvssim::scenario::Scenario;
use lvssim::{bench, capacity, policy, replay, report, validate};

/// What went wrong, in a sentence or a picture of the line.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => run(&arguments),
        Command::Compare(arguments) => differences(&arguments),
        Command::Validate {
            ns2: true, jobs, ..
        } => compare_with_ns2(jobs),
        Command::Validate { json, jobs, .. } => check(json, jobs),
        Command::Bench { rounds, json } => measure(rounds, json),
        Command::Report { out, seeds, jobs } => {
            threads(jobs)?;
            let bar = bar(report::runs(seeds)?, "runs");
            let page = report::html(seeds, || bar.inc(1))?;
            bar.finish_and_clear();
            std::fs::write(&out, page)
                .map_err(|error| format!("error: {}: {error}", out.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Figure(arguments) => figures(&arguments),
        Command::Replay { file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| format!("error: {}: {error}", file.display()))?;
            write(replay::replay(&text)?.as_bytes())
        }
        Command::Capacity => write(capacity::capacity().as_bytes()),
        Command::Hash { log, json } => hash(&log, json),
        Command::Schedulers => {
            let mut rows = Vec::new();
            for (name, _, about) in policy::SCHEDULERS {
                rows.push(vec![(*name).to_owned(), (*about).to_owned()]);
            }
            for (name, about) in policy::BASELINES {
                rows.push(vec![
                    (*name).to_owned(),
                    format!("{about} (a baseline, not in the director)"),
                ]);
            }
            let width = rows.iter().map(|row| row[0].len()).max().unwrap_or(0);
            let lines = rows
                .iter()
                .map(|row| format!("{:width$}  {}\n", row[0], row[1]));
            write(lines.collect::<String>().as_bytes())
        }
        Command::Completions { shell } => write(&cli::completions(shell)),
        Command::Manual => write(&cli::manual()?),
    }
}

/// Writes to standard output; a reader that has gone away is no failure.
fn write(bytes: &[u8]) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn threads(jobs: Option<usize>) -> Result<(), Failure> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(jobs.unwrap_or(0));
    Ok(builder.build_global()?)
}

/// A bar on the terminal, if there is one.
fn bar(length: u64, what: &str) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let template = format!("{what} [{{bar:30}}] {{pos}}/{{len}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    let bar = ProgressBar::with_draw_target(Some(length), target);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Checks the names of quantities.
fn check_metrics(names: &[String]) -> Result<(), Failure> {
    let known = || METRICS.iter().map(|metric| metric.name);
    match names
        .iter()
        .find(|name| !known().any(|known| known == *name))
    {
        Some(name) => {
            let known = known().collect::<Vec<_>>().join(", ");
            let message =
                format!("error: there is no quantity `{name}`; the quantities are {known}");
            Err(message.into())
        }
        None => Ok(()),
    }
}

/// Reads a scenario; options on the command line come before what it says.
fn scenario(path: &Path, points: &PointArgs) -> Result<Scenario, Failure> {
    let mut scenario = Scenario::read(path)?;
    if let Some(count) = points.replications {
        scenario.replications = count;
    }
    if let Some(seed) = points.seed {
        for point in &mut scenario.points {
            point.setup.seed = seed;
        }
    }
    Ok(scenario)
}

fn differences(arguments: &CompareArgs) -> Result<ExitCode, Failure> {
    check_metrics(&arguments.metrics)?;
    let scenario = scenario(&arguments.file, &arguments.points)?;
    threads(arguments.points.jobs)?;
    let bar = bar(experiment::runs(&scenario), "runs");
    let base = arguments.base.as_deref();
    let (key, metrics) = (&arguments.key, &arguments.metrics);
    let differences = experiment::compare(&scenario, key, base, metrics, || bar.inc(1))
        .map_err(|message| format!("error: {}: {message}", arguments.file.display()))?;
    bar.finish_and_clear();
    if arguments.json {
        let mut text = serde_json::to_vec_pretty(&differences)?;
        text.push(b'\n');
        return write(&text);
    }
    let mut rows = Vec::new();
    for one in &differences {
        let others = one.parameters.iter().map(|(_, value)| value.clone());
        let keys = one.parameters.iter().map(|(key, _)| key.clone());
        if rows.is_empty() {
            let columns = ["quantity", "base", "difference", "\u{b1}95 %", ""];
            let first = std::iter::once(key.clone());
            rows.push(
                first
                    .chain(keys)
                    .chain(columns.map(str::to_owned))
                    .collect(),
            );
        }
        let quantity = match one.unit {
            "" => one.metric.to_owned(),
            unit => format!("{} ({unit})", one.metric),
        };
        let numbers = [
            quantity,
            rounded(one.base),
            rounded(one.estimate.mean),
            rounded(one.estimate.half_width),
            one.verdict().to_owned(),
        ];
        let first = std::iter::once(one.value.clone());
        rows.push(first.chain(others).chain(numbers).collect());
    }
    write(aligned(&rows).as_bytes())
}

fn run(arguments: &RunArgs) -> Result<ExitCode, Failure> {
    check_metrics(&arguments.metrics)?;
    let scenario = scenario(&arguments.file, &arguments.points)?;
    threads(arguments.points.jobs)?;
    let bar = bar(experiment::runs(&scenario), "runs");
    let results = experiment::run(&scenario, || bar.inc(1));
    bar.finish_and_clear();
    if let Some(path) = &arguments.svg {
        let name = arguments
            .file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let figure = experiment::figure(&name, &scenario, &results)
            .map_err(|message| format!("error: {}: {message}", arguments.file.display()))?;
        std::fs::write(path, figure.document())?;
    }
    if arguments.json {
        let mut text = serde_json::to_vec_pretty(&results)?;
        text.push(b'\n');
        return write(&text);
    }
    let mut text = String::new();
    if !results.title.is_empty() {
        text.push_str(&format!("{}\n", results.title));
    }
    text.push_str(&results.table(&arguments.metrics));
    text.push_str(&format!(
        "{} replications; ± is half of the 95 % confidence interval\n",
        results.replications
    ));
    write(text.as_bytes())
}

fn figures(arguments: &FigureArgs) -> Result<ExitCode, Failure> {
    let known = ns2::names();
    if arguments.names.is_empty() {
        return write(format!("{}\n", known.join("\n")).as_bytes());
    }
    let all = arguments.names.iter().any(|name| name == "all");
    let names = if all {
        known.clone()
    } else {
        arguments.names.clone()
    };
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(format!("error: there is no figure `{name}`; the figures are {known}").into());
    }
    threads(arguments.jobs)?;
    let mut runs = ns2::Runs::default();
    let setups = ns2::setups(&names, arguments.seeds);
    let bar = bar(setups.len() as u64, "runs");
    runs.make(setups, || bar.inc(1));
    bar.finish_and_clear();
    std::fs::create_dir_all(&arguments.out)?;
    for name in &names {
        if let Some(figure) = ns2::figure(name, &runs, arguments.seeds) {
            let path = arguments.out.join(format!("{name}.svg"));
            std::fs::write(&path, figure.document())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How many seeds the model of the LAN is compared with ns-2 with.
const SEEDS: u64 = 7;

fn compare_with_ns2(jobs: Option<usize>) -> Result<ExitCode, Failure> {
    threads(jobs)?;
    let bar = bar(comparison::count(SEEDS), "runs");
    let mut runs = ns2::Runs::default();
    let mut all = comparison::compare(&mut runs, SEEDS, || bar.inc(1));
    all.extend(comparison::orders(&mut runs, 20, || bar.inc(1)));
    bar.finish_and_clear();
    let mut rows = vec![["what", "from", "to", "lvssim", ""]
        .map(str::to_owned)
        .to_vec()];
    for one in &all {
        let [low, high] = one.wanted.map(rounded);
        let verdict = if one.holds() { "ok" } else { "FAILED" };
        rows.push(vec![
            one.name.clone(),
            low,
            high,
            rounded(one.got),
            verdict.to_owned(),
        ]);
    }
    let failed = all.iter().filter(|one| !one.holds()).count();
    let mut text = aligned(&rows);
    text.push_str(&format!("{} passed, {failed} failed\n", all.len() - failed));
    write(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn hash(log: &Path, json: bool) -> Result<ExitCode, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("error: {}: {error}", log.display());
    let read = match log.to_str() {
        Some("-") => Log::read(io::stdin().lock()),
        _ => std::fs::File::open(log).and_then(|file| Log::read(io::BufReader::new(file))),
    };
    let read = read.map_err(|error| failed(&error))?;
    let compared = read.compare().map_err(|error| failed(&error))?;
    if read.skipped > 0 {
        eprintln!("{} lines begin with no address", read.skipped);
    }
    if json {
        let mut text = serde_json::to_vec_pretty(&compared)?;
        text.push(b'\n');
        return write(&text);
    }
    let Comparison {
        requests,
        clients,
        greatest_client,
        ..
    } = compared;
    let mut text = aligned(&compared.table());
    text.push_str(&format!(
        "{requests} requests of {clients} clients; the busiest one has {:.1} % of them\n",
        greatest_client * 100.0
    ));
    write(text.as_bytes())
}

fn measure(rounds: u32, json: bool) -> Result<ExitCode, Failure> {
    let speeds = bench::run(rounds, 2.0);
    let failed = speeds.iter().filter(|speed| !speed.holds()).count();
    if json {
        let mut text = serde_json::to_vec_pretty(&speeds)?;
        text.push(b'\n');
        write(&text)?;
    } else {
        let mut rows = vec![["what", "million a second", "wanted", "of", ""]
            .map(str::to_owned)
            .to_vec()];
        for speed in &speeds {
            let verdict = if speed.holds() { "ok" } else { "TOO SLOW" };
            rows.push(vec![
                speed.name.clone(),
                rounded(speed.per_second / 1e6),
                rounded(speed.wanted / 1e6),
                speed.unit.to_owned(),
                verdict.to_owned(),
            ]);
        }
        write(aligned(&rows).as_bytes())?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn check(json: bool, jobs: Option<usize>) -> Result<ExitCode, Failure> {
    threads(jobs)?;
    let bar = bar(validate::count() as u64, "systems");
    let checks = validate::run(|| bar.inc(1));
    bar.finish_and_clear();
    let failed = checks.iter().filter(|check| !check.holds()).count();
    if json {
        write(&serde_json::to_vec_pretty(&checks)?)?;
    } else {
        let mut rows = vec![["what", "theory", "simulated", "±99 %", "off by", ""]
            .map(str::to_owned)
            .to_vec()];
        // What holds for every run is told once for all.
        let general = |name: &str| name.contains(": L = ") || name.contains(": in = ");
        for check in checks
            .iter()
            .filter(|check| !general(&check.name) || !check.holds())
        {
            let [low, high] = check.wanted;
            let range = match low == high {
                true => rounded(low),
                false => format!("{} to {}", rounded(low), rounded(high)),
            };
            let off = match low == high {
                true => format!("{:+.2} %", (check.got / low - 1.0) * 100.0),
                false => String::new(),
            };
            let half = match check.half_width {
                0.0 => String::new(),
                half => rounded(half),
            };
            let verdict = if check.holds() { "ok" } else { "FAILED" };
            rows.push(vec![
                check.name.clone(),
                range,
                rounded(check.got),
                half,
                off,
                verdict.to_owned(),
            ]);
        }
        let mut text = aligned(&rows);
        let all = checks.iter().filter(|check| general(&check.name)).count();
        text.push_str(&format!(
            "Little's law and conservation of requests: {all} checks of all runs\n\
             {} passed, {failed} failed\n",
            checks.len() - failed
        ));
        write(text.as_bytes())?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}
