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
    state::connection::{Connection, Template},
    uapi::service::{F_FALLBACK, F_PERSISTENT, F_PORT},
};
use core::sync::atomic::Ordering;
use kernel::sync::Arc;
use knet::{
    table::{self, Member},
    work,
};
use lvs_core::{packet::Headers, scheduler::Destination as _, Endpoint};

/// A server for a new connection, and the template that controls the connection.
pub(crate) struct Choice<'a> {
    pub(crate) server: Arc<Destination>,
    pub(crate) template: Option<Member<'a, Connection>>,
}

/// The virtual service that a packet with this firewall mark and these headers is for.
pub(crate) fn service<'a>(
    context: Context<'a>,
    mark: u32,
    headers: &Headers,
) -> Option<&'a Service> {
    let services = &context.tables.services;
    services
        .for_packet(
            context.section,
            mark,
            headers.family,
            headers.protocol,
            headers.destination,
        )
        .map(|service| &**service)
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
            lblc_expiration: of_director.lblc_expiration.load(Ordering::Relaxed),
            lblcr_expiration: of_director.lblcr_expiration.load(Ordering::Relaxed),
        },
        now: work::seconds(),
    })
}

/// The choice for a new connection of `service`. Softirq.
pub(crate) fn server<'a>(
    context: Context<'a>,
    service: &Service,
    pool: &Pool,
    settings: &Settings,
    headers: &Headers,
) -> Result<Choice<'a>, Refused> {
    if settings.flags & F_PERSISTENT != 0 {
        return persistent(context, service, pool, settings, headers);
    }
    match scheduled(context, pool, settings, headers) {
        Some(server) => Ok(Choice {
            server: server.clone(),
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
) -> Result<Choice<'a>, Refused> {
    let Context {
        tables, section, ..
    } = context;
    let template = template(service, settings, headers);
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
    let connection = Connection::template(&template, server.clone());
    let connection = connection.map_err(|_| Refusal::NoMemory.by(server))?;
    let now = work::seconds();
    let first = tables.newcomer_template(&template);
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
            .find_template(section, &template, hash)
            .map(led_by)
            .ok_or_else(|| Refusal::Lost.by(server)),
        Err(refused) => Err(Refusal::from(refused).by(server)),
    }
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
    let template = template(service, &settings, headers);
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
        server: template.destination().clone(),
        template: Some(template),
    }
}

/// True if a client that had this server before gets it again.
fn may_return(context: Context<'_>, server: &Arc<Destination>) -> bool {
    let expires = &context.tables.settings.expire_quiescent_template;
    server.is_available() && (server.weight() != 0 || !expires.load(Ordering::Relaxed))
}

/// The template that the client of a persistent service has.
fn template(service: &Service, settings: &Settings, headers: &Headers) -> Template {
    Template {
        family: headers.family,
        client: headers.source.address.persistence_client(settings.netmask),
        service: service.key.identity(),
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
        let template = template(service, &settings, headers);
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
