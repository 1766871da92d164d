// SPDX-License-Identifier: GPL-2.0-only

//! Services and servers by themselves.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{fail, warn, with_services, Finding};
use crate::model::{Forwarding, Protocol, ServiceFlags, ServiceId};
use crate::report::{ServerState, ServiceState};

pub(super) fn services(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts
        .services
        .iter()
        .filter(|service| service.state == ServiceState::Empty)
        .map(|service| {
            fail(
                format!("{} has no servers", service.service),
                "lvsadm -a SERVICE -r SERVER".to_owned(),
            )
        });
    with_services(facts, findings.collect())
}

pub(super) fn weights(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts
        .services
        .iter()
        .filter(|service| service.state == ServiceState::Down)
        .map(|service| {
            let all_zero = service.servers.iter().all(|server| server.weight == 0);
            if all_zero {
                fail(
                    format!("every server of {} has weight 0", service.service),
                    "lvsadm undrain -r SERVER".to_owned(),
                )
            } else {
                fail(
                    format!("no server of {} accepts connections", service.service),
                    format!(
                        "lvsadm show: the states of the servers of {}",
                        service.service
                    ),
                )
            }
        });
    with_services(facts, findings.collect())
}

pub(super) fn thresholds(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in &facts.services {
        for server in &service.servers {
            if server.state == ServerState::Full {
                findings.push(warn(
                    format!(
                        "{} of {} reached its upper threshold of {} connections",
                        server.server, service.service, server.upper_threshold
                    ),
                    format!("lvsadm set SERVICE -r {} -x CONNECTIONS", server.server),
                ));
            }
        }
    }
    with_services(facts, findings)
}

pub(super) fn connections(facts: &Facts) -> Option<Vec<Finding>> {
    let most: u64 = facts.settings.get("net/ipv4/vs/conn_max")?.parse().ok()?;
    let now: u64 = facts
        .services
        .iter()
        .map(|service| {
            service
                .active
                .saturating_add(service.inactive)
                .saturating_add(service.persistent)
        })
        .sum();
    let full = now.saturating_mul(100) > most.saturating_mul(80);
    Some(if full {
        vec![warn(
            format!("{now} of {most} connections are in use"),
            format!("sysctl net.ipv4.vs.conn_max={}", most.saturating_mul(2)),
        )]
    } else {
        vec![]
    })
}

pub(super) fn helpers(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for group in &facts.table {
        let service = &group.service.service;
        let ServiceId::Address { protocol, port, .. } = &service.id else {
            continue;
        };
        let persistent = service.flags.contains(ServiceFlags::PERSISTENT);
        // With NAT, the director's helper reads control connections.
        let all_by_nat = group
            .destinations
            .iter()
            .all(|entry| entry.destination.forwarding == Forwarding::Masquerade);
        if *protocol == Protocol::Tcp && *port == 21 && !persistent && !all_by_nat {
            findings.push(warn(
                format!(
                    "{} is FTP, and data connections do not reach their servers",
                    service.id
                ),
                format!("lvsadm set SERVICE -p 600 ({})", service.id),
            ));
        }
        if *port == 5060 && *protocol != Protocol::Tcp && service.engine.is_none() && !persistent {
            findings.push(warn(
                format!(
                    "{} is SIP, and calls of one dialog may go to different servers",
                    service.id
                ),
                format!(
                    "lvsadm set SERVICE -p 60, with --pe sip where the director has it ({})",
                    service.id
                ),
            ));
        }
    }
    with_services(facts, findings)
}

pub(super) fn loops(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for group in &facts.table {
        let id = &group.service.service.id;
        for entry in &group.destinations {
            let server = entry.destination.id;
            let another = facts.table.iter().find(|other| {
                let other = &other.service.service.id;
                other != id
                    && matches!(other, ServiceId::Address { address, port, .. }
                        if *address == server.address && *port == server.port)
                    && other.protocol() == id.protocol()
            });
            let local = facts.local_servers.contains(&server.address);
            if let Some(another) = another.filter(|_| local) {
                findings.push(fail(
                    format!(
                        "the server {server} of {id} is itself the service {} of this director",
                        another.service.service.id
                    ),
                    format!("lvsadm -d SERVICE -r {server}"),
                ));
            }
        }
    }
    with_services(facts, findings)
}

pub(super) fn drops(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in &facts.services {
        for (reason, count) in service.drops.iter() {
            if reason.is_logged() {
                findings.push(warn(
                    format!(
                        "{} dropped {count} packets: {}",
                        service.service,
                        reason.explanation()
                    ),
                    "lvsadm describe SERVICE; lvsadm -Z, to count anew".to_owned(),
                ));
            }
        }
    }
    with_services(facts, findings)
}
