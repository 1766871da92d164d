// SPDX-License-Identifier: GPL-2.0-only

//! Virtual services.

use crate::{
    services::{
        destination::{self, Destination},
        drops::Drops,
        engine,
        filter::Counted,
        pool::{Pool, Prepared},
        scheduler::{Bound, Change},
        statistics::{PerCpu, Remembered, Traffic},
    },
    uapi::service::{F_FILTER, F_PERSISTENT, F_REDISPATCH, F_STATELESS},
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
    rcu::{Boxed, Cell, Section},
};
use lvs_core::{drop::Reason, service::SchedulerName, Endpoint};

pub use lvs_core::service::{Key, Settings};

/// True if a service with these settings has no connection entries.
pub(crate) fn is_stateless(settings: &Settings, scheduler: &Bound) -> bool {
    settings.flags & F_STATELESS != 0 && scheduler.instance.may_be_stateless()
}

/// New settings, scheduler and destinations of a service, ready to take effect.
pub(crate) struct Prospect {
    settings: Settings,
    scheduler: Option<Bound>,
    engine: Option<Boxed<engine::Bound>>,
    pool: Option<(Prepared, Change)>,
}

/// A virtual service.
///
/// With `F_STATELESS`, and a scheduler that allows it, the service has no connection entries: the
/// scheduler chooses for every packet of a client, and every director with the same servers chooses
/// the same one. Servers do not answer through the director, so they are reached by direct routing
/// or tunnels. Connections are not counted, so there are no thresholds and no persistence.
#[pin_data]
pub struct Service {
    /// What identifies it.
    pub key: Key,
    flags: AtomicU32,
    timeout: AtomicU32,
    netmask: AtomicU32,
    /// Empty once the service was deleted. It is dropped before `scheduler`: its RCU callback must
    /// be queued before the scheduler's module is released.
    pool: Cell<Arc<Pool>>,
    /// The persistence engine.
    engine: Cell<engine::Bound>,
    /// The traffic of destinations that were deleted.
    retired: Remembered,
    /// Packets that were dropped before a destination was chosen, or that destinations that are
    /// deleted had dropped.
    pub(crate) drops: Drops,
    _counted: Counted,
    /// Taken with the configuration mutex held, which orders all changes.
    #[pin]
    scheduler: Mutex<Option<Bound>>,
}

