// SPDX-License-Identifier: GPL-2.0-only

//! Routes, and the cache that saves looking them up for every packet.
//!
//! C headers: `include/net/route.h`, `include/net/dst.h`

use crate::bindings;
use core::ptr;
use kernel::types::Opaque;

/// Where a packet is to be sent.
pub struct Route<'a> {
    /// Next destination, in network byte order.
    pub destination: [u8; 4],
    /// Source address that routing rules shall see, in network byte order; all zero lets routing
    /// choose. Only honoured without a cache.
    pub source: [u8; 4],
    /// By how many bytes the packet will grow on the way.
    pub overhead: u32,
    /// The next neighbour on the link is `destination` itself, whatever address the packet has.
    pub direct: bool,
    /// Cache of the route to `destination`, and to nothing else, with the same `direct`.
    pub cache: Option<&'a RouteCache>,
}

/// Remembers the route to one address until routing changes.
///
/// A packet borrows the route under RCU, without counting references. When an interface goes, the
/// kernel makes the routes over it invalid and takes its own reference from them, so a cached
/// route does not keep it.
#[repr(transparent)]
pub struct RouteCache(Opaque<bindings::knet_route>);

// SAFETY: the C side changes it atomically and reads it under RCU.
unsafe impl Send for RouteCache {}
// SAFETY: as above.
unsafe impl Sync for RouteCache {}

impl RouteCache {
    /// An empty cache.
    pub const fn new() -> Self {
        Self(Opaque::new(bindings::knet_route {
            dst: ptr::null_mut(),
            source: 0,
        }))
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::knet_route {
        self.0.get()
    }

    /// Forgets the route. Any context.
    pub fn forget(&self) {
        // SAFETY: the cache is live; readers keep what they have until their section ends.
        unsafe { bindings::knet_route_release(self.0.get()) };
    }
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
