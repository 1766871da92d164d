// SPDX-License-Identifier: GPL-2.0-only

//! What the packets of a network namespace meet: services, connections, settings.
//!
//! Commands change it, packets look things up in it; it takes no decision about a packet.

use crate::{
    services::{
        deleted::Deleted,
        destination::{self, Destination, Forwarding},
        drops::Drops,
        engine_servers::EngineServers,
        filter::{Counted, Filter},
        index::Index,
        nat_servers::NatServers,
        service::Key,
    },
    state::{
        announcements::Announcements,
        connection::{
            client_hash, expectation_hash, reply_hash, request_hash, template_hash, Connection,
            Evicted, Expectation, Expected, First, FirstOfClient, Template,
        },
        settings::Settings,
        synchronization,
    },
};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{
    conntrack,
    counters::Counters,
    memory::Payer,
    net::Net,
    random,
    rcu::{self, Boxed, Cell, Section},
    table::{Member, Table},
    work,
};
use lvs_core::{
    arrivals::Arrivals,
    hash::HashKey,
    packet::{Headers, TcpFlags},
    state::{Direction, State},
    timeout::Timeouts,
    tunnel, Address, Endpoint, Family,
};

/// What helpers did.
#[derive(Default)]
pub(crate) struct Helper {
    /// Announcements of foreign endpoints, which were ignored.
    pub(crate) refused: AtomicU64,
    /// Packets of control connections that could not be read or rewritten, and went on.
    pub(crate) skipped: AtomicU64,
}

/// What the packets of one network namespace meet.
#[pin_data]
pub struct Tables {
    /// The virtual services.
    pub(crate) services: Index,
    /// The connections and templates.
    pub(crate) connections: Table<Connection>,
    /// Recognizes packets of bystanders.
    pub(crate) filter: Arc<Filter>,
    hash: HashKey,
    timeouts: Cell<Timeouts>,
    /// New connections that were refused because the table was full, or for want of memory.
    pub(crate) refused: AtomicU64,
    /// New connections that were dropped in defence.
    pub(crate) dropped: AtomicU64,
    /// Connections that another server took, since theirs did not answer.
    pub(crate) redispatched: AtomicU64,
    /// All packets that were dropped in this namespace.
    pub(crate) drops: Drops,
    /// What helpers did.
    pub(crate) helper: Helper,
    /// The number of the namespace; 0 for the initial one.
    pub(crate) namespace: u32,
    /// The settings that packets look at.
    pub(crate) settings: Arc<Settings>,
    /// The second in which rates were last estimated.
    pub(super) estimated: AtomicU32,
    /// The addresses and ports of real servers that NAT is used for, while they matter.
    pub(crate) nat_servers: NatServers,
    /// Real servers whose datagrams may begin connections.
    pub(crate) engine_servers: EngineServers,
    /// Destinations were deleted since their connections were last looked for.
    pub(super) orphaned: AtomicBool,
    /// A connection's server turned out to be this host.
    local_server: AtomicBool,
    /// By which devices the packets of known connections come in.
    pub(crate) arrivals: Arrivals,
    /// Packets that were taken where they came in.
    pub(crate) early: Counters,
    /// Frames that were taken by XDP.
    pub(crate) frames: Counters,
    net: Net,
    /// The destinations of connections that no server takes, IPv4 and IPv6.
    bypass: [Arc<Destination>; 2],
    /// The entries whose changes are sent to other directors.
    pub(crate) announcements: Announcements,
    /// What synchronization daemons have sent and received.
    pub(crate) synchronization: synchronization::Counters,
    /// Deleted destinations that have connections.
    #[pin]
    pub(crate) deleted: Deleted,
}

