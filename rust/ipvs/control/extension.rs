// SPDX-License-Identifier: GPL-2.0-only

//! The generic netlink family "ipvs_rs": commands that the family "IPVS" lacks.
//!
//! It is a separate family, so existing tools never see attributes that they do not know. An
//! unknown attribute in a request is refused: ignoring a filter would list too much.

use super::{
    address::address,
    answer, director_of, does, dumps, events,
    refusal::Refusal,
    regions,
    show::{self, Statistics},
    synchronization,
};
use crate::{
    director::{Director, Transaction},
    services::{destination::Destination, engine, helper, scheduler::Bound, service::Service},
    state::listing::{self, Row, Rows},
};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    errno,
    netlink::{Command, Dump, DumpRequest, Family, Full, Request, Source, Writer},
    work,
};
use lvs_core::{
    drop::Reason,
    extension::{self, change, command, connection, feature, message},
    netlink::Attributes,
    request::{need, NamedService},
    selection::{Pattern, Selection},
    state::State,
    Protocol,
};

/// The generic netlink family "ipvs_rs".
pub struct Extension;

impl Family for Extension {
    const NAME: &'static CStr = extension::NAME;
    const VERSION: u32 = extension::FAMILY_VERSION as u32;
    const SECRET: &'static [u8] = &[command::ADD_SYNC_KEY];
    const COMMANDS: &'static [Command] = &[
        does(command::GET_MODULE),
        dumps(command::GET_CONNECTIONS),
        dumps(command::GET_TABLE),
        does(command::APPLY),
        does(command::GET_DROPS),
        does(command::KILL),
        does(command::GET_SYNC),
        does(command::RESYNC),
        does(command::ADD_SYNC_KEY),
        does(command::DEL_SYNC_KEY),
        does(command::ADD_SYNC_PEER),
        does(command::DEL_SYNC_PEER),
        does(command::LOAD_REGIONS),
        dumps(command::GET_REGIONS),
    ];
    const GROUP: Option<&'static CStr> = Some(extension::GROUP);
    type Dump = Listing;

    fn act(request: &Request<'_>) -> Result {
        if request.command() == command::GET_MODULE {
            return request.reply(command::GET_MODULE, module);
        }
        let director = director_of(request)?;
        if request.command() == command::GET_DROPS {
            let tables = director.tables();
            let count = |reason| {
                let tables = tables.as_ref();
                tables.map_or(0, |tables| tables.drops.get(reason))
            };
            return request.reply(command::GET_DROPS, |writer| drops(writer, count));
        }
        if request.command() == command::KILL {
            let selection = answer(request, selection(request.attributes()))?;
            let removed = match director.tables() {
                Some(tables) => listing::remove(&tables, &selection),
                None => 0,
            };
            return request.reply(command::KILL, |writer| writer.u32(message::DONE, removed));
        }
        if (command::GET_SYNC..=command::DEL_SYNC_PEER).contains(&request.command()) {
            return answer(request, synchronization::act(request, &director));
        }
        if request.command() == command::LOAD_REGIONS {
            let table = answer(request, regions::table(request.attributes()))?;
            return director.settings.regions.replace(table);
        }
        let changes = answer(request, Changes::new(request.attributes()))?;
        let mut done = 0u32;
        let end = match changes.atomic {
            true => changes.apply_all(request, &director, &mut done),
            false => changes.apply(request, &director, &mut done),
        };
        let told = request.reply(command::APPLY, |writer| writer.u32(message::DONE, done));
        if !changes.atomic {
            // A transaction that was made is not reported as failed; its count is known anyway.
            told?;
        }
        answer(request, end)
    }

    fn dump(request: &DumpRequest<'_>) -> Result<Listing> {
        let director = director_of(request)?;
        if request.command() == command::GET_TABLE {
            let form = answer(request, form(request.attributes()))?;
            let table = Table::new(director.services()?, form);
            return Ok(Listing(Items::Table(table)));
        }
        if request.command() == command::GET_REGIONS {
            answer(request, regions::listing(request.attributes()))?;
            let table = director.settings.regions.table();
            return Ok(Listing(Items::Regions(regions::Pieces::new(table))));
        }
        let selection = answer(request, selection(request.attributes()))?;
        Ok(Listing(Items::Connections(Rows::new(
            director.tables(),
            selection,
        ))))
    }
}

