// SPDX-License-Identifier: GPL-2.0-only

//! `monitor`: changes of the configuration and of states, as lines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::format::save;
use crate::model::{Event, Executed};
use crate::report::{ServerState, ServiceReport, ServiceState};

/// A line of `monitor --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "monitor")]
pub struct Line {
    /// When, in UTC, as RFC 3339 writes it.
    pub time: String,
    /// What happened: `service_added`, ..., `server_state`, `service_state`, `events_lost`. Later
    /// versions may have more.
    pub event: &'static str,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What there is since, as a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The former state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'static str>,
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<&'static str>,
    /// Active connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<u64>,
    /// Inactive connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive: Option<u64>,
}

impl Line {
    /// As JSON, in one line.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} {}", self.time, self.event.replace('_', " "));
        let subject: Vec<&str> = [self.service.as_deref(), self.server.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        // A rule names service and server.
        if let Some(rule) = &self.rule {
            text += &format!(": {rule}");
        } else if !subject.is_empty() {
            text += &format!(": {}", subject.join(" -> "));
        }
        if let Some(to) = self.to {
            text += &match self.from {
                Some(from) => format!(": {from} => {to}"),
                None => format!(": {to}"),
            };
        }
        if let (Some(active), Some(inactive)) = (self.active, self.inactive) {
            text += &format!(" ({active} active, {inactive} inactive)");
        }
        text.push('\n');
        text
    }
}

/// The line about a change of the configuration; `None` stands for changes that were lost.
#[must_use]
pub fn change(time: String, event: Option<&Event>) -> Line {
    let Some(event) = event else {
        return Line {
            time,
            event: "events_lost",
            ..Line::default()
        };
    };
    let rule = match (event.executed, &event.service_now, &event.server_now) {
        (Executed::AddService | Executed::EditService, Some(service), _) => {
            Some(save::service_rule(service))
        }
        (Executed::AddServer | Executed::EditServer, Some(service), Some(server)) => {
            Some(save::server_rule(&service.id, server))
        }
        _ => None,
    };
    Line {
        time,
        event: event.executed.name(),
        service: event.service.as_ref().map(ToString::to_string),
        server: event.server.as_ref().map(ToString::to_string),
        rule,
        ..Line::default()
    }
}

/// The states of services and servers when they were last looked at.
#[derive(Debug, Default)]
pub struct States {
    services: BTreeMap<String, ServiceState>,
    servers: BTreeMap<(String, String), ServerState>,
}

impl States {
    /// Takes a new look in, and returns a line for each state that changed. What is new gets a line
    /// if it is not in order.
    pub fn update(&mut self, time: &str, reports: &[ServiceReport]) -> Vec<Line> {
        let mut lines = Vec::new();
        let former = std::mem::take(self);
        for report in reports {
            let name = &report.service;
            let before = former.services.get(name).copied();
            if before.unwrap_or(ServiceState::Ok) != report.state {
                lines.push(Line {
                    time: time.to_owned(),
                    event: "service_state",
                    service: Some(name.clone()),
                    from: before.map(ServiceState::name),
                    to: Some(report.state.name()),
                    active: Some(report.active),
                    inactive: Some(report.inactive),
                    ..Line::default()
                });
            }
            self.services.insert(name.clone(), report.state);
            for server in &report.servers {
                let key = (name.clone(), server.server.clone());
                let before = former.servers.get(&key).copied();
                if before.unwrap_or(ServerState::Ok) != server.state {
                    lines.push(Line {
                        time: time.to_owned(),
                        event: "server_state",
                        service: Some(name.clone()),
                        server: Some(server.server.clone()),
                        from: before.map(ServerState::name),
                        to: Some(server.state.name()),
                        active: Some(server.active.into()),
                        inactive: Some(server.inactive.into()),
                        ..Line::default()
                    });
                }
                self.servers.insert(key, server.state);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::FixedHost;
    use crate::model::{Family, ServiceId};
    use crate::report::{self, tests::group, tests::server};

    const TIME: &str = "2026-01-02T03:04:05Z";

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn a_state_is_reported_when_it_changes() {
        let mut group = group(vec![server(1, 1, 3), server(2, 0, 0)]);
        let look = |group: &_| vec![report::service(group, &FixedHost::default())];
        let mut states = States::default();
        assert_eq!(
            texts(&states.update(TIME, &look(&group))),
            [
                "2026-01-02T03:04:05Z service state: TCP 192.0.2.1:80: DEGRADED (3 active, 0 \
                 inactive)\n",
                "2026-01-02T03:04:05Z server state: TCP 192.0.2.1:80 -> 10.2.0.2:80: DRAINED (0 \
                 active, 0 inactive)\n",
            ]
        );
        assert!(states.update(TIME, &look(&group)).is_empty());
        group.destinations[0].destination.upper_threshold = 3;
        let lines = states.update(TIME, &look(&group));
        assert_eq!(lines[0].to, Some("DOWN"));
        assert_eq!(
            lines[1].text(),
            "2026-01-02T03:04:05Z server state: TCP 192.0.2.1:80 -> 10.2.0.1:80: OK => FULL (3 \
             active, 0 inactive)\n"
        );
        assert!(states.update(TIME, &[]).is_empty());
    }

    #[test]
    fn a_change_is_a_rule_or_a_name() {
        let group = group(vec![server(1, 1, 0)]);
        let service = group.service.service.clone();
        let destination = group.destinations[0].destination.clone();
        let event = |executed, service_now, server_now| Event {
            executed,
            service: Some(service.id.clone()),
            service_now,
            server: Some(destination.id),
            server_now,
        };
        let added = event(
            Executed::AddServer,
            Some(service.clone()),
            Some(destination.clone()),
        );
        assert_eq!(
            change(TIME.to_owned(), Some(&added)).text(),
            "2026-01-02T03:04:05Z server added: -a -t 192.0.2.1:80 -r 10.2.0.1:80 -m -w 1\n"
        );
        let deleted = event(Executed::DeleteServer, Some(service.clone()), None);
        let line = change(TIME.to_owned(), Some(&deleted));
        assert_eq!(
            line.text(),
            "2026-01-02T03:04:05Z server deleted: TCP 192.0.2.1:80 -> 10.2.0.1:80\n"
        );
        assert_eq!(
            line.json(),
            "{\"time\":\"2026-01-02T03:04:05Z\",\"event\":\"server_deleted\",\
             \"service\":\"TCP 192.0.2.1:80\",\"server\":\"10.2.0.1:80\"}\n"
        );
        let cleared = Event {
            executed: Executed::Clear,
            service: None,
            service_now: None,
            server: None,
            server_now: None,
        };
        assert_eq!(
            change(TIME.to_owned(), Some(&cleared)).text(),
            "2026-01-02T03:04:05Z table cleared\n"
        );
        assert_eq!(
            change(TIME.to_owned(), None).text(),
            "2026-01-02T03:04:05Z events lost\n"
        );
        let mark = Event {
            executed: Executed::DeleteService,
            service: Some(ServiceId::Mark {
                mark: 7,
                family: Family::Inet,
            }),
            ..cleared
        };
        assert_eq!(
            change(TIME.to_owned(), Some(&mark)).text(),
            "2026-01-02T03:04:05Z service deleted: firewall mark 7 (IPv4)\n"
        );
    }
}
