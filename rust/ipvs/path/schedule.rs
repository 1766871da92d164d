// SPDX-License-Identifier: GPL-2.0-only

//! Begins connections.

use crate::{
    path::{
        choose::{self, Choice},
        context::Context,
        refusal::{Refusal, Refused},
        target::Target,
    },
    services::{
        destination::{Destination, Forwarding},
        helper,
        pool::Pool,
        service::Service,
    },
    state::connection::{Connection, Found},
    uapi::service::F_ONE_PACKET,
};
use core::sync::atomic::Ordering;
use kernel::sync::Arc;
use knet::{
    table::{self, Member},
    work,
};
use lvs_core::{
    packet::{Headers, TcpFlags},
    Endpoint, Protocol,
};

/// Where a packet goes that no known connection has.
pub(crate) enum Scheduled<'a> {
    /// To the server of this connection, which the table has now.
    Connection(Member<'a, Connection>),
    /// To the server of this connection, which ends with the packet (one-packet scheduling).
    OnePacket(Connection),
    /// To this server; the service has no connection entries.
    Stateless(Target<'a>),
}

/// Schedules a packet for `service` of no known connection. `hash` is that of its source, `found`
/// what the service's persistence engine found in it. Softirq.
#[inline(never)]
pub(crate) fn schedule<'a>(
    context: Context<'a>,
    service: &'a Service,
    headers: &Headers,
    hash: u32,
    found: Option<Found<'_>>,
) -> Result<Scheduled<'a>, Refused> {
    if let Some(pool) = service.stateless_pool(context.section) {
        return Ok(stateless(context, service, pool, headers)?);
    }
    if headers.protocol != Protocol::Udp && !may_begin(context, headers) {
        return Err(Refusal::NotOpening.into());
    }
    if context.tables.settings.defence.drops() {
        return Err(Refusal::Defence.into());
    }
    let settings = service.settings();
    let pool = service
        .pool(context.section)
        .ok_or(Refusal::NoDestination)?;
    let choice = match choose::server(context, service, pool, &settings, headers, found) {
        Err(refused) if refused.refusal == Refusal::NoDestination => {
            bypass(context, service, headers).ok_or(refused)?
        }
        choice => choice?,
    };
    let port = headers.destination.port;
    if settings.flags & F_ONE_PACKET != 0 && headers.protocol == Protocol::Udp {
        choice.server.statistics.live.connection();
        let server = service.server_endpoint(&settings, choice.server, port);
        let connection = made(context, headers, &choice, server);
        return Ok(Scheduled::OnePacket(connection));
    }
    let server = choice.server;
    let Context {
        tables, section, ..
    } = context;
    let make = || {
        let server = service.server_endpoint(&settings, server, port);
        connection(context, headers, &choice, server)
    };
    let finish = |connection: &mut Connection| {
        measure(pool, headers, connection);
        assist(context, headers, connection);
        tables.timeout(section, connection.state())
    };
    let first = tables.newcomer(headers);
    let inserted =
        tables
            .connections
            .insert_with(section, hash, work::seconds(), &first, make, finish);
    entered(context, headers, hash, server, inserted).map(Scheduled::Connection)
}

/// Lets another server take a connection whose server has not answered the client's SYN, which
/// came again with these headers. `None` if there is no other server: the connection stays.
/// Softirq.
///
/// The request has not begun, so no second server gets it. If the first one answers late after all,
/// its answer belongs to no connection.
#[cold]
pub(crate) fn redispatch<'a>(
    context: Context<'a>,
    service: &Service,
    headers: &Headers,
    hash: u32,
    former: Member<'a, Connection>,
) -> Option<Result<Member<'a, Connection>, Refused>> {
    let pool = service.pool(context.section)?;
    let server = choose::another(pool, &former)?;
    let settings = service.settings();
    context.tables.end(former);
    let choice = choose::moved(context, service, &settings, headers, server);
    Some(choice.and_then(|choice| {
        let port = headers.destination.port;
        let server = service.server_endpoint(&settings, choice.server, port);
        let mut connection = made(context, headers, &choice, server);
        measure(pool, headers, &connection);
        assist(context, headers, &mut connection);
        let entry = enter(context, headers, hash, choice.server, connection)?;
        let redispatched = &context.tables.redispatched;
        redispatched.fetch_add(1, Ordering::Relaxed);
        Ok(entry)
    }))
}

/// The connection to `server` that begins with a packet with these headers.
#[inline(always)]
fn connection(
    context: Context<'_>,
    headers: &Headers,
    choice: &Choice<'_>,
    server: Endpoint,
) -> Connection {
    let guarded = &context.tables.settings.defence.guarded;
    let lease = choice.template.and_then(|template| template.lease());
    Connection::new(
        headers,
        choice.server.clone(),
        server,
        lease,
        guarded.load(Ordering::Relaxed),
    )
}

/// Returns the same as [`connection`], in one place for callers that begin few connections.
#[cold]
#[inline(never)]
fn made(
    context: Context<'_>,
    headers: &Headers,
    choice: &Choice<'_>,
    server: Endpoint,
) -> Connection {
    connection(context, headers, choice, server)
}

