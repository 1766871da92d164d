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
    hook::Point,
    namespace::Net,
    rcu::Section,
    route::{PreferredSource, Route},
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};
use kernel::prelude::*;
use lvs_core::{
    packet::{self, IPV4_HEADER, IPV6_HEADER},
    tunnel::{GueChecksum, Tunnel},
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
}

/// An IP packet inside a netfilter hook: its data starts at the network header.
///
/// # Invariants
///
/// The pointer is a live packet of version `V` that this value owns until it becomes a [`Verdict`];
/// `skb->data` is its network header.
pub struct Packet<'a, V: Version> {
    skb: NonNull<bindings::sk_buff>,
    _hook: PhantomData<(&'a mut bindings::sk_buff, V)>,
}

/// What becomes of a packet. It can only be made from the packet itself.
#[must_use]
pub struct Verdict(u32);

impl Verdict {
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
    /// `skb` must be the live packet of a running hook of version `V`'s, whose answer the caller makes of
    /// the verdict.
    pub(crate) unsafe fn from_raw(skb: NonNull<bindings::sk_buff>) -> Self {
        // INVARIANT: by this function's contract; IP hooks see packets at their network header.
        Self {
            skb,
            _hook: PhantomData,
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
    pub fn accept(self) -> Verdict {
        Verdict(bindings::NF_ACCEPT)
    }

    /// Discards the packet.
    pub fn discard(self) -> Verdict {
        Verdict(bindings::NF_DROP)
    }

    /// Discards the packet and tells its sender that nobody listens here (ICMP port unreachable).
    /// Only for a packet that has been routed.
    pub fn refuse(self) -> Verdict {
        let skb = self.skb.as_ptr();
        // SAFETY: live, owned and of this version by the type invariant.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_port_unreachable4(skb),
                Family::V6 => bindings::knet_port_unreachable6(skb),
            }
        };
        self.discard()
    }

    /// Lets the packet, which was rewritten, go on to a socket of this host: not to one that was
    /// found by its former addresses.
    pub fn deliver(self) -> Verdict {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_orphan(self.skb.as_ptr()) };
        self.accept()
    }

    /// Puts a packet together of which this is a fragment, at hook `point` of `net`. It comes back
    /// whole, or unchanged when it is none that can be put together; it is not given back while
    /// others are missing. Softirq.
    pub fn gather(self, net: Net, point: Point) -> Result<Self, Verdict> {
        let skb = self.skb.as_ptr();
        // SAFETY: live, owned and of this version by the type invariant.
        let error = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_gather4(net.as_ptr(), skb, point.number()),
                Family::V6 => bindings::knet_gather6(net.as_ptr(), skb),
            }
        };
        match error {
            0 => Ok(self),
            // It waits for the others, and is not ours any more.
            error if error == -(bindings::EINPROGRESS as i32) => Err(Verdict(bindings::NF_STOLEN)),
            _ => Err(self.discard()),
        }
    }

    /// Learns from an ICMP error, which this is, how large packets of `protocol` may be on the way of
    /// the one that it quotes `at` this offset, an IP packet of the same version which this host had
    /// sent. Softirq.
    pub fn learn_mtu(&mut self, net: Net, at: usize, protocol: u8, mtu: u32) {
        let Ok(at) = u32::try_from(at) else {
            return;
        };
        let (net, skb) = (net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the call checks that the
        // quote is there.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_learn_mtu4(net, skb, at, protocol, mtu),
                Family::V6 => bindings::knet_learn_mtu6(net, skb, at, mtu),
            }
        };
    }

    /// Tells the sender of the packet of `family` that is quoted `at` this offset of an error, and
    /// which went through a tunnel of this host's. The error itself has done its work. Softirq.
    pub fn relay_error(self, net: Net, at: usize, family: Family, error: RelayedError) -> Verdict {
        let mtu = match error {
            RelayedError::TooBig(mtu) => mtu,
            RelayedError::Unreachable => 0,
        };
        if let Ok(at) = u32::try_from(at) {
            let (net, skb) = (net.as_ptr(), self.skb.as_ptr());
            // SAFETY: live and owned by the type invariant; the call checks that the quote is there.
            unsafe {
                match family {
                    Family::V4 => bindings::knet_relay_error4(net, skb, at, mtu),
                    Family::V6 => bindings::knet_relay_error6(net, skb, at, mtu),
                }
            };
        }
        self.discard()
    }

    /// Gives the packet its route, and makes its first `writable` bytes writable. Softirq.
    ///
    /// It is discarded when there is no route, when it is shorter, and for want of memory; when the
    /// packet is larger than the path allows and must not be fragmented (RFC 1191, RFC 8201), and
    /// when its time to live is used up (RFC 1812 section 5.3.1), its sender is told by ICMP, so
    /// the headers must still be those that were sent. One whose route leads to this host comes
    /// back unchanged.
    #[inline(always)]
    pub fn prepare(
        self,
        _section: &Section<'_>,
        net: Net,
        route: &Route<'_>,
        writable: u16,
    ) -> Result<RoutedPacket<'a, V>, NotRouted<'a, V>> {
        let family = route.destination.family();
        let request = bindings::knet_route {
            dst: route.cache.as_ptr(),
            cookie: route.cookie.as_ptr(),
            source: route
                .preferred
                .map_or(ptr::null_mut(), PreferredSource::as_ptr),
            daddr: raw(route.destination),
            saddr: route
                .source
                .map_or(bindings::knet_address { words: [0; 2] }, raw),
            overhead: route.overhead,
            writable,
            direct: route.direct,
            cut: route.cut,
        };
        let mut hop = bindings::knet_hop {
            mtu: 0,
            source: bindings::knet_address { words: [0; 2] },
        };
        let (net_ptr, skb) = (net.as_ptr(), self.skb.as_ptr());
        // SAFETY: the packet is live and of this version, the namespace outlives its hooks, the
        // caches are borrowed, and the section is evidence of the RCU read lock.
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
            _ => return Err(NotRouted::Over(self.discard())),
        };
        // INVARIANT: the call has set the route and made the bytes writable.
        Ok(RoutedPacket {
            packet: self,
            net,
            hop,
            family,
            writable,
            checksum_is_partial,
            cut: route.cut,
        })
    }
}

