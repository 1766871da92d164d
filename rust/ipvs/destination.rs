// SPDX-License-Identifier: GPL-2.0-only

//! Destinations: the real servers of a virtual service.

use crate::{counters::Statistics, filter::Known};
use core::{
    ops::Deref,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering},
};
use kernel::{prelude::*, sync::Arc};
use knet::route::{PreferredSource, RouteCache};
use lvs_core::{scheduler::Server, Endpoint};

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
    /// The address of ours that `route` prefers, for tunnels.
    pub source: PreferredSource,
    /// The route to it.
    pub route: RouteCache,
    /// The same for direct routing, where it is the next neighbour whatever address packets have.
    pub direct_route: RouteCache,
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
    active: AtomicU32,
    inactive: AtomicU32,
    upper_threshold: AtomicU32,
    lower_threshold: AtomicU32,
    overloaded: AtomicBool,
}

impl Destination {
    /// A destination without connections, available. Process context.
    pub fn new(endpoint: Endpoint, settings: &Settings, known: Known) -> Result<Self> {
        let destination = Self {
            available: AtomicBool::new(true),
            forwarding: AtomicU8::new(0),
            source: PreferredSource::new(),
            route: RouteCache::new(),
            direct_route: RouteCache::new(),
            statistics: Statistics::new()?,
            endpoint,
            _known: known,
            load: Load {
                weight: AtomicU32::new(0),
                active: AtomicU32::new(0),
                inactive: AtomicU32::new(0),
                upper_threshold: AtomicU32::new(0),
                lower_threshold: AtomicU32::new(0),
                overloaded: AtomicBool::new(false),
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
        self.load.weight.store(settings.weight, Ordering::Relaxed);
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
            weight: self.load.weight.load(Ordering::Relaxed),
            upper_threshold: self.load.upper_threshold.load(Ordering::Relaxed),
            lower_threshold: self.load.lower_threshold.load(Ordering::Relaxed),
        }
    }

    /// How packets of new connections get there. Any context.
    pub fn forwarding(&self) -> Forwarding {
        Forwarding::from_number(u32::from(self.forwarding.load(Ordering::Relaxed)))
            .unwrap_or(Forwarding::Masquerading)
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
            self.route.forget();
            self.direct_route.forget();
        }
    }

    /// Counts a connection in. Any context.
    pub fn join(&self, active: bool) {
        self.counter(active).fetch_add(1, Ordering::Relaxed);
        self.judge_load();
    }

    /// Counts a connection out. Any context.
    pub fn leave(&self, active: bool) {
        self.counter(active).fetch_sub(1, Ordering::Relaxed);
        self.judge_load();
    }

    /// A connection became active, or inactive. Any context.
    pub fn turn(&self, active: bool) {
        self.counter(active).fetch_add(1, Ordering::Relaxed);
        self.counter(!active).fetch_sub(1, Ordering::Relaxed);
    }

    /// True when connections hold on to it. Any context.
    pub fn is_in_use(&self) -> bool {
        self.load.active.load(Ordering::Relaxed) != 0
            || self.load.inactive.load(Ordering::Relaxed) != 0
    }

    fn counter(&self, active: bool) -> &AtomicU32 {
        if active {
            &self.load.active
        } else {
            &self.load.inactive
        }
    }

    fn judge_load(&self) {
        let upper = self.load.upper_threshold.load(Ordering::Relaxed);
        if upper == 0 {
            return;
        }
        let load = self.connections();
        if load >= upper {
            self.load.overloaded.store(true, Ordering::Relaxed);
        } else if load < self.relief() {
            self.load.overloaded.store(false, Ordering::Relaxed);
        }
    }

    #[inline]
    fn connections(&self) -> u32 {
        self.active().saturating_add(self.inactive())
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

/// A count that several CPUs change in two steps each may be below zero for a moment.
#[inline]
fn count(counter: &AtomicU32) -> u32 {
    (counter.load(Ordering::Relaxed) as i32).max(0) as u32
}

impl Server for Destination {
    #[inline]
    fn weight(&self) -> u32 {
        self.load.weight.load(Ordering::Relaxed)
    }

    #[inline]
    fn active(&self) -> u32 {
        count(&self.load.active)
    }

    #[inline]
    fn inactive(&self) -> u32 {
        count(&self.load.inactive)
    }

    #[inline]
    fn overloaded(&self) -> bool {
        // Two CPUs may have told of their loads in the wrong order; who asks sets it right.
        if self.load.overloaded.load(Ordering::Relaxed) && self.connections() < self.relief() {
            self.load.overloaded.store(false, Ordering::Relaxed);
        }
        self.load.overloaded.load(Ordering::Relaxed)
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
    fn active(&self) -> u32 {
        self.0.active()
    }

    #[inline]
    fn inactive(&self) -> u32 {
        self.0.inactive()
    }

    #[inline]
    fn overloaded(&self) -> bool {
        self.0.overloaded()
    }
}
