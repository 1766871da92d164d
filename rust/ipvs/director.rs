// SPDX-License-Identifier: GPL-2.0-only

//! The director of a network namespace: its configuration, and the parts that work.
//!
//! It knows neither the netlink families nor the files that administrators use; those know it.

mod daemons;
mod transaction;

pub use transaction::Transaction;

use crate::{
    path::hooks::{Coverage, Hooks},
    services::{
        deleted::Reservation,
        destination::{self, Destination},
        filter::Counted,
        helper,
        scheduler::Bound,
        service::{self, Key, Service},
        statistics::{PerCpu, Traffic},
    },
    state::{settings::Settings, tables::Tables},
    sync::Daemons,
};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    counters::Totals,
    errno,
    memory::Payer,
    namespace,
    net::Net,
    rcu,
    work::{Tick, Ticker},
};
use lvs_core::{
    daemon::Role, service::SchedulerName, timeout::Timeouts, Endpoint, Family, Protocol,
};

/// The buckets of a connection table that does not exist yet.
const INITIAL_BUCKETS: u32 = 1 << 10;
/// The limit of connections in the initial namespace, with which other namespaces begin.
static INHERITED_LIMIT: AtomicU32 = AtomicU32::new(Director::MOST_CONNECTIONS);
/// Milliseconds until the slow timer ticks for the first time.
const FIRST_TICK: u32 = 1000;

/// A director. There is one in each namespace; it works from its first service or daemon on.
#[pin_data]
pub struct Director {
    /// The settings that packets look at.
    pub(crate) settings: Arc<Settings>,
    /// Held while a daemon starts or stops. The outermost lock of a director: it is held while the
    /// RTNL is taken, and the configuration is locked under it and under the RTNL.
    #[pin]
    daemons: Mutex<Daemons>,
    #[pin]
    config: Mutex<Config>,
}

struct Working {
    hooks: Arc<Hooks>,
    ticker: Ticker<Rounds>,
    tables: Arc<Tables>,
}

impl Working {
    /// Ends it in order: the hooks first, so that no packet uses the rest, then the timer, which
    /// adds and deletes devices, then what it has left. Takes the RTNL.
    fn end(self) {
        self.hooks.stop();
        drop(self.ticker);
        self.hooks.clear();
        self.tables.end_all_tracking();
    }
}

/// What the slow timer does each second.
struct Rounds {
    tables: Arc<Tables>,
    hooks: Arc<Hooks>,
}

impl Tick for Rounds {
    fn tick(&self) -> Option<u32> {
        // Without memory it tries again in the next second.
        if self.tables.has_local_server() {
            let _ = self.hooks.change(|coverage| coverage.local_server = true);
        }
        self.hooks.learn_device();
        self.hooks.adapt();
        // At the beginning of the next second, so that an entry that is due waits no longer.
        Some(self.tables.upkeep())
    }
}

#[derive(Default)]
struct Config {
    /// The namespace, until it ends.
    net: Option<Net>,
    working: Option<Working>,
    /// In the order in which they were added.
    services: KVVec<Arc<Service>>,
    timeouts: Timeouts,
    coverage: Coverage,
    /// Synchronization daemons run. They cannot express that a real server is of another family
    /// than its service.
    synchronizes: bool,
    most_connections: u32,
    /// The highest value of the above that a namespace's own administrator may set.
    hard_limit: u32,
    /// The traffic of deleted services, and of services that were zeroed one by one.
    past: Totals,
    /// What each CPU has counted for destinations that are deleted.
    past_by_cpu: PerCpu,
}

/// How full a director is.
pub(crate) struct Occupancy {
    /// Connections.
    pub(crate) connections: usize,
    /// New connections that were refused since there were too many, or no memory.
    pub(crate) refused: u64,
    /// New connections that were dropped in defence.
    pub(crate) dropped: u64,
    /// Connections of crowded client ports, found by both their ends.
    pub(crate) apart: usize,
    /// Half-open connections that made room for new ones.
    pub(crate) evicted: u64,
    /// The number of buckets of the connection table.
    pub(crate) buckets: u32,
    /// Packets that were taken where they came in.
    pub(crate) early: u64,
    /// Frames that were taken by XDP.
    pub(crate) frames: u64,
    /// Packets and frames that waited there for others.
    pub(crate) waited: u64,
    /// The number of devices where that is done.
    pub(crate) devices: usize,
}

