// SPDX-License-Identifier: GPL-2.0-only

//! IPsec between a client and a virtual address: packets of ESP and AH.
//!
//! They have no ports. They follow the ISAKMP flow of their hosts (UDP between the ports 500), to
//! the server that negotiated the keys, and keep it alive. Without such a flow they are the host's.

use crate::{
    path::{
        context::Context,
        decide::{self, Decision},
        drop::Dropped,
        read::pull,
        refusal,
        target::Target,
        transmit::{self, reply_route},
    },
    services::destination::Forwarding,
    state::connection::{direction, Connection},
};
use knet::{
    hook::Point,
    packet::{NotRouted, Packet, RoutedPacket, Tracking, Verdict, Version},
    table::Member,
};
use lvs_core::{
    drop::Reason,
    packet::{self, ipsec::Related, Headers, ParseError},
    rewrite::{self, Side},
    state::Direction,
    Address,
};

/// Handles a packet of ESP or AH.
///
/// # Errors
///
/// The packet, if it is of another protocol.
pub(crate) fn handle<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
) -> Result<Verdict<'p>, Packet<'p, V>> {
    let related = loop {
        match packet::ipsec::parse(V::FAMILY, packet.head()) {
            Ok(related) => break related,
            Err(ParseError::Truncated { need }) if pull(&mut packet, need).is_some() => {}
            Err(_) => return Err(packet),
        }
    };
    Ok(act(context, packet, &related))
}

fn act<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    related: &Related,
) -> Verdict<'p> {
    let headers = &related.flow;
    let decision = match context.point {
        Point::PreRouting => decide::pre_routing(context, &packet, headers),
        Point::LocalIn => decide::local_in(context, &packet, headers),
        Point::Forward => decide::forward(context, headers),
        Point::LocalOut => decide::local_out(context, &packet, headers),
        Point::PostRouting => decide::post_routing(context, headers),
    };
    match decision {
        Decision::Request(connection) => request(context, packet, related, connection),
        Decision::Reply(connection) => reply(context, packet, related, connection),
        Decision::Orphan(connection) => {
            let (destination, server) = (connection.destination(), connection.server());
            let dropped = Dropped::to_server(destination, server, headers);
            dropped.count(context, Reason::Deleted);
            packet.discard()
        }
        Decision::Redirect(connection) if !related.covers_addresses => {
            transmit::redirect(context, packet, headers, &connection)
        }
        // Nothing begins with such a packet, and no server is told that one is unexpected.
        Decision::Redirect(_)
        | Decision::Accept
        | Decision::Reject
        | Decision::Again { .. }
        | Decision::Follow
        | Decision::Filter
        | Decision::Begin { .. } => packet.accept(),
    }
}

/// Notes a packet, which keeps its flow alive as one of the flow's own does.
fn note(
    context: Context<'_>,
    connection: Member<'_, Connection>,
    direction: Direction,
    related: &Related,
) {
    let flags = related.flow.tcp_flags;
    let tables = context.tables;
    tables.note(context.section, connection, direction, flags);
}

/// Sends a client's packet to the server of its flow.
fn request<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    related: &Related,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let headers = &related.flow;
    let target = Target::of(&connection);
    let to = match target.forwarding {
        // AH covers the addresses: the host says that it has no such protocol.
        method if method.rewrites() && related.covers_addresses => return packet.accept(),
        method if method.rewrites() => Some((Side::Destination, target.server.address)),
        _ => None,
    };
    let dropped = || Dropped::to_server(target.destination, target.server, headers);
    if !packet.obeys_policies(false) {
        dropped().count(context, Reason::Policy);
        return packet.discard();
    }
    let Some(route) = target.route(&context.tables.settings, packet.mark()) else {
        return local(context, packet, related, connection, to);
    };
    let bytes = packet.len();
    let mut packet = match packet.prepare(context.section, &route, headers.network_header_len) {
        Ok(packet) => packet,
        Err(NotRouted::Local(packet)) => return local(context, packet, related, connection, to),
        Err(NotRouted::Over(verdict, unsent)) => {
            dropped().count(context, refusal::unsent(unsent));
            return verdict;
        }
    };
    if send_to(&mut packet, headers, to).is_none() {
        return packet.discard();
    }
    note(context, connection, direction(target.forwarding), related);
    target.destination.statistics.live.packet_in(bytes);
    match target.forwarding {
        Forwarding::Tunneling => {
            let tunnel = target.destination.tunnel();
            let flow = || context.tables.hash(headers, headers.source);
            packet.send_through(tunnel, target.server.address, flow, UNTRACKED)
        }
        _ => packet.send(UNTRACKED),
    }
}

