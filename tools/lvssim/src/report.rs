// SPDX-License-Identifier: GPL-2.0-only

//! The report: a page with every figure, what follows from it, and what the papers printed.

use std::fmt::Write;

use crate::experiment::{self, rounded};
use crate::lan::comparison::{self, Comparison};
use crate::lan::figures as ns2;
use crate::plot::{escaped, Figure};
use crate::scenario::{Scenario, ScenarioError};

macro_rules! scenarios {
    ($($name:literal)*) => {
        /// The scenarios of the report: name and text.
        pub const SCENARIOS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}

scenarios! {
    "first" "a-traffic" "b-sessions" "c-reporting" "d-stale" "e-unequal" "f-interpretation"
    "g-crash" "h-failover" "i-directors" "j-dns" "k-time-wait" "l-join" "m-recovery" "n-feedback"
}

/// Why there is no report.
#[derive(Debug)]
pub struct ReportError(String);

impl std::error::Error for ReportError {}

impl std::fmt::Display for ReportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ScenarioError> for ReportError {
    fn from(error: ScenarioError) -> Self {
        Self(error.to_string())
    }
}

/// A built-in scenario.
///
/// # Errors
///
/// That of a scenario that cannot be read; the tests read them all.
pub fn scenario(name: &str) -> Option<Result<Scenario, ScenarioError>> {
    let (_, text) = SCENARIOS.iter().find(|(known, _)| *known == name)?;
    Some(Scenario::parse(name, text))
}

/// How many runs a report takes.
///
/// # Errors
///
/// As [`scenario`].
pub fn runs(seeds: u64) -> Result<u64, ReportError> {
    let mut count = ns2::setups(&ns2::names(), seeds).len() as u64;
    // The comparisons, of which the figures have made some.
    count += comparison::count(seeds);
    for (name, text) in SCENARIOS {
        count += experiment::runs(&Scenario::parse(name, text)?);
    }
    Ok(count)
}

const STYLE: &str = "\
:root{--ink:#1a1a1a;--soft:#555;--line:#d5d5d5;--paper:#fff;--card:#fafafa}\
body{margin:0 auto;max-width:1180px;padding:0 16px 48px;color:var(--ink);background:var(--paper);\
font:16px/1.5 system-ui,sans-serif}\
h1{font-size:1.7rem;margin:1.2em 0 .2em}h2{font-size:1.3rem;margin:2em 0 .4em;\
border-bottom:1px solid var(--line)}\
nav a{margin-right:1em}a{color:#0b5cad}\
.grid{display:grid;gap:20px;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr))}\
figure{margin:0;padding:12px;background:var(--card);border:1px solid var(--line);border-radius:6px}\
figure svg{display:block;width:100%;min-width:500px;height:auto}\
figcaption b{display:block}figcaption{margin-bottom:8px}\
.answer{margin:8px 0 0}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}\
td,th{padding:3px 10px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;\
font-variant-numeric:tabular-nums}\
td:first-child,th:first-child{text-align:left}.bad{color:#b00020;font-weight:bold}";

/// The report as one HTML page.
///
/// # Errors
///
/// As [`scenario`].
pub fn html(seeds: u64, progress: impl Fn() + Sync) -> Result<String, ReportError> {
    let mut questions = Vec::new();
    for (name, text) in SCENARIOS {
        let scenario = Scenario::parse(name, text)?;
        let results = experiment::run(&scenario, &progress);
        questions.push(experiment::figure(name, &scenario, &results).map_err(ReportError)?);
    }
    let names = ns2::names();
    let mut runs = ns2::Runs::default();
    runs.make(ns2::setups(&names, seeds), &progress);
    let figures: Vec<Figure> = names
        .iter()
        .filter_map(|name| ns2::figure(name, &runs, seeds))
        .collect();
    let mut comparisons = comparison::compare(&mut runs, seeds, &progress);
    comparisons.extend(comparison::orders(&mut runs, 20, &progress));
    Ok(page(&questions, &figures, &comparisons, seeds))
}

fn page(
    questions: &[Figure],
    figures: &[Figure],
    comparisons: &[Comparison],
    seeds: u64,
) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>lvssim: report</title><style>{STYLE}</style></head><body>\
         <h1>The best scheduler for a case</h1>\
         <p>Simulations with the director's own schedulers. Whiskers are 95 % confidence \
         intervals.</p><nav><a href=\"#questions\">Questions</a>\
         <a href=\"#report\">The 2003 report</a><a href=\"#comparison\">Comparison with ns-2</a>\
         </nav>\
         <h2 id=\"questions\">Questions</h2><div class=\"grid\">"
    );
    for figure in questions {
        card(&mut html, figure);
    }
    let _ = write!(
        html,
        "</div><h2 id=\"report\">The figures of the 2003 report</h2>\
         <p>Y. Hu, \u{201c}Implementation, Simulation of Linux Virtual Server in ns-2\u{201d}. \
         Lines: lvssim, {seeds} seeds. Hollow diamonds: ns-2 2.35. Filled diamonds: values in the \
         report's text.</p><div class=\"grid\">"
    );
    for figure in figures {
        card(&mut html, figure);
    }
    html.push_str(
        "</div><h2 id=\"comparison\">Comparison with ns-2 and the report</h2><div class=\"scroll\">\
         <table><tr><th>what</th><th>from</th><th>to</th><th>lvssim</th><th></th></tr>",
    );
    for comparison in comparisons {
        let [low, high] = comparison.wanted;
        let verdict = match comparison.holds() {
            true => "<td>ok</td>",
            false => "<td class=\"bad\">off</td>",
        };
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{verdict}</tr>",
            escaped(&comparison.name),
            rounded(low),
            rounded(high),
            rounded(comparison.got)
        );
    }
    html.push_str("</table></div></body></html>\n");
    html
}

fn card(html: &mut String, figure: &Figure) {
    let _ = write!(
        html,
        "<figure id=\"{0}\"><figcaption><b>{1}</b></figcaption><div class=\"scroll\">{2}</div>",
        escaped(&figure.name),
        escaped(&figure.title),
        figure.svg()
    );
    if !figure.caption.is_empty() {
        let _ = write!(html, "<p class=\"answer\">{}</p>", escaped(&figure.caption));
    }
    html.push_str("</figure>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_has_a_figure_with_an_answer() {
        for (name, _) in SCENARIOS {
            let scenario = scenario(name).unwrap().unwrap();
            let figure = scenario.figure.unwrap();
            assert!(figure.answer.len() > 60, "{name}");
            assert!(scenario.points.len() > 1, "{name}");
        }
    }

    #[test]
    fn the_page_has_every_figure_and_says_what_is_off() {
        let figure = |name: &str| Figure {
            name: name.to_owned(),
            title: "a & b".to_owned(),
            ..Figure::default()
        };
        let comparison = Comparison {
            name: "one".to_owned(),
            wanted: [1.0, 2.0],
            got: 3.0,
        };
        let html = page(&[figure("q")], &[figure("f")], &[comparison], 5);
        for wanted in ["id=\"q\"", "id=\"f\"", "a &amp; b", "class=\"bad\""] {
            assert!(html.contains(wanted), "{wanted}");
        }
    }
}
