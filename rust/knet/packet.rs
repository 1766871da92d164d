// SPDX-License-Identifier: GPL-2.0-only

//! Packets in flight (`struct sk_buff`).
//!
//! A [`Packet`] is what a netfilter hook is given, and a [`Verdict`] is what it gives back. Since
//! every method that may move the bytes takes the packet exclusively, the borrow checker sees to
//! it that no slice of headers is used after such a move.
//!
//! Packets of the two IP versions are two types, so that the compiler knows which one a hook has.
//!
//! C header: `include/linux/skbuff.h`

use crate::{
    bindings,
    point::Point,
    rcu::Section,
    route::{raw, Route},
};
use core::{marker::PhantomData, ptr::NonNull, slice};
use kernel::prelude::*;
use lvs_core::{
    packet::{self, IPV4_HEADER, IPV6_HEADER},
    transmit::{self, Candidate, Check, Handling, Limits, Report},
    tunnel::{GueChecksum, Outer, Tunnel},
    Address, Endpoint, Family,
};

mod sealed {
    /// Only the two of this module.
    pub trait Sealed {}
    impl Sealed for super::V4 {}
    impl Sealed for super::V6 {}
}

/// An IP version.
pub trait Version: sealed::Sealed + 'static {
    /// Its address family.
    const FAMILY: Family;
    /// The fixed part of a header.
    type Header: AsRef<[u8]>;
    /// The octets of an address.
    type Octets: AsRef<[u8]>;
    /// Source and destination address in a header.
    fn addresses(header: &Self::Header) -> (Self::Octets, Self::Octets);
    /// The fields of a header that routers act on.
    fn handling(header: &Self::Header) -> Handling;
}

/// IPv4.
pub enum V4 {}

impl Version for V4 {
    const FAMILY: Family = Family::V4;
    type Header = [u8; IPV4_HEADER];
    type Octets = [u8; 4];

    #[inline(always)]
    fn addresses(header: &Self::Header) -> (Self::Octets, Self::Octets) {
        packet::addresses_v4(header)
    }

    #[inline(always)]
    fn handling(header: &Self::Header) -> Handling {
        Handling::of_v4(header)
    }
}

/// IPv6.
pub enum V6 {}

impl Version for V6 {
    const FAMILY: Family = Family::V6;
    type Header = [u8; IPV6_HEADER];
    type Octets = [u8; 16];

    #[inline(always)]
    fn addresses(header: &Self::Header) -> (Self::Octets, Self::Octets) {
        packet::addresses_v6(header)
    }

    #[inline(always)]
    fn handling(header: &Self::Header) -> Handling {
        Handling::of_v6(header)
    }
}

/// An IP packet inside a netfilter hook: its data starts at the network header.
///
/// # Invariants
///
/// `skb` is a live packet of version `V` that this value owns until it becomes a [`Verdict`];
/// `skb->data` is its network header. `net` is the namespace of the hook, alive for `'a`.
pub struct Packet<'a, V: Version> {
    skb: NonNull<bindings::sk_buff>,
    net: NonNull<bindings::net>,
    _hook: PhantomData<(&'a mut bindings::sk_buff, V)>,
    _brand: Brand<'a>,
}

/// Tells packets apart: each call of a handler has a lifetime of its own, which can neither be
/// shortened nor extended.
type Brand<'a> = PhantomData<fn(&'a ()) -> &'a ()>;

/// What netfilter is to do with a packet. It can only be made from the packet itself, whose
/// lifetime it has: a handler cannot return the verdict of another packet.
#[must_use]
pub struct Verdict<'a>(u32, Brand<'a>);

impl<'a> Verdict<'a> {
    fn new(number: u32) -> Self {
        Self(number, PhantomData)
    }

    /// For netfilter.
    pub(crate) fn into_raw(self) -> u32 {
        self.0
    }
}

impl<'a, V: Version> Packet<'a, V> {
    /// Takes over a packet from netfilter.
    ///
    /// # Safety
    ///
    /// `skb` must be the live packet of a running hook of version `V` in the namespace `net`, and
    /// the hook must return the verdict.
    pub(crate) unsafe fn from_raw(
        skb: NonNull<bindings::sk_buff>,
        net: NonNull<bindings::net>,
    ) -> Self {
        // INVARIANT: by this function's contract; IP hooks see packets at their network header.
        Self {
            skb,
            net,
            _hook: PhantomData,
            _brand: PhantomData,
        }
    }

    #[inline]
    fn raw(&self) -> &bindings::sk_buff {
        // SAFETY: live and owned by the type invariant.
        unsafe { self.skb.as_ref() }
    }

