// SPDX-License-Identifier: GPL-2.0-only

//! Control by generic netlink. ipvsadm, keepalived and other programs use the family "IPVS"
//! ([`Control`], `include/uapi/linux/ip_vs.h`). The family "ipvs_rs" ([`Extension`]) has the
//! commands that "IPVS" lacks.
//!
//! Belongs here: commands, and how answers are written. `lvs_core::request` parses requests; the
//! director carries them out.
//!
//! A request is parsed completely before it changes anything, so a refused request changes nothing.
//! A refusal carries a sentence that says what is wrong (extended acknowledgment).

mod address;
mod configure;
mod events;
mod extension;
mod refusal;
mod regions;
mod show;
mod synchronization;

pub use extension::Extension;

use crate::{
    director::Director,
    instance::Instance,
    services::{
        destination::Destination,
        engine,
        service::{Key, Service},
    },
    uapi::{self, command, message},
};
use configure::Configure;
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    errno, namespace,
    netlink::{Command, Dump, DumpRequest, Family, Full, Request, Source, Writer},
};
use lvs_core::{
    daemon::Daemon,
    netlink::Attributes,
    request::{self, NamedDestination, NamedService, ServiceDetails},
};
use refusal::Refusal;

/// The generic netlink family "IPVS".
pub struct Control;

const fn does(number: u8) -> Command {
    Command {
        number,
        act: true,
        dump: false,
    }
}

const fn dumps(number: u8) -> Command {
    Command {
        number,
        act: false,
        dump: true,
    }
}

impl Family for Control {
    const NAME: &'static CStr = c"IPVS";
    const VERSION: u32 = 1;
    const COMMANDS: &'static [Command] = &[
        does(command::NEW_SERVICE),
        does(command::SET_SERVICE),
        does(command::DEL_SERVICE),
        Command {
            number: command::GET_SERVICE,
            act: true,
            dump: true,
        },
        does(command::NEW_DEST),
        does(command::SET_DEST),
        does(command::DEL_DEST),
        dumps(command::GET_DEST),
        does(command::NEW_DAEMON),
        does(command::DEL_DAEMON),
        dumps(command::GET_DAEMON),
        does(command::SET_CONFIG),
        does(command::GET_CONFIG),
        does(command::GET_INFO),
        does(command::ZERO),
        does(command::FLUSH),
    ];
    type Dump = Listing;

    fn act(request: &Request<'_>) -> Result {
        let director = director_of(request)?;
        answer(request, carry_out(&director, request))
    }

    fn dump(request: &DumpRequest<'_>) -> Result<Listing> {
        let director = director_of(request)?;
        answer(request, list(&director, request))
    }
}

/// Returns the director of the namespace that sent a request. [`ENODEV`]: the namespace has none
/// yet.
fn director_of(request: &impl Source) -> Result<Arc<Director>> {
    let instance = namespace::instance::<Instance>(request).ok_or(ENODEV)?;
    Ok(instance.director().clone())
}

/// Adds the sentence of a refusal to the answer.
fn answer<T>(request: &impl Source, result: Result<T, Refusal>) -> Result<T> {
    result.map_err(|refusal| {
        if let Some(message) = refusal.message {
            request.explain(message);
        }
        refusal.error
    })
}

fn carry_out(director: &Director, request: &Request<'_>) -> Result<(), Refusal> {
    let attributes = Attributes::new(request.attributes())?;
    match request.command() {
        command::GET_SERVICE => {
            let (_, service) = existing_service(director, &attributes)?;
            Ok(request.reply(command::NEW_SERVICE, |writer| {
                show::service(writer, &show::IPVS, &service)
            })?)
        }
        command::GET_CONFIG => {
            let timeouts = director.timeouts();
            Ok(request.reply(command::SET_CONFIG, |writer| {
                writer.u32(message::TIMEOUT_TCP, timeouts.established())?;
                writer.u32(message::TIMEOUT_TCP_FIN, timeouts.fin_wait())?;
                writer.u32(message::TIMEOUT_UDP, timeouts.udp())
            })?)
        }
        command::GET_INFO => {
            let size = director.occupancy().buckets;
            Ok(request.reply(command::SET_INFO, |writer| {
                writer.u32(uapi::info::VERSION, uapi::VERSION)?;
                writer.u32(uapi::info::CONN_TAB_SIZE, size)
            })?)
        }
        command => {
            change(&mut &*director, command, &attributes)?;
            events::report(request, director, command, &attributes);
            Ok(())
        }
    }
}

/// Loads the module of the persistence engine that a request names. A transaction cannot wait for
/// modules: who begins it has loaded them.
fn load_engine(target: &impl Configure, details: &ServiceDetails<'_>) {
    if let (Some(_), Ok(Some(name))) = (target.director(), details.engine()) {
        engine::request(name);
    }
}