/// The changes of a request, in order.
struct Changes<'a> {
    attributes: Attributes<'a>,
    /// The director must make all of them or none.
    atomic: bool,
}

impl<'a> Changes<'a> {
    /// Reads the list, but not the single changes.
    fn new(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let attributes = Attributes::new(bytes)?;
        let mut atomic = false;
        for attribute in &attributes {
            match attribute.kind {
                message::CHANGE => {
                    attribute.nested()?;
                }
                message::ATOMIC => atomic = true,
                _ => {
                    return Err(Refusal::new(
                        errno::operation_not_supported(),
                        c"an attribute in the list of changes is not a change",
                    ))
                }
            }
        }
        Ok(Self { attributes, atomic })
    }

    /// Each change: the number of the command, and its attributes.
    fn each(&self) -> impl Iterator<Item = Result<(u8, Attributes<'a>), Refusal>> + '_ {
        let changes = self.attributes.iter();
        changes
            .filter(|attribute| attribute.kind == message::CHANGE)
            .map(|attribute| {
                let nest = attribute.nested()?;
                let command = need(&nest, change::COMMAND, c"no command given")?.u8()?;
                let attributes = match nest.find(change::ATTRIBUTES) {
                    Some(attributes) => attributes.nested()?,
                    None => Attributes::new(&[])?,
                };
                Ok((command, attributes))
            })
    }

    /// Carries all of them out, or none. Counts those before the refused one.
    fn apply_all(
        &self,
        request: &Request<'_>,
        director: &Director,
        done: &mut u32,
    ) -> Result<(), Refusal> {
        // A malformed change is refused when its turn comes.
        for (_, attributes) in self.each().flatten() {
            load_scheduler(&attributes);
            work::yield_now();
        }
        Transaction::run(director, |transaction| -> Result<(), Refusal> {
            for change in self.each() {
                let (command, attributes) = change?;
                super::change(transaction, command, &attributes)?;
                *done = done.wrapping_add(1);
                work::yield_now();
            }
            Ok(())
        })?;
        for change in self.each() {
            let (command, attributes) = change?;
            events::report(request, director, command, &attributes);
        }
        Ok(())
    }

    /// Carries out the changes up to the first refused one. `done` counts them.
    fn apply(
        &self,
        request: &Request<'_>,
        director: &Director,
        done: &mut u32,
    ) -> Result<(), Refusal> {
        for change in self.each() {
            let (command, attributes) = change?;
            super::change(&mut &*director, command, &attributes)?;
            events::report(request, director, command, &attributes);
            *done = done.wrapping_add(1);
            work::yield_now();
        }
        Ok(())
    }
}

/// Dropped packets: `count` tells how many for each reason.
fn drops(writer: &mut Writer<'_>, count: impl Fn(Reason) -> u64) -> Result<(), Full> {
    let all = Reason::ALL.map(|reason| (reason, count(reason)));
    // A table with nothing to report keeps its size.
    if all.iter().all(|&(_, count)| count == 0) {
        return Ok(());
    }
    writer.nest(message::DROPS, |writer| {
        for (reason, count) in all.into_iter().filter(|&(_, count)| count != 0) {
            writer.put(reason.number(), &count.to_ne_bytes())?;
        }
        Ok(())
    })
}

/// Loads the modules of the scheduler and the engine that a change names, and that of the helper
/// for its port: no transaction may wait for them. What has no module is refused when its turn
/// comes.
fn load_scheduler(attributes: &Attributes<'_>) {
    let named = NamedService::new(attributes).ok();
    let details = named.and_then(|service| service.details().ok());
    if let Some(details) = details {
        if let Ok(name) = details.scheduler() {
            let _ = Bound::new(name);
        }
        if let Ok(Some(name)) = details.engine() {
            engine::request(name);
        }
    }
    let named = NamedService::new(attributes).ok();
    if let Some((Some(Protocol::Tcp), endpoint)) = named
        .and_then(|service| service.key().ok())
        .map(|key| key.identity())
    {
        helper::request(endpoint.port);
    }
}

/// Writes the version and the features of the module.
fn module(writer: &mut Writer<'_>) -> Result<(), Full> {
    writer.string(message::VERSION, extension::VERSION)?;
    writer.nest(message::FEATURES, |writer| {
        for (kind, name) in (1..).zip(feature::ALL) {
            writer.string(kind, name)?;
        }
        Ok(())
    })
}

/// Reads the filter of a request that lists connections.
fn selection(bytes: &[u8]) -> Result<Selection, Refusal> {
    let attributes = Attributes::new(bytes)?;
    if attributes
        .iter()
        .any(|attribute| attribute.kind != message::CONNECTION)
    {
        return Err(unknown());
    }
    let Some(nest) = attributes.find(message::CONNECTION) else {
        return Ok(Selection::default());
    };
    let nest = nest.nested()?;
    for attribute in &nest {
        match attribute.kind {
            connection::PROTOCOL
            | connection::STATE
            | connection::CLIENT_ADDR..=connection::SERVER_PORT
            | connection::CLIENT_PREFIX..=connection::SERVER_PREFIX => {}
            _ => return Err(unknown()),
        }
    }
    let protocol = nest.find(connection::PROTOCOL);
    let state = nest.find(connection::STATE).map(|name| {
        State::from_name(name.payload.strip_suffix(&[0]).unwrap_or(name.payload))
            .ok_or_else(|| Refusal::new(EINVAL, c"there is no such state of connections"))
    });
    Ok(Selection {
        state: state.transpose()?,
        protocol: protocol.map(|number| number.u8()).transpose()?,
        client: pattern(
            &nest,
            connection::CLIENT_ADDR,
            connection::CLIENT_PREFIX,
            connection::CLIENT_PORT,
        )?,
        service: pattern(
            &nest,
            connection::VIRTUAL_ADDR,
            connection::VIRTUAL_PREFIX,
            connection::VIRTUAL_PORT,
        )?,
        server: pattern(
            &nest,
            connection::SERVER_ADDR,
            connection::SERVER_PREFIX,
            connection::SERVER_PORT,
        )?,
    })
}

fn unknown() -> Refusal {
    Refusal::new(
        errno::operation_not_supported(),
        c"this module does not know this filter of connections",
    )
}

/// Reads the filter for one end of a connection.
fn pattern(nest: &Attributes<'_>, addr: u16, prefix: u16, port: u16) -> Result<Pattern, Refusal> {
    let prefix = nest.find(prefix);
    if prefix.is_some() {
        need(nest, addr, c"a prefix length is given without its address")?;
    }
    Pattern::new(
        nest.find(addr).map(address).transpose()?,
        prefix.map(|bits| bits.u8()).transpose()?,
        nest.find(port).map(|port| port.u16_be()).transpose()?,
    )
    .map_err(|_| Refusal::new(EINVAL, c"the prefix is longer than the address"))
}

/// A listing.
pub struct Listing(Items);

enum Items {
    /// Connections, written as they are found, so the memory does not grow with their number.
    Connections(Rows),
    /// The services at the time when the listing began, and the destinations at the time when
    /// their service is listed.
    Table(Table),
    /// The table of regions.
    Regions(regions::Pieces),
}

impl Dump for Listing {
    fn command(&self) -> u8 {
        match &self.0 {
            Items::Connections(_) => command::GET_CONNECTIONS,
            Items::Table(_) => command::GET_TABLE,
            Items::Regions(_) => command::GET_REGIONS,
        }
    }

