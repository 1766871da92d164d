// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's director, over generic netlink.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::Command as Process;

use lvs_core::extension::feature;

use super::director::{self, Director};
use crate::connections::{self, Broken, ConnectionFilter};
use crate::error::{self, Error};
use crate::model::{
    Change, Daemon, DestinationEntry, Drops, Event, Family, Group, Info, Module, Service,
    ServiceEntry, ServiceFlags, ServiceId, Timeouts,
};
use crate::netlink::native::{self, Item, Request};
use crate::netlink::request::request as change_request;
use crate::netlink::socket::Mode;
use crate::netlink::{convert, Attribute, Command, Connection, Failure, Listener, Message};

/// The family that every director provides.
const FAMILY: &str = "IPVS";
/// The module to load when none provides the family.
const MODULE: &str = "ipvs_rs";
/// Changes per message: some tens of kilobytes, well below the 200 KiB that a socket sends.
const BATCH: usize = 200;
/// Exists while the C director is loaded.
const C_MODULE: &str = "/sys/module/ip_vs";

/// The director module that is loaded, and what it reports about itself. Loads nothing.
///
/// # Errors
///
/// [`Error::Failed`].
pub fn module() -> Result<Option<Module>, Error> {
    let failed = |failure: Failure| error::query("query the module's version", &failure);
    if let Some(extension) = Extension::open().map_err(failed)? {
        return Ok(Some(extension.module));
    }
    let present = Connection::open(FAMILY).map_err(failed)?;
    Ok(present.map(|_| Module {
        name: "ip_vs",
        version: None,
        features: Vec::new(),
    }))
}

/// Changes of the configuration, as the kernel reports them.
pub struct Events(Listener);

impl Events {
    /// Listens to the director that is loaded.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], also when the module reports no changes.
    pub fn open() -> Result<Self, Error> {
        let name = lvs_core::extension::GROUP.to_str().unwrap_or_default();
        match Listener::open(native::FAMILY, name) {
            Ok(Some(listener)) => Ok(Self(listener)),
            Ok(None) => Err(Error::Failed(
                "cannot monitor: the kernel module does not report changes (ipvs_rs does)"
                    .to_owned(),
            )),
            Err(failure) => Err(error::query("monitor", &failure)),
        }
    }

    /// Waits for events. `None` stands for events that were lost.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn wait(&mut self) -> Result<Vec<Option<Event>>, Error> {
        let mut events = Vec::new();
        let end = self.0.wait(&mut |part| {
            events.push(Some(native::read_event(part)?));
            Ok(())
        });
        match end {
            Ok(()) => Ok(events),
            Err(Failure::Overrun) => Ok(vec![None]),
            Err(failure) => Err(error::query("monitor", &failure)),
        }
    }
}

/// The kernel's director.
pub struct Kernel {
    connection: Connection,
    /// The family of `ipvs_rs`, if it exists; `None` until it was looked for.
    extension: Option<Option<Extension>>,
}

struct Extension {
    connection: Connection,
    module: Module,
}

impl Extension {
    /// Looks for the family. Loads nothing.
    fn open() -> Result<Option<Self>, Failure> {
        let Some(mut connection) = Connection::open(native::FAMILY)? else {
            return Ok(None);
        };
        let mut module = None;
        connection.stream(&Request::module(), Mode::One, &mut |part| {
            module = Some(native::read_module(part)?);
            Ok(())
        })?;
        Ok(module.map(|module| Self { connection, module }))
    }
}