/// Measures the delay of the handshake, if the scheduler needs it and the director will see the
/// answer.
#[inline(always)]
fn measure(pool: &Pool, headers: &Headers, connection: &Connection) {
    if pool.measures_delays
        && headers.tcp_flags.opens_connection()
        && connection.forwarding() == Forwarding::Masquerading
    {
        connection.measure();
    }
}

/// Begins a connection that no service has, but which belongs to a control connection of its
/// client: [`choose::related`]. Softirq.
#[cold]
#[inline(never)]
pub(crate) fn related<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
) -> Option<Member<'a, Connection>> {
    let choice = choose::related(context, headers)?;
    let server = Endpoint::new(choice.server.endpoint.address, headers.destination.port);
    let connection = made(context, headers, &choice, server);
    enter(context, headers, hash, choice.server, connection).ok()
}

/// Gives a new connection its helper, if there is one for its port. Without memory it has none.
#[inline(always)]
fn assist(context: Context<'_>, headers: &Headers, connection: &mut Connection) {
    if helper::is_any()
        && headers.protocol == Protocol::Tcp
        && connection.forwarding() == Forwarding::Masquerading
    {
        help(context, connection);
    }
}

/// As [`assist`], once there is a helper.
#[cold]
fn help(context: Context<'_>, connection: &mut Connection) {
    if connection.help(context.section).is_err() {
        let skipped = &context.tables.helper.skipped;
        skipped.fetch_add(1, Ordering::Relaxed);
    }
}

/// The packet's own destination as the choice, with `cache_bypass`: if the service is one on a
/// firewall mark, as of a transparent cache, and the destination is another host.
#[cold]
fn bypass<'a>(context: Context<'a>, service: &Service, headers: &Headers) -> Option<Choice<'a>> {
    let tables = context.tables;
    let applies = tables.settings.cache_bypass.load(Ordering::Relaxed)
        && service.key.mark() != 0
        && tables.is_elsewhere(headers.destination.address);
    applies.then(|| Choice {
        server: tables.bypass(headers.family),
        template: None,
    })
}

/// The destination of a packet whose service has no connection entries.
fn stateless<'a>(
    context: Context<'_>,
    service: &Service,
    pool: &'a Pool,
    headers: &Headers,
) -> Result<Scheduled<'a>, Refusal> {
    let server = choose::scheduled(context, pool, &service.settings(), headers);
    let server = server.ok_or(Refusal::NoDestination)?;
    // All that the director sees of a connection is the segment that opens it.
    if headers.tcp_flags.opens_connection() {
        server.statistics.live.connection();
    }
    Ok(Scheduled::Stateless(Target::new(server, headers)))
}

/// True if a connection may begin with this segment: one that opens it, or with `sloppy_tcp` or
/// `sloppy_sctp` any but a reset, since another director may have seen the beginning.
#[inline(always)]
fn may_begin(context: Context<'_>, headers: &Headers) -> bool {
    headers.tcp_flags.opens_connection() || is_taken_over(context, headers)
}

#[cold]
fn is_taken_over(context: Context<'_>, headers: &Headers) -> bool {
    let settings = &context.tables.settings;
    let sloppy = match headers.protocol {
        Protocol::Sctp => &settings.sloppy_sctp,
        Protocol::Tcp | Protocol::Udp => &settings.sloppy_tcp,
    };
    sloppy.load(Ordering::Relaxed) && !headers.tcp_flags.contains(TcpFlags::RST)
}

/// Enters a connection into the table.
#[cold]
#[inline(never)]
pub(crate) fn enter<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
    server: &Arc<Destination>,
    connection: Connection,
) -> Result<Member<'a, Connection>, Refused> {
    let Context {
        tables, section, ..
    } = context;
    let timeout = tables.timeout(section, connection.state());
    let now = work::seconds();
    let first = tables.newcomer(headers);
    let inserted = tables
        .connections
        .insert(section, hash, connection, now, timeout, &first);
    entered(context, headers, hash, server, inserted)
}

/// Handles the result of inserting a connection to `server`.
#[inline(always)]
fn entered<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
    server: &Arc<Destination>,
    inserted: Result<Member<'a, Connection>, table::Refused>,
) -> Result<Member<'a, Connection>, Refused> {
    let Context {
        tables, section, ..
    } = context;
    match inserted {
        // The client will try again.
        Ok(entry) if !server.is_available() => {
            entry.remove();
            Err(Refusal::DestinationDeleted.by(server))
        }
        Ok(entry) => {
            server.admit();
            server.statistics.live.connection();
            tables.begun(section, entry);
            Ok(entry)
        }
        // Another CPU was faster with another packet of the same connection.
        Err(table::Refused::Duplicate) => tables
            .find_request(section, headers, hash)
            .filter(|entry| entry.destination().is_available())
            .ok_or_else(|| Refusal::Lost.by(server)),
        Err(refused) => Err(Refusal::from(refused).by(server)),
    }
}
