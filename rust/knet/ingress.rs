// SPDX-License-Identifier: GPL-2.0-only

//! Hooks of devices: packets where they come in, before the host has received them.
//!
//! C header: `include/linux/netfilter_netdev.h`

mod batch;

pub use batch::{Batching, BATCH};

use crate::{
    bindings,
    net::Net,
    packet::{Packet, Verdict, Version, V4, V6},
    rcu::{self, Section},
};
use batch::Queues;
use core::{
    ffi::{c_int, c_void},
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
};
use kernel::{
    alloc::{KBox, KVec},
    error::to_result,
    prelude::*,
    sync::Arc,
    types::NotThreadSafe,
};

/// A handler of packets that come in. It must not sleep.
pub trait Handler: Send + Sync + 'static {
    /// False for a packet that the handler lets pass in any case. Softirq.
    fn may_take<V: Version>(&self, packet: &Packet<'_, V>) -> bool;

    /// Handles a packet of `len` bytes that it may take, whose fixed header is sound and without
    /// options. Further bytes may follow, and the host has not received it. Those that it accepts
    /// go on as if it had not seen them, so they must be unchanged. Softirq.
    fn take<'a, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'a, V>,
        len: u32,
    ) -> Verdict<'a>;
}

/// The kernel's RTNL, locked by this task.
pub struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Locks it, unless somebody else has it. Process context.
    pub fn try_lock() -> Option<Self> {
        // SAFETY: process context; `drop` unlocks it.
        let locked = unsafe { bindings::knet_rtnl_trylock() };
        // Only then is there a value, which unlocks it when it is dropped.
        locked.then(|| Self(NotThreadSafe))
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        // SAFETY: locked by this task.
        unsafe { bindings::knet_rtnl_unlock() };
    }
}

/// The devices of a namespace whose packets a handler sees. Dropping the value removes the hooks
/// and waits until no packet is inside the handler (process context).
///
/// A hook keeps its device. So its owner removes it, or [clears](Self::clear) all, when the device
/// goes.
pub struct Devices<H: Handler + Batching> {
    net: Net,
    hooks: KVec<Hook>,
    queues: Option<Queues>,
    /// The number of packets that have waited in queues that are gone.
    waited: u64,
    // Dropped after the hooks and the queues are removed, since they borrow it.
    shared: KBox<Shared<H>>,
}

/// What the hooks have.
struct Shared<H> {
    handler: Arc<H>,
    /// Null, or the queues in which packets wait for others.
    queues: AtomicPtr<bindings::knet_batch>,
    /// Further packets wait there.
    waits: AtomicBool,
}

impl<H> Shared<H> {
    /// The queue in which the next packet of this processor has to wait. Softirq.
    #[inline(always)]
    fn queues(&self) -> Option<NonNull<bindings::knet_batch>> {
        let queues = NonNull::new(self.queues.load(Ordering::Acquire))?;
        // A packet must not overtake those that wait.
        // SAFETY: queues that a hook finds stay until it has returned.
        let waits = self.waits.load(Ordering::Relaxed) || unsafe { batch::has_waiting(queues) };
        waits.then_some(queues)
    }
}

/// # Invariants
///
/// The operations are registered with the device that has this index.
struct Hook {
    device: c_int,
    operations: KBox<bindings::nf_hook_ops>,
}

// SAFETY: netfilter owns the list heads inside the operations; the rest is not changed.
unsafe impl<H: Handler + Batching> Send for Devices<H> {}
// SAFETY: as above.
unsafe impl<H: Handler + Batching> Sync for Devices<H> {}

impl<H: Handler + Batching> Devices<H> {
    /// No devices yet. Process context.
    pub fn new(net: Net, handler: Arc<H>) -> Result<Self> {
        let shared = Shared {
            handler,
            queues: AtomicPtr::new(ptr::null_mut()),
            waits: AtomicBool::new(false),
        };
        Ok(Self {
            net,
            hooks: KVec::new(),
            queues: None,
            waited: 0,
            shared: KBox::new(shared, GFP_KERNEL)?,
        })
    }

