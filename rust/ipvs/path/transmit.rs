// SPDX-License-Identifier: GPL-2.0-only

//! Rewrites packets and sends them.

use crate::{
    path::{context::Context, drop::Dropped, helper, refusal, target::Target},
    services::destination::Forwarding,
    state::{
        connection::Connection,
        settings::{Settings, MARKED_REPLIES},
    },
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{EarlyPacket, NotRouted, Packet, RoutedPacket, Tracking, Verdict, Version},
    route::Route,
};
use lvs_core::{
    drop::Reason,
    packet::Headers,
    rewrite::{self, Side, TransportChecksum},
    state::Direction,
    Endpoint, Protocol,
};

/// Bytes of a TCP header without options.
const TCP_BYTES: u16 = 20;
/// Bytes of a UDP header.
const UDP_BYTES: u16 = 8;
/// Bytes of the common header of SCTP.
const SCTP_BYTES: u16 = 12;

/// Sends a client's packet to its server. With `HELPED`, a helper reads it first.
#[inline(always)]
pub(crate) fn to_server<'p, V: Version, const HELPED: bool>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    target: Target<'_>,
) -> Verdict<'p> {
    let tables = context.tables;
    let Target {
        destination,
        forwarding,
        server,
        ..
    } = target;
    let Some(route) = target.route(&tables.settings, packet.mark()) else {
        return to_local_server::<V, HELPED>(context, packet, headers, target);
    };
    let writable = rewritten_bytes(headers);
    let bytes = packet.len();
    let mut packet = match packet.prepare(context.section, &route, writable) {
        Ok(packet) => packet,
        Err(NotRouted::Local(packet)) => {
            return to_local_server::<V, HELPED>(context, packet, headers, target);
        }
        Err(NotRouted::Over(verdict, unsent)) => {
            let reason = refusal::unsent(unsent);
            Dropped::to_server(destination, server, headers).count(context, reason);
            return verdict;
        }
    };
    let tracking = tracking(&tables.settings);
    // One test each, where a match of all methods takes several.
    let rewritten = if forwarding.rewrites() {
        if tracking.0 && packet.track_server(server).is_err() {
            return packet.discard();
        }
        if let (true, Some(connection)) = (HELPED, target.connection) {
            helper::handle(
                context,
                packet.packet(),
                headers,
                connection,
                Direction::Input,
            );
        }
        rewrite_side(&mut packet, headers, Side::Destination, server)
    } else {
        age(&mut packet)
    };
    if rewritten.is_none() {
        return packet.discard();
    }
    destination.statistics.live.packet_in(bytes);
    if forwarding == Forwarding::Tunneling {
        let flow = || tables.hash(headers, headers.source);
        return packet.send_through(destination.tunnel(), server.address, flow, tracking);
    }
    packet.send(tracking)
}

/// Lets a client's packet continue to its server on this host. At LOCAL_OUT, the client is on this
/// host as well, and the packet was on its way to another host.
#[cold]
#[inline(never)]
pub(crate) fn to_local_server<'p, V: Version, const HELPED: bool>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    headers: &Headers,
    target: Target<'_>,
) -> Verdict<'p> {
    let rewrites = target.forwarding.rewrites();
    match context.point {
        Point::LocalIn => {}
        // The virtual address is not this host's, so it has no server here without NAT.
        Point::LocalOut if rewrites => {}
        Point::LocalOut => {
            let dropped = Dropped::to_server(target.destination, target.server, headers);
            dropped.count(context, Reason::NoRoute);
            return packet.report_unreachable();
        }
        // Routing has to see the original destination: the packet was for this host in any case.
        Point::PreRouting | Point::Forward | Point::PostRouting => return packet.accept(),
    }
    context.tables.note_local_server();
    let bytes = packet.len();
    if !tracking(&context.tables.settings).0 {
        packet.untrack();
    } else if rewrites && packet.track_server(target.server).is_err() {
        return packet.discard();
    }
    if let (true, Some(connection)) = (HELPED, target.connection) {
        helper::handle(context, &mut packet, headers, connection, Direction::Input);
    }
    if rewrites
        && rewrite_in_place(&mut packet, headers, Side::Destination, target.server).is_none()
    {
        return packet.discard();
    }
    target.destination.statistics.live.packet_in(bytes);
    match context.point {
        Point::LocalOut => packet.route_again(),
        _ => packet.deliver(),
    }
}

/// Sends a server's reply to the connection's client, with the virtual address as its source. At
/// POST_ROUTING the reply is rewritten and continues on its way. With `HELPED`, a helper reads it
/// first.
#[inline(always)]
pub(crate) fn to_client<'p, V: Version, const HELPED: bool>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: &Connection,
) -> Verdict<'p> {
    let tables = context.tables;
    if context.point == Point::PostRouting {
        return reply_in_passing::<V, HELPED>(context, packet, headers, connection);
    }
    let from = connection.virtual_endpoint();
    let route = reply_route(&tables.settings, connection, packet.mark());
    let writable = rewritten_bytes(headers);
    let bytes = packet.len();
    let mut packet = match packet.prepare(context.section, &route, writable) {
        Ok(packet) => packet,
        // The client is on this host. Before routing, a packet from the virtual address, which
        // is this host's, would be a martian.
        Err(NotRouted::Local(packet)) if context.point == Point::PreRouting => {
            return packet.accept();
        }
        Err(NotRouted::Local(packet)) => {
            return reply_in_passing::<V, HELPED>(context, packet, headers, connection);
        }
        Err(NotRouted::Over(verdict, unsent)) => {
            Dropped::to_client(connection, headers).count(context, refusal::unsent(unsent));
            return verdict;
        }
    };
    if HELPED {
        helper::handle(
            context,
            packet.packet(),
            headers,
            connection,
            Direction::Output,
        );
    }
    if rewrite_side(&mut packet, headers, Side::Source, from).is_none() {
        return packet.discard();
    }
    connection.destination().statistics.live.packet_out(bytes);
    packet.send(tracking(&tables.settings))
}