    /// Length in bytes from the network header.
    #[inline]
    pub fn len(&self) -> u32 {
        self.raw().len
    }

    /// True for a packet without a single byte.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from the network header on that lie in the linear area.
    #[inline]
    pub fn head(&self) -> &[u8] {
        let skb = self.raw();
        let linear = skb.len.wrapping_sub(skb.data_len) as usize;
        // SAFETY: `skb->data` is followed by `skb_headlen()` initialised bytes, and the exclusive
        // methods that move or change them cannot run while `self` is borrowed.
        unsafe { slice::from_raw_parts(skb.data, linear) }
    }

    /// The fixed part of the IP header, at the start of the packet.
    #[inline]
    pub fn header(&self) -> &V::Header {
        // SAFETY: of a packet of this version the kernel has made the fixed header linear before
        // any hook sees it (ip_rcv_core(), ip6_rcv_core(), and what sends has written it); nothing
        // makes less of a packet linear again. `Header` is an array of bytes of that length.
        unsafe { &*self.raw().data.cast::<V::Header>() }
    }

    /// Makes at least `len` bytes linear. Fails when the packet is shorter, or for want of memory.
    pub fn pull(&mut self, len: usize) -> Result {
        let len = u32::try_from(len).map_err(|_| EINVAL)?;
        // SAFETY: live and owned by the type invariant.
        kernel::error::to_result(unsafe { bindings::knet_skb_pull(self.skb.as_ptr(), len) })
    }

    /// The first `len` bytes to write to. Fails when the packet is shorter, or for want of memory. A
    /// sum that the device made over the whole packet is forgotten.
    pub fn writable(&mut self, len: usize) -> Result<&mut [u8]> {
        let count = u32::try_from(len).map_err(|_| EINVAL)?;
        // SAFETY: live and owned by the type invariant.
        kernel::error::to_result(unsafe { bindings::knet_skb_writable(self.skb.as_ptr(), count) })?;
        // SAFETY: the call made `len` bytes linear and private to this packet.
        Ok(unsafe { slice::from_raw_parts_mut(self.raw().data, len) })
    }

