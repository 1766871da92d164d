// SPDX-License-Identifier: GPL-2.0-only

//! Checked options → [`Command`].

use std::net::IpAddr;

use clap::ArgMatches;

use super::command::{Columns, Command, Listing, ServerMerge, Subject, View};
use super::options::given;
use super::rules::Verb;
use crate::connections::{ConnectionFilter, EndpointFilter};
use crate::error::Error;
use crate::model::{
    self, Change, Daemon, DaemonRole, Destination, DestinationId, Family, Forwarding, Netmask,
    Protocol, Service, ServiceFlags, ServiceId, Timeouts, Tunnel, TunnelChecksum, TunnelKind,
    DEFAULT_SCHEDULER, DEFAULT_WEIGHT, ENGINE_NAME_MAX, INTERFACE_NAME_MAX, SCHEDULER_NAME_MAX,
};
use crate::names::Names;
use crate::parse;

/// The longest timeout: 31 days, as in ipvsadm.
const TIMEOUT_MAX: u32 = 31 * 86_400;
/// The longest UDP payload over IPv4.
const SYNC_LENGTH_MAX: u16 = 65_535 - 20 - 8;
const DEFAULT_INTERFACE: &str = "eth0";
/// Options that name a service by its address.
const ADDRESS_SERVICES: [(&str, Protocol); 3] = [
    ("tcp-service", Protocol::Tcp),
    ("udp-service", Protocol::Udp),
    ("sctp-service", Protocol::Sctp),
];

/// Where an argument list comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From a person or a script: mistakes that are easy to make are refused.
    CommandLine,
    /// From saved rules, which say what there was.
    Rules,
}

/// One command line's options.
pub(super) struct Options<'a> {
    pub(super) matches: &'a ArgMatches,
    pub(super) names: &'a dyn Names,
}

pub(super) fn command(
    verb: Verb,
    matches: &ArgMatches,
    names: &dyn Names,
    source: Source,
) -> Result<Command, Error> {
    let options = Options { matches, names };
    let mut notes = Vec::new();
    let change = match verb {
        Verb::AddService => {
            let service = options.service(&mut notes)?;
            if source == Source::CommandLine {
                options.need_port(&service, &mut notes)?;
            }
            Change::AddService(service)
        }
        Verb::EditService => Change::EditService(options.service(&mut notes)?),
        Verb::DeleteService => Change::DeleteService(options.needed_service_id()?),
        Verb::Clear => Change::Clear,
        Verb::Zero => Change::Zero(options.service_id()?),
        Verb::AddServer => {
            let id = options.needed_service_id()?;
            let destination = options.destination(&id, &mut notes)?;
            Change::AddDestination(id, destination)
        }
        Verb::EditServer => {
            let id = options.needed_service_id()?;
            let destination = options.destination(&id, &mut notes)?;
            Change::EditDestination(id, destination)
        }
        Verb::DeleteServer => {
            let id = options.needed_service_id()?;
            let destination = options.destination_id(&id)?;
            Change::DeleteDestination(id, destination)
        }
        Verb::Set => Change::SetTimeouts(options.timeouts()?),
        Verb::StartDaemon => Change::StartDaemon(options.daemon()?),
        Verb::StopDaemon => Change::StopDaemon(options.role("stop-daemon")?),
        Verb::List => return Ok(Command::List(options.listing()?)),
        Verb::Save => return Ok(Command::Save(options.view())),
        Verb::Restore => return Ok(Command::Restore),
        Verb::Manual => return Ok(Command::Manual),
        Verb::Version => {
            let json = options.given("json");
            return Ok(Command::Version { json });
        }
        Verb::Completions => {
            let shell = matches.get_one("completions").copied();
            return shell
                .map(Command::Completions)
                .ok_or_else(|| missing("completions"));
        }
    };
    Ok(Command::Change {
        change: Box::new(change),
        notes,
        given: matches
            .ids()
            .map(clap::Id::as_str)
            .filter(|option| given(matches, option))
            .map(str::to_owned)
            .collect(),
    })
}

