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
    let (mut engine, mut engine_data) = (None, String::new());
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
            connection::ENGINE => engine = Some(attribute::text(value)),
            connection::ENGINE_DATA => engine_data = printable(value),
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
        engine: engine.map(|name| (name, engine_data)),
    })
}

/// Octets that another director may have sent, without those that a terminal would obey.
fn printable(octets: &[u8]) -> String {
    let mut text = String::new();
    for octet in octets {
        match octet.is_ascii_graphic() {
            true => text.push(char::from(*octet)),
            false => text.extend(octet.escape_ascii().map(char::from)),
        }
    }
    text
}

/// An address, whose length tells its family.
pub(super) fn address(value: &[u8]) -> Result<IpAddr, Failure> {
    match value.len() {
        4 => Ok(attribute::octets::<4>(value, "an address")?.into()),
        _ => Ok(attribute::octets::<16>(value, "an address")?.into()),
    }
}

#[cfg(test)]
mod tests;
