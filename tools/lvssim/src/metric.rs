// SPDX-License-Identifier: GPL-2.0-only

//! The quantities that are measured in each run.

use crate::cluster::Outcome;
use crate::engine::seconds;

/// A quantity that is measured in each replication.
pub struct Metric {
    /// Its name in tables, JSON and on command lines.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Takes it from the outcome of a run.
    pub get: fn(&Outcome) -> f64,
}

macro_rules! metrics {
    ($($name:literal $unit:literal $about:literal $get:expr;)*) => {
        /// All quantities.
        pub const METRICS: &[Metric] = &[$(
            Metric { name: $name, unit: $unit, about: $about, get: $get }
        ),*];
    };
}

metrics! {
    "throughput" "1/s" "requests answered a second" Outcome::throughput;
    "mean" "ms" "mean time from request to answer" |o| o.mean() * 1e3;
    "p50" "ms" "median of that time" |o| o.quantile(0.5) * 1e3;
    "p90" "ms" "its 90th percentile" |o| o.quantile(0.9) * 1e3;
    "p99" "ms" "its 99th percentile" |o| o.quantile(0.99) * 1e3;
    "p99.9" "ms" "its 99.9th percentile" |o| o.quantile(0.999) * 1e3;
    "max" "ms" "the longest time" |o| o.times.max() as f64 / 1e6;
    "utilization" "" "share of the time that cores work" utilization;
    "fairness" "" "Jain's index of the servers' utilizations" Outcome::fairness;
    "max/mean" "" "requests at the busiest server by the mean" Outcome::max_to_mean;
    "lost" "" "share of requests that were lost" Outcome::loss;
    "refused" "" "requests lost: no server takes connections" |o| o.refused as f64;
    "dropped" "" "requests lost: no room, or no answer to the SYN" |o| o.dropped as f64;
    "broken" "" "requests lost with a server or director" |o| o.broken as f64;
    "repeats" "" "SYNs sent again" |o| o.repeats as f64;
    "duplicates" "" "requests sent again on another connection" |o| o.again as f64;
    "wasted" "" "answers that nobody waited for" |o| o.wasted as f64;
    "moved" "" "share of a session's requests that met another server"
        |o| o.moved as f64 / o.followed.max(1) as f64;
    "queue" "" "mean requests in the system" |o| o.little().0;
    "longest" "" "the most requests at one server at once"
        |o| o.servers.iter().map(|server| server.most).max().unwrap_or(0) as f64;
    "recovery" "s" "time after a fault until p99 is back within a tenth (needs run.series)"
        Outcome::recovery;
}

fn utilization(outcome: &Outcome) -> f64 {
    let busy: u64 = outcome.servers.iter().map(|server| server.busy).sum();
    seconds(busy) / (seconds(outcome.span) * outcome.servers.len() as f64)
}
