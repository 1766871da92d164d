// SPDX-License-Identifier: GPL-2.0-only

//! Transmitters: how a packet of a known connection leaves the director.

use crate::{
    path::Path,
    services::destination::{Destination, Forwarding},
    state::connection::{direction, Connection},
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{NotRouted, Packet, RoutedPacket, Tracking, Verdict, Version},
    rcu::Section,
    route::Route,
    table::Entry,
    work,
};
use lvs_core::{
    packet,
    rewrite::{self, Side, TransportChecksum},
    state::Direction,
    Address, Endpoint, Protocol,
};

/// Bytes of a TCP header without options.
const TCP_BYTES: u16 = 20;
/// Bytes of a UDP header.
const UDP_BYTES: u16 = 8;

/// Where a client's packet goes, and how it gets there.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) forwarding: Forwarding,
    /// The real server's address and port.
    pub(crate) server: Endpoint,
}

impl<'a> Target<'a> {
    /// Where a client's packet with these headers goes, to this server.
    pub(crate) fn new(destination: &'a Destination, headers: &packet::Headers) -> Self {
        Self {
            destination,
            forwarding: destination.forwarding(),
            server: destination.reached_at(headers.destination.port),
        }
    }
}

impl Connection {
    /// Where packets of its client go.
    #[inline(always)]
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            destination: self.destination(),
            forwarding: self.forwarding(),
            server: self.server(),
        }
    }
}

impl Path {
    /// Notes a client's packet and sends it to the connection's server, from hook `point`.
    #[inline(always)]
    pub(crate) fn forward<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        connection: &Entry<Connection>,
    ) -> Verdict<'p> {
        if !connection.destination().is_available() {
            return self.orphaned(section, point, packet, headers, connection);
        }
        let direction = direction(connection.forwarding());
        self.note(section, connection, direction, headers);
        self.transmit(section, point, packet, headers, connection.target())
    }

    /// A client's packet to a server that was deleted, and may be gone. Its connections wait for
    /// their timeout, or for the server to be added again; or they end here, and the packet is one
    /// of no connection.
    #[cold]
    #[inline(never)]
    fn orphaned<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        connection: &Entry<Connection>,
    ) -> Verdict<'p> {
        if !self.settings.expire_nodest_conn.load(Ordering::Relaxed) {
            return packet.discard();
        }
        self.connections.remove(connection);
        match point {
            Point::LocalIn => {
                let hash = self.hash(headers, headers.source);
                self.schedule(section, packet, headers, hash)
            }
            // On its way it comes to LOCAL_IN.
            _ => packet.accept(),
        }
    }

    /// Sends a client's packet to its server, from hook `point`.
    #[inline(always)]
    pub(crate) fn transmit<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        target: Target<'_>,
    ) -> Verdict<'p> {
        let Target {
            destination,
            forwarding,
            server,
        } = target;
        let route = self.route_to(destination, forwarding, server.address);
        let writable = rewritten_bytes(headers);
        let bytes = packet.len();
        let mut packet = match packet.prepare(section, &route, writable) {
            Ok(packet) => packet,
            Err(NotRouted::Local(packet)) => {
                return self.deliver(point, packet, headers, target);
            }
            Err(NotRouted::Over(verdict)) => return verdict,
        };
        let tracking = self.tracking();
        let rewritten = match forwarding {
            Forwarding::Masquerading => {
                if tracking.0 {
                    packet.track_server(server);
                }
                rewrite_side(&mut packet, headers, Side::Destination, server)
            }
            Forwarding::Tunneling | Forwarding::DirectRouting => age(&mut packet),
        };
        if rewritten.is_none() {
            return packet.discard();
        }
        destination.statistics.live.packet_in(bytes);
        match forwarding {
            Forwarding::Masquerading | Forwarding::DirectRouting => packet.send(tracking),
            Forwarding::Tunneling => {
                packet.send_through(destination.tunnel(), server.address, tracking)
            }
        }
    }

    /// Lets a client's packet go on to its server on this very host.
    #[cold]
    #[inline(never)]
    fn deliver<'p, V: Version>(
        &self,
        point: Point,
        mut packet: Packet<'p, V>,
        headers: &packet::Headers,
        target: Target<'_>,
    ) -> Verdict<'p> {
        // Routing has to see where it was sent, since it was for this host in any case.
        if point != Point::LocalIn {
            return packet.accept();
        }
        let bytes = packet.len();
        if target.forwarding == Forwarding::Masquerading
            && rewrite_in_place(&mut packet, headers, Side::Destination, target.server).is_none()
        {
            return packet.discard();
        }
        target.destination.statistics.live.packet_in(bytes);
        packet.deliver()
    }

    /// Sends a server's reply to the connection's client, as if from the virtual server, from hook
    /// `point`.
    #[inline(always)]
    pub(crate) fn reply<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        connection: &Entry<Connection>,
    ) -> Verdict<'p> {
        self.note(section, connection, Direction::Output, headers);

        let from = connection.virtual_endpoint();
        let route = connection.reply_route();
        let writable = rewritten_bytes(headers);
        let bytes = packet.len();
        let mut packet = match packet.prepare(section, &route, writable) {
            Ok(packet) => packet,
            // The client is on this host. Before routing, a packet from the virtual address, which
            // is this host's, would be a martian.
            Err(NotRouted::Local(packet)) if point == Point::PreRouting => return packet.accept(),
            Err(NotRouted::Local(packet)) => {
                return self.reply_in_passing(section, point, packet, headers, connection);
            }
            Err(NotRouted::Over(verdict)) => return verdict,
        };
        if rewrite_side(&mut packet, headers, Side::Source, from).is_none() {
            return packet.discard();
        }
        connection.destination().statistics.live.packet_out(bytes);
        packet.send(self.tracking())
    }

    /// The route to a server, by the forwarding method of the connection.
    #[inline(always)]
    pub(crate) fn route_to<'a>(
        &self,
        destination: &'a Destination,
        forwarding: Forwarding,
        server: Address,
    ) -> Route<'a> {
        match forwarding {
            Forwarding::Masquerading => destination.route(server),
            Forwarding::Tunneling => {
                let ignore_df = !self.settings.pmtu_disc.load(Ordering::Relaxed);
                destination.tunnel_route(server, ignore_df)
            }
            Forwarding::DirectRouting => destination.direct_route(server),
        }
    }

    /// Whether connections are tracked.
    #[inline(always)]
    pub(crate) fn tracking(&self) -> Tracking {
        Tracking(self.settings.conntrack.load(Ordering::Relaxed))
    }

    /// Makes a reply that goes its way over this host look as if from the virtual server, and lets
    /// it go on. If it is forwarded, its time to live has been counted down already.
    pub(crate) fn reply_in_passing<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        mut packet: Packet<'p, V>,
        headers: &packet::Headers,
        connection: &Entry<Connection>,
    ) -> Verdict<'p> {
        self.note(section, connection, Direction::Output, headers);
        let from = connection.virtual_endpoint();
        let bytes = packet.len();
        if rewrite_in_place(&mut packet, headers, Side::Source, from).is_none() {
            return packet.discard();
        }
        connection.destination().statistics.live.packet_out(bytes);
        if point == Point::LocalIn {
            packet.deliver()
        } else {
            packet.accept()
        }
    }

    /// Notes what a packet means for its connection.
    #[inline(always)]
    fn note(
        &self,
        section: &Section<'_>,
        connection: &Entry<Connection>,
        direction: Direction,
        headers: &packet::Headers,
    ) {
        connection.touch(work::seconds());
        let guarded = &self.settings.defence.guarded;
        let state = connection.advance(direction, headers.tcp_flags, guarded);
        let timeout = self.timeout(section, state);
        if connection.timeout() != timeout {
            self.connections.set_timeout(connection, timeout);
        }
    }
}

