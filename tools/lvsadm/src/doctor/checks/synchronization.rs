// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization: does the backup take what the master sends.

use lvs_core::sync::Event;

use crate::doctor::facts::Facts;
use crate::doctor::finding::{fail, warn, Finding};
use crate::model::SyncState;

/// Applies while a daemon runs.
pub(super) fn synchronization(facts: &Facts) -> Option<Vec<Finding>> {
    let sync = facts.synchronization.as_ref()?;
    if sync.state() == SyncState::Off {
        return None;
    }
    let mut findings = Vec::new();
    if sync.backup.is_some() {
        let reasons = [
            (
                Event::Foreign,
                "have another syncid",
                "give both daemons the same --syncid",
            ),
            (
                Event::Malformed,
                "are malformed, or longer than the backup's --sync-maxlen",
                "give both daemons the same --sync-maxlen",
            ),
            (
                Event::Unsigned,
                "are not signed",
                "lvsadm sync key set FILE, on the other director",
            ),
            (
                Event::OtherKey,
                "are signed with a key that this director lacks",
                "lvsadm sync key set FILE, on this director",
            ),
            (
                Event::Forged,
                "have a wrong signature",
                "set the same key on both directors: lvsadm sync key set FILE",
            ),
        ];
        let refused = reasons.map(|(event, why, fix)| (sync.count(event), why, fix));
        for (count, why, fix) in refused.into_iter().filter(|(count, ..)| *count > 0) {
            let message = format!("{count} datagrams of other directors {why}");
            findings.push(warn(message, fix.to_owned()));
        }
        if sync.count(Event::Received) == 0 && findings.is_empty() {
            findings.push(fail(
                "the backup has received nothing".to_owned(),
                "check the master, both interfaces, the firewall: tcpdump udp port 8848".to_owned(),
            ));
        }
    }
    if sync.master && sync.count(Event::Sent) == 0 && sync.count(Event::Unsent) > 0 {
        findings.push(fail(
            "no datagram of the master could be sent".to_owned(),
            "check the link and the addresses of the daemon's interface".to_owned(),
        ));
    }
    Some(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Joined, Synchronization};

    fn found(sync: Synchronization) -> Option<Vec<String>> {
        let facts = Facts {
            synchronization: Some(sync),
            ..Facts::default()
        };
        let findings = synchronization(&facts)?;
        Some(
            findings
                .into_iter()
                .map(|finding| finding.message)
                .collect(),
        )
    }

    fn backup(events: &[(Event, u64)]) -> Synchronization {
        Synchronization {
            backup: Some(Joined::Complete),
            events: events.to_vec(),
            ..Synchronization::default()
        }
    }

    #[test]
    fn it_applies_while_a_daemon_runs() {
        assert_eq!(found(Synchronization::default()), None);
        let master = Synchronization {
            master: true,
            events: vec![(Event::Sent, 1), (Event::Unsent, 1)],
            ..Synchronization::default()
        };
        assert_eq!(found(master), Some(vec![]));
    }

    #[test]
    fn reasons_for_a_backup_that_takes_nothing() {
        assert_eq!(found(backup(&[(Event::Received, 5)])), Some(vec![]));
        let nothing = found(backup(&[])).unwrap();
        assert_eq!(nothing, ["the backup has received nothing"]);
        let foreign = found(backup(&[(Event::Foreign, 3), (Event::Unsigned, 1)])).unwrap();
        assert_eq!(
            foreign,
            [
                "3 datagrams of other directors have another syncid",
                "1 datagrams of other directors are not signed"
            ]
        );
    }
}
