// SPDX-License-Identifier: GPL-2.0-only

//! The family `ipvs_rs`: what the family IPVS has no words for. Its numbers are [`lvs_core`]'s,
//! which the kernel module shares.

use std::net::IpAddr;

use lvs_core::drop::Reason;
use lvs_core::extension::{change, command, connection, message};
use lvs_core::uapi::command as common;
use netlink_packet_core::{
    parse_u16_be, parse_u32, DefaultNla, Emitable, NlasIterator, NLA_F_NESTED,
};
use netlink_packet_generic::GenlFamily;

use super::attribute;
use super::convert::{self, required};
use super::destination::DestinationAttribute;
use super::message::Message;
use super::reply::Failure;
use super::service::ServiceAttribute;
use super::socket::GENERIC_HEADER;
use crate::connections::{protocol_name, state_name, Connection, ConnectionFilter, EndpointFilter};
use crate::model::{
    DestinationEntry, Drops, Event, Executed, Family, Module, ServiceEntry, ServiceId,
};

/// The family's name.
pub const FAMILY: &str = "ipvs_rs";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    command: u8,
    attributes: Vec<DefaultNla>,
}

impl Request {
    /// A request with these attributes.
    pub(super) fn with(command: u8, attributes: Vec<DefaultNla>) -> Self {
        Self {
            command,
            attributes,
        }
    }

    /// Asks what the module is.
    #[must_use]
    pub fn module() -> Self {
        Self {
            command: command::GET_MODULE,
            attributes: Vec::new(),
        }
    }

    /// Asks for all services with their destinations, and what they have done if that is wanted.
    #[must_use]
    pub fn table(statistics: bool) -> Self {
        let attributes = match statistics {
            true => Vec::new(),
            false => vec![DefaultNla::new(message::NO_STATISTICS, Vec::new())],
        };
        Self {
            command: command::GET_TABLE,
            attributes,
        }
    }

    /// Asks for the dropped packets of the namespace.
    #[must_use]
    pub fn drops() -> Self {
        Self {
            command: command::GET_DROPS,
            attributes: Vec::new(),
        }
    }

    /// Asks for changes, in order, up to the first that is refused.
    pub fn apply(changes: impl Iterator<Item = Message>) -> Self {
        Self {
            command: command::APPLY,
            attributes: self::changes(changes),
        }
    }

    /// Asks for all changes or none.
    pub fn apply_all(changes: impl Iterator<Item = Message>) -> Self {
        let mut attributes = vec![DefaultNla::new(message::ATOMIC, Vec::new())];
        attributes.extend(self::changes(changes));
        Self {
            command: command::APPLY,
            attributes,
        }
    }

    /// Asks for connections.
    #[must_use]
    pub fn connections(filter: &ConnectionFilter) -> Self {
        Self {
            command: command::GET_CONNECTIONS,
            attributes: selection(filter),
        }
    }

    /// Asks for the removal of connections.
    #[must_use]
    pub fn kill(filter: &ConnectionFilter) -> Self {
        Self {
            command: command::KILL,
            attributes: selection(filter),
        }
    }
}

/// An attribute for each change.
fn changes(changes: impl Iterator<Item = Message>) -> Vec<DefaultNla> {
    let attributes = changes.map(|message| {
        let change = vec![
            DefaultNla::new(change::COMMAND, vec![message.command.into()]),
            nest(change::ATTRIBUTES, message.attributes.as_slice()),
        ];
        nest(message::CHANGE, change.as_slice())
    });
    attributes.collect()
}

/// The attributes that select connections.
fn selection(filter: &ConnectionFilter) -> Vec<DefaultNla> {
    let mut wanted = Vec::new();
    if let Some(protocol) = filter.protocol {
        // A number that no protocol has chooses none, as it should.
        let number = u8::try_from(u16::from(protocol)).unwrap_or(u8::MAX);
        wanted.push(DefaultNla::new(connection::PROTOCOL, vec![number]));
    }
    for (end, addr, prefix, port) in [
        (
            &filter.client,
            connection::CLIENT_ADDR,
            connection::CLIENT_PREFIX,
            connection::CLIENT_PORT,
        ),
        (
            &filter.service,
            connection::VIRTUAL_ADDR,
            connection::VIRTUAL_PREFIX,
            connection::VIRTUAL_PORT,
        ),
        (
            &filter.server,
            connection::SERVER_ADDR,
            connection::SERVER_PREFIX,
            connection::SERVER_PORT,
        ),
    ] {
        wanted.extend(attributes(end, addr, prefix, port));
    }
    if let Some(state) = filter.state {
        wanted.push(DefaultNla::new(connection::STATE, state.name().into()));
    }
    let mut attributes = Vec::new();
    if !wanted.is_empty() {
        attributes.push(nest(message::CONNECTION, wanted.as_slice()));
    }
    attributes
}