    /// True when the transport checksum is left to the device, the field holding only the sum of
    /// the pseudo-header.
    pub fn checksum_is_partial(&self) -> bool {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_checksum_partial(self.skb.as_ptr()) }
    }

    /// Reads a field of the packet.
    ///
    /// # Safety
    ///
    /// There must be a `T` at this offset of `struct sk_buff`.
    #[inline]
    unsafe fn field<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: live and owned by the type invariant; the rest by this function's contract.
        unsafe {
            self.skb
                .as_ptr()
                .byte_add(offset as usize)
                .cast::<T>()
                .read()
        }
    }

    /// The firewall mark.
    #[inline]
    pub fn mark(&self) -> u32 {
        // SAFETY: C says where it is.
        unsafe { self.field(bindings::knet_skb_layout_KNET_SKB_MARK) }
    }

    /// False for what was sent to a broadcast or multicast link address.
    #[inline]
    pub fn is_to_host(&self) -> bool {
        // SAFETY: C says where it is.
        let byte: u8 = unsafe { self.field(bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE) };
        u32::from(byte) & bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE_MASK
            == bindings::PACKET_HOST
    }

    /// Whether it came out of an IP tunnel that ends in this namespace. For a packet that was received.
    pub fn is_from_tunnel(&self) -> bool {
        // SAFETY: live and owned by the type invariant; while a hook has a packet, its device lives.
        unsafe { bindings::knet_skb_from_tunnel(self.skb.as_ptr()) }
    }

    /// Lets the packet go on as if we had not seen it.
    pub fn accept(self) -> Verdict<'a> {
        Verdict::new(bindings::NF_ACCEPT)
    }

    /// Discards the packet.
    pub fn discard(self) -> Verdict<'a> {
        Verdict::new(bindings::NF_DROP)
    }

    /// Sends an ICMP error to the packet's sender. Softirq.
    fn report(&mut self, report: Report) {
        let report = raw_report(report);
        // SAFETY: live, owned and of this version by the type invariant.
        unsafe {
            match V::FAMILY {
                Family::V4 => {
                    bindings::knet_report4(self.net.as_ptr(), self.skb.as_ptr(), &report);
                }
                Family::V6 => bindings::knet_report6(self.skb.as_ptr(), &report),
            }
        };
    }

    /// Discards the packet and sends its sender an ICMP error: port unreachable. Softirq.
    pub fn refuse(mut self) -> Verdict<'a> {
        self.report(Report::port_unreachable(V::FAMILY));
        self.discard()
    }

    /// Lets the packet, which was rewritten, go on to a socket of this host: not to one that was
    /// found by its former addresses.
    pub fn deliver(self) -> Verdict<'a> {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_orphan(self.skb.as_ptr()) };
        self.accept()
    }

    /// Puts a packet together of which this is a fragment, at hook `point`. It comes back
    /// whole, or unchanged when it is none that can be put together; it is not given back while
    /// others are missing. Softirq.
    pub fn gather(self, point: Point) -> Result<Self, Verdict<'a>> {
        let skb = self.skb.as_ptr();
        // SAFETY: live, owned and of this version by the type invariant.
        let error = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_gather4(self.net.as_ptr(), skb, point.number()),
                Family::V6 => bindings::knet_gather6(self.net.as_ptr(), skb),
            }
        };
        match error {
            0 => Ok(self),
            // It waits for the others, and is not ours any more.
            error if error == -(bindings::EINPROGRESS as i32) => Err(Verdict::new(bindings::NF_STOLEN)),
            _ => Err(self.discard()),
        }
    }

    /// Learns from an ICMP error, which this is, how large packets of `protocol` may be on the way of
    /// the one that it quotes `at` this offset, an IP packet of the same version which this host had
    /// sent. Softirq.
    pub fn learn_mtu(&mut self, at: usize, protocol: u8, mtu: u32) {
        let Ok(at) = u32::try_from(at) else {
            return;
        };
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the call checks that the
        // quote is there.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_learn_mtu4(net, skb, at, protocol, mtu),
                Family::V6 => bindings::knet_learn_mtu6(net, skb, at, mtu),
            }
        };
    }

    /// Sends an ICMP error to the sender of the packet of `family` that this packet, itself an
    /// ICMP error, quotes `at` this offset, and which went through a tunnel of this host. Discards
    /// the packet. Softirq.
    pub fn relay_report(self, at: usize, family: Family, report: Report) -> Verdict<'a> {
        let report = raw_report(report);
        if let Ok(at) = u32::try_from(at) {
            let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
            // SAFETY: live and owned by the type invariant; the call checks that the quote is there.
            unsafe {
                match family {
                    Family::V4 => bindings::knet_relay_report4(net, skb, at, &report),
                    Family::V6 => bindings::knet_relay_report6(skb, at, &report),
                }
            };
        }
        self.discard()
    }

    /// The length of the largest fragment that the packet was reassembled from, 0 if it arrived
    /// whole.
    #[inline]
    fn largest_fragment(&self) -> u16 {
        let offset = match V::FAMILY {
            Family::V4 => bindings::knet_skb_layout_KNET_SKB_LARGEST_FRAGMENT4,
            Family::V6 => bindings::knet_skb_layout_KNET_SKB_LARGEST_FRAGMENT6,
        };
        // SAFETY: C says where it is; IP of this version has the control block in its hooks.
        unsafe { self.field(offset) }
    }

    /// Sets the packet's route, and makes its first `writable` bytes writable. Softirq.
    ///
    /// The packet is discarded if there is no route, if it is shorter, or if there is no memory.
    /// It is discarded and its sender gets an ICMP error if [`transmit::check`] says so; therefore
    /// the headers must still be those that the sender sent. If the route leads to this host, the
    /// packet comes back unchanged.
    #[inline(always)]
    pub fn prepare(
        self,
        section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
    ) -> Result<RoutedPacket<'a, V>, NotRouted<'a, V>> {
        let handling = V::handling(self.header());
        let sufficient = transmit::sufficient_mtu(handling, self.len(), route.overhead());
        self.prepare_with(section, route, writable, sufficient)
    }

    /// As [`Self::prepare`]; a route with this MTU is not checked.
    #[inline(always)]
    fn prepare_with(
        self,
        section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
        sufficient_mtu: u32,
    ) -> Result<RoutedPacket<'a, V>, NotRouted<'a, V>> {
        let family = route.family();
        let request = route.request(sufficient_mtu, writable);
        let mut hop = bindings::knet_hop {
            mtu: 0,
            source: bindings::knet_address { words: [0; 2] },
        };
        let (net_ptr, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: the packet is live and of this version, the namespace outlives its hooks, the
        // route's pointers are valid by its type invariant, and the section is evidence of the RCU
        // read lock.
        let result = unsafe {
            match (V::FAMILY, family) {
                (Family::V4, Family::V4) => {
                    bindings::knet_prepare4(net_ptr, skb, &request, &mut hop)
                }
                (Family::V6, Family::V6) => {
                    bindings::knet_prepare6(net_ptr, skb, &request, &mut hop)
                }
                (Family::V4, Family::V6) => {
                    bindings::knet_prepare4in6(net_ptr, skb, &request, &mut hop)
                }
                (Family::V6, Family::V4) => {
                    bindings::knet_prepare6in4(net_ptr, skb, &request, &mut hop)
                }
            }
        };
        let checksum_is_partial = match result {
            bindings::knet_prepared_KNET_PREPARED => false,
            bindings::knet_prepared_KNET_PREPARED_PARTIAL => true,
            bindings::knet_prepared_KNET_LOCAL => return Err(NotRouted::Local(self)),
            bindings::knet_prepared_KNET_UNCHECKED if sufficient_mtu != 0 => {
                return self.prepare_checked(section, route, writable, hop.mtu);
            }
            _ => return Err(NotRouted::Over(self.discard())),
        };
        // INVARIANT: the call has set the route and made the bytes writable.
        Ok(RoutedPacket {
            packet: self,
            hop,
            family,
            writable,
            checksum_is_partial,
            ignore_df: route.ignores_df(),
        })
    }

    /// Checks a packet that is longer than the route's MTU, or has no time to live, and sets its
    /// route if it may go on.
    #[cold]
    #[inline(never)]
    fn prepare_checked(
        mut self,
        section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
        mtu: u32,
    ) -> Result<RoutedPacket<'a, V>, NotRouted<'a, V>> {
        let candidate = Candidate {
            family: V::FAMILY,
            len: self.len(),
            handling: V::handling(self.header()),
            largest_fragment: self.largest_fragment(),
        };
        let limits = Limits {
            mtu,
            overhead: route.overhead(),
            ignore_df: route.ignores_df(),
        };
        let skb = self.skb.as_ptr();
        // SAFETY: live and owned by the type invariant.
        let segments_fit = |mtu| unsafe { bindings::knet_segments_fit(skb, mtu) };
        match transmit::check(candidate, limits, segments_fit) {
            Check::Pass => self.prepare_with(section, route, writable, 0),
            Check::Report(report) => {
                self.report(report);
                Err(NotRouted::Over(self.discard()))
            }
        }
    }
}

