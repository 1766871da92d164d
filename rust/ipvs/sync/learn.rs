// SPDX-License-Identifier: GPL-2.0-only

//! Makes entries of the connections and templates that another director sends.
//!
//! An entry is bound to its real server, and takes the forwarding method from that. An entry whose
//! server this director lacks waits, like one whose server was deleted, until the server is added
//! ([`Deleted`](crate::services::deleted::Deleted)).

use crate::{
    services::{
        destination::{self, Destination},
        engine::Reference,
        filter::Counted,
        helper,
        service::{Key, Service},
    },
    state::{
        connection::{Connection, Found, Lease, Template},
        tables::Tables,
    },
    uapi::service::F_PERSISTENT,
};
use kernel::{prelude::*, sync::Arc};
use knet::{
    rcu::{self, Section},
    table::{self, Member},
    work,
};
use lvs_core::{
    destination::Forwarding,
    engine::EngineName,
    packet::{Headers, TcpFlags},
    sync::{self, Datagram, Event, Flags, Record, Refused},
    tunnel, Endpoint, Protocol,
};

/// Seconds for which a connection that is used here is not changed by another director.
const IN_USE: u32 = 1;
/// The most servers that are kept for entries although the director lacks them.
const MOST_UNKNOWN: usize = 1024;

/// Takes records.
pub(super) struct Learner {
    tables: Arc<Tables>,
}

/// A record that no entry can be made of.
enum Unusable {
    /// It is refused.
    Refused,
    /// It is older than what this director knows.
    Outdated,
    /// The table is full, or there is no memory.
    NoRoom,
}

impl From<table::Refused> for Unusable {
    fn from(refused: table::Refused) -> Self {
        match refused {
            // A packet began the same connection at the same time.
            table::Refused::Duplicate => Self::Outdated,
            table::Refused::Full | table::Refused::NoMemory => Self::NoRoom,
        }
    }
}

impl From<Error> for Unusable {
    fn from(_: Error) -> Self {
        Self::NoRoom
    }
}

/// A server that an entry leads to, and what the director knows about its service.
struct Owner {
    key: Key,
    server: Option<Arc<Destination>>,
    /// The service exists.
    has_service: bool,
}

/// What was done with a record by means of what exists.
enum Step {
    Done,
    /// The director must make the server first.
    Missing {
        key: Key,
        has_service: bool,
    },
}

impl Learner {
    pub(super) const fn new(tables: Arc<Tables>) -> Self {
        Self { tables }
    }

    /// Takes the records of a datagram. Process context.
    pub(super) fn learn(&self, records: Datagram<'_>) {
        for record in records {
            let taken = match record {
                Ok(record) => self.take(&record),
                Err(Refused::One(_)) => Err(Unusable::Refused),
                Err(Refused::Rest(_)) => return self.count(Event::Malformed),
            };
            self.count(match taken {
                Ok(()) => Event::Taken,
                Err(Unusable::Refused) => Event::Refused,
                Err(Unusable::Outdated) => Event::Outdated,
                Err(Unusable::NoRoom) => Event::NoRoom,
            });
        }
    }

    fn count(&self, event: Event) {
        self.tables.synchronization.count(event);
    }

    fn take(&self, record: &Record<'_>) -> Result<(), Unusable> {
        // Connections that are expected, and packets that bypass services, are not supported.
        let strange = record.deltas().is_none() || record.flags.contains(Flags::NO_CLIENT_PORT);
        let forwarding = record.flags.forwarding();
        let forwarding = forwarding.filter(|_| !strange).ok_or(Unusable::Refused)?;
        let engine = match &record.engine {
            Some(engine) => Some(engine_of(engine).ok_or(Unusable::Refused)?),
            None => None,
        };
        let text = record.engine.as_ref().map(|engine| engine.data);
        let found = engine.as_ref().zip(text);
        let found = found.map(|(engine, text)| Found { engine, text });
        match rcu::read(|section| self.enter(section, record, found, None))? {
            Step::Done => Ok(()),
            Step::Missing { key, has_service } => {
                let server = self.unknown(record, key, has_service, forwarding)?;
                self.count(Event::Unbound);
                rcu::read(|section| self.enter(section, record, found, Some((key, server))))?;
                Ok(())
            }
        }
    }

