// SPDX-License-Identifier: GPL-2.0-only

//! The gate: the instructions that `ipvs_rs` adds to a packet must not exceed the recorded ones.
//! Instruction counts hardly differ between runs, so a difference comes from the code.
//!
//! The recorded figures are a JSON file:
//!
//! ```json
//! {
//!   "tolerance_percent": 3,
//!   "tolerance_least": 20,
//!   "added": {"nat-100": -500, "bystander": 40}
//! }
//! ```
//!
//! A row passes when it adds at most the recorded figure and the tolerance: so many percent of the
//! figure (without its sign), but at least `tolerance_least` instructions.
//!
//! Some rows are compared with the same packets of the same director without what the row is about,
//! and may add so many instructions, whatever is recorded: those of [`PAIRS`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::number::signed;
use crate::record::{Kernel, Mode};
use crate::results::Results;
use crate::row_name::RowName;

/// A row that is compared with another one.
pub struct Pair {
    /// The row.
    pub row: &'static str,
    /// The other one.
    pub without: &'static str,
    /// The most instructions that may lie between them.
    pub most: i64,
}

/// The rows that are compared with another one.
pub const PAIRS: [Pair; 2] = [
    // TCP segments while modules are loaded that read other packets.
    Pair {
        row: "tcp-helpers-100",
        without: "tcp-nat-100",
        most: 3,
    },
    // Segments that end connections, while a synchronization master runs.
    Pair {
        row: "tcp-fin-1000-master",
        without: "tcp-fin-1000",
        most: 60,
    },
];

/// The pair of a row, if it has one.
fn pair(row: &str) -> Option<&'static Pair> {
    PAIRS.iter().find(|pair| pair.row == row)
}

/// Rows that are recorded whenever they were measured.
pub const ROWS: [&str; 10] = [
    "nat-100",
    "dr-100",
    "tun-100",
    "bystander",
    "nat6-100",
    "dr6-100",
    "tun6-100",
    "bystander6",
    PAIRS[0].row,
    PAIRS[1].row,
];

/// The recorded figures.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The permitted increase, in percent of a figure.
    pub tolerance_percent: u32,
    /// The least permitted increase in instructions: percentages of a small figure are too small.
    pub tolerance_least: u32,
    /// Instructions added per packet, for each row.
    pub added: BTreeMap<String, i64>,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            tolerance_percent: 3,
            tolerance_least: 20,
            added: BTreeMap::new(),
        }
    }
}

/// The gate's verdict on a row.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Not above the limit.
    Pass {
        /// Instructions added.
        measured: i64,
        /// As recorded.
        recorded: i64,
        /// The most that passes.
        limit: i64,
    },
    /// Above the limit; the fields are those of a pass.
    Fail {
        /// Instructions added.
        measured: i64,
        /// As recorded.
        recorded: i64,
        /// The most that passes.
        limit: i64,
    },
    /// `ipvs_rs` was not measured, or there is no bare forwarding to compare it with.
    Missing,
}

impl Verdict {
    /// Whether this lets the change through.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, measured, recorded, limit) = match self {
            Self::Pass {
                measured,
                recorded,
                limit,
            } => ("ok", measured, recorded, limit),
            Self::Fail {
                measured,
                recorded,
                limit,
            } => ("FAILED", measured, recorded, limit),
            Self::Missing => {
                return formatter
                    .write_str("MISSING: not measured with both bare and ipvs_rs under icount");
            }
        };
        let [measured, recorded, limit] =
            [measured, recorded, limit].map(|figure| signed(*figure as f64, 0));
        write!(
            formatter,
            "{word}: adds {measured} instructions a packet; recorded {recorded}, at most {limit}"
        )
    }
}

/// Whole instructions that `ipvs_rs`, or in a row of [`PAIRS`] what it is about, adds to a packet.
fn measured(results: &Results, row: &str) -> Option<i64> {
    let costs = results.costs.get(&Kernel::Icount)?;
    if let Some(pair) = pair(row) {
        let median = |row| costs.rows.get(&RowName::from(row))?.median(Mode::IpvsRs);
        return Some((median(row)? - median(pair.without)?).round() as i64);
    }
    let comparison = costs.compare(&RowName::from(row), Mode::IpvsRs)?;
    Some(comparison.added.round() as i64)
}

impl Recorded {
    /// The most that a row may add.
    fn limit(&self, row: &str, recorded: i64) -> i64 {
        if let Some(pair) = pair(row) {
            return pair.most;
        }
        // Whole instructions, so what lies between two of them makes no difference.
        let percent = recorded.unsigned_abs() as i64 * i64::from(self.tolerance_percent) / 100;
        recorded + percent.max(i64::from(self.tolerance_least))
    }

