// SPDX-License-Identifier: GPL-2.0-only

//! Takes packets of known connections where they come in, before the host has received them.
//!
//! It takes those that need no attention: packets that change no state, whose server is there, and
//! that can be sent as they are. All others go on unchanged, and come to the hook at PRE_ROUTING,
//! which decides about them. With `conntrack=1` no device has the hook, since conntrack has to see
//! the packets that it tracks.

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
    table::{Ahead, Member},
    work,
};
use lvs_core::{
    packet::{self, Headers, TcpFlags},
    rewrite::Side,
    state::{Direction, State},
    Protocol,
};

// What a packet needs stays in registers as long as no reference to it leaves these functions. So
// the cold ones take single words, and read the headers again.

/// By what the connection of a packet or frame that waits is found.
#[derive(Clone, Copy)]
pub struct Key {
    /// The hash of its source if it may be a client's, else that of its destination.
    pub(super) hash: u32,
    pub(super) may_be_request: bool,
}

impl Key {
    /// That of a packet whose headers are not known yet.
    pub(super) const UNKNOWN: Self = Self {
        hash: 0,
        may_be_request: false,
    };

    /// The key of a packet with these headers and this word of its destination.
    #[inline(always)]
    pub(super) fn new(tables: &Tables, headers: &Headers, destination: u32) -> Self {
        let may_be_request = tables.filter.may_be_request(destination);
        let client = match may_be_request {
            true => headers.source,
            false => headers.destination,
        };
        Self {
            hash: tables.hash(headers, client),
            may_be_request,
        }
    }
}

/// What is known about a packet or frame that has waited. It may be wrong.
#[derive(Clone, Copy)]
pub(super) struct Noted<'a> {
    pub(super) key: Key,
    /// Where a lookup of the key leads.
    pub(super) ahead: Ahead<'a, Connection>,
}

impl<'a> Noted<'a> {
    /// The hash by which the connection is found whose `side` is rewritten, if that is known.
    #[inline(always)]
    fn of(self, side: Side) -> Option<(u32, Ahead<'a, Connection>)> {
        let is_key = self.key.may_be_request == (side == Side::Destination);
        is_key.then_some((self.key.hash, self.ahead))
    }
}

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
        read_and_take(self, section, packet, len, None)
    }
}

/// Takes a packet of `len` bytes of a known connection. `noted`: it has waited.
#[inline(always)]
pub(super) fn read_and_take<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    noted: Option<Noted<'_>>,
) -> Verdict<'p> {
    // Code for each protocol, in which its number and the length of its header are constants.
    match packet::plain_number(V::FAMILY, packet.header().as_ref()) {
        Some(packet::TCP) => read_plain(tables, section, packet, len, Protocol::Tcp, noted),
        Some(packet::UDP) => read_plain(tables, section, packet, len, Protocol::Udp, noted),
        Some(_) | None => packet.accept(),
    }
}

#[inline(always)]
fn read_plain<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    protocol: Protocol,
    noted: Option<Noted<'_>>,
) -> Verdict<'p> {
    match read::plain_headers(&packet, protocol, len) {
        Ok(headers) if may_be_steady(&headers) => {
            take(tables, section, packet, len, headers, noted)
        }
        Ok(_) | Err(None) => packet.accept(),
        Err(Some(_)) => take_unusual(tables, section, packet, len),
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
    noted: Option<Noted<'_>>,
) -> Verdict<'p> {
    let words = read::address_words(&packet);
    match find(tables, section, headers, words, noted) {
        Some((connection, Side::Destination)) => {
            request(tables, section, packet, len, headers, connection)
        }
        Some((connection, Side::Source)) => {
            reply(tables, section, packet, len, headers, connection)
        }
        None if tables.connections.has_apart() => take_unusual(tables, section, packet, len),
        None => packet.accept(),
    }
}

/// The connection of a packet with these address words, which the filter lets pass, and the side
/// that the director rewrites in it, or would. It is not found if its client port has so many that
/// they are apart.
// Not `Tables::find_request`: here it is worth its place in the code.
#[inline(always)]
pub(super) fn find<'a>(
    tables: &'a Tables,
    section: &'a Section<'_>,
    headers: Headers,
    (source, destination): (u32, u32),
    noted: Option<Noted<'a>>,
) -> Option<(Member<'a, Connection>, Side)> {
    let connections = &tables.connections;
    let may_be_request = tables.filter.may_be_request(destination);
    if may_be_request {
        let (hash, ahead) = match noted.and_then(|noted| noted.of(Side::Destination)) {
            Some(noted) => noted,
            None => (tables.hash(&headers, headers.source), Ahead::UNKNOWN),
        };
        let is_wanted = move |connection: &Connection| connection.is_request(&headers);
        if let Some(connection) = connections.find_ahead(section, hash, ahead, is_wanted) {
            return Some((connection, Side::Destination));
        }
    }
    // The filter lets only requests and replies pass.
    if !may_be_request || tables.filter.may_be_reply(source) {
        let (hash, ahead) = match noted.and_then(|noted| noted.of(Side::Source)) {
            Some(noted) => noted,
            None => (tables.hash(&headers, headers.destination), Ahead::UNKNOWN),
        };
        let is_wanted = move |connection: &Connection| connection.is_reply(&headers);
        if let Some(connection) = connections.find_ahead(section, hash, ahead, is_wanted) {
            return Some((connection, Side::Source));
        }
    }
    None
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
    let Some(headers) = read::pulled_headers(&mut packet, len) else {
        return packet.accept();
    };
    if !may_be_steady(&headers) {
        return packet.accept();
    }
    match find_anywhere(tables, section, &headers) {
        Some((connection, Side::Destination)) => {
            request(tables, section, packet, len, headers, connection)
        }
        Some((connection, Side::Source)) => {
            reply(tables, section, packet, len, headers, connection)
        }
        None => packet.accept(),
    }
}