/// An option is missing although `rules` asked for it: only a bug could cause that.
fn missing(option: &str) -> Error {
    Error::Usage(format!("--{option} is missing"))
}

/// A weight, or a number of connections.
fn count(text: &str) -> Result<u32, String> {
    parse::number(text, 0..=i32::MAX.unsigned_abs())
}

/// An option's value is wrong.
fn wrong(option: &str, text: &str, why: &str) -> Error {
    Error::Usage(format!("--{option} {text:?}: {why}"))
}

/// The schedulers that hash with the service's seed.
const SEEDED_SCHEDULERS: [&str; 4] = ["sh", "mh", "dh", "oneip"];

/// Only a client that opens a TCP connection repeats itself until it has an answer.
pub(super) fn check_redispatch(id: &ServiceId) -> Result<(), Error> {
    match id.protocol() {
        None | Some(Protocol::Tcp) => Ok(()),
        Some(_) => Err(Error::Usage(format!(
            "--redispatch works for TCP and firewall-mark services only, not for {id}"
        ))),
    }
}

impl Options<'_> {
    pub(super) fn text(&self, option: &str) -> Option<&str> {
        let value = self.matches.try_get_one::<String>(option);
        value.ok().flatten().map(String::as_str)
    }

    pub(super) fn given(&self, option: &str) -> bool {
        given(self.matches, option)
    }

    /// Reads an option's value, if it was given.
    pub(super) fn read<T>(
        &self,
        option: &str,
        parser: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        self.text(option)
            .map(|text| parser(text).map_err(|why| wrong(option, text, &why)))
            .transpose()
    }

    /// Refuses a service on all ports that nobody asked for: a forgotten port or pair of brackets.
    /// Services on all ports are usually persistent, so those get a note at most.
    fn need_port(&self, service: &Service, notes: &mut Vec<String>) -> Result<(), Error> {
        for (option, protocol) in ADDRESS_SERVICES {
            let Some(text) = self.text(option) else {
                continue;
            };
            let Ok(parse::Endpoint {
                address,
                port: None,
            }) = parse::endpoint(text, Some(protocol), self.names)
            else {
                continue;
            };
            let every = model::endpoint(&address, 0);
            let meant = parse::port_without_brackets(text);
            if service.flags.contains(ServiceFlags::PERSISTENT) {
                notes.extend(meant.map(|meant| {
                    format!("--{option} {text} takes every port; did you mean {meant}?")
                }));
                return Ok(());
            }
            let one = meant.unwrap_or_else(|| match address {
                IpAddr::V4(address) => format!("{address}:PORT"),
                IpAddr::V6(address) => format!("[{address}]:PORT"),
            });
            return Err(Error::Usage(format!(
                "--{option} {text} has no port: write {one}, or {every} for a service on every port"
            )));
        }
        Ok(())
    }

    pub(super) fn service_id(&self) -> Result<Option<ServiceId>, Error> {
        for (option, protocol) in ADDRESS_SERVICES {
            let parser = |text: &str| parse::endpoint(text, Some(protocol), self.names);
            if let Some(endpoint) = self.read(option, parser)? {
                return Ok(Some(ServiceId::Address {
                    protocol,
                    address: endpoint.address,
                    port: endpoint.port.unwrap_or(0),
                }));
            }
        }
        let mark = self.read("fwmark-service", parse::mark)?;
        let family = if self.given("ipv6") {
            Family::Inet6
        } else {
            Family::Inet
        };
        Ok(mark.map(|mark| ServiceId::Mark { mark, family }))
    }

    fn needed_service_id(&self) -> Result<ServiceId, Error> {
        self.service_id()?.ok_or_else(|| missing("tcp-service"))
    }

    pub(super) fn scheduler(&self) -> Result<Option<String>, Error> {
        self.read("scheduler", |text| {
            parse::module_name(text, SCHEDULER_NAME_MAX)
        })
    }

    /// The persistence timeout in seconds.
    pub(super) fn persistence(&self) -> Result<Option<u32>, Error> {
        self.read("persistent", |text| parse::number(text, 1..=TIMEOUT_MAX))
    }

    pub(super) fn hash_seed(&self) -> Result<Option<u8>, Error> {
        self.read("hash-seed", |text| parse::number(text, 0..=u8::MAX))
    }

    pub(super) fn netmask(&self, family: Family) -> Result<Option<Netmask>, Error> {
        self.read("netmask", |text| parse::netmask(text, family))
    }

    pub(super) fn engine(&self) -> Result<Option<String>, Error> {
        self.read("pe", |text| parse::module_name(text, ENGINE_NAME_MAX))
    }

    pub(super) fn weight(&self) -> Result<Option<u32>, Error> {
        self.read("weight", count)
    }

    /// The options of a server that were given, to be merged with those that it has.
    pub(super) fn server_merge(&self) -> Result<ServerMerge, Error> {
        let forwarding = [
            ("direct-reply", Forwarding::DirectReply),
            ("masquerading", Forwarding::Masquerade),
            ("ipip", Forwarding::Tunnel),
            ("gatewaying", Forwarding::Route),
        ];
        let checksum = [
            ("tun-nocsum", TunnelChecksum::None),
            ("tun-csum", TunnelChecksum::Full),
            ("tun-remcsum", TunnelChecksum::Remote),
        ];
        Ok(ServerMerge {
            forwarding: forwarding
                .into_iter()
                .find(|(option, _)| self.given(option))
                .map(|(_, method)| method),
            weight: self.weight()?,
            upper_threshold: self.read("u-threshold", count)?,
            lower_threshold: self.read("l-threshold", count)?,
            tunnel_kind: self.read("tun-type", parse::tunnel_kind)?,
            tunnel_port: self.read("tun-port", |text| parse::number(text, 1..=u16::MAX))?,
            tunnel_checksum: checksum
                .into_iter()
                .find(|(option, _)| self.given(option))
                .map(|(_, checksum)| checksum),
        })
    }

    fn service(&self, notes: &mut Vec<String>) -> Result<Service, Error> {
        let id = self.needed_service_id()?;
        let family = id.family();
        let scheduler = self
            .scheduler()?
            .unwrap_or_else(|| DEFAULT_SCHEDULER.to_owned());
        let timeout = self.persistence()?;
        let netmask = self.netmask(family)?;
        let engine = self.engine()?;
        let mut flags = self
            .read("sched-flags", |text| {
                parse::scheduler_flags(text, &scheduler)
            })?
            .unwrap_or_default();
        if timeout.is_some() {
            flags = flags.with(ServiceFlags::PERSISTENT);
        } else {
            for option in ["netmask", "pe"] {
                if self.given(option) {
                    notes.push(format!("--{option} has no effect without --persistent"));
                }
            }
        }
        if self.given("ops") {
            if id
                .protocol()
                .is_some_and(|protocol| protocol != Protocol::Udp)
            {
                return Err(Error::Usage(format!(
                    "--ops works for UDP and firewall-mark services only, not for {id}"
                )));
            }
            flags = flags.with(ServiceFlags::ONE_PACKET);
        }
        if self.given("redispatch") {
            check_redispatch(&id)?;
            flags = flags.with(ServiceFlags::REDISPATCH);
        }
        if let Some(seed) = self.hash_seed()? {
            if !SEEDED_SCHEDULERS.contains(&scheduler.as_str()) {
                notes.push(format!(
                    "--hash-seed has no effect with scheduler {scheduler}"
                ));
            }
            flags = flags.with_hash_seed(seed);
        }
        Ok(Service {
            scheduler,
            flags,
            timeout: timeout.unwrap_or(0),
            netmask: netmask.unwrap_or_else(|| Netmask::host(family)),
            engine,
            id,
        })
    }

    pub(super) fn destination_id(&self, service: &ServiceId) -> Result<DestinationId, Error> {
        let parser = |text: &str| parse::endpoint(text, service.protocol(), self.names);
        let endpoint = self
            .read("real-server", parser)?
            .ok_or_else(|| missing("real-server"))?;
        Ok(DestinationId {
            address: endpoint.address,
            port: endpoint.port.unwrap_or_else(|| service.port()),
        })
    }

    fn destination(
        &self,
        service: &ServiceId,
        notes: &mut Vec<String>,
    ) -> Result<Destination, Error> {
        let forwarding = if self.given("direct-reply") {
            Forwarding::DirectReply
        } else if self.given("masquerading") {
            Forwarding::Masquerade
        } else if self.given("ipip") {
            Forwarding::Tunnel
        } else {
            Forwarding::Route
        };
        let mut id = self.destination_id(service)?;
        // Only address translation can change a port. A firewall mark has no port to keep.
        if !service.is_mark() && !forwarding.rewrites() && id.port != service.port() {
            notes.push(format!(
                "only --masquerading changes ports: the server gets the port of the service, {}, \
                 not {}",
                service.port(),
                id.port
            ));
            id.port = service.port();
        }
        let family = Family::of(&id.address);
        if family != service.family() && forwarding != Forwarding::Tunnel {
            return Err(Error::Usage(format!(
                "--real-server {id} is {family} and the service is {}: only a tunnel (--ipip) \
                 connects the two",
                service.family()
            )));
        }
        let destination = Destination {
            id,
            forwarding,
            weight: self.weight()?.unwrap_or(DEFAULT_WEIGHT),
            upper_threshold: self.read("u-threshold", count)?.unwrap_or(0),
            lower_threshold: self.read("l-threshold", count)?.unwrap_or(0),
            tunnel: self.tunnel(forwarding)?,
        };
        Ok(destination)
    }

    fn tunnel(&self, forwarding: Forwarding) -> Result<Tunnel, Error> {
        let options = [
            "tun-type",
            "tun-port",
            "tun-nocsum",
            "tun-csum",
            "tun-remcsum",
        ];
        if forwarding != Forwarding::Tunnel {
            return match options.iter().find(|option| self.given(option)) {
                Some(option) => Err(Error::Usage(format!(
                    "--{option} applies to tunnels only: add --ipip"
                ))),
                None => Ok(Tunnel::default()),
            };
        }
        let kind = self
            .read("tun-type", parse::tunnel_kind)?
            .unwrap_or_default();
        let port = self.read("tun-port", |text| parse::number(text, 1..=u16::MAX))?;
        let accepts: &[&str] = match kind {
            TunnelKind::Gue => &options,
            TunnelKind::Gre => &["tun-type", "tun-nocsum", "tun-csum"],
            TunnelKind::Ipip | TunnelKind::Other(_) => &["tun-type"],
        };
        if let Some(option) = options
            .iter()
            .find(|option| self.given(option) && !accepts.contains(option))
        {
            return Err(Error::Usage(format!(
                "--{option} does not apply to a tunnel of type {}",
                kind.name()
            )));
        }
        if kind == TunnelKind::Gue && port.is_none() {
            return Err(Error::Usage(
                "--tun-type gue needs the UDP port of the tunnel: add --tun-port PORT".to_owned(),
            ));
        }
        let checksum = if self.given("tun-csum") {
            TunnelChecksum::Full
        } else if self.given("tun-remcsum") {
            TunnelChecksum::Remote
        } else {
            TunnelChecksum::None
        };
        Ok(Tunnel {
            kind,
            port: port.unwrap_or(0),
            checksum,
        })
    }

    fn timeouts(&self) -> Result<Timeouts, Error> {
        let texts: Vec<&String> = self.matches.get_many("set").into_iter().flatten().collect();
        let [tcp, tcp_fin, udp] = texts.as_slice() else {
            return Err(missing("set"));
        };
        let read = |which: &str, text: &str| {
            parse::number(text, 0..=TIMEOUT_MAX).map_err(|why| {
                wrong(
                    "set",
                    text,
                    &format!("as the {which} timeout {why} seconds"),
                )
            })
        };
        Ok(Timeouts {
            tcp: read("TCP", tcp)?,
            tcp_fin: read("TCP FIN", tcp_fin)?,
            udp: read("UDP", udp)?,
        })
    }

    fn role(&self, option: &str) -> Result<DaemonRole, Error> {
        self.read(option, |text| {
            [DaemonRole::Master, DaemonRole::Backup]
                .into_iter()
                .find(|role| role.name() == text)
                .ok_or_else(|| "it must be master or backup".to_owned())
        })?
        .ok_or_else(|| missing(option))
    }

    fn daemon(&self) -> Result<Daemon, Error> {
        Ok(Daemon {
            role: self.role("start-daemon")?,
            interface: self
                .read("mcast-interface", |text| {
                    parse::name(text, INTERFACE_NAME_MAX)
                })?
                .unwrap_or_else(|| DEFAULT_INTERFACE.to_owned()),
            sync_id: self
                .read("syncid", |text| parse::number(text, 0..=255))?
                .unwrap_or(0),
            max_length: self
                .read("sync-maxlen", |text| {
                    parse::number(text, 1..=SYNC_LENGTH_MAX)
                })?
                .unwrap_or(0),
            group: self.read("mcast-group", parse::multicast)?,
            port: self
                .read("mcast-port", |text| parse::number(text, 1..=u16::MAX))?
                .unwrap_or(0),
            ttl: self
                .read("mcast-ttl", |text| parse::number(text, 1..=u8::MAX))?
                .unwrap_or(0),
        })
    }

    /// The connections to list.
    pub(super) fn filter(&self) -> Result<ConnectionFilter, Error> {
        let service = self.service_id()?;
        let protocol = service.as_ref().and_then(ServiceId::protocol);
        let parser = |text: &str| parse::end(text, protocol, self.names);
        let service = match service {
            // Port 0 means every port, as it does for services.
            Some(ServiceId::Address { address, port, .. }) => EndpointFilter {
                address: Some(address),
                prefix: None,
                port: Some(port).filter(|port| *port != 0),
            },
            Some(ServiceId::Mark { .. }) => {
                return Err(Error::Usage(
                    "--fwmark-service cannot select connections, which have no mark: give a \
                     virtual address or a server"
                        .to_owned(),
                ));
            }
            None => EndpointFilter::default(),
        };
        Ok(ConnectionFilter {
            protocol,
            client: self.read("client", parser)?.unwrap_or_default(),
            service,
            server: self.read("real-server", parser)?.unwrap_or_default(),
            state: None,
        })
    }

    fn listing(&self) -> Result<Listing, Error> {
        let subject = if self.given("connection") {
            Subject::Connections(self.filter()?)
        } else if self.given("timeout") {
            Subject::Timeouts
        } else if self.given("daemon") {
            Subject::Daemons
        } else {
            Subject::Table(self.service_id()?)
        };
        Ok(Listing {
            subject,
            view: self.view(),
            json: self.given("json"),
        })
    }

    fn view(&self) -> View {
        let columns = [
            ("stats", Columns::Stats),
            ("rate", Columns::Rate),
            ("thresholds", Columns::Thresholds),
            ("persistent-conn", Columns::Persistent),
            ("tun-info", Columns::Tunnel),
        ];
        View {
            columns: columns
                .into_iter()
                .find(|(option, _)| self.given(option))
                .map_or(Columns::Plain, |(_, columns)| columns),
            numeric: self.given("numeric"),
            exact: self.given("exact"),
            sorted: !self.given("nosort"),
            engine_data: self.given("persistent-conn"),
        }
    }
}
