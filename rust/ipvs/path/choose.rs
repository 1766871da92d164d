// SPDX-License-Identifier: GPL-2.0-only

//! Chooses the real server for a client's packet.
//!
//! The scheduler chooses, unless the client of a persistent service has a template, which leads it
//! back to the server that it had before.

use crate::{
    path::{
        context::Context,
        refusal::{Refusal, Refused},
        target::Target,
    },
    services::{
        destination::Destination,
        helper,
        pool::Pool,
        scheduler::{Flow, Options},
        service::{Key, Service, Settings},
    },
    state::{
        connection::{Connection, Found, Template},
        tables::Tables,
    },
    uapi::service::{F_FALLBACK, F_PERSISTENT, F_PORT, HASH_SEED_SHIFT},
};
use core::sync::atomic::Ordering;
use kernel::sync::Arc;
use knet::{
    rcu::Section,
    table::{self, Member},
    work,
};
use lvs_core::{packet::Headers, redispatch, scheduler::Destination as _, Endpoint};

/// A server for a new connection, and the template that controls the connection.
pub(crate) struct Choice<'a> {
    pub(crate) server: &'a Arc<Destination>,
    pub(crate) template: Option<Member<'a, Connection>>,
}

/// The virtual service that a packet with this firewall mark and these headers is for.
pub(crate) fn service<'a>(
    context: Context<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<&'a Service> {
    service_in(context.tables, context.section, mark, headers)
}

#[inline(always)]
fn service_in<'a>(
    tables: &'a Tables,
    section: &'a Section<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<&'a Service> {
    tables
        .services
        .for_packet(
            section,
            mark,
            headers.family,
            headers.protocol,
            headers.destination,
        )
        .map(|service| &**service)
}

/// The service of a packet of a known connection, if it redispatches.
#[cold]
pub(crate) fn redispatching<'a>(
    context: Context<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<&'a Service> {
    service(context, mark, headers).filter(|service| service.redispatches())
}

/// Another server for the client of `connection`, whose server does not answer.
pub(crate) fn another<'a>(pool: &'a Pool, connection: &Connection) -> Option<&'a Arc<Destination>> {
    let servers = &pool.destinations;
    let failed = servers
        .iter()
        .position(|server| Arc::ptr_eq(server, connection.destination()));
    servers.get(redispatch::another(
        servers,
        failed,
        connection.client().port,
    )?)
}

/// True if a refusal, a server's reset or an ICMP error, must not reach the client of this
/// connection: the server has not answered, and another one will get the client's next SYN.
/// Softirq.
///
/// A service on a firewall mark is not found: replies and errors do not have the mark.
#[cold]
#[inline(never)]
pub(crate) fn hides_refusal<'a>(
    tables: &'a Tables,
    section: &'a Section<'a>,
    connection: &Connection,
) -> bool {
    let headers = connection.request().filter(|_| connection.awaits_answer());
    headers
        .and_then(|headers| service_in(tables, section, 0, &headers))
        .filter(|service| service.redispatches())
        .and_then(|service| service.pool(section))
        .is_some_and(|pool| another(pool, connection).is_some())
}

/// The choice of `server`, which takes a connection over: the client of a persistent service keeps
/// it from now on.
pub(crate) fn moved<'a>(
    context: Context<'a>,
    service: &Service,
    settings: &Settings,
    headers: &Headers,
    server: &'a Arc<Destination>,
) -> Result<Choice<'a>, Refused> {
    if settings.flags & F_PERSISTENT == 0 {
        return Ok(Choice {
            server,
            template: None,
        });
    }
    let template = template(service, settings, headers, None);
    let hash = context.tables.template_hash(&template);
    if let Some(entry) = context
        .tables
        .find_template(context.section, &template, hash)
    {
        entry.remove();
    }
    lead(context, settings, &template, hash, server)
}

/// The scheduler's choice.
pub(crate) fn scheduled<'a>(
    context: Context<'_>,
    pool: &'a Pool,
    settings: &Settings,
    headers: &Headers,
) -> Option<&'a Arc<Destination>> {
    let of_director = &context.tables.settings;
    pool.select(&Flow {
        protocol: headers.protocol,
        client: headers.source,
        virtual_endpoint: headers.destination,
        options: Options {
            port: settings.flags & F_PORT != 0,
            fallback: settings.flags & F_FALLBACK != 0,
            seed: (settings.flags >> HASH_SEED_SHIFT) as u8,
            lblc_expiration: of_director.lblc_expiration.load(Ordering::Relaxed),
            lblcr_expiration: of_director.lblcr_expiration.load(Ordering::Relaxed),
        },
        now: work::seconds(),
        regions: of_director.regions.regions(context.section),
    })
}

/// The choice for a new connection of `service`. Softirq.
pub(crate) fn server<'a>(
    context: Context<'a>,
    service: &Service,
    pool: &'a Pool,
    settings: &Settings,
    headers: &Headers,
    found: Option<Found<'_>>,
) -> Result<Choice<'a>, Refused> {
    if settings.flags & F_PERSISTENT != 0 {
        return persistent(context, service, pool, settings, headers, found);
    }
    match scheduled(context, pool, settings, headers) {
        Some(server) => Ok(Choice {
            server,
            template: None,
        }),
        None => Err(Refusal::NoDestination.into()),
    }
}