/// The route to the connection's client, for a packet with this mark.
#[inline(always)]
pub(crate) fn reply_route<'a>(
    settings: &Settings,
    connection: &'a Connection,
    mark: u32,
) -> Route<'a> {
    let mark = settings.routing_mark(MARKED_REPLIES, mark);
    connection.reply_route().by_mark(mark)
}

/// Gives a server's reply that this host forwards or sends the route that replies of its connection
/// have. It had one by the server's address.
pub(crate) fn redirect<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: &Connection,
) -> Verdict<'p> {
    let settings = &context.tables.settings;
    if !settings.snat_reroute.load(Ordering::Relaxed) {
        return packet.accept();
    }
    let route = reply_route(settings, connection, packet.mark());
    packet
        .redirect(context.section, &route)
        .unwrap_or_else(|(discarded, unsent)| {
            Dropped::to_client(connection, headers).count(context, refusal::unsent(unsent));
            discarded
        })
}

/// Rewrites the source of a reply, which continues on its way over this host. If the host forwards
/// it, its time to live has been decremented already.
fn reply_in_passing<'p, V: Version, const HELPED: bool>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    headers: &Headers,
    connection: &Connection,
) -> Verdict<'p> {
    let from = connection.virtual_endpoint();
    let bytes = packet.len();
    if HELPED {
        helper::handle(context, &mut packet, headers, connection, Direction::Output);
    }
    if !tracking(&context.tables.settings).0 {
        packet.untrack();
    }
    if rewrite_in_place(&mut packet, headers, Side::Source, from).is_none() {
        return packet.discard();
    }
    connection.destination().statistics.live.packet_out(bytes);
    if context.point == Point::LocalIn {
        packet.deliver()
    } else {
        packet.pass().unwrap_or_else(|discarded| {
            Dropped::to_client(connection, headers).count(context, Reason::Policy);
            discarded
        })
    }
}

/// Whether conntrack tracks the packets that the director sends.
#[inline(always)]
pub(crate) fn tracking(settings: &Settings) -> Tracking {
    Tracking(settings.conntrack.load(Ordering::Relaxed))
}

/// The most bytes of a packet that are rewritten: up to the end of its transport header.
#[inline(always)]
pub(crate) fn rewritten_bytes(headers: &Headers) -> u16 {
    headers
        .network_header_len
        .saturating_add(match headers.protocol {
            Protocol::Tcp => TCP_BYTES,
            Protocol::Udp => UDP_BYTES,
            Protocol::Sctp => SCTP_BYTES,
        })
}

#[inline(always)]
fn transport_checksum(partial: bool) -> TransportChecksum {
    if partial {
        TransportChecksum::Partial
    } else {
        TransportChecksum::Full
    }
}

/// Rewrites the address and port of one side, and decrements the time to live.
#[inline(always)]
fn rewrite_side<V: Version>(
    packet: &mut RoutedPacket<'_, V>,
    headers: &Headers,
    side: Side,
    to: Endpoint,
) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    rewrite_bytes::<V>(packet.writable(), headers, side, to, checksum)
}

/// The same in the hook of a device.
#[inline(always)]
pub(crate) fn rewrite_early<V: Version>(
    packet: &mut EarlyPacket<'_, V>,
    headers: &Headers,
    side: Side,
    to: Endpoint,
) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    rewrite_bytes::<V>(packet.writable(), headers, side, to, checksum)
}

/// The same for the bytes of a packet.
#[inline(always)]
pub(crate) fn rewrite_bytes<V: Version>(
    bytes: &mut [u8],
    headers: &Headers,
    side: Side,
    to: Endpoint,
    checksum: TransportChecksum,
) -> Option<()> {
    // The same value, but so that the compiler knows the family.
    let headers = Headers {
        family: V::FAMILY,
        ..*headers
    };
    rewrite::forward(bytes, &headers, side, to, checksum).ok()
}

/// Rewrites the address and port of one side of a packet that continues on its way.
fn rewrite_in_place<V: Version>(
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    side: Side,
    to: Endpoint,
) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    let bytes = packet.writable(rewritten_bytes(headers).into()).ok()?;
    rewrite::rewrite(bytes, headers, side, to, checksum).ok()
}

/// Decrements the time to live.
#[inline(always)]
pub(crate) fn age<V: Version>(packet: &mut RoutedPacket<'_, V>) -> Option<()> {
    rewrite::decrement_ttl(V::FAMILY, packet.writable()).ok()
}

/// The same in the hook of a device.
#[inline(always)]
pub(crate) fn age_early<V: Version>(packet: &mut EarlyPacket<'_, V>) -> Option<()> {
    rewrite::decrement_ttl(V::FAMILY, packet.writable()).ok()
}
