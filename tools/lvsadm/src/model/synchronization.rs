// SPDX-License-Identifier: GPL-2.0-only

//! What the synchronization daemons of a director have done.

use std::net::IpAddr;

use lvs_core::sync::Event;

/// How far a backup has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It waits for the whole table.
    No,
    /// It has the whole table of a master.
    Complete,
    /// It has waited, and no master has answered.
    Alone,
}

/// The synchronization of a director.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synchronization {
    /// A master runs.
    pub master: bool,
    /// How far the backup has joined, if one runs.
    pub backup: Option<Joined>,
    /// The identifiers of the keys; the first one signs.
    pub keys: Vec<u8>,
    /// The directors that daemons send to; none with multicast.
    pub peers: Vec<IpAddr>,
    /// What was counted; events that never occurred are absent.
    pub events: Vec<(Event, u64)>,
}

/// Whether a director could take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has what it can have.
    Ready,
    /// Its backup waits for the whole table.
    Joining,
    /// No daemon runs.
    Off,
}

impl Synchronization {
    /// Whether the director could take over.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.backup, self.master) {
            (Some(Joined::No), _) => State::Joining,
            (Some(_), _) | (None, true) => State::Ready,
            (None, false) => State::Off,
        }
    }

    /// How often an event occurred.
    #[must_use]
    pub fn count(&self, event: Event) -> u64 {
        let counted = self.events.iter().find(|(known, _)| *known == event);
        counted.map_or(0, |(_, count)| *count)
    }
}
