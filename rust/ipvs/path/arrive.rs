// SPDX-License-Identifier: GPL-2.0-only

//! Takes a packet through the steps: its headers are read, a decision is made, it is sent.

use crate::{
    path::{
        choose,
        context::Context,
        decide::{self, Decision},
        drop::{self, Dropped},
        engine, helper, icmp,
        read::{self, Unusual},
        refusal::{Refusal, Refused},
        related,
        schedule::{self, redispatch, schedule, Scheduled},
        target::Target,
        transmit,
    },
    services::service::Service,
    state::{
        connection::{direction, Connection},
        tables::Tables,
    },
};
use core::sync::atomic::Ordering;
use knet::{
    hook::Point,
    packet::{Packet, Verdict, Version},
    rcu::Section,
    table::Member,
    trace,
};
use lvs_core::{
    drop::Reason,
    packet::{self, Headers, TcpFlags},
    state::Direction,
    Family,
};

/// Handles a packet at a hook, which [`concerns`] the director. Softirq.
#[inline]
pub(crate) fn handle<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    point: Point,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    match point {
        Point::PreRouting => pre_routing(tables, section, packet),
        Point::LocalIn => local_in(tables, section, packet),
        Point::Forward => forward(tables, section, packet),
        Point::LocalOut => local_out(tables, section, packet),
        Point::PostRouting => post_routing(tables, section, packet),
    }
}

/// False for a packet of a bystander, which no connection can have at this hook. Any context.
#[inline(always)]
pub(crate) fn concerns<V: Version>(tables: &Tables, point: Point, packet: &Packet<'_, V>) -> bool {
    point == Point::LocalIn || may_be_ours(tables, point, packet)
}

/// False for a packet of a bystander, which no connection can have at this hook. An ICMP error may
/// come from anywhere.
#[inline(always)]
fn may_be_ours<V: Version>(tables: &Tables, point: Point, packet: &Packet<'_, V>) -> bool {
    let (source, destination) = read::address_words(packet);
    // The fixed IPv4 header shows the protocol; in IPv6 extension headers may come first.
    let headers = match V::FAMILY {
        Family::V4 => packet.header().as_ref(),
        Family::V6 => packet.head(),
    };
    let concerned = match point {
        // Requests are for this host.
        Point::Forward | Point::PostRouting => tables.filter.may_be_reply(source),
        _ => tables.filter.may_be_ours(source, destination),
    };
    concerned || packet::is_icmp(V::FAMILY, headers)
}

// A function for each hook, so that the compiler knows the hook in all steps.

#[inline(never)]
fn pre_routing<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    process(context(tables, section, Point::PreRouting), packet)
}

#[inline(never)]
fn local_in<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    process(context(tables, section, Point::LocalIn), packet)
}

#[inline(never)]
fn forward<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    process(context(tables, section, Point::Forward), packet)
}

#[inline(never)]
fn local_out<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    process(context(tables, section, Point::LocalOut), packet)
}

#[inline(never)]
fn post_routing<'p, V: Version>(
    tables: &Tables,
    section: &Section<'_>,
    packet: Packet<'p, V>,
) -> Verdict<'p> {
    process(context(tables, section, Point::PostRouting), packet)
}

#[inline(always)]
fn context<'a>(tables: &'a Tables, section: &'a Section<'a>, point: Point) -> Context<'a> {
    Context {
        tables,
        section,
        point,
    }
}

#[inline(always)]
fn process<'p, V: Version>(context: Context<'_>, mut packet: Packet<'p, V>) -> Verdict<'p> {
    match read::headers::<V, false>(&mut packet) {
        Ok(headers) => act(context, packet, &headers),
        Err(unusual) => handle_unusual(context, packet, unusual),
    }
}