    /// Whether further packets wait for others. Any context.
    pub fn waits(&self) -> bool {
        self.shared.waits.load(Ordering::Relaxed)
    }

    /// The number of packets that have waited. Any context.
    pub fn waited(&self) -> u64 {
        let here = self.queues.as_ref().map_or(0, Queues::handled);
        self.waited.wrapping_add(here)
    }

    /// Has further packets wait for others, so that the handler gets several at once, or not.
    /// Process context.
    pub fn set_waits(&mut self, waits: bool) -> Result {
        if waits && self.queues.is_none() {
            // SAFETY: namespace and handler are dropped after the queues.
            let queues = unsafe { Queues::new(&self.net, &*self.shared.handler)? };
            self.shared.queues.store(queues.as_ptr(), Ordering::Release);
            self.queues = Some(queues);
        }
        self.shared.waits.store(waits, Ordering::Relaxed);
        Ok(())
    }

    /// The indices of the devices.
    pub fn indices(&self) -> impl Iterator<Item = c_int> + '_ {
        self.hooks.iter().map(|hook| hook.device)
    }

    /// Adds the device with this index, if there is one that receives packets as a network card
    /// does. Process context.
    pub fn add(&mut self, _rtnl: &Rtnl, device: c_int) -> Result {
        if self.indices().any(|index| index == device) {
            return Ok(());
        }
        self.hooks.reserve(1, GFP_KERNEL)?;
        let operations = bindings::nf_hook_ops {
            hook: Some(received::<H>),
            priv_: (&raw const *self.shared).cast::<c_void>().cast_mut(),
            ..Default::default()
        };
        let mut operations = KBox::new(operations, GFP_KERNEL)?;
        // SAFETY: the operations stay where they are on the heap until they are removed, and so
        // does what the hooks share; the namespace is alive, and the RTNL is locked.
        to_result(unsafe {
            bindings::knet_ingress_add(self.net.as_ptr(), &raw mut *operations, device)
        })?;
        // INVARIANT: just registered. There is room, so no memory is asked for.
        self.hooks.push(Hook { device, operations }, GFP_KERNEL)?;
        Ok(())
    }

    /// Removes the device with this index. A packet may be inside the handler until the device is
    /// gone. Process context.
    pub fn remove(&mut self, device: c_int) {
        let net = &self.net;
        self.hooks.retain(|hook| {
            if hook.device != device {
                return true;
            }
            remove(net, hook);
            false
        });
    }

    /// Removes all devices. No packet is inside the handler or waits for it afterwards. Process
    /// context.
    pub fn clear(&mut self) {
        if self.hooks.is_empty() && self.queues.is_none() {
            return;
        }
        for hook in &mut self.hooks {
            remove(&self.net, hook);
        }
        self.hooks.clear();
        self.shared.waits.store(false, Ordering::Relaxed);
        self.shared.queues.store(ptr::null_mut(), Ordering::Relaxed);
        // Then no hook uses the queues any more.
        rcu::synchronize();
        self.waited = self.waited();
        self.queues = None;
    }
}

/// Unregisters a hook, which must be dropped then.
fn remove(net: &Net, hook: &mut Hook) {
    // SAFETY: registered by the type invariant, in this namespace.
    unsafe { bindings::knet_ingress_remove(net.as_ptr(), &raw mut *hook.operations) };
}

impl<H: Handler + Batching> Drop for Devices<H> {
    fn drop(&mut self) {
        self.clear();
        // Packets may be inside the handler by the hook of a device that was removed alone.
        rcu::synchronize();
    }
}

