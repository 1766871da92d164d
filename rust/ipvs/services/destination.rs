// SPDX-License-Identifier: GPL-2.0-only

//! Destinations: the real servers of a virtual service, with settings, routes and load.

use crate::services::{filter::Counted, statistics::Statistics};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{
    rcu::{self, Boxed, Cell},
    route::{Route, RouteCache, SourcedRouteCache},
    work,
};
use lvs_core::{
    delay::Delay,
    load::{Load, Thresholds},
    scheduler::Destination as Scheduled,
    service::Key,
    tunnel::{self, Tunnel},
    Address, Endpoint,
};

pub use lvs_core::destination::{Forwarding, Settings};

/// A destination. Connections keep it alive after it was deleted from its service.
// An `Arc` puts the number of references before the first field, which new connections change as
// they change the load. So the two are in one cache line, and what packets read is behind it.
#[repr(C)]
pub struct Destination {
    busy: Busy,
    available: AtomicBool,
    service_is_deleted: AtomicBool,
    forwarding: AtomicU8,
    /// [`tunnel::Numbers`] in one word.
    tunnel: AtomicU64,
    /// The route to it.
    route: SourcedRouteCache,
    /// The same for direct routing, where it is the neighbor whatever destination packets have.
    direct_route: RouteCache,
    /// Its traffic. The counters are the first of its fields.
    pub statistics: Statistics,
    /// Its address and port; port 0 means the port that the client asked for.
    pub endpoint: Endpoint,
    /// The service that it belongs to, or belonged to.
    pub service: Key,
    _counted: Counted,
}

/// What schedulers read and connections write: with the number of references, a cache line.
#[repr(C)]
struct Busy {
    load: Load,
    /// The observer of changes; empty for schedulers that do not follow loads.
    observer: Cell<Observer>,
}

const _: () = assert!(size_of::<Busy>() + align_of::<Destination>() == 64);

/// Follows the loads of a list of destinations.
pub(crate) trait FollowLoads: Send + Sync + 'static {
    /// The number of connections of the destination at `index` has changed. Any context.
    fn load_changed(&self, index: usize);
}

/// What a destination notifies of its load: a list, and the destination's index in it.
pub(crate) struct Observer {
    list: Arc<dyn FollowLoads>,
    index: usize,
}

impl Observer {
    /// The place of the destination at `index` of `list`.
    pub(crate) fn new(list: Arc<dyn FollowLoads>, index: usize) -> Self {
        Self { list, index }
    }
}

impl Destination {
    /// A destination of the service with this key, without connections, available. Process context.
    pub fn new(
        service: Key,
        endpoint: Endpoint,
        settings: &Settings,
        counted: Counted,
    ) -> Result<Self> {
        let destination = Self {
            busy: Busy {
                load: Load::new(),
                observer: Cell::empty(),
            },
            available: AtomicBool::new(true),
            service_is_deleted: AtomicBool::new(false),
            forwarding: AtomicU8::new(0),
            tunnel: AtomicU64::new(0),
            route: SourcedRouteCache::new(),
            direct_route: RouteCache::new(()),
            statistics: Statistics::new()?,
            endpoint,
            service,
            _counted: counted,
        };
        destination.set(settings);
        Ok(destination)
    }

    /// Changes the settings. Connections keep the forwarding method that they began with.
    /// Configuration mutex held.
    pub fn set(&self, settings: &Settings) {
        self.forwarding
            .store(settings.forwarding.number() as u8, Ordering::Relaxed);
        self.tunnel.store(settings.tunnel.pack(), Ordering::Relaxed);
        let thresholds = Thresholds {
            upper: settings.upper_threshold,
            lower: settings.lower_threshold,
        };
        self.busy.load.set(settings.weight, thresholds);
    }

    /// The settings. Any context.
    pub fn settings(&self) -> Settings {
        let Thresholds { upper, lower } = self.busy.load.thresholds();
        Settings {
            forwarding: self.forwarding(),
            tunnel: self.tunnel_numbers(),
            weight: self.weight(),
            upper_threshold: upper,
            lower_threshold: lower,
        }
    }

    /// Its address and port for a client that asks for `port`, which holds if the destination has
    /// none of its own. Any context.
    #[inline]
    pub fn reached_at(&self, port: u16) -> Endpoint {
        match self.endpoint.port {
            0 => Endpoint::new(self.endpoint.address, port),
            _ => self.endpoint,
        }
    }

    /// How packets of new connections are forwarded to it. Any context.
    pub fn forwarding(&self) -> Forwarding {
        Forwarding::from_number(u32::from(self.forwarding.load(Ordering::Relaxed)))
            .unwrap_or(Forwarding::Masquerading)
    }

    /// The kind of tunnel that leads to it. Any context.
    #[inline(always)]
    pub fn tunnel(&self) -> Tunnel {
        self.tunnel_numbers().tunnel().unwrap_or(Tunnel::Ipip)
    }

    /// Whether that is IP in IP, by its kind alone. False for numbers of no tunnel, which
    /// [`Self::tunnel`] takes for IP in IP. Any context.
    #[inline(always)]
    pub fn is_through_ipip(&self) -> bool {
        self.tunnel_numbers().kind == 0
    }

