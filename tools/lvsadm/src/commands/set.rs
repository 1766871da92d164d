// SPDX-License-Identifier: GPL-2.0-only

//! `set`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::Merge;
use crate::client::Director;
use crate::error::Error;
use crate::format::{json, save};
use crate::merge;
use crate::model::{Change, Destination, DestinationId, Forwarding, ServiceId};

/// What `set --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "set")]
pub struct Edit {
    /// The service.
    service: String,
    /// Address and port of the server; absent if the service was edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// The former rule, as `-S` prints it.
    before: String,
    /// The rule now.
    after: String,
}

impl Edit {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        json::text(self)
    }
}

/// Changes the given options of a service or a server, and no others.
///
/// # Errors
///
/// When there is no such service or server, or the director refuses.
pub fn run(director: &mut dyn Director, service: &ServiceId, merge: &Merge) -> Result<Edit, Error> {
    let (change, edit) = match merge {
        Merge::Service(merge) => {
            let old = director.service(service)?.service;
            let new = merge::service(&old, merge)?;
            let edit = Edit {
                service: service.to_string(),
                server: None,
                before: save::service_rule(&old),
                after: save::service_rule(&new),
            };
            (Change::EditService(new), edit)
        }
        Merge::Server(id, merge) => {
            let old = server(director, service, id)?;
            let new = merge::server(&old, merge)?;
            let edit = Edit {
                service: service.to_string(),
                server: Some(id.to_string()),
                before: save::server_rule(service, &old),
                after: save::server_rule(service, &new),
            };
            (Change::EditDestination(service.clone(), new), edit)
        }
    };
    director.change(&change)?;
    Ok(edit)
}

fn server(
    director: &mut dyn Director,
    service: &ServiceId,
    id: &DestinationId,
) -> Result<Destination, Error> {
    // The C director answers an absent service with no servers.
    director.service(service)?;
    director
        .destinations(service)?
        .into_iter()
        .map(|entry| editable(entry.destination))
        .find(|destination| destination.id == *id)
        .ok_or_else(|| {
            Error::Failed(format!(
                "the service {service} has no server {id} (lvsadm show lists the servers)"
            ))
        })
}

/// A server as an edit may name it: the kernel lists one on the director itself as local, which is
/// no method that can be asked for.
#[must_use]
pub fn editable(mut destination: Destination) -> Destination {
    if destination.forwarding == Forwarding::Local {
        destination.forwarding = Forwarding::Route;
    }
    destination
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{parse, Command};
    use crate::client::memory::Memory;
    use crate::format::Labels;
    use crate::model::Table;
    use crate::names::Fixed;

    fn set(director: &mut Memory, line: &str) -> Result<Edit, Error> {
        let words = ["lvsadm", "set"].into_iter().chain(line.split_whitespace());
        let Command::Set { service, merge, .. } = parse(words, &Fixed)? else {
            panic!("{line}");
        };
        run(director, &service, &merge)
    }

    #[test]
    fn set_changes_only_what_is_given() {
        let mut director = Memory::default();
        for line in [
            "-A -t 10.0.0.1:80 -s wrr -p 300",
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -m -w 5 -x 9",
        ] {
            for rule in crate::restore::parse(line, &Fixed).unwrap() {
                director.change(&rule.change).unwrap();
            }
        }
        let edit = set(&mut director, "-t 10.0.0.1:80 -s wlc").unwrap();
        assert_eq!(edit.server, None);
        assert_eq!(edit.before, "-A -t 10.0.0.1:80 -s wrr -p 300");
        assert_eq!(edit.after, "-A -t 10.0.0.1:80 -s wlc -p 300");
        let edit = set(&mut director, "-t 10.0.0.1:80 -r 10.0.0.2 -w 7").unwrap();
        let value: serde_json::Value = serde_json::from_str(&edit.json()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "service": "TCP 10.0.0.1:80",
                "server": "10.0.0.2:80",
                "before": "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 5 -x 9",
                "after": "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 7 -x 9",
            })
        );
        let table = Table {
            info: None,
            groups: director.table(false).unwrap(),
        };
        assert_eq!(
            save::rules(&table, &Labels::numeric()),
            "-A -t 10.0.0.1:80 -s wlc -p 300\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 7 -x 9\n"
        );
        for (line, words) in [
            ("-t 10.0.0.1:80", "nothing to set"),
            (
                "-t 10.0.0.1:80 -w 3",
                "--weight is an option of a server: add -r",
            ),
            (
                "-t 10.0.0.1:80 -r 10.0.0.2 -s rr",
                "--scheduler is an option of a service",
            ),
            (
                "-t 10.0.0.1:80 -r 10.0.0.9 -w 3",
                "has no server 10.0.0.9:80",
            ),
            ("-t 10.0.0.1:81 -s rr", "no such service"),
            ("-s rr", "required"),
        ] {
            let error = set(&mut director, line).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
