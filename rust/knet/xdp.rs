// SPDX-License-Identifier: GPL-2.0-only

//! Frames before there is a packet (XDP).
//!
//! A program of a device asks about each frame; `helper/ipvs_rs_xdp.c` lets it. What is not taken
//! goes on as if there were no program.
//!
//! C header: `include/net/xdp.h`

pub mod batch;
pub mod registration;

use crate::{
    bindings,
    counters::Traffic,
    module,
    packet::Version,
    rcu::Section,
    route::{raw, Route},
};
use core::{ffi::c_int, marker::PhantomData, ptr::NonNull, slice};
use kernel::prelude::*;
use lvs_core::{
    tunnel::{Outer, Tunnel},
    Address, Family,
};

/// The module that lets programs ask.
const MODULE: &CStr = c"ipvs_rs_xdp";

/// A handler of frames. It must not sleep.
pub trait Handler: Send + Sync + 'static {
    /// Handles a frame. Softirq.
    fn take<'a, V: Version>(&self, section: &Section<'_>, frame: Frame<'a, V>) -> Verdict<'a>;
}

/// Whether programs can ask, after an attempt to load the module that lets them. Process context,
/// as [`module::request`].
pub fn is_offered() -> bool {
    // SAFETY: may be called anywhere.
    let offered = || unsafe { bindings::knet_xdp_is_offered() };
    if !offered() {
        module::request(c"", MODULE);
    }
    offered()
}

/// Distinguishes frames, as [`crate::packet`] does packets.
type Brand<'a> = PhantomData<fn(&'a ()) -> &'a ()>;

/// What the program does with the frame. It can only be made from the frame itself.
#[must_use]
pub struct Verdict<'a>(c_int, Brand<'a>);

/// A frame with a packet of an IP version, of which at least the fixed header came in.
///
/// # Invariants
///
/// The frame is live and this value's until it becomes a [`Verdict`]. At `ip` it has `len`
/// initialized bytes, which nobody else accesses, at least the fixed header. `net` is the namespace
/// of the device, alive for `'a`.
pub struct Frame<'a, V: Version> {
    frame: NonNull<bindings::xdp_buff>,
    net: NonNull<bindings::net>,
    ip: NonNull<u8>,
    len: u32,
    _version: PhantomData<V>,
    _brand: Brand<'a>,
}

impl<'a, V: Version> Frame<'a, V> {
    /// # Safety
    ///
    /// `net` must be the namespace of a live frame that is the caller's, in which a packet begins
    /// at `ip`, of which `len` bytes came in, at least a fixed header of version `V`; all that for
    /// `'a`.
    #[inline(always)]
    unsafe fn from_raw(
        net: *mut bindings::net,
        frame: *mut bindings::xdp_buff,
        ip: *mut u8,
        len: u32,
    ) -> Self {
        // INVARIANT: by this function's contract.
        Self {
            // SAFETY: as above.
            frame: unsafe { NonNull::new_unchecked(frame) },
            // SAFETY: as above.
            net: unsafe { NonNull::new_unchecked(net) },
            // SAFETY: as above.
            ip: unsafe { NonNull::new_unchecked(ip) },
            len,
            _version: PhantomData,
            _brand: PhantomData,
        }
    }

    /// The bytes that came in, from the IP header on.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: by the type invariant.
        unsafe { slice::from_raw_parts(self.ip.as_ptr(), self.len as usize) }
    }

    /// The fixed IP header.
    #[inline(always)]
    pub fn header(&self) -> &V::Header {
        // SAFETY: by the type invariant there are that many bytes, of which this is an array.
        unsafe { self.ip.cast().as_ref() }
    }

    /// Leaves the frame to the host.
    #[inline(always)]
    pub fn pass(self) -> Verdict<'a> {
        Verdict(
            bindings::knet_xdp_action_KNET_XDP_PASS as c_int,
            PhantomData,
        )
    }

    /// Addresses the frame to the next host on the cached route, if its packet of `len` bytes can
    /// be sent from here: see `knet_xdp_depart4`. Counts it for the host. Otherwise it comes back
    /// unchanged. `route` is not that of a tunnel. Softirq.
    #[inline(always)]
    pub fn depart(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
        len: u32,
    ) -> Result<Departing<'a, V>, Self> {
        let next = raw(route.next());
        let (net, frame, cache) = (self.net.as_ptr(), self.frame.as_ptr(), route.cache());
        // SAFETY: the frame is live and the namespace is alive by the type invariant; the cache is
        // that of a route, valid by its invariant. The section is evidence of the RCU read lock.
        let action = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_xdp_depart4(net, frame, cache, len, &next),
                Family::V6 => bindings::knet_xdp_depart6(net, frame, cache, len, &next),
            }
        };
        if action == bindings::knet_xdp_action_KNET_XDP_PASS as c_int {
            return Err(self);
        }
        // INVARIANT: the call has addressed the frame.
        Ok(Departing {
            frame: self,
            action,
            len,
        })
    }

    /// The same for a packet that goes through a tunnel without checksums of its own over `outer`,
    /// the family of the route. Inlined where tunnel and family are constants, it takes fewer
    /// instructions. Softirq.
    #[inline(always)]
    pub fn enter(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
        outer: Family,
        len: u32,
    ) -> Result<Entering<'a, V>, Self> {
        let (tunnel, cached) = match route.tunnel() {
            Some(found) if found.0.is_plain() => found,
            Some(_) | None => return Err(self),
        };
        let overhead = tunnel.overhead(outer);
        let mut raw_tunnel = bindings::knet_xdp_tunnel {
            end: raw(route.next()),
            source: bindings::knet_address { words: [0; 2] },
            overhead: overhead.into(),
            inner_family: V::FAMILY as c_int,
        };
        let (net, frame, cache) = (self.net.as_ptr(), self.frame.as_ptr(), route.cache());
        let encapsulate = match (tunnel, V::FAMILY, outer) {
            (Tunnel::Ipip, Family::V4, Family::V4) => bindings::knet_xdp_ipip4,
            (Tunnel::Ipip, Family::V6, Family::V6) => bindings::knet_xdp_ipip6,
            (_, _, Family::V4) => bindings::knet_xdp_encapsulate4,
            (_, _, Family::V6) => bindings::knet_xdp_encapsulate6,
        };
        // SAFETY: the frame is live and the namespace is alive by the type invariant; cache and
        // address are those of a route, valid by its invariant. The section is evidence of the RCU
        // read lock.
        let action = unsafe { encapsulate(net, frame, cache, cached, len, &mut raw_tunnel) };
        if action == bindings::knet_xdp_action_KNET_XDP_PASS as c_int {
            return Err(self);
        }
        // INVARIANT: the call has found a route of this family, addressed the frame and made room
        // for so many bytes, which are those of IP in IP or `overhead`.
        Ok(Entering {
            departing: Departing {
                frame: self,
                action,
                len,
            },
            tunnel,
            outer,
            source: Address::from_words(raw_tunnel.source.words),
            destination: route.next(),
            ignore_df: route.ignores_df(),
        })
    }
}

