// SPDX-License-Identifier: GPL-2.0-only

//! Pools: the destinations of a service and what its scheduler made of them, as packets see it.
//!
//! Every change makes another pool. All that can fail happens while it is prepared; then it is put
//! in force as a whole.

use crate::services::{
    destination::{Place, RealServer},
    scheduler::{Bound, Change, Flow, Instance, List, Name},
};
use core::sync::atomic::AtomicU64;
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::rcu::{Boxed, Cell};

/// The destinations of a service and what schedules them, as packets see it.
pub struct Pool {
    /// The name of the scheduler.
    pub name: Name,
    /// The destinations, in the order in which they were added.
    pub servers: KVVec<RealServer>,
    /// See [`Algorithm::MEASURES_DELAYS`](crate::services::scheduler::Algorithm::MEASURES_DELAYS).
    pub measures_delays: bool,
    /// See [`Algorithm::MAY_BE_STATELESS`](crate::services::scheduler::Algorithm::MAY_BE_STATELESS).
    pub may_be_stateless: bool,
    scheduler: Arc<dyn Instance>,
    /// What the scheduler made of the list.
    memory: KVVec<AtomicU64>,
}

impl Pool {
    fn new(servers: KVVec<RealServer>, bound: &Bound, former: usize) -> Result<Arc<Self>> {
        let words = bound.instance.words(servers.len(), former);
        let mut memory = KVVec::with_capacity(words, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..words {
            memory.push(AtomicU64::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        let pool = Self {
            name: bound.name,
            servers,
            measures_delays: bound.instance.measures_delays(),
            may_be_stateless: bound.instance.may_be_stateless(),
            scheduler: bound.instance.clone(),
            memory,
        };
        Ok(Arc::new(pool, GFP_KERNEL_ACCOUNT)?)
    }

    #[inline]
    fn list(&self) -> List<'_, RealServer> {
        List {
            servers: &self.servers,
            memory: &self.memory,
        }
    }

    /// The destination for a new connection. Softirq.
    pub fn select(&self, flow: &Flow) -> Option<&RealServer> {
        self.servers.get(self.scheduler.select(&self.list(), flow)?)
    }

    /// The number of connections of the server at `index` has changed. Any context.
    pub fn load_changed(&self, index: usize) {
        self.scheduler.load_changed(&self.list(), index);
    }
}

/// A list of destinations that can be put in force, which cannot fail.
pub(crate) struct Prepared {
    pool: Boxed<Arc<Pool>>,
    /// For those who follow loads: where each server stands.
    places: KVVec<Boxed<Place>>,
    /// What the same scheduler has now.
    former: Option<Arc<Pool>>,
}

impl Prepared {
    /// Allocates it all. `former` is the same scheduler's list now. Process context.
    pub(crate) fn new(
        servers: KVVec<RealServer>,
        bound: &Bound,
        former: Option<Arc<Pool>>,
    ) -> Result<Self> {
        let words = former.as_ref().map_or(0, |pool| pool.memory.len());
        let pool = Pool::new(servers, bound, words)?;
        let followed = match bound.instance.follows_loads() {
            true => pool.servers.len(),
            false => 0,
        };
        let mut places = KVVec::with_capacity(followed, GFP_KERNEL_ACCOUNT)?;
        for index in 0..followed {
            let place = Place::new(pool.clone(), index);
            places.push(Boxed::new(place, GFP_KERNEL_ACCOUNT)?, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            pool: Boxed::new(pool, GFP_KERNEL_ACCOUNT)?,
            places,
            former,
        })
    }

    /// The list alone, which must be empty.
    pub(crate) fn into_pool(self) -> Boxed<Arc<Pool>> {
        self.pool
    }

    /// Puts the list into `cell`, where packets find it. Configuration mutex held.
    pub(crate) fn put_in_force(self, cell: &Cell<Arc<Pool>>, change: Change) {
        let Self {
            pool,
            places,
            former,
        } = self;
        let mut places = places.into_iter();
        // From here on the servers tell the new list of their loads, so that the scheduler, which
        // looks at all of them now, misses none.
        for server in &pool.servers {
            server.stand_at(places.next());
        }
        let former = former.as_ref().map_or(&[][..], |pool| &pool.memory);
        pool.scheduler.changed(&pool.list(), former, change);
        cell.replace(Some(pool));
    }
}