/// Conntrack has no part in it: it would not find the flow that these packets belong to.
const UNTRACKED: Tracking = Tracking(false);

/// Lets a client's packet continue to the server on this host.
fn local<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    related: &Related,
    connection: Member<'_, Connection>,
    to: Option<(Side, Address)>,
) -> Verdict<'p> {
    if context.point != Point::LocalIn {
        return packet.accept();
    }
    let bytes = packet.len();
    if let Some(to) = to {
        if readdress(&mut packet, &related.flow, to).is_none() {
            return packet.discard();
        }
    }
    note(
        context,
        connection,
        direction(connection.forwarding()),
        related,
    );
    connection.destination().statistics.live.packet_in(bytes);
    packet.deliver()
}

/// Sends a server's packet to the client, with the virtual address as its source.
fn reply<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    related: &Related,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let headers = &related.flow;
    if related.covers_addresses {
        return packet.accept();
    }
    let from = (Side::Source, connection.virtual_endpoint().address);
    let dropped = || Dropped::to_client(&connection, headers);
    if context.point == Point::PreRouting && !packet.obeys_policies(true) {
        dropped().count(context, Reason::Policy);
        return packet.discard();
    }
    if context.point == Point::PostRouting {
        return reply_in_passing(context, packet, related, connection, from);
    }
    let settings = &context.tables.settings;
    let bytes = packet.len();
    let route = reply_route(settings, &connection, packet.mark());
    let mut packet = match packet.prepare(context.section, &route, headers.network_header_len) {
        Ok(packet) => packet,
        Err(NotRouted::Local(packet)) if context.point == Point::PreRouting => {
            return packet.accept();
        }
        Err(NotRouted::Local(packet)) => {
            return reply_in_passing(context, packet, related, connection, from);
        }
        Err(NotRouted::Over(verdict, unsent)) => {
            dropped().count(context, refusal::unsent(unsent));
            return verdict;
        }
    };
    if send_to(&mut packet, headers, Some(from)).is_none() {
        return packet.discard();
    }
    note(context, connection, Direction::Output, related);
    connection.destination().statistics.live.packet_out(bytes);
    packet.send(UNTRACKED)
}

/// Gives a server's packet that continues on its way the virtual address.
fn reply_in_passing<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    related: &Related,
    connection: Member<'_, Connection>,
    from: (Side, Address),
) -> Verdict<'p> {
    let bytes = packet.len();
    packet.untrack();
    if readdress(&mut packet, &related.flow, from).is_none() {
        return packet.discard();
    }
    note(context, connection, Direction::Output, related);
    connection.destination().statistics.live.packet_out(bytes);
    if context.point == Point::LocalIn {
        return packet.deliver();
    }
    packet.pass().unwrap_or_else(|discarded| {
        Dropped::to_client(&connection, &related.flow).count(context, Reason::Policy);
        discarded
    })
}

/// Writes an address, if there is one, and decrements the time to live.
fn send_to<V: Version>(
    packet: &mut RoutedPacket<'_, V>,
    headers: &Headers,
    to: Option<(Side, Address)>,
) -> Option<()> {
    let bytes = packet.writable();
    if let Some((side, address)) = to {
        rewrite::readdress(bytes, headers, side, address).ok()?;
    }
    rewrite::decrement_ttl(V::FAMILY, bytes).ok()
}

/// Writes an address to a packet that continues on its way.
fn readdress<V: Version>(
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    (side, address): (Side, Address),
) -> Option<()> {
    let bytes = packet.writable(headers.network_header_len.into()).ok()?;
    rewrite::readdress(bytes, headers, side, address).ok()
}
