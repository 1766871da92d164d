// SPDX-License-Identifier: GPL-2.0-only

//! Listings as JSON. The schema is a promise: members are only ever added. It is told to users
//! under `--help` and in the manual page; the structures here are its source.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::connections;
use crate::model::{
    self, DestinationEntry, Drops, Family, Forwarding, Group, Netmask, Protocol, ServiceEntry,
    ServiceFlags, ServiceId, Table, TunnelChecksum, TunnelKind,
};

#[derive(Serialize)]
struct Listing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_table_size: Option<u32>,
    services: Services<'a>,
}

/// Made one after the other as they are written, since there may be ten thousand.
struct Services<'a>(&'a [Group]);

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(groups) = self;
        serializer.collect_seq(
            groups
                .iter()
                .map(|group| service(&group.service, &group.destinations)),
        )
    }
}

#[derive(Serialize)]
struct Service {
    family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fwmark: Option<u32>,
    scheduler: String,
    scheduler_flags: Vec<&'static str>,
    one_packet: bool,
    persistence: Option<Persistence>,
    stats: Figures,
    rate: Figures,
    drops: Drops,
    destinations: Vec<Destination>,
}

#[derive(Serialize)]
struct Persistence {
    timeout: u32,
    netmask: Mask,
    engine: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Mask {
    Inet(String),
    Inet6(u32),
}

#[derive(Serialize)]
struct Figures {
    connections: u64,
    packets_in: u64,
    packets_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Serialize)]
struct Destination {
    family: &'static str,
    address: IpAddr,
    port: u16,
    forwarding: String,
    tunnel: Option<Tunnel>,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    active_connections: u32,
    inactive_connections: u32,
    persistent_connections: u32,
    stats: Figures,
    rate: Figures,
    drops: Drops,
}

#[derive(Serialize)]
struct Tunnel {
    #[serde(rename = "type")]
    kind: String,
    port: u16,
    checksum: String,
}

#[derive(Serialize)]
struct TimeoutListing {
    timeouts: Timeouts,
}

#[derive(Serialize)]
struct Timeouts {
    tcp: u32,
    tcp_fin: u32,
    udp: u32,
}

#[derive(Serialize)]
struct DaemonListing {
    daemons: Vec<Daemon>,
}

#[derive(Serialize)]
struct Daemon {
    role: &'static str,
    interface: String,
    sync_id: u32,
    max_length: u16,
    group: Option<IpAddr>,
    port: u16,
    ttl: u8,
}

#[derive(Serialize)]
struct Connection<'a> {
    protocol: &'a str,
    state: &'a str,
    expires: u32,
    source: Endpoint,
    #[serde(rename = "virtual")]
    service: Endpoint,
    destination: Endpoint,
    engine: Option<&'a str>,
    engine_data: Option<&'a str>,
}

#[derive(Serialize)]
struct Endpoint {
    address: IpAddr,
    port: u16,
}

#[derive(Serialize)]
struct Versions<'a> {
    lvsadm: &'static str,
    module: Option<Module<'a>>,
}

#[derive(Serialize)]
struct Module<'a> {
    name: &'a str,
    version: Option<&'a str>,
    features: Vec<&'a str>,
    missing: Vec<&'a str>,
}

/// Any listing: one object and a line feed.
#[must_use]
pub fn text(listing: &impl Serialize) -> String {
    // Strings and numbers only: there is nothing that serde_json could refuse.
    let mut text = serde_json::to_string_pretty(listing).unwrap_or_default();
    text.push('\n');
    text
}

/// Writes the table.
///
/// # Errors
///
/// Those of `out`.
pub fn table(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let listing = Listing {
        version: table.info.as_ref().map(model::Info::version),
        connection_table_size: table.info.as_ref().map(|info| info.table_size),
        services: Services(&table.groups),
    };
    serde_json::to_writer_pretty(&mut *out, &listing)?;
    out.write_all(b"\n")
}

/// The timeouts.
#[must_use]
pub fn timeouts(timeouts: &model::Timeouts) -> String {
    text(&TimeoutListing {
        timeouts: Timeouts {
            tcp: timeouts.tcp,
            tcp_fin: timeouts.tcp_fin,
            udp: timeouts.udp,
        },
    })
}

/// The synchronization daemons.
#[must_use]
pub fn daemons(daemons: &[model::Daemon]) -> String {
    text(&DaemonListing {
        daemons: daemons
            .iter()
            .map(|daemon| Daemon {
                role: daemon.role.name(),
                interface: daemon.interface.clone(),
                sync_id: daemon.sync_id,
                max_length: daemon.max_length,
                group: daemon.group,
                port: daemon.port,
                ttl: daemon.ttl,
            })
            .collect(),
    })
}