/// Checks what does not depend on the present settings of the service.
fn check(details: &ServiceDetails<'_>) -> Result<(), Refusal> {
    // In the order in which the C director checks.
    match details.engine()? {
        Some(name) if !engine::is_offered(name) => Err(request::Refusal::no_engine().into()),
        _ => Ok(details.check()?),
    }
}

/// Carries out a command that changes the configuration.
fn change(
    target: &mut impl Configure,
    command: u8,
    attributes: &Attributes<'_>,
) -> Result<(), Refusal> {
    match command {
        command::NEW_SERVICE => {
            let named = NamedService::new(attributes)?;
            let details = named.details()?;
            let key = named.key()?;
            let exists = || Refusal::new(EEXIST, c"the virtual service exists already");
            if target.find_service(&key).is_ok() {
                return Err(exists());
            }
            let scheduler = details.scheduler()?;
            load_engine(target, &details);
            let settings = || {
                check(&details)?;
                Ok(details.over(Default::default())?)
            };
            target
                .add_service(key, scheduler, settings)
                .map_err(|refusal: Refusal| match (refusal.message, refusal.error) {
                    (Some(_), _) => refusal,
                    (None, EEXIST) => exists(),
                    (None, ENOENT) => request::Refusal::no_scheduler().into(),
                    (None, EPERM) => needs_entries(),
                    (None, other) => no_family(other),
                })
        }
        command::SET_SERVICE => {
            let named = NamedService::new(attributes)?;
            let details = named.details()?;
            let key = named.existing_key()?;
            target.find_service(&key).map_err(no_service)?;
            let scheduler = details.scheduler()?;
            load_engine(target, &details);
            let settings = |present| {
                check(&details)?;
                Ok(details.over(present)?)
            };
            target
                .edit_service(&key, settings, scheduler)
                .map_err(|refusal: Refusal| match (refusal.message, refusal.error) {
                    (Some(_), _) => refusal,
                    (None, ENOENT) => request::Refusal::no_scheduler().into(),
                    (None, EPERM) => needs_entries(),
                    (None, other) => no_service(other),
                })
        }
        command::DEL_SERVICE => {
            let key = NamedService::new(attributes)?.existing_key()?;
            target.delete_service(&key).map_err(no_service)
        }
        command::NEW_DEST => {
            let key = existing_key(target, attributes)?;
            let (named, details) = NamedDestination::with_settings(attributes, &key)?;
            let exists = || Refusal::new(EEXIST, c"the destination exists already");
            let endpoint = named.endpoint()?;
            if target.has_destination(&key, endpoint).map_err(no_service)? {
                return Err(exists());
            }
            target
                .add_destination(&key, endpoint, &details.settings()?)
                .map_err(|error| match error {
                    EEXIST => exists(),
                    EPERM => needs_entries(),
                    EBUSY => cannot_synchronize(),
                    other => no_service(other),
                })
        }
        command::SET_DEST => {
            let key = existing_key(target, attributes)?;
            let (named, details) = NamedDestination::with_settings(attributes, &key)?;
            let endpoint = named.existing_endpoint()?;
            if !target.has_destination(&key, endpoint).map_err(no_service)? {
                return Err(request::Refusal::no_destination().into());
            }
            target
                .edit_destination(&key, endpoint, &details.settings()?)
                .map_err(no_destination)
        }
        command::DEL_DEST => {
            let key = existing_key(target, attributes)?;
            let endpoint = NamedDestination::new(attributes, &key)?.existing_endpoint()?;
            target
                .delete_destination(&key, endpoint)
                .map_err(no_destination)
        }
        command::NEW_DAEMON => {
            let (role, wanted) = request::daemon(attributes)?;
            director_alone(target)?
                .start_daemon(role, &wanted)
                .map_err(|error| match error {
                    EEXIST => Refusal::new(EEXIST, c"the synchronization daemon runs already"),
                    ENODEV => Refusal::new(ENODEV, c"no such network interface"),
                    EINVAL => Refusal::new(
                        EINVAL,
                        c"no such daemon, or too high a port, or a real server is of another \
                          address family than its service",
                    ),
                    other => no_family(other),
                })
        }
        command::DEL_DAEMON => {
            let role = request::daemon_role(attributes)?;
            director_alone(target)?
                .stop_daemon(role)
                .map_err(|error| match error {
                    ESRCH => Refusal::new(ESRCH, c"the synchronization daemon does not run"),
                    other => other.into(),
                })
        }
        command::SET_CONFIG => {
            let timeouts = request::timeouts(attributes)?;
            director_alone(target)?
                .set_timeouts(timeouts.tcp, timeouts.tcp_fin, timeouts.udp)
                .map_err(|error| match error {
                    EINVAL => Refusal::new(EINVAL, c"a timeout is out of range"),
                    other => other.into(),
                })
        }
        command::ZERO => match attributes.find(message::SERVICE) {
            Some(_) => {
                let key = NamedService::new(attributes)?.existing_key()?;
                director_alone(target)?.zero(Some(&key)).map_err(no_service)
            }
            None => Ok(director_alone(target)?.zero(None)?),
        },
        command::FLUSH => Ok(director_alone(target)?.flush()?),
        _ => Err(Refusal::new(
            errno::operation_not_supported(),
            c"no such command",
        )),
    }
}