fn raw_report(report: Report) -> bindings::knet_report {
    bindings::knet_report {
        type_: report.kind,
        code: report.code,
        info: report.info,
    }
}

/// Whether conntrack has a part in packets that the director sends on.
#[derive(Clone, Copy)]
pub struct Tracking(pub bool);

/// Why a packet did not get a route.
pub enum NotRouted<'a, V: Version> {
    /// The route leads to this host: the packet, unchanged.
    Local(Packet<'a, V>),
    /// It is over with the packet.
    Over(Verdict<'a>),
}

/// A packet with a route, ready to be changed and sent.
///
/// # Invariants
///
/// The packet has a route of `family`, and its first `writable` bytes are
/// linear and its own.
pub struct RoutedPacket<'a, V: Version> {
    packet: Packet<'a, V>,
    hop: bindings::knet_hop,
    family: Family,
    writable: u16,
    checksum_is_partial: bool,
    ignore_df: bool,
}

impl<'a, V: Version> RoutedPacket<'a, V> {
    /// See [`Packet::len`].
    pub fn len(&self) -> u32 {
        self.packet.len()
    }

    /// See [`Packet::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.packet.is_empty()
    }

    /// The bytes to write to.
    #[inline]
    pub fn writable(&mut self) -> &mut [u8] {
        // SAFETY: by the type invariant, and the exclusive borrow keeps everybody else away.
        unsafe { slice::from_raw_parts_mut(self.packet.raw().data, self.writable.into()) }
    }

    /// True when the transport checksum is left to the device, the field holding only the sum of
    /// the pseudo-header.
    #[inline]
    pub fn checksum_is_partial(&self) -> bool {
        self.checksum_is_partial
    }

    /// See [`Packet::discard`].
    pub fn discard(self) -> Verdict<'a> {
        self.packet.discard()
    }

    /// Tells conntrack, of the first packet of a tracked connection, that the replies will come from
    /// `server`. To be done before the packet is rewritten.
    pub fn track_server(&mut self, server: Endpoint) {
        let skb = self.packet.skb.as_ptr();
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_track_server(skb, &raw(server.address), server.port.to_be()) };
    }

    /// Sends the packet as one that passes through. Without a route of its own family it is discarded.
    #[inline(always)]
    pub fn send(self, tracking: Tracking) -> Verdict<'a> {
        if self.family != V::FAMILY {
            return self.discard();
        }
        let (net, skb) = (self.packet.net.as_ptr(), self.packet.skb.as_ptr());
        // SAFETY: live, owned and routed by the type invariants; the call consumes it, and the
        // verdict tells netfilter so.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_send4(net, skb, self.hop.mtu, tracking.0),
                Family::V6 => bindings::knet_send6(net, skb, self.hop.mtu, tracking.0),
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }

    /// Puts the packet into another one to `destination`, to which its route must lead, and sends
    /// that. The packet is discarded if there is no memory, or if the route is not one of a tunnel
    /// or of another family than `destination`. Softirq.
    #[inline(always)]
    pub fn send_through(
        mut self,
        tunnel: Tunnel,
        destination: Address,
        tracking: Tracking,
    ) -> Verdict<'a> {
        let (net, skb) = (self.packet.net.as_ptr(), self.packet.skb.as_ptr());
        let family = destination.family();
        let [_, source] = self.hop.source.words;
        if family != self.family || source == 0 {
            return self.discard();
        }
        // SAFETY: live and owned by the type invariant.
        if tracking.0 && !unsafe { bindings::knet_track_tunneled(skb) } {
            return self.discard();
        }
        let packet = &self.packet;
        let largest_fragment = match V::FAMILY {
            Family::V4 => 0,
            Family::V6 => packet.largest_fragment(),
        };
        let outer = Outer {
            handling: V::handling(packet.header()).outer(
                V::FAMILY,
                packet.len(),
                largest_fragment,
                self.ignore_df,
            ),
            protocol: tunnel.protocol(V::FAMILY),
            source: Address::from_words(self.hop.source.words),
            destination,
        };
        let Some(identification) = self.encapsulate(tunnel, &outer) else {
            return self.discard();
        };
        // SAFETY: live, owned and routed by the type invariants; encapsulation has put a header of
        // `family` before the packet, which is written here. The call consumes the packet.
        unsafe {
            let data = self.packet.raw().data;
            match family {
                Family::V4 => {
                    outer.write_v4(&mut *data.cast(), identification);
                    bindings::knet_send4_local(net, skb, self.hop.mtu);
                }
                Family::V6 => {
                    let payload = self.len().saturating_sub(IPV6_HEADER as u32);
                    outer.write_v6(&mut *data.cast(), payload);
                    bindings::knet_send6_local(net, skb);
                }
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }

    /// Puts the headers of a tunnel before the packet, the outer IP header not yet written. Returns
    /// the identification for an IPv4 header; `None` if there is no memory.
    #[inline(always)]
    fn encapsulate(&mut self, tunnel: Tunnel, outer: &Outer) -> Option<u16> {
        let skb = self.packet.skb.as_ptr();
        let may_fragment = !outer.handling.dont_fragment;
        let result = match (tunnel, V::FAMILY, self.family) {
            // SAFETY: live, owned, of these families and routed by the type invariants.
            (Tunnel::Ipip, Family::V4, Family::V4) => unsafe {
                bindings::knet_encapsulate_ipip4(skb, may_fragment)
            },
            _ => self.encapsulate_any(tunnel, outer),
        };
        u16::try_from(result).ok()
    }

    /// What [`Self::encapsulate`] does for all but the most frequent kind.
    #[inline(never)]
    fn encapsulate_any(&mut self, tunnel: Tunnel, outer: &Outer) -> i32 {
        let mut raw = bindings::knet_tunnel {
            daddr: raw(outer.destination),
            saddr: raw(outer.source),
            family: self.family as i32,
            inner_family: V::FAMILY as i32,
            kind: bindings::knet_tunnel_kind_KNET_IPIP,
            overhead: tunnel.overhead(self.family),
            port: 0,
            protocol: Tunnel::Ipip.protocol(V::FAMILY),
            checksum: false,
            remote_checksum: false,
            may_fragment: !outer.handling.dont_fragment,
        };
        match tunnel {
            Tunnel::Ipip => {}
            Tunnel::Gue { port, checksum } => {
                raw.kind = bindings::knet_tunnel_kind_KNET_GUE;
                raw.port = port.to_be();
                raw.checksum = checksum != GueChecksum::None;
                raw.remote_checksum = checksum == GueChecksum::Remote;
            }
            Tunnel::Gre { checksum } => {
                raw.kind = bindings::knet_tunnel_kind_KNET_GRE;
                raw.checksum = checksum;
            }
        }
        // SAFETY: live, owned, of these families and routed by the type invariants.
        unsafe { bindings::knet_encapsulate(self.packet.net.as_ptr(), self.packet.skb.as_ptr(), &raw) }
    }
}