impl Config {
    fn find(&self, key: &Key) -> Result<Arc<Service>> {
        let tables = &self.working.as_ref().ok_or(ESRCH)?.tables;
        rcu::read(|section| tables.services.find(section, key).cloned()).ok_or(ESRCH)
    }

    /// The working parts, for packets of this family too. They begin to work if there are none.
    fn work(&mut self, director: &Director, family: Family) -> Result<&Working> {
        let net = self.net.as_ref().ok_or(ENODEV)?;
        if !net.supports(family) {
            return Err(errno::family_not_supported());
        }
        let working = self.begin(director)?;
        working.hooks.cover(family)?;
        Ok(working)
    }

    /// The working parts. They begin to work, but see no packets, if there are none.
    fn begin(&mut self, director: &Director) -> Result<&Working> {
        let net = self.net.as_ref().ok_or(ENODEV)?;
        if self.working.is_none() {
            // The host pays for its own director. Who configures another one pays for that.
            let (namespace, payer) = match net.is_initial() {
                true => (0, Payer::host()),
                false => (net.number(), Payer::caller()),
            };
            let settings = director.settings.clone();
            let tables = Tables::new(net.clone(), self.timeouts, settings, namespace, payer)?;
            let hooks = Hooks::new(net.clone(), tables.clone(), self.coverage)?;
            let rounds = Rounds {
                tables: tables.clone(),
                hooks: hooks.clone(),
            };
            let ticker = Ticker::start(Arc::new(rounds, GFP_KERNEL)?, FIRST_TICK)?;
            tables.connections.set_limit(self.most_connections as usize);
            self.working = Some(Working {
                hooks,
                ticker,
                tables,
            });
        }
        self.working.as_ref().ok_or(EINVAL)
    }

