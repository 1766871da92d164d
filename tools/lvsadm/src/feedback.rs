// SPDX-License-Identifier: GPL-2.0-only

//! Weights that follow the loads which real servers report ("Linux Virtual Server for Scalable
//! Network Services", section 5.1).
//!
//! Belongs here: which server has which agent, and when a weight is written. Never here: the
//! control law, which is in `lvs_core::feedback`.

mod agent;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lvs_core::feedback::{Controlled, Limits, Report};

use crate::client::Director;
use crate::error::Error;
use crate::model::{Change, Destination, DestinationId, ServiceId};
use crate::names::Names;
use crate::restore;

pub use agent::{ask, serve};

/// The option of a rule that names the server's agent.
const AGENT: &str = "--agent";

/// A server of a service, and its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    service: ServiceId,
    server: DestinationId,
    base: u32,
    agent: SocketAddr,
    /// Its weight, once it was seen in the table.
    controlled: Option<Controlled>,
}

/// Reads rules as `-S` prints them, each with `--agent ADDRESS:PORT`. Rules without an agent are
/// for services and servers that nobody reports about. The weight of a rule is the base weight.
///
/// # Errors
///
/// The first wrong line.
pub fn read(text: &str, names: &dyn Names) -> Result<Vec<Watched>, Error> {
    let mut watched = Vec::new();
    let mut rules = String::new();
    let mut agents = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let mut agent = None;
        if let Some(at) = words.iter().position(|word| *word == AGENT) {
            let value = words.get(at + 1).copied().unwrap_or_default();
            let address: SocketAddr = value.parse().map_err(|_| {
                Error::Usage(format!(
                    "line {number}: {AGENT} {value:?} must be ADDRESS:PORT, such as 10.2.0.11:5555"
                ))
            })?;
            words.drain(at..at + 2);
            agent = Some(address);
        }
        rules += &words.join(" ");
        rules.push('\n');
        agents.push(agent);
    }
    for rule in restore::parse(&rules, names)? {
        let Some(Some(agent)) = agents.get(rule.line - 1).copied() else {
            continue;
        };
        let Change::AddDestination(service, server) = rule.change else {
            return Err(Error::Usage(format!(
                "line {}: {AGENT} is for rules that add a server (-a)",
                rule.line
            )));
        };
        watched.push(Watched {
            service,
            server: server.id,
            base: server.weight,
            agent,
            controlled: None,
        });
    }
    if watched.is_empty() {
        return Err(Error::Usage(format!("no rule has an agent ({AGENT})")));
    }
    Ok(watched)
}

/// Asks all agents at the same time. None delays another one.
#[must_use]
pub fn ask_all(watched: &[Watched], patience: Duration) -> Vec<Report> {
    let deadline = Instant::now() + patience;
    std::thread::scope(|scope| {
        let threads: Vec<_> = watched
            .iter()
            .map(|one| scope.spawn(|| ask(one.agent, deadline)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Report::Silence))
            .collect()
    })
}

/// Writes the weights that follow from these reports, those of all servers at once. Returns a line
/// about each that changed.
///
/// A server that is not in the table, or that somebody else has given weight 0, stays as it is:
/// health checks and administrators decide that.
///
/// # Errors
///
/// When the director refuses.
pub fn follow(
    director: &mut dyn Director,
    watched: &mut [Watched],
    reports: &[Report],
) -> Result<Vec<String>, Error> {
    let table = director.table(false)?;
    let mut changes = Vec::new();
    let mut lines = Vec::new();
    for (one, report) in watched.iter_mut().zip(reports) {
        let group = table
            .iter()
            .find(|group| group.service.service.id == one.service);
        let entry = group.and_then(|group| {
            let mut entries = group.destinations.iter();
            entries.find(|entry| entry.destination.id == one.server)
        });
        let Some(entry) = entry else {
            one.controlled = None;
            continue;
        };
        let present = entry.destination.weight;
        let known = one
            .controlled
            .get_or_insert_with(|| Controlled::resumed(one.base, present));
        if present == 0 && known.weight() != 0 {
            *known = Controlled::new(one.base);
            continue;
        }
        let weight = known.next(*report, &Limits::default());
        if weight == present {
            continue;
        }
        let why = match report {
            Report::Percent(percent) => format!("{percent} %"),
            Report::Drain => "drain".to_owned(),
            Report::Silence => "no answer".to_owned(),
        };
        lines.push(format!(
            "{} {}: weight {present} -> {weight} ({why})",
            one.service, one.server
        ));
        changes.push(Change::EditDestination(
            one.service.clone(),
            Destination {
                weight,
                ..entry.destination.clone()
            },
        ));
    }
    let changes: Vec<&Change> = changes.iter().collect();
    if !changes.is_empty() {
        director.change_all(&changes).map_err(|(_, error)| error)?;
    }
    Ok(lines)
}

/// The exit status for the checker MISC_CHECK of keepalived with `misc_dynamic`: 2 more than the
/// weight, or 0, which leaves the weight as it is.
#[must_use]
pub fn exit_status(report: Report, base: u32) -> u8 {
    let percent = match report {
        Report::Silence => return 0,
        Report::Drain => 0,
        Report::Percent(percent) => percent,
    };
    let weight = u64::from(base) * u64::from(percent) / 100;
    let least = u64::from(base > 0 && percent > 0);
    u8::try_from(weight.clamp(least, 253) + 2).unwrap_or(u8::MAX)
}
