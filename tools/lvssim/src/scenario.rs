// SPDX-License-Identifier: GPL-2.0-only

//! Scenario files: TOML that says what is simulated.

mod convert;
mod file;
mod trace;
mod values;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{Level, Renderer, Snippet};
pub use file::FigureEntry;
use file::File;
use serde::Deserialize;
use toml::{Spanned, Table, Value};
use trace::Traces;

use values::hint;
pub use values::{Duration, Positive, Quantity, Scheduler, Share, Stop, Until, Warmup};

use crate::cluster::Setup;
use crate::metric::METRICS;

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

/// Where a figure's names stand in the file.
#[derive(Deserialize)]
struct FigureSpans {
    figure: Names,
}

#[derive(Deserialize)]
struct Names {
    x: Spanned<String>,
    y: Spanned<String>,
    series: Option<Spanned<String>>,
}

/// Finds a figure that names what the scenario does not have.
fn check_figure(text: &str, keys: &[String]) -> Result<(), Wrong> {
    let Ok(FigureSpans { figure }) = toml::from_str(text) else {
        return Ok(());
    };
    let y = figure.y.get_ref();
    let metrics = || METRICS.iter().map(|metric| metric.name);
    if !metrics().any(|name| name == y) {
        let all: Vec<_> = metrics().collect();
        let (hint, all) = (hint(y, metrics()), all.join(", "));
        let message = format!("there is no quantity `{y}`; {hint}The quantities are {all}");
        return Err(wrong(figure.y.span(), message));
    }
    for key in [Some(&figure.x), figure.series.as_ref()]
        .into_iter()
        .flatten()
    {
        if keys.contains(key.get_ref()) {
            continue;
        }
        let message = match keys {
            [] => "a figure needs a [sweep] whose keys are its axis and its curves".to_owned(),
            _ => format!(
                "the sweep has no key `{}`; its keys are {}",
                key.get_ref(),
                keys.join(", ")
            ),
        };
        return Err(wrong(key.span(), message));
    }
    Ok(())
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
    /// When replications are added.
    pub stop: Option<Stop>,
    /// Pilot runs find the warm-up of each point.
    pub finds_warmup: bool,
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
        let mut traces = Traces::beside(path);
        let base = file.setup(&mut traces).map_err(of_wrong)?;
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
        let keys: Vec<String> = match points.first() {
            Some((parameters, _)) => parameters.iter().map(|(key, _)| key.clone()).collect(),
            None => Vec::new(),
        };
        check_figure(text, &keys).map_err(of_wrong)?;
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
                .setup(&mut traces)
                .map_err(|error| fail(explain(&error.message), sweep_span.clone()))?;
            all.push(Point { parameters, setup });
        }
        Ok(Self {
            title: file.title,
            replications: *file.run.replications.get_ref(),
            stop: file.run.until.get_ref().stop.clone(),
            finds_warmup: file.run.warmup == Some(Warmup::Mser5),
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

#[cfg(test)]
mod tests;
