// SPDX-License-Identifier: GPL-2.0-only

//! The state of synchronization.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lvs_core::sync::Event;
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::model::{Joined, SyncState, Synchronization};

/// What `sync status --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "sync")]
pub(crate) struct Listing<'a> {
    /// "ready", "joining" or "off".
    state: &'static str,
    /// Why it is ready: "complete", "no_answer" or "master"; null if it is not.
    reason: Option<&'static str>,
    /// A master daemon runs.
    master: bool,
    /// A backup daemon runs.
    backup: bool,
    /// The identifiers of the keys; the first one signs.
    keys: &'a [u8],
    /// The directors that daemons send to; none with multicast.
    peers: &'a [IpAddr],
    /// The counters by their names.
    counters: BTreeMap<String, u64>,
}

fn state(sync: &Synchronization) -> &'static str {
    match sync.state() {
        SyncState::Ready => "ready",
        SyncState::Joining => "joining",
        SyncState::Off => "off",
    }
}

/// The state as JSON.
#[must_use]
pub fn json(sync: &Synchronization) -> String {
    json::text(&Listing {
        state: state(sync),
        reason: match (sync.backup, sync.master) {
            (Some(Joined::Complete), _) => Some("complete"),
            (Some(Joined::Alone), _) => Some("no_answer"),
            (None, true) => Some("master"),
            (Some(Joined::No), _) | (None, false) => None,
        },
        master: sync.master,
        backup: sync.backup.is_some(),
        keys: &sync.keys,
        peers: &sync.peers,
        counters: Event::ALL
            .into_iter()
            .map(|event| (event.name().replace(' ', "_"), sync.count(event)))
            .collect(),
    })
}

/// The state for people, with the counters that are not 0.
#[must_use]
pub fn text(sync: &Synchronization) -> String {
    let why = match (sync.backup, sync.master) {
        (Some(Joined::No), _) => "the backup waits for the whole table of a master",
        (Some(Joined::Complete), _) => "the backup has the whole table of a master",
        (Some(Joined::Alone), _) => "no master has answered the backup",
        (None, true) => "only a master runs",
        (None, false) => "no synchronization daemon runs",
    };
    let mut roles = Vec::new();
    if sync.master {
        roles.push("master");
    }
    if sync.backup.is_some() {
        roles.push("backup");
    }
    let keys: Vec<String> = sync.keys.iter().map(u8::to_string).collect();
    let signs = match keys.as_slice() {
        [] => "none: datagrams are not signed".to_owned(),
        [one] => one.clone(),
        [first, others @ ..] => format!("{first} (signs), {}", others.join(", ")),
    };
    let peers: Vec<String> = sync.peers.iter().map(IpAddr::to_string).collect();
    let peers = match peers.is_empty() {
        true => "none: multicast".to_owned(),
        false => peers.join(", "),
    };
    let roles = match roles.is_empty() {
        true => "none".to_owned(),
        false => roles.join(", "),
    };
    let mut text = format!("state    {}: {why}\n", state(sync));
    text += &format!("daemons  {roles}\nkeys     {signs}\npeers    {peers}\n");
    for (event, count) in &sync.events {
        text += &format!("{:<25} {count}\n", event.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync() -> Synchronization {
        Synchronization {
            master: false,
            backup: Some(Joined::Complete),
            keys: vec![3, 9],
            peers: vec![[192, 0, 2, 7].into()],
            events: vec![(Event::Received, 12), (Event::Missing, 1)],
        }
    }

    #[test]
    fn people_see_the_state_and_what_was_counted() {
        assert_eq!(
            text(&sync()),
            "state    ready: the backup has the whole table of a master\n\
             daemons  backup\n\
             keys     3 (signs), 9\n\
             peers    192.0.2.7\n\
             datagrams received        12\n\
             datagrams missing         1\n"
        );
        let text = text(&Synchronization::default());
        assert!(text.starts_with("state    off: no synchronization daemon runs\ndaemons  none\n"));
        assert!(
            text.ends_with("not signed\npeers    none: multicast\n"),
            "{text}"
        );
    }

    #[test]
    fn programs_see_all_counters() {
        let value: serde_json::Value = serde_json::from_str(&json(&sync())).unwrap();
        assert_eq!(value["state"], "ready");
        assert_eq!(value["reason"], "complete");
        assert_eq!(value["keys"], serde_json::json!([3, 9]));
        assert_eq!(value["counters"]["datagrams_received"], 12);
        assert_eq!(value["counters"]["datagrams_forged"], 0);
        let counters = value["counters"].as_object().unwrap();
        assert_eq!(counters.len(), Event::COUNT);
    }

    #[test]
    fn a_director_is_ready_unless_its_backup_joins() {
        let of = |master, backup| {
            state(&Synchronization {
                master,
                backup,
                ..Synchronization::default()
            })
        };
        assert_eq!(of(false, None), "off");
        assert_eq!(of(true, None), "ready");
        assert_eq!(of(true, Some(Joined::No)), "joining");
        assert_eq!(of(false, Some(Joined::No)), "joining");
        assert_eq!(of(false, Some(Joined::Alone)), "ready");
    }
}