/// Decides about a packet whose headers were read, and sends it.
#[inline(always)]
fn act<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
) -> Verdict<'p> {
    let decision = match context.point {
        Point::PreRouting => decide::pre_routing(context, &packet, headers),
        Point::LocalIn => decide::local_in(context, &packet, headers),
        Point::Forward => decide::forward(context, headers),
        Point::LocalOut => decide::local_out(context, &packet, headers),
        Point::PostRouting => decide::post_routing(context, headers),
    };
    match decision {
        Decision::Accept => packet.accept(),
        Decision::Orphan(connection) => discard_orphan(context, packet, headers, &connection),
        Decision::Reject => packet.refuse(),
        Decision::Follow => follow(context, packet, headers),
        Decision::Filter => filter(context, packet, headers),
        Decision::Begin { hash } => begin(context, packet, headers, hash),
        Decision::Again { hash, connection } => again(context, packet, headers, hash, connection),
        Decision::Request(connection) if !packet.obeys_policies(false) => {
            let (destination, server) = (connection.destination(), connection.server());
            let dropped = Dropped::to_server(destination, server, headers);
            dropped.count(context, Reason::Policy);
            packet.discard()
        }
        Decision::Redirect(connection) => transmit::redirect(context, packet, headers, &connection),
        Decision::Request(connection) => {
            learn(context, &packet);
            let helped = note(
                context,
                connection,
                direction(connection.forwarding()),
                headers,
            );
            if helped {
                return helped_request(context, packet, headers, &connection);
            }
            let target = Target::of(&connection);
            transmit::to_server::<V, false>(context, packet, headers, target)
        }
        // The host checks a reply that it forwards or delivers itself.
        Decision::Reply(connection)
            if context.point == Point::PreRouting && !packet.obeys_policies(true) =>
        {
            Dropped::to_client(&connection, headers).count(context, Reason::Policy);
            packet.discard()
        }
        // The client repeats its SYN, and another server gets it.
        Decision::Reply(connection)
            if headers.tcp_flags.contains(TcpFlags::RST)
                && choose::hides_refusal(context.tables, context.section, &connection) =>
        {
            packet.discard()
        }
        Decision::Reply(connection) => {
            learn(context, &packet);
            let helped = note(context, connection, Direction::Output, headers);
            if helped {
                return helped_reply(context, packet, headers, connection);
            }
            transmit::to_client::<V, false>(context, packet, headers, &connection)
        }
    }
}

/// Learns by which device a packet of a known connection came in.
#[inline(always)]
fn learn<V: Version>(context: Context<'_>, packet: &Packet<'_, V>) {
    if context.point == Point::PreRouting {
        context.tables.arrivals.note(packet.device());
    }
}

/// Notes a packet of a connection, and returns whether a helper reads it.
#[inline(always)]
fn note(
    context: Context<'_>,
    connection: Member<'_, Connection>,
    direction: Direction,
    headers: &Headers,
) -> bool {
    let flags = headers.tcp_flags;
    context
        .tables
        .note(context.section, connection, direction, flags)
}

/// Begins a connection with a packet, and sends it. `hash` is that of its source.
#[inline(never)]
fn begin<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    headers: &Headers,
    hash: u32,
) -> Verdict<'p> {
    if helper::is_any() && packet.obeys_policies(false) {
        if let Some(Ok(connection)) = helper::begin(context, headers, hash) {
            return begin_data(context, packet, headers, connection);
        }
    }
    let Some(service) = choose::service(context, packet.mark(), headers) else {
        // Those who send to ports without a service are few.
        return match schedule::related(context, headers, hash) {
            Some(connection) if packet.obeys_policies(false) => {
                begin_data(context, packet, headers, connection)
            }
            _ => packet.accept(),
        };
    };
    if !packet.obeys_policies(false) {
        Dropped::for_service(service, None, headers).count(context, Reason::Policy);
        return packet.discard();
    }
    let found = match service.engine(context.section) {
        Some(engine) => engine::find(&mut packet, headers, engine),
        None => None,
    };
    let scheduled = match schedule(context, service, headers, hash, found) {
        Ok(scheduled) => scheduled,
        Err(refused) => return refuse(context, packet, headers, service, &refused),
    };
    let target = match &scheduled {
        Scheduled::Connection(connection) => {
            let helped = note(
                context,
                *connection,
                direction(connection.forwarding()),
                headers,
            );
            let target = Target::of(connection);
            if helped {
                trace::schedule(|| flow(context, service, headers, &target));
                return helped_request(context, packet, headers, connection);
            }
            target
        }
        Scheduled::OnePacket(connection) => Target::of(connection),
        Scheduled::Stateless(target) => *target,
    };
    trace::schedule(|| flow(context, service, headers, &target));
    transmit::to_server::<V, false>(context, packet, headers, target)
}

