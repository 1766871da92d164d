// SPDX-License-Identifier: GPL-2.0-only

//! The form of a scenario file.

use serde::Deserialize;
use toml::{Spanned, Table};

use super::values::{Cost, Duration, Positive, Scheduler, Share, Until, Warmup};

/// What a scenario's figure shows: keys of the sweep, and a quantity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FigureEntry {
    /// The key along the horizontal axis.
    pub x: String,
    /// What the axis is called.
    pub x_label: String,
    /// The quantity.
    pub y: String,
    /// What the axis is called.
    pub y_label: String,
    /// The key that tells curves apart.
    #[serde(default)]
    pub series: Option<String>,
    /// The horizontal axis is logarithmic.
    #[serde(default)]
    pub log_x: bool,
    /// The vertical axis is logarithmic.
    #[serde(default)]
    pub log_y: bool,
    /// What follows from it.
    pub answer: String,
}

/// A scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    /// What it is about.
    #[serde(default)]
    pub(super) title: String,
    pub(super) run: Run,
    pub(super) service: Service,
    pub(super) servers: Vec<Servers>,
    pub(super) workload: Workload,
    #[serde(default)]
    pub(super) clients: ClientBehavior,
    #[serde(default)]
    pub(super) load_data: Option<LoadData>,
    #[serde(default)]
    pub(super) feedback: Option<FeedbackEntry>,
    #[serde(default)]
    pub(super) faults: Vec<Spanned<FaultEntry>>,
    #[serde(default)]
    pub(super) sweep: Option<Spanned<Table>>,
    #[serde(default)]
    pub(super) figure: Option<FigureEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Run {
    #[serde(default = "one")]
    pub(super) seed: u64,
    #[serde(default = "ten")]
    pub(super) replications: Spanned<u32>,
    #[serde(default)]
    pub(super) warmup: Option<Warmup>,
    pub(super) until: Spanned<Until>,
    #[serde(default)]
    pub(super) series: Option<Duration>,
}

fn one() -> u64 {
    1
}

fn ten() -> Spanned<u32> {
    Spanned::new(0..0, 10)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Service {
    pub(super) scheduler: Scheduler,
    #[serde(default)]
    pub(super) persistence: Option<Duration>,
    #[serde(default)]
    pub(super) flags: Vec<Flag>,
    #[serde(default)]
    pub(super) directors: Option<Spanned<u32>>,
    /// What a new connection costs the director.
    #[serde(default)]
    pub(super) cost: Option<Cost>,
    /// How long closed connections are counted, and as what.
    #[serde(default)]
    pub(super) linger: Option<Duration>,
    #[serde(default)]
    pub(super) linger_as: LingerAs,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LingerAs {
    #[default]
    Inactive,
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Flag {
    Port,
    Fallback,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Servers {
    #[serde(default = "count_one")]
    pub(super) count: Spanned<usize>,
    #[serde(default = "weight_one")]
    pub(super) weight: u32,
    #[serde(default = "speed_one")]
    pub(super) speed: Positive,
    #[serde(default = "weight_one")]
    pub(super) cores: u32,
    #[serde(default)]
    pub(super) queue: Option<usize>,
    #[serde(default)]
    pub(super) discipline: DisciplineName,
    #[serde(default)]
    pub(super) threshold: u32,
}

fn count_one() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

fn weight_one() -> u32 {
    1
}

fn speed_one() -> Positive {
    Positive(1.0)
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DisciplineName {
    #[default]
    Fifo,
    Ps,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Workload {
    /// The share of the servers' capacity that is asked for.
    #[serde(default)]
    pub(super) load: Option<Positive>,
    /// Requests, or sessions, a second.
    #[serde(default)]
    pub(super) rate: Option<Spanned<Positive>>,
    #[serde(default)]
    pub(super) arrivals: ArrivalsEntry,
    pub(super) size: SizeEntry,
    #[serde(default)]
    pub(super) clients: ClientsEntry,
    #[serde(default)]
    pub(super) addresses: Option<u16>,
    #[serde(default)]
    pub(super) session: Option<SessionEntry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SessionEntry {
    pub(super) requests: Positive,
    pub(super) think: Duration,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum ArrivalsEntry {
    #[default]
    Poisson,
    Deterministic,
    /// Two rates in turn: how many times the calm one the other is, and how long each lasts.
    Bursts {
        ratio: Positive,
        calm: Duration,
        storm: Duration,
    },
    OnOff {
        sources: u32,
        alpha: Positive,
        least: Duration,
    },
    Diurnal {
        period: Duration,
        depth: Share,
        /// A factor for each period in turn, such as the days of a week.
        #[serde(default)]
        days: Vec<Positive>,
    },
    Flash {
        at: Duration,
        hold: Duration,
        factor: Positive,
    },
    /// Requests from a file, such as an access log.
    Trace {
        file: Spanned<String>,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum SizeEntry {
    Constant {
        mean: Duration,
    },
    Exponential {
        mean: Duration,
    },
    Uniform {
        from: Duration,
        to: Duration,
    },
    Lognormal {
        mean: Duration,
        cv2: Positive,
    },
    Hyperexponential {
        mean: Duration,
        cv2: Positive,
    },
    Pareto {
        mean: Duration,
        alpha: Positive,
        ratio: Positive,
    },
    Bimodal {
        mean: Duration,
        factor: Positive,
        share: Share,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum ClientsEntry {
    /// Each request comes from another client.
    #[default]
    Fresh,
    Equal {
        count: u32,
    },
    Zipf {
        count: u32,
        exponent: Positive,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ClientBehavior {
    #[serde(default)]
    pub(super) repeat_syn: bool,
    #[serde(default)]
    pub(super) timeout: Option<Duration>,
    #[serde(default = "three")]
    pub(super) attempts: u8,
}

fn three() -> u8 {
    3
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum LoadData {
    Exact,
    Snapshot {
        period: Duration,
        #[serde(default)]
        loss: Option<Share>,
        #[serde(default)]
        own: bool,
    },
    Delayed {
        age: Duration,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FeedbackEntry {
    /// None at all if it is 0.
    pub(super) period: Duration,
    #[serde(default)]
    pub(super) age: u32,
    #[serde(default = "half")]
    pub(super) reference: Spanned<u32>,
}

fn half() -> Spanned<u32> {
    Spanned::new(0..0, 50)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FaultEntry {
    pub(super) at: Duration,
    #[serde(default)]
    pub(super) server: usize,
    pub(super) kind: FaultKind,
    #[serde(default)]
    pub(super) repair: Option<Duration>,
    #[serde(default)]
    pub(super) detected_after: Option<Duration>,
    /// It happens again after so long.
    #[serde(default)]
    pub(super) every: Option<Positive>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum FaultKind {
    Crash,
    Hang,
    Slow { factor: Positive },
    Join { ramp: Duration },
    Director { state: bool },
}
