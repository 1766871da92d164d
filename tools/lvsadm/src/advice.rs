// SPDX-License-Identifier: GPL-2.0-only

//! Remarks about a change that depend on what the director holds.
//!
//! Belongs here: consequences of a correct command that its user may not expect. Never: errors,
//! which the director reports.

use crate::client::Director;
use crate::model::{Change, Destination, Forwarding, Protocol, Service, ServiceFlags, ServiceId};

const FTP_OVER_TLS: &str = "FTP over TLS is encrypted, so no director sees where data connections \
                            go: make the service persistent, and let servers announce the virtual \
                            address and ports of a service on port 0 or a firewall mark";
const FTP_WITH_TLS: &str =
    "clients that encrypt FTP (AUTH TLS) hide where data connections go: for \
                            them, make the service persistent, and let servers announce the \
                            virtual address and ports of a service on port 0 or a firewall mark";
const SIP_OVER_TCP: &str =
    "persistence engines read UDP: over TCP, calls of one client address go \
                            to one server only if the service is persistent (-p)";
const ENGINE_OVER_TCP: &str =
    "persistence engines read UDP: over TCP, this service is persistent by \
                               the client's address only";
const NAT_OF_SCTP: &str =
    "NAT (-m) does not translate the addresses that multi-homed ends of SCTP \
                           announce: bind the server to one address, or use -g or -i";
const NAT_OF_ONE_PACKET: &str = "one-packet scheduling keeps no connections, so the director does \
                                 not translate the replies of NAT servers (-m): use -g or -i";

/// The remarks about a change, given the options (long names) that the user wrote. What the
/// director does not answer leads to no remark: the change itself will report the reason.
pub fn before(change: &Change, given: &[String], director: &mut dyn Director) -> Vec<String> {
    match change {
        Change::AddService(service) => limit(service).map(str::to_owned).into_iter().collect(),
        Change::EditService(service) => {
            let mut notes = Vec::new();
            if let Ok(old) = director.service(&service.id) {
                notes.extend(resets("-E", &service_resets(&old.service, service, given)));
            }
            if service.flags.contains(ServiceFlags::ONE_PACKET)
                && service.engine.is_none()
                && director.destinations(&service.id).is_ok_and(|servers| {
                    servers
                        .iter()
                        .any(|entry| entry.destination.forwarding == Forwarding::Masquerade)
                })
            {
                notes.push(NAT_OF_ONE_PACKET.to_owned());
            }
            notes
        }
        Change::AddDestination(id, destination) => {
            let is_sctp_by_nat = id.protocol() == Some(Protocol::Sctp)
                && destination.forwarding == Forwarding::Masquerade;
            let sctp = is_sctp_by_nat.then(|| NAT_OF_SCTP.to_owned());
            sctp.into_iter()
                .chain(nat_of_one_packet(id, destination, director))
                .collect()
        }
        Change::EditDestination(id, destination) => {
            let old = director.destinations(id).ok().and_then(|servers| {
                servers
                    .into_iter()
                    .find(|entry| entry.destination.id == destination.id)
            });
            let resets = old
                .and_then(|old| resets("-e", &server_resets(&old.destination, destination, given)));
            resets
                .into_iter()
                .chain(nat_of_one_packet(id, destination, director))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What a director cannot do for the protocol that has this port.
fn limit(service: &Service) -> Option<&'static str> {
    let ServiceId::Address { protocol, port, .. } = &service.id else {
        return None;
    };
    let is_persistent = service.flags.contains(ServiceFlags::PERSISTENT);
    match (protocol, port) {
        (Protocol::Tcp, _) if service.engine.is_some() => Some(ENGINE_OVER_TCP),
        (Protocol::Tcp, 990) => Some(FTP_OVER_TLS),
        (Protocol::Tcp, 21) if !is_persistent => Some(FTP_WITH_TLS),
        (Protocol::Tcp, 5060 | 5061) if !is_persistent => Some(SIP_OVER_TCP),
        _ => None,
    }
}

fn nat_of_one_packet(
    id: &ServiceId,
    destination: &Destination,
    director: &mut dyn Director,
) -> Option<String> {
    if destination.forwarding != Forwarding::Masquerade {
        return None;
    }
    let entry = director.service(id).ok()?;
    let one_packet = entry.service.flags.contains(ServiceFlags::ONE_PACKET);
    // With an engine, a server's datagrams are known without a connection.
    let is_lost = one_packet && entry.service.engine.is_none();
    is_lost.then(|| NAT_OF_ONE_PACKET.to_owned())
}

fn resets(command: &str, resets: &[String]) -> Option<String> {
    (!resets.is_empty()).then(|| {
        format!(
            "this resets {}; {command} sets every option that is not given to its default, and \
             lvsadm set changes only what is given",
            resets.join(", ")
        )
    })
}

/// Collects what an edit changes although nobody asked for it.
struct Resets<'a> {
    given: &'a [String],
    found: Vec<String>,
}

impl Resets<'_> {
    fn compare(&mut self, options: &[&str], what: &str, old: &str, new: &str) {
        let given = self
            .given
            .iter()
            .any(|given| options.contains(&given.as_str()));
        if !given && old != new {
            self.found.push(format!("{what} from {old} to {new}"));
        }
    }
}

