// SPDX-License-Identifier: GPL-2.0-only

//! Control connections with NAT: reads their packets for a helper, prepares the data connections
//! that they announce, and rewrites what names the real server.
//!
//! A packet that cannot be read or rewritten goes on unchanged and is counted.

use crate::{
    path::{context::Context, refusal::Refused, schedule},
    services::helper,
    state::connection::{Connection, Expectation, Helped},
};
use core::sync::atomic::Ordering;
use knet::{
    packet::{Packet, Version},
    table::{self, Member},
    work,
};
use lvs_core::{
    helper::{Announcement, Control, LONGEST},
    packet::{Headers, TcpFlags},
    rewrite::{self, Number, TransportChecksum},
    sequence,
    state::{Direction, State},
    Endpoint, Protocol,
};

/// The longest segment that is read.
const READ_BYTES: usize = 2048;
/// The fixed part of a TCP header.
const TCP_BYTES: usize = 20;
/// How many ports are tried for a port that another server of the same client has.
const TRIES: u16 = 64;

/// The parts of a segment, as offsets from the IP header.
struct Segment {
    /// The TCP header.
    header: usize,
    /// The payload.
    payload: usize,
}

/// Reads where the parts of a segment are. The TCP header is linear then.
fn segment<V: Version>(packet: &mut Packet<'_, V>, headers: &Headers) -> Option<Segment> {
    let header = usize::from(headers.network_header_len);
    packet.pull(header.checked_add(TCP_BYTES)?).ok()?;
    let offset = packet.head().get(header.checked_add(12)?)? >> 4;
    let payload = header.checked_add(usize::from(offset).checked_mul(4)?)?;
    packet.pull(payload).ok()?;
    Some(Segment { header, payload })
}

/// The payload of a segment, if it is there and not too long.
fn payload<'a, V: Version>(packet: &'a mut Packet<'_, V>, segment: &Segment) -> Option<&'a [u8]> {
    let len = packet.len() as usize;
    if len <= segment.payload || len > READ_BYTES {
        return None;
    }
    packet.pull(len).ok()?;
    packet.head().get(segment.payload..len)
}

/// One number of a TCP header.
fn number<V: Version>(packet: &Packet<'_, V>, segment: &Segment) -> Option<u32> {
    let at = segment.header.checked_add(4)?;
    let octets = packet.head().get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*octets))
}

fn mode<V: Version>(packet: &Packet<'_, V>) -> TransportChecksum {
    match packet.checksum_is_partial() {
        true => TransportChecksum::Partial,
        false => TransportChecksum::Full,
    }
}

fn control(connection: &Connection) -> Control {
    Control {
        client: connection.client(),
        service: connection.virtual_endpoint(),
        server: connection.server(),
    }
}

/// Handles a packet of a control connection, before it is rewritten: a client's, or with
/// [`Direction::Output`] a server's.
#[cold]
#[inline(never)]
pub(crate) fn handle<V: Version>(
    context: Context<'_>,
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    connection: &Connection,
    direction: Direction,
) {
    let Some(helped) = connection.helped() else {
        return;
    };
    let handled = match direction {
        Direction::Output => reply(context, packet, headers, connection, helped),
        Direction::Input | Direction::InputOnly => {
            request(context, packet, headers, connection, helped)
        }
    };
    if handled.is_none() {
        skip(context);
    }
}

fn request<V: Version>(
    context: Context<'_>,
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    connection: &Connection,
    helped: &Helped,
) -> Option<()> {
    let segment = segment(packet, headers)?;
    let mode = mode(packet);
    if headers.tcp_flags.contains(TcpFlags::SYN) {
        let options = packet
            .head()
            .get(segment.header.checked_add(TCP_BYTES)?..segment.payload)?;
        let Some(at) = sequence::forbid_selective(options) else {
            return Some(());
        };
        let bytes = packet.writable(segment.payload).ok()?;
        return rewrite::blank_option(bytes.get_mut(segment.header..)?, at, mode);
    }
    let deltas = helped.deltas();
    if deltas.pack() != 0 && headers.tcp_flags.contains(TcpFlags::ACK) {
        let bytes = packet.writable(segment.payload).ok()?;
        let tcp = bytes.get_mut(segment.header..)?;
        rewrite::renumber(tcp, Number::Acknowledgment, mode, |number| {
            deltas.restore(number)
        })?;
    }
    if packet.len() as usize <= segment.payload {
        return Some(());
    }
    let payload = payload(packet, &segment)?;
    let control = control(connection);
    let helper = helped.helper.helper;
    let asked = helped.remember(|memory| {
        let asked = helper.hear_client(&control, memory, payload);
        (asked.memory, asked)
    });
    if asked.refused {
        refuse(context);
    }
    match asked.waits {
        Some(client) => announce(context, headers, connection, client),
        None => Some(()),
    }
}