/// The server of the client's template; if there is none, the scheduler's choice, with a new
/// template.
fn persistent<'a>(
    context: Context<'a>,
    service: &Service,
    pool: &Pool,
    settings: &Settings,
    headers: &Headers,
    found: Option<Found<'_>>,
) -> Result<Choice<'a>, Refused> {
    let Context {
        tables, section, ..
    } = context;
    let template = template(service, settings, headers, found);
    let hash = tables.template_hash(&template);
    if let Some(entry) = tables.find_template(section, &template, hash) {
        if may_return(context, entry.destination()) {
            entry.touch(work::seconds());
            let timeout = settings.template_timeout();
            if entry.timeout() != timeout {
                entry.set_timeout(timeout);
            }
            return Ok(led_by(entry));
        }
        entry.remove();
    }
    let server = scheduled(context, pool, settings, headers).ok_or(Refusal::NoDestination)?;
    lead(context, settings, &template, hash, server)
}

/// Enters a template that leads its client to `server`.
fn lead<'a>(
    context: Context<'a>,
    settings: &Settings,
    template: &Template<'_>,
    hash: u32,
    server: &Arc<Destination>,
) -> Result<Choice<'a>, Refused> {
    let Context {
        tables, section, ..
    } = context;
    let connection = Connection::template(template, server.clone());
    let connection = connection.map_err(|_| Refusal::NoMemory.by(server))?;
    let now = work::seconds();
    let first = tables.newcomer_template(template);
    let timeout = settings.template_timeout();
    let inserted = tables
        .connections
        .insert(section, hash, connection, now, timeout, &first);
    match inserted {
        Ok(entry) => {
            tables.begun(section, entry);
            Ok(led_by(entry))
        }
        // Another CPU was faster with another packet of the same client.
        Err(table::Refused::Duplicate) => tables
            .find_template(section, template, hash)
            .map(led_by)
            .ok_or_else(|| Refusal::Lost.by(server)),
        Err(refused) => Err(Refusal::from(refused).by(server)),
    }
}

/// The choice for a connection that `server` begins with a datagram to a client. `headers` are
/// those of the client's packets. A template that leads to another server gives way.
pub(crate) fn begun_by<'a>(
    context: Context<'a>,
    service: &Service,
    server: &'a Arc<Destination>,
    headers: &Headers,
    found: Option<Found<'_>>,
) -> Result<Choice<'a>, Refused> {
    let settings = service.settings();
    if settings.flags & F_PERSISTENT == 0 {
        return Ok(Choice {
            server,
            template: None,
        });
    }
    let Context {
        tables, section, ..
    } = context;
    let template = template(service, &settings, headers, found);
    let hash = tables.template_hash(&template);
    if let Some(entry) = tables.find_template(section, &template, hash) {
        if Arc::ptr_eq(entry.entry().destination(), server) {
            entry.touch(work::seconds());
            return Ok(led_by(entry));
        }
        entry.remove();
    }
    lead(context, &settings, &template, hash, server)
}

/// The choice for a connection that belongs to a control connection (FTP) by its client alone: of a
/// persistent service on port 21, for a port without a service. Without a template nothing begins.
pub(crate) fn related<'a>(context: Context<'a>, headers: &Headers) -> Option<Choice<'a>> {
    let Context {
        tables, section, ..
    } = context;
    if !helper::may_be_data(
        headers.protocol,
        headers.destination.port,
        headers.tcp_flags,
    ) {
        return None;
    }
    let key = Key::Address {
        protocol: headers.protocol,
        endpoint: Endpoint::new(headers.destination.address, helper::FTP),
    };
    let service = tables.services.find(section, &key)?;
    let settings = service.settings();
    if settings.flags & F_PERSISTENT == 0 {
        return None;
    }
    let template = template(service, &settings, headers, None);
    let hash = tables.template_hash(&template);
    let entry = tables.find_template(section, &template, hash)?;
    if !may_return(context, entry.destination()) {
        return None;
    }
    entry.touch(work::seconds());
    Some(led_by(entry))
}

fn led_by(template: Member<'_, Connection>) -> Choice<'_> {
    Choice {
        server: template.entry().destination(),
        template: Some(template),
    }
}

/// True if a client that had this server before gets it again.
fn may_return(context: Context<'_>, server: &Arc<Destination>) -> bool {
    let expires = &context.tables.settings.expire_quiescent_template;
    server.is_available() && (server.weight() != 0 || !expires.load(Ordering::Relaxed))
}

/// The template that the client of a persistent service has.
fn template<'a>(
    service: &Service,
    settings: &Settings,
    headers: &Headers,
    found: Option<Found<'a>>,
) -> Template<'a> {
    Template {
        family: headers.family,
        client: headers.source.address.persistence_client(settings.netmask),
        service: service.key.identity(),
        found,
    }
}

/// The server that a connection would get, if a packet with these headers began it. Nothing begins.
pub(crate) fn presumed<'a>(
    context: Context<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<&'a Arc<Destination>> {
    let service = service(context, mark, headers)?;
    let settings = service.settings();
    if settings.flags & F_PERSISTENT != 0 {
        let template = template(service, &settings, headers, None);
        let hash = context.tables.template_hash(&template);
        if let Some(entry) = context
            .tables
            .find_template(context.section, &template, hash)
        {
            return Some(entry.entry().destination());
        }
    }
    scheduled(context, service.pool(context.section)?, &settings, headers)
}

/// The target of a packet with these headers, if its service has no connection entries.
pub(crate) fn stateless<'a>(
    context: Context<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<Target<'a>> {
    let service = service(context, mark, headers)?;
    let pool = service.stateless_pool(context.section)?;
    let server = scheduled(context, pool, &service.settings(), headers)?;
    Some(Target::new(server, headers))
}
