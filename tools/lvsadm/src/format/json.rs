// SPDX-License-Identifier: GPL-2.0-only

//! Listings as JSON. The schema is a promise: members are only ever added. It is told to users
//! under `--help` and in the manual page; the structures here are its source.

use std::io::{self, Write};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::connections;
use crate::model::{
    self, DestinationEntry, Drops, Family, Forwarding, Group, Netmask, Protocol, ServiceEntry,
    ServiceFlags, ServiceId, Table, TunnelChecksum, TunnelKind,
};

/// What `-L --json` prints. `apply` and `diff` read it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "list")]
pub(crate) struct Listing<'a> {
    /// The kernel's version of IPVS; absent with one service.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Buckets of the connection table; absent with one service.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_table_size: Option<u32>,
    /// The services, in the order of the text listing.
    #[schemars(with = "Vec<Service>")]
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

/// A virtual service.
#[derive(Serialize, JsonSchema)]
struct Service {
    /// "inet" or "inet6".
    family: &'static str,
    /// "tcp", "udp", "sctp" or a number; absent with a firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    /// The virtual address; absent with a firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// The virtual port; absent with a firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The firewall mark, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    fwmark: Option<u32>,
    /// The scheduler.
    scheduler: String,
    /// The flags, as `--sched-flags` takes them.
    scheduler_flags: Vec<&'static str>,
    /// One-packet scheduling.
    one_packet: bool,
    /// Another server when one does not answer a client's SYN.
    redispatch: bool,
    /// The seed of hashes of clients.
    hash_seed: u8,
    /// Persistence, if it has it.
    persistence: Option<Persistence>,
    /// Counts.
    stats: Figures,
    /// Rates per second.
    rate: Figures,
    /// Dropped packets by reason.
    drops: Drops,
    /// The real servers.
    destinations: Vec<Destination>,
}

/// All connections of a client go to the same server.
#[derive(Serialize, JsonSchema)]
struct Persistence {
    /// Seconds.
    timeout: u32,
    /// The clients that count as one.
    netmask: Mask,
    /// The persistence engine.
    engine: Option<String>,
}

/// The clients that count as one: a mask (IPv4) or a prefix length (IPv6).
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Mask {
    Inet(String),
    Inet6(u32),
}

/// Counts, or rates per second.
#[derive(Serialize, JsonSchema)]
struct Figures {
    /// Connections.
    connections: u64,
    /// Packets from clients.
    packets_in: u64,
    /// Packets to clients.
    packets_out: u64,
    /// Bytes from clients.
    bytes_in: u64,
    /// Bytes to clients.
    bytes_out: u64,
}

/// A real server of a service.
#[derive(Serialize, JsonSchema)]
struct Destination {
    /// "inet" or "inet6".
    family: &'static str,
    /// The address.
    address: IpAddr,
    /// The port.
    port: u16,
    /// "masquerade", "tunnel", "route", "local" or a number.
    forwarding: String,
    /// The tunnel, with this forwarding.
    tunnel: Option<Tunnel>,
    /// The weight.
    weight: u32,
    /// The upper threshold; 0: no threshold.
    upper_threshold: u32,
    /// The lower threshold; 0: no threshold.
    lower_threshold: u32,
    /// Active connections.
    active_connections: u32,
    /// Inactive connections.
    inactive_connections: u32,
    /// Persistence templates.
    persistent_connections: u32,
    /// Counts.
    stats: Figures,
    /// Rates per second.
    rate: Figures,
    /// Dropped packets by reason.
    drops: Drops,
}

/// The tunnel to a server.
#[derive(Serialize, JsonSchema)]
struct Tunnel {
    /// "ipip", "gue", "gre" or a number.
    #[serde(rename = "type")]
    kind: String,
    /// The UDP port; 0 without one.
    port: u16,
    /// "none", "full", "remote" or a number.
    checksum: String,
}

/// What `-L --timeout --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "timeouts")]
pub(crate) struct TimeoutListing {
    /// The timeouts.
    timeouts: Timeouts,
}

/// Seconds without packets after which connections end.
#[derive(Serialize, JsonSchema)]
struct Timeouts {
    /// TCP.
    tcp: u32,
    /// TCP after a FIN.
    tcp_fin: u32,
    /// UDP.
    udp: u32,
}

/// What `-L --daemon --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "daemons")]
pub(crate) struct DaemonListing {
    /// The daemons that run.
    daemons: Vec<Daemon>,
}

/// A synchronization daemon that runs.
#[derive(Serialize, JsonSchema)]
struct Daemon {
    /// "master" or "backup".
    role: &'static str,
    /// The network interface.
    interface: String,
    /// The identification.
    sync_id: u32,
    /// The longest message in bytes.
    max_length: u16,
    /// The multicast group.
    group: Option<IpAddr>,
    /// The UDP port.
    port: u16,
    /// The time to live of messages.
    ttl: u8,
}

/// A connection.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Connection<'a> {
    /// The protocol, as the kernel writes it.
    protocol: &'a str,
    /// The state, as the kernel writes it.
    state: &'a str,
    /// Seconds until it expires.
    expires: u32,
    /// The client.
    source: Endpoint,
    /// The virtual service.
    #[serde(rename = "virtual")]
    service: Endpoint,
    /// The real server.
    destination: Endpoint,
    /// The persistence engine.
    engine: Option<&'a str>,
    /// The data of the persistence engine.
    engine_data: Option<&'a str>,
}

/// An address and a port.
#[derive(Serialize, JsonSchema)]
struct Endpoint {
    /// The address.
    address: IpAddr,
    /// The port.
    port: u16,
}

/// What `--version --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "version")]
pub(crate) struct Versions<'a> {
    /// The version of this command.
    lvsadm: &'static str,
    /// The module, if the kernel has one.
    module: Option<Module<'a>>,
}

/// The loaded kernel module.
#[derive(Serialize, JsonSchema)]
struct Module<'a> {
    /// Its name.
    name: &'a str,
    /// Its version; null for a module that does not report it.
    version: Option<&'a str>,
    /// What it offers beyond the C director.
    features: Vec<&'a str>,
    /// What this command would use and it lacks.
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
        redispatch: service.flags.contains(ServiceFlags::REDISPATCH),
        hash_seed: service.flags.hash_seed(),
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
        Forwarding::DirectReply => "direct_reply".to_owned(),
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
