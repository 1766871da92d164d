// SPDX-License-Identifier: GPL-2.0-only

//! From the model to attributes and back. The other files here know bytes only, the model knows
//! none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::daemon::DaemonAttribute;
use super::destination::DestinationAttribute;
use super::message::{Attribute, Message};
use super::reply::Failure;
use super::service::ServiceAttribute;
use super::stats::{Figure, StatsAttribute};
use crate::model::{
    Daemon, DaemonRole, Destination, DestinationEntry, DestinationId, Drops, Family, Forwarding,
    Info, Protocol, Service, ServiceEntry, ServiceFlags, ServiceId, Stats, Timeouts, Tunnel,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const STATE_MASTER: u32 = 1;
const STATE_BACKUP: u32 = 2;

fn family_number(family: Family) -> u16 {
    match family {
        Family::Inet => AF_INET,
        Family::Inet6 => AF_INET6,
    }
}

fn family(number: u16) -> Result<Family, Failure> {
    match number {
        AF_INET => Ok(Family::Inet),
        AF_INET6 => Ok(Family::Inet6),
        other => Err(Failure::Malformed(format!("address family {other}"))),
    }
}

fn address_octets(address: &IpAddr) -> Vec<u8> {
    let mut octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.resize(16, 0);
    octets
}

fn address(family: Family, octets: &[u8]) -> Result<IpAddr, Failure> {
    let short = || Failure::Malformed(format!("an {family} address of {} bytes", octets.len()));
    Ok(match family {
        Family::Inet => {
            let octets: [u8; 4] = octets
                .get(..4)
                .and_then(|octets| octets.try_into().ok())
                .ok_or_else(short)?;
            Ipv4Addr::from(octets).into()
        }
        Family::Inet6 => {
            let octets: [u8; 16] = octets.try_into().map_err(|_| short())?;
            Ipv6Addr::from(octets).into()
        }
    })
}

pub(super) fn required<T>(value: Option<T>, what: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Malformed(format!("{what} is missing")))
}

/// What names a service.
#[must_use]
pub fn service_id(id: &ServiceId) -> Attribute {
    Attribute::Service(id_attributes(id))
}

fn id_attributes(id: &ServiceId) -> Vec<ServiceAttribute> {
    let family = ServiceAttribute::Family(family_number(id.family()));
    match id {
        ServiceId::Address {
            protocol,
            address,
            port,
        } => vec![
            family,
            ServiceAttribute::Protocol((*protocol).into()),
            ServiceAttribute::Address(address_octets(address)),
            ServiceAttribute::Port(*port),
        ],
        ServiceId::Mark { mark, .. } => vec![family, ServiceAttribute::Mark(*mark)],
    }
}

/// A whole service, to be added or edited.
#[must_use]
pub fn service(service: &Service) -> Attribute {
    let mut attributes = id_attributes(&service.id);
    attributes.push(ServiceAttribute::Scheduler(service.scheduler.clone()));
    if let Some(engine) = &service.engine {
        attributes.push(ServiceAttribute::Engine(engine.clone()));
    }
    attributes.push(ServiceAttribute::Flags {
        flags: service.flags.0,
        mask: u32::MAX,
    });
    attributes.push(ServiceAttribute::Timeout(service.timeout));
    attributes.push(ServiceAttribute::Netmask(service.netmask.to_octets()));
    Attribute::Service(attributes)
}

/// What names a destination.
#[must_use]
pub fn destination_id(id: &DestinationId) -> Attribute {
    Attribute::Destination(destination_id_attributes(id))
}

fn destination_id_attributes(id: &DestinationId) -> Vec<DestinationAttribute> {
    vec![
        DestinationAttribute::Family(family_number(Family::of(&id.address))),
        DestinationAttribute::Address(address_octets(&id.address)),
        DestinationAttribute::Port(id.port),
    ]
}

/// A whole destination, to be added or edited.
#[must_use]
pub fn destination(destination: &Destination) -> Attribute {
    let mut attributes = destination_id_attributes(&destination.id);
    attributes.extend([
        DestinationAttribute::Forwarding(destination.forwarding.into()),
        DestinationAttribute::Weight(destination.weight),
        DestinationAttribute::TunnelKind(destination.tunnel.kind.into()),
        DestinationAttribute::TunnelPort(destination.tunnel.port),
        DestinationAttribute::TunnelFlags(destination.tunnel.checksum.into()),
        DestinationAttribute::UpperThreshold(destination.upper_threshold),
        DestinationAttribute::LowerThreshold(destination.lower_threshold),
    ]);
    Attribute::Destination(attributes)
}

/// The three timeouts.
#[must_use]
pub fn timeouts(timeouts: &Timeouts) -> Vec<Attribute> {
    vec![
        Attribute::TimeoutTcp(timeouts.tcp),
        Attribute::TimeoutTcpFin(timeouts.tcp_fin),
        Attribute::TimeoutUdp(timeouts.udp),
    ]
}