/// What an item of [`Request::table`]'s answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A service.
    Service(ServiceEntry),
    /// A destination of the service before it.
    Destination(DestinationEntry),
}

fn attributes(end: &EndpointFilter, addr: u16, prefix: u16, port: u16) -> Vec<DefaultNla> {
    let mut attributes = Vec::new();
    if let Some(address) = end.address {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        attributes.push(DefaultNla::new(addr, octets));
    }
    if let Some(bits) = end.prefix {
        attributes.push(DefaultNla::new(prefix, vec![bits]));
    }
    if let Some(number) = end.port {
        attributes.push(DefaultNla::new(port, number.to_be_bytes().to_vec()));
    }
    attributes
}

impl GenlFamily for Request {
    fn family_name() -> &'static str {
        FAMILY
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        lvs_core::extension::FAMILY_VERSION
    }
}

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

/// An attribute that holds others.
pub(super) fn nest(kind: u16, attributes: impl Emitable) -> DefaultNla {
    let mut nest = vec![0; attributes.buffer_len()];
    attributes.emit(&mut nest);
    DefaultNla::new(kind | NLA_F_NESTED, nest)
}

/// The attributes of an answer.
pub(super) fn answer(part: &[u8]) -> NlasIterator<&[u8]> {
    NlasIterator::new(part.get(GENERIC_HEADER..).unwrap_or_default())
}

/// Reads what the module is from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when its version is missing.
pub fn read_module(part: &[u8]) -> Result<Module, Failure> {
    let (mut version, mut features) = (None, Vec::new());
    for attribute in answer(part) {
        let attribute = attribute?;
        match attribute.kind() {
            message::VERSION => version = Some(attribute::text(attribute.value())),
            message::FEATURES => {
                for feature in NlasIterator::new(attribute.value()) {
                    features.push(attribute::text(feature?.value()));
                }
            }
            _ => (),
        }
    }
    Ok(Module {
        name: FAMILY,
        version: Some(required(version, "the module's version")?),
        features,
    })
}

/// Reads how many changes were carried out from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read_done(part: &[u8]) -> Result<u32, Failure> {
    for attribute in answer(part) {
        let attribute = attribute?;
        if attribute.kind() == message::DONE {
            return Ok(parse_u32(attribute.value())?);
        }
    }
    required(None, "the number of changes")
}

/// Reads an item of the table from an answer. `family` is that of the last service.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read_item(family: Family, part: &[u8]) -> Result<Item, Failure> {
    let (mut item, mut dropped) = (None, Drops::default());
    for attribute in answer(part) {
        let attribute = attribute?;
        match attribute.kind() {
            message::SERVICE => {
                let attributes = ServiceAttribute::read_all(attribute.value())?;
                item = Some(convert::service_entry(&attributes).map(Item::Service)?);
            }
            message::DEST => {
                let attributes = DestinationAttribute::read_all(attribute.value())?;
                let entry = convert::destination_entry(family, &attributes);
                item = Some(entry.map(Item::Destination)?);
            }
            message::DROPS => dropped = drops(attribute.value())?,
            _ => (),
        }
    }
    let mut item = required(item, "the service or destination")?;
    match &mut item {
        Item::Service(entry) => entry.drops = dropped,
        Item::Destination(entry) => entry.drops = dropped,
    }
    Ok(item)
}

/// The dropped packets in the value of [`message::DROPS`]. Reasons that this version does not know
/// are left out.
fn drops(value: &[u8]) -> Result<Drops, Failure> {
    let mut drops = Drops::default();
    for attribute in NlasIterator::new(value) {
        let attribute = attribute?;
        if let Some(reason) = Reason::from_number(attribute.kind()) {
            let octets = attribute::octets(attribute.value(), "a number of dropped packets")?;
            drops.add(reason, u64::from_ne_bytes(octets));
        }
    }
    Ok(drops)
}

/// Reads the dropped packets of the namespace from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read_drops(part: &[u8]) -> Result<Drops, Failure> {
    for attribute in answer(part) {
        let attribute = attribute?;
        if attribute.kind() == message::DROPS {
            return drops(attribute.value());
        }
    }
    Ok(Drops::default())
}

