// SPDX-License-Identifier: GPL-2.0-only

//! What administrators see of single packets: tracepoints, and the limit of lines in the
//! kernel's log.
//!
//! A tracepoint that nobody uses costs one instruction that does nothing (a static branch).
//!
//! C headers: `include/linux/tracepoint.h`, `include/linux/ratelimit.h`

use crate::{bindings, route::raw};
use lvs_core::{Address, Endpoint};

/// A packet or connection, as trace events show it.
#[derive(Clone, Copy)]
pub struct Flow {
    /// The number of the network namespace; 0: not known.
    pub net: u32,
    /// The protocol's number.
    pub protocol: u8,
    /// The firewall mark by which the service was found; 0: by address and port.
    pub mark: u32,
    /// The client's address and port.
    pub client: Endpoint,
    /// The virtual address and port.
    pub service: Endpoint,
    /// The real server's address and port; none if no server was chosen.
    pub server: Option<Endpoint>,
}

impl Flow {
    fn raw(&self) -> bindings::knet_flow {
        let end = |end: Endpoint| bindings::knet_end {
            address: raw(end.address),
            port: end.port,
        };
        let nobody = || Endpoint::new(Address::from_v6([0; 16]), 0);
        bindings::knet_flow {
            net: self.net,
            mark: self.mark,
            client: end(self.client),
            service: end(self.service),
            server: end(self.server.unwrap_or_else(nobody)),
            protocol: self.protocol,
        }
    }
}

/// Whether somebody uses a tracepoint.
macro_rules! is_used {
    ($key:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        // SAFETY: C defines the tracepoint, with this key.
        let used = unsafe {
            kernel::jump_label::static_branch_unlikely!(bindings::$key, bindings::tracepoint, key)
        };
        #[cfg(not(CONFIG_TRACEPOINTS))]
        let used = false;
        used
    }};
}

/// A packet was scheduled: it begins a connection, or goes to a server without one. Any context.
#[inline(always)]
pub fn schedule(flow: impl FnOnce() -> Flow) {
    #[cold]
    #[inline(never)]
    fn trace(flow: &Flow) {
        // SAFETY: the pointer is valid during the call.
        unsafe { bindings::knet_trace_schedule(&flow.raw()) };
    }
    if is_used!(__tracepoint_ipvs_rs_schedule) {
        trace(&flow());
    }
}

/// A packet was dropped for this reason. Any context.
#[inline(always)]
pub fn drop(reason: &str, flow: impl FnOnce() -> Flow) {
    #[cold]
    #[inline(never)]
    fn trace(reason: &str, flow: &Flow) {
        // SAFETY: the pointers are valid during the call, the reason for its length.
        unsafe {
            let len = reason.len() as u32;
            bindings::knet_trace_drop(&flow.raw(), reason.as_ptr().cast(), len);
        }
    }
    if is_used!(__tracepoint_ipvs_rs_drop) {
        trace(reason, &flow());
    }
}

/// The state of a connection has changed. Any context.
#[inline(always)]
pub fn state(from: &str, to: &str, flow: impl FnOnce() -> Flow) {
    #[cold]
    #[inline(never)]
    fn trace(from: &str, to: &str, flow: &Flow) {
        // SAFETY: the pointers are valid during the call, the names for their lengths.
        unsafe {
            bindings::knet_trace_state(
                &flow.raw(),
                from.as_ptr().cast(),
                from.len() as u32,
                to.as_ptr().cast(),
                to.len() as u32,
            );
        }
    }
    if is_used!(__tracepoint_ipvs_rs_state) {
        trace(from, to, &flow());
    }
}

/// Whether the kernel's log may have another line about a packet: at most ten in ten seconds. The
/// caller writes it. Any context.
pub fn may_log() -> bool {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_may_log() }
}
