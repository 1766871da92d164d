// SPDX-License-Identifier: GPL-2.0-only

//! Takes frames of known connections before the host makes packets of them.
//!
//! It takes what [`fast`] takes, except through tunnels with checksums of their own, and leaves all
//! others to it. With `conntrack=1` no frames come here, since conntrack has to see the packets
//! that it tracks.
//!
//! In a large table frames wait for others, as packets do: see [`super::batch`].

use crate::{
    path::{
        fast::{self, Key, Noted},
        transmit,
    },
    services::destination::Forwarding,
    state::{connection::Connection, tables::Tables},
};
use core::sync::atomic::Ordering;
use knet::{
    packet::Version,
    rcu::Section,
    table::{Ahead, Member},
    xdp::{
        batch::{Batching, FRAMES},
        Frame, Handler, Verdict,
    },
};
use lvs_core::{
    filter,
    packet::{self, Headers},
    rewrite::{self, Side, TransportChecksum},
    state::State,
    tunnel::{GueChecksum, Tunnel},
    Family, Protocol,
};

/// A frame is as it was on the wire.
const FULL: TransportChecksum = TransportChecksum::Full;

// The note of a frame that waits is its key in a word.

impl Key {
    const REQUEST: u64 = 1 << 32;

    const fn word(self) -> u64 {
        let kind = match self.may_be_request {
            true => Self::REQUEST,
            false => 0,
        };
        kind | self.hash as u64
    }

    const fn from_word(word: u64) -> Self {
        Self {
            hash: word as u32,
            may_be_request: word & Self::REQUEST != 0,
        }
    }
}

impl Handler for Tables {
    #[inline(always)]
    fn take<'f, V: Version>(&self, section: &Section<'_>, frame: Frame<'f, V>) -> Verdict<'f> {
        read_and_take(self, section, frame, None)
    }
}

impl Batching for Tables {
    type Ahead<'s> = Ahead<'s, Connection>;

    #[inline(always)]
    fn note<V: Version>(&self, frame: &Frame<'_, V>) -> Option<u64> {
        let (source, destination) = words(frame);
        // All others wait, so that none overtakes another of its flow.
        if !self.filter.may_be_ours(source, destination) {
            return None;
        }
        // A frame with a wrong key is not taken.
        let key = match guess(frame) {
            Some(headers) => Key::new(self, &headers, destination),
            None => Key::UNKNOWN,
        };
        Some(key.word())
    }

    #[inline(always)]
    fn prepare<'s>(
        &'s self,
        section: &'s Section<'_>,
        notes: &[u64],
    ) -> [Ahead<'s, Connection>; FRAMES] {
        let hashes = notes.iter().map(|&word| Key::from_word(word).hash);
        self.connections.look_ahead(section, hashes)
    }

    #[inline(always)]
    fn take_noted<'f, 's, V: Version>(
        &'s self,
        section: &'s Section<'_>,
        frame: Frame<'f, V>,
        note: u64,
        ahead: Ahead<'s, Connection>,
    ) -> Verdict<'f> {
        // A wrong hash finds no connection.
        let key = Key::from_word(note);
        read_and_take(self, section, frame, Some(Noted { key, ahead }))
    }
}

/// The words of source and destination by which the filter tells bystanders.
#[inline(always)]
fn words<V: Version>(frame: &Frame<'_, V>) -> (u32, u32) {
    let (source, destination) = V::addresses(frame.header());
    (
        filter::word(source.as_ref()),
        filter::word(destination.as_ref()),
    )
}

/// The headers of a frame that may be taken, without checks.
#[inline(always)]
fn guess<V: Version>(frame: &Frame<'_, V>) -> Option<Headers> {
    let protocol = packet::plain_protocol(V::FAMILY, frame.header().as_ref())?;
    packet::guess_plain(V::FAMILY, protocol, frame.bytes())
}

#[inline(always)]
fn read_and_take<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    noted: Option<Noted<'_>>,
) -> Verdict<'f> {
    let words = words(&frame);
    // The filter has let those pass that have waited.
    if noted.is_none() && !tables.filter.may_be_ours(words.0, words.1) {
        return frame.pass();
    }
    let available = frame.bytes().len() as u32;
    let Some(len) = V::received_len(frame.header(), available) else {
        return frame.pass();
    };
    // As in the hook of a device, code for each protocol.
    match packet::plain_number(V::FAMILY, frame.header().as_ref()) {
        Some(packet::TCP) => take(tables, section, frame, words, len, Protocol::Tcp, noted),
        Some(packet::UDP) => take(tables, section, frame, words, len, Protocol::Udp, noted),
        Some(_) | None => frame.pass(),
    }
}

