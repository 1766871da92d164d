// SPDX-License-Identifier: GPL-2.0-only

//! Persistence engines, and how modules register them.
//!
//! A module offers one with [`module_engine!`](crate::module_engine). A service that uses it, and
//! each template with what it found, keep the module loaded.

use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{alloc::KVec, prelude::*, ThisModule};
use knet::{
    lock::Global,
    module,
    rcu::{self, Boxed},
};
use lvs_core::engine::{Engine, EngineName};

#[derive(Clone, Copy)]
struct Offer {
    name: EngineName,
    module: &'static ThisModule,
    engine: &'static dyn Engine,
}

static OFFERS: Global<KVec<Offer>> = Global::new(KVec::new());
/// Services that use an engine.
static SERVICES: AtomicU32 = AtomicU32::new(0);

/// Registers an engine for as long as it lives.
pub struct Registration(EngineName);

impl Registration {
    /// Registers `engine` of `module` as `name`; [`EEXIST`] if the name is in use. Process context.
    pub fn new(
        module: &'static ThisModule,
        name: &'static CStr,
        engine: &'static dyn Engine,
    ) -> Result<Self> {
        let name = EngineName::new(name.to_bytes()).ok_or(EINVAL)?;
        OFFERS.with(|offers| {
            if offers.iter().any(|other| other.name == name) {
                return Err(EEXIST);
            }
            let offer = Offer {
                name,
                module,
                engine,
            };
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
        // Nothing refers to the engine, or its module would be in use; but a packet may still be
        // inside of it, whose service has released it.
        rcu::barrier();
    }
}

/// Whether there is an engine of this name. Process context.
pub(crate) fn is_offered(name: EngineName) -> bool {
    OFFERS.with(|offers| offers.iter().any(|offer| offer.name == name))
}

/// Loads the module of the engine of this name, if it is not loaded. Process context, without
/// locks.
pub(crate) fn request(name: EngineName) {
    if !is_offered(name) {
        module::request(c"ipvs_rs_pe_", name.as_c_str());
    }
}

/// Whether any service uses an engine. Any context.
#[inline]
pub(crate) fn is_any() -> bool {
    SERVICES.load(Ordering::Relaxed) != 0
}

/// A reference to an engine, which keeps its module loaded.
pub struct Reference {
    offer: Offer,
    _module: module::Reference,
}

impl Reference {
    fn new(offer: Offer) -> Option<Self> {
        let module = module::Reference::new(offer.module)?;
        Some(Self {
            offer,
            _module: module,
        })
    }

    /// A reference to the engine of this name; [`ENOENT`] if it is not loaded. Process context.
    pub(crate) fn find(name: EngineName) -> Result<Self> {
        OFFERS.with(|offers| {
            let offer = offers.iter().find(|offer| offer.name == name);
            offer.copied().and_then(Self::new).ok_or(ENOENT)
        })
    }

    /// Another reference; fails if the module is being unloaded. Any context.
    pub(crate) fn again(&self) -> Option<Self> {
        Self::new(self.offer)
    }

    /// The engine's name. Any context.
    pub(crate) fn name(&self) -> &EngineName {
        &self.offer.name
    }

    /// The engine. Any context.
    pub(crate) fn engine(&self) -> &'static dyn Engine {
        self.offer.engine
    }
}

/// An engine bound to a service.
pub struct Bound(Reference);

impl Bound {
    /// Binds the engine of this name; [`ENOENT`] if it is not loaded. Process context.
    pub(crate) fn new(name: EngineName) -> Result<Boxed<Self>> {
        let reference = Reference::find(name)?;
        SERVICES.fetch_add(1, Ordering::Relaxed);
        // Without memory it is dropped, and counted out.
        Ok(Boxed::new(Self(reference), GFP_KERNEL)?)
    }

    /// The engine. Any context.
    pub(crate) fn reference(&self) -> &Reference {
        &self.0
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        SERVICES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Declares a module that offers one persistence engine, by the name that administrators use:
///
/// ```ignore
/// ipvs::module_engine! {
///     engine: lvs_core::sip::CallId,
///     shown: c"sip",
///     name: "ipvs_rs_pe_sip",
///     description: "Persistence by the Call-ID of SIP",
/// }
/// ```
#[macro_export]
macro_rules! module_engine {
    (
        engine: $engine:expr,
        shown: $shown:expr,
        name: $name:literal,
        description: $description:literal $(,)?
    ) => {
        struct Module {
            _registration: $crate::services::engine::Registration,
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
                    _registration: $crate::services::engine::Registration::new(
                        module, $shown, &$engine,
                    )?,
                })
            }
        }
    };
}
