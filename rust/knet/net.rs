// SPDX-License-Identifier: GPL-2.0-only

//! Network namespaces.
//!
//! C header: `include/net/net_namespace.h`

use crate::{bindings, route::raw};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::{Arc, Completion},
};
use lvs_core::{Address, Family};

/// A network namespace. It lives as long as there is a clone of this: the namespace does not end
/// before the last one is dropped (see [`crate::namespace::Instance::stop`]).
#[derive(Clone)]
pub struct Net(Arc<Alive>);

/// # Invariants
///
/// The namespace is alive until `unused` is completed.
struct Alive {
    net: NonNull<bindings::net>,
    unused: Arc<Completion>,
}

// SAFETY: the functions of a namespace lock for themselves.
unsafe impl Send for Alive {}
// SAFETY: as above.
unsafe impl Sync for Alive {}

impl Drop for Alive {
    fn drop(&mut self) {
        self.unused.complete_all();
    }
}

impl Net {
    /// A namespace, with the completion for the end of its last clone.
    ///
    /// # Safety
    ///
    /// The namespace must not end before the completion.
    pub(crate) unsafe fn new(net: NonNull<bindings::net>) -> Result<(Self, Arc<Completion>)> {
        let unused = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let completion = unused.clone();
        // INVARIANT: by this function's contract. Without memory nothing was handed out.
        let alive = Arc::new(Alive { net, unused }, GFP_KERNEL)?;
        Ok((Self(alive), completion))
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.0.net.as_ptr()
    }

    /// Whether the host supports this family: IPv6 can be disabled at boot. Any context.
    pub fn supports(&self, family: Family) -> bool {
        // SAFETY: may be called anywhere.
        family == Family::V4 || unsafe { bindings::knet_ipv6_enabled() }
    }

    /// True for the namespace that the host booted with. Any context.
    pub fn is_initial(&self) -> bool {
        // SAFETY: compares addresses only.
        unsafe { bindings::knet_namespace_is_initial(self.as_ptr()) }
    }

    /// Looks for hooks of others that need not see the packets that the director forwards: those of
    /// conntrack and of AppArmor. Process context.
    pub fn recognize_hooks(&self) {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe { bindings::knet_recognize(self.as_ptr()) };
    }

    /// Its number, as in `/proc/PID/ns/net`. Any context.
    pub fn number(&self) -> u32 {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe { bindings::knet_namespace_number(self.as_ptr()) }
    }

    /// Whether the address is that of one host, and not of this one. Any context, inside an RCU
    /// read section.
    pub fn is_elsewhere(&self, address: Address) -> bool {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe { bindings::knet_address_is_elsewhere(self.as_ptr(), &raw(address)) }
    }

    /// Whether the address is one of this host. Process context.
    pub fn is_local(&self, address: Address) -> bool {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe { bindings::knet_address_is_local(self.as_ptr(), &raw(address)) }
    }
}
