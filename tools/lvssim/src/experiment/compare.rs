// SPDX-License-Identifier: GPL-2.0-only

//! Differences between the points of a sweep, from pairs of runs with the same random numbers.

use serde::Serialize;

use super::observe::{observe, Run};
use crate::metric::METRICS;
use crate::scenario::Scenario;
use crate::statistics::Estimate;

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