/// Prepares the connection that the server opens to `client`.
fn announce(
    context: Context<'_>,
    headers: &Headers,
    connection: &Connection,
    client: Endpoint,
) -> Option<()> {
    let Context {
        tables, section, ..
    } = context;
    let virtual_endpoint = connection.virtual_endpoint();
    // As the client's packets of that connection will show them.
    let ends = Headers {
        source: client,
        destination: Endpoint::new(
            virtual_endpoint.address,
            virtual_endpoint.port.wrapping_sub(1),
        ),
        ..*headers
    };
    let hash = tables.hash(&ends, client);
    let first = tables.newcomer(&ends);
    let now = work::seconds();
    let timeout = tables.timeout(section, State::Listen);
    let insert = || {
        let announced = connection.announced(client);
        tables
            .connections
            .insert(section, hash, announced, now, timeout, &first)
            .map(|_| ())
    };
    match insert() {
        // The client has repeated its command, or uses the port again, perhaps with another
        // control connection.
        Err(table::Refused::Duplicate) => {
            let entry = tables.find_request(section, &ends, hash)?;
            let server = connection.server();
            let server = Endpoint::new(server.address, server.port.wrapping_sub(1));
            if entry.is_announced_by(connection, server) {
                entry.touch(now);
                return Some(());
            }
            tables.end(entry);
            insert().ok()
        }
        inserted => inserted.ok(),
    }
}

fn reply<V: Version>(
    context: Context<'_>,
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    connection: &Connection,
    helped: &Helped,
) -> Option<()> {
    let segment = segment(packet, headers)?;
    let sequence = number(packet, &segment)?;
    let read = match packet.len() as usize > segment.payload {
        true => read_reply(
            context, packet, headers, connection, helped, &segment, sequence,
        ),
        false => Some(()),
    };
    // The number is translated in any case.
    let deltas = helped.deltas();
    if deltas.translate(sequence) != sequence {
        let mode = mode(packet);
        let bytes = packet.writable(segment.payload).ok()?;
        let tcp = bytes.get_mut(segment.header..)?;
        rewrite::renumber(tcp, Number::Sequence, mode, |number| {
            deltas.translate(number)
        })?;
    }
    read
}

/// Reads the text of a reply, and replaces the endpoint in it.
fn read_reply<V: Version>(
    context: Context<'_>,
    packet: &mut Packet<'_, V>,
    headers: &Headers,
    connection: &Connection,
    helped: &Helped,
    segment: &Segment,
    sequence: u32,
) -> Option<()> {
    let text = payload(packet, segment)?;
    let control = control(connection);
    let helper = helped.helper.helper;
    let answered = helped.remember(|memory| {
        let answered = helper.hear_server(&control, memory, sequence, text);
        (answered.memory, answered)
    });
    if answered.refused {
        refuse(context);
    }
    let Some(Announcement { port, at, form }) = answered.waits else {
        return Some(());
    };
    let shown = expect(context, connection, port)?;
    let mut buffer = [0; LONGEST];
    let len = form.write(control.service.address, shown, &mut buffer)?;
    let new = buffer.get(..len)?;
    if text.get(at.clone())? == new {
        return Some(());
    }
    let change = i16::try_from(len)
        .ok()?
        .checked_sub(i16::try_from(at.len()).ok()?)?;
    // A shift that does not fit would break the connection.
    helped.deltas().changed(sequence, change)?;
    let begin = segment.payload.checked_add(at.start)?;
    packet
        .replace(headers.network_header_len, begin, at.len(), new)
        .ok()?;
    helped.shift(sequence, change);
    Some(())
}

