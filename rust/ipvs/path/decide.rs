// SPDX-License-Identifier: GPL-2.0-only

//! Decides what happens to a packet.

use crate::{
    path::{choose, context::Context, helper, read},
    services::engine,
    state::{connection::Connection, settings::Settings},
};
use core::sync::atomic::Ordering;
use knet::{
    packet::{Packet, Version},
    table::Member,
};
use lvs_core::{
    packet::{Headers, TcpFlags},
    reuse::Usability,
    scheduler::Destination as _,
    Protocol,
};

/// What happens to a packet.
pub(crate) enum Decision<'a> {
    /// It continues on its way.
    Accept,
    /// It is a client's packet of this connection, whose server was deleted. It is dropped.
    Orphan(Member<'a, Connection>),
    /// It is dropped, and its sender gets an ICMP error (port unreachable).
    Reject,
    /// It is a client's packet, for the server of this connection.
    Request(Member<'a, Connection>),
    /// It is a server's reply, for the client of this connection.
    Reply(Member<'a, Connection>),
    /// It is a server's reply, and gets the route to the client of this connection. It is rewritten
    /// later.
    Redirect(Member<'a, Connection>),
    /// It is a client's SYN again, of this connection, whose server has not answered: another
    /// server takes it, if there is one.
    Again {
        /// The hash of its source.
        hash: u32,
        /// The connection.
        connection: Member<'a, Connection>,
    },
    /// No connection has it. It may be the datagram of a real server that begins one.
    Follow,
    /// It came to all hosts of a link. If it is for a service that filters, one host takes it.
    Filter,
    /// No connection has it; if it is for a service, it may begin one.
    Begin {
        /// The hash of its source.
        hash: u32,
    },
}

/// Decides about a packet that is not routed yet. Only packets of known connections leave here.
#[inline(always)]
pub(crate) fn pre_routing<'a, V: Version>(
    context: Context<'a>,
    packet: &Packet<'_, V>,
    headers: &Headers,
) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let (source, destination) = read::address_words(packet);
    if tables.filter.may_be_request(destination) {
        let hash = tables.hash(headers, headers.source);
        if let Some(connection) = tables.find_request(section, headers, hash) {
            return match usability(&tables.settings, &connection, headers) {
                // LOCAL_IN decides again, and schedules. It also finds out whether the service of
                // a repeated SYN redispatches.
                Usability::Over | Usability::Abandoned | Usability::Unanswered => Decision::Accept,
                // The host checks options, so such a packet goes by LOCAL_IN.
                _ if !read::is_plain::<V>(headers) || !packet.is_to_host() => Decision::Accept,
                Usability::Unavailable => Decision::Orphan(connection),
                Usability::Usable => Decision::Request(connection),
            };
        }
    }
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(headers, headers.destination);
        if let Some(connection) = tables.find_reply(section, headers, hash) {
            if packet.is_to_host() {
                return Decision::Reply(connection);
            }
        } else if may_follow(headers) && packet.is_to_host() {
            return Decision::Follow;
        } else if helper::may_open(headers) && packet.is_to_host() {
            if let Some(connection) = helper::adopt(context, headers, hash) {
                return Decision::Reply(connection);
            }
        }
    }
    Decision::Accept
}

/// Whether the datagram of a real server may begin a connection: if some service has a persistence
/// engine.
#[inline(always)]
fn may_follow(headers: &Headers) -> bool {
    engine::is_any() && headers.protocol == Protocol::Udp
}

/// Decides about a packet that was routed to this host.
#[inline(always)]
pub(crate) fn local_in<'a, V: Version>(
    context: Context<'a>,
    packet: &Packet<'_, V>,
    headers: &Headers,
) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let (source, destination) = read::address_words(packet);
    if !packet.is_to_host() {
        return Decision::Filter;
    }
    // The client is on this host.
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(headers, headers.destination);
        if let Some(connection) = tables.find_reply(section, headers, hash) {
            return Decision::Reply(connection);
        }
    }
    if !tables.filter.may_be_request(destination) {
        return Decision::Accept;
    }
    request(context, packet, headers)
}

/// Decides about a packet that may be a client's.
#[inline(always)]
fn request<'a, V: Version>(
    context: Context<'a>,
    packet: &Packet<'_, V>,
    headers: &Headers,
) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let hash = tables.hash(headers, headers.source);
    if let Some(connection) = tables.find_request(section, headers, hash) {
        match usability(&tables.settings, &connection, headers) {
            Usability::Usable => return Decision::Request(connection),
            Usability::Unavailable => return Decision::Orphan(connection),
            Usability::Abandoned => return Decision::Accept,
            Usability::Unanswered => {
                return repeated(context, packet.mark(), hash, connection, headers);
            }
            Usability::Over => tables.end(connection),
        }
    }
    Decision::Begin { hash }
}

