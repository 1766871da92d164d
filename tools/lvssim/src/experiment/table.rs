// SPDX-License-Identifier: GPL-2.0-only

//! Results as aligned text.

use super::results::{Results, Value};

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
