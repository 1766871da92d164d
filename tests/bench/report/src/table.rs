// SPDX-License-Identifier: GPL-2.0-only

//! Text for people: a table of costs for each kernel, and one of memory.

use std::fmt::Write as _;

use comfy_table::{presets, CellAlignment, Table};
use serde_json::Value;

use crate::number::{grouped, signed};
use crate::record::Mode;
use crate::results::{Costs, Results, Rows, Series};

/// What the columns are.
const COLUMNS: &str = "\
spread         from the least to the greatest round, in percent of the median
added to bare  the median less that of bare forwarding (in the row itself or, without it, in row forwarding)
against bare   throughput by that of bare forwarding: above 1 is faster
against ip_vs  how many times cheaper ipvs_rs is than ip_vs
";

/// Returns all tables, below the circumstances of the measurements.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    for meta in &results.meta {
        let facts: Vec<String> = meta
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", facts.join(", "));
    }
    for (kernel, costs) in &results.costs {
        let unit = costs.unit.title();
        let mut heading = format!("{}: {unit} per packet, medians", kernel.title());
        if costs.rows.keys().any(|name| name.is_new()) {
            heading += "; per new connection in rows new-*";
        }
        let _ = write!(text, "\n{heading}\n{}\n", costs_table(costs));
    }
    for (kernel, rows) in &results.memory {
        let heading = format!(
            "{}: bytes of memory per connection, medians",
            kernel.title()
        );
        let _ = write!(text, "\n{heading}\n{}\n", memory_table(rows));
    }
    let _ = write!(text, "\n{COLUMNS}");
    text
}

/// A string without quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A table with a line for each row and mode. The first `names` columns are names.
fn new_table(header: &[&str], names: usize) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_header(header);
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Only the row's first mode shows its name.
fn name_if_first(name: &str, index: usize) -> String {
    if index == 0 {
        name.to_owned()
    } else {
        String::new()
    }
}

/// Nothing for a single round, which has no spread.
fn spread(series: &Series) -> String {
    if series.rounds() == 1 {
        return String::new();
    }
    format!("{:.1} %", series.spread_percent())
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default()
}

fn costs_table(costs: &Costs) -> Table {
    let unit = costs.unit.title();
    let header = [
        "row",
        "mode",
        unit,
        "spread",
        "added to bare",
        "against bare",
        "against ip_vs",
    ];
    let mut table = new_table(&header, 2);
    for (name, row) in &costs.rows {
        for (index, (mode, series)) in row.modes.iter().enumerate() {
            let comparison = costs.compare(name, *mode);
            let against_ip_vs = row.ours_to_ip_vs().filter(|_| *mode == Mode::IpvsRs);
            table.add_row([
                name_if_first(name.as_str(), index),
                mode.to_string(),
                grouped(series.median(), costs.unit.decimals()),
                spread(series),
                comparison
                    .map(|it| signed(it.added, costs.unit.decimals()))
                    .unwrap_or_default(),
                ratio(comparison.map(|it| it.ratio)),
                ratio(against_ip_vs),
            ]);
        }
    }
    table
}

fn memory_table(rows: &Rows) -> Table {
    let header = [
        "row",
        "mode",
        "connections",
        "bytes",
        "spread",
        "slab object",
        "against ip_vs",
    ];
    let mut table = new_table(&header, 2);
    for (name, row) in rows {
        for (index, (mode, series)) in row.modes.iter().enumerate() {
            let against_ip_vs = row.ours_to_ip_vs().filter(|_| *mode == Mode::IpvsRs);
            table.add_row([
                name_if_first(name.as_str(), index),
                mode.to_string(),
                row.flows
                    .map(|flows| grouped(flows as f64, 0))
                    .unwrap_or_default(),
                grouped(series.median(), 1),
                spread(series),
                series
                    .entry
                    .map(|entry| grouped(entry as f64, 0))
                    .unwrap_or_default(),
                ratio(against_ip_vs),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record;

    const RAW: &str = r#"
{"kind":"meta","kernel":"uml","rounds":3}
{"kind":"cost","kernel":"uml","row":"forwarding","mode":"bare","round":1,"packets":9,"value":468,"unit":"ns"}
{"kind":"cost","kernel":"uml","row":"nat-100","mode":"ip_vs","round":1,"packets":9,"value":642.5,"unit":"ns"}
{"kind":"cost","kernel":"uml","row":"nat-100","mode":"ip_vs","round":2,"packets":9,"value":655,"unit":"ns"}
{"kind":"cost","kernel":"uml","row":"nat-100","mode":"ip_vs","round":3,"packets":9,"value":645,"unit":"ns"}
{"kind":"cost","kernel":"uml","row":"nat-100","mode":"ipvs_rs","round":1,"packets":9,"value":430,"unit":"ns"}
{"kind":"cost","kernel":"uml","row":"new-1m","mode":"ip_vs","round":1,"packets":9,"value":2242.2,"unit":"ns"}
{"kind":"memory","kernel":"uml","row":"memory","mode":"ip_vs","round":1,"connections":100000,"bytes":38000000,"entry":320}
{"kind":"memory","kernel":"uml","row":"memory","mode":"ipvs_rs","round":1,"connections":100000,"bytes":13600000}
"#;

    const TABLE: &str = "\
kernel uml, rounds 3

User Mode Linux: ns per packet, medians; per new connection in rows new-*
┌────────────┬─────────┬─────────┬────────┬───────────────┬──────────────┬───────────────┐
│ row        ┆ mode    ┆      ns ┆ spread ┆ added to bare ┆ against bare ┆ against ip_vs │
╞════════════╪═════════╪═════════╪════════╪═══════════════╪══════════════╪═══════════════╡
│ forwarding ┆ bare    ┆   468.0 ┆        ┆               ┆              ┆               │
│ nat-100    ┆ ip_vs   ┆   645.0 ┆  1.9 % ┆        +177.0 ┆         0.73 ┆               │
│            ┆ ipvs_rs ┆   430.0 ┆        ┆         -38.0 ┆         1.09 ┆          1.50 │
│ new-1m     ┆ ip_vs   ┆ 2,242.2 ┆        ┆      +1,774.2 ┆         0.21 ┆               │
└────────────┴─────────┴─────────┴────────┴───────────────┴──────────────┴───────────────┘

User Mode Linux: bytes of memory per connection, medians
┌────────┬─────────┬─────────────┬───────┬────────┬─────────────┬───────────────┐
│ row    ┆ mode    ┆ connections ┆ bytes ┆ spread ┆ slab object ┆ against ip_vs │
╞════════╪═════════╪═════════════╪═══════╪════════╪═════════════╪═══════════════╡
│ memory ┆ ip_vs   ┆     100,000 ┆ 380.0 ┆        ┆         320 ┆               │
│        ┆ ipvs_rs ┆     100,000 ┆ 136.0 ┆        ┆             ┆          2.79 │
└────────┴─────────┴─────────────┴───────┴────────┴─────────────┴───────────────┘

";

    #[test]
    fn the_tables_look_like_this() {
        let results = Results::new(record::parse(Path::new("raw"), RAW).unwrap()).unwrap();
        let text = render(&results);
        assert_eq!(text.strip_suffix(COLUMNS), Some(TABLE), "{text}");
    }
}