/// The same as [`find`], also for a client port that has many connections.
pub(super) fn find_anywhere<'a>(
    tables: &'a Tables,
    section: &'a Section<'_>,
    headers: &Headers,
) -> Option<(Member<'a, Connection>, Side)> {
    let hash = tables.hash(headers, headers.source);
    if let Some(connection) = tables.find_request(section, headers, hash) {
        return Some((connection, Side::Destination));
    }
    let hash = tables.hash(headers, headers.destination);
    let connection = tables.find_reply(section, headers, hash)?;
    Some((connection, Side::Source))
}

/// Notes a packet that leaves the connection in `state`, as [`Tables::note`]. Its `side` is
/// rewritten, or would be.
#[inline(always)]
pub(super) fn note(
    tables: &Tables,
    section: &Section<'_>,
    connection: Member<'_, Connection>,
    side: Side,
    state: State,
) {
    // Once a second, and when timeouts were changed.
    if connection.unused(work::seconds()) != 0
        || connection.timeout() != tables.timeout(section, state)
    {
        note_use(tables, section, connection, side);
    }
}

#[cold]
#[inline(never)]
fn note_use(
    tables: &Tables,
    section: &Section<'_>,
    connection: Member<'_, Connection>,
    side: Side,
) {
    let direction = match side {
        Side::Source => Direction::Output,
        Side::Destination => direction(connection.forwarding()),
    };
    // The other flags that a segment may have here change nothing.
    let flags = match connection.protocol() {
        Some(Protocol::Tcp) => TcpFlags::ACK,
        _ => TcpFlags::EMPTY,
    };
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
    let destination = connection.destination();
    if !destination.is_available() {
        return packet.accept();
    }
    let forwarding = connection.forwarding();
    if forwarding.rewrites() {
        let side = Side::Destination;
        return translate(tables, section, packet, len, headers, connection, side);
    }
    if forwarding != Forwarding::DirectRouting {
        return enter(tables, section, packet, len, headers.protocol, connection);
    }
    let Some(state) = connection.steady(headers.protocol) else {
        return packet.accept();
    };
    let route = destination.direct_route(connection.server().address);
    let writable = transmit::rewritten_bytes(&headers);
    let mut packet = match packet.depart(section, &route, writable, len) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    note(tables, section, connection, Side::Destination, state);
    if transmit::age_early(&mut packet).is_none() {
        return packet.discard();
    }
    let counters = &destination.statistics.live;
    packet.send(tables.early.incoming(), counters.incoming())
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
    let side = Side::Source;
    translate(tables, section, packet, len, headers, connection, side)
}

/// Rewrites one side of a packet and sends it: to the server of the connection, or to its client.
#[inline(always)]
fn translate<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    headers: Headers,
    connection: Member<'_, Connection>,
    side: Side,
) -> Verdict<'p> {
    let Some(state) = connection.steady(headers.protocol) else {
        return packet.accept();
    };
    let route = match side {
        Side::Destination => connection.destination().route(connection.server()),
        Side::Source => connection.reply_route(),
    };
    let writable = transmit::rewritten_bytes(&headers);
    let mut packet = match packet.depart(section, &route, writable, len) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    note(tables, section, connection, side, state);
    let to = match side {
        Side::Destination => connection.server(),
        Side::Source => connection.virtual_endpoint(),
    };
    if transmit::rewrite_early(&mut packet, &headers, side, to).is_none() {
        return packet.discard();
    }
    let (early, server) = (&tables.early, &connection.destination().statistics.live);
    match side {
        Side::Destination => packet.send(early.incoming(), server.incoming()),
        Side::Source => packet.send(early.outgoing(), server.outgoing()),
    }
}

/// Sends a client's packet to its server through a tunnel.
#[inline(never)]
fn enter<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
    len: u32,
    protocol: Protocol,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let (Some(state), Forwarding::Tunneling) =
        (connection.steady(protocol), connection.forwarding())
    else {
        return packet.accept();
    };
    let destination = connection.destination();
    let ignore_df = !tables.settings.pmtu_disc.load(Ordering::Relaxed);
    let route = destination.tunnel_route(connection.server().address, ignore_df);
    let mut packet = match packet.enter(section, &route, len) {
        Ok(packet) => packet,
        Err(packet) => return encapsulate(tables, section, packet, len, connection),
    };
    note(tables, section, connection, Side::Destination, state);
    if transmit::age_early(packet.packet()).is_none() {
        return packet.discard();
    }
    let counters = &destination.statistics.live;
    packet.send(tables.early.incoming(), counters.incoming())
}

/// The general form of [`enter`]: for other tunnels than IP in IP of the packet's own version, and
/// for packets of which more must be known than their headers.
#[cold]
#[inline(never)]
fn encapsulate<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    mut packet: Packet<'p, V>,
    bytes: u32,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let target = Target::of(&connection);
    let Some(route) = target.route(&tables.settings, packet.mark()) else {
        return packet.accept();
    };
    if !packet.receive(bytes) {
        return packet.accept();
    }
    let mut packet = match packet.prepare_at_once(section, &route, size_of::<V::Header>() as u16) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    packet.packet().count_received();
    note_use(tables, section, connection, Side::Destination);
    if transmit::age(&mut packet).is_none() {
        return packet.discard();
    }
    tables.early.packet_in(bytes);
    target.destination.statistics.live.packet_in(bytes);
    let tunnel = target.destination.tunnel();
    let tracking = transmit::tracking(&tables.settings);
    let flow = || tables.flow_hash(V::FAMILY, connection);
    packet.send_through(tunnel, target.server.address, flow, tracking)
}
