// SPDX-License-Identifier: GPL-2.0-only

//! Begins connections.

use crate::{
    path::{
        choose::{self, Choice},
        context::Context,
        refusal::{Refusal, Refused},
        target::Target,
    },
    services::{destination::Forwarding, pool::Pool, service::Service},
    state::connection::Connection,
    uapi::service::F_ONE_PACKET,
};
use core::sync::atomic::Ordering;
use knet::{
    table::{self, Member},
    work,
};
use lvs_core::{
    packet::{Headers, TcpFlags},
    Protocol,
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

/// Schedules a packet for `service` of no known connection. `hash` is that of its source. Softirq.
#[inline(never)]
pub(crate) fn schedule<'a>(
    context: Context<'a>,
    service: &'a Service,
    headers: &Headers,
    hash: u32,
) -> Result<Scheduled<'a>, Refused> {
    if let Some(pool) = service.stateless_pool(context.section) {
        return Ok(stateless(service, pool, headers)?);
    }
    if headers.protocol == Protocol::Tcp && !may_begin(context, headers.tcp_flags) {
        return Err(Refusal::NotOpening.into());
    }
    if context.tables.settings.defence.drops() {
        return Err(Refusal::Defence.into());
    }
    let settings = service.settings();
    let pool = service
        .pool(context.section)
        .ok_or(Refusal::NoDestination)?;
    let choice = choose::server(context, service, pool, &settings, headers)?;
    let guarded = context
        .tables
        .settings
        .defence
        .guarded
        .load(Ordering::Relaxed);
    let lease = choice.template.and_then(|template| template.lease());
    let port = headers.destination.port;
    let server = service.server_endpoint(&settings, &choice.server, port);
    let connection = Connection::new(headers, choice.server.clone(), server, lease, guarded);
    if settings.flags & F_ONE_PACKET != 0 && headers.protocol == Protocol::Udp {
        choice.server.statistics.live.connection();
        return Ok(Scheduled::OnePacket(connection));
    }
    if pool.measures_delays
        && headers.tcp_flags.opens_connection()
        && connection.forwarding() == Forwarding::Masquerading
    {
        connection.measure();
    }
    enter(context, headers, hash, choice, connection).map(Scheduled::Connection)
}

/// The destination of a packet whose service has no connection entries.
fn stateless<'a>(
    service: &Service,
    pool: &'a Pool,
    headers: &Headers,
) -> Result<Scheduled<'a>, Refusal> {
    let server = choose::scheduled(pool, &service.settings(), headers);
    let server = server.ok_or(Refusal::NoDestination)?;
    // All that the director sees of a connection is the segment that opens it.
    if headers.tcp_flags.opens_connection() {
        server.statistics.live.connection();
    }
    Ok(Scheduled::Stateless(Target::new(server, headers)))
}

/// True if a connection may begin with this TCP segment: one that opens it, or with `sloppy_tcp`
/// any but a reset, since another director may have seen the beginning.
#[inline(always)]
fn may_begin(context: Context<'_>, flags: TcpFlags) -> bool {
    flags.opens_connection() || is_taken_over(context, flags)
}

#[cold]
fn is_taken_over(context: Context<'_>, flags: TcpFlags) -> bool {
    let sloppy = &context.tables.settings.sloppy_tcp;
    sloppy.load(Ordering::Relaxed) && !flags.contains(TcpFlags::RST)
}

/// Enters a connection into the table.
#[inline(always)]
fn enter<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
    choice: Choice<'_>,
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
    match inserted {
        // The client will try again.
        Ok(entry) if !choice.server.is_available() => {
            entry.remove();
            Err(Refusal::DestinationDeleted.by(&choice.server))
        }
        Ok(entry) => {
            choice.server.admit();
            choice.server.statistics.live.connection();
            tables.begun(section, entry);
            Ok(entry)
        }
        // Another CPU was faster with another packet of the same connection.
        Err(table::Refused::Duplicate) => tables
            .find_request(section, headers, hash)
            .filter(|entry| entry.destination().is_available())
            .ok_or_else(|| Refusal::Lost.by(&choice.server)),
        Err(refused) => Err(Refusal::from(refused).by(&choice.server)),
    }
}
