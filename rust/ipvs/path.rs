// SPDX-License-Identifier: GPL-2.0-only

//! The packet path: what a namespace's packets meet.
//!
//! New connections are scheduled at LOCAL_IN, when the firewall's INPUT chain has had its say.
//! Packets of a known connection, in both directions, are caught at PRE_ROUTING, after conntrack
//! and mangle, and leave from there: see `Documentation/packet-path.rst`.

use crate::{
    connection::{client_hash, Connection},
    destination::RealServer,
    filter::Filter,
    service::{Index, Key},
};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel::{
    alloc::KVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    hook::{Handler, Point},
    namespace::Net,
    packet::{Packet, Verdict},
    random,
    rcu::{Boxed, Cell, Section},
    table::{Entry, Refused, Table},
    work::{self, Tick},
};
use lvs_core::{
    hash::HashKey,
    packet::{self, ParseError, TcpFlags},
    rate::PERIOD,
    state::State,
    timeout::Timeouts,
    Endpoint, Protocol,
};

/// Just before destination NAT, hence after conntrack (-200) and mangle (-150).
const PRE_ROUTING_PRIORITY: i32 = -102;
/// After filter (0), before source NAT (100).
const LOCAL_IN_PRIORITY: i32 = 98;
/// After filter (0), before source NAT (100).
const FORWARD_PRIORITY: i32 = 98;
/// Bytes of an IPv4 header without options.
const PLAIN_HEADER: u16 = 20;

/// The way that packets of known connections take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They are caught before routing and leave at once.
    ShortCut,
    /// They take the way that a firewall expects: requests by LOCAL_IN, replies by FORWARD.
    Firewall,
}

impl Way {
    /// Where the director stands, with priorities.
    pub(crate) fn points(self) -> &'static [(Point, i32)] {
        match self {
            Self::ShortCut => &[
                (Point::PreRouting, PRE_ROUTING_PRIORITY),
                (Point::LocalIn, LOCAL_IN_PRIORITY),
            ],
            Self::Firewall => &[
                (Point::LocalIn, LOCAL_IN_PRIORITY),
                (Point::Forward, FORWARD_PRIORITY),
            ],
        }
    }
}

/// A destination that was deleted while connections held on to it: it takes its place again when
/// it is added anew to the same service.
struct Deleted {
    service: Key,
    server: RealServer,
    /// Second since boot in which it was deleted.
    since: u32,
}

impl Deleted {
    /// A packet that chose the server just before it was deleted makes its connection well within
    /// this many seconds.
    const GRACE: u32 = 2;

    fn is_over(&self, now: u32) -> bool {
        !self.server.is_in_use() && now.wrapping_sub(self.since) >= Self::GRACE
    }
}

/// What the packets of one namespace meet.
#[pin_data]
pub struct Path {
    pub(crate) net: Net,
    /// The virtual services.
    pub services: Index,
    /// The connections.
    pub connections: Table<Connection>,
    /// What tells bystanders.
    pub filter: Arc<Filter>,
    hash: HashKey,
    timeouts: Cell<Timeouts>,
    /// New connections that were refused since there were too many.
    refused: AtomicU64,
    /// The second in which rates were last estimated.
    estimated: AtomicU32,
    #[pin]
    deleted: Mutex<KVec<Deleted>>,
}

