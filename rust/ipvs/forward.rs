// SPDX-License-Identifier: GPL-2.0-only

//! Transmitters: how a packet of a known connection leaves the director.

use crate::{
    connection::{direction, Connection},
    destination::Forwarding,
    path::Path,
};
use knet::{
    packet::{Packet, RoutedPacket, Verdict},
    rcu::Section,
    route::Route,
    table::Entry,
    work,
};
use lvs_core::{
    packet,
    rewrite::{self, Side, TransportChecksum},
    state::Direction,
    Endpoint, Protocol,
};

/// Bytes of a TCP header without options.
const TCP_BYTES: u16 = 20;
/// Bytes of a UDP header.
const UDP_BYTES: u16 = 8;
/// An IPv4 header without options, which a tunnel adds (RFC 2003).
const IP_HEADER_BYTES: u16 = 20;

impl Path {
    /// Sends a client's packet to the connection's server.
    #[inline(always)]
    pub(crate) fn forward(
        &self,
        section: &Section<'_>,
        packet: Packet<'_>,
        headers: &packet::Packet,
        connection: &Entry<Connection>,
    ) -> Verdict {
        let destination = connection.destination();
        let forwarding = connection.forwarding();
        // A server that was deleted may be gone: its connections wait for their timeout, or for
        // the server to be added again.
        if !destination.is_available() {
            return packet.discard();
        }
        self.note(section, connection, direction(forwarding), headers);

        let server = connection.server();
        let Some(address) = server.address.v4() else {
            return packet.discard();
        };
        let mut route = Route {
            destination: address,
            source: [0; 4],
            overhead: 0,
            direct: false,
            cache: &destination.route,
            preferred: Some(&destination.source),
        };
        match forwarding {
            Forwarding::Masquerading => {}
            Forwarding::Tunneling => route.overhead = IP_HEADER_BYTES,
            Forwarding::DirectRouting => {
                route.direct = true;
                route.cache = &destination.direct_route;
            }
        }
        let writable = rewritten_bytes(headers);
        let bytes = packet.len();
        let mut packet = match packet.prepare(section, self.net, &route, writable) {
            Ok(packet) => packet,
            Err(verdict) => return verdict,
        };
        let rewritten = match forwarding {
            Forwarding::Masquerading => rewrite_side(&mut packet, Side::Destination, server),
            Forwarding::Tunneling | Forwarding::DirectRouting => age(&mut packet),
        };
        if rewritten.is_none() {
            return packet.discard();
        }
        destination.statistics.live.packet_in(bytes);
        match forwarding {
            Forwarding::Masquerading | Forwarding::DirectRouting => packet.send(),
            Forwarding::Tunneling => packet.send_in_ip(destination.source.get(), address),
        }
    }

    /// Sends a server's reply to the connection's client, as if from the virtual server.
    #[inline(always)]
    pub(crate) fn reply(
        &self,
        section: &Section<'_>,
        packet: Packet<'_>,
        headers: &packet::Packet,
        connection: &Entry<Connection>,
    ) -> Verdict {
        self.note(section, connection, Direction::Output, headers);

        let from = connection.virtual_endpoint();
        let (Some(client), Some(source)) = (connection.client().address.v4(), from.address.v4())
        else {
            return packet.discard();
        };
        let route = Route {
            destination: client,
            source,
            overhead: 0,
            direct: false,
            cache: connection.reply_route(),
            preferred: None,
        };
        let writable = rewritten_bytes(headers);
        let bytes = packet.len();
        let mut packet = match packet.prepare(section, self.net, &route, writable) {
            Ok(packet) => packet,
            Err(verdict) => return verdict,
        };
        if rewrite_side(&mut packet, Side::Source, from).is_none() {
            return packet.discard();
        }
        connection.destination().statistics.live.packet_out(bytes);
        packet.send()
    }

    /// Makes a reply that the host is forwarding anyway look as if from the virtual server, and lets
    /// it go on. Its time to live has been counted down already.
    pub(crate) fn reply_in_passing(
        &self,
        section: &Section<'_>,
        mut packet: Packet<'_>,
        headers: &packet::Packet,
        connection: &Entry<Connection>,
    ) -> Verdict {
        self.note(section, connection, Direction::Output, headers);
        let checksum = transport_checksum(packet.checksum_is_partial());
        let from = connection.virtual_endpoint();
        let bytes = packet.len();
        let rewritten = packet
            .writable(rewritten_bytes(headers).into())
            .is_ok_and(|header| rewrite::rewrite(header, Side::Source, from, checksum).is_ok());
        if !rewritten {
            return packet.discard();
        }
        connection.destination().statistics.live.packet_out(bytes);
        packet.accept()
    }

    /// Notes what a packet means for its connection.
    #[inline(always)]
    fn note(
        &self,
        section: &Section<'_>,
        connection: &Entry<Connection>,
        direction: Direction,
        headers: &packet::Packet,
    ) {
        connection.touch(work::seconds());
        let state = connection.advance(direction, headers.tcp_flags);
        let timeout = self.timeout(section, state);
        if connection.timeout() != timeout {
            self.connections.set_timeout(connection, timeout);
        }
    }
}

/// Bytes of a packet that are rewritten at most: up to the end of its transport header.
#[inline(always)]
fn rewritten_bytes(headers: &packet::Packet) -> u16 {
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
fn rewrite_side(packet: &mut RoutedPacket<'_>, side: Side, to: Endpoint) -> Option<()> {
    let checksum = transport_checksum(packet.checksum_is_partial());
    let bytes = packet.writable();
    rewrite::rewrite(bytes, side, to, checksum).ok()?;
    rewrite::decrement_ttl(bytes).ok()
}

/// Takes a hop off the time to live.
#[inline(always)]
fn age(packet: &mut RoutedPacket<'_>) -> Option<()> {
    rewrite::decrement_ttl(packet.writable()).ok()
}