    fn find(&mut self) -> Result<bool> {
        match &mut self.0 {
            Items::Connections(rows) => rows.find(),
            Items::Table(table) => table.find(),
            Items::Regions(pieces) => Ok(pieces.find()),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match &self.0 {
            Items::Connections(rows) => match rows.row() {
                Some(row) => writer.nest(message::CONNECTION, |writer| write(writer, row)),
                None => Ok(()),
            },
            Items::Table(table) => table.write(writer),
            Items::Regions(pieces) => pieces.write(writer),
        }
    }

    fn advance(&mut self) {
        match &mut self.0 {
            Items::Connections(rows) => rows.advance(),
            Items::Table(table) => table.advance(),
            Items::Regions(pieces) => pieces.advance(),
        }
    }
}

/// Reads the form in which services and destinations are listed.
fn form(bytes: &[u8]) -> Result<show::Form, Refusal> {
    let mut statistics = Statistics::Long;
    for attribute in &Attributes::new(bytes)? {
        match attribute.kind {
            message::NO_STATISTICS => statistics = Statistics::None,
            _ => {
                return Err(Refusal::new(
                    errno::operation_not_supported(),
                    c"this module does not know this option of listing services",
                ))
            }
        }
    }
    Ok(show::Form {
        service: message::SERVICE,
        destination: message::DEST,
        statistics,
    })
}

/// All services, each followed by its destinations.
struct Table {
    form: show::Form,
    services: KVVec<Arc<Service>>,
    /// The index of the present service, and whether it has been listed.
    at: usize,
    service_listed: bool,
    /// Its destinations, newest first, and the number of those that have been listed.
    destinations: Option<KVVec<Arc<Destination>>>,
    listed: usize,
}

impl Table {
    fn new(services: KVVec<Arc<Service>>, form: show::Form) -> Self {
        Self {
            form,
            services,
            at: 0,
            service_listed: false,
            destinations: None,
            listed: 0,
        }
    }