/// One of the connections, in a line.
#[must_use]
pub fn connection(connection: &connections::Connection) -> String {
    let endpoint = |&(address, port): &(IpAddr, u16)| Endpoint { address, port };
    let (engine, engine_data) = connection
        .engine
        .as_ref()
        .map(|(name, data)| (name.as_str(), data.as_str()))
        .unzip();
    let connection = Connection {
        protocol: &connection.protocol,
        state: &connection.state,
        expires: connection.expires,
        source: endpoint(&connection.source),
        service: endpoint(&connection.service),
        destination: endpoint(&connection.destination),
        engine,
        engine_data,
    };
    // As above.
    serde_json::to_string(&connection).unwrap_or_default()
}

/// This command's version and the module's, if one is loaded.
#[must_use]
pub fn versions(module: Option<&model::Module>) -> String {
    text(&Versions {
        lvsadm: env!("CARGO_PKG_VERSION"),
        module: module.map(|module| Module {
            name: module.name,
            version: module.version.as_deref(),
            features: module.features.iter().map(String::as_str).collect(),
            missing: module.missing(),
        }),
    })
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Inet => "inet",
        Family::Inet6 => "inet6",
    }
}

fn protocol(protocol: Protocol) -> String {
    protocol
        .name()
        .map_or_else(|| u16::from(protocol).to_string(), str::to_owned)
}

fn service(entry: &ServiceEntry, destinations: &[DestinationEntry]) -> Service {
    let service = &entry.service;
    let (address, port, fwmark) = match &service.id {
        ServiceId::Address { address, port, .. } => (Some(*address), Some(*port), None),
        ServiceId::Mark { mark, .. } => (None, None, Some(*mark)),
    };
    let persistence = service
        .flags
        .contains(ServiceFlags::PERSISTENT)
        .then(|| Persistence {
            timeout: service.timeout,
            netmask: match service.netmask {
                Netmask::Inet(mask) => Mask::Inet(mask.to_string()),
                Netmask::Inet6(prefix) => Mask::Inet6(prefix),
            },
            engine: service.engine.clone(),
        });
    Service {
        family: family(service.id.family()),
        protocol: service.id.protocol().map(protocol),
        address,
        port,
        fwmark,
        scheduler: service.scheduler.clone(),
        scheduler_flags: service.flags.scheduler_names(&service.scheduler),
        one_packet: service.flags.contains(ServiceFlags::ONE_PACKET),
        persistence,
        stats: counters(&entry.stats),
        rate: rates(&entry.stats),
        drops: entry.drops.clone(),
        destinations: destinations.iter().map(destination).collect(),
    }
}

fn destination(entry: &DestinationEntry) -> Destination {
    let destination = &entry.destination;
    let forwarding = match destination.forwarding {
        Forwarding::Masquerade => "masquerade".to_owned(),
        Forwarding::Local => "local".to_owned(),
        Forwarding::Tunnel => "tunnel".to_owned(),
        Forwarding::Route => "route".to_owned(),
        Forwarding::Other(number) => number.to_string(),
    };
    let tunnel = (destination.forwarding == Forwarding::Tunnel).then(|| Tunnel {
        kind: match destination.tunnel.kind {
            TunnelKind::Other(number) => number.to_string(),
            known => known.name().to_owned(),
        },
        port: destination.tunnel.port,
        checksum: match destination.tunnel.checksum {
            TunnelChecksum::None => "none".to_owned(),
            TunnelChecksum::Full => "full".to_owned(),
            TunnelChecksum::Remote => "remote".to_owned(),
            TunnelChecksum::Other(number) => number.to_string(),
        },
    });
    Destination {
        family: family(Family::of(&destination.id.address)),
        address: destination.id.address,
        port: destination.id.port,
        forwarding,
        tunnel,
        weight: destination.weight,
        upper_threshold: destination.upper_threshold,
        lower_threshold: destination.lower_threshold,
        active_connections: entry.active,
        inactive_connections: entry.inactive,
        persistent_connections: entry.persistent,
        stats: counters(&entry.stats),
        rate: rates(&entry.stats),
        drops: entry.drops.clone(),
    }
}

fn counters(stats: &model::Stats) -> Figures {
    Figures {
        connections: stats.connections,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
    }
}

fn rates(stats: &model::Stats) -> Figures {
    Figures {
        connections: stats.connection_rate,
        packets_in: stats.packet_rate_in,
        packets_out: stats.packet_rate_out,
        bytes_in: stats.byte_rate_in,
        bytes_out: stats.byte_rate_out,
    }
}
