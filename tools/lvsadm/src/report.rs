// SPDX-License-Identifier: GPL-2.0-only

//! The state of services and servers, for people and programs.
//!
//! Belongs here: what follows from the table and the host's network. Never: layout.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::host::Host;
use crate::model::{
    Destination, DestinationEntry, Drops, Forwarding, Group, Netmask, ServiceFlags, ServiceId,
    Stats,
};

/// The state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It gets new connections.
    Ok,
    /// Its weight is 0 and it has connections.
    Draining,
    /// Its weight is 0 and it has none.
    Drained,
    /// It reached its upper threshold.
    Full,
    /// The director has no route to it.
    NoRoute,
}

impl ServerState {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Draining => "DRAINING",
            Self::Drained => "DRAINED",
            Self::Full => "FULL",
            Self::NoRoute => "NO ROUTE",
        }
    }
}

/// The state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Every server gets new connections.
    Ok,
    /// Some servers do not.
    Degraded,
    /// No server does.
    Down,
    /// It has no servers.
    Empty,
}

impl ServiceState {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Degraded => "DEGRADED",
            Self::Down => "DOWN",
            Self::Empty => "EMPTY",
        }
    }
}

/// Counts, or rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Figures {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

fn counts(stats: &Stats) -> Figures {
    Figures {
        connections: stats.connections,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
    }
}

fn rates(stats: &Stats) -> Figures {
    Figures {
        connections: stats.connection_rate,
        packets_in: stats.packet_rate_in,
        packets_out: stats.packet_rate_out,
        bytes_in: stats.byte_rate_in,
        bytes_out: stats.byte_rate_out,
    }
}

/// A server of a service.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ServerReport {
    /// Address and port, as `-r` takes them.
    pub server: String,
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The forwarding method.
    pub method: String,
    /// The state.
    pub state: ServerState,
    /// The weight.
    pub weight: u32,
    /// Its part of the weights, in percent.
    pub weight_share: f64,
    /// Its part of the active connections, in percent.
    pub active_share: f64,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// The upper threshold; 0: no threshold.
    pub upper_threshold: u32,
    /// The lower threshold; 0: no threshold.
    pub lower_threshold: u32,
    /// Counts.
    pub stats: Figures,
    /// Rates per second.
    pub rate: Figures,
    /// Dropped packets by reason.
    pub drops: Drops,
}

/// A service with its servers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ServiceReport {
    /// Protocol and address, or mark.
    pub service: String,
    /// The protocol; absent with a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The virtual address; absent with a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The virtual port; absent with a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The firewall mark, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fwmark: Option<u32>,
    /// The state.
    pub state: ServiceState,
    /// The scheduler.
    pub scheduler: String,
    /// The scheduler's flags.
    pub scheduler_flags: Vec<&'static str>,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// Another server when one does not answer a client's SYN.
    pub redispatch: bool,
    /// The seed of hashes of clients.
    pub hash_seed: u8,
    /// Persistence timeout in seconds.
    pub persistence: Option<u32>,
    /// Persistence granularity.
    pub netmask: Option<String>,
    /// Persistence engine.
    pub engine: Option<String>,
    /// Active connections of all servers.
    pub active: u64,
    /// Inactive connections of all servers.
    pub inactive: u64,
    /// Persistence templates of all servers.
    pub persistent: u64,
    /// Counts.
    pub stats: Figures,
    /// Rates per second.
    pub rate: Figures,
    /// Dropped packets by reason, those of the servers included.
    pub drops: Drops,
    /// The servers.
    pub servers: Vec<ServerReport>,
    /// Remarks about what may be wrong.
    pub warnings: Vec<String>,
}

/// The name of a forwarding method.
#[must_use]
pub fn method(destination: &Destination) -> String {
    match destination.forwarding {
        Forwarding::Masquerade => "NAT".to_owned(),
        Forwarding::DirectReply => "NAT, direct reply".to_owned(),
        Forwarding::Local => "local".to_owned(),
        Forwarding::Tunnel => format!("tunnel {}", destination.tunnel.kind.name()),
        Forwarding::Route => "DR".to_owned(),
        Forwarding::Other(number) => number.to_string(),
    }
}

