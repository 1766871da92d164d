// SPDX-License-Identifier: GPL-2.0-only

//! Routes, and the caches that save a lookup for every packet.
//!
//! C headers: `include/net/route.h`, `include/net/ip6_route.h`, `include/net/dst.h`

use crate::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::offset_of,
    ptr::{self, NonNull},
};
use lvs_core::{tunnel::Tunnel, Address, Family};

/// Caches a route until routing changes.
///
/// All packets that use a cache must have the same next destination and the same source for
/// routing rules. So the owner of the cache creates the [`Route`].
///
/// The words are read and written by C only (`helpers/route.c`), with the atomics of the kernel's
/// memory model; that file also has the argument that no reference is lost.
///
/// `T` is something of at most four bytes that the owner keeps in what would be padding.
#[repr(C)]
pub struct RouteCache<T = ()> {
    // As `struct knet_route_cache`.
    dst: UnsafeCell<*mut bindings::dst_entry>,
    cookie: UnsafeCell<u32>,
    /// The owner's data.
    pub beside: T,
}

// SAFETY: C accesses the words atomically; routes may be released by any CPU.
unsafe impl<T: Send> Send for RouteCache<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for RouteCache<T> {}

impl<T> RouteCache<T> {
    const LAYOUT: () = {
        type C = bindings::knet_route_cache;
        assert!(offset_of!(Self, dst) == offset_of!(C, dst));
        assert!(offset_of!(Self, cookie) == offset_of!(C, cookie));
        assert!(size_of::<Self>() == size_of::<C>());
    };

    /// An empty cache.
    pub const fn new(beside: T) -> Self {
        let () = Self::LAYOUT;
        Self {
            dst: UnsafeCell::new(ptr::null_mut()),
            cookie: UnsafeCell::new(0),
            beside,
        }
    }

    #[inline(always)]
    fn as_ptr(&self) -> NonNull<bindings::knet_route_cache> {
        NonNull::from(self).cast()
    }

    /// Drops the cached route; the next packet looks it up. A packet that is being routed at this
    /// moment may still cache the former route. Any context.
    pub fn forget(&self) {
        // SAFETY: the cache is live and was initialized by `new`.
        unsafe { bindings::knet_route_forget(self.as_ptr().as_ptr()) };
    }

    /// A route to `next` over this cache. `source` is the address that routing rules see.
    ///
    /// If the families differ, packets find no route.
    #[inline(always)]
    pub fn route(&self, next: Address, source: Option<Address>) -> Route<'_> {
        Route {
            cache: self.as_ptr(),
            next,
            source,
            preferred: None,
            tunnel: None,
            overhead: 0,
            port: 0,
            mark: 0,
            direct: false,
            ignore_df: false,
            _borrows: PhantomData,
        }
    }
}

impl<T> Drop for RouteCache<T> {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A [`RouteCache`] that also caches the local address that the route prefers: for tunnels, whose
/// packets the director sends.
pub struct SourcedRouteCache {
    cache: RouteCache,
    // Written and read by C only, atomically, together with the cache.
    preferred: UnsafeCell<bindings::knet_address>,
}

// SAFETY: C accesses the address by whole words, and tells whether they belong together.
unsafe impl Sync for SourcedRouteCache {}

impl SourcedRouteCache {
    /// An empty cache.
    pub const fn new() -> Self {
        Self {
            cache: RouteCache::new(()),
            preferred: UnsafeCell::new(bindings::knet_address { words: [0; 2] }),
        }
    }

    /// See [`RouteCache::forget`].
    pub fn forget(&self) {
        self.cache.forget();
    }

    /// See [`RouteCache::route`].
    #[inline(always)]
    pub fn route(&self, next: Address, source: Option<Address>) -> Route<'_> {
        Route {
            preferred: NonNull::new(self.preferred.get()),
            ..self.cache.route(next, source)
        }
    }

