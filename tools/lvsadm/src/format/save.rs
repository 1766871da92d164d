// SPDX-License-Identifier: GPL-2.0-only

//! The table as rules that `lvsadm -R` and `ipvsadm -R` read.
//!
//! Thresholds are saved too: ipvsadm reads them though it saves none.

use super::labels::Labels;
use crate::model::{
    Destination, Family, Forwarding, Protocol, Service, ServiceFlags, ServiceId, Table,
    TunnelChecksum, TunnelKind,
};

/// All rules, a service before its destinations.
#[must_use]
pub fn rules(table: &Table, labels: &Labels<'_>) -> String {
    let mut text = String::new();
    for group in &table.groups {
        let service = &group.service.service;
        let name = service_name(&service.id, labels);
        text += &format!("-A {name}{}\n", service_options(service));
        for entry in &group.destinations {
            let id = &entry.destination.id;
            let endpoint = labels.endpoint(&id.address, id.port, service.id.protocol());
            text += &format!(
                "-a {name} -r {endpoint}{}\n",
                destination_options(&entry.destination)
            );
        }
    }
    text
}

/// The numeric rule that adds a service.
#[must_use]
pub fn service_rule(service: &Service) -> String {
    let name = service_name(&service.id, &Labels::numeric());
    format!("-A {name}{}", service_options(service))
}

/// The numeric rule that adds a server to a service.
#[must_use]
pub fn server_rule(id: &ServiceId, server: &Destination) -> String {
    let name = service_name(id, &Labels::numeric());
    format!("-a {name} -r {}{}", server.id, destination_options(server))
}

fn service_name(id: &ServiceId, labels: &Labels<'_>) -> String {
    match id {
        ServiceId::Mark {
            mark,
            family: Family::Inet,
        } => format!("-f {mark}"),
        ServiceId::Mark {
            mark,
            family: Family::Inet6,
        } => format!("-f {mark} -6"),
        ServiceId::Address {
            protocol,
            address,
            port,
        } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
                // No option makes one; reading the rule back fails and says so.
                Protocol::Other(_) => "--xxx-service",
            };
            let endpoint = labels.endpoint(address, *port, Some(*protocol));
            format!("{option} {endpoint}")
        }
    }
}

fn service_options(service: &Service) -> String {
    let mut text = format!(" -s {}", service.scheduler);
    if service.flags.contains(ServiceFlags::PERSISTENT) {
        text += &format!(" -p {}", service.timeout);
        if !service.netmask.is_host() {
            text += &format!(" -M {}", service.netmask);
        }
    }
    if let Some(engine) = &service.engine {
        text += &format!(" --pe {engine}");
    }
    if service.flags.contains(ServiceFlags::ONE_PACKET) {
        text += " -o";
    }
    if service.flags.contains(ServiceFlags::REDISPATCH) {
        text += " --redispatch";
    }
    if service.flags.hash_seed() != 0 {
        text += &format!(" --hash-seed {}", service.flags.hash_seed());
    }
    let flags = service.flags.scheduler_names(&service.scheduler);
    if !flags.is_empty() {
        text += &format!(" -b {}", flags.join(","));
    }
    text
}

fn destination_options(destination: &Destination) -> String {
    let method = match destination.forwarding {
        Forwarding::Masquerade => "-m",
        Forwarding::DirectReply => "-m --direct-reply",
        Forwarding::Tunnel => "-i",
        Forwarding::Local | Forwarding::Route | Forwarding::Other(_) => "-g",
    };
    let mut text = format!(" {method} -w {}", destination.weight);
    if destination.forwarding == Forwarding::Tunnel {
        let tunnel = &destination.tunnel;
        let checksum = match tunnel.checksum {
            TunnelChecksum::Full => "--tun-csum",
            TunnelChecksum::Remote => "--tun-remcsum",
            TunnelChecksum::None | TunnelChecksum::Other(_) => "--tun-nocsum",
        };
        match tunnel.kind {
            TunnelKind::Ipip => text += " --tun-type ipip",
            TunnelKind::Gue => {
                text += &format!(" --tun-type gue --tun-port {} {checksum}", tunnel.port);
            }
            TunnelKind::Gre => text += &format!(" --tun-type gre {checksum}"),
            TunnelKind::Other(_) => (),
        }
    }
    if destination.upper_threshold != 0 {
        text += &format!(" -x {}", destination.upper_threshold);
    }
    if destination.lower_threshold != 0 {
        text += &format!(" -y {}", destination.lower_threshold);
    }
    text
}
