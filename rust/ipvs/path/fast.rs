// SPDX-License-Identifier: GPL-2.0-only

//! Takes packets of known connections where they come in, before the host has received them.
//!
//! It takes those that need no attention: packets that change no state, whose server is there, and
//! that can be sent as they are. All others go on unchanged, and come to the hook at PRE_ROUTING,
//! which decides about them.

use crate::{
    path::{context::Context, read, target::Target, transmit},
    services::destination::Forwarding,
    state::{
        connection::{direction, Connection},
        tables::Tables,
    },
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    ingress::Handler,
    packet::{Packet, Verdict, Version},
    rcu::Section,
    table::Member,
};
use lvs_core::{packet::Headers, rewrite::Side, state::Direction};

impl Handler for Tables {
    #[inline(always)]
    fn may_take<V: Version>(&self, packet: &Packet<'_, V>) -> bool {
        let (source, destination) = read::address_words(packet);
        self.filter.may_be_ours(source, destination)
    }

    #[inline(always)]
    fn take<'p, V: Version>(&self, section: &Section<'_>, packet: Packet<'p, V>) -> Verdict<'p> {
        let context = Context {
            tables: self,
            section,
            point: Point::PreRouting,
        };
        take(context, packet)
    }
}

#[inline(always)]
fn take<'p, V: Version>(context: Context<'_>, mut packet: Packet<'p, V>) -> Verdict<'p> {
    let Context {
        tables, section, ..
    } = context;
    let Ok(headers) = read::headers::<V, false>(&mut packet) else {
        return packet.accept();
    };
    // Conntrack has to see the packets that it tracks.
    if !read::is_plain::<V>(&headers) || tables.settings.conntrack.load(Ordering::Relaxed) {
        return packet.accept();
    }
    let (source, destination) = read::address_words(&packet);
    if tables.filter.may_be_request(destination) {
        let hash = tables.hash(&headers, headers.source);
        if let Some(connection) = tables.find_request(section, &headers, hash) {
            return request(context, packet, &headers, connection);
        }
    }
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(&headers, headers.destination);
        if let Some(connection) = tables.find_reply(section, &headers, hash) {
            return reply(context, packet, &headers, connection);
        }
    }
    packet.accept()
}

/// Whether a packet with these headers changes nothing about the connection.
#[inline(always)]
fn is_steady(connection: &Connection, headers: &Headers) -> bool {
    connection.stays(headers.tcp_flags).is_some()
}

/// Sends a client's packet to its server.
#[inline(always)]
fn request<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let tables = context.tables;
    if !is_steady(&connection, headers) || !connection.destination().is_available() {
        return packet.accept();
    }
    let target = Target::of(&connection);
    let Some(route) = target.route(&tables.settings, packet.mark()) else {
        return packet.accept();
    };
    let bytes = packet.len();
    let writable = transmit::rewritten_bytes(headers);
    let mut packet = match packet.prepare_at_once(context.section, &route, writable) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    packet.packet().count_received();
    tables.note(
        context.section,
        connection,
        direction(target.forwarding),
        headers.tcp_flags,
    );
    let rewritten = if target.forwarding.rewrites() {
        transmit::rewrite_side(&mut packet, headers, Side::Destination, target.server)
    } else {
        transmit::age(&mut packet)
    };
    if rewritten.is_none() {
        return packet.discard();
    }
    tables.early.packet_in(bytes);
    target.destination.statistics.live.packet_in(bytes);
    let tracking = transmit::tracking(&tables.settings);
    if target.forwarding == Forwarding::Tunneling {
        let tunnel = target.destination.tunnel();
        return packet.send_through(tunnel, target.server.address, tracking);
    }
    packet.send(tracking)
}

/// Sends a server's reply to its client.
#[inline(always)]
fn reply<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let tables = context.tables;
    if !is_steady(&connection, headers) {
        return packet.accept();
    }
    let route = transmit::reply_route(&tables.settings, &connection, packet.mark());
    let bytes = packet.len();
    let writable = transmit::rewritten_bytes(headers);
    let mut packet = match packet.prepare_at_once(context.section, &route, writable) {
        Ok(packet) => packet,
        Err(packet) => return packet.accept(),
    };
    packet.packet().count_received();
    let flags = headers.tcp_flags;
    tables.note(context.section, connection, Direction::Output, flags);
    let from = connection.virtual_endpoint();
    if transmit::rewrite_side(&mut packet, headers, Side::Source, from).is_none() {
        return packet.discard();
    }
    tables.early.packet_out(bytes);
    connection.destination().statistics.live.packet_out(bytes);
    packet.send(transmit::tracking(&tables.settings))
}