/// Expects a connection of the client for the server's `port`. Returns the port that the client
/// must ask for: the same, unless the client has another server's connection there.
fn expect(context: Context<'_>, connection: &Connection, port: u16) -> Option<u16> {
    let Context {
        tables, section, ..
    } = context;
    let address = connection.virtual_endpoint().address;
    let server = Endpoint::new(connection.server().address, port);
    let now = work::seconds();
    let timeout = tables.timeout(section, State::Listen);
    for shift in 0..TRIES {
        // Above the ports of services.
        let shown = match port.checked_add(shift) {
            Some(shown) => shown,
            None => shift.saturating_add(1024),
        };
        let expectation = Expectation {
            client: connection.client().address,
            service: Endpoint::new(address, shown),
        };
        let hash = tables.expectation_hash(&expectation);
        if let Some(entry) = tables.find_expectation(section, &expectation, hash) {
            if entry.is_announced_by(connection, server) {
                entry.touch(now);
                return Some(shown);
            }
            if entry.server() != server {
                continue;
            }
            // The server has given the port to another control connection, which is over, or waits
            // there no longer. This one must live as long as the transfer.
            entry.remove();
        }
        if !connection.may_expect() {
            return None;
        }
        let first = tables.newcomer_expectation(&expectation);
        let expected = connection.expected(&expectation, port);
        let inserted = tables
            .connections
            .insert(section, hash, expected, now, timeout, &first);
        match inserted {
            Ok(_) => return Some(shown),
            Err(table::Refused::Duplicate) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Begins the connection that a client's packet opens, if a control connection announced it.
#[cold]
#[inline(never)]
pub(crate) fn begin<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
) -> Option<Result<Member<'a, Connection>, Refused>> {
    let Context {
        tables, section, ..
    } = context;
    if headers.protocol != Protocol::Tcp || !headers.tcp_flags.opens_connection() {
        return None;
    }
    let expectation = Expectation {
        client: headers.source.address,
        service: headers.destination,
    };
    let found = tables.expectation_hash(&expectation);
    let entry = tables.find_expectation(section, &expectation, found)?;
    let server = entry.destination().clone();
    if !server.is_available() {
        return None;
    }
    let guarded = tables.settings.defence.guarded.load(Ordering::Relaxed);
    let connection = Connection::new(
        headers,
        server.clone(),
        entry.server(),
        entry.lease(),
        guarded,
    );
    let entered = schedule::enter(context, headers, hash, &server, connection);
    if entered.is_ok() {
        entry.remove();
    }
    Some(entered)
}

/// Begins the announced connection that a server opens with a packet with these headers, from
/// another port than the one below that of its control connection. `hash` is that of the packet's
/// destination. Softirq.
#[cold]
#[inline(never)]
pub(crate) fn adopt<'a>(
    context: Context<'a>,
    headers: &Headers,
    hash: u32,
) -> Option<Member<'a, Connection>> {
    let Context {
        tables, section, ..
    } = context;
    let announced = tables.find_announced(section, headers, hash)?;
    // As the client's packets will show them.
    let ends = Headers {
        source: headers.destination,
        destination: announced.virtual_endpoint(),
        ..*headers
    };
    let opened = announced.opened_from(headers.source.port);
    let (now, timeout) = (work::seconds(), tables.timeout(section, State::Listen));
    tables.end(announced);
    let first = tables.newcomer(&ends);
    let inserted = tables
        .connections
        .insert(section, hash, opened, now, timeout, &first);
    match inserted {
        Ok(member) => Some(member),
        // The server has repeated its SYN, which another processor handles.
        Err(table::Refused::Duplicate) => tables.find_reply(section, headers, hash),
        Err(_) => None,
    }
}

/// Whether a packet may open an announced connection.
#[inline(always)]
pub(crate) fn may_open(headers: &Headers) -> bool {
    is_any() && headers.protocol == Protocol::Tcp && headers.tcp_flags.opens_connection()
}

/// Whether there may be expectations.
#[inline(always)]
pub(crate) fn is_any() -> bool {
    helper::is_any()
}

#[cold]
fn skip(context: Context<'_>) {
    let skipped = &context.tables.helper.skipped;
    skipped.fetch_add(1, Ordering::Relaxed);
}

#[cold]
fn refuse(context: Context<'_>) {
    let refused = &context.tables.helper.refused;
    refused.fetch_add(1, Ordering::Relaxed);
}
