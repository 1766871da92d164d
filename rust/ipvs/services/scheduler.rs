// SPDX-License-Identifier: GPL-2.0-only

//! Schedulers, and how modules register them.
//!
//! A scheduler module is one [`module_scheduler!`](crate::module_scheduler) line that names an
//! algorithm of `lvs_core`; see `Documentation/adding-a-scheduler.rst`.

use crate::services::destination::Destination;
use core::sync::atomic::AtomicU64;
use kernel::{alloc::KVec, prelude::*, sync::Arc, ThisModule};
use knet::{lock::Global, module, random, rcu};
use lvs_core::{scheduler::Unscheduled, service::SchedulerName};

pub use lvs_core::scheduler::{Algorithm, Change, Flow, List, Options};

/// The methods of an [`Algorithm`] over destinations, behind a pointer. They are compiled into the
/// scheduler's module.
pub trait Instance: Send + Sync {
    /// See [`Algorithm::FOLLOWS_LOADS`]. Any context.
    fn follows_loads(&self) -> bool;
    /// See [`Algorithm::MEASURES_DELAYS`]. Any context.
    fn measures_delays(&self) -> bool;
    /// See [`Algorithm::MAY_BE_STATELESS`]. Any context.
    fn may_be_stateless(&self) -> bool;
    /// See [`Algorithm::words`]. Any context.
    fn words(&self, servers: usize, former: usize) -> usize;
    /// See [`Algorithm::changed`]. Process context.
    fn changed(&self, list: &List<'_, Arc<Destination>>, former: &[AtomicU64], change: Change);
    /// See [`Algorithm::select`]. Softirq, on several CPUs at once.
    fn select(&self, list: &List<'_, Arc<Destination>>, flow: &Flow<'_>) -> Option<usize>;
    /// See [`Algorithm::load_changed`]. Any context, on several CPUs at once.
    fn load_changed(&self, list: &List<'_, Arc<Destination>>, index: usize);
}

impl<A: Algorithm> Instance for A {
    fn follows_loads(&self) -> bool {
        A::FOLLOWS_LOADS
    }

    fn measures_delays(&self) -> bool {
        A::MEASURES_DELAYS
    }

    fn may_be_stateless(&self) -> bool {
        A::MAY_BE_STATELESS
    }

    fn words(&self, servers: usize, former: usize) -> usize {
        A::words(servers, former)
    }

    fn changed(&self, list: &List<'_, Arc<Destination>>, former: &[AtomicU64], change: Change) {
        Algorithm::changed(self, list, former, change);
    }

    fn select(&self, list: &List<'_, Arc<Destination>>, flow: &Flow<'_>) -> Option<usize> {
        Algorithm::select(self, list, flow)
    }

    fn load_changed(&self, list: &List<'_, Arc<Destination>>, index: usize) {
        Algorithm::load_changed(self, list, index);
    }
}

struct Offer {
    name: &'static CStr,
    module: &'static ThisModule,
    make: fn() -> Result<Arc<dyn Instance>>,
}

static OFFERS: Global<KVec<Offer>> = Global::new(KVec::new());

/// Registers a scheduler for as long as it lives.
pub struct Registration(&'static CStr);

impl Registration {
    /// Registers `A` of `module` as `name`; [`EEXIST`] if the name is in use. Process context.
    pub fn new<A: Algorithm>(module: &'static ThisModule, name: &'static CStr) -> Result<Self> {
        Self::offer(Offer {
            name,
            module,
            make: || -> Result<Arc<dyn Instance>> {
                Ok(Arc::new(A::new(random::number()), GFP_KERNEL)?)
            },
        })
    }

    // Not generic, so that it is compiled here and not in each scheduler's module.
    fn offer(offer: Offer) -> Result<Self> {
        let name = offer.name;
        SchedulerName::new(name.to_bytes()).ok_or(EINVAL)?;
        OFFERS.with(|offers| {
            if offers.iter().any(|other| other.name == name) {
                return Err(EEXIST);
            }
            offers.push(offer, GFP_KERNEL)?;
            Ok(Self(name))
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        OFFERS.with(|offers| {
            offers.retain(|offer| offer.name != self.0);
            if offers.is_empty() {
                // A static is never dropped, so the last one frees its memory.
                *offers = KVec::new();
            }
        });
        // No service is bound to it, or its module would be in use; but RCU callbacks of the last
        // one may still run code of that module.
        rcu::barrier();
    }
}

/// A scheduler bound to a service, whose module it keeps loaded.
pub struct Bound {
    /// Its name.
    pub name: SchedulerName,
    /// The algorithm, with its state.
    pub instance: Arc<dyn Instance>,
    /// None for [`UNSCHEDULED`], which is part of this module.
    _module: Option<module::Reference>,
}

/// The name of the scheduler of a service that has none.
const UNSCHEDULED: &CStr = c"none";

impl Bound {
    /// Binds the scheduler called `name`, and loads the module of that name if necessary;
    /// [`ENOENT`] if there is none. Process context, configuration mutex not held.
    pub fn new(name: SchedulerName) -> Result<Self> {
        match Self::find(name) {
            Err(ENOENT) => {
                module::request(c"ipvs_rs_", name.as_c_str());
                Self::find(name)
            }
            result => result,
        }
    }

    /// Binds the scheduler called `name` if its module is loaded; [`ENOENT`] if it is not. Process
    /// context.
    pub(crate) fn find(name: SchedulerName) -> Result<Self> {
        if name.as_c_str() == UNSCHEDULED {
            return Ok(Self {
                name,
                instance: Arc::new(Unscheduled, GFP_KERNEL)?,
                _module: None,
            });
        }
        OFFERS.with(|offers| {
            let offer = offers
                .iter()
                .find(|offer| offer.name == name.as_c_str())
                .ok_or(ENOENT)?;
            let module = module::Reference::new(offer.module).ok_or(ENOENT)?;
            Ok(Self {
                name,
                instance: (offer.make)()?,
                _module: Some(module),
            })
        })
    }
}

/// Declares a module that offers one scheduler, by the name that administrators use, of at most 15
/// bytes:
///
/// ```ignore
/// ipvs::module_scheduler! {
///     algorithm: lvs_core::scheduler::RoundRobin,
///     scheduler: c"rr",
///     name: "ipvs_rs_rr",
///     description: "Round-robin scheduling",
/// }
/// ```
#[macro_export]
macro_rules! module_scheduler {
    (
        algorithm: $algorithm:ty,
        scheduler: $scheduler:expr,
        name: $name:literal,
        description: $description:literal $(,)?
    ) => {
        struct Module {
            _registration: $crate::services::scheduler::Registration,
        }

        kernel::prelude::module! {
            type: Module,
            name: $name,
            authors: ["The ipvs_rs authors"],
            description: $description,
            license: "GPL",
        }

        impl kernel::Module for Module {
            fn init(module: &'static kernel::ThisModule) -> kernel::error::Result<Self> {
                Ok(Self {
                    _registration: $crate::services::scheduler::Registration::new::<$algorithm>(
                        module, $scheduler,
                    )?,
                })
            }
        }
    };
}
