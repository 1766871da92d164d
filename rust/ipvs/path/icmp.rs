// SPDX-License-Identifier: GPL-2.0-only

//! ICMP errors about packets of connections, on their way to who can make use of them.
//!
//! An error quotes the packet that it is about. Turned around, that is a packet which would have
//! come from the other side, and finds the connection as such a packet does.

use crate::{
    path::{forward::Target, pull, Path},
    services::destination::Forwarding,
    state::connection::Connection,
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{NotRouted, Packet, Verdict, Version},
    rcu::Section,
    route::Route,
};
use lvs_core::{
    icmp::{self, Error, Message, Quote},
    packet::{self, ParseError, TcpFlags},
    rewrite::{self, Side},
    transmit::Report,
    tunnel, Endpoint, Protocol,
};

impl Path {
    /// A packet that is neither TCP nor UDP: an ICMP error about a packet of ours, or none of ours.
    pub(crate) fn error<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        mut packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        let error = loop {
            match icmp::parse(V::FAMILY, packet.head()) {
                Ok(Message::Error(error)) => break error,
                Err(ParseError::Truncated { need }) => {
                    if pull(&mut packet, need).is_none() {
                        return packet.accept();
                    }
                }
                Err(ParseError::Fragment) => match self.gather(point, packet) {
                    Ok(whole)
                        if icmp::parse(V::FAMILY, whole.head()) != Err(ParseError::Fragment) =>
                    {
                        packet = whole;
                    }
                    Ok(same) => return same.accept(),
                    Err(verdict) => return verdict,
                },
                Ok(Message::Other) | Err(ParseError::Malformed | ParseError::NotOurs) => {
                    return packet.accept()
                }
            }
        };
        match answered(&error.quote) {
            Some(headers) => self.about_connection(section, point, packet, &error, &headers),
            None if point == Point::LocalIn => self.about_tunnel(section, packet, &error),
            None => packet.accept(),
        }
    }

    /// An error about a packet of TCP or UDP, to which `headers` would be those of an answer.
    fn about_connection<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        error: &Error,
        headers: &packet::Headers,
    ) -> Verdict<'p> {
        // A reply did not get to the client: the server has to know.
        if point == Point::LocalIn && error.destination == headers.destination.address {
            let mark = packet.mark();
            let target = self
                .target(section, mark, headers)
                .or_else(|| self.presumed_target(section, mark, headers));
            if let Some(target) = target {
                return self.error_to_server(section, packet, error, target);
            }
        }
        // A request did not get to the server: the client has to know.
        if error.destination == headers.destination.address {
            let hash = self.hash(headers, headers.destination);
            if let Some(connection) = self.find_reply(section, headers, hash) {
                return self.error_to_client(section, point, packet, error, connection);
            }
        }
        // The tunnel may be one over UDP.
        if point == Point::LocalIn {
            return self.about_tunnel(section, packet, error);
        }
        packet.accept()
    }

    /// Where a packet with these headers from a client goes, if it is of a connection or of a service that
    /// has none.
    fn target<'a>(
        &self,
        section: &'a Section<'_>,
        mark: u32,
        headers: &packet::Headers,
    ) -> Option<Target<'a>> {
        let hash = self.hash(headers, headers.source);
        match self.find_request(section, headers, hash) {
            Some(connection) => Some(connection.target()),
            None => self.stateless_target(section, mark, headers),
        }
    }

    /// Where an error about a packet that no connection is known of goes, if it is to go anywhere: to the
    /// server that answered if another director with the same servers chose it.
    fn presumed_target<'a>(
        &self,
        section: &'a Section<'_>,
        mark: u32,
        headers: &packet::Headers,
    ) -> Option<Target<'a>> {
        if !self.settings.schedule_icmp.load(Ordering::Relaxed) {
            return None;
        }
        self.probable_server(section, mark, headers)
            .map(|server| Target::new(server, headers))
    }

    /// Sends an error that quotes a reply to the server of the reply.
    fn error_to_server<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        error: &Error,
        target: Target<'_>,
    ) -> Verdict<'p> {
        let Target {
            destination,
            forwarding,
            server,
        } = target;
        if !destination.is_available() {
            return packet.discard();
        }
        let route = self.route_to(destination, forwarding, server.address);
        let translation = match forwarding {
            Forwarding::Masquerading => Some((Side::Destination, server)),
            Forwarding::Tunneling | Forwarding::DirectRouting => None,
        };
        match send(section, packet, error, &route, translation) {
            Sent::Over(verdict) => verdict,
            Sent::Local(packet) => deliver(packet, error, translation),
            Sent::Ready(packet) if forwarding == Forwarding::Tunneling => {
                packet.send_through(destination.tunnel(), server.address, self.tracking())
            }
            Sent::Ready(packet) => packet.send(self.tracking()),
        }
    }

    /// Sends an error that quotes a request, as the server got it, to the client.
    fn error_to_client<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        error: &Error,
        connection: &Connection,
    ) -> Verdict<'p> {
        let translation = Some((Side::Source, connection.virtual_endpoint()));
        if matches!(point, Point::Forward | Point::LocalOut) {
            return deliver(packet, error, translation);
        }
        let route = connection.reply_route();
        match send(section, packet, error, &route, translation) {
            Sent::Over(verdict) => verdict,
            // As replies: not before routing.
            Sent::Local(packet) if point == Point::PreRouting => packet.accept(),
            Sent::Local(packet) => deliver(packet, error, translation),
            Sent::Ready(packet) => packet.send(self.tracking()),
        }
    }

    /// An error about a packet of a tunnel's that left here: tells the client of the packet inside.
    fn about_tunnel<'p, V: Version>(
        &self,
        section: &Section<'_>,
        mut packet: Packet<'p, V>,
        error: &Error,
    ) -> Verdict<'p> {
        let quote = &error.quote;
        let transport = usize::from(quote.transport);
        let need = transport.saturating_add(tunnel::LOOKED_AT);
        let need = need.min(packet.len() as usize);
        // Without memory it is taken for none of ours.
        let _ = pull(&mut packet, need);
        let Some((family, at)) = tunnel::payload(quote.protocol, packet.head(), transport) else {
            return packet.accept();
        };
        if !self
            .filter
            .may_be_reply(crate::services::filter::word_of(quote.destination))
        {
            return packet.accept();
        }
        // The next packet that is too large is then told so at once, whatever this one quotes.
        if let Some(mtu) = error.mtu.filter(|&mtu| mtu != 0) {
            packet.learn_mtu(usize::from(quote.at), quote.protocol, mtu);
        }
        let inner = loop {
            match icmp::quote(family, packet.head(), at) {
                Ok(inner) => break inner,
                Err(ParseError::Truncated { need }) if pull(&mut packet, need).is_some() => {}
                Err(_) => return packet.accept(),
            }
        };
        let Some(headers) = asked(&inner) else {
            return packet.accept();
        };
        let Some(target) = self.target(section, packet.mark(), &headers) else {
            return packet.accept();
        };
        if target.forwarding != Forwarding::Tunneling || target.server.address != quote.destination
        {
            return packet.accept();
        }
        // Routers older than RFC 1191 do not say how much would fit.
        let taken = at.saturating_sub(usize::from(quote.at)) as u32;
        let report = match error.mtu.map(|mtu| mtu.saturating_sub(taken)) {
            Some(0) => return packet.accept(),
            Some(mtu) => Report::too_big(family, mtu),
            None => Report::host_unreachable(family),
        };
        packet.relay_report(at, family, report)
    }
}

