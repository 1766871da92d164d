// SPDX-License-Identifier: GPL-2.0-only

//! The handler of a namespace's frames.

use super::{
    batch::{Batching, Queue},
    Frame, Handler,
};
use crate::{
    bindings,
    net::Net,
    packet::{Version, V4, V6},
    rcu::{self, Section},
};
use core::ffi::{c_int, c_void};
use kernel::{prelude::*, sync::Arc};

/// A handler of the frames of a namespace. There is at most one. Dropping the value waits until no
/// frame is inside the handler (process context; without the RTNL if frames wait).
pub struct Registration<H: Batching> {
    net: Net,
    /// Where frames wait for others, if they do.
    queue: Option<Queue<H>>,
    // Dropped after the registration has ended; the second has a pointer to the first.
    raw: KBox<bindings::knet_xdp>,
    _handler: Arc<H>,
}

// SAFETY: C only reads what the pointer in it leads to, a handler, which may be shared.
unsafe impl<H: Batching> Send for Registration<H> {}
// SAFETY: as above.
unsafe impl<H: Batching> Sync for Registration<H> {}

impl<H: Batching> Registration<H> {
    /// Begins to handle frames. Process context.
    pub fn new(net: Net, handler: Arc<H>) -> Result<Self> {
        let raw = bindings::knet_xdp {
            handle4: Some(handle::<H, V4>),
            handle6: Some(handle::<H, V6>),
            data: (&raw const *handler).cast::<c_void>().cast_mut(),
        };
        let registration = Self {
            net,
            queue: None,
            raw: KBox::new(raw, GFP_KERNEL)?,
            _handler: handler,
        };
        registration.publish(&raw const *registration.raw);
        Ok(registration)
    }

    /// Whether frames wait for others. Any context.
    pub fn waits(&self) -> bool {
        self.queue.is_some()
    }

    /// The number of frames that have waited in the present queue. Any context.
    pub fn waited(&self) -> u64 {
        self.queue.as_ref().map_or(0, Queue::handled)
    }

    /// Has further frames wait for others in `queue`, which must be one of this namespace. Process
    /// context.
    pub fn wait(&mut self, queue: Queue<H>) {
        let queue = self.queue.insert(queue);
        let raw = queue.as_raw();
        self.publish(raw);
    }

    /// Has no frames wait any more. Returns the queue, which no frame uses any more. Process
    /// context.
    pub fn stop_waiting(&mut self) -> Option<Queue<H>> {
        let queue = self.queue.take()?;
        self.publish(&raw const *self.raw);
        rcu::synchronize();
        Some(queue)
    }

    /// Has C use this handler from now on, or none if it is null.
    fn publish(&self, handler: *const bindings::knet_xdp) {
        // SAFETY: the namespace is alive. All callers have a handler that stays where it is on the
        // heap until this value has ended its use, and so does what it leads to, of the type that
        // its functions expect.
        unsafe { bindings::knet_namespace_set_xdp(self.net.as_ptr(), handler) };
    }
}

impl<H: Batching> Drop for Registration<H> {
    fn drop(&mut self) {
        self.publish(core::ptr::null());
        rcu::synchronize();
    }
}

/// # Safety
///
/// As C calls the functions of `knet_xdp`, in softirq and an RCU read section: `data` is that of a
/// [`Registration`] of `H`; `net` is the namespace of a live frame, in which a packet begins at
/// `ip`, of which `len` bytes came in, at least a fixed header of version `V`. The return value is
/// what the program does.
unsafe extern "C" fn handle<H: Handler, V: Version>(
    data: *mut c_void,
    net: *mut bindings::net,
    frame: *mut bindings::xdp_buff,
    ip: *mut u8,
    len: u32,
) -> c_int {
    // SAFETY: by this function's contract.
    let (handler, section, frame) = unsafe {
        (
            &*data.cast::<H>(),
            Section::assume_held(),
            Frame::<V>::from_raw(net, frame, ip, len),
        )
    };
    handler.take(&section, frame).0
}
