// SPDX-License-Identifier: GPL-2.0-only

//! Netfilter hooks.
//!
//! C header: `include/linux/netfilter.h`

pub use crate::point::Point;

use crate::{
    bindings,
    net::Net,
    packet::{Packet, Verdict, Version},
    rcu::{self, Section},
};
use core::{ffi::c_void, ptr::NonNull};
use kernel::{alloc::KVec, prelude::*, sync::Arc, types::NotThreadSafe};

/// A packet handler. It must not sleep.
pub trait Handler: Send + Sync + 'static {
    /// False for a packet that the handler lets pass in any case. Softirq, or process context with
    /// bottom halves enabled.
    fn concerns<V: Version>(&self, point: Point, packet: &Packet<'_, V>) -> bool;

    /// Handles a packet that concerns it. Softirq, or process context with bottom halves disabled:
    /// that of a task that sends, or that gives a verdict about a packet in a queue.
    fn handle<'a, V: Version>(
        &self,
        section: &Section<'_>,
        point: Point,
        packet: Packet<'a, V>,
    ) -> Verdict<'a>;
}

/// Registered hooks. Dropping the value unregisters them and waits until no packet is inside a
/// handler (process context). A packet that waits in a queue (NFQUEUE) afterwards continues with
/// the hooks that there are then, and with functions of the kernel: see `helpers/transmit.c`.
pub struct Registration<H: Handler> {
    net: Net,
    operations: KVec<bindings::nf_hook_ops>,
    // Dropped after the hooks are unregistered, since they borrow it.
    _handler: Arc<H>,
}

// SAFETY: netfilter owns the list heads inside the operations; the rest is not changed.
unsafe impl<H: Handler> Send for Registration<H> {}
// SAFETY: as above.
unsafe impl<H: Handler> Sync for Registration<H> {}

impl<H: Handler> Registration<H> {
    /// Registers `handler` for packets of version `V` at `points` in `net`. Each point comes with a
    /// priority; lower ones are called first (`include/uapi/linux/netfilter_ipv4.h`). Process
    /// context.
    pub fn new<V: Version>(net: Net, handler: Arc<H>, points: &[(Point, i32)]) -> Result<Self> {
        let mut operations = KVec::with_capacity(points.len(), GFP_KERNEL)?;
        for &(point, priority) in points {
            operations.push(
                bindings::nf_hook_ops {
                    hook: Some(match point {
                        Point::PreRouting => pre_routing::<H, V>,
                        Point::LocalIn => local_in::<H, V>,
                        Point::Forward => forward::<H, V>,
                        Point::LocalOut => local_out::<H, V>,
                        Point::PostRouting => post_routing::<H, V>,
                    }),
                    priv_: (&raw const *handler).cast::<c_void>().cast_mut(),
                    pf: V::FAMILY as u8,
                    hooknum: point.number(),
                    priority,
                    ..Default::default()
                },
                GFP_KERNEL,
            )?;
        }
        // SAFETY: the operations stay where they are in the vector's heap memory until `drop` has
        // unregistered them, and so does the handler; the namespace is alive.
        let result = kernel::error::to_result(unsafe {
            bindings::nf_register_net_hooks(
                net.as_ptr(),
                operations.as_ptr(),
                operations.len() as u32,
            )
        });
        if let Err(error) = result {
            // Packets may be inside those that were registered, and unregistered again.
            rcu::synchronize();
            return Err(error);
        }
        Ok(Self {
            net,
            operations,
            _handler: handler,
        })
    }
}

impl<H: Handler> Drop for Registration<H> {
    fn drop(&mut self) {
        // SAFETY: the operations were registered in `new` for the same namespace.
        unsafe {
            bindings::nf_unregister_net_hooks(
                self.net.as_ptr(),
                self.operations.as_ptr(),
                self.operations.len() as u32,
            )
        };
        // Packets that are inside a handler still use it.
        rcu::synchronize();
    }
}

/// # Safety
///
/// As netfilter calls hooks of version `V`: a live packet, `state` of the hook, and `data` as it
/// was registered.
unsafe extern "C" fn pre_routing<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { call::<H, V>(data, skb, state, Point::PreRouting) }
}

/// # Safety
///
/// As netfilter calls hooks of version `V`: a live packet, `state` of the hook, and `data` as it
/// was registered.
unsafe extern "C" fn local_in<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { call::<H, V>(data, skb, state, Point::LocalIn) }
}

/// # Safety
///
/// As netfilter calls hooks of version `V`: a live packet, `state` of the hook, and `data` as it
/// was registered.
unsafe extern "C" fn forward<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { call::<H, V>(data, skb, state, Point::Forward) }
}

/// # Safety
///
/// As netfilter calls hooks of version `V`: a live packet, `state` of the hook, and `data` as it
/// was registered.
unsafe extern "C" fn local_out<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    if unsafe { (*state).sk.is_null() } {
        return bindings::NF_ACCEPT;
    }
    // SAFETY: by this function's contract.
    unsafe { call::<H, V>(data, skb, state, Point::LocalOut) }
}

/// # Safety
///
/// As netfilter calls hooks of version `V`: a live packet, `state` of the hook, and `data` as it
/// was registered.
unsafe extern "C" fn post_routing<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { call::<H, V>(data, skb, state, Point::PostRouting) }
}

/// Bottom halves are disabled while this lives.
struct BottomHalves {
    /// They were enabled before.
    enable: bool,
    _task: NotThreadSafe,
}

impl BottomHalves {
    /// In softirq, where nearly all packets come, this does nothing. Any context but hardirq.
    #[inline(always)]
    fn disable() -> Self {
        Self {
            // SAFETY: may be called in these contexts; `drop` enables them again.
            enable: unsafe { bindings::knet_bh_disable() },
            _task: NotThreadSafe,
        }
    }
}

impl Drop for BottomHalves {
    #[inline(always)]
    fn drop(&mut self) {
        if self.enable {
            // SAFETY: disabled by `disable`, on this task.
            unsafe { bindings::knet_bh_enable() };
        }
    }
}

/// # Safety
///
/// `data` must be a live `H`, `skb` the live packet of the running hook of version `V`, and `state`
/// that of the hook.
#[inline(always)]
unsafe fn call<H: Handler, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
    point: Point,
) -> u32 {
    // SAFETY: by this function's contract.
    let skb = unsafe { NonNull::new_unchecked(skb) };
    // SAFETY: by this function's contract.
    let handler = unsafe { &*data.cast::<H>() };
    // SAFETY: netfilter runs hooks inside an RCU read section (nf_hook()).
    let section = unsafe { Section::assume_held() };
    // SAFETY: a hook's namespace is alive.
    let net = unsafe { NonNull::new_unchecked((*state).net) };
    // SAFETY: by this function's contract; the verdict is returned to netfilter.
    let packet = unsafe { Packet::<V>::from_raw(skb, net) };
    if !handler.concerns(point, &packet) {
        return packet.accept().into_raw();
    }
    handle(handler, &section, point, packet).into_raw()
}

// Not inline: packets of bystanders would save registers for it.
#[inline(never)]
fn handle<'a, H: Handler, V: Version>(
    handler: &H,
    section: &Section<'_>,
    point: Point,
    packet: Packet<'a, V>,
) -> Verdict<'a> {
    let _disabled = BottomHalves::disable();
    handler.handle(section, point, packet)
}