    /// Makes or updates the entry of a record. `made` is a server that the director lacks.
    fn enter(
        &self,
        section: &Section<'_>,
        record: &Record<'_>,
        found: Option<Found<'_>>,
        made: Option<(Key, Arc<Destination>)>,
    ) -> Result<Step, Unusable> {
        match record.protocol {
            Some(protocol) if !record.is_template() => {
                self.enter_connection(section, record, protocol, made)
            }
            _ => self.enter_template(section, record, found, made),
        }
    }

    fn enter_connection(
        &self,
        section: &Section<'_>,
        record: &Record<'_>,
        protocol: Protocol,
        made: Option<(Key, Arc<Destination>)>,
    ) -> Result<Step, Unusable> {
        let tables = &*self.tables;
        let state = record.connection_state();
        let timeout = record.timeout_or(tables.timeout(section, state));
        let now = work::seconds();
        let ends = Headers {
            family: record.family(),
            protocol,
            source: record.client,
            destination: record.service,
            network_header_len: 0,
            tcp_flags: TcpFlags::EMPTY,
            more_fragments: false,
        };
        let hash = tables.hash(&ends, record.client);
        let known = tables.find_request(section, &ends, hash);
        if let Some(known) = known {
            let same = known.server() == record.server;
            // The end of a connection that was already replaced.
            let is_old = !same && record.flags.contains(Flags::INACTIVE);
            let in_use = !known.is_learned() && known.unused(now) <= IN_USE;
            if is_old || in_use {
                return Err(Unusable::Outdated);
            }
            if same && known.destination().is_available() {
                learn_deltas(&known, record);
                known.learn(state);
                renew(known, now, timeout);
                return Ok(Step::Done);
            }
        }
        let found = match &made {
            Some((key, server)) => Owner {
                key: *key,
                server: Some(server.clone()),
                has_service: false,
            },
            None => self
                .connection_server(section, record, &ends)
                .ok_or(Unusable::Refused)?,
        };
        let Some(server) = found.server else {
            // One that waits for its server goes on waiting.
            if let Some(known) = known.filter(|known| known.server() == record.server) {
                known.learn(state);
                renew(known, now, timeout);
                return Ok(Step::Done);
            }
            return Ok(Step::Missing {
                key: found.key,
                has_service: found.has_service,
            });
        };
        if let Some(known) = known {
            tables.end(known);
        }
        let lease = self.lease(section, record, &found.key, &server);
        let mut connection =
            Connection::learned(&ends, server.clone(), record.server, lease, state);
        if helper::is_any() {
            connection.help(section)?;
            learn_deltas(&connection, record);
        }
        let newcomer = tables.newcomer(&ends);
        tables
            .connections
            .insert(section, hash, connection, now, timeout, &newcomer)?;
        server.admit();
        Ok(Step::Done)
    }

    fn enter_template(
        &self,
        section: &Section<'_>,
        record: &Record<'_>,
        evidence: Option<Found<'_>>,
        made: Option<(Key, Arc<Destination>)>,
    ) -> Result<Step, Unusable> {
        let tables = &*self.tables;
        let now = work::seconds();
        let found = match made {
            Some((key, server)) => Owner {
                key,
                server: Some(server),
                has_service: false,
            },
            None => self
                .template_server(section, record)
                .ok_or(Unusable::Refused)?,
        };
        let template = Template {
            family: record.family(),
            client: record.client.address,
            service: found.key.identity(),
            found: evidence,
        };
        let hash = tables.template_hash(&template);
        let known = tables.find_template(section, &template, hash);
        let timeout = record.timeout_or(DEFAULT_TEMPLATE);
        let Some(server) = found.server else {
            return Ok(Step::Missing {
                key: found.key,
                has_service: found.has_service,
            });
        };
        if let Some(known) = known {
            if Arc::ptr_eq(known.entry().destination(), &server) {
                if record.is_confirmed() {
                    known.confirm();
                }
                renew(known, now, timeout);
                return Ok(Step::Done);
            }
            if !known.is_learned() && known.unused(now) <= IN_USE {
                return Err(Unusable::Outdated);
            }
            known.remove();
        }
        let learned = Connection::learned_template(&template, server, record.is_confirmed())?;
        let newcomer = tables.newcomer_template(&template);
        tables
            .connections
            .insert(section, hash, learned, now, timeout, &newcomer)?;
        Ok(Step::Done)
    }

