// SPDX-License-Identifier: GPL-2.0-only

//! The director of a network namespace: its configuration, and the parts that work.

use crate::{
    path::{
        hooks::{Hooks, Stand},
        Path,
    },
    proc::{
        files::{IpVs, IpVsConn, Stats, StatsPerCpu, Status},
        sysctl,
    },
    services::{
        deleted::Room,
        destination::{self, Destination, RealServer},
        filter::Known,
        scheduler::{Bound, Name},
        service::{self, Key, Service},
        statistics::Traffic,
    },
    state::settings::Settings,
};
use core::sync::atomic::Ordering;
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    counters::Totals, errno, namespace::Instance, net::Net, procfs, rcu, sysctl::Directory,
    work::Ticker,
};
use lvs_core::{timeout::Timeouts, Endpoint, Family};

/// The buckets of a connection table that does not exist yet.
const INITIAL_BUCKETS: u32 = 1 << 10;
/// Milliseconds until the slow timer ticks for the first time.
const FIRST_TICK: u32 = 1000;

/// A director. There is one in each namespace; it works from its first service on.
#[pin_data]
pub struct Director {
    /// Settings that are on or off.
    pub settings: Arc<Settings>,
    #[pin]
    config: Mutex<Config>,
}

/// Dropped in order: the hooks first, so that no packet uses the rest, then the timer.
struct Working {
    hooks: Hooks,
    _ticker: Ticker<Path>,
    path: Arc<Path>,
}

struct Config {
    /// The namespace, until it ends.
    net: Option<Net>,
    files: Option<Files>,
    working: Option<Working>,
    /// In the order in which they were added.
    services: KVVec<Arc<Service>>,
    timeouts: Timeouts,
    stand: Stand,
    most_connections: u32,
    /// The traffic of services that are gone, or that were zeroed by themselves.
    past: Totals,
    /// The same as the director's.
    settings: Arc<Settings>,
}

/// What administrators see below `/proc`.
struct Files {
    _list: procfs::File<IpVs>,
    _connections: procfs::ListFile<IpVsConn>,
    _status: procfs::File<Status>,
    _stats: procfs::File<Stats>,
    _stats_percpu: procfs::File<StatsPerCpu>,
    _settings: Directory<Director>,
}

/// How full a director is.
pub(crate) struct Load {
    /// Connections.
    pub(crate) connections: usize,
    /// New connections that were refused since there were too many, or no memory.
    pub(crate) refused: u64,
    /// New connections that were dropped in defence.
    pub(crate) dropped: u64,
    /// The number of buckets of the connection table.
    pub(crate) buckets: u32,
}

impl Config {
    fn find(&self, key: &Key) -> Result<Arc<Service>> {
        let path = &self.working.as_ref().ok_or(ESRCH)?.path;
        rcu::read(|section| path.services.find(section, key).cloned()).ok_or(ESRCH)
    }

    /// The working parts, begun if there are none, for packets of this family too.
    fn work(&mut self, family: Family) -> Result<&Working> {
        let net = self.net.as_ref().ok_or(ENODEV)?;
        if !net.supports(family) {
            return Err(errno::family_not_supported());
        }
        if self.working.is_none() {
            let path = Path::new(self.timeouts, self.settings.clone())?;
            let ticker = Ticker::start(path.clone(), FIRST_TICK)?;
            path.connections.set_limit(self.most_connections as usize);
            self.working = Some(Working {
                hooks: Hooks::default(),
                _ticker: ticker,
                path,
            });
        }
        let working = self.working.as_mut().ok_or(EINVAL)?;
        working
            .hooks
            .cover(net, family, &working.path, self.stand)?;
        Ok(working)
    }

    /// Moves the hooks. The new ones come before the old ones go, so that no packet slips through;
    /// one that meets both is the first one's.
    fn move_hooks(&mut self, stand: Stand) -> Result {
        if stand == self.stand {
            return Ok(());
        }
        if let (Some(working), Some(net)) = (&mut self.working, &self.net) {
            working.hooks = working.hooks.moved(net, &working.path, stand)?;
        }
        self.stand = stand;
        Ok(())
    }

