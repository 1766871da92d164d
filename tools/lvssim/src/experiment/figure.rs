// SPDX-License-Identifier: GPL-2.0-only

//! The figure that a scenario asks for.

use super::results::Results;
use crate::metric::METRICS;
use crate::plot::{Figure, Series};
use crate::scenario::{Duration, Scenario};
use crate::statistics::Estimate;

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
