// SPDX-License-Identifier: GPL-2.0-only

//! ICMP errors about packets of connections.
//!
//! An error quotes the packet that it is about. With source and destination exchanged, the quoted
//! headers are those of an answer, and find the connection as an answer does.

use crate::{
    path::{
        choose,
        context::Context,
        read::{self, pull},
        target::Target,
        transmit::{reply_route, tracking},
    },
    services::destination::Forwarding,
    state::connection::Connection,
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{NotRouted, Packet, RoutedPacket, Verdict, Version},
    route::Route,
    table::Member,
};
use lvs_core::{
    filter,
    icmp::{self, Error, Message, Quote, Size},
    packet::{Headers, ParseError, TcpFlags},
    rewrite::{self, Side},
    transmit::Report,
    tunnel, Endpoint, Protocol,
};

/// What happens to an error.
enum Decision<'a> {
    /// It continues on its way.
    Accept,
    /// It quotes a reply that did not reach the client: the server must know.
    ToServer(Target<'a>),
    /// It quotes a request that did not reach the server: the client must know.
    ToClient(Member<'a, Connection>),
    /// It may quote a tunnel's packet that this host sent.
    AboutTunnel,
}

/// Handles a packet of another protocol: it may be an ICMP error about a connection.
pub(crate) fn handle<'p, V: Version>(context: Context<'_>, packet: Packet<'p, V>) -> Verdict<'p> {
    let (packet, error) = match read(context, packet) {
        Ok(read) => read,
        Err(verdict) => return verdict,
    };
    match decide(context, packet.mark(), &error) {
        Decision::Accept => packet.accept(),
        // All servers have it, also the one that it is for.
        Decision::ToServer(_) if !packet.is_to_host() => packet.accept(),
        Decision::ToServer(target) => to_server(context, packet, &error, target),
        Decision::ToClient(connection) => to_client(context, packet, &error, &connection),
        Decision::AboutTunnel => about_tunnel(context, packet, &error),
    }
}

/// Reads an error, gathered if it is in fragments. All else continues on its way.
fn read<'a, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'a, V>,
) -> Result<(Packet<'a, V>, Error), Verdict<'a>> {
    loop {
        match icmp::parse(V::FAMILY, packet.head()) {
            Ok(Message::Error(error)) => return Ok((packet, error)),
            Err(ParseError::Truncated { need }) => {
                if pull(&mut packet, need).is_none() {
                    return Err(packet.accept());
                }
            }
            Err(ParseError::Fragment) => {
                packet = read::gather(context, packet)?;
                if icmp::parse(V::FAMILY, packet.head()) == Err(ParseError::Fragment) {
                    return Err(packet.accept());
                }
            }
            Ok(Message::Other) | Err(ParseError::Malformed | ParseError::NotOurs) => {
                return Err(packet.accept());
            }
        }
    }
}

fn decide<'a>(context: Context<'a>, mark: u32, error: &Error) -> Decision<'a> {
    let is_local = context.point == Point::LocalIn;
    // Errors have no mark, without which the virtual addresses of a mark are not this host's.
    let is_forwarded = context.point == Point::Forward;
    if let Some(headers) = answer_to(&error.quote) {
        if error.destination == headers.destination.address {
            if is_local || is_forwarded {
                let target = target(context, mark, &headers)
                    .or_else(|| presumed_target(context, mark, &headers));
                if let Some(target) = target {
                    return Decision::ToServer(target);
                }
            }
            // POST_ROUTING has errors from servers, as it has replies. LOCAL_OUT has those of this
            // host, which could not deliver a packet that was translated already.
            if is_forwarded {
                return Decision::Accept;
            }
            let hash = context.tables.hash(&headers, headers.destination);
            let connection = context.tables.find_reply(context.section, &headers, hash);
            if let Some(connection) = connection {
                return Decision::ToClient(connection);
            }
        }
    }
    // The tunnel may be one over UDP, so that ports were quoted.
    if is_local {
        Decision::AboutTunnel
    } else {
        Decision::Accept
    }
}

/// The target of a client's packet with these headers, if a connection is known or the service has
/// no connection entries.
fn target<'a>(context: Context<'a>, mark: u32, headers: &Headers) -> Option<Target<'a>> {
    let hash = context.tables.hash(headers, headers.source);
    match context.tables.find_request(context.section, headers, hash) {
        Some(connection) => Some(Target::of(connection.entry())),
        None => choose::stateless(context, mark, headers),
    }
}

