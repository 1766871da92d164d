// SPDX-License-Identifier: GPL-2.0-only

//! Pools: the destinations of a service and what its scheduler made of them, as packets see them.
//!
//! Every change makes a new pool. What can fail happens while it is prepared; then it takes effect
//! as a whole.
//!
//! # Ownership
//!
//! A pool owns its destinations. If its scheduler follows loads, each destination owns the pool as
//! well, by its [`Observer`]: the only ownership loop of this crate. Two things break it, each
//! after a grace period. [`Prepared::take_effect`] moves the observers of all destinations to the
//! new pool. [`Destination::detach`] drops the observer of a destination that leaves its
//! service, as each destination does in the end: when it is deleted, or with its service.

use crate::services::{
    destination::{Destination, FollowLoads, Observer},
    scheduler::{Bound, Change, Flow, Instance, List},
};
use core::sync::atomic::AtomicU64;
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::rcu::{Boxed, Cell};
use lvs_core::service::SchedulerName;

/// The destinations of a service and their scheduler, as packets see them.
pub struct Pool {
    /// The name of the scheduler.
    pub name: SchedulerName,
    /// The destinations, in the order in which they were added.
    pub destinations: KVVec<Arc<Destination>>,
    /// See [`Instance::measures_delays`].
    pub measures_delays: bool,
    /// See [`Instance::may_be_stateless`].
    pub may_be_stateless: bool,
    scheduler: Arc<dyn Instance>,
    /// What the scheduler made of the list.
    memory: KVVec<AtomicU64>,
}

impl Pool {
    fn new(
        destinations: KVVec<Arc<Destination>>,
        bound: &Bound,
        former: usize,
    ) -> Result<Arc<Self>> {
        let words = bound.instance.words(destinations.len(), former);
        let mut memory = KVVec::with_capacity(words, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..words {
            memory.push(AtomicU64::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        let pool = Self {
            name: bound.name,
            destinations,
            measures_delays: bound.instance.measures_delays(),
            may_be_stateless: bound.instance.may_be_stateless(),
            scheduler: bound.instance.clone(),
            memory,
        };
        Ok(Arc::new(pool, GFP_KERNEL_ACCOUNT)?)
    }

    #[inline]
    fn list(&self) -> List<'_, Arc<Destination>> {
        List {
            destinations: &self.destinations,
            memory: &self.memory,
        }
    }

    /// The destination for a new connection. Softirq.
    pub fn select(&self, flow: &Flow<'_>) -> Option<&Arc<Destination>> {
        self.destinations
            .get(self.scheduler.select(&self.list(), flow)?)
    }
}

impl FollowLoads for Pool {
    fn load_changed(&self, index: usize) {
        self.scheduler.load_changed(&self.list(), index);
    }
}

/// A pool that is ready to take effect, which cannot fail.
pub(crate) struct Prepared {
    pool: Boxed<Arc<Pool>>,
    /// One for each destination, if the scheduler follows loads.
    observers: KVVec<Boxed<Observer>>,
    /// The present pool of the same scheduler.
    former: Option<Arc<Pool>>,
}

impl Prepared {
    /// Allocates all. `former` is the present pool of the same scheduler. Process context.
    pub(crate) fn new(
        destinations: KVVec<Arc<Destination>>,
        bound: &Bound,
        former: Option<Arc<Pool>>,
    ) -> Result<Self> {
        let words = former.as_ref().map_or(0, |pool| pool.memory.len());
        let pool = Pool::new(destinations, bound, words)?;
        let followed = match bound.instance.follows_loads() {
            true => pool.destinations.len(),
            false => 0,
        };
        let mut observers = KVVec::with_capacity(followed, GFP_KERNEL_ACCOUNT)?;
        for index in 0..followed {
            let observer = Observer::new(pool.clone(), index);
            let observer = Boxed::new(observer, GFP_KERNEL_ACCOUNT)?;
            observers.push(observer, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            pool: Boxed::new(pool, GFP_KERNEL_ACCOUNT)?,
            observers,
            former,
        })
    }

    /// The pool of a new service, which is empty.
    pub(crate) fn into_pool(self) -> Boxed<Arc<Pool>> {
        self.pool
    }

    /// Puts the pool into `cell`, where packets find it. Configuration mutex held.
    pub(crate) fn take_effect(self, cell: &Cell<Arc<Pool>>, change: Change) {
        let Self {
            pool,
            observers,
            former,
        } = self;
        let mut observers = observers.into_iter();
        // From here on the destinations notify the new pool, so that the scheduler, which reads all
        // loads now, misses no change.
        for server in &pool.destinations {
            server.observe(observers.next());
        }
        let former = former.as_ref().map_or(&[][..], |pool| &pool.memory);
        pool.scheduler.changed(&pool.list(), former, change);
        cell.replace(Some(pool));
    }
}
