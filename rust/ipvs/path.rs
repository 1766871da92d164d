// SPDX-License-Identifier: GPL-2.0-only

//! The packet path: what a namespace's packets meet.
//!
//! New connections are scheduled at LOCAL_IN, when the firewall's INPUT chain has had its say.
//! Packets of a known connection, in both directions, are caught at PRE_ROUTING, after conntrack
//! and mangle, and leave from there: see `Documentation/packet-path.rst`.

mod forward;
pub(crate) mod hooks;
mod icmp;
mod schedule;
pub(crate) mod stateless;
mod stray;

use crate::{
    path::stray::RealServers,
    services::{
        deleted::Deleted,
        destination::Forwarding,
        filter::{self, Filter},
        index::Index,
        scheduler::Server,
    },
    state::{
        connection::{client_hash, Connection},
        settings::{Settings, REUSE_CLOSED, REUSE_CLOSING},
    },
};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{
    hook::{Handler, Point},
    packet::{Packet, Verdict, Version},
    random,
    rcu::{Boxed, Cell, Section},
    table::{Entry, Table},
    work::{self, Tick},
};
use lvs_core::{
    hash::HashKey,
    packet::{self, ParseError, TcpFlags, IPV4_HEADER, IPV6_HEADER},
    rate::PERIOD,
    state::State,
    timeout::Timeouts,
    Endpoint, Family, Protocol,
};

/// What the packets of one namespace meet.
#[pin_data]
pub struct Path {
    /// The virtual services.
    pub services: Index,
    /// The connections.
    pub connections: Table<Connection>,
    /// What tells bystanders.
    pub filter: Arc<Filter>,
    pub(crate) hash: HashKey,
    timeouts: Cell<Timeouts>,
    /// New connections that were refused since there were too many, or no memory.
    pub(crate) refused: AtomicU64,
    /// New connections that were dropped in defence.
    pub(crate) dropped: AtomicU64,
    /// The settings that packets look at.
    pub(crate) settings: Arc<Settings>,
    /// The second in which rates were last estimated.
    estimated: AtomicU32,
    /// Where real servers answer, as long as that matters.
    pub(crate) real_servers: RealServers,
    /// Destinations that were deleted and have connections.
    #[pin]
    pub(crate) deleted: Deleted,
}

impl Path {
    /// Nothing yet. Process context.
    pub fn new(timeouts: Timeouts, settings: Arc<Settings>) -> Result<Arc<Self>> {
        let hash = HashKey::new(random::number(), random::number());
        let services = Index::new(hash)?;
        let filter = Filter::new()?;
        let connections = Table::new(work::seconds())?;
        let timeouts = Cell::new(Boxed::new(timeouts, GFP_KERNEL)?);
        Arc::pin_init(
            pin_init!(Self {
                services,
                connections,
                filter,
                hash,
                timeouts,
                refused: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                settings,
                estimated: AtomicU32::new(work::seconds()),
                real_servers: RealServers::none(),
                deleted <- Deleted::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Puts other timeouts in force, for each connection from its next packet on.
    pub fn set_timeouts(&self, timeouts: Timeouts) -> Result {
        self.timeouts
            .replace(Some(Boxed::new(timeouts, GFP_KERNEL)?));
        Ok(())
    }

    /// Forgets the routes to all destinations: a route of IPv6 keeps its device. Process context.
    pub fn forget_routes(&self) {
        self.services.for_each(|service, section| {
            for server in service.pool(section).iter().flat_map(|pool| &pool.servers) {
                server.forget_routes();
            }
        });
        self.deleted.for_each(|server| server.forget_routes());
    }

    /// Estimates all rates. Process context.
    fn estimate(&self) {
        self.services.for_each(|service, section| {
            for server in service.pool(section).iter().flat_map(|pool| &pool.servers) {
                server.statistics.estimate();
            }
        });
    }

    /// New connections that were refused since there were too many, or no memory. Any context.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// New connections that were dropped in defence. Any context.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Seconds that a connection in `state` may stay unused.
    pub(crate) fn timeout(&self, section: &Section<'_>, state: State) -> u32 {
        self.timeouts
            .get(section)
            .map_or(0, |timeouts| timeouts.of(state))
    }

    #[inline(always)]
    pub(crate) fn hash(&self, packet: &packet::Headers, client: Endpoint) -> u32 {
        client_hash(&self.hash, packet.family, packet.protocol, client)
    }

    /// The connection that the client of `packet` has. The hash is that of the packet's source.
    #[inline(always)]
    pub(crate) fn find_request<'a>(
        &self,
        section: &'a Section<'_>,
        packet: &packet::Headers,
        hash: u32,
    ) -> Option<&'a Entry<Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_request(packet))
    }

    /// The connection to whose client a server sends `packet`. The hash is that of its destination.
    #[inline(always)]
    pub(crate) fn find_reply<'a>(
        &self,
        section: &'a Section<'_>,
        packet: &packet::Headers,
        hash: u32,
    ) -> Option<&'a Entry<Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_reply(packet))
    }