/// Handles a packet that a router sent to all hosts of a link ("ONE-IP", section 5). All servers of
/// the service get it. The one that the scheduler chooses takes it, and the others drop it.
#[cold]
#[inline(never)]
fn filter<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    headers: &Headers,
) -> Verdict<'p> {
    let (_, destination) = read::address_words(&packet);
    if !context.tables.filter.may_be_request(destination) {
        return packet.accept();
    }
    let service = choose::service(context, packet.mark(), headers);
    let filtering = |service: &'_ Service| service.filtering_pool(context.section);
    let Some((service, pool)) = service.and_then(|it| Some((it, filtering(it)?))) else {
        return packet.accept();
    };
    let dropped = Dropped::for_service(service, None, headers);
    if !packet.obeys_policies(false) {
        dropped.count(context, Reason::Policy);
        return packet.discard();
    }
    let Some(server) = choose::scheduled(context, pool, &service.settings(), headers) else {
        dropped.count(context, Reason::NoDestination);
        return packet.discard();
    };
    let target = Target::new(server, headers);
    if context.tables.is_elsewhere(target.server.address) {
        dropped.count(context, Reason::Filtered);
        return packet.discard();
    }
    if headers.tcp_flags.opens_connection() {
        server.statistics.live.connection();
    }
    packet.claim();
    transmit::to_local_server::<V, false>(context, packet, headers, target)
}

/// Sends a client's packet that a helper reads. Apart from the others, which pay nothing for it.
#[cold]
#[inline(never)]
fn helped_request<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: &Connection,
) -> Verdict<'p> {
    transmit::to_server::<V, true>(context, packet, headers, Target::of(connection))
}

/// Sends a server's reply that a helper reads. Other directors learn how it shifts the stream.
#[cold]
#[inline(never)]
fn helped_reply<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    let deltas = || connection.helped().map(|helped| helped.deltas());
    let before = deltas();
    let verdict = transmit::to_client::<V, true>(context, packet, headers, &connection);
    if deltas() != before {
        context.tables.begun(context.section, connection);
    }
    verdict
}

/// Sends a real server's datagram that may begin a connection.
#[cold]
#[inline(never)]
fn follow<'p, V: Version>(
    context: Context<'_>,
    mut packet: Packet<'p, V>,
    headers: &Headers,
) -> Verdict<'p> {
    let Some(begun) = engine::begin(context, &mut packet, headers) else {
        return match decide::is_unexpected(context, headers) {
            true if context.point == Point::Forward => packet.refuse(),
            _ => packet.accept(),
        };
    };
    let connection: &Connection = match &begun {
        Scheduled::Connection(connection) => connection.entry(),
        Scheduled::OnePacket(connection) => connection,
        Scheduled::Stateless(_) => return packet.accept(),
    };
    if context.point == Point::Forward {
        return transmit::redirect(context, packet, headers, connection);
    }
    if context.point == Point::PreRouting && !packet.obeys_policies(true) {
        Dropped::to_client(connection, headers).count(context, Reason::Policy);
        return packet.discard();
    }
    transmit::to_client::<V, false>(context, packet, headers, connection)
}

/// Sends the first packet of a data connection.
#[cold]
fn begin_data<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: Member<'_, Connection>,
) -> Verdict<'p> {
    note(
        context,
        connection,
        direction(connection.forwarding()),
        headers,
    );
    transmit::to_server::<V, false>(context, packet, headers, Target::of(&connection))
}

