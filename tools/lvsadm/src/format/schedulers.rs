// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers as a table and as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::model::scheduler::SCHEDULERS;

/// What `schedulers --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "schedulers")]
pub(crate) struct Listing {
    /// The schedulers that this command knows.
    schedulers: Vec<Entry>,
}

/// A scheduler.
#[derive(Serialize, JsonSchema)]
struct Entry {
    /// Its name.
    name: &'static str,
    /// The kernel has its module now.
    loaded: bool,
    /// Its flags, as `--sched-flags` takes them.
    flags: Vec<&'static str>,
    /// The server that it chooses.
    chooses: &'static str,
    /// When to choose it.
    when: &'static str,
}

fn entries(loaded: &dyn Fn(&str) -> bool) -> Vec<Entry> {
    SCHEDULERS
        .iter()
        .map(|scheduler| Entry {
            name: scheduler.name,
            loaded: loaded(scheduler.name),
            flags: scheduler.flags.iter().map(|(name, _)| *name).collect(),
            chooses: scheduler.chooses,
            when: scheduler.when,
        })
        .collect()
}

/// The table; `loaded` tells whether the kernel has a scheduler's module.
#[must_use]
pub fn text(loaded: &dyn Fn(&str) -> bool) -> String {
    let mut text = format!(
        "{:<6} {:<7} {:<44} {}\n",
        "NAME", "LOADED", "CHOOSES", "WHEN TO CHOOSE IT"
    );
    for entry in entries(loaded) {
        let loaded = if entry.loaded { "yes" } else { "no" };
        text += &format!(
            "{:<6} {loaded:<7} {:<44} {}\n",
            entry.name, entry.chooses, entry.when
        );
        if !entry.flags.is_empty() {
            text += &format!("{:<14} flags: {}\n", "", entry.flags.join(", "));
        }
    }
    text
}

/// The same as JSON.
#[must_use]
pub fn json(loaded: &dyn Fn(&str) -> bool) -> String {
    json::text(&Listing {
        schedulers: entries(loaded),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheduler_is_listed_with_its_flags() {
        let loaded = |name: &str| name == "mh";
        let text = text(&loaded);
        assert!(
            text.contains("mh     yes     Maglev hash of the client"),
            "{text}"
        );
        assert!(text.contains("flags: mh-fallback, mh-port"), "{text}");
        assert!(text.contains("rr     no "), "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        let value: serde_json::Value = serde_json::from_str(&json(&loaded)).unwrap();
        let list = value["schedulers"].as_array().unwrap();
        assert_eq!(list.len(), SCHEDULERS.len());
        let mh = list.iter().find(|entry| entry["name"] == "mh").unwrap();
        assert_eq!(mh["loaded"], true);
        assert_eq!(mh["flags"], serde_json::json!(["mh-fallback", "mh-port"]));
    }
}
