// SPDX-License-Identifier: GPL-2.0-only

//! One instance of a type in every network namespace.
//!
//! C header: `include/net/net_namespace.h`

use crate::{bindings, net::Net, netlink, rcu};
use core::{any::TypeId, ffi::c_void, marker::PhantomData, ptr, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::{Arc, Completion},
};

/// True if the calling task has CAP_NET_ADMIN in the initial user namespace. Process context.
pub fn caller_administers_host() -> bool {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::knet_caller_administers_host() }
}

/// A type with one instance in every network namespace.
pub trait Instance: Send + Sync + Sized + 'static {
    /// Creates the instance of a new namespace. Process context.
    fn start(net: Net) -> Result<Arc<Self>>;

    /// Ends all activity of the instance: hooks, files, work. Process context.
    ///
    /// The instance must drop its clones of [`Net`], and everything that was registered with
    /// one. The end of the namespace waits for that.
    fn stop(&self);

    /// A device of the namespace is down, or is being removed. Cached routes keep devices. Process
    /// context, under the RTNL; may be called after [`Self::stop`].
    fn device_gone(&self);

    /// The device with this index is being removed, or moves to another namespace. Process context,
    /// under the RTNL; may be called after [`Self::stop`].
    fn device_removed(&self, device: i32);
}

/// Keeps an instance in every namespace. There can be one registration in a module.
pub struct Registration<T: Instance>(PhantomData<T>);

impl<T: Instance> Registration<T> {
    /// Creates the instances of all present and future namespaces. Process context.
    pub fn new() -> Result<Self> {
        let calls = bindings::knet_namespace_calls {
            init: Some(init::<T>),
            pre_exit: Some(pre_exit::<T>),
            exit: Some(exit::<T>),
            device_gone: Some(device_gone::<T>),
            device_removed: Some(device_removed::<T>),
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
        // RCU callbacks of the instances run code of this module.
        rcu::barrier();
    }
}

/// The data of a namespace.
#[repr(C)]
struct Kept<T> {
    // First, so that it can be read before `T` is known.
    kind: TypeId,
    instance: Arc<T>,
    /// Completed when the last [`Net`] is dropped.
    unused: Arc<Completion>,
}

/// The instance of the namespace that a netlink request came from, while there is one.
pub fn instance<T: Instance>(source: &impl netlink::Source) -> Option<Arc<T>> {
    // SAFETY: the request's namespace is alive while the request is handled.
    unsafe { instance_of(source.net()) }
}

/// The instance of the namespace `net`, while there is one.
///
/// # Safety
///
/// `net` must be alive.
pub(crate) unsafe fn instance_of<T: Instance>(net: *const bindings::net) -> Option<Arc<T>> {
    rcu::read(|_| {
        // SAFETY: the namespace is alive, and this is an RCU read section.
        let kept = unsafe { bindings::knet_namespace_data(net) };
        // SAFETY: it is null or a `Kept` of some type, which begins with its kind and is freed
        // after a grace period.
        let kind = unsafe { kept.cast::<TypeId>().as_ref() }?;
        if *kind != TypeId::of::<T>() {
            return None;
        }
        // SAFETY: not null, of this type, and valid in this section.
        Some(unsafe { &*kept.cast::<Kept<T>>() }.instance.clone())
    })
}

/// # Safety
///
/// As the kernel calls `pernet_operations::init`.
unsafe extern "C" fn init<T: Instance>(net: *mut bindings::net, data: *mut *mut c_void) -> i32 {
    let Some(net) = NonNull::new(net) else {
        return EINVAL.to_errno();
    };
    // SAFETY: `pre_exit` waits for the completion, and so does this function if it fails.
    let (net, unused) = match unsafe { Net::new(net) } {
        Ok(net) => net,
        Err(error) => return error.to_errno(),
    };
    let kept = T::start(net).and_then(|instance| {
        let kept = Kept {
            kind: TypeId::of::<T>(),
            instance: instance.clone(),
            unused: unused.clone(),
        };
        KBox::new(kept, GFP_KERNEL).map_err(|_| {
            instance.stop();
            ENOMEM
        })
    });
    match kept {
        Ok(kept) => {
            // SAFETY: `data` is valid for this write by the contract.
            unsafe { ptr::write(data, KBox::into_raw(kept).cast()) };
            0
        }
        Err(error) => {
            unused.wait_for_completion();
            error.to_errno()
        }
    }
}

/// # Safety
///
/// `data` must be what `init` stored.
unsafe extern "C" fn pre_exit<T: Instance>(data: *mut c_void) {
    // SAFETY: `init` leaked it, and `exit` takes it back only later.
    let kept = unsafe { &*data.cast::<Kept<T>>() };
    kept.instance.stop();
    kept.unused.wait_for_completion();
}

/// # Safety
///
/// `data` must be what `init` stored; no RCU reader may have it, and it must not be used again.
unsafe extern "C" fn exit<T: Instance>(data: *mut c_void) {
    // SAFETY: takes back what `init` leaked.
    drop(unsafe { KBox::from_raw(data.cast::<Kept<T>>()) });
}

/// # Safety
///
/// `data` must be what `init` stored, and `exit` must not have been called.
unsafe extern "C" fn device_gone<T: Instance>(data: *mut c_void) {
    // SAFETY: `init` leaked it, and `exit` takes it back only later.
    unsafe { &*data.cast::<Kept<T>>() }.instance.device_gone();
}

/// # Safety
///
/// As [`device_gone`].
unsafe extern "C" fn device_removed<T: Instance>(data: *mut c_void, device: i32) {
    // SAFETY: `init` leaked it, and `exit` takes it back only later.
    unsafe { &*data.cast::<Kept<T>>() }
        .instance
        .device_removed(device);
}