    /// False for a packet of a bystander, which cannot belong to a connection. An error may come
    /// from anywhere.
    #[inline(always)]
    fn may_be_ours<V: Version>(&self, packet: &Packet<'_, V>) -> bool {
        let (source, destination) = words(packet);
        // The fixed header tells of IPv4; of IPv6 there may be more to read.
        let headers = match V::FAMILY {
            Family::V4 => packet.header().as_ref(),
            Family::V6 => packet.head(),
        };
        self.filter.may_be_ours(source, destination) || packet::is_icmp(V::FAMILY, headers)
    }

    /// A packet that was received and is not routed yet.
    #[inline(never)]
    fn pre_routing<'p, V: Version>(
        &self,
        section: &Section<'_>,
        mut packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        match read(&mut packet) {
            Ok(headers) => self.known(section, packet, &headers),
            Err(unusual) => self.unusual(section, Point::PreRouting, packet, unusual),
        }
    }

    /// A packet before routing, whose headers were read: one of a known connection leaves here.
    #[inline(always)]
    fn known<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
    ) -> Verdict<'p> {
        let (source, destination) = words(&packet);
        if self.filter.may_be_request(destination) {
            let hash = self.hash(headers, headers.source);
            if let Some(connection) = self.find_request(section, headers, hash) {
                // Options are for the host to judge, so such a packet takes the way over LOCAL_IN.
                if self.begins_anew(connection, headers)
                    || !is_plain::<V>(headers)
                    || !packet.is_to_host()
                {
                    return packet.accept();
                }
                return self.forward(section, Point::PreRouting, packet, headers, connection);
            }
        }
        if self.filter.may_be_reply(source) {
            let hash = self.hash(headers, headers.destination);
            if let Some(connection) = self.find_reply(section, headers, hash) {
                if !packet.is_to_host() {
                    return packet.accept();
                }
                return self.reply(section, Point::PreRouting, packet, headers, connection);
            }
        }
        packet.accept()
    }

    /// A packet that the host forwards, or sends: a reply, where there is no short cut or where the
    /// server is this host.
    #[inline(never)]
    fn passing<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        mut packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        match read(&mut packet) {
            Ok(headers) => self.passing_reply(section, point, packet, &headers),
            Err(unusual) => self.unusual(section, point, packet, unusual),
        }
    }

    fn passing_reply<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
    ) -> Verdict<'p> {
        let hash = self.hash(headers, headers.destination);
        match self.find_reply(section, headers, hash) {
            Some(connection) => self.reply_in_passing(section, point, packet, headers, connection),
            None if point == Point::Forward => self.stray(section, packet, headers),
            None => packet.accept(),
        }
    }

    /// A packet that was routed to this host.
    #[inline(never)]
    fn local_in<'p, V: Version>(
        &self,
        section: &Section<'_>,
        mut packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        match read(&mut packet) {
            Ok(headers) => self.arrived(section, packet, &headers),
            Err(unusual) => self.unusual(section, Point::LocalIn, packet, unusual),
        }
    }

    #[inline(always)]
    fn arrived<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
    ) -> Verdict<'p> {
        let (source, destination) = words(&packet);
        if !packet.is_to_host() {
            return packet.accept();
        }
        // The client is on this host.
        if self.filter.may_be_reply(source) {
            let hash = self.hash(headers, headers.destination);
            if let Some(connection) = self.find_reply(section, headers, hash) {
                return self.reply(section, Point::LocalIn, packet, headers, connection);
            }
        }
        if !self.filter.may_be_request(destination) {
            return packet.accept();
        }
        let hash = self.hash(headers, headers.source);
        if let Some(connection) = self.find_request(section, headers, hash) {
            if !self.begins_anew(connection, headers) {
                return self.forward(section, Point::LocalIn, packet, headers, connection);
            }
            self.connections.remove(connection);
        }
        self.schedule(section, packet, headers, hash)
    }

    /// True when a client uses a port again and gets a new connection: where its former one is over
    /// (RFC 9293 section 3.6.1), as far as the director sees that, or where the server is quiesced and
    /// clients shall leave it.
    #[inline(always)]
    fn begins_anew(&self, connection: &Connection, headers: &packet::Headers) -> bool {
        is_beginning(headers.tcp_flags)
            && connection.protocol() == Some(Protocol::Tcp)
            && self.lets_begin_anew(connection)
    }

    #[cold]
    fn lets_begin_anew(&self, connection: &Connection) -> bool {
        let mode = self.settings.conn_reuse_mode.load(Ordering::Relaxed);
        if mode & (REUSE_CLOSED | REUSE_CLOSING) == 0 {
            return false;
        }
        let expires = self.settings.expire_nodest_conn.load(Ordering::Relaxed);
        match connection.state() {
            State::TimeWait | State::Close => true,
            State::FinWait => {
                mode & REUSE_CLOSING != 0 && connection.forwarding() != Forwarding::Masquerading
            }
            _ => expires && connection.destination().weight() == 0,
        }
    }

    /// A packet whose ports cannot be read.
    #[cold]
    #[inline(never)]
    fn unusual<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
        unusual: Unusual,
    ) -> Verdict<'p> {
        match unusual {
            Unusual::Unreadable => packet.accept(),
            Unusual::Other => self.error(section, point, packet),
            Unusual::Fragment => match self.gather(point, packet) {
                Ok(packet) => self.gathered(section, point, packet),
                Err(verdict) => verdict,
            },
        }
    }

    /// Puts a packet together of which this is a fragment, if it may be ours.
    pub(crate) fn gather<'a, V: Version>(
        &self,
        point: Point,
        packet: Packet<'a, V>,
    ) -> Result<Packet<'a, V>, Verdict<'a>> {
        let (source, destination) = words(&packet);
        if point == Point::LocalOut || !self.filter.may_be_ours(source, destination) {
            return Err(packet.accept());
        }
        packet.gather(point)
    }

    fn gathered<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        mut packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        match (point, read(&mut packet)) {
            (Point::PreRouting, Ok(headers)) => self.known(section, packet, &headers),
            (Point::LocalIn, Ok(headers)) => self.arrived(section, packet, &headers),
            (Point::Forward | Point::LocalOut, Ok(headers)) => {
                self.passing_reply(section, point, packet, &headers)
            }
            (_, Err(Unusual::Other)) => self.error(section, point, packet),
            (_, Err(Unusual::Unreadable | Unusual::Fragment)) => packet.accept(),
        }
    }
}