/// The target of an error about an unknown connection, with `schedule_icmp`: the server that
/// answered, if another director with the same servers chose it.
fn presumed_target<'a>(context: Context<'a>, mark: u32, headers: &Headers) -> Option<Target<'a>> {
    if !context
        .tables
        .settings
        .schedule_icmp
        .load(Ordering::Relaxed)
    {
        return None;
    }
    let server = choose::presumed(context, mark, headers)?;
    Some(Target::new(server, headers))
}

/// Sends an error that quotes a reply to the server of the reply.
fn to_server<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    error: &Error,
    target: Target<'_>,
) -> Verdict<'p> {
    let Target {
        destination,
        forwarding,
        server,
        ..
    } = target;
    if !destination.is_available() {
        return packet.discard();
    }
    let settings = &context.tables.settings;
    let translation = forwarding.rewrites().then_some((Side::Destination, server));
    let Some(route) = target.route(settings, packet.mark()) else {
        return packet.accept();
    };
    match prepare(context, packet, error, &route, translation) {
        Prepared::Over(verdict) => verdict,
        Prepared::Local(packet) => deliver(context, packet, error, translation),
        Prepared::Ready(packet) if forwarding == Forwarding::Tunneling => {
            let (tunnel, tracking) = (destination.tunnel(), tracking(settings));
            let flow = || flow_hash(context, &error.quote);
            packet.send_through(tunnel, server.address, flow, tracking)
        }
        Prepared::Ready(packet) => packet.send(tracking(settings)),
    }
}

/// Sends an error that quotes a request, as the server got it, to the client.
fn to_client<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    error: &Error,
    connection: &Connection,
) -> Verdict<'p> {
    if error.size() == Size::Unmentioned
        && choose::hides_refusal(context.tables, context.section, connection)
    {
        return packet.discard();
    }
    let translation = Some((Side::Source, connection.virtual_endpoint()));
    if matches!(context.point, Point::PostRouting | Point::LocalOut) {
        return deliver(context, packet, error, translation);
    }
    let route = reply_route(&context.tables.settings, connection, packet.mark());
    match prepare(context, packet, error, &route, translation) {
        Prepared::Over(verdict) => verdict,
        // As with replies: not before routing.
        Prepared::Local(packet) if context.point == Point::PreRouting => packet.accept(),
        Prepared::Local(packet) => deliver(context, packet, error, translation),
        Prepared::Ready(packet) => packet.send(tracking(&context.tables.settings)),
    }
}

/// Handles an error about a tunnel's packet that this host sent: the client whose packet was inside
/// gets the error instead, and this host learns the MTU of the path.
///
/// Anybody can forge such an error. It must be whole, and what it quotes must be what this host
/// sends: a packet of a known connection in the tunnel to its server.
fn about_tunnel<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    error: &Error,
) -> Verdict<'p> {
    let quote = &error.quote;
    let transport = usize::from(quote.transport);
    let need = transport.saturating_add(tunnel::LOOKED_AT);
    let need = need.min(packet.len() as usize);
    // Without memory the payload is not found.
    let _ = pull(&mut packet, need);
    let Some((family, at)) = tunnel::payload(quote.protocol, packet.head(), transport) else {
        return packet.accept();
    };
    let tables = context.tables;
    if !tables
        .filter
        .may_be_reply(filter::word_of(quote.destination))
    {
        return packet.accept();
    }
    let inner = loop {
        match icmp::quote(family, packet.head(), at) {
            Ok(inner) => break inner,
            Err(ParseError::Truncated { need }) if pull(&mut packet, need).is_some() => {}
            Err(_) => return packet.accept(),
        }
    };
    let Some(headers) = headers_of(&inner) else {
        return packet.accept();
    };
    let Some(target) = target(context, packet.mark(), &headers) else {
        return packet.accept();
    };
    let tunnel = target.destination.tunnel();
    if target.forwarding != Forwarding::Tunneling
        || target.server.address != quote.destination
        || error.destination != quote.source
        || !tunnel.sends(quote.protocol, quote.ports, family)
        || !packet.has_valid_icmp_checksum(context.point, error.header)
    {
        return packet.accept();
    }
    let outer = at.saturating_sub(usize::from(quote.at)) as u32;
    let report = match error.size() {
        Size::Absurd => return packet.accept(),
        Size::Unmentioned if hides_refusal(context, &headers) => return packet.discard(),
        Size::Unmentioned => Report::host_unreachable(family),
        Size::Mtu(mtu) => {
            // The director answers the next packet that is too large itself.
            packet.learn_mtu(usize::from(quote.at), quote.protocol, mtu);
            match mtu.saturating_sub(outer) {
                0 => return packet.accept(),
                mtu => Report::too_big(family, mtu),
            }
        }
    };
    packet.relay_report(at, family, report)
}