fn role_number(role: DaemonRole) -> u32 {
    match role {
        DaemonRole::Master => STATE_MASTER,
        DaemonRole::Backup => STATE_BACKUP,
    }
}

/// A daemon to be started.
#[must_use]
pub fn daemon(daemon: &Daemon) -> Attribute {
    let mut attributes = vec![
        DaemonAttribute::State(role_number(daemon.role)),
        DaemonAttribute::Interface(daemon.interface.clone()),
        DaemonAttribute::SyncId(daemon.sync_id),
    ];
    if daemon.max_length != 0 {
        attributes.push(DaemonAttribute::MaxLength(daemon.max_length));
    }
    match daemon.group {
        Some(IpAddr::V4(group)) => attributes.push(DaemonAttribute::Group(group.octets())),
        Some(IpAddr::V6(group)) => attributes.push(DaemonAttribute::Group6(group.octets())),
        None => (),
    }
    if daemon.port != 0 {
        attributes.push(DaemonAttribute::Port(daemon.port));
    }
    if daemon.ttl != 0 {
        attributes.push(DaemonAttribute::Ttl(daemon.ttl));
    }
    Attribute::Daemon(attributes)
}

/// A daemon to be stopped.
#[must_use]
pub fn daemon_role(role: DaemonRole) -> Attribute {
    Attribute::Daemon(vec![DaemonAttribute::State(role_number(role))])
}

/// Statistics; the 64-bit ones when there are any.
fn stats(long: Option<&Vec<StatsAttribute>>, short: Option<&Vec<StatsAttribute>>) -> Stats {
    let mut stats = Stats::default();
    for attribute in long.or(short).into_iter().flatten() {
        let (figure, value) = match attribute {
            StatsAttribute::Short(figure, value) => (figure, u64::from(*value)),
            StatsAttribute::Long(figure, value) => (figure, *value),
            StatsAttribute::Other(_) => continue,
        };
        *match figure {
            Figure::Connections => &mut stats.connections,
            Figure::PacketsIn => &mut stats.packets_in,
            Figure::PacketsOut => &mut stats.packets_out,
            Figure::BytesIn => &mut stats.bytes_in,
            Figure::BytesOut => &mut stats.bytes_out,
            Figure::ConnectionRate => &mut stats.connection_rate,
            Figure::PacketRateIn => &mut stats.packet_rate_in,
            Figure::PacketRateOut => &mut stats.packet_rate_out,
            Figure::ByteRateIn => &mut stats.byte_rate_in,
            Figure::ByteRateOut => &mut stats.byte_rate_out,
        } = value;
    }
    stats
}

macro_rules! find {
    ($attributes:expr, $variant:path) => {
        $attributes.iter().find_map(|attribute| match attribute {
            $variant(value) => Some(value),
            _ => None,
        })
    };
}

/// Reads a service from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when something a service cannot be without is missing or out of range.
pub fn read_service(message: &Message) -> Result<ServiceEntry, Failure> {
    let attributes = required(find!(message.attributes, Attribute::Service), "the service")?;
    service_entry(attributes)
}

/// The same from its attributes.
pub(super) fn service_entry(attributes: &[ServiceAttribute]) -> Result<ServiceEntry, Failure> {
    use ServiceAttribute as A;
    let id = read_service_id(attributes)?;
    let family = id.family();
    let flags = attributes.iter().find_map(|attribute| match attribute {
        A::Flags { flags, .. } => Some(*flags),
        _ => None,
    });
    let service = Service {
        scheduler: required(find!(attributes, A::Scheduler), "a service's scheduler")?.clone(),
        flags: ServiceFlags(required(flags, "a service's flags")?),
        timeout: *required(find!(attributes, A::Timeout), "a service's timeout")?,
        netmask: crate::model::Netmask::from_octets(
            family,
            *required(find!(attributes, A::Netmask), "a service's netmask")?,
        ),
        engine: find!(attributes, A::Engine)
            .filter(|engine| !engine.is_empty())
            .cloned(),
        id,
    };
    Ok(ServiceEntry {
        service,
        stats: stats(find!(attributes, A::Stats64), find!(attributes, A::Stats)).into(),
        drops: Drops::default(),
    })
}

/// Reads what identifies a service from its attributes.
pub(super) fn read_service_id(attributes: &[ServiceAttribute]) -> Result<ServiceId, Failure> {
    use ServiceAttribute as A;
    let family = family(*required(
        find!(attributes, A::Family),
        "a service's family",
    )?)?;
    Ok(match find!(attributes, A::Mark) {
        Some(mark) => ServiceId::Mark {
            mark: *mark,
            family,
        },
        None => ServiceId::Address {
            protocol: Protocol::from(*required(
                find!(attributes, A::Protocol),
                "a service's protocol",
            )?),
            address: address(
                family,
                required(find!(attributes, A::Address), "a service's address")?,
            )?,
            port: *required(find!(attributes, A::Port), "a service's port")?,
        },
    })
}