impl Handler for Path {
    #[inline]
    fn handle<'p, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'p, V>,
    ) -> Verdict<'p> {
        match point {
            Point::LocalIn => self.local_in(section, packet),
            _ if !self.may_be_ours(&packet) => packet.accept(),
            Point::PreRouting => self.pre_routing(section, packet),
            Point::Forward | Point::LocalOut => self.passing(section, point, packet),
        }
    }
}

impl Tick for Path {
    fn tick(&self) -> Option<u32> {
        let now = work::seconds();
        self.connections.expire(now);
        let last = self.estimated.load(Ordering::Relaxed);
        if now.wrapping_sub(last) >= PERIOD {
            self.estimated.store(now, Ordering::Relaxed);
            if self.settings.run_estimation.load(Ordering::Relaxed) {
                self.estimate();
            }
        }
        self.settings.defence.update();
        self.drop_entries(now);
        self.deleted.expire(now);
        self.list_real_servers();
        // When the next second begins, so that nobody waits longer than it takes to be due.
        Some(work::until_next_second())
    }
}

/// What the filter knows a packet's source and destination by.
#[inline(always)]
fn words<V: Version>(packet: &Packet<'_, V>) -> (u32, u32) {
    let (source, destination) = V::addresses(packet.header());
    (
        filter::word(source.as_ref()),
        filter::word(destination.as_ref()),
    )
}

/// Why there are no ports to read in a packet.
enum Unusual {
    /// It is a fragment.
    Fragment,
    /// It is of another protocol.
    Other,
    /// It contradicts itself, or memory ran out.
    Unreadable,
}

/// The headers of a whole packet of TCP or UDP, made linear where they are not.
#[inline(always)]
fn read<V: Version>(packet: &mut Packet<'_, V>) -> Result<packet::Headers, Unusual> {
    // The length of one header is known only after the one before; each turn pulls more.
    loop {
        match packet::parse(V::FAMILY, packet.head()) {
            Ok(headers) if headers.more_fragments => return Err(Unusual::Fragment),
            Ok(headers) => return Ok(headers),
            Err(ParseError::Truncated { need }) => {
                pull(packet, need).ok_or(Unusual::Unreadable)?;
            }
            Err(ParseError::Fragment) => return Err(Unusual::Fragment),
            Err(ParseError::NotOurs) => return Err(Unusual::Other),
            Err(ParseError::Malformed) => return Err(Unusual::Unreadable),
        }
    }
}

/// Makes more of a packet linear than was.
#[cold]
#[inline(never)]
pub(crate) fn pull<V: Version>(packet: &mut Packet<'_, V>, need: usize) -> Option<()> {
    if need <= packet.head().len() {
        return None;
    }
    packet.pull(need).ok()
}

/// Whether there is nothing between the fixed IP header and the transport header.
#[inline(always)]
fn is_plain<V: Version>(headers: &packet::Headers) -> bool {
    let plain = match V::FAMILY {
        Family::V4 => IPV4_HEADER,
        Family::V6 => IPV6_HEADER,
    };
    usize::from(headers.network_header_len) == plain
}

/// Whether a segment opens a connection.
pub(crate) fn is_beginning(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::SYN)
        && !flags.contains(TcpFlags::ACK)
        && !flags.contains(TcpFlags::RST)
}