impl Path {
    /// Nothing yet. Process context.
    pub fn new(net: Net, timeouts: Timeouts) -> Result<Arc<Self>> {
        let hash = HashKey::new(random::number(), random::number());
        let services = Index::new(hash)?;
        let filter = Filter::new()?;
        let connections = Table::new(work::seconds())?;
        let timeouts = Cell::new(Boxed::new(timeouts, GFP_KERNEL)?);
        Arc::pin_init(
            pin_init!(Self {
                net,
                services,
                connections,
                filter,
                hash,
                timeouts,
                refused: AtomicU64::new(0),
                estimated: AtomicU32::new(work::seconds()),
                deleted <- new_mutex!(KVec::new(), "ipvs_rs_deleted"),
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

    /// Makes room to keep `more` deleted destinations. Configuration mutex held.
    pub fn reserve_deleted(&self, more: usize) -> Result {
        Ok(self.deleted.lock().reserve(more, GFP_KERNEL)?)
    }

    /// Keeps a destination that was deleted, as long as it has connections. Room for it must have
    /// been reserved, else it is forgotten. Configuration mutex held.
    pub fn keep_deleted(&self, service: Key, server: RealServer) {
        let _ = self.deleted.lock().push_within_capacity(Deleted {
            service,
            server,
            since: work::seconds(),
        });
    }

    /// Takes back a destination that was deleted from `service`. Configuration mutex held.
    pub fn take_deleted(&self, service: Key, endpoint: Endpoint) -> Option<RealServer> {
        let mut deleted = self.deleted.lock();
        let index = deleted
            .iter()
            .position(|d| d.service == service && d.server.endpoint == endpoint)?;
        Some(deleted.remove(index).ok()?.server)
    }

    /// New connections that were refused since there were too many. Any context.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Seconds that a connection in `state` may stay unused.
    pub(crate) fn timeout(&self, section: &Section<'_>, state: State) -> u32 {
        self.timeouts
            .get(section)
            .map_or(0, |timeouts| timeouts.of(state))
    }

    #[inline(always)]
    fn hash(&self, packet: &packet::Packet, client: Endpoint) -> u32 {
        client_hash(&self.hash, packet.family, packet.protocol, client)
    }

    /// The connection that the client of `packet` has, if it is not one that a new one with the
    /// same ports may replace. The hash is that of the packet's source.
    #[inline(always)]
    fn find_request<'a>(
        &self,
        section: &'a Section<'_>,
        packet: &packet::Packet,
        hash: u32,
    ) -> Option<&'a Entry<Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_request(packet))
    }

    /// The connection to whose client a server sends `packet`. The hash is that of its destination.
    #[inline(always)]
    fn find_reply<'a>(
        &self,
        section: &'a Section<'_>,
        packet: &packet::Packet,
        hash: u32,
    ) -> Option<&'a Entry<Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_reply(packet))
    }

    /// False for a packet of a bystander, which cannot belong to a connection.
    #[inline]
    fn may_be_ours(&self, packet: &Packet<'_>) -> bool {
        let (source, destination) = packet::addresses_v4(packet.ipv4_header());
        self.filter.may_be_ours(source, destination)
    }

    #[inline(never)]
    fn pre_routing(&self, section: &Section<'_>, mut packet: Packet<'_>) -> Verdict {
        let (source, destination) = packet::addresses_v4(packet.ipv4_header());
        let may_be_request = self.filter.may_be_request(destination);
        let Some(headers) = parse(&mut packet) else {
            return packet.accept();
        };
        // A fragment goes on to LOCAL_IN, where the packet is whole again.
        if headers.more_fragments {
            return packet.accept();
        }
        if may_be_request {
            let hash = self.hash(&headers, headers.source);
            if let Some(connection) = self.find_request(section, &headers, hash) {
                // Options are for the host to judge, so such a packet takes the way over LOCAL_IN.
                let plain = headers.network_header_len == PLAIN_HEADER;
                if begins_anew(connection, &headers) || !plain || !packet.is_to_host() {
                    return packet.accept();
                }
                return self.forward(section, packet, &headers, connection);
            }
        }
        if self.filter.may_be_reply(source) {
            let hash = self.hash(&headers, headers.destination);
            if let Some(connection) = self.find_reply(section, &headers, hash) {
                if !packet.is_to_host() {
                    return packet.accept();
                }
                return self.reply(section, packet, &headers, connection);
            }
        }
        packet.accept()
    }

    /// A packet that the host forwards: a reply, where there is no short cut.
    fn passing(&self, section: &Section<'_>, mut packet: Packet<'_>) -> Verdict {
        let Some(headers) = parse(&mut packet) else {
            return packet.accept();
        };
        if headers.more_fragments {
            return packet.accept();
        }
        let hash = self.hash(&headers, headers.destination);
        match self.find_reply(section, &headers, hash) {
            Some(connection) => self.reply_in_passing(section, packet, &headers, connection),
            None => packet.accept(),
        }
    }

