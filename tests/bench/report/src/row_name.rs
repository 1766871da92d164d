// SPDX-License-Identifier: GPL-2.0-only

//! Names of rows, and their order.

use std::cmp::Ordering;
use std::fmt;

/// The row of plain forwarding.
const FORWARDING: &str = "forwarding";

/// Kinds of rows, in the order of tables.
const KINDS: [&str; 28] = [
    FORWARDING,
    "nat",
    "dr",
    "tun",
    "direct",
    "nat-reply",
    "tcp-nat",
    "tcp-helpers",
    "bystander",
    "nat6",
    "dr6",
    "tun6",
    "direct6",
    "bystander6",
    "flows",
    "new",
    "memory",
    "nic-nat",
    "nic-dr",
    "nic-tun",
    "nic-reply",
    "nic-tcp",
    "nic-bulk",
    "nic-nat6",
    "nic-dr6",
    "nic-tun6",
    "nic-new",
    "nic-flows",
];

/// A row's name. Rows of a kind sort together, and numbers in names sort as numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RowName(String);

impl RowName {
    /// Plain forwarding.
    pub fn forwarding() -> Self {
        Self::from(FORWARDING)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the cost is that of a new connection, not of a packet.
    pub fn is_new(&self) -> bool {
        self.0.starts_with("new") || self.0.starts_with("nic-new")
    }

    fn sort_key(&self) -> (usize, Vec<(u64, &str)>) {
        let is_kind = |kind: &&str| {
            let rest = self.0.strip_prefix(*kind);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let kinds = KINDS.iter().enumerate().filter(|(_, kind)| is_kind(kind));
        let kind = kinds.max_by_key(|(_, kind)| kind.len());
        let parts = self.0.split('-').map(|part| match part.parse() {
            Ok(number) => (number, ""),
            Err(_) => (0, part),
        });
        (
            kind.map_or(KINDS.len(), |(index, _)| index),
            parts.collect(),
        )
    }
}

impl Ord for RowName {
    fn cmp(&self, other: &Self) -> Ordering {
        // The text comes last, for names that differ only in leading zeros.
        (self.sort_key(), &self.0).cmp(&(other.sort_key(), &other.0))
    }
}

impl PartialOrd for RowName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&str> for RowName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl From<String> for RowName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_by_kind_and_number() {
        let expected = [
            "forwarding",
            "nat-100",
            "dr-100",
            "nat-reply-100",
            "tcp-nat-100",
            "bystander",
            "bystander-1m",
            "flows-100",
            "flows-20000",
            "flows-100000",
            "new-1m",
            "new-rr-4",
            "new-rr-50",
            "new-wlc-4",
            "memory-1m",
            "nic-nat-100",
            "nic-reply-100",
            "nic-nat6-100",
            "nic-new",
            "anything",
        ];
        let mut names = expected.map(RowName::from);
        names.reverse();
        names.sort();
        assert_eq!(names, expected.map(RowName::from));
    }
}
