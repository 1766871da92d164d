// SPDX-License-Identifier: GPL-2.0-only

//! Takes frames of known connections before the host makes packets of them.
//!
//! It takes what [`fast`] takes by NAT, direct routing and IP in IP, and leaves all others to it.
//! With `conntrack=1` no frames come here, since conntrack has to see the packets that it tracks.

use crate::{
    path::{fast, transmit},
    services::destination::Forwarding,
    state::{connection::Connection, tables::Tables},
};
use core::sync::atomic::Ordering;
use knet::{
    packet::Version,
    rcu::Section,
    table::Member,
    xdp::{Frame, Handler, Verdict},
};
use lvs_core::{
    filter,
    packet::{self, Headers},
    rewrite::{self, Side, TransportChecksum},
    Protocol,
};

/// A frame is as it was on the wire.
const FULL: TransportChecksum = TransportChecksum::Full;

impl Handler for Tables {
    #[inline(always)]
    fn take<'f, V: Version>(&self, section: &Section<'_>, frame: Frame<'f, V>) -> Verdict<'f> {
        let (source, destination) = V::addresses(frame.header());
        let source = filter::word(source.as_ref());
        let destination = filter::word(destination.as_ref());
        if !self.filter.may_be_ours(source, destination) {
            return frame.pass();
        }
        let available = frame.bytes().len() as u32;
        let Some(len) = V::received_len(frame.header(), available) else {
            return frame.pass();
        };
        // As in the hook of a device, code for each protocol.
        let words = (source, destination);
        match packet::plain_protocol(V::FAMILY, frame.header().as_ref()) {
            Some(Protocol::Tcp) => take(self, section, frame, words, len, Protocol::Tcp),
            Some(Protocol::Udp) => take(self, section, frame, words, len, Protocol::Udp),
            Some(Protocol::Sctp) | None => frame.pass(),
        }
    }
}

#[inline(always)]
fn take<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    (source, destination): (u32, u32),
    len: u32,
    protocol: Protocol,
) -> Verdict<'f> {
    let headers = match packet::parse_plain(V::FAMILY, protocol, frame.bytes(), len as usize) {
        Ok(headers) if fast::may_be_steady(&headers) => headers,
        Ok(_) | Err(_) => return frame.pass(),
    };
    if tables.filter.may_be_request(destination) {
        let hash = tables.hash(&headers, headers.source);
        if let Some(connection) = tables.find_request(section, &headers, hash) {
            return request(tables, section, frame, len, headers, connection);
        }
    }
    if tables.filter.may_be_reply(source) {
        let hash = tables.hash(&headers, headers.destination);
        if let Some(connection) = tables.find_reply(section, &headers, hash) {
            let side = Side::Source;
            return translate(tables, section, frame, len, headers, connection, side);
        }
    }
    frame.pass()
}

/// Sends a client's frame to its server.
#[inline(always)]
fn request<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    headers: Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'f> {
    let destination = connection.destination();
    if !destination.is_available() {
        return frame.pass();
    }
    let forwarding = connection.forwarding();
    if forwarding.rewrites() {
        let side = Side::Destination;
        return translate(tables, section, frame, len, headers, connection, side);
    }
    if forwarding != Forwarding::DirectRouting {
        return enter(tables, section, frame, len, headers.protocol, connection);
    }
    let Some(state) = connection.steady(headers.protocol) else {
        return frame.pass();
    };
    let route = destination.direct_route(connection.server().address);
    let mut frame = match frame.depart(section, &route, len) {
        Ok(frame) => frame,
        Err(frame) => return frame.pass(),
    };
    fast::note(tables, section, connection, Side::Destination, state);
    if rewrite::decrement_ttl(V::FAMILY, frame.writable()).is_err() {
        return frame.discard();
    }
    let counters = &destination.statistics.live;
    frame.send(tables.frames.incoming(), counters.incoming())
}

/// Rewrites one side of a frame's packet and sends it: to the server of the connection, or to its
/// client.
#[inline(always)]
fn translate<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    headers: Headers,
    connection: Member<'_, Connection>,
    side: Side,
) -> Verdict<'f> {
    let Some(state) = connection.steady(headers.protocol) else {
        return frame.pass();
    };
    let (route, to) = match side {
        Side::Destination => {
            let server = connection.server();
            (connection.destination().route(server), server)
        }
        Side::Source => (connection.reply_route(), connection.virtual_endpoint()),
    };
    let mut frame = match frame.depart(section, &route, len) {
        Ok(frame) => frame,
        Err(frame) => return frame.pass(),
    };
    fast::note(tables, section, connection, side, state);
    if transmit::rewrite_bytes::<V>(frame.writable(), &headers, side, to, FULL).is_none() {
        return frame.discard();
    }
    let (frames, server) = (&tables.frames, &connection.destination().statistics.live);
    match side {
        Side::Destination => frame.send(frames.incoming(), server.incoming()),
        Side::Source => frame.send(frames.outgoing(), server.outgoing()),
    }
}

/// Sends a client's frame to its server through a tunnel, IP in IP.
#[inline(never)]
fn enter<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    protocol: Protocol,
    connection: Member<'_, Connection>,
) -> Verdict<'f> {
    let (Some(state), Forwarding::Tunneling) =
        (connection.steady(protocol), connection.forwarding())
    else {
        return frame.pass();
    };
    let destination = connection.destination();
    let ignore_df = !tables.settings.pmtu_disc.load(Ordering::Relaxed);
    let route = destination.tunnel_route(connection.server().address, ignore_df);
    let mut frame = match frame.enter(section, &route, len) {
        Ok(frame) => frame,
        Err(frame) => return frame.pass(),
    };
    fast::note(tables, section, connection, Side::Destination, state);
    if rewrite::decrement_ttl(V::FAMILY, frame.writable()).is_err() {
        return frame.discard();
    }
    let counters = &destination.statistics.live;
    frame.send(tables.frames.incoming(), counters.incoming())
}