    #[inline(never)]
    fn local_in(&self, section: &Section<'_>, mut packet: Packet<'_>) -> Verdict {
        let (_, destination) = packet::addresses_v4(packet.ipv4_header());
        if !self.filter.may_be_request(destination) {
            return packet.accept();
        }
        let Some(headers) = parse(&mut packet) else {
            return packet.accept();
        };
        if !packet.is_to_host() {
            return packet.accept();
        }
        let protocol = headers.protocol;
        let hash = self.hash(&headers, headers.source);
        if let Some(connection) = self.find_request(section, &headers, hash) {
            if !begins_anew(connection, &headers) {
                return self.forward(section, packet, &headers, connection);
            }
            self.connections.remove(connection);
        }

        let mark = packet.mark();
        let service =
            self.services
                .for_packet(section, mark, headers.family, protocol, headers.destination);
        let Some(service) = service else {
            return packet.accept();
        };
        // What is no beginning of a connection is answered by this host, which knows none (RST).
        if protocol == Protocol::Tcp && !is_beginning(headers.tcp_flags) {
            return packet.accept();
        }
        let selected = service.pool(section).and_then(|pool| pool.select());
        let Some(server) = selected else {
            return packet.refuse();
        };

        let mark = match service.key {
            Key::Mark { mark, .. } => mark,
            Key::Address { .. } => 0,
        };
        let connection = Connection::new(&headers, protocol, mark, server.clone());
        let timeout = self.timeout(section, connection.state());
        let inserted = self.connections.insert(
            section,
            hash,
            connection,
            work::seconds(),
            timeout,
            |other| other.is_request(&headers),
        );
        let connection = match inserted {
            // Deleted since it was chosen: the client will try again.
            Ok(connection) if !server.is_available() => {
                self.connections.remove(connection);
                return packet.discard();
            }
            Ok(connection) => {
                server.statistics.live.connection();
                connection
            }
            // Another CPU was quicker with another packet of the same connection.
            Err(Refused::Duplicate) => match self.find_request(section, &headers, hash) {
                Some(connection) => connection,
                None => return packet.discard(),
            },
            Err(Refused::Full) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return packet.discard();
            }
            Err(Refused::NoMemory) => return packet.discard(),
        };
        self.forward(section, packet, &headers, connection)
    }
}

impl Handler for Path {
    #[inline]
    fn handle(&self, section: &Section<'_>, point: Point, packet: Packet<'_>) -> Verdict {
        match point {
            Point::PreRouting if !self.may_be_ours(&packet) => packet.accept(),
            Point::PreRouting => self.pre_routing(section, packet),
            Point::LocalIn => self.local_in(section, packet),
            Point::Forward if !self.may_be_ours(&packet) => packet.accept(),
            Point::Forward => self.passing(section, packet),
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
            self.services.for_each(|service, section| {
                for server in service.pool(section).iter().flat_map(|pool| &pool.servers) {
                    server.statistics.estimate();
                }
            });
        }
        self.deleted.lock().retain(|deleted| !deleted.is_over(now));
        // When the next second begins, so that nobody waits longer than it takes to be due.
        Some(work::until_next_second())
    }
}

/// The headers of a packet that a director cares for, made linear where they are not.
#[inline(always)]
fn parse(packet: &mut Packet<'_>) -> Option<packet::Packet> {
    match packet::parse(packet.head()) {
        Ok(headers) => Some(headers),
        Err(ParseError::Truncated { need }) => pull_and_parse(packet, need),
        Err(_) => None,
    }
}

#[cold]
#[inline(never)]
fn pull_and_parse(packet: &mut Packet<'_>, mut need: usize) -> Option<packet::Packet> {
    // The length of one header is known only after the one before.
    for _ in 0..3 {
        if need <= packet.head().len() {
            return None;
        }
        packet.pull(need).ok()?;
        match packet::parse(packet.head()) {
            Ok(headers) => return Some(headers),
            Err(ParseError::Truncated { need: more }) => need = more,
            Err(_) => return None,
        }
    }
    None
}

fn is_beginning(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::SYN)
        && !flags.contains(TcpFlags::ACK)
        && !flags.contains(TcpFlags::RST)
}

/// True when a client uses a port again whose former connection is over (RFC 9293 section 3.6.1).
fn begins_anew(connection: &Connection, headers: &packet::Packet) -> bool {
    connection.protocol() == Protocol::Tcp
        && is_beginning(headers.tcp_flags)
        && matches!(connection.state(), State::TimeWait | State::Close)
}
