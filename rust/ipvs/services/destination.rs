// SPDX-License-Identifier: GPL-2.0-only

//! Destinations: the real servers of a virtual service.

use crate::services::{filter::Known, pool::Pool, statistics::Statistics};
use core::{
    ops::Deref,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering},
};
use kernel::{prelude::*, sync::Arc};
use knet::{
    rcu::{self, Boxed, Cell},
    route::{Route, RouteCache, SourcedRouteCache},
    work,
};
use lvs_core::{
    delay::{Delay, Estimate},
    scheduler::Server,
    tunnel::Tunnel,
    Address, Endpoint,
};

/// How packets get to a real server ("Linux Virtual Server for Scalable Network Services",
/// section 3). The numbers are those of `IP_VS_CONN_F_FWD_MASK`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Forwarding {
    /// Virtual server via NAT: addresses and ports are rewritten in both directions.
    Masquerading = 0,
    /// Virtual server via IP tunnelling: packets travel inside others, replies go straight back.
    Tunneling = 2,
    /// Virtual server via direct routing: packets are sent on unchanged to the server's link
    /// address, replies go straight back.
    DirectRouting = 3,
}

impl Forwarding {
    /// The method with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Masquerading),
            2 => Some(Self::Tunneling),
            3 => Some(Self::DirectRouting),
            _ => None,
        }
    }

    /// Its name in `/proc/net/ip_vs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masquerading => "Masq",
            Self::Tunneling => "Tunnel",
            Self::DirectRouting => "Route",
        }
    }
}

/// What an administrator sets of a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How packets get there.
    pub forwarding: Forwarding,
    /// The kind of tunnel, if they travel through one.
    pub tunnel: Tunnel,
    /// Its share of the work; 0 quiesces it: no new connections, the old ones go on.
    pub weight: u32,
    /// Connections from which on it gets no new ones; 0 for no such limit.
    pub upper_threshold: u32,
    /// Connections below which it gets new ones again; 0 for three quarters of the upper.
    pub lower_threshold: u32,
}

/// A destination. Connections keep it alive after it was deleted from its service.
#[repr(C, align(64))]
pub struct Destination {
    available: AtomicBool,
    forwarding: AtomicU8,
    /// A [`Tunnel`] in one word.
    tunnel: AtomicU32,
    /// The route to it.
    route: SourcedRouteCache,
    /// The same for direct routing, where it is the neighbor whatever destination packets have.
    direct_route: RouteCache,
    /// Its traffic. The counters are the first of its fields.
    pub statistics: Statistics,
    /// Its address and port; port 0 means the port that the client asked for.
    pub endpoint: Endpoint,
    _known: Known,
    load: Load,
}

/// What schedulers read and connections write: a cache line of its own, so that new connections do
/// not slow the packets of others down.
#[repr(C, align(64))]
struct Load {
    weight: AtomicU32,
    overloaded: AtomicBool,
    /// Active ones in the upper half, the others in the lower one.
    connections: AtomicU64,
    templates: AtomicU32,
    upper_threshold: AtomicU32,
    lower_threshold: AtomicU32,
    last_weight: AtomicU32,
    /// How long it takes to answer new connections, where that is measured.
    delay: Estimate,
    /// Who is told of changes; empty for schedulers that do not care.
    place: Cell<Place>,
}

/// Where a destination stands in the list of its service. It keeps the list alive, and that its
/// servers: so a destination that leaves its service must leave its place.
pub struct Place {
    pool: Arc<Pool>,
    index: usize,
}

impl Place {
    /// The place of the server at `index`.
    pub fn new(pool: Arc<Pool>, index: usize) -> Self {
        Self { pool, index }
    }
}

impl Destination {
    /// A destination without connections, available. Process context.
    pub fn new(endpoint: Endpoint, settings: &Settings, known: Known) -> Result<Self> {
        let destination = Self {
            available: AtomicBool::new(true),
            forwarding: AtomicU8::new(0),
            tunnel: AtomicU32::new(0),
            route: SourcedRouteCache::new(),
            direct_route: RouteCache::new(()),
            statistics: Statistics::new()?,
            endpoint,
            _known: known,
            load: Load {
                weight: AtomicU32::new(0),
                overloaded: AtomicBool::new(false),
                connections: AtomicU64::new(0),
                templates: AtomicU32::new(0),
                upper_threshold: AtomicU32::new(0),
                lower_threshold: AtomicU32::new(0),
                last_weight: AtomicU32::new(0),
                delay: Estimate::new(),
                place: Cell::empty(),
            },
        };
        destination.set(settings);
        Ok(destination)
    }