/// Reads what identifies a destination from its attributes; `default` is the service's family.
pub(super) fn read_destination_id(
    default: Family,
    attributes: &[DestinationAttribute],
) -> Result<DestinationId, Failure> {
    use DestinationAttribute as A;
    // Kernels before mixed families did not say it.
    let family = match find!(attributes, A::Family) {
        Some(number) => family(*number)?,
        None => default,
    };
    Ok(DestinationId {
        address: address(
            family,
            required(find!(attributes, A::Address), "a destination's address")?,
        )?,
        port: *required(find!(attributes, A::Port), "a destination's port")?,
    })
}

/// Reads a destination of a service of family `default` from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when something a destination cannot be without is missing or out of
/// range.
pub fn read_destination(default: Family, message: &Message) -> Result<DestinationEntry, Failure> {
    let attributes = required(
        find!(message.attributes, Attribute::Destination),
        "the destination",
    )?;
    destination_entry(default, attributes)
}

/// The same from its attributes.
pub(super) fn destination_entry(
    default: Family,
    attributes: &[DestinationAttribute],
) -> Result<DestinationEntry, Failure> {
    use DestinationAttribute as A;
    let count = |value: Option<&u32>| value.copied().unwrap_or(0);
    Ok(DestinationEntry {
        destination: Destination {
            id: read_destination_id(default, attributes)?,
            forwarding: Forwarding::from(*required(
                find!(attributes, A::Forwarding),
                "a destination's forwarding method",
            )?),
            weight: *required(find!(attributes, A::Weight), "a destination's weight")?,
            upper_threshold: count(find!(attributes, A::UpperThreshold)),
            lower_threshold: count(find!(attributes, A::LowerThreshold)),
            tunnel: Tunnel {
                kind: find!(attributes, A::TunnelKind)
                    .copied()
                    .unwrap_or(0)
                    .into(),
                port: find!(attributes, A::TunnelPort).copied().unwrap_or(0),
                checksum: find!(attributes, A::TunnelFlags)
                    .copied()
                    .unwrap_or(0)
                    .into(),
            },
        },
        active: count(find!(attributes, A::Active)),
        inactive: count(find!(attributes, A::Inactive)),
        persistent: count(find!(attributes, A::Persistent)),
        stats: stats(find!(attributes, A::Stats64), find!(attributes, A::Stats)).into(),
        drops: Drops::default(),
    })
}

/// Reads the timeouts from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when one is missing.
pub fn read_timeouts(message: &Message) -> Result<Timeouts, Failure> {
    let attributes = &message.attributes;
    Ok(Timeouts {
        tcp: *required(find!(attributes, Attribute::TimeoutTcp), "the TCP timeout")?,
        tcp_fin: *required(
            find!(attributes, Attribute::TimeoutTcpFin),
            "the TCP FIN timeout",
        )?,
        udp: *required(find!(attributes, Attribute::TimeoutUdp), "the UDP timeout")?,
    })
}

/// Reads the kernel's word of itself from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when a part is missing.
pub fn read_info(message: &Message) -> Result<Info, Failure> {
    let attributes = &message.attributes;
    Ok(Info {
        version: *required(find!(attributes, Attribute::InfoVersion), "the version")?,
        table_size: *required(
            find!(attributes, Attribute::InfoTableSize),
            "the table size",
        )?,
    })
}

/// Reads a synchronization daemon from an answer; `None` for one that does not run.
///
/// # Errors
///
/// [`Failure::Malformed`] when a part is missing.
pub fn read_daemon(message: &Message) -> Result<Option<Daemon>, Failure> {
    use DaemonAttribute as A;
    let attributes = required(find!(message.attributes, Attribute::Daemon), "the daemon")?;
    let state = *required(find!(attributes, A::State), "a daemon's state")?;
    let role = if state & STATE_MASTER != 0 {
        DaemonRole::Master
    } else if state & STATE_BACKUP != 0 {
        DaemonRole::Backup
    } else {
        return Ok(None);
    };
    let group = find!(attributes, A::Group)
        .map(|octets| IpAddr::from(*octets))
        .or_else(|| find!(attributes, A::Group6).map(|octets| IpAddr::from(*octets)));
    Ok(Some(Daemon {
        role,
        interface: required(find!(attributes, A::Interface), "a daemon's interface")?.clone(),
        sync_id: *required(find!(attributes, A::SyncId), "a daemon's sync id")?,
        max_length: find!(attributes, A::MaxLength).copied().unwrap_or(0),
        group,
        port: find!(attributes, A::Port).copied().unwrap_or(0),
        ttl: find!(attributes, A::Ttl).copied().unwrap_or(0),
    }))
}
