// SPDX-License-Identifier: GPL-2.0-only

//! Takes packets of known connections where they come in, before the host has received them.
//!
//! It takes those that need no attention: packets that change no state, whose server is there, and
//! that can be sent as they are. All others go on unchanged, and come to the hook at PRE_ROUTING,
//! which decides about them.

use crate::{
    path::{read, target::Target, transmit},
    services::destination::Forwarding,
    state::{
        connection::{direction, Connection},
        tables::Tables,
    },
};
use core::sync::atomic::Ordering;
use knet::{
    ingress::Handler,
    packet::{Packet, Verdict, Version},
    rcu::Section,
    table::Member,
    work,
};
use lvs_core::{
    packet::{Headers, TcpFlags},
    rewrite::Side,
    state::{Direction, State},
    Protocol,
};

// What a packet needs stays in registers as long as no reference to it leaves these functions. So
// the cold ones take single words, and read the headers again.

impl Handler for Tables {
    #[inline(always)]
    fn may_take<V: Version>(&self, packet: &Packet<'_, V>) -> bool {
        let (source, destination) = read::address_words(packet);
        self.filter.may_be_ours(source, destination)
    }

    #[inline(always)]
    fn take<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        len: u32,
    ) -> Verdict<'p> {
        // Conntrack has to see the packets that it tracks.
        if self.settings.conntrack.load(Ordering::Relaxed) {
            return packet.accept();
        }
        match read::plain_headers(&packet, len) {
            Ok(headers) if may_be_steady(&headers) => take(self, section, packet, len, headers),
            Ok(_) | Err(None) => packet.accept(),
            Err(Some(_)) => take_unusual(self, section, packet, len),
        }
    }
}

/// False for a segment that changes the state of its connection in any case.
#[inline(always)]
pub(super) fn may_be_steady(headers: &Headers) -> bool {
    headers.protocol != Protocol::Tcp || headers.tcp_flags.is_data()
}

#[inline(always)]
fn take<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    headers: Headers,
) -> Verdict<'p> {
    let (source, destination) = read::address_words(&packet);
    // Not `Tables::find_request`: here it is worth its place in the code.
    if tables.filter.may_be_request(destination) {
        let hash = tables.hash(&headers, headers.source);
        let is_wanted = move |connection: &Connection| connection.is_request(&headers);
        if let Some(connection) = tables.connections.find(section, hash, is_wanted) {
            return request(tables, section, packet, len, headers, connection);
        }
    }
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(&headers, headers.destination);
        let is_wanted = move |connection: &Connection| connection.is_reply(&headers);
        if let Some(connection) = tables.connections.find(section, hash, is_wanted) {
            return reply(tables, section, packet, len, headers, connection);
        }
    }
    if tables.connections.has_apart() {
        return take_unusual(tables, section, packet, len);
    }
    packet.accept()
}

/// Takes a packet of a client port that has many connections, or whose headers are not linear.
#[cold]
#[inline(never)]
fn take_unusual<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    mut packet: Packet<'p, V>,
    len: u32,
) -> Verdict<'p> {
    // Before its bytes are moved, which others may share.
    if !packet.receive(len) {
        return packet.accept();
    }
    let headers = loop {
        match read::plain_headers(&packet, len) {
            Ok(headers) => break headers,
            Err(Some(need)) if read::pull(&mut packet, need).is_some() => {}
            Err(_) => return packet.accept(),
        }
    };
    if !may_be_steady(&headers) {
        return packet.accept();
    }
    let hash = tables.hash(&headers, headers.source);
    if let Some(connection) = tables.find_request(section, &headers, hash) {
        return request(tables, section, packet, len, headers, connection);
    }
    let hash = tables.hash(&headers, headers.destination);
    match tables.find_reply(section, &headers, hash) {
        Some(connection) => reply(tables, section, packet, len, headers, connection),
        None => packet.accept(),
    }
}

/// Notes a packet that leaves the connection in `state`, as [`Tables::note`].
#[inline(always)]
fn note(
    tables: &Tables,
    section: &Section<'_>,
    connection: Member<'_, Connection>,
    direction: Direction,
    flags: TcpFlags,
    state: State,
) {
    // Once a second, and when timeouts were changed.
    if connection.unused(work::seconds()) != 0
        || connection.timeout() != tables.timeout(section, state)
    {
        note_use(tables, section, connection, direction, flags);
    }
}

#[cold]
#[inline(never)]
fn note_use(
    tables: &Tables,
    section: &Section<'_>,
    connection: Member<'_, Connection>,
    direction: Direction,
    flags: TcpFlags,
) {
    tables.note(section, connection, direction, flags);
}

/// Sends a client's packet to its server.
#[inline(always)]
pub(super) fn request<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    headers: Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let flags = headers.tcp_flags;
    let Some(state) = connection.stays(flags) else {
        return packet.accept();
    };
    let destination = connection.destination();
    if !destination.is_available() {
        return packet.accept();
    }
    let forwarding = connection.forwarding();
    let server = connection.server();
    let route = if forwarding.rewrites() {
        destination.route(server)
    } else if forwarding == Forwarding::DirectRouting {
        destination.direct_route(server.address)
    } else {
        return encapsulate(tables, section, packet, len, flags, connection);
    };
    let writable = transmit::rewritten_bytes(&headers);
    let mut packet = match packet.depart(section, &route, writable, len) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    let direction = direction(forwarding);
    note(tables, section, connection, direction, flags, state);
    let rewritten = if forwarding.rewrites() {
        transmit::rewrite_early(&mut packet, &headers, Side::Destination, server)
    } else {
        transmit::age_early(&mut packet)
    };
    if rewritten.is_none() {
        return packet.discard();
    }
    let counters = &destination.statistics.live;
    packet.send(tables.early.incoming(), counters.incoming())
}

/// Sends a client's packet to its server through a tunnel.
#[inline(never)]
fn encapsulate<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    mut packet: Packet<'p, V>,
    bytes: u32,
    flags: TcpFlags,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let target = Target::of(&connection);
    let Some(route) = target.route(&tables.settings, packet.mark()) else {
        return packet.accept();
    };
    if target.forwarding != Forwarding::Tunneling {
        return packet.accept();
    }
    if !packet.receive(bytes) {
        return packet.accept();
    }
    let mut packet = match packet.prepare_at_once(section, &route, size_of::<V::Header>() as u16) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    packet.packet().count_received();
    tables.note(section, connection, direction(target.forwarding), flags);
    if transmit::age(&mut packet).is_none() {
        return packet.discard();
    }
    tables.early.packet_in(bytes);
    target.destination.statistics.live.packet_in(bytes);
    let tunnel = target.destination.tunnel();
    let tracking = transmit::tracking(&tables.settings);
    packet.send_through(tunnel, target.server.address, tracking)
}

/// Sends a server's reply to its client.
#[inline(always)]
pub(super) fn reply<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    headers: Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let flags = headers.tcp_flags;
    let Some(state) = connection.stays(flags) else {
        return packet.accept();
    };
    let route = connection.reply_route();
    let writable = transmit::rewritten_bytes(&headers);
    let mut packet = match packet.depart(section, &route, writable, len) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    note(tables, section, connection, Direction::Output, flags, state);
    let from = connection.virtual_endpoint();
    if transmit::rewrite_early(&mut packet, &headers, Side::Source, from).is_none() {
        return packet.discard();
    }
    let counters = &connection.destination().statistics.live;
    packet.send(tables.early.outgoing(), counters.outgoing())
}