    /// Takes `service` out of use. Either all of it happens or nothing.
    fn delete(&mut self, service: &Arc<Service>) -> Result {
        let servers = service.servers()?;
        let path = &self.working.as_ref().ok_or(ESRCH)?.path;
        let mut room = Room::new(servers.len())?;
        path.services.remove(&service.key)?;
        self.past.add(&service.traffic().totals);
        service.retire();
        for server in &servers {
            path.deleted.keep(service.key, server.clone(), &mut room);
        }
        // From behind, for that is where a flush takes them from.
        let same = |other: &Arc<Service>| Arc::ptr_eq(other, service);
        if let Some(index) = self.services.iter().rposition(same) {
            let _ = self.services.remove(index);
        }
        Ok(())
    }
}

impl Instance for Director {
    fn start(net: Net) -> Result<Arc<Self>> {
        let settings = Arc::new(Settings::default(), GFP_KERNEL)?;
        let shared = settings.clone();
        let shared_net = net.clone();
        let director = Arc::pin_init(
            pin_init!(Self {
                settings,
                config <- new_mutex!(
                    Config {
                        net: Some(shared_net),
                        files: None,
                        working: None,
                        services: KVVec::new(),
                        timeouts: Timeouts::new(),
                        stand: Stand {
                            short_cut: true,
                            hosts_server: false,
                            tells_servers: false,
                            ignores_tunneled: false,
                        },
                        settings: shared,
                        most_connections: Self::MOST_CONNECTIONS,
                        past: Totals::default(),
                    },
                    "ipvs_rs_config"
                ),
            }),
            GFP_KERNEL,
        )?;
        // From here on it can be reached; until it is registered the files' readers find nothing.
        let files = Files {
            _list: procfs::File::new(net.clone())?,
            _connections: procfs::ListFile::new(net.clone())?,
            _status: procfs::File::new(net.clone())?,
            _stats: procfs::File::new(net.clone())?,
            _stats_percpu: procfs::File::new(net.clone())?,
            _settings: Directory::new(net, sysctl::PATH, &sysctl::SETTINGS, director.clone())?,
        };
        director.config.lock().files = Some(files);
        Ok(director)
    }

    fn device_gone(&self) {
        if let Some(path) = self.path() {
            path.forget_routes();
        }
    }

    fn stop(&self) {
        // Taken out first and dropped outside the lock, since they wait for their users.
        let (files, working, net) = {
            let mut config = self.config.lock();
            let services = core::mem::take(&mut config.services);
            for service in &services {
                service.retire();
            }
            (
                config.files.take(),
                config.working.take(),
                config.net.take(),
            )
        };
        drop(files);
        drop(working);
        drop(net);
    }
}

impl Director {
    /// Adds a service. [`EEXIST`]: there is one with this key; [`ENOENT`]: no such scheduler.
    pub fn add_service(&self, key: Key, settings: &service::Settings, scheduler: Name) -> Result {
        if self.config.lock().find(&key).is_ok() {
            return Err(EEXIST);
        }
        // May load a module, hence without the lock.
        let scheduler = Bound::new(scheduler)?;
        let mut config = self.config.lock();
        if config.find(&key).is_ok() {
            return Err(EEXIST);
        }
        config.services.reserve(1, GFP_KERNEL)?;
        let path = config.work(key.family())?.path.clone();
        let known = Known::new(path.filter.clone(), key.address(), None);
        let service = Service::new(key, settings, scheduler, known)?;
        path.services.insert(&service)?;
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
        scheduler: Name,
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
        Ok(service.edit(&settings(service.settings())?, bound)?)
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
        let Some(Working { path, .. }) = &config.working else {
            return Ok(());
        };
        // All memory that it takes comes first.
        let mut servers = KVVec::new();
        for service in &config.services {
            for server in &service.servers()? {
                servers.push((service.key, server.clone()), GFP_KERNEL)?;
            }
        }
        let mut room = Room::new(servers.len())?;
        path.services.clear();
        for service in &config.services {
            config.past.add(&service.traffic().totals);
            service.retire();
        }
        for (key, server) in servers {
            path.deleted.keep(key, server, &mut room);
        }
        config.services.clear();
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
        let path = config.work(endpoint.address.family())?.path.clone();
        let hosts_server = config.stand.hosts_server
            || config
                .net
                .as_ref()
                .is_some_and(|net| net.is_local(endpoint.address));
        let stand = Stand {
            hosts_server,
            ..config.stand
        };
        config.move_hooks(stand)?;
        let mut room = Room::new(1)?;
        let server = match path.deleted.take(*key, endpoint) {
            Some(server) => {
                server.set(settings);
                server.statistics.zero();
                server
            }
            None => {
                let known = Known::new(path.filter.clone(), key.address(), Some(endpoint.address));
                RealServer(Arc::new(
                    Destination::new(endpoint, settings, known)?,
                    GFP_KERNEL_ACCOUNT,
                )?)
            }
        };
        service
            .add(server.clone())
            .inspect_err(|_| path.deleted.keep(*key, server, &mut room))
    }

