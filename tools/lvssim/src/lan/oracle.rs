// SPDX-License-Identifier: GPL-2.0-only

//! What ns-2 2.35 gives for the 2003 report's first topology: `oracle/run` makes the file.

use std::sync::LazyLock;

use serde::Deserialize;

/// A run of ns-2: packets in one second, after half a second of warm-up.
#[derive(Deserialize)]
struct Line {
    servers: u32,
    clients: u32,
    megabits: u64,
    replied: u32,
    #[serde(rename = "lost-at-director")]
    lost_at_director: u32,
    #[serde(rename = "lost-at-servers")]
    lost_at_servers: u32,
}

/// The least number, the median and the greatest of all seeds.
pub(super) type Range = [f64; 3];

/// What ns-2 gives for so many servers and clients.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) servers: u32,
    pub(super) clients: u32,
    pub(super) megabits: u64,
    pub(super) replied: Range,
    pub(super) lost_at_director: Range,
    pub(super) lost_at_servers: Range,
}

/// All rows, by bandwidth, servers and clients.
pub(super) static ROWS: LazyLock<Vec<Row>> =
    LazyLock::new(|| rows(include_str!("../../oracle/ns2.json")));

fn rows(text: &str) -> Vec<Row> {
    // A test asserts that the file can be read.
    let mut lines: Vec<Line> = serde_json::from_str(text).unwrap_or_default();
    let key = |line: &Line| (line.megabits, line.servers, line.clients);
    lines.sort_by_key(key);
    lines
        .chunk_by(|one, other| key(one) == key(other))
        .map(|lines| Row {
            servers: lines[0].servers,
            clients: lines[0].clients,
            megabits: lines[0].megabits,
            replied: range(lines.iter().map(|line| line.replied)),
            lost_at_director: range(lines.iter().map(|line| line.lost_at_director)),
            lost_at_servers: range(lines.iter().map(|line| line.lost_at_servers)),
        })
        .collect()
}

fn range(values: impl Iterator<Item = u32>) -> Range {
    let mut values: Vec<f64> = values.map(f64::from).collect();
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let median = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
    [values[0], median, values[count - 1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_every_row_has_several_seeds() {
        let text = include_str!("../../oracle/ns2.json");
        let lines: Vec<Line> = serde_json::from_str(text).unwrap();
        assert!(lines.len() >= 3 * ROWS.len());
        assert!(ROWS
            .iter()
            .any(|row| (row.servers, row.clients) == (12, 30)));
    }

    #[test]
    fn a_range_is_least_median_and_greatest() {
        assert_eq!(range([5, 1, 3].into_iter()), [1.0, 3.0, 5.0]);
        assert_eq!(range([4, 1, 3, 2].into_iter()), [1.0, 2.5, 4.0]);
    }
}