    /// Changes the settings. Connections keep the forwarding method that they began with.
    /// Configuration mutex held.
    pub fn set(&self, settings: &Settings) {
        self.forwarding
            .store(settings.forwarding as u8, Ordering::Relaxed);
        self.tunnel.store(pack(settings.tunnel), Ordering::Relaxed);
        self.load.weight.store(settings.weight, Ordering::Relaxed);
        if settings.weight != 0 {
            self.load
                .last_weight
                .store(settings.weight, Ordering::Relaxed);
        }
        self.load
            .upper_threshold
            .store(settings.upper_threshold, Ordering::Relaxed);
        self.load
            .lower_threshold
            .store(settings.lower_threshold, Ordering::Relaxed);
        self.load.overloaded.store(false, Ordering::Relaxed);
        self.judge_load();
    }

    /// The settings. Any context.
    pub fn settings(&self) -> Settings {
        Settings {
            forwarding: self.forwarding(),
            tunnel: self.tunnel(),
            weight: self.load.weight.load(Ordering::Relaxed),
            upper_threshold: self.load.upper_threshold.load(Ordering::Relaxed),
            lower_threshold: self.load.lower_threshold.load(Ordering::Relaxed),
        }
    }

    /// Where a client reaches it who asks for this port: there, if it has none of its own. Any context.
    #[inline]
    pub fn reached_at(&self, port: u16) -> Endpoint {
        match self.endpoint.port {
            0 => Endpoint::new(self.endpoint.address, port),
            _ => self.endpoint,
        }
    }

    /// How packets of new connections get there. Any context.
    pub fn forwarding(&self) -> Forwarding {
        Forwarding::from_number(u32::from(self.forwarding.load(Ordering::Relaxed)))
            .unwrap_or(Forwarding::Masquerading)
    }

    /// The kind of tunnel that leads there. Any context.
    #[inline]
    pub fn tunnel(&self) -> Tunnel {
        let [kind, flags, low, high] = self.tunnel.load(Ordering::Relaxed).to_le_bytes();
        Tunnel::from_numbers(kind, u16::from_le_bytes([low, high]), flags.into())
            .unwrap_or(Tunnel::Ipip)
    }

    /// False once it was deleted from its service. Any context.
    #[inline]
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    /// Says whether it belongs to a service. Configuration mutex held.
    pub fn set_available(&self, available: bool) {
        self.available.store(available, Ordering::Relaxed);
        if !available {
            self.forget_routes();
            self.stand_at(None);
        }
    }

    /// The route to `server`, its address, for masquerading. Softirq.
    #[inline(always)]
    pub fn route(&self, server: Address) -> Route<'_> {
        self.route.route(server, None)
    }

    /// The route to the end of its tunnel at `server`, its address. With `ignore_df`, routers may
    /// fragment the tunnel's packets even if the inner IPv4 header forbids it. Softirq.
    #[inline(always)]
    pub fn tunnel_route(&self, server: Address, ignore_df: bool) -> Route<'_> {
        let overhead = self.tunnel().overhead(server.family());
        self.route.tunnel(server, overhead, ignore_df)
    }

    /// The route to `server`, its address, for direct routing. Softirq.
    #[inline(always)]
    pub fn direct_route(&self, server: Address) -> Route<'_> {
        self.direct_route.route(server, None).direct()
    }

    /// Forgets the routes to it; the next packet looks one up. Any context.
    pub fn forget_routes(&self) {
        self.route.forget();
        self.direct_route.forget();
    }

    /// Takes its place in another list. Configuration mutex held.
    pub(crate) fn stand_at(&self, place: Option<Boxed<Place>>) {
        self.load.place.replace(place);
    }

    /// Counts a connection in. Any context.
    pub fn join(&self, active: bool) {
        self.load
            .connections
            .fetch_add(one(active), Ordering::SeqCst);
        self.judge_load();
        self.tell();
    }

    /// Counts a connection out. Any context.
    pub fn leave(&self, active: bool) {
        self.load
            .connections
            .fetch_sub(one(active), Ordering::SeqCst);
        self.judge_load();
        self.tell();
    }

    /// A connection became active, or inactive. Any context.
    pub fn turn(&self, active: bool) {
        let change = one(active).wrapping_sub(one(!active));
        self.load.connections.fetch_add(change, Ordering::SeqCst);
        self.tell();
    }

    /// Tells the scheduler of a new load, which was stored before by an instruction that later loads
    /// wait for: either this finds a new place, or who gave it finds the new load.
    #[inline]
    fn tell(&self) {
        let place = &self.load.place;
        if !place.is_empty() {
            rcu::read(|section| {
                if let Some(Place { pool, index }) = place.get(section) {
                    pool.load_changed(*index);
                }
            });
        }
    }

    /// A new connection that is measured goes to it. Any context.
    pub fn asked(&self, now: u64) {
        self.load.delay.ask(now);
    }

    /// It has refused one. Any context.
    pub fn refused(&self) {
        self.load.delay.wait_no_more();
    }

    /// It has answered a new connection, that began so many microseconds before `now`. Any context.
    pub fn answered(&self, after: u32, now: u64) {
        self.load.delay.observe(after, now);
    }

    /// True when connections hold on to it. Any context.
    pub fn is_in_use(&self) -> bool {
        self.load.connections.load(Ordering::Relaxed) != 0 || self.templates() != 0
    }

    /// Counts a template in. Any context.
    pub fn remember(&self) {
        self.load.templates.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a template out. Any context.
    pub fn forget(&self) {
        self.load.templates.fetch_sub(1, Ordering::Relaxed);
    }

    /// Templates that lead to it. Any context.
    pub fn templates(&self) -> u32 {
        self.load.templates.load(Ordering::Relaxed)
    }

    fn judge_load(&self) {
        let upper = self.load.upper_threshold.load(Ordering::Relaxed);
        if upper == 0 {
            return;
        }
        let load = self.all_connections();
        if load >= upper {
            self.load.overloaded.store(true, Ordering::Relaxed);
        } else if load < self.relief() {
            self.load.overloaded.store(false, Ordering::Relaxed);
        }
    }

    #[inline]
    fn all_connections(&self) -> u32 {
        let (active, inactive) = halves(Server::connections(self));
        active.saturating_add(inactive)
    }

    /// The load below which an overloaded destination gets connections again.
    #[inline]
    fn relief(&self) -> u32 {
        let upper = self.load.upper_threshold.load(Ordering::Relaxed);
        match self.load.lower_threshold.load(Ordering::Relaxed) {
            0 => upper.saturating_sub(upper / 4),
            lower => lower,
        }
    }
}

