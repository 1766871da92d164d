// SPDX-License-Identifier: GPL-2.0-only

//! Has the persistence engine of a service read a datagram, and begins the connections of datagrams
//! that real servers send first.

use crate::{
    path::{
        choose,
        context::Context,
        schedule::{self, Scheduled},
    },
    services::{engine::Reference, service::Key},
    state::connection::{Connection, Found},
    uapi::service::F_ONE_PACKET,
};
use core::sync::atomic::Ordering;
use knet::packet::{Packet, Version};
use lvs_core::{packet::Headers, Protocol};

/// The most octets of a packet that an engine reads.
const READ_BYTES: usize = 2048;
/// Octets of a UDP header.
const UDP_BYTES: usize = 8;

/// What an engine finds in a packet. Without memory, in other protocols than UDP, and in what is
/// beyond the first [`READ_BYTES`], it finds nothing. Softirq.
#[cold]
#[inline(never)]
pub(crate) fn find<'a, V: Version>(
    packet: &'a mut Packet<'_, V>,
    headers: &Headers,
    engine: &'a Reference,
) -> Option<Found<'a>> {
    if headers.protocol != Protocol::Udp {
        return None;
    }
    let len = READ_BYTES.min(packet.len() as usize);
    packet.pull(len).ok()?;
    let payload = usize::from(headers.network_header_len).checked_add(UDP_BYTES)?;
    let text = engine.engine().find(packet.head().get(payload..len)?)?;
    Some(Found { engine, text })
}

/// Begins the connection of a datagram that a real server of a service with an engine sends to a
/// client: a request within a call, or with one-packet scheduling any answer. `None`: it is not
/// from such a server, or it cannot begin. Softirq.
#[cold]
#[inline(never)]
pub(crate) fn begin<'a, V: Version>(
    context: Context<'a>,
    packet: &mut Packet<'_, V>,
    headers: &Headers,
) -> Option<Scheduled<'a>> {
    let Context {
        tables, section, ..
    } = context;
    let key = tables.engine_servers.find(section, headers.source)?;
    let Key::Address { endpoint, .. } = key else {
        return None;
    };
    let service = tables.services.find(section, &key)?;
    let engine = service.engine(section)?;
    let mut servers = service.pool(section)?.destinations.iter();
    let server = servers.find(|server| server.endpoint == headers.source)?;
    // As the client's packets of the connection show them.
    let ends = Headers {
        source: headers.destination,
        destination: endpoint,
        ..*headers
    };
    let found = find(packet, headers, engine);
    let choice = choose::begun_by(context, service, server, &ends, found).ok()?;
    let lease = choice.template.and_then(|template| template.lease());
    let guarded = &tables.settings.defence.guarded;
    let guarded = guarded.load(Ordering::Relaxed);
    let connection = Connection::new(&ends, server.clone(), headers.source, lease, guarded);
    if service.settings().flags & F_ONE_PACKET != 0 {
        server.statistics.live.connection();
        return Some(Scheduled::OnePacket(connection));
    }
    let hash = tables.hash(&ends, ends.source);
    let entered = schedule::enter(context, &ends, hash, server, connection);
    entered.ok().map(Scheduled::Connection)
}
