// SPDX-License-Identifier: GPL-2.0-only

//! `set`.

use crate::cli::Merge;
use crate::client::Director;
use crate::error::Error;
use crate::merge;
use crate::model::{Change, Destination, DestinationId, Forwarding, ServiceId};

/// Changes the given options of a service or a server, and no others.
///
/// # Errors
///
/// When there is no such service or server, or the director refuses.
pub fn run(director: &mut dyn Director, service: &ServiceId, merge: &Merge) -> Result<(), Error> {
    let change = match merge {
        Merge::Service(merge) => {
            let old = director.service(service)?.service;
            Change::EditService(merge::service(&old, merge)?)
        }
        Merge::Server(id, merge) => {
            let old = server(director, service, id)?;
            Change::EditDestination(service.clone(), merge::server(&old, merge)?)
        }
    };
    director.change(&change)
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
    use crate::format::{save, Labels};
    use crate::model::Table;
    use crate::names::Fixed;

    fn set(director: &mut Memory, line: &str) -> Result<(), Error> {
        let words = ["lvsadm", "set"].into_iter().chain(line.split_whitespace());
        let Command::Set { service, merge } = parse(words, &Fixed)? else {
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
        set(&mut director, "-t 10.0.0.1:80 -s wlc").unwrap();
        set(&mut director, "-t 10.0.0.1:80 -r 10.0.0.2 -w 7").unwrap();
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