    /// The verdict on each recorded row.
    pub fn judge(&self, results: &Results) -> Vec<(String, Verdict)> {
        let judge = |row: &str, recorded: i64| {
            let limit = self.limit(row, recorded);
            match measured(results, row) {
                None => Verdict::Missing,
                Some(measured) if measured <= limit => Verdict::Pass {
                    measured,
                    recorded,
                    limit,
                },
                Some(measured) => Verdict::Fail {
                    measured,
                    recorded,
                    limit,
                },
            }
        };
        let rows = self.added.iter();
        rows.map(|(row, recorded)| (row.clone(), judge(row, *recorded)))
            .collect()
    }

    /// Returns the same rows, and the measured ones of [`ROWS`], with the new figures. A recorded
    /// row without a measurement is an error, so no row leaves the gate unnoticed.
    pub fn renewed(&self, results: &Results) -> Result<Self, String> {
        let known = self.added.keys().map(String::as_str);
        let new = ROWS
            .into_iter()
            .filter(|row| measured(results, row).is_some());
        let added: Result<BTreeMap<String, i64>, String> = known
            .chain(new)
            .map(|row| match measured(results, row) {
                Some(measured) => Ok((row.to_owned(), measured)),
                None => Err(format!("{row}: {}", Verdict::Missing)),
            })
            .collect();
        Ok(Self {
            added: added?,
            ..*self
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record;

    /// Rows with 8,000 instructions of bare forwarding and what ipvs_rs adds to them.
    fn results(rows: &[(&str, f64)]) -> Results {
        let line = |row: &str, mode: &str, value: f64| {
            format!(
                "{{\"kind\":\"cost\",\"kernel\":\"icount\",\"row\":\"{row}\",\"mode\":\"{mode}\",\"round\":1,\
                 \"packets\":1000,\"value\":{value},\"unit\":\"instructions\"}}\n"
            )
        };
        let lines = rows
            .iter()
            .map(|(row, added)| line(row, "bare", 8e3) + &line(row, "ipvs_rs", 8e3 + added));
        Results::new(record::parse(Path::new("raw"), &lines.collect::<String>()).unwrap()).unwrap()
    }

    fn recorded(row: &str, added: i64) -> Recorded {
        Recorded {
            added: BTreeMap::from([(row.to_owned(), added)]),
            ..Recorded::default()
        }
    }

    fn verdict(added: i64, measured: f64) -> Verdict {
        let mut verdicts = recorded("nat-100", added).judge(&results(&[("nat-100", measured)]));
        verdicts.pop().unwrap().1
    }

    #[test]
    fn the_limit_is_three_percent_above() {
        let (recorded, limit) = (2_000, 2_060);
        assert_eq!(
            verdict(recorded, 2_060.0),
            Verdict::Pass {
                measured: 2_060,
                recorded,
                limit
            }
        );
        assert_eq!(
            verdict(recorded, 2_061.0),
            Verdict::Fail {
                measured: 2_061,
                recorded,
                limit
            }
        );
        assert!(verdict(recorded, -2_000.0).passes());
    }

    #[test]
    fn the_limit_of_a_saving_is_three_percent_above_too() {
        assert!(verdict(-1_000, -970.0).passes());
        assert!(!verdict(-1_000, -969.0).passes());
    }

    #[test]
    fn a_small_figure_has_the_least_tolerance() {
        assert!(verdict(0, 20.4).passes());
        assert!(!verdict(0, 21.0).passes());
        assert!(verdict(-500, -480.0).passes());
        assert!(!verdict(-500, -479.0).passes());
    }

    #[test]
    fn a_row_that_was_not_measured_does_not_pass() {
        let verdicts = recorded("dr-100", 0).judge(&results(&[("nat-100", 0.0)]));
        assert_eq!(verdicts, [("dr-100".to_owned(), Verdict::Missing)]);
        assert!(!Verdict::Missing.passes());
    }

    #[test]
    fn recording_keeps_rows_and_tolerances_and_adds_the_gates_rows() {
        let before = Recorded {
            tolerance_percent: 5,
            ..recorded("tcp-nat-100", 7)
        };
        let results = results(&[
            ("nat-100", -500.4),
            ("tcp-nat-100", 9.0),
            ("nat-reply-100", 1.0),
        ]);
        let after = before.renewed(&results).unwrap();
        let added = [("nat-100".to_owned(), -500), ("tcp-nat-100".to_owned(), 9)];
        assert_eq!(
            after,
            Recorded {
                added: added.into(),
                ..before
            }
        );
    }

    #[test]
    fn a_row_of_a_pair_adds_so_much_at_most_whatever_is_recorded() {
        for Pair { row, without, most } in PAIRS {
            let verdict = |with| {
                let results = results(&[(without, -100.0), (row, with)]);
                recorded(row, 90).judge(&results).pop().unwrap().1
            };
            assert!(verdict(most as f64 - 100.0).passes());
            assert!(!verdict(most as f64 - 99.0).passes());
        }
    }

    #[test]
    fn recording_loses_no_row() {
        let error = recorded("dr-100", 0)
            .renewed(&results(&[("nat-100", 0.0)]))
            .unwrap_err();
        assert!(error.starts_with("dr-100: MISSING"), "{error}");
    }
}