/// A tunnel in one word; that of the plain kind is 0.
fn pack(tunnel: Tunnel) -> u32 {
    let [low, high] = tunnel.port().to_le_bytes();
    // There are two flags.
    u32::from_le_bytes([tunnel.kind(), tunnel.flags() as u8, low, high])
}

/// One connection in [`Load::connections`].
#[inline]
const fn one(active: bool) -> u64 {
    if active {
        1 << 32
    } else {
        1
    }
}

/// The active ones and the others of [`Load::connections`]. One that is counted out by one CPU before
/// another has said that it is no longer active leaves the lower half below zero for a moment.
#[inline]
const fn halves(connections: u64) -> (u32, u32) {
    let inactive = connections as u32;
    let borrowed = inactive >> 31;
    let active = ((connections >> 32) as u32).wrapping_add(borrowed);
    (active, if borrowed == 0 { inactive } else { 0 })
}

impl Server for Destination {
    #[inline]
    fn weight(&self) -> u32 {
        self.load.weight.load(Ordering::SeqCst)
    }

    #[inline]
    fn last_weight(&self) -> u32 {
        self.load.last_weight.load(Ordering::Relaxed)
    }

    #[inline]
    fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    #[inline]
    fn active(&self) -> u32 {
        halves(self.connections()).0
    }

    #[inline]
    fn inactive(&self) -> u32 {
        halves(self.connections()).1
    }

    #[inline]
    fn connections(&self) -> u64 {
        self.load.connections.load(Ordering::SeqCst)
    }

    #[inline]
    fn overloaded(&self) -> bool {
        // Two CPUs may have told of their loads in the wrong order; who asks sets it right.
        if self.load.overloaded.load(Ordering::SeqCst) && self.all_connections() < self.relief() {
            self.load.overloaded.store(false, Ordering::SeqCst);
        }
        self.load.overloaded.load(Ordering::SeqCst)
    }

    fn delay(&self) -> Delay {
        self.load.delay.at(work::microseconds())
    }
}

/// A destination as schedulers see it.
#[derive(Clone)]
pub struct RealServer(pub(crate) Arc<Destination>);

impl Deref for RealServer {
    type Target = Destination;

    #[inline]
    fn deref(&self) -> &Destination {
        &self.0
    }
}

impl Server for RealServer {
    #[inline]
    fn weight(&self) -> u32 {
        self.0.weight()
    }

    #[inline]
    fn last_weight(&self) -> u32 {
        self.0.last_weight()
    }

    #[inline]
    fn endpoint(&self) -> Endpoint {
        self.0.endpoint
    }

    #[inline]
    fn active(&self) -> u32 {
        self.0.active()
    }

    #[inline]
    fn inactive(&self) -> u32 {
        self.0.inactive()
    }

    #[inline]
    fn connections(&self) -> u64 {
        self.0.connections()
    }

    #[inline]
    fn overloaded(&self) -> bool {
        self.0.overloaded()
    }

    fn delay(&self) -> Delay {
        self.0.delay()
    }
}