/// The state of a server.
#[must_use]
pub fn server_state(entry: &DestinationEntry, host: &dyn Host) -> ServerState {
    let destination = &entry.destination;
    let connections = entry.active.saturating_add(entry.inactive);
    if destination.weight == 0 {
        return if connections == 0 && entry.persistent == 0 {
            ServerState::Drained
        } else {
            ServerState::Draining
        };
    }
    if !host.has_route(&destination.id.address) {
        return ServerState::NoRoute;
    }
    if destination.upper_threshold != 0 && connections >= destination.upper_threshold {
        return ServerState::Full;
    }
    ServerState::Ok
}

#[allow(clippy::cast_precision_loss, reason = "a share is rounded anyway")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 * 1000.0 / whole as f64).round() / 10.0
}

/// The report about a service.
#[must_use]
pub fn service(group: &Group, host: &dyn Host) -> ServiceReport {
    let service = &group.service.service;
    let sum = |value: fn(&DestinationEntry) -> u32| -> u64 {
        group
            .destinations
            .iter()
            .map(|entry| u64::from(value(entry)))
            .sum()
    };
    let weights = sum(|entry| entry.destination.weight);
    let active = sum(|entry| entry.active);
    let servers: Vec<ServerReport> = group
        .destinations
        .iter()
        .map(|entry| {
            let destination = &entry.destination;
            ServerReport {
                server: destination.id.to_string(),
                address: destination.id.address,
                port: destination.id.port,
                method: method(destination),
                state: server_state(entry, host),
                weight: destination.weight,
                weight_share: percent(destination.weight.into(), weights),
                active_share: percent(entry.active.into(), active),
                active: entry.active,
                inactive: entry.inactive,
                persistent: entry.persistent,
                upper_threshold: destination.upper_threshold,
                lower_threshold: destination.lower_threshold,
                stats: counts(&entry.stats),
                rate: rates(&entry.stats),
                drops: entry.drops.clone(),
            }
        })
        .collect();
    let serving = servers
        .iter()
        .filter(|server| server.state == ServerState::Ok)
        .count();
    let state = match (servers.len(), serving) {
        (0, _) => ServiceState::Empty,
        (_, 0) => ServiceState::Down,
        (all, some) if some < all => ServiceState::Degraded,
        _ => ServiceState::Ok,
    };
    let (address, port, fwmark) = match &service.id {
        ServiceId::Address { address, port, .. } => (Some(*address), Some(*port), None),
        ServiceId::Mark { mark, .. } => (None, None, Some(*mark)),
    };
    let persistent = service.flags.contains(ServiceFlags::PERSISTENT);
    let mut report = ServiceReport {
        service: service.id.to_string(),
        protocol: service
            .id
            .protocol()
            .map(|protocol| protocol.to_string().to_lowercase()),
        address,
        port,
        fwmark,
        state,
        scheduler: service.scheduler.clone(),
        scheduler_flags: service.flags.scheduler_names(&service.scheduler),
        one_packet: service.flags.contains(ServiceFlags::ONE_PACKET),
        redispatch: service.flags.contains(ServiceFlags::REDISPATCH),
        hash_seed: service.flags.hash_seed(),
        persistence: persistent.then_some(service.timeout),
        netmask: persistent.then(|| match service.netmask {
            Netmask::Inet(mask) => mask.to_string(),
            Netmask::Inet6(prefix) => prefix.to_string(),
        }),
        engine: service.engine.clone(),
        active,
        inactive: sum(|entry| entry.inactive),
        persistent: sum(|entry| entry.persistent),
        stats: counts(&group.service.stats),
        rate: rates(&group.service.stats),
        drops: group.service.drops.clone(),
        servers,
        warnings: Vec::new(),
    };
    report.warnings = warnings(group, &report, host);
    report
}