impl Service {
    /// A service without destinations. [`EPERM`]: it would have no connection entries, but these
    /// settings need them. Process context.
    pub fn new(
        key: Key,
        settings: &Settings,
        scheduler: Bound,
        counted: Counted,
    ) -> Result<Arc<Self>> {
        if is_stateless(settings, &scheduler) && !settings.allow_stateless() {
            return Err(EPERM);
        }
        let engine = Cell::empty();
        engine.replace(settings.engine.map(engine::Bound::new).transpose()?);
        let pool = Cell::new(Prepared::new(KVVec::new(), &scheduler, None)?.into_pool());
        Arc::pin_init(
            pin_init!(Self {
                key,
                flags: AtomicU32::new(settings.flags),
                timeout: AtomicU32::new(settings.timeout),
                netmask: AtomicU32::new(settings.netmask),
                pool,
                engine,
                retired: Remembered::new(),
                drops: Drops::default(),
                _counted: counted,
                scheduler <- new_mutex!(Some(scheduler), "ipvs_rs_service"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Where a client that asks for `port` reaches `server`. Clients of a persistent service on a
    /// firewall mark or on port 0, which stands for many ports, keep their port. Any context.
    pub fn server_endpoint(
        &self,
        settings: &Settings,
        server: &Destination,
        port: u16,
    ) -> Endpoint {
        let (_, virtual_endpoint) = self.key.identity();
        if settings.flags & F_PERSISTENT != 0 && virtual_endpoint.port == 0 {
            return Endpoint::new(server.endpoint.address, port);
        }
        server.reached_at(port)
    }

    /// The settings without the name of the engine. Any context.
    #[inline]
    pub fn settings(&self) -> Settings {
        Settings {
            flags: self.flags.load(Ordering::Relaxed),
            timeout: self.timeout.load(Ordering::Relaxed),
            netmask: self.netmask.load(Ordering::Relaxed),
            engine: None,
        }
    }

    /// All settings. Any context.
    pub fn all_settings(&self) -> Settings {
        let name = |section: &Section<'_>| Some(*self.engine(section)?.name());
        Settings {
            engine: knet::rcu::read(name),
            ..self.settings()
        }
    }

    /// The persistence engine. Any context.
    pub(crate) fn engine<'a>(&self, section: &'a Section<'_>) -> Option<&'a engine::Reference> {
        self.engine.get(section).map(engine::Bound::reference)
    }

    /// The name of the scheduler; none when the service is gone. Any context.
    pub fn scheduler_name(&self) -> Option<SchedulerName> {
        knet::rcu::read(|section| self.pool(section).map(|pool| pool.name))
    }

    /// The destinations and their scheduler; none when the service is gone. Any context.
    pub fn pool<'a>(&self, section: &'a Section<'_>) -> Option<&'a Pool> {
        self.pool.get(section).map(|pool| &**pool)
    }

    /// The destinations and their scheduler, if the service has no connection entries. Any
    /// context.
    #[inline]
    pub(crate) fn stateless_pool<'a>(&self, section: &'a Section<'_>) -> Option<&'a Pool> {
        if self.flags.load(Ordering::Relaxed) & F_STATELESS == 0 {
            return None;
        }
        self.pool(section).filter(|pool| pool.may_be_stateless)
    }

    /// The destinations and their scheduler, if the service has no connection entries and filters
    /// what a router sends to all hosts of a link. Any context.
    pub(crate) fn filtering_pool<'a>(&self, section: &'a Section<'_>) -> Option<&'a Pool> {
        if self.flags.load(Ordering::Relaxed) & F_FILTER == 0 {
            return None;
        }
        self.stateless_pool(section)
    }

    /// True if a client whose server does not answer gets another server. Any context.
    pub(crate) fn redispatches(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & F_REDISPATCH != 0
    }

    /// Changes the settings, and the scheduler if there is a new one. [`EPERM`]: it would have no
    /// connection entries, but its settings or destinations need them. Configuration mutex held.
    pub fn edit(&self, settings: &Settings, scheduler: Option<Bound>) -> Result {
        if self.would_be_stateless(settings, scheduler.as_ref()) {
            let destinations = self.destinations()?;
            let mut settings_of = destinations.iter().map(|server| server.settings());
            if !settings.allow_stateless() || !settings_of.all(|s| s.allow_stateless()) {
                return Err(EPERM);
            }
        }
        let engine = settings.engine.map(engine::Bound::new).transpose()?;
        if let Some(new) = scheduler {
            let prepared = Prepared::new(self.destinations()?, &new, None)?;
            prepared.take_effect(&self.pool, Change::Reset);
            *self.scheduler.lock() = Some(new);
        }
        self.engine.replace(engine);
        self.set(settings);
        Ok(())
    }

    /// Prepares new settings, the scheduler if there is a new one, and the list of destinations if
    /// there is a new one, which differs from the present one by `change`. Whether all go together
    /// is not checked. Configuration mutex held until it takes effect.
    pub(crate) fn prepare(
        &self,
        settings: Settings,
        scheduler: Option<Bound>,
        destinations: Option<KVVec<Arc<Destination>>>,
        change: Change,
    ) -> Result<Prospect> {
        let pool = match (&scheduler, destinations) {
            (Some(new), destinations) => {
                let destinations = match destinations {
                    Some(destinations) => destinations,
                    None => self.destinations()?,
                };
                Some((Prepared::new(destinations, new, None)?, Change::Reset))
            }
            (None, Some(destinations)) => Some((self.prepare_pool(destinations)?, change)),
            (None, None) => None,
        };
        let engine = settings.engine.map(engine::Bound::new).transpose()?;
        Ok(Prospect {
            settings,
            scheduler,
            engine,
            pool,
        })
    }

    /// Makes `prospect`, which was prepared for this service, its present. Configuration mutex
    /// held.
    pub(crate) fn take(&self, prospect: Prospect) {
        let Prospect {
            settings,
            scheduler,
            engine,
            pool,
        } = prospect;
        if let Some((prepared, change)) = pool {
            prepared.take_effect(&self.pool, change);
        }
        if let Some(new) = scheduler {
            *self.scheduler.lock() = Some(new);
        }
        self.engine.replace(engine);
        self.set(&settings);
    }

    /// Leaves a destination that is no longer in the list. Configuration mutex held.
    pub(crate) fn leave(&self, server: &Destination) {
        server.detach();
        let mut retired = self.retired.get();
        retired.add(&server.statistics.traffic().totals);
        self.retired.set(&retired);
        self.drops.absorb(&server.statistics.drops);
    }

    fn set(&self, settings: &Settings) {
        self.flags.store(settings.flags, Ordering::Relaxed);
        self.timeout.store(settings.timeout, Ordering::Relaxed);
        self.netmask.store(settings.netmask, Ordering::Relaxed);
    }

    /// True if the service would have no connection entries with these settings, and with this
    /// scheduler or the present one. Configuration mutex held.
    pub(crate) fn would_be_stateless(
        &self,
        settings: &Settings,
        scheduler: Option<&Bound>,
    ) -> bool {
        match scheduler {
            Some(new) => is_stateless(settings, new),
            None => {
                let present = self.scheduler.lock();
                let present = present.as_ref();
                present.is_some_and(|bound| is_stateless(settings, bound))
            }
        }
    }

    /// True if a destination of it may have these settings.
    fn allows(&self, settings: &destination::Settings) -> bool {
        let stateless = knet::rcu::read(|section| self.stateless_pool(section).is_some());
        !stateless || settings.allow_stateless()
    }

    /// A copy of the list of destinations. Process context.
    pub fn destinations(&self) -> Result<KVVec<Arc<Destination>>> {
        self.copy(0)
    }

    /// A copy of the list with room for `more`. The list changes under the configuration mutex
    /// only, so it has the same length when it is counted and when it is copied; if it changed all
    /// the same, [`EAGAIN`].
    fn copy(&self, more: usize) -> Result<KVVec<Arc<Destination>>> {
        let len =
            knet::rcu::read(|section| self.pool(section).map_or(0, |pool| pool.destinations.len()));
        let mut copy =
            KVVec::with_capacity(len.checked_add(more).ok_or(EOVERFLOW)?, GFP_KERNEL_ACCOUNT)?;
        knet::rcu::read(|section| {
            let destinations = self
                .pool(section)
                .map_or(&[][..], |pool| &pool.destinations);
            for server in destinations {
                copy.push_within_capacity(server.clone())
                    .map_err(|_| EAGAIN)?;
            }
            Ok(copy)
        })
    }

    /// The destination at `endpoint`. Process context.
    pub fn find(&self, endpoint: Endpoint) -> Option<Arc<Destination>> {
        knet::rcu::read(|section| {
            let destinations = &self.pool(section)?.destinations;
            destinations
                .iter()
                .find(|server| server.endpoint == endpoint)
                .cloned()
        })
    }

    /// Adds a destination, which must not be there yet. [`EPERM`]: it needs connection entries,
    /// which the service does not have. Configuration mutex held.
    pub fn add(&self, server: Arc<Destination>) -> Result {
        if !self.allows(&server.settings()) {
            return Err(EPERM);
        }
        let mut destinations = self.copy(1)?;
        let index = destinations.len();
        destinations.push(server.clone(), GFP_KERNEL)?;
        // Before packets can choose it.
        server.attach();
        self.change(destinations, Change::Added(index))
            .inspect_err(|_| server.detach())
    }

    /// Removes a destination and returns it. Configuration mutex held.
    pub fn remove(&self, endpoint: Endpoint) -> Result<Option<Arc<Destination>>> {
        let mut destinations = self.destinations()?;
        let Some(index) = destinations
            .iter()
            .position(|server| server.endpoint == endpoint)
        else {
            return Ok(None);
        };
        let server = destinations.remove(index).map_err(|_| EINVAL)?;
        self.change(destinations, Change::Removed(index))?;
        self.leave(&server);
        Ok(Some(server))
    }

    /// Changes the settings of one of its destinations. [`EPERM`]: as in [`Self::add`].
    /// Configuration mutex held.
    pub fn edit_destination(
        &self,
        server: &Arc<Destination>,
        settings: &destination::Settings,
    ) -> Result {
        if !self.allows(settings) {
            return Err(EPERM);
        }
        let destinations = self.destinations()?;
        let same = |other: &Arc<Destination>| Arc::ptr_eq(other, server);
        let index = destinations.iter().position(same).ok_or(ENOENT)?;
        let prepared = self.prepare_pool(destinations)?;
        server.set(settings);
        prepared.take_effect(&self.pool, Change::Edited(index));
        Ok(())
    }

    /// Takes the service out of use, and releases the scheduler, whose module may be unloaded from
    /// now on. Configuration mutex held.
    pub fn retire(&self) {
        knet::rcu::read(|section| {
            for server in self
                .pool(section)
                .iter()
                .flat_map(|pool| &pool.destinations)
            {
                server.lose_service();
            }
        });
        // The RCU callback of what packets may still use is queued before the module is released:
        // unloading waits for RCU.
        self.pool.replace(None);
        self.engine.replace(None);
        *self.scheduler.lock() = None;
    }

    /// Replaces the list of destinations. Either all of it happens or nothing.
    fn change(&self, destinations: KVVec<Arc<Destination>>, change: Change) -> Result {
        self.prepare_pool(destinations)?
            .take_effect(&self.pool, change);
        Ok(())
    }

    fn prepare_pool(&self, destinations: KVVec<Arc<Destination>>) -> Result<Prepared> {
        let bound = self.scheduler.lock();
        let former = knet::rcu::read(|section| self.pool.get(section).cloned());
        Prepared::new(destinations, bound.as_ref().ok_or(ESRCH)?, former)
    }

    /// The traffic of all its destinations since the last [`Self::zero`]. Process context.
    pub fn traffic(&self) -> Traffic {
        let mut sum = Traffic {
            totals: self.retired.get(),
            rates: Totals::default(),
        };
        knet::rcu::read(|section| {
            for server in self
                .pool(section)
                .iter()
                .flat_map(|pool| &pool.destinations)
            {
                sum.add(&server.statistics.traffic());
            }
        });
        sum
    }

    /// The packets that were dropped for this reason, among them those of all its destinations,
    /// since the last [`Self::zero`]. Process context.
    pub fn dropped(&self, reason: Reason) -> u64 {
        knet::rcu::read(|section| {
            let destinations = self
                .pool(section)
                .map_or(&[][..], |pool| &pool.destinations);
            destinations
                .iter()
                .fold(self.drops.get(reason), |sum, server| {
                    sum.wrapping_add(server.statistics.drops.get(reason))
                })
        })
    }

    /// Adds what each CPU has ever counted for the present destinations. Process context.
    pub fn count_by_cpu(&self, counts: &mut PerCpu) {
        knet::rcu::read(|section| {
            for server in self
                .pool(section)
                .iter()
                .flat_map(|pool| &pool.destinations)
            {
                counts.add(&server.statistics.live);
            }
        });
    }

    /// Starts counting from zero. Configuration mutex held.
    pub fn zero(&self) {
        self.retired.set(&Totals::default());
        self.drops.zero();
        knet::rcu::read(|section| {
            for server in self
                .pool(section)
                .iter()
                .flat_map(|pool| &pool.destinations)
            {
                server.statistics.zero();
            }
        });
    }
}