fn service_resets(old: &Service, new: &Service, given: &[String]) -> Vec<String> {
    let mut resets = Resets {
        given,
        found: Vec::new(),
    };
    let persistence = |service: &Service| {
        if service.flags.contains(ServiceFlags::PERSISTENT) {
            format!("{} s", service.timeout)
        } else {
            "none".to_owned()
        }
    };
    let none_or = |words: Vec<&str>| match words.as_slice() {
        [] => "none".to_owned(),
        words => words.join(","),
    };
    let flags = |service: &Service| none_or(service.flags.scheduler_names(&service.scheduler));
    let ops = |service: &Service| match service.flags.contains(ServiceFlags::ONE_PACKET) {
        true => "on",
        false => "off",
    };
    let redispatch = |service: &Service| match service.flags.contains(ServiceFlags::REDISPATCH) {
        true => "on",
        false => "off",
    };
    let engine = |service: &Service| service.engine.clone().unwrap_or_else(|| "none".to_owned());
    resets.compare(
        &["scheduler"],
        "the scheduler",
        &old.scheduler,
        &new.scheduler,
    );
    resets.compare(
        &["persistent"],
        "persistence",
        &persistence(old),
        &persistence(new),
    );
    if new.flags.contains(ServiceFlags::PERSISTENT) {
        resets.compare(
            &["netmask"],
            "the netmask",
            &old.netmask.to_string(),
            &new.netmask.to_string(),
        );
    }
    resets.compare(
        &["pe"],
        "the persistence engine",
        &engine(old),
        &engine(new),
    );
    resets.compare(&["ops"], "one-packet scheduling", ops(old), ops(new));
    resets.compare(
        &["redispatch"],
        "redispatch",
        redispatch(old),
        redispatch(new),
    );
    resets.compare(
        &["hash-seed"],
        "hash seed",
        &old.flags.hash_seed().to_string(),
        &new.flags.hash_seed().to_string(),
    );
    resets.compare(
        &["sched-flags"],
        "scheduler flags",
        &flags(old),
        &flags(new),
    );
    resets.found
}