/// A frame that is addressed to the next host, whose packet needs the headers of a tunnel.
///
/// # Invariants
///
/// There is room before the packet for the bytes that the tunnel adds over `outer`, the family of
/// the addresses.
pub struct Entering<'a, V: Version> {
    departing: Departing<'a, V>,
    tunnel: Tunnel,
    outer: Family,
    source: Address,
    destination: Address,
    ignore_df: bool,
}

impl<'a, V: Version> Entering<'a, V> {
    /// The bytes of the inner packet.
    pub fn writable(&mut self) -> &mut [u8] {
        self.departing.writable()
    }

    /// Discards the frame.
    pub fn discard(self) -> Verdict<'a> {
        self.departing.discard()
    }

    /// Writes the headers and sends the frame, as [`Departing::send`]. `flow` returns the hash of
    /// the packet's flow, which a tunnel over UDP needs for its source port. Softirq.
    #[inline(always)]
    pub fn send(
        self,
        flow: impl FnOnce() -> u32,
        taken: Traffic<'_>,
        server: Traffic<'_>,
    ) -> Verdict<'a> {
        let Departing { frame, action, len } = &self.departing;
        let outer = Outer {
            handling: V::handling(frame.header()).outer(V::FAMILY, *len, 0, self.ignore_df),
            protocol: self.tunnel.protocol(V::FAMILY),
            source: self.source,
            destination: self.destination,
        };
        let port = match self.tunnel {
            Tunnel::Ipip | Tunnel::Gre { .. } => 0,
            // SAFETY: the namespace is alive by the frame's type invariant.
            Tunnel::Gue { .. } => unsafe {
                bindings::knet_xdp_tunnel_port(frame.net.as_ptr(), flow())
            },
        };
        let overhead = usize::from(self.tunnel.overhead(self.outer));
        // SAFETY: by the type invariant there is room for so many bytes before the packet, in the
        // live frame. Nobody else accesses them, and the packet is not among them.
        let headers =
            unsafe { slice::from_raw_parts_mut(frame.ip.as_ptr().sub(overhead), overhead) };
        match self.outer {
            Family::V4 => {
                let Some((header, between)) = headers.split_first_chunk_mut() else {
                    return self.discard();
                };
                outer.write_v4(header, 0);
                self.tunnel.write_between(between, V::FAMILY, port, *len);
                let may_fragment = !outer.handling.dont_fragment;
                let (raw, taken, server) = (frame.frame.as_ptr(), taken.as_ptr(), server.as_ptr());
                // SAFETY: in softirq. The live frame begins with the link header and the outer one;
                // the counters are live by their type invariant.
                unsafe { bindings::knet_xdp_complete4(raw, may_fragment, *len, taken, server) };
                Verdict(*action, PhantomData)
            }
            Family::V6 => {
                let Some((header, between)) = headers.split_first_chunk_mut() else {
                    return self.discard();
                };
                outer.write_v6(header, len.wrapping_add(between.len() as u32));
                self.tunnel.write_between(between, V::FAMILY, port, *len);
                self.departing.send(taken, server)
            }
        }
    }
}

/// A frame that is addressed to the next host, ready to be changed and sent.
///
/// # Invariants
///
/// C has returned `action` for a packet of `len` bytes.
pub struct Departing<'a, V: Version> {
    frame: Frame<'a, V>,
    action: c_int,
    len: u32,
}

impl<'a, V: Version> Departing<'a, V> {
    /// The bytes that came in, from the IP header on.
    #[inline(always)]
    pub fn writable(&mut self) -> &mut [u8] {
        let Frame { ip, len, .. } = &self.frame;
        // SAFETY: by the type invariant of the frame; the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(ip.as_ptr(), *len as usize) }
    }

    /// Discards the frame.
    pub fn discard(self) -> Verdict<'a> {
        Verdict(
            bindings::knet_xdp_action_KNET_XDP_DROP as c_int,
            PhantomData,
        )
    }

    /// Sends the frame. Counts its packet in `taken` (packets only) and in `server`.
    #[inline(always)]
    pub fn send(self, taken: Traffic<'_>, server: Traffic<'_>) -> Verdict<'a> {
        // SAFETY: the counters are live by their type invariant.
        unsafe { bindings::knet_xdp_count(self.len, taken.as_ptr(), server.as_ptr()) };
        Verdict(self.action, PhantomData)
    }
}