impl Tables {
    /// Empty tables of `net`; `payer` is charged for the connections. Process context.
    pub(crate) fn new(
        net: Net,
        timeouts: Timeouts,
        settings: Arc<Settings>,
        namespace: u32,
        payer: Payer,
    ) -> Result<Arc<Self>> {
        let hash = HashKey::new(random::number(), random::number());
        let services = Index::new(hash)?;
        let filter = Filter::new()?;
        let connections = Table::new(work::seconds(), payer)?;
        let bypass = [bypass(&filter, Family::V4)?, bypass(&filter, Family::V6)?];
        let timeouts = Cell::new(Boxed::new(timeouts, GFP_KERNEL)?);
        let early = Counters::new()?;
        let frames = Counters::new()?;
        Arc::pin_init(
            pin_init!(Self {
                services,
                connections,
                filter,
                hash,
                timeouts,
                refused: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                redispatched: AtomicU64::new(0),
                drops: Drops::default(),
                helper: Helper::default(),
                namespace,
                settings,
                estimated: AtomicU32::new(work::seconds()),
                nat_servers: NatServers::new(),
                engine_servers: EngineServers::new(),
                orphaned: AtomicBool::new(false),
                local_server: AtomicBool::new(false),
                arrivals: Arrivals::default(),
                early,
                frames,
                net,
                bypass,
                announcements: Announcements::new(),
                synchronization: synchronization::Counters::default(),
                deleted <- Deleted::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Sets the timeouts; each connection follows with its next packet. Process context.
    pub(crate) fn set_timeouts(&self, timeouts: Timeouts) -> Result {
        self.timeouts
            .replace(Some(Boxed::new(timeouts, GFP_KERNEL)?));
        Ok(())
    }

    /// Calls `f` for each destination that belongs to a service. Process context.
    pub(super) fn for_each_destination(&self, mut f: impl FnMut(&Destination)) {
        self.services.for_each(|service, section| {
            for server in service
                .pool(section)
                .iter()
                .flat_map(|pool| &pool.destinations)
            {
                f(server);
            }
        });
    }

    /// Records that a connection's server is this host. Any context.
    pub(crate) fn note_local_server(&self) {
        if !self.has_local_server() {
            self.local_server.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a connection's server was ever found to be this host. Any context.
    pub(crate) fn has_local_server(&self) -> bool {
        self.local_server.load(Ordering::Relaxed)
    }

    /// The number of packets that were taken where they came in. Any context.
    pub(crate) fn taken_early(&self) -> u64 {
        let totals = self.early.totals();
        totals.in_packets.wrapping_add(totals.out_packets)
    }

    /// The number of frames that were taken by XDP. Any context.
    pub(crate) fn taken_frames(&self) -> u64 {
        let totals = self.frames.totals();
        totals.in_packets.wrapping_add(totals.out_packets)
    }

    /// Removes a connection from the table, and ends conntrack's entry. Softirq or process context.
    pub(crate) fn end(&self, connection: Member<'_, Connection>) {
        connection.remove();
        self.end_tracking(&connection);
    }

    /// Ends conntrack's entry of a connection that is no longer in the table. Any context.
    pub(crate) fn end_tracking(&self, connection: &Connection) {
        if !self.settings.conntrack.load(Ordering::Relaxed) {
            return;
        }
        if let Some((protocol, client, service)) = connection.tracked() {
            conntrack::end(&self.net, protocol, client, service);
        }
    }

    /// Ends conntrack's entries of all connections. Process context.
    pub(crate) fn end_all_tracking(&self) {
        if !self.settings.conntrack.load(Ordering::Relaxed) {
            return;
        }
        let mut from = Some(0);
        while let Some(key) = from {
            let found = rcu::read(|section| {
                self.connections.first_from(section, key, |connection| {
                    self.end_tracking(&connection);
                })
            });
            from = found.and_then(|key| key.checked_add(1));
            work::yield_now();
        }
    }

    /// Has the slow timer look for connections of deleted destinations: see `expire_nodest_conn`.
    /// Any context.
    pub(crate) fn destinations_deleted(&self) {
        self.orphaned.store(true, Ordering::Relaxed);
    }

    /// Drops the cached routes to all destinations: an IPv6 route holds its device. Process
    /// context.
    pub(crate) fn forget_routes(&self) {
        self.for_each_destination(Destination::forget_routes);
        self.deleted.for_each(Destination::forget_routes);
    }

    /// Seconds that a connection in `state` may stay unused.
    pub(crate) fn timeout(&self, section: &Section<'_>, state: State) -> u32 {
        self.timeouts
            .get(section)
            .map_or(0, |timeouts| timeouts.of(state))
    }

    /// The hash of the connections of `client`, which is one end of a packet with these headers.
    #[inline(always)]
    pub(crate) fn hash(&self, headers: &Headers, client: Endpoint) -> u32 {
        client_hash(&self.hash, headers.family, headers.protocol, client)
    }

    /// The hash of packets from the client of a connection, as [`Self::hash`] returns it.
    #[inline(always)]
    pub(crate) fn flow_hash(&self, family: Family, connection: Member<'_, Connection>) -> u32 {
        match connection.protocol() {
            Some(protocol) if connection.is_apart() => {
                client_hash(&self.hash, family, protocol, connection.client())
            }
            _ => connection.entry().hash(),
        }
    }

    /// The hash of a template.
    pub(crate) fn template_hash(&self, template: &Template<'_>) -> u32 {
        template_hash(&self.hash, template)
    }

    /// The connection whose client sent a packet with these headers. `hash` is that of its source.
    #[inline(always)]
    pub(crate) fn find_request<'a>(
        &'a self,
        section: &'a Section<'_>,
        headers: &Headers,
        hash: u32,
    ) -> Option<Member<'a, Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_request(headers))
            .or_else(|| match self.connections.has_apart() {
                true => self.find_request_apart(section, headers),
                false => None,
            })
    }

    /// The same for a client port that has many connections.
    #[cold]
    #[inline(never)]
    fn find_request_apart<'a>(
        &'a self,
        section: &'a Section<'_>,
        headers: &Headers,
    ) -> Option<Member<'a, Connection>> {
        let hash = request_hash(&self.hash, headers);
        self.connections
            .find(section, hash, |connection| connection.is_request(headers))
    }

    /// The connection whose server sent a packet with these headers. `hash` is that of its
    /// destination.
    #[inline(always)]
    pub(crate) fn find_reply<'a>(
        &'a self,
        section: &'a Section<'_>,
        headers: &Headers,
        hash: u32,
    ) -> Option<Member<'a, Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_reply(headers))
            .or_else(|| match self.connections.has_apart() {
                true => self.find_reply_apart(section, headers),
                false => None,
            })
    }

