// SPDX-License-Identifier: GPL-2.0-only

//! The JSON file. Other tools may rely on these fields:
//!
//! ```text
//! {
//!   "meta": [{"kernel": "uml", "release": "...", ...}, ...]      as the guest printed them
//!   "rows": [                                                    by kernel, then as in the tables
//!     {
//!       "kernel": "uml" | "icount",
//!       "row": "nat-100",
//!       "unit": "ns" | "instructions",                   per packet; in rows new-* per connection
//!       "flows": 100,                                            absent when the guest did not say
//!       "servers": 4,                                            likewise
//!       "baseline": {"row": "forwarding", "median": 468.2},      bare forwarding; may be absent
//!       "modes": {
//!         "bare" | "nftables" | "ip_vs" | "ipvs_rs": {
//!           "median": 645.1, "min": 640.0, "max": 660.2, "spread_percent": 3.1313, "rounds": 5,
//!           "added": 176.9,            median less the baseline's; not for bare
//!           "ratio_to_bare": 0.7258,   baseline's median by this one; not for bare
//!           "ratio_to_ip_vs": 1.4     ip_vs's median by this one; only for ipvs_rs
//!         }
//!       }
//!     }
//!   ],
//!   "memory": [                                                  likewise; bytes per connection
//!     {
//!       "kernel": "uml", "row": "memory-1m", "unit": "bytes", "connections": 1000000,
//!       "modes": {"ip_vs": {"median": ..., "min": ..., "max": ..., ... "rounds": ...,
//!                           "entry": 320,                        the slab object's size, if known
//!                           "ratio_to_ip_vs": ...}}
//!     }
//!   ]
//! }
//! ```
//!
//! Numbers are rounded to four decimals.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::record::{Kernel, Mode, Unit};
use crate::results::{Comparison, Costs, Results, Row, Series};
use crate::row_name::RowName;

#[derive(Serialize)]
struct Document<'a> {
    meta: &'a [Map<String, Value>],
    rows: Vec<CostRow<'a>>,
    memory: Vec<MemoryRow<'a>>,
}

#[derive(Serialize)]
struct CostRow<'a> {
    kernel: Kernel,
    row: &'a str,
    unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Baseline>,
    modes: BTreeMap<Mode, Figures>,
}

#[derive(Serialize)]
struct Baseline {
    row: String,
    median: f64,
}

#[derive(Serialize)]
struct MemoryRow<'a> {
    kernel: Kernel,
    row: &'a str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    modes: BTreeMap<Mode, Figures>,
}

#[derive(Serialize)]
struct Figures {
    median: f64,
    min: f64,
    max: f64,
    spread_percent: f64,
    rounds: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_bare: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_ip_vs: Option<f64>,
}

impl Figures {
    fn new(row: &Row, mode: Mode, series: &Series, comparison: Option<Comparison>) -> Self {
        Self {
            median: rounded(series.median()),
            min: rounded(series.min()),
            max: rounded(series.max()),
            spread_percent: rounded(series.spread_percent()),
            rounds: series.rounds(),
            entry: series.entry,
            added: comparison.map(|it| rounded(it.added)),
            ratio_to_bare: comparison.map(|it| rounded(it.ratio)),
            ratio_to_ip_vs: row
                .ours_to_ip_vs()
                .filter(|_| mode == Mode::IpvsRs)
                .map(rounded),
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn cost_row<'a>(kernel: Kernel, costs: &Costs, name: &'a RowName, row: &Row) -> CostRow<'a> {
    let modes = row.modes.iter();
    CostRow {
        kernel,
        row: name.as_str(),
        unit: costs.unit,
        flows: row.flows,
        servers: row.servers,
        baseline: costs.baseline(name).map(|(name, median)| Baseline {
            row: name.to_string(),
            median: rounded(median),
        }),
        modes: modes
            .map(|(mode, series)| {
                (
                    *mode,
                    Figures::new(row, *mode, series, costs.compare(name, *mode)),
                )
            })
            .collect(),
    }
}

fn memory_row<'a>(kernel: Kernel, name: &'a RowName, row: &Row) -> MemoryRow<'a> {
    let modes = row.modes.iter();
    MemoryRow {
        kernel,
        row: name.as_str(),
        unit: "bytes",
        connections: row.flows,
        modes: modes
            .map(|(mode, series)| (*mode, Figures::new(row, *mode, series, None)))
            .collect(),
    }
}

/// The file's text.
pub fn render(results: &Results) -> Result<String, serde_json::Error> {
    let costs = results.costs.iter();
    let memory = results.memory.iter();
    let document = Document {
        meta: &results.meta,
        rows: costs
            .flat_map(|(kernel, costs)| {
                costs
                    .rows
                    .iter()
                    .map(|(name, row)| cost_row(*kernel, costs, name, row))
            })
            .collect(),
        memory: memory
            .flat_map(|(kernel, rows)| {
                rows.iter()
                    .map(|(name, row)| memory_row(*kernel, name, row))
            })
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
