// SPDX-License-Identifier: GPL-2.0-only

//! New connections: which server gets one, and the templates by which a client comes back to the
//! server that it had before.

use crate::{
    path::{is_beginning, Path},
    services::{
        destination::{Forwarding, RealServer},
        pool::Pool,
        scheduler::{Flow, Options, Server},
        service::{Service, Settings},
    },
    state::connection::{template_hash, Connection, Template},
    uapi::service::{F_FALLBACK, F_ONE_PACKET, F_PERSISTENT, F_PORT},
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{Packet, Verdict, Version},
    rcu::Section,
    table::{Entry, Refused},
    work,
};
use lvs_core::{
    packet::{self, TcpFlags},
    Protocol,
};

/// A server for a new connection, and the template that controls it.
struct Choice<'a> {
    server: RealServer,
    template: Option<&'a Entry<Connection>>,
}

/// Why there is no server for a new connection.
enum NoChoice {
    /// No server takes connections.
    Unavailable,
    /// The table takes no template.
    Refused,
}

impl Path {
    /// A packet of no known connection, at LOCAL_IN; `hash` is that of its source.
    #[inline(never)]
    pub(crate) fn schedule<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        hash: u32,
    ) -> Verdict<'p> {
        let protocol = headers.protocol;
        let mark = packet.mark();
        let service =
            self.services
                .for_packet(section, mark, headers.family, protocol, headers.destination);
        let Some(service) = service else {
            return packet.accept();
        };
        if let Some(pool) = service.stateless_pool(section) {
            return self.dispatch(section, packet, headers, pool, &service.settings());
        }
        // What is no beginning of a connection is answered by this host, which knows none (RST).
        if protocol == Protocol::Tcp && !is_beginning(headers.tcp_flags) && !self.takes(headers) {
            return packet.accept();
        }
        if self.settings.defence.drops() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return packet.discard();
        }
        let settings = service.settings();
        let pool = service.pool(section);
        let choice = match pool {
            Some(pool) if settings.flags & F_PERSISTENT != 0 => {
                self.choose_again(section, service, pool, &settings, headers)
            }
            Some(pool) => choose(pool, &settings, headers),
            None => Err(NoChoice::Unavailable),
        };
        let choice = match choice {
            Ok(choice) => choice,
            Err(NoChoice::Unavailable) => return packet.refuse(),
            Err(NoChoice::Refused) => return packet.discard(),
        };
        let lease = choice.template.and_then(|template| template.lease());
        let guarded = self.settings.defence.guarded.load(Ordering::Relaxed);
        let connection = Connection::new(headers, choice.server.clone(), lease, guarded);
        let server = choice.server;

        if settings.flags & F_ONE_PACKET != 0 && protocol == Protocol::Udp {
            server.statistics.live.connection();
            return self.transmit(
                section,
                Point::LocalIn,
                packet,
                headers,
                connection.target(),
            );
        }
        if pool.is_some_and(|pool| pool.measures_delays)
            && is_beginning(headers.tcp_flags)
            && connection.forwarding() == Forwarding::Masquerading
        {
            connection.measure();
        }
        let timeout = self.timeout(section, connection.state());
        let now = work::seconds();
        let inserted = self
            .connections
            .insert(section, hash, connection, now, timeout, |other| {
                other.is_request(headers)
            });
        let connection = match inserted {
            // Deleted since it was chosen: the client will try again.
            Ok(connection) if !server.is_available() => {
                self.connections.remove(connection);
                return packet.discard();
            }
            Ok(connection) => {
                server.statistics.live.connection();
                connection
            }
            // Another CPU was quicker with another packet of the same connection.
            Err(Refused::Duplicate) => match self.find_request(section, headers, hash) {
                Some(connection) => connection,
                None => return packet.discard(),
            },
            Err(refused) => {
                self.count(refused);
                return packet.discard();
            }
        };
        self.forward(section, Point::LocalIn, packet, headers, connection)
    }

    /// Whether a connection may begin with this segment, which is no beginning: the director that
    /// saw that may have been another.
    #[cold]
    fn takes(&self, headers: &packet::Headers) -> bool {
        self.settings.sloppy_tcp.load(Ordering::Relaxed)
            && !headers.tcp_flags.contains(TcpFlags::RST)
    }

    fn count(&self, refused: Refused) {
        if matches!(refused, Refused::Full | Refused::NoMemory) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The server that the client had before, as long as its template lives; else a new choice and
    /// a template for the next time.
    fn choose_again<'a>(
        &self,
        section: &'a Section<'_>,
        service: &Service,
        pool: &Pool,
        settings: &Settings,
        headers: &packet::Headers,
    ) -> Result<Choice<'a>, NoChoice> {
        let template = template_of(service, settings, headers);
        let hash = template_hash(&self.hash, &template);
        let find = || {
            self.connections
                .find(section, hash, |connection| connection.is(&template))
        };
        if let Some(entry) = find() {
            if self.may_come_back(entry.destination()) {
                entry.touch(work::seconds());
                if entry.timeout() != settings.timeout {
                    self.connections.set_timeout(entry, settings.timeout);
                }
                return Ok(Choice {
                    server: entry.destination().clone(),
                    template: Some(entry),
                });
            }
            self.connections.remove(entry);
        }
        let Choice { server, .. } = choose(pool, settings, headers)?;
        let connection = Connection::template(&template, server.clone());
        let connection = connection.map_err(|_| NoChoice::Refused)?;
        let now = work::seconds();
        let inserted =
            self.connections
                .insert(section, hash, connection, now, settings.timeout, |other| {
                    other.is(&template)
                });
        match inserted {
            Ok(entry) => Ok(Choice {
                server,
                template: Some(entry),
            }),
            // Another CPU was quicker with another packet of the same client.
            Err(Refused::Duplicate) => match find() {
                Some(entry) => Ok(Choice {
                    server: entry.destination().clone(),
                    template: Some(entry),
                }),
                None => Err(NoChoice::Refused),
            },
            Err(refused) => {
                self.count(refused);
                Err(NoChoice::Refused)
            }
        }
    }

    /// The server that a connection would have which a packet with these headers would begin. Nothing is
    /// begun.
    pub(crate) fn probable_server<'a>(
        &self,
        section: &'a Section<'_>,
        mark: u32,
        headers: &packet::Headers,
    ) -> Option<&'a RealServer> {
        let (family, protocol) = (headers.family, headers.protocol);
        let service =
            self.services
                .for_packet(section, mark, family, protocol, headers.destination)?;
        let settings = service.settings();
        if settings.flags & F_PERSISTENT != 0 {
            let template = template_of(service, &settings, headers);
            let hash = template_hash(&self.hash, &template);
            let entry = self
                .connections
                .find(section, hash, |connection| connection.is(&template));
            if let Some(entry) = entry {
                return Some(entry.destination());
            }
        }
        service.pool(section)?.select(&flow(&settings, headers))
    }

    /// Whether a client that had this server before gets it again.
    fn may_come_back(&self, server: &RealServer) -> bool {
        let expires = &self.settings.expire_quiescent_template;
        server.is_available() && (server.weight() != 0 || !expires.load(Ordering::Relaxed))
    }
}

/// The template that a client of a persistent service has.
fn template_of(service: &Service, settings: &Settings, headers: &packet::Headers) -> Template {
    Template {
        family: headers.family,
        client: headers.source.address.persistence_client(settings.netmask),
        service: service.key.identity(),
    }
}

/// The scheduler's choice.
fn choose<'a>(
    pool: &Pool,
    settings: &Settings,
    headers: &packet::Headers,
) -> Result<Choice<'a>, NoChoice> {
    match pool.select(&flow(settings, headers)) {
        Some(server) => Ok(Choice {
            server: server.clone(),
            template: None,
        }),
        None => Err(NoChoice::Unavailable),
    }
}

/// What a scheduler gets to see of a client's packet.
pub(crate) fn flow(settings: &Settings, headers: &packet::Headers) -> Flow {
    Flow {
        protocol: headers.protocol,
        client: headers.source,
        virtual_endpoint: headers.destination,
        options: Options {
            port: settings.flags & F_PORT != 0,
            fallback: settings.flags & F_FALLBACK != 0,
        },
        now: work::seconds(),
    }
}
