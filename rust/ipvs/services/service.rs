// SPDX-License-Identifier: GPL-2.0-only

//! Virtual services.

use crate::{
    path::stateless,
    services::{
        destination::{self, RealServer},
        filter::Known,
        pool::{Pool, Prepared},
        scheduler::{Bound, Change, Name},
        statistics::{Remembered, Traffic},
    },
    uapi::service::F_STATELESS,
};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    counters::{Cpu, Totals},
    rcu::{Cell, Section},
};
use lvs_core::{Address, Endpoint, Family, Protocol};

/// What makes a packet belong to a service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// Protocol, address and port; port 0 takes what no service on a port takes.
    Address {
        /// The protocol.
        protocol: Protocol,
        /// The virtual address and port.
        endpoint: Endpoint,
    },
    /// A firewall mark, for packets of all protocols that we know.
    Mark {
        /// The mark, not 0.
        mark: u32,
        /// The family of the marked packets.
        family: Family,
    },
}

impl Key {
    /// The address family of clients.
    pub fn family(&self) -> Family {
        match self {
            Self::Address { endpoint, .. } => endpoint.address.family(),
            Self::Mark { family, .. } => *family,
        }
    }

    /// Its protocol, address and port. For a firewall mark: none, and the mark in network byte order in the
    /// place of the address.
    pub const fn identity(&self) -> (Option<Protocol>, Endpoint) {
        match self {
            Self::Address { protocol, endpoint } => (Some(*protocol), *endpoint),
            Self::Mark { mark, .. } => {
                (None, Endpoint::new(Address::from_v4(mark.to_be_bytes()), 0))
            }
        }
    }

    /// The virtual address; none for a firewall mark.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Address { endpoint, .. } => Some(endpoint.address),
            Self::Mark { .. } => None,
        }
    }
}

/// What an administrator sets of a service, beside its scheduler.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// `IP_VS_SVC_F_*`.
    pub flags: u32,
    /// Persistence timeout in seconds.
    pub timeout: u32,
    /// Persistence granularity: of IPv4 a netmask, in network byte order, of IPv6 the length of a
    /// prefix.
    pub netmask: u32,
}

/// A virtual service.
#[pin_data]
pub struct Service {
    /// What belongs to it.
    pub key: Key,
    flags: AtomicU32,
    timeout: AtomicU32,
    netmask: AtomicU32,
    /// Empty once the service was deleted. Before `scheduler`, hence dropped before it: what is
    /// left to RCU must be so before the scheduler's module is let go.
    pool: Cell<Arc<Pool>>,
    /// The traffic of destinations that were deleted.
    retired: Remembered,
    _known: Known,
    /// Taken with the configuration mutex held, which orders all changes.
    #[pin]
    scheduler: Mutex<Option<Bound>>,
}