/// What became of an error that was to be sent.
enum Sent<'a, V: Version> {
    Ready(knet::packet::RoutedPacket<'a, V>),
    Local(Packet<'a, V>),
    Over(Verdict<'a>),
}

/// Gives an error its route and translates it, if it is to be.
fn send<'a, V: Version>(
    section: &Section<'_>,
    packet: Packet<'a, V>,
    error: &Error,
    route: &Route<'_>,
    translation: Option<(Side, Endpoint)>,
) -> Sent<'a, V> {
    let Ok(writable) = u16::try_from(icmp::writable(error)) else {
        return Sent::Over(packet.discard());
    };
    let mut packet = match packet.prepare(section, route, writable) {
        Ok(packet) => packet,
        Err(NotRouted::Local(packet)) => return Sent::Local(packet),
        Err(NotRouted::Over(verdict)) => return Sent::Over(verdict),
    };
    let bytes = packet.writable();
    let translated = translation.is_none_or(|to| translate(bytes, error, to).is_some());
    if !translated || rewrite::decrement_ttl(V::FAMILY, bytes).is_err() {
        return Sent::Over(packet.discard());
    }
    Sent::Ready(packet)
}

/// Translates an error, if it is to be, and lets it go on.
fn deliver<'p, V: Version>(
    mut packet: Packet<'p, V>,
    error: &Error,
    translation: Option<(Side, Endpoint)>,
) -> Verdict<'p> {
    if let Some(to) = translation {
        let translated = packet
            .writable(icmp::writable(error))
            .is_ok_and(|bytes| translate(bytes, error, to).is_some());
        if !translated {
            return packet.discard();
        }
    }
    packet.accept()
}

/// Puts an endpoint on one side of an error and on the other side of what it quotes.
fn translate(bytes: &mut [u8], error: &Error, (side, to): (Side, Endpoint)) -> Option<()> {
    let quoted = match side {
        Side::Source => Side::Destination,
        Side::Destination => Side::Source,
    };
    icmp::rewrite(bytes, error, Some((side, to.address)), (quoted, to)).ok()
}

/// The headers of the quoted packet, as far as they tell the connection.
fn asked(quote: &Quote) -> Option<packet::Headers> {
    let (source, destination) = quote.ports?;
    Some(packet::Headers {
        family: quote.family,
        protocol: Protocol::try_from(quote.protocol).ok()?,
        source: Endpoint::new(quote.source, source),
        destination: Endpoint::new(quote.destination, destination),
        network_header_len: 0,
        tcp_flags: TcpFlags::EMPTY,
        more_fragments: false,
    })
}

/// The headers of an answer to the quoted packet.
fn answered(quote: &Quote) -> Option<packet::Headers> {
    let asked = asked(quote)?;
    Some(packet::Headers {
        source: asked.destination,
        destination: asked.source,
        ..asked
    })
}