    /// True if a service has a real server of another family.
    fn mixes_families(&self) -> Result<bool> {
        for service in &self.services {
            let family = service.key.family();
            let destinations = service.destinations()?;
            let is_other = |server: &Arc<Destination>| server.endpoint.address.family() != family;
            if destinations.iter().any(is_other) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a destination may be added to a service, or changed.
    fn may_have(&self, key: &Key, endpoint: Endpoint) -> Result {
        match self.synchronizes && key.family() != endpoint.address.family() {
            true => Err(EBUSY),
            false => Ok(()),
        }
    }

    /// Changes which packets the hooks see.
    fn cover(&mut self, change: impl Fn(&mut Coverage)) -> Result {
        if let Some(working) = &self.working {
            working.hooks.change(&change)?;
        }
        change(&mut self.coverage);
        Ok(())
    }

    /// Lets the hooks see the packets that a destination with these settings requires.
    pub(crate) fn cover_destination(
        &mut self,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        // An address that becomes local later is noticed when a packet is sent to it.
        let is_local = |net: &Net| net.is_local(endpoint.address);
        let local_server = self.net.as_ref().is_some_and(is_local);
        let nat = settings.forwarding.rewrites();
        self.cover(|coverage| {
            coverage.local_server |= local_server;
            coverage.nat |= nat;
        })
    }

    /// True if this host does not have the virtual addresses of a service, or does not know them.
    fn is_foreign(&self, key: &Key) -> bool {
        let net = self.net.as_ref();
        key.address()
            .is_none_or(|address| net.is_some_and(|net| !net.is_local(address)))
    }

    /// The last service is gone. Hooks that are not needed any more cost little, so it does not
    /// matter if there is no memory to register the others again.
    fn cover_less(&mut self) {
        let _ = self.cover(|coverage| (coverage.foreign, coverage.nat) = (false, false));
    }

    /// Takes `service` out of use. Either all of it happens or nothing.
    fn delete(&mut self, service: &Arc<Service>) -> Result {
        let destinations = service.destinations()?;
        let tables = &self.working.as_ref().ok_or(ESRCH)?.tables;
        let mut reservation = Reservation::new(destinations.len())?;
        tables.services.remove(&service.key)?;
        self.past.add(&service.traffic().totals);
        service.retire();
        tables.deleted.lose_service(service.key);
        for server in &destinations {
            self.past_by_cpu.add(&server.statistics.live);
            tables
                .deleted
                .keep(service.key, server.clone(), &mut reservation);
        }
        tables.destinations_deleted();
        // From behind, for that is where a flush takes them from.
        let same = |other: &Arc<Service>| Arc::ptr_eq(other, service);
        if let Some(index) = self.services.iter().rposition(same) {
            let _ = self.services.remove(index);
        }
        if self.services.is_empty() {
            self.cover_less();
        }
        Ok(())
    }
}

impl Director {
    /// A director that does not work yet. Process context.
    pub(crate) fn new(net: Net) -> Result<Arc<Self>> {
        let settings = Arc::new(Settings::new(net.is_initial()), GFP_KERNEL)?;
        let inherited = match net.is_initial() {
            true => Self::MOST_CONNECTIONS,
            false => INHERITED_LIMIT.load(Ordering::Relaxed),
        };
        let config = Config {
            net: Some(net),
            most_connections: inherited,
            hard_limit: inherited,
            past_by_cpu: PerCpu::new()?,
            ..Config::default()
        };
        Arc::pin_init(
            pin_init!(Self {
                settings,
                daemons <- new_mutex!(Daemons::default(), "ipvs_rs_daemons"),
                config <- new_mutex!(config, "ipvs_rs_config"),
            }),
            GFP_KERNEL,
        )
    }

    /// Ends all that works. Process context.
    pub(crate) fn stop(&self) {
        // Taken out first and ended outside the lock, since it waits for its users.
        let (working, net) = {
            let mut config = self.config.lock();
            let services = core::mem::take(&mut config.services);
            for service in &services {
                service.retire();
            }
            (config.working.take(), config.net.take())
        };
        // Without a namespace no other can start.
        {
            let mut daemons = self.daemons.lock();
            let _ = daemons.stop(Role::Master);
            let _ = daemons.stop(Role::Backup);
            daemons.forget();
        }
        if let Some(working) = working {
            working.end();
        }
        drop(net);
    }

    /// Adds a service. `settings` makes its settings, or refuses, when the scheduler is there.
    /// [`EEXIST`]: there is one with this key; [`ENOENT`]: no such scheduler. Process context.
    pub fn add_service<E: From<Error>>(
        &self,
        key: Key,
        scheduler: SchedulerName,
        settings: impl FnOnce() -> Result<service::Settings, E>,
    ) -> Result<(), E> {
        if self.config.lock().find(&key).is_ok() {
            return Err(EEXIST.into());
        }
        // May load a module, hence without the lock.
        let scheduler = Bound::new(scheduler)?;
        if let (Some(Protocol::Tcp), endpoint) = key.identity() {
            helper::request(endpoint.port);
        }
        Ok(self.add_bound_service(key, &settings()?, scheduler)?)
    }

    fn add_bound_service(
        &self,
        key: Key,
        settings: &service::Settings,
        scheduler: Bound,
    ) -> Result {
        let mut config = self.config.lock();
        if config.find(&key).is_ok() {
            return Err(EEXIST);
        }
        config.services.reserve(1, GFP_KERNEL)?;
        let tables = config.work(self, key.family())?.tables.clone();
        if config.is_foreign(&key) {
            config.cover(|coverage| coverage.foreign = true)?;
        }
        let counted = Counted::new(tables.filter.clone(), key.address(), None);
        let service = Service::new(key, settings, scheduler, counted)?;
        tables.services.insert(&service)?;
        config
            .services
            .push_within_capacity(service)
            .map_err(|_| ENOMEM)
    }

    /// Changes a service's settings and scheduler; `settings` makes the new ones of the present
    /// ones, or refuses. [`ESRCH`]: no such service; [`ENOENT`]: no such scheduler.
    pub fn edit_service<E: From<Error>>(
        &self,
        key: &Key,
        settings: impl FnOnce(service::Settings) -> Result<service::Settings, E>,
        scheduler: SchedulerName,
    ) -> Result<(), E> {
        let present = self.config.lock().find(key)?.scheduler_name();
        // May load a module, hence without the lock.
        let bound = if present == Some(scheduler) {
            None
        } else {
            Some(Bound::new(scheduler)?)
        };
        let config = self.config.lock();
        let service = config.find(key)?;
        if bound.is_none() && service.scheduler_name() != Some(scheduler) {
            // Another command was quicker.
            return Err(EAGAIN.into());
        }
        Ok(service.edit(&settings(service.all_settings())?, bound)?)
    }

    /// The settings of a service. [`ESRCH`]: no such service.
    pub fn find_service(&self, key: &Key) -> Result<Arc<Service>> {
        self.config.lock().find(key)
    }

    /// Deletes a service and its destinations. [`ESRCH`]: no such service.
    pub fn delete_service(&self, key: &Key) -> Result {
        let mut config = self.config.lock();
        let service = config.find(key)?;
        config.delete(&service)
    }

    /// Deletes all services. Either all of it happens or nothing.
    pub fn flush(&self) -> Result {
        let mut config = self.config.lock();
        let config = &mut *config;
        let Some(Working { tables, .. }) = &config.working else {
            return Ok(());
        };
        // All memory that it takes comes first.
        let mut destinations = KVVec::new();
        for service in &config.services {
            for server in &service.destinations()? {
                destinations.push((service.key, server.clone()), GFP_KERNEL)?;
            }
        }
        let mut reservation = Reservation::new(destinations.len())?;
        tables.services.clear();
        for service in &config.services {
            config.past.add(&service.traffic().totals);
            service.retire();
        }
        tables.deleted.for_each(Destination::lose_service);
        for (key, server) in destinations {
            config.past_by_cpu.add(&server.statistics.live);
            tables.deleted.keep(key, server, &mut reservation);
        }
        tables.destinations_deleted();
        config.services.clear();
        config.cover_less();
        Ok(())
    }

    /// Zeroes the statistics of a service, or of all. [`ESRCH`]: no such service.
    pub fn zero(&self, key: Option<&Key>) -> Result {
        let mut config = self.config.lock();
        match key {
            Some(key) => {
                let service = config.find(key)?;
                config.past.add(&service.traffic().totals);
                service.zero();
            }
            None => {
                config.past = Totals::default();
                if let Some(working) = &config.working {
                    working.tables.drops.zero();
                }
                config.services.iter().for_each(|service| service.zero());
            }
        }
        Ok(())
    }

    /// Adds a destination to a service; one that was deleted while it had connections comes back
    /// with them. [`ESRCH`]: no such service; [`EEXIST`]: the destination is there already.
    pub fn add_destination(
        &self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        let mut config = self.config.lock();
        let service = config.find(key)?;
        if service.find(endpoint).is_some() {
            return Err(EEXIST);
        }
        config.may_have(key, endpoint)?;
        let tables = config.work(self, endpoint.address.family())?.tables.clone();
        config.cover_destination(endpoint, settings)?;
        let mut reservation = Reservation::new(1)?;
        let taken = tables.deleted.take(*key, endpoint);
        let came_back = taken.is_some();
        let server = match taken {
            Some(server) => {
                server.set(settings);
                server.statistics.zero();
                server
            }
            None => {
                let filter = tables.filter.clone();
                let counted = Counted::new(filter, key.address(), Some(endpoint.address));
                let destination = Destination::new(*key, endpoint, settings, counted)?;
                Arc::new(destination, GFP_KERNEL_ACCOUNT)?
            }
        };
        if let Err(error) = service.add(server.clone()) {
            tables.deleted.keep(*key, server, &mut reservation);
            return Err(error);
        }
        if came_back {
            config.past_by_cpu.subtract(&server.statistics.live);
        }
        Ok(())
    }

    /// Changes a destination's settings. [`ESRCH`]: no such service; [`ENOENT`]: no such
    /// destination.
    pub fn edit_destination(
        &self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        let mut config = self.config.lock();
        let service = config.find(key)?;
        let server = service.find(endpoint).ok_or(ENOENT)?;
        config.may_have(key, endpoint)?;
        config.cover_destination(endpoint, settings)?;
        service.edit_destination(&server, settings)
    }

    /// Deletes a destination. From now on clients' packets to it are dropped, and its connections
    /// end by their timeouts, unless it is added again before. [`ESRCH`]: no such service;
    /// [`ENOENT`]: no such destination.
    pub fn delete_destination(&self, key: &Key, endpoint: Endpoint) -> Result {
        let mut config = self.config.lock();
        let config = &mut *config;
        let service = config.find(key)?;
        let tables = &config.working.as_ref().ok_or(ESRCH)?.tables;
        let mut reservation = Reservation::new(1)?;
        let server = service.remove(endpoint)?.ok_or(ENOENT)?;
        config.past_by_cpu.add(&server.statistics.live);
        tables.deleted.keep(*key, server, &mut reservation);
        tables.destinations_deleted();
        Ok(())
    }

    /// The timeouts. Process context.
    pub fn timeouts(&self) -> Timeouts {
        self.config.lock().timeouts
    }

    /// Sets timeouts in seconds; 0 leaves one as it is. [`EINVAL`]: out of range.
    pub fn set_timeouts(&self, tcp: u32, tcp_fin: u32, udp: u32) -> Result {
        let mut config = self.config.lock();
        let mut timeouts = config.timeouts;
        timeouts.set(tcp, tcp_fin, udp).map_err(|_| EINVAL)?;
        if let Some(working) = &config.working {
            working.tables.set_timeouts(timeouts)?;
        }
        config.timeouts = timeouts;
        Ok(())
    }

    /// The services at this moment, in the order in which they were added.
    pub fn services(&self) -> Result<KVVec<Arc<Service>>> {
        let config = self.config.lock();
        let mut services = KVVec::with_capacity(config.services.len(), GFP_KERNEL)?;
        for service in &config.services {
            services.push(service.clone(), GFP_KERNEL)?;
        }
        Ok(services)
    }

    /// The traffic of all services since all were zeroed. Process context.
    pub(crate) fn traffic(&self) -> Traffic {
        let config = self.config.lock();
        let mut sum = Traffic {
            totals: config.past,
            rates: Totals::default(),
        };
        for service in &config.services {
            sum.add(&service.traffic());
        }
        sum
    }

    /// What each CPU has ever counted. Process context.
    pub(crate) fn counted_by_cpu(&self) -> Result<PerCpu> {
        let config = self.config.lock();
        let mut counts = config.past_by_cpu.copy()?;
        for service in &config.services {
            service.count_by_cpu(&mut counts);
        }
        Ok(counts)
    }

    /// The destinations of a service at this moment. [`ESRCH`]: no such service.
    pub fn destinations(&self, key: &Key) -> Result<KVVec<Arc<Destination>>> {
        let config = self.config.lock();
        config.find(key)?.destinations()
    }

    /// The tables, if the director works. Process context.
    pub(crate) fn tables(&self) -> Option<Arc<Tables>> {
        let config = self.config.lock();
        Some(config.working.as_ref()?.tables.clone())
    }

    /// How full it is. Process context.
    pub(crate) fn occupancy(&self) -> Occupancy {
        match &self.config.lock().working {
            Some(Working { tables, hooks, .. }) => Occupancy {
                connections: tables.connections.count(),
                refused: tables.refused(),
                dropped: tables.dropped(),
                apart: tables.connections.apart(),
                evicted: tables.connections.evicted(),
                buckets: tables.connections.room(),
                early: tables.taken_early(),
                frames: tables.taken_frames(),
                waited: hooks.waited(),
                devices: hooks.devices(),
            },
            None => Occupancy {
                connections: 0,
                refused: 0,
                dropped: 0,
                apart: 0,
                evicted: 0,
                buckets: INITIAL_BUCKETS,
                early: 0,
                frames: 0,
                waited: 0,
                devices: 0,
            },
        }
    }

    /// What [`Self::most_connections`] is at most, and at first.
    pub(crate) const MOST_CONNECTIONS: u32 = 1 << 30;

    /// How many connections there may be. Process context.
    pub(crate) fn most_connections(&self) -> u32 {
        self.config.lock().most_connections
    }

    /// Sets the limit of connections; those that exist stay. An administrator of the host sets the
    /// hard limit too. [`EINVAL`]: the calling task is not one, and the hard limit is lower.
    /// Process context.
    pub(crate) fn set_most_connections(&self, connections: u32) -> Result {
        let mut config = self.config.lock();
        if namespace::caller_administers_host() {
            config.hard_limit = connections;
        } else if connections > config.hard_limit {
            return Err(EINVAL);
        }
        config.most_connections = connections;
        if config.net.as_ref().is_some_and(Net::is_initial) {
            INHERITED_LIMIT.store(connections, Ordering::Relaxed);
        }
        if let Some(working) = &config.working {
            working.tables.connections.set_limit(connections as usize);
        }
        Ok(())
    }

    /// A device of the namespace is removed, or moves to another one. Process context, under the
    /// RTNL.
    pub(crate) fn forget_device(&self, device: i32) {
        let hooks = self
            .config
            .lock()
            .working
            .as_ref()
            .map(|working| working.hooks.clone());
        if let Some(hooks) = hooks {
            hooks.forget_device(device);
        }
    }

    /// Which packets it sees. Process context.
    pub(crate) fn coverage(&self) -> Coverage {
        self.config.lock().coverage
    }

    /// Changes which packets it sees. Process context.
    pub(crate) fn change_coverage(&self, change: impl Fn(&mut Coverage)) -> Result {
        let mut config = self.config.lock();
        config.cover(change)?;
        let Coverage {
            conntrack,
            unexpected_replies,
            ..
        } = config.coverage;
        self.settings.conntrack.store(conntrack, Ordering::Relaxed);
        let rejects = &self.settings.nat_icmp_send;
        rejects.store(unexpected_replies, Ordering::Relaxed);
        Ok(())
    }
}