impl Service {
    /// A service without destinations. [`EPERM`]: it would have no connection entries, but these settings
    /// need them. Process context.
    pub fn new(key: Key, settings: &Settings, scheduler: Bound, known: Known) -> Result<Arc<Self>> {
        if stateless::is_stateless(settings, &scheduler) && !stateless::allows(settings) {
            return Err(EPERM);
        }
        let pool = Cell::new(Prepared::new(KVVec::new(), &scheduler, None)?.into_pool());
        Arc::pin_init(
            pin_init!(Self {
                key,
                flags: AtomicU32::new(settings.flags),
                timeout: AtomicU32::new(settings.timeout),
                netmask: AtomicU32::new(settings.netmask),
                pool,
                retired: Remembered::new(),
                _known: known,
                scheduler <- new_mutex!(Some(scheduler), "ipvs_rs_service"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The settings. Any context.
    pub fn settings(&self) -> Settings {
        Settings {
            flags: self.flags.load(Ordering::Relaxed),
            timeout: self.timeout.load(Ordering::Relaxed),
            netmask: self.netmask.load(Ordering::Relaxed),
        }
    }

    /// The name of the scheduler; none when the service is gone. Any context.
    pub fn scheduler_name(&self) -> Option<Name> {
        knet::rcu::read(|section| self.pool(section).map(|pool| pool.name))
    }

    /// The destinations and their scheduler; none when the service is gone. Any context.
    pub fn pool<'a>(&self, section: &'a Section<'_>) -> Option<&'a Pool> {
        self.pool.get(section).map(|pool| &**pool)
    }

    /// The same of a service without connection entries. Any context.
    #[inline]
    pub(crate) fn stateless_pool<'a>(&self, section: &'a Section<'_>) -> Option<&'a Pool> {
        if self.flags.load(Ordering::Relaxed) & F_STATELESS == 0 {
            return None;
        }
        self.pool(section).filter(|pool| pool.may_be_stateless)
    }

    /// Changes the settings, and the scheduler if there is a new one. [`EPERM`]: it would have no
    /// connection entries, but has what needs them. Configuration mutex held.
    pub fn edit(&self, settings: &Settings, scheduler: Option<Bound>) -> Result {
        if self.would_be_stateless(settings, scheduler.as_ref()) {
            let servers = self.servers()?;
            let mut settings_of = servers.iter().map(|server| server.settings());
            if !stateless::allows(settings)
                || !settings_of.all(|s| stateless::allows_destination(&s))
            {
                return Err(EPERM);
            }
        }
        if let Some(new) = scheduler {
            let prepared = Prepared::new(self.servers()?, &new, None)?;
            prepared.put_in_force(&self.pool, Change::Reset);
            *self.scheduler.lock() = Some(new);
        }
        self.flags.store(settings.flags, Ordering::Relaxed);
        self.timeout.store(settings.timeout, Ordering::Relaxed);
        self.netmask.store(settings.netmask, Ordering::Relaxed);
        Ok(())
    }

    fn would_be_stateless(&self, settings: &Settings, scheduler: Option<&Bound>) -> bool {
        match scheduler {
            Some(new) => stateless::is_stateless(settings, new),
            None => {
                let present = self.scheduler.lock();
                let present = present.as_ref();
                present.is_some_and(|bound| stateless::is_stateless(settings, bound))
            }
        }
    }

    /// Whether a destination may have these settings.
    fn allows(&self, settings: &destination::Settings) -> bool {
        let stateless = knet::rcu::read(|section| self.stateless_pool(section).is_some());
        !stateless || stateless::allows_destination(settings)
    }

    /// A copy of the list of destinations. Process context.
    pub fn servers(&self) -> Result<KVVec<RealServer>> {
        self.copy(0)
    }

    /// A copy of the list with room for `more`. The list changes under the configuration mutex
    /// only, so it has the same length when it is counted and when it is copied; should it have
    /// changed all the same, the copy is refused.
    fn copy(&self, more: usize) -> Result<KVVec<RealServer>> {
        let len =
            knet::rcu::read(|section| self.pool(section).map_or(0, |pool| pool.servers.len()));
        let mut copy =
            KVVec::with_capacity(len.checked_add(more).ok_or(EOVERFLOW)?, GFP_KERNEL_ACCOUNT)?;
        knet::rcu::read(|section| {
            let servers = self.pool(section).map_or(&[][..], |pool| &pool.servers);
            for server in servers {
                copy.push_within_capacity(server.clone())
                    .map_err(|_| EAGAIN)?;
            }
            Ok(copy)
        })
    }

    /// The destination at `endpoint`. Process context.
    pub fn find(&self, endpoint: Endpoint) -> Option<RealServer> {
        knet::rcu::read(|section| {
            let servers = &self.pool(section)?.servers;
            servers
                .iter()
                .find(|server| server.endpoint == endpoint)
                .cloned()
        })
    }

    /// Adds a destination, which must not be there yet. [`EPERM`]: it needs connection entries, which the
    /// service does not have. Configuration mutex held.
    pub fn add(&self, server: RealServer) -> Result {
        if !self.allows(&server.settings()) {
            return Err(EPERM);
        }
        let mut servers = self.copy(1)?;
        let index = servers.len();
        servers.push(server.clone(), GFP_KERNEL)?;
        // Before packets can choose it.
        server.set_available(true);
        self.change(servers, Change::Added(index))
            .inspect_err(|_| server.set_available(false))
    }

    /// Removes a destination and returns it. Configuration mutex held.
    pub fn remove(&self, endpoint: Endpoint) -> Result<Option<RealServer>> {
        let mut servers = self.servers()?;
        let Some(index) = servers
            .iter()
            .position(|server| server.endpoint == endpoint)
        else {
            return Ok(None);
        };
        let server = servers.remove(index).map_err(|_| EINVAL)?;
        self.change(servers, Change::Removed(index))?;
        server.set_available(false);
        let mut retired = self.retired.get();
        retired.add(&server.statistics.traffic().totals);
        self.retired.set(&retired);
        Ok(Some(server))
    }

    /// Changes the settings of one of its destinations. [`EPERM`]: as [`Self::add`]. Configuration mutex
    /// held.
    pub fn edit_destination(
        &self,
        server: &RealServer,
        settings: &destination::Settings,
    ) -> Result {
        if !self.allows(settings) {
            return Err(EPERM);
        }
        let servers = self.servers()?;
        let same = |other: &RealServer| Arc::ptr_eq(&other.0, &server.0);
        let index = servers.iter().position(same).ok_or(ENOENT)?;
        let prepared = self.prepare(servers)?;
        server.set(settings);
        prepared.put_in_force(&self.pool, Change::Edited(index));
        Ok(())
    }

    /// Takes the service out of use, and lets go of the scheduler, whose module may be unloaded
    /// from now on. Configuration mutex held.
    pub fn retire(&self) {
        knet::rcu::read(|section| {
            for server in self.pool(section).iter().flat_map(|pool| &pool.servers) {
                server.set_available(false);
            }
        });
        // First what packets may still use is left to RCU, only then the module is let go: its
        // unloading waits for RCU.
        self.pool.replace(None);
        *self.scheduler.lock() = None;
    }

    /// Puts the new list in force. Either all of it happens or nothing.
    fn change(&self, servers: KVVec<RealServer>, change: Change) -> Result {
        self.prepare(servers)?.put_in_force(&self.pool, change);
        Ok(())
    }

    fn prepare(&self, servers: KVVec<RealServer>) -> Result<Prepared> {
        let bound = self.scheduler.lock();
        let former = knet::rcu::read(|section| self.pool.get(section).cloned());
        Prepared::new(servers, bound.as_ref().ok_or(ESRCH)?, former)
    }

    /// The traffic of all its destinations since the last [`Self::zero`]. Process context.
    pub fn traffic(&self) -> Traffic {
        let mut sum = Traffic {
            totals: self.retired.get(),
            rates: Totals::default(),
        };
        knet::rcu::read(|section| {
            for server in self.pool(section).iter().flat_map(|pool| &pool.servers) {
                sum.add(&server.statistics.traffic());
            }
        });
        sum
    }

    /// What one CPU has counted for the present destinations, ever. Process context.
    pub fn counted_by(&self, cpu: Cpu) -> Totals {
        let mut sum = Totals::default();
        knet::rcu::read(|section| {
            for server in self.pool(section).iter().flat_map(|pool| &pool.servers) {
                sum.add(&server.statistics.live.of(cpu));
            }
        });
        sum
    }

    /// Starts counting from zero. Configuration mutex held.
    pub fn zero(&self) {
        self.retired.set(&Totals::default());
        knet::rcu::read(|section| {
            for server in self.pool(section).iter().flat_map(|pool| &pool.servers) {
                server.statistics.zero();
            }
        });
    }
}