/// # Safety
///
/// As netfilter calls the ingress hooks of devices: a live packet with its network header at the
/// data, `state` of the hook, and `data` as it was registered.
unsafe extern "C" fn received<H: Handler + Batching>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: the packet is live by the contract, and C tells the offset.
    let number = unsafe {
        skb.byte_add(bindings::knet_skb_layout_KNET_SKB_PROTOCOL as usize)
            .cast::<u16>()
            .read()
    };
    // SAFETY: by this function's contract. A packet with such a protocol number is of this version:
    // `receive` takes its header's word for the rest.
    unsafe {
        match batch::protocol(number) {
            bindings::knet_protocol_KNET_PROTOCOL_IPV4 => receive::<H, V4>(data, skb, state),
            bindings::knet_protocol_KNET_PROTOCOL_IPV6 => receive::<H, V6>(data, skb, state),
            _ => bindings::NF_ACCEPT,
        }
    }
}

/// Lets packets pass that do not concern the handler, without saving registers for the others.
///
/// # Safety
///
/// As [`received`]; the packet's protocol number is that of `V`.
#[inline(always)]
unsafe fn receive<H: Handler + Batching, V: Version>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> u32 {
    // SAFETY: by this function's contract.
    let (raw, net) = unsafe {
        (
            NonNull::new_unchecked(skb),
            NonNull::new_unchecked((*state).net),
        )
    };
    // SAFETY: the packet is live by the contract.
    let linear = unsafe {
        let skb = raw.as_ref();
        skb.len.wrapping_sub(skb.data_len)
    };
    if (linear as usize) < size_of::<V::Header>() {
        return bindings::NF_ACCEPT;
    }
    // SAFETY: by this function's contract; the fixed header is linear, and the verdict is returned
    // to netfilter.
    let packet = unsafe { Packet::<V>::from_raw(raw, net) };
    // SAFETY: by this function's contract.
    let shared = unsafe { &*data.cast::<Shared<H>>() };
    if !shared.handler.may_take(&packet) {
        return bindings::NF_ACCEPT;
    }
    // SAFETY: by this function's contract.
    unsafe { take(shared, raw, packet) }
}

/// # Safety
///
/// As [`received`]; `packet` is that of `skb`.
#[inline(never)]
unsafe fn take<H: Handler + Batching, V: Version>(
    shared: &Shared<H>,
    skb: NonNull<bindings::sk_buff>,
    packet: Packet<'_, V>,
) -> u32 {
    // SAFETY: netfilter runs hooks inside an RCU read section.
    let section = unsafe { Section::assume_held() };
    let handler = &*shared.handler;
    // By value, so that it stays in registers.
    let packet = match shared.queues() {
        // SAFETY: queues that a hook finds stay until it has returned; they are for this handler.
        Some(queues) => match unsafe { wait(handler, queues, skb, packet) } {
            Some(packet) => packet,
            None => return bindings::NF_STOLEN,
        },
        None => packet,
    };
    match V::received_len(packet.header(), packet.len()) {
        Some(len) => handler.take(&section, packet, len).into_raw(),
        None => bindings::NF_ACCEPT,
    }
}

/// Has a packet wait for others, or returns it if it cannot wait.
///
/// # Safety
///
/// `queues` must be live and of this handler, and `packet` be that of `skb`. If it waits, the hook
/// must steal it.
#[inline(never)]
unsafe fn wait<'a, H: Batching, V: Version>(
    handler: &H,
    queues: NonNull<bindings::knet_batch>,
    skb: NonNull<bindings::sk_buff>,
    packet: Packet<'a, V>,
) -> Option<Packet<'a, V>> {
    let len = V::received_len(packet.header(), packet.len());
    let len = len.filter(|_| packet.may_be_received());
    let note = len.and_then(|len| handler.note(&packet, len));
    // Packets that the handler lets pass wait, too: they may be of the same flow.
    // SAFETY: by this function's contract.
    let waits = unsafe { batch::add(queues, skb, note) };
    (!waits).then_some(packet)
}
