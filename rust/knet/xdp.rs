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
    packet::{Version, V4, V6},
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

    /// The same for a packet that goes through a tunnel, IP in IP. Softirq.
    #[inline(never)]
    pub fn enter(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
        len: u32,
    ) -> Result<Entering<'a, V>, Self> {
        let request = route.request(V::FAMILY, 0, 0);
        let mut source = bindings::knet_address { words: [0; 2] };
        let (net, frame, inner) = (self.net.as_ptr(), self.frame.as_ptr(), V::FAMILY as i32);
        if !request.wants_source || route.overhead() != header_len(route.family()) {
            return Err(self);
        }
        // SAFETY: the frame is live and the namespace is alive by the type invariant; the request
        // is for the caches of a route, valid by its invariant. The section is evidence of the RCU
        // read lock.
        let action = unsafe {
            match route.family() {
                Family::V4 => {
                    bindings::knet_xdp_encapsulate4(net, frame, &request, len, inner, &mut source)
                }
                Family::V6 => {
                    bindings::knet_xdp_encapsulate6(net, frame, &request, len, inner, &mut source)
                }
            }
        };
        if action == bindings::knet_xdp_action_KNET_XDP_PASS as c_int {
            return Err(self);
        }
        // INVARIANT: the call has addressed the frame and made room for a header of this family.
        Ok(Entering {
            departing: Departing {
                frame: self,
                action,
                len,
            },
            source: Address::from_words(source.words),
            destination: route.next(),
            ignore_df: route.ignores_df(),
        })
    }
}

/// The length of a fixed IP header.
fn header_len(family: Family) -> u16 {
    match family {
        Family::V4 => size_of::<<V4 as Version>::Header>() as u16,
        Family::V6 => size_of::<<V6 as Version>::Header>() as u16,
    }
}

/// A frame that is addressed to the next host, whose packet needs an outer IP header.
///
/// # Invariants
///
/// There is room for a header of the family of `destination` before the packet.
pub struct Entering<'a, V: Version> {
    departing: Departing<'a, V>,
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

    /// Writes the outer header and sends the frame, as [`Departing::send`].
    #[inline(never)]
    pub fn send(self, taken: Traffic<'_>, server: Traffic<'_>) -> Verdict<'a> {
        let Departing { frame, len, .. } = &self.departing;
        let family = self.destination.family();
        if self.source.family() != family {
            return self.discard();
        }
        let outer = Outer {
            handling: V::handling(frame.header()).outer(V::FAMILY, *len, 0, self.ignore_df),
            protocol: Tunnel::Ipip.protocol(V::FAMILY),
            source: self.source,
            destination: self.destination,
        };
        let (ip, raw) = (frame.ip.as_ptr(), frame.frame.as_ptr());
        // SAFETY: by the type invariant there is room for the header before the packet, in the
        // live frame.
        unsafe {
            match family {
                Family::V4 => {
                    let identification = match outer.handling.dont_fragment {
                        true => 0,
                        false => bindings::knet_identify_one(),
                    };
                    let header = ip.sub(size_of::<<V4 as Version>::Header>());
                    outer.write_v4(&mut *header.cast(), identification);
                    bindings::knet_xdp_complete4(raw);
                }
                Family::V6 => {
                    let header = ip.sub(size_of::<<V6 as Version>::Header>());
                    outer.write_v6(&mut *header.cast(), *len);
                }
            }
        }
        self.departing.send(taken, server)
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