#[inline(always)]
fn take<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    words: (u32, u32),
    len: u32,
    protocol: Protocol,
    noted: Option<Noted<'_>>,
) -> Verdict<'f> {
    let headers = match packet::parse_plain(V::FAMILY, protocol, frame.bytes(), len as usize) {
        Ok(headers) if fast::may_be_steady(&headers) => headers,
        Ok(_) | Err(_) => return frame.pass(),
    };
    match fast::find(tables, section, headers, words, noted) {
        Some((connection, Side::Destination)) => {
            request(tables, section, frame, len, headers, connection)
        }
        Some((connection, side @ Side::Source)) => {
            translate(tables, section, frame, len, headers, connection, side)
        }
        None if tables.connections.has_apart() => take_apart(tables, section, frame, len, protocol),
        None => frame.pass(),
    }
}

/// Takes a frame of a client port that has many connections.
// It reads the headers again, so that they stay in registers elsewhere.
#[cold]
#[inline(never)]
fn take_apart<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    protocol: Protocol,
) -> Verdict<'f> {
    let Ok(headers) = packet::parse_plain(V::FAMILY, protocol, frame.bytes(), len as usize) else {
        return frame.pass();
    };
    match fast::find_anywhere(tables, section, &headers) {
        Some((connection, Side::Destination)) => {
            request(tables, section, frame, len, headers, connection)
        }
        Some((connection, side @ Side::Source)) => {
            translate(tables, section, frame, len, headers, connection, side)
        }
        None => frame.pass(),
    }
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

/// Sends a client's frame to its server through a tunnel.
#[inline(always)]
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
    if !connection.destination().is_through_ipip() {
        return enter_another(tables, section, frame, len, connection, state);
    }
    // Nearly all tunnels are of the packet's own version.
    let through = (Tunnel::Ipip, V::FAMILY);
    match enter_through(tables, section, frame, len, connection, state, through) {
        Ok(verdict) => verdict,
        Err(frame) if connection.server().address.family() == V::FAMILY => frame.pass(),
        Err(frame) => enter_another(tables, section, frame, len, connection, state),
    }
}

/// The same for other tunnels than IP in IP of the frame's own version.
#[inline(never)]
fn enter_another<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    connection: Member<'_, Connection>,
    state: State,
) -> Verdict<'f> {
    const NONE: GueChecksum = GueChecksum::None;
    let tunnel = connection.destination().tunnel();
    let outer = connection.server().address.family();
    let entered = match tunnel {
        // Constants, so that the compiler makes code of its own for them.
        Tunnel::Gue {
            port,
            checksum: NONE,
        } if outer == V::FAMILY => {
            let checksum = NONE;
            let through = (Tunnel::Gue { port, checksum }, V::FAMILY);
            enter_through(tables, section, frame, len, connection, state, through)
        }
        _ => {
            let through = (tunnel, outer);
            enter_through(tables, section, frame, len, connection, state, through)
        }
    };
    match entered {
        Ok(verdict) => verdict,
        Err(frame) => frame.pass(),
    }
}

/// Sends a client's frame through this tunnel over this family, if the server has it. If it cannot,
/// the frame comes back unchanged.
#[inline(always)]
fn enter_through<'f, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    frame: Frame<'f, V>,
    len: u32,
    connection: Member<'_, Connection>,
    state: State,
    (tunnel, outer): (Tunnel, Family),
) -> Result<Verdict<'f>, Frame<'f, V>> {
    let destination = connection.destination();
    let ignore_df = !tables.settings.pmtu_disc.load(Ordering::Relaxed);
    let server = connection.server().address;
    let route = destination.route_through(tunnel, server, ignore_df);
    let mut frame = frame.enter(section, &route, outer, len)?;
    fast::note(tables, section, connection, Side::Destination, state);
    if rewrite::decrement_ttl(V::FAMILY, frame.writable()).is_err() {
        return Ok(frame.discard());
    }
    let flow = || tables.flow_hash(V::FAMILY, connection);
    let counters = &destination.statistics.live;
    Ok(frame.send(flow, tables.frames.incoming(), counters.incoming()))
}
