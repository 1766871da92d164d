// SPDX-License-Identifier: GPL-2.0-only

//! The results of a scenario.

use serde::Serialize;

use crate::statistics::Estimate;

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
