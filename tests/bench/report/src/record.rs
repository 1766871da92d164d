// SPDX-License-Identifier: GPL-2.0-only

//! The lines that the guest prints. A record is a line that begins with `{`. All other lines of the
//! console are ignored.
//!
//! Unknown fields are ignored as well, except in a `meta` record.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;

/// The kernel that a guest ran.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// User Mode Linux: native time.
    Uml,
    /// The stock kernel on an emulated processor that counts instructions.
    Icount,
}

impl Kernel {
    /// The name in records and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uml => "uml",
            Self::Icount => "icount",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Uml => "User Mode Linux",
            Self::Icount => "stock kernel under icount",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The program that handled the packets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Plain forwarding, before any director is loaded.
    Bare,
    /// A DNAT map of nftables.
    Nftables,
    /// A DNAT map of nftables with a flowtable, the kernel's own fast path.
    Flowtable,
    /// The C director.
    IpVs,
    /// This project's director.
    IpvsRs,
}

impl Mode {
    /// All modes, in the order of columns, bars and legends.
    pub const ALL: [Self; 5] = [
        Self::Bare,
        Self::Nftables,
        Self::Flowtable,
        Self::IpVs,
        Self::IpvsRs,
    ];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Nftables => "nftables",
            Self::Flowtable => "flowtable",
            Self::IpVs => "ip_vs",
            Self::IpvsRs => "ipvs_rs",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare forwarding",
            Self::Nftables => "nftables DNAT map",
            Self::Flowtable => "nftables flowtable",
            Self::IpVs => "ip_vs (C)",
            Self::IpvsRs => "ipvs_rs",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The unit of a cost.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Instructions of the processor.
    Instructions,
}

impl Unit {
    /// The name for people and for the axes of plots.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Instructions => "instructions",
        }
    }

    /// The number of significant decimals.
    pub fn decimals(self) -> usize {
        match self {
            Self::Ns => 1,
            Self::Instructions => 0,
        }
    }
}

/// The cost of a packet, or of a new connection in rows that begin with `new`.
#[derive(Debug, Deserialize)]
pub struct Cost {
    /// The kernel that ran.
    pub kernel: Kernel,
    /// The row's name.
    pub row: String,
    /// The program that handled the packets.
    pub mode: Mode,
    /// The number of the round.
    pub round: u32,
    /// The number of packets, or new connections, that were averaged.
    pub packets: u64,
    /// The cost of one.
    pub value: f64,
    /// The unit of the cost.
    pub unit: Unit,
    /// Distinct flows among the packets.
    pub flows: Option<u64>,
    /// Real servers of the service.
    pub servers: Option<u64>,
}

/// The memory that a number of connections took.
#[derive(Debug, Deserialize)]
pub struct Memory {
    /// The kernel that ran.
    pub kernel: Kernel,
    /// The row's name.
    pub row: String,
    /// The program that had the connections.
    pub mode: Mode,
    /// The number of the round.
    pub round: u32,
    /// The number of concurrent connections.
    pub connections: u64,
    /// The decrease of the free memory.
    pub bytes: i64,
    /// The size of a connection's slab object.
    pub entry: Option<u64>,
}

/// One record of the guest.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// The circumstances of the measurement, shown unchanged.
    Meta(Map<String, Value>),
    /// A cost.
    Cost(Cost),
    /// Memory.
    Memory(Memory),
}

impl Record {
    /// Parses a record's text; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match &record {
            Self::Cost(cost) if cost.packets == 0 => Err("packets is 0".to_owned()),
            Self::Cost(cost) if cost.value <= 0.0 => {
                Err(format!("value is {}, not above 0", cost.value))
            }
            Self::Memory(memory) if memory.connections == 0 => Err("connections is 0".to_owned()),
            Self::Memory(memory) if memory.bytes <= 0 => {
                Err(format!("bytes is {}, not above 0", memory.bytes))
            }
            _ => Ok(record),
        }
    }
}

/// The place of a record, for messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    file: String,
    line: usize,
}

impl Place {
    /// A line of a file, counted from 1.
    pub fn new(file: &Path, line: usize) -> Self {
        Self {
            file: file.display().to_string(),
            line,
        }
    }

    /// An error at this place.
    pub fn error(&self, reason: impl fmt::Display) -> Error {
        Error::new(format!("{self}: {reason}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Returns all records of a file's text, with their places.
pub fn parse(file: &Path, text: &str) -> Result<Vec<(Place, Record)>, Error> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with('{'));
    lines
        .map(|(index, line)| {
            let place = Place::new(file, index + 1);
            match Record::parse(line) {
                Ok(record) => Ok((place, record)),
                Err(reason) => Err(place.error(format_args!("broken record: {reason}"))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(Path::new("raw"), text).unwrap_err().to_string()
    }

    #[test]
    fn other_lines_are_passed_over() {
        let text =
            "[    0.0] Linux\r\n{\"kind\":\"meta\",\"kernel\":\"uml\",\"x\":\"y\"}\r\n\nok {}\n";
        let records = parse(Path::new("raw"), text).unwrap();
        let [(place, Record::Meta(meta))] = records.as_slice() else {
            panic!("{records:?}");
        };
        assert_eq!(place.to_string(), "raw:2");
        // The tag is not a fact about the measurement.
        assert_eq!(meta.len(), 2);
        assert_eq!(meta["x"], "y");
    }

    #[test]
    fn a_broken_record_is_named_by_file_and_line() {
        assert!(error("\n\n{\"kind\":\"cost\"").starts_with("raw:3: broken record: EOF"));
        assert!(
            error("{\"kind\":\"price\"}").contains("raw:1: broken record: unknown variant `price`")
        );
        let memory = r#"{"kind":"memory","kernel":"uml","row":"m","mode":"ip_vs","round":1"#;
        assert!(error(&format!("{memory},\"bytes\":1}}")).contains("missing field `connections`"));
        assert!(
            error(&format!("{memory},\"bytes\":-1,\"connections\":1}}")).contains("bytes is -1")
        );
        assert!(error(&format!("{memory},\"bytes\":1,\"connections\":0}}"))
            .contains("connections is 0"));
    }

    #[test]
    fn a_cost_is_above_zero_and_in_a_known_unit() {
        let cost = |value: &str, unit: &str, mode: &str| {
            format!(
                r#"{{"kind":"cost","kernel":"uml","row":"nat-100","mode":"{mode}","round":1,"packets":5,
                   "value":{value},"unit":"{unit}"}}"#
            )
            .replace('\n', "")
        };
        assert!(parse(Path::new("raw"), &cost("0.1", "ns", "bare")).is_ok());
        assert!(error(&cost("0", "ns", "bare")).contains("value is 0, not above 0"));
        assert!(error(&cost("1", "s", "bare")).contains("unknown variant `s`"));
        assert!(error(&cost("1", "ns", "ipvs")).contains("unknown variant `ipvs`"));
    }
}