    /// The server of a connection, and the key of its service. `None`: the service has no
    /// connection entries.
    fn connection_server(
        &self,
        section: &Section<'_>,
        record: &Record<'_>,
        ends: &Headers,
    ) -> Option<Owner> {
        let service = self.tables.services.for_packet(
            section,
            record.mark,
            ends.family,
            ends.protocol,
            ends.destination,
        );
        let Some(service) = service else {
            return Some(Owner {
                key: record.presumed_key(ends.protocol),
                server: None,
                has_service: false,
            });
        };
        if service.stateless_pool(section).is_some() {
            return None;
        }
        let settings = service.settings();
        let port = record.service.port;
        let leads = |server: &Destination| {
            service.server_endpoint(&settings, server, port) == record.server
        };
        Some(Owner {
            key: service.key,
            server: server_of(section, service, leads),
            has_service: true,
        })
    }

    /// The server of a template, and the key of its service.
    fn template_server(&self, section: &Section<'_>, record: &Record<'_>) -> Option<Owner> {
        let services = &self.tables.services;
        let service = record
            .template_keys()
            .find_map(|key| services.find(section, &key));
        let Some(service) = service else {
            return Some(Owner {
                key: record.template_keys().next()?,
                server: None,
                has_service: false,
            });
        };
        let Endpoint { address, port } = record.server;
        let leads = |server: &Destination| {
            server.endpoint.address == address && (port == 0 || server.endpoint.port == port)
        };
        Some(Owner {
            key: service.key,
            server: server_of(section, service, leads),
            has_service: true,
        })
    }

    /// The lease of the template that controls a connection to `server`.
    fn lease(
        &self,
        section: &Section<'_>,
        record: &Record<'_>,
        key: &Key,
        server: &Arc<Destination>,
    ) -> Option<Arc<Lease>> {
        let service = self.tables.services.find(section, key)?;
        let settings = service.settings();
        if settings.flags & F_PERSISTENT == 0 {
            return None;
        }
        let template = Template {
            family: record.family(),
            client: record.client.address.persistence_client(settings.netmask),
            service: key.identity(),
            found: None,
        };
        let hash = self.tables.template_hash(&template);
        let entry = self.tables.find_template(section, &template, hash)?;
        let leads = Arc::ptr_eq(entry.entry().destination(), server);
        entry.lease().filter(|_| leads)
    }

    /// A server that the director lacks: packets to it are dropped until it is added.
    fn unknown(
        &self,
        record: &Record<'_>,
        key: Key,
        has_service: bool,
        forwarding: Forwarding,
    ) -> Result<Arc<Destination>, Unusable> {
        let endpoint = record.server;
        let settings = destination::Settings {
            forwarding,
            tunnel: tunnel::Numbers::default(),
            weight: 0,
            upper_threshold: 0,
            lower_threshold: 0,
        };
        let make = || {
            let filter = self.tables.filter.clone();
            let counted = Counted::new(filter, key.address(), Some(endpoint.address));
            let server = Destination::new(key, endpoint, &settings, counted)?;
            match has_service {
                true => server.detach(),
                false => server.lose_service(),
            }
            Ok(Arc::new(server, GFP_KERNEL_ACCOUNT)?)
        };
        let deleted = &self.tables.deleted;
        Ok(deleted.find_or_keep(key, endpoint, MOST_UNKNOWN, make)?)
    }
}

/// The engine of a record, if its module is loaded, and if the record has what it found.
fn engine_of(engine: &sync::Engine<'_>) -> Option<Reference> {
    let name = EngineName::new(engine.name).filter(|_| !engine.data.is_empty())?;
    Reference::find(name).ok()
}

/// Seconds for which a template of version 0 stays, which has no timeout.
const DEFAULT_TEMPLATE: u32 = 180;

/// The server of a service that `leads` finds.
fn server_of(
    section: &Section<'_>,
    service: &Service,
    leads: impl Fn(&Destination) -> bool,
) -> Option<Arc<Destination>> {
    let destinations = &service.pool(section)?.destinations;
    destinations.iter().find(|server| leads(server)).cloned()
}

/// Takes over how the helper of the other director has shifted the server's stream.
fn learn_deltas(connection: &Connection, record: &Record<'_>) {
    if let Some((helped, deltas)) = connection.helped().zip(record.deltas()) {
        helped.learn(deltas);
    }
}

fn renew(entry: Member<'_, Connection>, now: u32, timeout: u32) {
    entry.touch(now);
    if entry.timeout() != timeout {
        entry.set_timeout(timeout);
    }
}