    fn find(&mut self) -> Result<bool> {
        loop {
            let Some(service) = self.services.get(self.at) else {
                return Ok(false);
            };
            match &self.destinations {
                None if !self.service_listed => return Ok(true),
                None => match service.destinations() {
                    // Another command changed it meanwhile: read it again.
                    Err(EAGAIN) => {}
                    destinations => {
                        let mut destinations = destinations?;
                        destinations.reverse();
                        self.destinations = Some(destinations);
                    }
                },
                Some(destinations) if self.listed < destinations.len() => return Ok(true),
                Some(_) => {
                    self.destinations = None;
                    self.listed = 0;
                    self.service_listed = false;
                    self.at = self.at.wrapping_add(1);
                    work::yield_now();
                }
            }
        }
    }

    fn advance(&mut self) {
        match self.destinations {
            None => self.service_listed = true,
            Some(_) => self.listed = self.listed.wrapping_add(1),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match (&self.destinations, self.services.get(self.at)) {
            (Some(destinations), _) => match destinations.get(self.listed) {
                Some(server) => {
                    show::destination(writer, &self.form, server)?;
                    self.drops(writer, |reason| server.statistics.drops.get(reason))
                }
                None => Ok(()),
            },
            (None, Some(service)) => {
                show::service(writer, &self.form, service)?;
                self.drops(writer, |reason| service.dropped(reason))
            }
            (None, None) => Ok(()),
        }
    }
}

impl Table {
    fn drops(&self, writer: &mut Writer<'_>, count: impl Fn(Reason) -> u64) -> Result<(), Full> {
        match self.form.statistics {
            Statistics::None => Ok(()),
            Statistics::Long | Statistics::Both => drops(writer, count),
        }
    }
}

fn write(writer: &mut Writer<'_>, row: &Row) -> Result<(), Full> {
    writer.u8(connection::PROTOCOL, row.ends.protocol)?;
    writer.put(connection::STATE, row.state.name().as_bytes())?;
    writer.u32(connection::EXPIRES, row.expires)?;
    if let Some((engine, text)) = row.found() {
        writer.string(connection::ENGINE, engine)?;
        writer.put(connection::ENGINE_DATA, text)?;
    }
    for (addr, port, end) in [
        (
            connection::CLIENT_ADDR,
            connection::CLIENT_PORT,
            row.ends.client,
        ),
        (
            connection::VIRTUAL_ADDR,
            connection::VIRTUAL_PORT,
            row.ends.service,
        ),
        (
            connection::SERVER_ADDR,
            connection::SERVER_PORT,
            row.ends.server,
        ),
    ] {
        match end.address.v4() {
            Some(octets) => writer.put(addr, &octets)?,
            None => writer.put(addr, &end.address.octets16())?,
        }
        writer.u16_be(port, end.port)?;
    }
    Ok(())
}