/// Reads an event.
///
/// # Errors
///
/// [`Failure::Malformed`].
pub fn read_event(part: &[u8]) -> Result<Event, Failure> {
    let mut executed = None;
    let (mut service, mut service_now, mut server, mut server_now) = (None, None, None, None);
    for attribute in answer(part) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            message::EXECUTED => {
                let [number] = attribute::octets(value, "an event's command")?;
                executed = Some(read_executed(number));
            }
            message::SERVICE => {
                let attributes = ServiceAttribute::read_all(value)?;
                service = Some(convert::read_service_id(&attributes)?);
                // Without settings it is gone.
                let entry = convert::service_entry(&attributes).ok();
                service_now = entry.map(|entry| entry.service);
            }
            message::DEST => {
                let attributes = DestinationAttribute::read_all(value)?;
                let family = service.as_ref().map_or(Family::Inet, ServiceId::family);
                server = Some(convert::read_destination_id(family, &attributes)?);
                let entry = convert::destination_entry(family, &attributes).ok();
                server_now = entry.map(|entry| entry.destination);
            }
            _ => (),
        }
    }
    Ok(Event {
        executed: required(executed, "an event's command")?,
        service,
        service_now,
        server,
        server_now,
    })
}

fn read_executed(number: u8) -> Executed {
    match number {
        common::NEW_SERVICE => Executed::AddService,
        common::SET_SERVICE => Executed::EditService,
        common::DEL_SERVICE => Executed::DeleteService,
        common::NEW_DEST => Executed::AddServer,
        common::SET_DEST => Executed::EditServer,
        common::DEL_DEST => Executed::DeleteServer,
        common::FLUSH => Executed::Clear,
        common::ZERO => Executed::Zero,
        common::SET_CONFIG => Executed::SetTimeouts,
        other => Executed::Other(other),
    }
}

/// Reads a connection from an answer.
///
/// # Errors
///
/// [`Failure::Malformed`] when something a connection cannot be without is missing or out of range.
pub fn read_connection(part: &[u8]) -> Result<Connection, Failure> {
    let mut nest = None;
    for attribute in answer(part) {
        let attribute = attribute?;
        if attribute.kind() == message::CONNECTION {
            nest = Some(attribute);
        }
    }
    let nest = required(nest, "the connection")?;
    let (mut protocol, mut state, mut expires) = (None, None, None);
    let (mut addresses, mut ports) = ([None; 3], [None; 3]);
    for attribute in NlasIterator::new(nest.value()) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            connection::PROTOCOL => {
                let [number] = attribute::octets(value, "a connection's protocol")?;
                protocol = Some(number);
            }
            connection::STATE => {
                state = Some(state_name(value.strip_suffix(&[0]).unwrap_or(value)));
            }
            connection::EXPIRES => expires = Some(parse_u32(value)?),
            connection::CLIENT_ADDR => addresses[0] = Some(address(value)?),
            connection::VIRTUAL_ADDR => addresses[1] = Some(address(value)?),
            connection::SERVER_ADDR => addresses[2] = Some(address(value)?),
            connection::CLIENT_PORT => ports[0] = Some(parse_u16_be(value)?),
            connection::VIRTUAL_PORT => ports[1] = Some(parse_u16_be(value)?),
            connection::SERVER_PORT => ports[2] = Some(parse_u16_be(value)?),
            _ => (),
        }
    }
    let [source, service, destination] = addresses;
    let [source_port, service_port, destination_port] = ports;
    let end =
        |address, port, what| Ok::<_, Failure>((required(address, what)?, required(port, what)?));
    Ok(Connection {
        protocol: protocol_name(required(protocol, "a connection's protocol")?),
        source: end(source, source_port, "a connection's client")?,
        service: end(service, service_port, "a connection's service")?,
        destination: end(destination, destination_port, "a connection's server")?,
        state: required(state, "a connection's state")?,
        expires: required(expires, "a connection's time")?,
        engine: None,
    })
}