/// Bytes of a packet that are rewritten at most: up to the end of its transport header.
#[inline(always)]
fn rewritten_bytes(headers: &packet::Headers) -> u16 {
    headers
        .network_header_len
        .saturating_add(match headers.protocol {
            Protocol::Tcp => TCP_BYTES,
            Protocol::Udp => UDP_BYTES,
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

/// Rewrites one side's address and port and takes a hop off the time to live.
#[inline(always)]
fn rewrite_side<V: Version>(
    packet: &mut RoutedPacket<'_, V>,
    headers: &packet::Headers,
    side: Side,
    to: Endpoint,
) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    let bytes = packet.writable();
    // The same, but so that the compiler knows the family.
    let headers = packet::Headers {
        family: V::FAMILY,
        ..*headers
    };
    rewrite::rewrite(bytes, &headers, side, to, checksum).ok()?;
    rewrite::decrement_ttl(V::FAMILY, bytes).ok()
}

/// Rewrites one side's address and port of a packet that stays on its way.
fn rewrite_in_place<V: Version>(
    packet: &mut Packet<'_, V>,
    headers: &packet::Headers,
    side: Side,
    to: Endpoint,
) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    let bytes = packet.writable(rewritten_bytes(headers).into()).ok()?;
    rewrite::rewrite(bytes, headers, side, to, checksum).ok()
}

/// Takes a hop off the time to live.
#[inline(always)]
fn age<V: Version>(packet: &mut RoutedPacket<'_, V>) -> Option<()> {
    rewrite::decrement_ttl(V::FAMILY, packet.writable()).ok()
}