    #[inline(always)]
    fn tunnel_numbers(&self) -> tunnel::Numbers {
        tunnel::Numbers::unpack(self.tunnel.load(Ordering::Relaxed))
    }

    /// False once it was deleted from its service. Any context.
    #[inline]
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    /// True once its service was deleted. Any context.
    pub fn service_is_deleted(&self) -> bool {
        self.service_is_deleted.load(Ordering::Relaxed)
    }

    /// Makes it part of a service. Configuration mutex held.
    pub fn attach(&self) {
        self.service_is_deleted.store(false, Ordering::Relaxed);
        self.available.store(true, Ordering::Relaxed);
    }

    /// Takes it out of its service. Configuration mutex held.
    pub fn detach(&self) {
        self.available.store(false, Ordering::Relaxed);
        self.forget_routes();
        self.observe(None);
    }

    /// Its service was deleted, now or after it was. Configuration mutex held.
    pub fn lose_service(&self) {
        self.service_is_deleted.store(true, Ordering::Relaxed);
        self.detach();
    }

    /// The route to `server`, its address and port, for masquerading. Softirq.
    #[inline(always)]
    pub fn route(&self, server: Endpoint) -> Route<'_> {
        self.route
            .route(server.address, None)
            .translated(server.port)
    }

    /// The route to the end of its tunnel at `server`, its address. With `ignore_df`, routers may
    /// fragment the tunnel's packets even if the inner IPv4 header forbids it. Softirq.
    #[inline(always)]
    pub fn tunnel_route(&self, server: Address, ignore_df: bool) -> Route<'_> {
        self.route_through(self.tunnel(), server, ignore_df)
    }

    /// The same, if its tunnel is known. Softirq.
    #[inline(always)]
    pub fn route_through(&self, tunnel: Tunnel, server: Address, ignore_df: bool) -> Route<'_> {
        self.route.tunnel(tunnel, server, ignore_df)
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

    /// Sets what it notifies of its load. Configuration mutex held.
    pub(crate) fn observe(&self, observer: Option<Boxed<Observer>>) {
        self.busy.observer.replace(observer);
    }

    /// Counts a connection in. Any context.
    pub fn join(&self, active: bool) {
        self.busy.load.join(active);
        self.notify();
    }

    /// Compares the load with the thresholds after a connection that was counted in got into the
    /// table. (One that the table refuses must not overload the destination.) Any context.
    pub fn admit(&self) {
        if self.busy.load.judge() {
            self.notify();
        }
    }

    /// Counts a connection out. Any context.
    pub fn leave(&self, active: bool) {
        self.busy.load.leave(active);
        self.notify();
    }

    /// Counts a connection that became active, or inactive. Any context.
    pub fn turn(&self, active: bool) {
        self.busy.load.turn(active);
        self.notify();
    }

    /// Notifies the observer of a load that was stored before, by an instruction that later loads
    /// wait for: either this finds a new observer, or who set the observer reads the new load.
    #[inline]
    fn notify(&self) {
        let observer = &self.busy.observer;
        if !observer.is_empty() {
            rcu::read(|section| {
                if let Some(Observer { list, index }) = observer.get(section) {
                    list.load_changed(*index);
                }
            });
        }
    }

    /// Counts a template in. Any context.
    pub fn join_template(&self) {
        self.busy.load.join_template();
    }

    /// Counts a template out. Any context.
    pub fn leave_template(&self) {
        self.busy.load.leave_template();
    }

    /// Templates that lead to it. Any context.
    pub fn templates(&self) -> u32 {
        self.busy.load.templates()
    }

    /// True if connections or templates hold it. Any context.
    pub fn is_in_use(&self) -> bool {
        self.busy.load.is_in_use()
    }

    /// A new connection whose delay is measured is sent to it at `now`, in microseconds. Any
    /// context.
    pub fn delay_begins(&self, now: u64) {
        self.busy.load.delay.ask(now);
    }

    /// It refused such a connection, which says nothing about its delay. Any context.
    pub fn delay_ends_unmeasured(&self) {
        self.busy.load.delay.wait_no_more();
    }

    /// It answered such a connection at `now`, `delay` microseconds after the beginning. Any
    /// context.
    pub fn delay_ends(&self, delay: u32, now: u64) {
        self.busy.load.delay.observe(delay, now);
    }
}

impl Scheduled for Destination {
    #[inline]
    fn weight(&self) -> u32 {
        self.busy.load.weight()
    }

    #[inline]
    fn last_weight(&self) -> u32 {
        self.busy.load.last_weight()
    }

    #[inline]
    fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    #[inline]
    fn active(&self) -> u32 {
        self.busy.load.active()
    }

    #[inline]
    fn inactive(&self) -> u32 {
        self.busy.load.inactive()
    }

    #[inline]
    fn connections(&self) -> u64 {
        self.busy.load.connections()
    }

    #[inline]
    fn overloaded(&self) -> bool {
        self.busy.load.is_overloaded()
    }

    fn delay(&self) -> Delay {
        self.busy.load.delay(work::microseconds())
    }
}