fn server_resets(old: &Destination, new: &Destination, given: &[String]) -> Vec<String> {
    let mut resets = Resets {
        given,
        found: Vec::new(),
    };
    let method = |destination: &Destination| match destination.forwarding {
        Forwarding::Masquerade => "NAT (-m)",
        Forwarding::DirectReply => "NAT with direct replies (-m --direct-reply)",
        Forwarding::Tunnel => "tunnel (-i)",
        Forwarding::Route => "direct routing (-g)",
        Forwarding::Local => "the director itself",
        Forwarding::Other(_) => "an unknown method",
    };
    // The kernel turns any method into this one for an address of its own.
    if old.forwarding != Forwarding::Local {
        resets.compare(
            &["gatewaying", "ipip", "masquerading", "direct-reply"],
            "the forwarding method",
            method(old),
            method(new),
        );
    }
    resets.compare(
        &["weight"],
        "the weight",
        &old.weight.to_string(),
        &new.weight.to_string(),
    );
    resets.compare(
        &["u-threshold"],
        "the upper threshold",
        &old.upper_threshold.to_string(),
        &new.upper_threshold.to_string(),
    );
    resets.compare(
        &["l-threshold"],
        "the lower threshold",
        &old.lower_threshold.to_string(),
        &new.lower_threshold.to_string(),
    );
    if old.forwarding == Forwarding::Tunnel && new.forwarding == Forwarding::Tunnel {
        resets.compare(
            &["tun-type"],
            "the tunnel type",
            old.tunnel.kind.name(),
            new.tunnel.kind.name(),
        );
    }
    resets.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{parse, Command};
    use crate::client::memory::Memory;
    use crate::names::Fixed;

    /// The remarks about the last of these commands, once the others have been carried out.
    fn notes(lines: &[&str]) -> Vec<String> {
        let mut director = Memory::default();
        let mut notes = Vec::new();
        for line in lines {
            let words = std::iter::once("lvsadm").chain(line.split_whitespace());
            let Ok(Command::Change { change, given, .. }) = parse(words, &Fixed) else {
                panic!("{line}");
            };
            notes = before(&change, &given, &mut director);
            director.change(&change).unwrap();
        }
        notes
    }

    #[test]
    fn an_edit_of_a_server_names_what_it_resets() {
        let add = "-a -t 10.0.0.1:80 -r 10.0.0.2 -m -w 5 -x 9";
        let service = "-A -t 10.0.0.1:80";
        assert_eq!(
            notes(&[service, add, "-e -t 10.0.0.1:80 -r 10.0.0.2 -w 3"]),
            [
                "this resets the forwarding method from NAT (-m) to direct routing (-g), the upper \
                 threshold from 9 to 0; -e sets every option that is not given to its default, \
                 and lvsadm set changes only what is given"
            ]
        );
        let same = "-e -t 10.0.0.1:80 -r 10.0.0.2 -m -w 3 -x 0";
        assert!(notes(&[service, add, same]).is_empty());
    }

    #[test]
    fn an_edit_of_a_service_names_what_it_resets() {
        let add = "-A -u 10.0.0.1:80 -s wrr -p 300 -o -b flag-1";
        assert_eq!(
            notes(&[add, "-E -u 10.0.0.1:80 -p 300"]),
            [
                "this resets the scheduler from wrr to wlc, one-packet scheduling from on to off, \
                 scheduler flags from flag-1 to none; -E sets every option that is not given to \
                 its default, and lvsadm set changes only what is given"
            ]
        );
        assert!(notes(&[add, "-E -u 10.0.0.1:80 -s wrr -p 300 -o -b flag-1"]).is_empty());
    }

    #[test]
    fn what_no_director_can_do_for_a_protocol_is_remarked() {
        assert_eq!(notes(&["-A -t 10.0.0.1:990"]), [FTP_OVER_TLS]);
        assert_eq!(notes(&["-A -t 10.0.0.1:21"]), [FTP_WITH_TLS]);
        assert_eq!(notes(&["-A -t 10.0.0.1:5060"]), [SIP_OVER_TCP]);
        assert_eq!(
            notes(&["-A -t 10.0.0.1:80 -p 60 --pe sip"]),
            [ENGINE_OVER_TCP]
        );
        for quiet in [
            "-A -t 10.0.0.1:5061 -p 60",
            "-A -u 10.0.0.1:5060",
            "-A -t 10.0.0.1:21 -p 60",
            "-A -u 10.0.0.1:21",
        ] {
            assert!(notes(&[quiet]).is_empty(), "{quiet}");
        }
        let sctp = "-A --sctp-service 10.0.0.1:80";
        let server = "-a --sctp-service 10.0.0.1:80 -r 10.0.0.2";
        assert_eq!(notes(&[sctp, &format!("{server} -m")]), [NAT_OF_SCTP]);
        assert!(notes(&[sctp, &format!("{server} -g")]).is_empty());
    }

    #[test]
    fn one_packet_scheduling_with_nat_is_remarked() {
        let one_packet = "-A -u 10.0.0.1:80 -o";
        let nat = "-a -u 10.0.0.1:80 -r 10.0.0.2 -m";
        assert_eq!(notes(&[one_packet, nat]), [NAT_OF_ONE_PACKET]);
        assert!(notes(&[one_packet, "-a -u 10.0.0.1:80 -r 10.0.0.2 -g"]).is_empty());
        assert!(notes(&["-A -u 10.0.0.1:80", nat]).is_empty());
        assert!(notes(&["-A -u 10.0.0.1:80 -o -p --pe sip", nat]).is_empty());
        let edit = "-E -u 10.0.0.1:80 -s wlc -o";
        assert_eq!(
            notes(&["-A -u 10.0.0.1:80", nat, edit]),
            [NAT_OF_ONE_PACKET]
        );
    }
}