/// An address, whose length tells its family.
pub(super) fn address(value: &[u8]) -> Result<IpAddr, Failure> {
    match value.len() {
        4 => Ok(attribute::octets::<4>(value, "an address")?.into()),
        _ => Ok(attribute::octets::<16>(value, "an address")?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(filter: &ConnectionFilter) -> Vec<u8> {
        let request = Request::connections(filter);
        let mut bytes = vec![0; request.buffer_len()];
        request.emit(&mut bytes);
        bytes
    }

    #[test]
    fn all_connections_are_asked_for_by_nothing() {
        assert!(emitted(&ConnectionFilter::default()).is_empty());
    }

    #[test]
    fn what_is_asked_for() {
        let filter = ConnectionFilter {
            protocol: Some(crate::model::Protocol::Udp),
            client: EndpointFilter {
                address: Some([10, 0, 0, 0].into()),
                prefix: Some(8),
                port: None,
            },
            service: EndpointFilter {
                port: Some(80),
                ..EndpointFilter::default()
            },
            server: EndpointFilter::default(),
            state: None,
        };
        assert_eq!(
            emitted(&filter),
            [
                36, 0, 3, 0x80, // connection
                5, 0, 1, 0, 17, 0, 0, 0, // protocol
                8, 0, 4, 0, 10, 0, 0, 0, // client's address
                5, 0, 10, 0, 8, 0, 0, 0, // its prefix
                6, 0, 7, 0, 0, 80, 0, 0, // virtual port
            ]
        );
    }

    #[test]
    fn a_connection_and_what_is_newer() {
        let mut part = vec![2, 1, 0, 0];
        let nest: &[&[u8]] = &[
            &[5, 0, 1, 0, 6, 0, 0, 0],
            &[8, 0, 2, 0, b'N', b'O', b'N', b'E'],
            &[8, 0, 3, 0, 7, 0, 0, 0],
            &[8, 0, 4, 0, 192, 0, 2, 1],
            &[6, 0, 5, 0, 0x10, 0, 0, 0],
            &[8, 0, 6, 0, 10, 0, 0, 1],
            &[6, 0, 7, 0, 0, 80, 0, 0],
            &[
                20, 0, 8, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
            ],
            &[6, 0, 9, 0, 0, 81, 0, 0],
            &[5, 0, 99, 0, 1, 0, 0, 0],
        ];
        let nest = nest.concat();
        part.extend(u16::try_from(nest.len() + 4).unwrap().to_ne_bytes());
        part.extend([3, 0]);
        part.extend(&nest);
        assert_eq!(
            read_connection(&part).unwrap(),
            Connection {
                protocol: "TCP".into(),
                source: ([192, 0, 2, 1].into(), 4096),
                service: ([10, 0, 0, 1].into(), 80),
                destination: ("2001:db8::7".parse().unwrap(), 81),
                state: "NONE".into(),
                expires: 7,
                engine: None,
            }
        );
        // It must have all of its attributes.
        for cut in [8, 16, 24, 32, 40, 48, 56, 76, 84] {
            let mut part = vec![2, 1, 0, 0];
            let short = &nest[cut..];
            part.extend(u16::try_from(short.len() + 4).unwrap().to_ne_bytes());
            part.extend([3, 0]);
            part.extend(short);
            assert!(read_connection(&part).is_err(), "{cut}");
        }
    }

    #[test]
    fn dropped_packets() {
        let part = [
            5, 1, 0, 0, // header
            28, 0, 9, 0x80, // drops
            12, 0, 3, 0, 0xff, 1, 0, 0, 0, 0, 0, 0, // no-route
            12, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, // newer
        ];
        let drops: Vec<_> = read_drops(&part).unwrap().iter().collect();
        assert_eq!(drops, [(Reason::NoRoute, 0x1ff)]);
        assert_eq!(read_drops(&part[..4]).unwrap(), Drops::default());
        assert!(read_drops(&part[..18]).is_err());
    }

    #[test]
    fn events_of_what_is_there_and_of_what_is_gone() {
        let service = [
            24, 0, 4, 0x80, // service: its key only
            6, 0, 1, 0, 2, 0, 0, 0, // family
            8, 0, 5, 0, 7, 0, 0, 0, // mark
            4, 0, 99, 0, // newer
        ];
        let mut part = vec![6, 1, 0, 0, 5, 0, 10, 0, 7, 0, 0, 0];
        part.extend(service);
        part.extend([
            32, 0, 5, 0x80, // destination: its key only
            8, 0, 1, 0, 10, 0, 0, 2, // address
            6, 0, 2, 0, 0, 80, 0, 0, // port
            6, 0, 11, 0, 2, 0, 0, 0, // family
            4, 0, 99, 0, // newer
        ]);
        let event = read_event(&part).unwrap();
        assert_eq!(event.executed, Executed::DeleteServer);
        assert_eq!(event.service.unwrap().to_string(), "firewall mark 7 (IPv4)");
        assert_eq!(event.service_now, None);
        assert_eq!(event.server.unwrap().to_string(), "10.0.0.2:80");
        assert_eq!(event.server_now, None);
        let flushed = read_event(&[6, 1, 0, 0, 5, 0, 10, 0, 17, 0, 0, 0]).unwrap();
        assert_eq!(flushed.executed, Executed::Clear);
        assert_eq!(flushed.service, None);
        assert!(read_event(&part[..4]).is_err());
        assert!(read_event(&part[..16]).is_err());
    }

    #[test]
    fn a_module() {
        let part = [
            1, 1, 0, 0, // header
            10, 0, 1, 0, b'0', b'.', b'1', b'.', b'0', 0, 0, 0, // version
            20, 0, 2, 0x80, 7, 0, 1, 0, b'o', b'n', 0, 0, 8, 0, 2, 0, b't', b'w', b'o',
            0, // features
            8, 0, 99, 0, 1, 2, 3, 4, // newer
        ];
        let module = read_module(&part).unwrap();
        assert_eq!(module.version.as_deref(), Some("0.1.0"));
        assert_eq!(module.features, ["on", "two"]);
        assert!(read_module(&part[..4]).is_err());
    }
}