/// True if the client that sent a packet with these headers must not learn that its server is not
/// reachable.
fn hides_refusal(context: Context<'_>, headers: &Headers) -> bool {
    let hash = context.tables.hash(headers, headers.source);
    let connection = context.tables.find_request(context.section, headers, hash);
    connection.is_some_and(|connection| {
        choose::hides_refusal(context.tables, context.section, &connection)
    })
}

/// An error that got its route, or did not.
enum Prepared<'a, V: Version> {
    /// It is ready to be sent.
    Ready(RoutedPacket<'a, V>),
    /// Its route leads to this host; it is unchanged.
    Local(Packet<'a, V>),
    /// It is gone.
    Over(Verdict<'a>),
}

/// Routes an error, and translates it if there is a translation.
fn prepare<'a, V: Version>(
    context: Context<'_>,
    packet: Packet<'a, V>,
    error: &Error,
    route: &Route<'_>,
    translation: Option<(Side, Endpoint)>,
) -> Prepared<'a, V> {
    let Ok(writable) = u16::try_from(icmp::writable(error)) else {
        return Prepared::Over(packet.discard());
    };
    let mut packet = match packet.prepare(context.section, route, writable) {
        Ok(packet) => packet,
        Err(NotRouted::Local(packet)) => return Prepared::Local(packet),
        Err(NotRouted::Over(verdict, _)) => return Prepared::Over(verdict),
    };
    let bytes = packet.writable();
    let translated = translation.is_none_or(|to| translate(bytes, error, to).is_some());
    if !translated || rewrite::decrement_ttl(V::FAMILY, bytes).is_err() {
        return Prepared::Over(packet.discard());
    }
    Prepared::Ready(packet)
}

/// Translates an error if there is a translation, and lets it continue on its way.
fn deliver<'p, V: Version>(
    context: Context<'_>,
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
    if context.point != Point::PostRouting {
        return packet.accept();
    }
    if !tracking(&context.tables.settings).0 {
        packet.untrack();
    }
    packet.pass().unwrap_or_else(|discarded| discarded)
}

/// Writes an endpoint to one side of an error, and to the other side of the packet that it quotes.
fn translate(bytes: &mut [u8], error: &Error, (side, to): (Side, Endpoint)) -> Option<()> {
    let quoted = match side {
        Side::Source => Side::Destination,
        Side::Destination => Side::Source,
    };
    icmp::rewrite(bytes, error, Some((side, to.address)), (quoted, to)).ok()
}

/// The headers of the quoted packet, as far as they identify the connection.
fn headers_of(quote: &Quote) -> Option<Headers> {
    let (source, destination) = quote.ports?;
    Some(Headers {
        family: quote.family,
        protocol: Protocol::try_from(quote.protocol).ok()?,
        source: Endpoint::new(quote.source, source),
        destination: Endpoint::new(quote.destination, destination),
        network_header_len: 0,
        tcp_flags: TcpFlags::EMPTY,
        more_fragments: false,
    })
}

/// The hash of the flow whose answer is quoted, by which its packets choose their tunnel's port.
fn flow_hash(context: Context<'_>, quote: &Quote) -> u32 {
    answer_to(quote).map_or(0, |headers| context.tables.hash(&headers, headers.source))
}

/// The headers of an answer to the quoted packet.
fn answer_to(quote: &Quote) -> Option<Headers> {
    let quoted = headers_of(quote)?;
    Some(Headers {
        source: quoted.destination,
        destination: quoted.source,
        ..quoted
    })
}