    /// Changes a destination's settings. [`ESRCH`]: no such service; [`ENOENT`]: no such
    /// destination.
    pub fn edit_destination(
        &self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        let config = self.config.lock();
        let service = config.find(key)?;
        let server = service.find(endpoint).ok_or(ENOENT)?;
        service.edit_destination(&server, settings)
    }

    /// Deletes a destination. What clients send it is dropped from now on, and its connections
    /// end by their timeouts, unless it is added again before. [`ESRCH`]: no such service; [`ENOENT`]: no such destination.
    pub fn delete_destination(&self, key: &Key, endpoint: Endpoint) -> Result {
        let config = self.config.lock();
        let service = config.find(key)?;
        let path = &config.working.as_ref().ok_or(ESRCH)?.path;
        let mut room = Room::new(1)?;
        let server = service.remove(endpoint)?.ok_or(ENOENT)?;
        path.deleted.keep(*key, server, &mut room);
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
            working.path.set_timeouts(timeouts)?;
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

    /// The destinations of a service at this moment. [`ESRCH`]: no such service.
    pub fn destinations(&self, key: &Key) -> Result<KVVec<RealServer>> {
        let config = self.config.lock();
        config.find(key)?.servers()
    }

    /// The packet path, if it works. Process context.
    pub(crate) fn path(&self) -> Option<Arc<Path>> {
        let config = self.config.lock();
        Some(config.working.as_ref()?.path.clone())
    }

    /// How full it is. Process context.
    pub(crate) fn load(&self) -> Load {
        match &self.config.lock().working {
            Some(Working { path, .. }) => Load {
                connections: path.connections.count(),
                refused: path.refused(),
                dropped: path.dropped(),
                buckets: path.connections.buckets(),
            },
            None => Load {
                connections: 0,
                refused: 0,
                dropped: 0,
                buckets: INITIAL_BUCKETS,
            },
        }
    }

    /// What [`Self::most_connections`] is at most, and at first.
    pub(crate) const MOST_CONNECTIONS: u32 = 1 << 30;

    /// How many connections there may be. Process context.
    pub(crate) fn most_connections(&self) -> u32 {
        self.config.lock().most_connections
    }

    /// Sets how many connections there may be; those that are there stay. Process context.
    pub(crate) fn set_most_connections(&self, connections: u32) {
        let mut config = self.config.lock();
        config.most_connections = connections;
        if let Some(working) = &config.working {
            working.path.connections.set_limit(connections as usize);
        }
    }

    /// What it has to see. Process context.
    pub(crate) fn stand(&self) -> Stand {
        self.config.lock().stand
    }

    /// Changes that. Process context.
    pub(crate) fn change_stand(&self, change: impl FnOnce(&mut Stand)) -> Result {
        let mut config = self.config.lock();
        let mut stand = config.stand;
        change(&mut stand);
        config.move_hooks(stand)?;
        let told = &self.settings.nat_icmp_send;
        told.store(stand.tells_servers, Ordering::Relaxed);
        Ok(())
    }
}