impl Kernel {
    /// Connects to the director that is loaded; `Ok(None)` when there is none. Loads nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn present() -> Result<Option<Self>, Error> {
        Ok(connect()?.map(Self::over))
    }

    fn over(connection: Connection) -> Self {
        Self {
            connection,
            extension: None,
        }
    }

    /// Connects. When nothing provides the family, loads our module, and no other one.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] with what to do about it.
    pub fn open() -> Result<Self, Error> {
        if let Some(connection) = connect()? {
            return Ok(Self::over(connection));
        }
        let outcome = load_module();
        match connect()? {
            Some(connection) => Ok(Self::over(connection)),
            None => Err(Error::Failed(format!(
                "the kernel has no virtual server, and modprobe {MODULE} {outcome}"
            ))),
        }
    }

    /// The connection to the family of `ipvs_rs`, if it offers `feature`.
    pub(super) fn extension(&mut self, feature: &CStr) -> Result<Option<&mut Connection>, Failure> {
        let extension = match &mut self.extension {
            Some(known) => known,
            unknown => unknown.insert(Extension::open()?),
        };
        let offers = |module: &Module| {
            let offered = |name: &String| name.as_bytes() == feature.to_bytes();
            module.features.iter().any(offered)
        };
        Ok(extension
            .as_mut()
            .filter(|extension| offers(&extension.module))
            .map(|extension| &mut extension.connection))
    }

    /// All services with their destinations in one answer; `None` if the module does not offer
    /// that.
    fn whole_table(&mut self, statistics: bool) -> Result<Option<Vec<Group>>, Failure> {
        let Some(connection) = self.extension(feature::TABLE)? else {
            return Ok(None);
        };
        let mut groups: Vec<Group> = Vec::new();
        connection.stream(&Request::table(statistics), Mode::Dump, &mut |part| {
            let family = groups.last().map(|group| group.service.service.id.family());
            match native::read_item(family.unwrap_or(Family::Inet), part)? {
                Item::Service(entry) => {
                    if let Some(group) = groups.last_mut() {
                        // A table may hold a hundred thousand destinations.
                        group.destinations.shrink_to_fit();
                    }
                    groups.push(Group {
                        service: entry,
                        destinations: Vec::new(),
                    });
                }
                Item::Destination(entry) => {
                    if let Some(group) = groups.last_mut() {
                        group.destinations.push(entry);
                    }
                }
            }
            Ok(())
        })?;
        Ok(Some(groups))
    }

    /// The dropped packets of the namespace, by reason; none if the director does not count them.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn drops(&mut self) -> Result<Drops, Error> {
        let mut drops = Drops::default();
        let mut ask = || -> Result<(), Failure> {
            let Some(connection) = self.extension(feature::DROPS)? else {
                return Ok(());
            };
            connection.stream(&Request::drops(), Mode::One, &mut |part| {
                drops = native::read_drops(part)?;
                Ok(())
            })
        };
        ask().map_err(|failure| error::query("list the dropped packets", &failure))?;
        Ok(drops)
    }

    fn one(&mut self, command: Command, attributes: Vec<Attribute>) -> Result<Message, Failure> {
        let request = Message {
            command,
            attributes,
        };
        let answers = self.connection.request(&request, Mode::One)?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| Failure::Malformed("the answer is empty".to_owned()))
    }

    fn list(
        &mut self,
        command: Command,
        attributes: Vec<Attribute>,
    ) -> Result<Vec<Message>, Failure> {
        let request = Message {
            command,
            attributes,
        };
        self.connection.request(&request, Mode::Dump)
    }
}

/// The C module accepts a service on every port without persistence, but gives it no connection.
fn refuse_idle_service(service: &Service) -> Result<(), Error> {
    let idle = !service.id.is_mark()
        && service.id.port() == 0
        && !service.flags.contains(ServiceFlags::PERSISTENT);
    if idle && Path::new(C_MODULE).exists() {
        return Err(Error::Failed(format!(
            "cannot add service {}: with the module ip_vs a service on every port must be \
             persistent; add -p, or a port",
            service.id
        )));
    }
    Ok(())
}

/// Looks for the family of all directors.
fn connect() -> Result<Option<Connection>, Error> {
    Connection::open(FAMILY).map_err(|failure| error::query("reach the kernel", &failure))
}

/// Tries to load the module, and returns the outcome as the end of a sentence.
fn load_module() -> String {
    let program = ["/sbin/modprobe", "/usr/sbin/modprobe"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("modprobe");
    match Process::new(program).args(["--", MODULE]).output() {
        Err(error) => format!("cannot be run: {error}"),
        Ok(output) if output.status.success() => {
            "loads a module without the netlink family IPVS".to_owned()
        }
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stderr);
            match messages.trim().lines().last() {
                Some(line) => format!("fails: {line}"),
                None => "fails without a message".to_owned(),
            }
        }
    }
}

impl Director for Kernel {
    fn info(&mut self) -> Result<Info, Error> {
        self.one(Command::GetInfo, Vec::new())
            .and_then(|answer| convert::read_info(&answer))
            .map_err(|failure| error::query("list the services", &failure))
    }

    fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        self.list(Command::GetService, Vec::new())
            .and_then(|answers| answers.iter().map(convert::read_service).collect())
            .map_err(|failure| error::query("list the services", &failure))
    }

    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry, Error> {
        self.one(Command::GetService, vec![convert::service_id(id)])
            .and_then(|answer| convert::read_service(&answer))
            .map_err(|failure| error::service_query(id, &failure))
    }

    fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        self.list(Command::GetDest, vec![convert::service_id(id)])
            .and_then(|answers| {
                answers
                    .iter()
                    .map(|answer| convert::read_destination(id.family(), answer))
                    .collect()
            })
            .map_err(|failure| error::query(&format!("list the destinations of {id}"), &failure))
    }

    fn table(&mut self, statistics: bool) -> Result<Vec<Group>, Error> {
        let whole = self
            .whole_table(statistics)
            .map_err(|failure| error::query("list the services", &failure))?;
        match whole {
            Some(groups) => Ok(groups),
            None => director::table_in_pieces(self),
        }
    }

    fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.one(Command::GetConfig, Vec::new())
            .and_then(|answer| convert::read_timeouts(&answer))
            .map_err(|failure| error::query("list the timeouts", &failure))
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        self.list(Command::GetDaemon, Vec::new())
            .and_then(|answers| {
                answers
                    .iter()
                    .filter_map(|answer| convert::read_daemon(answer).transpose())
                    .collect()
            })
            .map_err(|failure| error::query("list the synchronization daemons", &failure))
    }

    fn connections(
        &mut self,
        filter: &ConnectionFilter,
        each: &mut dyn FnMut(connections::Connection) -> io::Result<()>,
    ) -> Result<(), Error> {
        let failed = |failure: Failure| match failure {
            Failure::Output(error) => Error::Output(error),
            other => error::query("list the connections", &other),
        };
        let selects_states = self.extension(feature::STATES).map_err(failed)?.is_some();
        let asked = ConnectionFilter {
            state: filter.state.filter(|_| selects_states),
            ..*filter
        };
        match self.extension(feature::CONNECTIONS).map_err(failed)? {
            Some(connection) => connection
                .stream(&Request::connections(&asked), Mode::Dump, &mut |part| {
                    let connection = native::read_connection(part)?;
                    if !filter.matches_state(&connection) {
                        return Ok(());
                    }
                    each(connection).map_err(Failure::Output)
                })
                .map_err(failed),
            // Any other module has the file.
            None => listed_in_file(filter, each),
        }
    }

    fn kill(&mut self, filter: &ConnectionFilter) -> Result<u32, Error> {
        let failed = |failure: Failure| error::query("remove connections", &failure);
        let Some(connection) = self.extension(feature::KILL).map_err(failed)? else {
            return Err(Error::Failed(
                "cannot remove connections: the kernel module does not offer it (ipvs_rs does)"
                    .to_owned(),
            ));
        };
        let mut removed = 0;
        connection
            .stream(&Request::kill(filter), Mode::One, &mut |part| {
                removed = native::read_done(part)?;
                Ok(())
            })
            .map_err(failed)?;
        Ok(removed)
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        if let Change::AddService(service) | Change::EditService(service) = change {
            refuse_idle_service(service)?;
        }
        match self.connection.request(&change_request(change), Mode::One) {
            Ok(_) => Ok(()),
            Err(failure) => Err(error::change(change, &failure)),
        }
    }

    fn change_at_once(&mut self, changes: &[&Change]) -> Result<bool, Error> {
        let failed = |failure: Failure| error::query("change the table", &failure);
        // What a transaction cannot contain.
        let alone = |change: &&Change| {
            !matches!(
                change,
                Change::AddService(_)
                    | Change::EditService(_)
                    | Change::DeleteService(_)
                    | Change::AddDestination(..)
                    | Change::EditDestination(..)
                    | Change::DeleteDestination(..)
            )
        };
        if changes.iter().any(alone) {
            return Ok(false);
        }
        let Some(connection) = self.extension(feature::ATOMIC).map_err(failed)? else {
            return Ok(false);
        };
        let mut done = None;
        let request = Request::apply_all(changes.iter().map(|change| change_request(change)));
        let end = connection.stream(&request, Mode::One, &mut |part| {
            done = usize::try_from(native::read_done(part)?).ok();
            Ok(())
        });
        end.map(|()| true)
            .map_err(|failure| match done.and_then(|done| changes.get(done)) {
                Some(change) => error::change(change, &failure),
                None => failed(failure),
            })
    }

    fn change_all(&mut self, changes: &[&Change]) -> Result<(), (usize, Error)> {
        let offered = self
            .extension(feature::APPLY)
            .map_err(|failure| (0, error::query("query the module's features", &failure)))?;
        let Some(connection) = offered else {
            return director::change_one_by_one(self, changes);
        };
        for (number, batch) in changes.chunks(BATCH).enumerate() {
            let mut done = 0;
            let request = Request::apply(batch.iter().map(|change| change_request(change)));
            let end = connection.stream(&request, Mode::One, &mut |part| {
                done = usize::try_from(native::read_done(part)?).unwrap_or(usize::MAX);
                Ok(())
            });
            end.map_err(|failure| {
                let error = match batch.get(done) {
                    Some(change) => error::change(change, &failure),
                    None => error::query("change anything", &failure),
                };
                (number.saturating_mul(BATCH).saturating_add(done), error)
            })?;
        }
        Ok(())
    }
}

/// The connections that match, from the file that lists all.
fn listed_in_file(
    filter: &ConnectionFilter,
    each: &mut dyn FnMut(connections::Connection) -> io::Result<()>,
) -> Result<(), Error> {
    let failed = |error: &io::Error| {
        let file = connections::FILE;
        Error::Failed(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "cannot list the connections: the kernel module does not offer it (there is no \
                 {file})"
            ),
            _ => format!("cannot list the connections: {file}: {error}"),
        })
    };
    let file = File::open(connections::FILE).map_err(|error| failed(&error))?;
    connections::read(BufReader::new(file), &mut |connection| {
        if filter.matches(&connection) {
            each(connection)
        } else {
            Ok(())
        }
    })
    .map_err(|broken| match broken {
        Broken::Input(error) => failed(&error),
        Broken::Line(line) => Error::Failed(line),
        Broken::Output(error) => Error::Output(error),
    })
}