/// What may be wrong with a service, and what mends it.
fn warnings(group: &Group, report: &ServiceReport, host: &dyn Host) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(address) = report.address.filter(|address| !host.is_local(address)) {
        warnings.push(format!(
            "the virtual address {address} is not an address of this host, so packets to it do not \
             reach the service: ip address add {address} dev INTERFACE"
        ));
    }
    match report.state {
        ServiceState::Empty => warnings.push(
            "the service has no servers, so every connection is refused: add one with -a"
                .to_owned(),
        ),
        ServiceState::Down if report.servers.iter().all(|server| server.weight == 0) => {
            warnings.push(
                "every server has weight 0, so no connection is accepted: lvsadm undrain -r SERVER"
                    .to_owned(),
            );
        }
        ServiceState::Down => {
            warnings.push("no server accepts connections: see the states above".to_owned());
        }
        ServiceState::Ok | ServiceState::Degraded => (),
    }
    for server in &report.servers {
        match server.state {
            ServerState::NoRoute => warnings.push(format!(
                "there is no route to the server {}: ip route get {}",
                server.server, server.address
            )),
            ServerState::Full => warnings.push(format!(
                "the server {} reached its upper threshold of {} connections",
                server.server, server.upper_threshold
            )),
            ServerState::Ok | ServerState::Draining | ServerState::Drained => (),
        }
    }
    let nat = |entry: &DestinationEntry| entry.destination.forwarding == Forwarding::Masquerade;
    if report.one_packet && group.destinations.iter().any(nat) {
        warnings.push(
            "one-packet scheduling keeps no connections, so replies of NAT servers are not \
             translated"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::host::FixedHost;
    use crate::model::{DestinationId, Family, Protocol, Service, ServiceEntry, Traffic, Tunnel};

    /// A server with a weight and a number of active connections.
    pub(crate) fn server(last: u8, weight: u32, active: u32) -> DestinationEntry {
        DestinationEntry {
            destination: Destination {
                id: DestinationId {
                    address: [10, 2, 0, last].into(),
                    port: 80,
                },
                forwarding: Forwarding::Masquerade,
                weight,
                upper_threshold: 0,
                lower_threshold: 0,
                tunnel: Tunnel::default(),
            },
            active,
            inactive: 0,
            persistent: 0,
            stats: Traffic::default(),
            drops: Drops::default(),
        }
    }

    /// A service with these servers.
    pub(crate) fn group(destinations: Vec<DestinationEntry>) -> Group {
        Group {
            service: ServiceEntry {
                service: Service {
                    id: ServiceId::Address {
                        protocol: Protocol::Tcp,
                        address: [192, 0, 2, 1].into(),
                        port: 80,
                    },
                    scheduler: "wlc".to_owned(),
                    flags: ServiceFlags::default(),
                    timeout: 0,
                    netmask: Netmask::host(Family::Inet),
                    engine: None,
                },
                stats: Traffic::default(),
                drops: Drops::default(),
            },
            destinations,
        }
    }

    #[test]
    fn each_server_has_its_state() {
        let host = FixedHost {
            unreachable: vec![[10, 2, 0, 5].into()],
            ..FixedHost::default()
        };
        let full = {
            let mut entry = server(4, 1, 7);
            entry.destination.upper_threshold = 7;
            entry
        };
        for (entry, state) in [
            (server(1, 1, 0), ServerState::Ok),
            (server(2, 0, 3), ServerState::Draining),
            (server(3, 0, 0), ServerState::Drained),
            (full, ServerState::Full),
            (server(5, 1, 0), ServerState::NoRoute),
        ] {
            assert_eq!(server_state(&entry, &host), state);
        }
        let mut template = server(6, 0, 0);
        template.persistent = 1;
        assert_eq!(server_state(&template, &host), ServerState::Draining);
    }

    #[test]
    fn a_service_is_as_well_as_its_servers() {
        let host = FixedHost::default();
        for (servers, state, warnings) in [
            (vec![], ServiceState::Empty, 1),
            (vec![server(1, 1, 0)], ServiceState::Ok, 0),
            (vec![server(1, 0, 0)], ServiceState::Down, 1),
            (
                vec![server(1, 1, 0), server(2, 0, 0)],
                ServiceState::Degraded,
                0,
            ),
        ] {
            let report = service(&group(servers), &host);
            assert_eq!(report.state, state);
            assert_eq!(report.warnings.len(), warnings, "{:?}", report.warnings);
        }
    }

    #[test]
    fn shares_are_parts_of_the_weights_and_of_the_connections() {
        let report = service(
            &group(vec![server(1, 1, 30), server(2, 2, 10)]),
            &FixedHost::default(),
        );
        let shares = |server: &ServerReport| (server.weight_share, server.active_share);
        assert_eq!(shares(&report.servers[0]), (33.3, 75.0));
        assert_eq!(shares(&report.servers[1]), (66.7, 25.0));
        assert_eq!(report.active, 40);
    }

    #[test]
    fn an_address_of_another_host_is_a_warning() {
        let host = FixedHost {
            remote: vec![[192, 0, 2, 1].into()],
            ..FixedHost::default()
        };
        let report = service(&group(vec![server(1, 1, 0)]), &host);
        assert!(report.warnings[0].contains("192.0.2.1 is not an address of this host"));
    }
}
