// SPDX-License-Identifier: GPL-2.0-only

//! What the module was measured to cost: `tests/bench/measured.json`, whose figures are also those
//! of the page about performance.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::engine::Time;

/// The record: nanoseconds by the benchmark's names of rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    machine: String,
    nanoseconds: BTreeMap<String, u64>,
}

static RECORD: LazyLock<Record> = LazyLock::new(|| {
    let text = include_str!("../../../tests/bench/measured.json");
    match serde_json::from_str(text) {
        Ok(record) => record,
        Err(error) => unreachable!("the record is tested: {error}"),
    }
});

/// The nanoseconds that the module takes for a row of the benchmark, such as `nat-100`; 0 if the
/// row is not recorded.
#[must_use]
pub fn nanoseconds(row: &str) -> Time {
    RECORD.nanoseconds.get(row).copied().unwrap_or(0)
}

/// Where they were measured.
#[must_use]
pub fn machine() -> &'static str {
    &RECORD.machine
}

/// What the module takes for a new connection, its first packet included.
#[must_use]
pub fn new_connection() -> Time {
    nanoseconds("new-1m")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of the page about performance that has this beginning, as numbers.
    fn page(beginning: &str) -> Vec<String> {
        let page = include_str!("../../../Documentation/performance.rst");
        let (_, page) = page.split_once("Nanoseconds for a packet").unwrap();
        let line = page.lines().find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("no line {beginning}"));
        let words = line.trim_start_matches(beginning).split_whitespace();
        words.map(|word| word.replace(',', "")).collect()
    }

    #[test]
    fn the_record_has_the_figures_of_the_page_about_performance() {
        for (beginning, place, row) in [
            ("NAT  ", 2, "nat-100"),
            ("DR  ", 2, "dr-100"),
            ("TUN  ", 2, "tun-100"),
            ("NAT, replies", 2, "nat-reply-100"),
            ("1,000,000  ", 3, "flows-1000000"),
            ("million in a row take", 0, "new-1m"),
        ] {
            assert_eq!(
                page(beginning)[place],
                nanoseconds(row).to_string(),
                "{row}"
            );
        }
        assert_eq!(RECORD.nanoseconds.len(), 6);
    }
}
