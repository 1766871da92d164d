// SPDX-License-Identifier: GPL-2.0-only

//! One instance of something in every network namespace.
//!
//! C header: `include/net/net_namespace.h`

use crate::{bindings, netlink, rcu, route::raw};
use core::{ffi::c_void, marker::PhantomData, ptr, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};
use lvs_core::{Address, Family};

/// A network namespace.
///
/// # Invariants
///
/// It is handed out to an [`Instance`] only, which must not keep hooks, files or work that use it
/// beyond [`Instance::stop`]; the namespace outlives that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Net(NonNull<bindings::net>);

// SAFETY: only a name for a namespace, whose functions lock for themselves.
unsafe impl Send for Net {}
// SAFETY: as above.
unsafe impl Sync for Net {}

impl Net {
    pub(crate) fn as_ptr(self) -> *mut bindings::net {
        self.0.as_ptr()
    }

    /// False for IPv6 where it was left out at boot. Any context.
    pub fn knows(self, family: Family) -> bool {
        // SAFETY: may be called anywhere.
        family == Family::V4 || unsafe { bindings::knet_ipv6_enabled() }
    }

    /// True for an address of this host. Process context.
    pub fn is_local(self, address: Address) -> bool {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe { bindings::knet_address_is_local(self.as_ptr(), &raw(address)) }
    }
}

/// What there is one of in every network namespace.
pub trait Instance: Send + Sync + Sized + 'static {
    /// Makes the instance of a namespace that begins. Process context.
    fn start(net: Net) -> Result<Arc<Self>>;

    /// Ends everything that works on its own or can be reached from outside: hooks, files, timers.
    /// The value itself is let go after a grace period. Process context.
    fn stop(&self);

    /// A device of the namespace is down, or goes. What is kept of routes keeps devices. Process
    /// context, under the RTNL; may still be called after [`Self::stop`].
    fn device_gone(&self);
}

/// Keeps an instance in every namespace for as long as it lives. There can be one in a module.
pub struct Registration<T: Instance>(PhantomData<T>);

impl<T: Instance> Registration<T> {
    /// Makes the instances of all namespaces, present and future. Process context.
    pub fn new() -> Result<Self> {
        let calls = bindings::knet_namespace_calls {
            init: Some(init::<T>),
            pre_exit: Some(pre_exit::<T>),
            exit: Some(exit::<T>),
            device_gone: Some(device_gone::<T>),
        };
        // SAFETY: the functions fit together: `data` is what `init` stored.
        kernel::error::to_result(unsafe { bindings::knet_namespace_register(&calls) })?;
        Ok(Self(PhantomData))
    }
}

impl<T: Instance> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: registered in `new`.
        unsafe { bindings::knet_namespace_unregister() };
        // What the instances left to RCU runs code of this module.
        rcu::barrier();
    }
}

/// The instance of the namespace that a netlink request came from.
pub fn instance<T: Instance>(source: &impl netlink::Source) -> Option<&T> {
    // SAFETY: the request's namespace is alive while the request is handled.
    let data = unsafe { bindings::knet_namespace_data(source.net()) };
    // SAFETY: what is stored there is null or the `T` that `init` leaked, and the namespace ends,
    // and the module's registration with it, only after its sockets and families are gone. There
    // is one registration in a module, hence one `T`.
    unsafe { data.cast::<T>().cast_const().as_ref() }
}

/// The instance of the namespace that `net` names, for callbacks of files.
///
/// # Safety
///
/// `net` must be alive for `'a`, as must the registration; `T` must be what is registered.
pub(crate) unsafe fn instance_of<'a, T: Instance>(net: *const bindings::net) -> Option<&'a T> {
    // SAFETY: by this function's contract.
    unsafe {
        bindings::knet_namespace_data(net)
            .cast::<T>()
            .cast_const()
            .as_ref()
    }
}

/// # Safety
///
/// As the kernel calls `pernet_operations::init`.
unsafe extern "C" fn init<T: Instance>(net: *mut bindings::net, data: *mut *mut c_void) -> i32 {
    let Some(net) = NonNull::new(net) else {
        return EINVAL.to_errno();
    };
    match T::start(Net(net)) {
        Ok(instance) => {
            let raw = Arc::into_raw(instance);
            // SAFETY: `data` is valid for this write by the contract.
            unsafe { ptr::write(data, raw.cast::<c_void>().cast_mut()) };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// `data` must be what `init` stored.
unsafe extern "C" fn pre_exit<T: Instance>(data: *mut c_void) {
    // SAFETY: `init` leaked one reference, which `exit` takes back only later.
    unsafe { &*data.cast::<T>() }.stop();
}

/// # Safety
///
/// `data` must be what `init` stored, not used again after this.
unsafe extern "C" fn exit<T: Instance>(data: *mut c_void) {
    // SAFETY: takes back the reference that `init` leaked.
    drop(unsafe { Arc::from_raw(data.cast::<T>().cast_const()) });
}

/// # Safety
///
/// `data` must be what `init` stored, and `exit` must not have been called.
unsafe extern "C" fn device_gone<T: Instance>(data: *mut c_void) {
    // SAFETY: `init` leaked one reference, which `exit` takes back only later.
    unsafe { &*data.cast::<T>() }.device_gone();
}