    /// The same for a client port that has many connections.
    #[cold]
    #[inline(never)]
    fn find_reply_apart<'a>(
        &'a self,
        section: &'a Section<'_>,
        headers: &Headers,
    ) -> Option<Member<'a, Connection>> {
        let hash = reply_hash(&self.hash, headers);
        self.connections
            .find_aliased(section, hash, |alias| alias.is_alias_of_reply(headers))
    }

    /// The connection that begins with a packet with these headers, as a newcomer to the table.
    #[inline]
    pub(crate) fn newcomer<'a>(&'a self, headers: &'a Headers) -> First<'a> {
        First {
            key: &self.hash,
            headers,
            evicted: self,
        }
    }

    /// A template as a newcomer to the table.
    pub(crate) fn newcomer_template<'a>(&'a self, template: &'a Template<'a>) -> FirstOfClient<'a> {
        FirstOfClient {
            key: &self.hash,
            template,
            evicted: self,
        }
    }

    /// The entry of a template. `hash` is that of the template.
    pub(crate) fn find_template<'a>(
        &'a self,
        section: &'a Section<'_>,
        template: &Template<'_>,
        hash: u32,
    ) -> Option<Member<'a, Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is(template))
    }

    /// The announced connection that a server may open by a packet with these headers. `hash` is
    /// that of its destination. It is not found at a client port that has many connections.
    #[cold]
    pub(crate) fn find_announced<'a>(
        &'a self,
        section: &'a Section<'_>,
        headers: &Headers,
        hash: u32,
    ) -> Option<Member<'a, Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_announced(headers))
    }

    /// The hash of an expectation.
    pub(crate) fn expectation_hash(&self, expectation: &Expectation) -> u32 {
        expectation_hash(&self.hash, expectation)
    }

    /// The entry of an expectation. `hash` is that of the expectation.
    pub(crate) fn find_expectation<'a>(
        &'a self,
        section: &'a Section<'_>,
        expectation: &Expectation,
        hash: u32,
    ) -> Option<Member<'a, Connection>> {
        self.connections
            .find(section, hash, |connection| connection.is_of(expectation))
    }

    /// An expectation as a newcomer to the table.
    pub(crate) fn newcomer_expectation<'a>(&'a self, expectation: &'a Expectation) -> Expected<'a> {
        Expected {
            key: &self.hash,
            expectation,
            evicted: self,
        }
    }

    /// Notes a packet of a connection: its time, and what its flags do to state and timeout.
    /// Returns whether a helper reads the packet.
    #[inline(always)]
    pub(crate) fn note(
        &self,
        section: &Section<'_>,
        connection: Member<'_, Connection>,
        direction: Direction,
        flags: TcpFlags,
    ) -> bool {
        let announced = &self.announcements.active;
        if connection.touch(work::seconds())
            && announced.load(Ordering::Relaxed)
            && connection.waits()
        {
            self.used_again(section, connection);
        }
        let Some(state) = connection.stays(flags) else {
            return self.note_change(section, connection, direction, flags);
        };
        self.renew(section, connection, state);
        false
    }

    /// The same for a packet that may change the connection's state, or that a helper reads. Apart,
    /// so that others do not pay for what this returns.
    #[inline(never)]
    fn note_change(
        &self,
        section: &Section<'_>,
        connection: Member<'_, Connection>,
        direction: Direction,
        flags: TcpFlags,
    ) -> bool {
        let announced = &self.announcements.active;
        let guarded = &self.settings.defence.guarded;
        let advanced = connection.advance(direction, flags, guarded, announced);
        if advanced.is_news {
            self.announcements.put(section, connection.hash());
        }
        self.renew(section, connection, advanced.state);
        advanced.helped
    }

    /// Gives a connection the timeout of its state.
    #[inline(always)]
    fn renew(&self, section: &Section<'_>, connection: Member<'_, Connection>, state: State) {
        let timeout = self.timeout(section, state);
        if connection.timeout() != timeout {
            connection.set_timeout(timeout);
        }
    }

    /// A connection is used in another second than before, while changes are sent.
    #[cold]
    #[inline(never)]
    fn used_again(&self, section: &Section<'_>, connection: Member<'_, Connection>) {
        if connection.wait_is_over() {
            self.announcements.put(section, connection.hash());
        }
    }

    /// Has an entry that begins sent to other directors, if a daemon runs. Softirq.
    #[inline(always)]
    pub(crate) fn begun(&self, section: &Section<'_>, entry: Member<'_, Connection>) {
        if self.announcements.active.load(Ordering::Relaxed) {
            self.announce(section, entry);
        }
    }

    #[cold]
    #[inline(never)]
    fn announce(&self, section: &Section<'_>, entry: Member<'_, Connection>) {
        let state = entry.state();
        let waits = self.settings.sync_threshold.load(Ordering::Relaxed) > 1;
        if state == State::Udp && waits {
            entry.mark_waiting();
        } else if (entry.is_template() || state.is_announced()) && entry.mark_unsent() {
            self.announcements.put(section, entry.hash());
        }
    }

    /// New connections that were refused because the table was full, or for want of memory. Any
    /// context.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// New connections that were dropped in defence. Any context.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Tables {
    /// The destination of connections of this family that no server takes. Any context.
    pub(crate) fn bypass(&self, family: Family) -> &Arc<Destination> {
        let [v4, v6] = &self.bypass;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    /// Whether the address is that of one host, and not of this one. Softirq.
    pub(crate) fn is_elsewhere(&self, address: Address) -> bool {
        self.net.is_elsewhere(address)
    }
}

/// A destination that stands for a packet's own.
fn bypass(filter: &Arc<Filter>, family: Family) -> Result<Arc<Destination>> {
    let address = match family {
        Family::V4 => Address::UNSPECIFIED,
        Family::V6 => Address::from_v6([0; 16]),
    };
    let settings = destination::Settings {
        forwarding: Forwarding::Bypass,
        tunnel: tunnel::Numbers::default(),
        weight: 0,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    let key = Key::Mark { mark: 0, family };
    // It concerns packets of no address.
    let counted = Counted::new(filter.clone(), Some(address), None);
    let endpoint = Endpoint::new(address, 0);
    let destination = Destination::new(key, endpoint, &settings, counted)?;
    Ok(Arc::new(destination, GFP_KERNEL)?)
}

impl Evicted for Tables {
    fn evicted(&self, connection: &Connection) {
        self.end_tracking(connection);
    }
}
