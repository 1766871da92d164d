// SPDX-License-Identifier: GPL-2.0-only

//! Packets that the director dropped, by reason.

use std::collections::BTreeMap;

use lvs_core::drop::Reason;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// Dropped packets by reason. Where there are none it takes no room: there may be a hundred
/// thousand of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Drops(#[schemars(with = "BTreeMap<String, u64>")] Option<Box<[u64; Reason::COUNT]>>);

impl Drops {
    /// Adds to the count of a reason.
    pub fn add(&mut self, reason: Reason, count: u64) {
        if count != 0 {
            let counts = self.0.get_or_insert_default();
            if let Some(sum) = counts.get_mut(reason.index()) {
                *sum = sum.saturating_add(count);
            }
        }
    }

    /// The reasons for which packets were dropped, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let counts = self.0.as_deref().map_or(&[][..], |counts| &counts[..]);
        Reason::ALL
            .into_iter()
            .zip(counts.iter().copied())
            .filter(|&(_, count)| count != 0)
    }
}

impl Serialize for Drops {
    /// An object from the names of reasons to counts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(reason, count)| (reason.name(), count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasons_with_drops_are_listed() {
        let mut drops = Drops::default();
        assert_eq!(serde_json::to_string(&drops).unwrap(), "{}");
        drops.add(Reason::NoRoute, 2);
        drops.add(Reason::NoRoute, 1);
        drops.add(Reason::Race, 0);
        drops.add(Reason::TooLarge, 7);
        assert_eq!(
            serde_json::to_string(&drops).unwrap(),
            r#"{"no-route":3,"too-large":7}"#
        );
    }
}