    /// A route to the `end` of a tunnel. With `ignore_df`, routers may fragment its packets even if
    /// the inner IPv4 header forbids it.
    #[inline(always)]
    pub fn tunnel(&self, tunnel: Tunnel, end: Address, ignore_df: bool) -> Route<'_> {
        Route {
            tunnel: Some(tunnel),
            overhead: tunnel.overhead(end.family()),
            ignore_df,
            ..self.route(end, None)
        }
    }
}

impl Default for SourcedRouteCache {
    fn default() -> Self {
        Self::new()
    }
}

/// Where to send a packet.
///
/// # Invariants
///
/// The pointers are valid for `'a`. If `tunnel` is not `None`, `preferred` is not either.
pub struct Route<'a> {
    cache: NonNull<bindings::knet_route_cache>,
    /// The next destination; its family is the route's.
    next: Address,
    source: Option<Address>,
    preferred: Option<NonNull<bindings::knet_address>>,
    tunnel: Option<Tunnel>,
    /// The bytes that the tunnel adds, 0 if there is none.
    overhead: u16,
    port: u16,
    /// The mark that routing rules see.
    mark: u32,
    direct: bool,
    ignore_df: bool,
    _borrows: PhantomData<&'a RouteCache>,
}

impl Route<'_> {
    /// The same route for packets that get this port together with the address that is translated:
    /// the source if the route has one, otherwise the destination. IPsec policies see it.
    #[must_use]
    #[inline(always)]
    pub fn translated(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same route, but the neighbor on the link is the next destination itself, regardless of
    /// the packet's destination (direct routing).
    #[must_use]
    #[inline(always)]
    pub fn direct(self) -> Self {
        Self {
            direct: true,
            ..self
        }
    }

    /// The same for a packet with this mark. If there are routing rules beside those that every
    /// host has, a packet with a mark other than 0 gets a route of its own, which is not cached.
    #[must_use]
    #[inline(always)]
    pub fn by_mark(self, mark: u32) -> Self {
        Self { mark, ..self }
    }

    #[inline(always)]
    pub(crate) fn family(&self) -> Family {
        self.next.family()
    }

    #[inline(always)]
    pub(crate) fn cache(&self) -> *const bindings::knet_route_cache {
        self.cache.as_ptr()
    }

    /// The bytes that the tunnel adds, 0 if there is none.
    #[inline(always)]
    pub(crate) fn overhead(&self) -> u16 {
        self.overhead
    }

    #[inline(always)]
    pub(crate) fn ignores_df(&self) -> bool {
        self.ignore_df
    }

    /// The tunnel and the cached local address that it prefers, for a route to a tunnel's end.
    #[inline(always)]
    pub(crate) fn tunnel(&self) -> Option<(Tunnel, *const bindings::knet_address)> {
        let preferred = self.preferred?;
        Some((self.tunnel?, preferred.as_ptr().cast_const()))
    }

    /// The next destination.
    #[inline(always)]
    pub(crate) fn next(&self) -> Address {
        self.next
    }

    /// For C, for a packet of this family with `writable` bytes to write.
    #[inline(always)]
    pub(crate) fn request(
        &self,
        family: Family,
        sufficient_mtu: u32,
        writable: u16,
    ) -> bindings::knet_route {
        let port = match self.tunnel {
            Some(Tunnel::Gue { port, .. }) => port,
            Some(Tunnel::Ipip | Tunnel::Gre { .. }) | None => self.port,
        };
        bindings::knet_route {
            cache: self.cache.as_ptr(),
            source: self.preferred.map_or(ptr::null_mut(), NonNull::as_ptr),
            daddr: raw(self.next),
            saddr: self
                .source
                .map_or(bindings::knet_address { words: [0; 2] }, raw),
            mark: self.mark,
            sufficient_mtu,
            writable,
            port: port.to_be(),
            protocol: self.tunnel.map_or(0, |tunnel| tunnel.protocol(family)),
            wants_source: self.tunnel.is_some(),
            direct: self.direct,
        }
    }
}

/// An address for C.
#[inline(always)]
pub(crate) fn raw(address: Address) -> bindings::knet_address {
    bindings::knet_address {
        words: address.to_words(),
    }
}