/// What the sender of a packet is told that did not get through a tunnel.
pub enum RelayedError {
    /// Packets larger than this many bytes do not fit.
    TooBig(u32),
    /// Nobody is reached.
    Unreachable,
}

/// Whether conntrack has a part in packets that the director sends on.
#[derive(Clone, Copy)]
pub struct Tracking(pub bool);

/// Why a packet did not get a route.
pub enum NotRouted<'a, V: Version> {
    /// The route leads to this host: the packet, unchanged.
    Local(Packet<'a, V>),
    /// It is over with the packet.
    Over(Verdict),
}

/// An address for the C side.
#[inline]
pub(crate) fn raw(address: Address) -> bindings::knet_address {
    bindings::knet_address {
        words: address.to_words(),
    }
}

/// A packet with a route, ready to be changed and sent.
///
/// # Invariants
///
/// The packet has a route of `family` in the namespace `net`, and its first `writable` bytes are
/// linear and its own.
pub struct RoutedPacket<'a, V: Version> {
    packet: Packet<'a, V>,
    net: Net,
    hop: bindings::knet_hop,
    family: Family,
    writable: u16,
    checksum_is_partial: bool,
    cut: bool,
}

impl<V: Version> RoutedPacket<'_, V> {
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
    pub fn discard(self) -> Verdict {
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
    pub fn send(self, tracking: Tracking) -> Verdict {
        if self.family != V::FAMILY {
            return self.discard();
        }
        let (net, skb) = (self.net.as_ptr(), self.packet.skb.as_ptr());
        // SAFETY: live, owned and routed by the type invariants; the call consumes it, and the
        // verdict tells netfilter so.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_send4(net, skb, self.hop.mtu, tracking.0),
                Family::V6 => bindings::knet_send6(net, skb, self.hop.mtu, tracking.0),
            }
        };
        Verdict(bindings::NF_STOLEN)
    }

    /// Puts the packet into another one to `destination`, to which its route must lead and have
    /// been asked for the preferred source, and sends that. It is discarded for want of memory, and
    /// when the route is of another family than `destination`.
    #[inline(always)]
    pub fn send_through(self, tunnel: Tunnel, destination: Address, tracking: Tracking) -> Verdict {
        let (net, skb) = (self.net.as_ptr(), self.packet.skb.as_ptr());
        let family = destination.family();
        if family != self.family {
            return self.discard();
        }
        // SAFETY: live and owned by the type invariant.
        if tracking.0 && !unsafe { bindings::knet_track_tunneled(skb) } {
            return self.discard();
        }
        let mut raw = bindings::knet_tunnel {
            daddr: raw(destination),
            saddr: self.hop.source,
            family: family as i32,
            kind: bindings::knet_tunnel_kind_KNET_IPIP,
            overhead: tunnel.overhead(family),
            port: 0,
            checksum: false,
            remote_checksum: false,
            cut: self.cut,
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
        // SAFETY: live, owned, of this version and routed by the type invariants.
        let error = unsafe { bindings::knet_encapsulate(net, skb, &raw, V::FAMILY as i32) };
        if error != 0 {
            return self.discard();
        }
        // SAFETY: as in `send`.
        unsafe {
            match family {
                Family::V4 => bindings::knet_send4_local(net, skb, self.hop.mtu),
                Family::V6 => bindings::knet_send6_local(net, skb),
            }
        };
        Verdict(bindings::NF_STOLEN)
    }
}
