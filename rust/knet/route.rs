// SPDX-License-Identifier: GPL-2.0-only

//! Routes, and the caches that save looking them up for every packet.
//!
//! C headers: `include/net/route.h`, `include/net/ip6_route.h`, `include/net/dst.h`

use crate::bindings;
use core::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering},
};
use lvs_core::Address;

/// Where a packet is to be sent.
pub struct Route<'a> {
    /// Next destination; its family is the route's.
    pub destination: Address,
    /// Source address that routing rules shall see, of the same family; none lets routing choose.
    pub source: Option<Address>,
    /// By how many bytes the packet will grow on the way.
    pub overhead: u16,
    /// The next neighbour on the link is `destination` itself, whatever address the packet has.
    pub direct: bool,
    /// A packet of IPv4 that grows may be cut up, though its sender forbids it.
    pub cut: bool,
    /// Remembers the route, for packets with the same `destination`, `source` and `direct`.
    pub cache: &'a RouteCache,
    /// Belongs to the cache.
    pub cookie: &'a Cookie,
    /// Learns which address of ours the route prefers.
    pub preferred: Option<&'a PreferredSource>,
}

/// Remembers a route until routing changes.
///
/// A packet borrows the route under RCU, without counting references. When an interface goes, the
/// kernel makes the routes over it invalid and takes its own reference from them, so a cached
/// route does not keep it.
///
/// # Invariants
///
/// Null, or a mark that some processor is filling the cache, or a route with a reference of which
/// this is the owner.
#[repr(transparent)]
pub struct RouteCache(AtomicPtr<bindings::dst_entry>);

impl RouteCache {
    /// An empty cache.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// For `struct knet_route`.
    pub(crate) fn as_ptr(&self) -> *mut *mut bindings::dst_entry {
        self.0.as_ptr()
    }

    /// Forgets the route. A packet that is looking one up at this moment may remember that all the
    /// same. Any context.
    pub fn forget(&self) {
        // Most have none: those of connections without replies.
        if !self.0.load(Ordering::Relaxed).is_null() {
            release(self.0.swap(ptr::null_mut(), Ordering::AcqRel));
        }
    }
}

fn release(route: *mut bindings::dst_entry) {
    // SAFETY: by the invariant it is none, or a reference that was the cache's; readers that borrowed
    // it keep what they have until their section ends, since routes are freed by RCU.
    unsafe { bindings::knet_dst_release(route) };
}

impl Default for RouteCache {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for RouteCache {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Tells whether a cached route of IPv6 still holds (`rt6_get_cookie()`). Written by who fills the
/// cache, before the route.
#[derive(Default)]
#[repr(transparent)]
pub struct Cookie(AtomicU32);

impl Cookie {
    /// That of an empty cache.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// For `struct knet_route`.
    pub(crate) fn as_ptr(&self) -> *mut u32 {
        self.0.as_ptr()
    }
}

/// The address of ours that a cached route prefers. Only the C side reads it, with a look at the
/// cache before and after.
#[derive(Default)]
#[repr(transparent)]
pub struct PreferredSource([AtomicU64; 2]);

impl PreferredSource {
    /// Not known yet.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 2])
    }

    /// For `struct knet_route`.
    pub(crate) fn as_ptr(&self) -> *mut bindings::knet_address {
        self.0.as_ptr().cast_mut().cast()
    }
}