/// Sends a repeated SYN to another server than that of its connection, which has not answered; to
/// the same one if there is no other.
#[cold]
#[inline(never)]
fn again<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    hash: u32,
    former: Member<'_, Connection>,
) -> Verdict<'p> {
    let Some(service) = choose::service(context, packet.mark(), headers) else {
        return packet.accept();
    };
    if !packet.obeys_policies(false) {
        Dropped::for_service(service, None, headers).count(context, Reason::Policy);
        return packet.discard();
    }
    let connection = match redispatch(context, service, headers, hash, former) {
        Some(Ok(connection)) => connection,
        Some(Err(refused)) => return refuse(context, packet, headers, service, &refused),
        None => former,
    };
    note(
        context,
        connection,
        direction(connection.forwarding()),
        headers,
    );
    let target = Target::of(&connection);
    trace::schedule(|| flow(context, service, headers, &target));
    transmit::to_server::<V, false>(context, packet, headers, target)
}

/// A scheduled packet, for tracers.
#[cold]
fn flow(
    context: Context<'_>,
    service: &Service,
    headers: &Headers,
    target: &Target<'_>,
) -> trace::Flow {
    trace::Flow {
        net: context.tables.namespace,
        protocol: headers.protocol as u8,
        mark: service.key.mark(),
        client: headers.source,
        service: headers.destination,
        server: Some(target.server),
    }
}

/// Counts a refusal, and handles the packet.
#[cold]
fn refuse<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    service: &Service,
    refused: &Refused,
) -> Verdict<'p> {
    let tables = context.tables;
    if let Some(mut reason) = refused.refusal.reason() {
        let mut destination = refused.destination.as_ref();
        if reason == Reason::NoDestination {
            if let Some(overloaded) = drop::overloaded(context, service) {
                (reason, destination) = (Reason::Overload, Some(overloaded));
            }
        }
        let destination = destination.map(|destination| &**destination);
        Dropped::for_service(service, destination, headers).count(context, reason);
    }
    match refused.refusal {
        // The host has no such connection either, and answers a segment with a reset.
        Refusal::NotOpening => packet.accept(),
        Refusal::NoDestination => packet.refuse(),
        Refusal::Defence => {
            tables.dropped.fetch_add(1, Ordering::Relaxed);
            packet.discard()
        }
        Refusal::TableFull | Refusal::NoMemory => {
            tables.refused.fetch_add(1, Ordering::Relaxed);
            packet.discard()
        }
        // The client will try again.
        Refusal::DestinationDeleted | Refusal::Lost => packet.discard(),
    }
}

/// Drops a client's packet of a connection whose server was deleted.
#[cold]
fn discard_orphan<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    headers: &Headers,
    connection: &Connection,
) -> Verdict<'p> {
    let destination = connection.destination();
    Dropped::to_server(destination, connection.server(), headers).count(context, Reason::Deleted);
    packet.discard()
}

/// Handles a packet whose ports cannot be read.
#[cold]
#[inline(never)]
fn handle_unusual<'p, V: Version>(
    context: Context<'_>,
    packet: Packet<'p, V>,
    unusual: Unusual,
) -> Verdict<'p> {
    match unusual {
        Unusual::Unreadable => packet.accept(),
        Unusual::Other => handle_other(context, packet),
        // What this host sends is whole.
        Unusual::Fragment if context.point == Point::LocalOut => packet.accept(),
        Unusual::Fragment => match read::gather(context, packet) {
            Ok(packet) => handle_gathered(context, packet),
            Err(verdict) => verdict,
        },
    }
}

/// Handles a packet of a protocol other than TCP and UDP.
fn handle_other<'p, V: Version>(context: Context<'_>, mut packet: Packet<'p, V>) -> Verdict<'p> {
    match read::headers::<V, true>(&mut packet) {
        Ok(headers) => act(context, packet, &headers),
        Err(Unusual::Other) => {
            related::handle(context, packet).unwrap_or_else(|packet| icmp::handle(context, packet))
        }
        Err(unusual) => handle_unusual(context, packet, unusual),
    }
}

/// Handles a packet that was put together from fragments.
fn handle_gathered<'p, V: Version>(context: Context<'_>, mut packet: Packet<'p, V>) -> Verdict<'p> {
    match read::headers::<V, true>(&mut packet) {
        Ok(headers) => act(context, packet, &headers),
        Err(Unusual::Other) => {
            related::handle(context, packet).unwrap_or_else(|packet| icmp::handle(context, packet))
        }
        Err(_) => packet.accept(),
    }
}