/// The director, for a command that cannot be part of a transaction.
fn director_alone(target: &impl Configure) -> Result<&Director, Refusal> {
    target.director().ok_or_else(|| {
        Refusal::new(
            errno::operation_not_supported(),
            c"a transaction changes services and destinations only",
        )
    })
}

/// The key of the service that a request is about, which exists.
fn existing_key(target: &mut impl Configure, attributes: &Attributes<'_>) -> Result<Key, Refusal> {
    let key = NamedService::new(attributes)?.existing_key()?;
    target.find_service(&key).map_err(no_service)?;
    Ok(key)
}

/// Finds the service that a request names.
fn existing_service(
    director: &Director,
    attributes: &Attributes<'_>,
) -> Result<(Key, Arc<Service>), Refusal> {
    let key = NamedService::new(attributes)?.existing_key()?;
    let service = director.find_service(&key).map_err(no_service)?;
    Ok((key, service))
}

fn no_service(error: Error) -> Refusal {
    match error {
        ESRCH => request::Refusal::no_service().into(),
        other => no_family(other),
    }
}

fn needs_entries() -> Refusal {
    Refusal::new(
        EINVAL,
        c"a service without connection entries has no persistence, no one-packet scheduling, and \
          no real servers by NAT or with thresholds",
    )
}

fn cannot_synchronize() -> Refusal {
    Refusal::new(
        EINVAL,
        c"while a synchronization daemon runs, a real server is of the address family of its \
          service",
    )
}

fn no_family(error: Error) -> Refusal {
    if error == errno::family_not_supported() {
        return Refusal::new(error, c"this host was started without IPv6");
    }
    error.into()
}

fn no_destination(error: Error) -> Refusal {
    match error {
        ENOENT => request::Refusal::no_destination().into(),
        EPERM => needs_entries(),
        EBUSY => cannot_synchronize(),
        other => no_service(other),
    }
}

fn list(director: &Director, request: &DumpRequest<'_>) -> Result<Listing, Refusal> {
    let items = match request.command() {
        command::GET_SERVICE => Items::Services(director.services()?),
        command::GET_DEST => {
            let attributes = Attributes::new(request.attributes())?;
            let key = NamedService::new(&attributes)?.existing_key();
            match key.map_or(Err(ESRCH), |key| director.destinations(&key)) {
                Ok(mut servers) => {
                    servers.reverse();
                    Items::Destinations(servers)
                }
                // The service was deleted since it was listed. Tools continue with the next one.
                Err(ESRCH) => Items::Nothing,
                Err(error) => return Err(error.into()),
            }
        }
        _ => {
            let mut daemons = KVVec::new();
            for daemon in director.daemons().into_iter().flatten() {
                daemons.push(daemon, GFP_KERNEL).map_err(Error::from)?;
            }
            Items::Daemons(daemons)
        }
    };
    Ok(Listing { items, next: 0 })
}

/// The items of a dump, as they were when it began. Later changes do not make the listing
/// inconsistent.
pub struct Listing {
    items: Items,
    next: usize,
}

enum Items {
    Services(KVVec<Arc<Service>>),
    /// Newest first, as programs expect.
    Destinations(KVVec<Arc<Destination>>),
    Daemons(KVVec<Daemon>),
    Nothing,
}

impl Dump for Listing {
    fn command(&self) -> u8 {
        match &self.items {
            Items::Services(_) => command::NEW_SERVICE,
            Items::Destinations(_) => command::NEW_DEST,
            Items::Daemons(_) => command::NEW_DAEMON,
            Items::Nothing => command::NEW_DEST,
        }
    }

    fn find(&mut self) -> Result<bool> {
        let len = match &self.items {
            Items::Services(services) => services.len(),
            Items::Destinations(servers) => servers.len(),
            Items::Daemons(daemons) => daemons.len(),
            Items::Nothing => 0,
        };
        Ok(self.next < len)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match &self.items {
            Items::Services(services) => match services.get(self.next) {
                Some(service) => show::service(writer, &show::IPVS, service),
                None => Ok(()),
            },
            Items::Destinations(servers) => match servers.get(self.next) {
                Some(server) => show::destination(writer, &show::IPVS, server),
                None => Ok(()),
            },
            Items::Daemons(daemons) => match daemons.get(self.next) {
                Some(daemon) => show::daemon(writer, daemon),
                None => Ok(()),
            },
            Items::Nothing => Ok(()),
        }
    }

    fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }
}