/// Decides about a packet that a program on this host sends. It may be the reply of a real server.
/// Or it goes to another host, and its destination is a virtual address that is not this host's, or
/// it has a mark. A packet to an address of this host comes to LOCAL_IN.
#[inline(always)]
pub(crate) fn local_out<'a, V: Version>(
    context: Context<'a>,
    packet: &Packet<'_, V>,
    headers: &Headers,
) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let (source, destination) = read::address_words(packet);
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(headers, headers.destination);
        if let Some(connection) = tables.find_reply(section, headers, hash) {
            return Decision::Redirect(connection);
        }
    }
    if !tables.filter.may_be_request(destination) || !packet.leaves_host() {
        return Decision::Accept;
    }
    // What a server on this host answers, without NAT, is no request.
    let answered = Headers {
        source: headers.destination,
        destination: headers.source,
        ..*headers
    };
    let hash = tables.hash(&answered, answered.source);
    match tables.find_request(section, &answered, hash) {
        Some(_) => Decision::Accept,
        None => request(context, packet, headers),
    }
}

/// Decides about a packet that this host forwards: a reply gets its route, and the sender of a real
/// server's packet of no connection is told before the packet leaves.
#[inline(always)]
pub(crate) fn forward<'a>(context: Context<'a>, headers: &Headers) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let hash = tables.hash(headers, headers.destination);
    match tables.find_reply(section, headers, hash) {
        Some(connection) => Decision::Redirect(connection),
        None if may_follow(headers) => Decision::Follow,
        None if helper::may_open(headers) => match helper::adopt(context, headers, hash) {
            Some(connection) => Decision::Redirect(connection),
            None => unknown(context, headers),
        },
        None => unknown(context, headers),
    }
}

/// Decides about a packet of no connection that this host forwards.
#[inline(always)]
fn unknown<'a>(context: Context<'a>, headers: &Headers) -> Decision<'a> {
    match is_unexpected(context, headers) {
        true => Decision::Reject,
        false => Decision::Accept,
    }
}

/// Decides about a packet on its way out, which this host forwards or has sent: it may be a reply
/// that takes no short cut, or whose server is this host.
#[inline(always)]
pub(crate) fn post_routing<'a>(context: Context<'a>, headers: &Headers) -> Decision<'a> {
    let Context {
        tables, section, ..
    } = context;
    let hash = tables.hash(headers, headers.destination);
    match tables.find_reply(section, headers, hash) {
        Some(connection) => Decision::Reply(connection),
        // With one-packet scheduling, FORWARD left no connection.
        None if may_follow(headers) => Decision::Follow,
        None => Decision::Accept,
    }
}

/// True for a real server's packet of no connection, if servers shall be told (`nat_icmp_send`) and
/// it is not a reset itself.
#[cold]
#[inline(never)]
pub(crate) fn is_unexpected(context: Context<'_>, headers: &Headers) -> bool {
    let tables = context.tables;
    tables.settings.nat_icmp_send.load(Ordering::Relaxed)
        && !headers.tcp_flags.contains(TcpFlags::RST)
        && tables
            .nat_servers
            .contains(context.section, headers.protocol, headers.source)
}

/// Returns the use of a known connection for a packet of its client.
#[inline(always)]
fn usability(settings: &Settings, connection: &Connection, headers: &Headers) -> Usability {
    if headers.tcp_flags.opens_connection() && connection.protocol() != Some(Protocol::Udp) {
        if let Some(usability) = opened_again(settings, connection) {
            return usability;
        }
    }
    if connection.destination().is_available() {
        return Usability::Usable;
    }
    without_destination(settings, connection)
}

#[cold]
fn without_destination(settings: &Settings, connection: &Connection) -> Usability {
    let is_deleted = connection.destination().service_is_deleted();
    settings.reuse().without_destination(is_deleted)
}

/// Returns the use of a connection whose client sends a SYN, if it is not that of any other packet.
#[cold]
#[inline(never)]
fn opened_again(settings: &Settings, connection: &Connection) -> Option<Usability> {
    let (state, weight) = (connection.state(), connection.destination().weight());
    if settings
        .reuse()
        .allows_new(state, connection.forwarding(), weight)
    {
        return Some(Usability::Over);
    }
    connection.awaits_answer().then_some(Usability::Unanswered)
}

/// Decides about a client's SYN again, whose server has not answered.
#[cold]
fn repeated<'a>(
    context: Context<'a>,
    mark: u32,
    hash: u32,
    connection: Member<'a, Connection>,
    headers: &Headers,
) -> Decision<'a> {
    match choose::redispatching(context, mark, headers) {
        Some(_) => Decision::Again { hash, connection },
        None if connection.destination().is_available() => Decision::Request(connection),
        None => match without_destination(&context.tables.settings, &connection) {
            Usability::Abandoned => Decision::Accept,
            Usability::Over => {
                context.tables.end(connection);
                Decision::Begin { hash }
            }
            _ => Decision::Orphan(connection),
        },
    }
}
