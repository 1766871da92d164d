// SPDX-License-Identifier: GPL-2.0-only

//! Packets in flight (`struct sk_buff`).
//!
//! A [`Packet`] is what a netfilter hook is given, and a [`Verdict`] is what it gives back. Since
//! every method that may move the bytes takes the packet exclusively, the borrow checker sees to
//! it that no slice of headers is used after such a move.
//!
//! C header: `include/linux/skbuff.h`

use crate::{
    bindings,
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

/// An IP packet inside a netfilter hook: its data starts at the network header.
///
/// # Invariants
///
/// The pointer is a live packet that this value owns until it becomes a [`Verdict`]; `skb->data`
/// is its network header.
pub struct Packet<'a> {
    skb: NonNull<bindings::sk_buff>,
    _hook: PhantomData<&'a mut bindings::sk_buff>,
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

impl<'a> Packet<'a> {
    /// Takes over a packet from netfilter.
    ///
    /// # Safety
    ///
    /// `skb` must be the live packet of a running hook of NFPROTO_IPV4, whose answer the caller makes
    /// of the verdict.
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

    /// The fixed part of an IPv4 header, at the start of the packet.
    #[inline]
    pub fn ipv4_header(&self) -> &[u8; 20] {
        // SAFETY: packets are made in hooks of NFPROTO_IPV4 only, before which the kernel has made
        // their header linear (ip_rcv_core()); nothing makes less of a packet linear again.
        unsafe { &*self.raw().data.cast::<[u8; 20]>() }
    }

    /// Makes at least `len` bytes linear. Fails when the packet is shorter, or for want of memory.
    pub fn pull(&mut self, len: usize) -> Result {
        let len = u32::try_from(len).map_err(|_| EINVAL)?;
        // SAFETY: live and owned by the type invariant.
        kernel::error::to_result(unsafe { bindings::knet_skb_pull(self.skb.as_ptr(), len) })
    }

    /// The first `len` bytes to write to. Fails when the packet is shorter, or for want of memory.
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

    /// Lets the packet go on as if we had not seen it.
    pub fn accept(self) -> Verdict {
        Verdict(bindings::NF_ACCEPT)
    }

    /// Discards the packet.
    pub fn discard(self) -> Verdict {
        Verdict(bindings::NF_DROP)
    }

    /// Discards the packet and tells its sender that nobody listens here (ICMP port unreachable).
    /// Only for a packet that has been routed to this host.
    pub fn refuse(self) -> Verdict {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_port_unreachable(self.skb.as_ptr()) };
        Verdict(bindings::NF_DROP)
    }

    /// Gives the packet its route, and makes its first `writable` bytes writable. Softirq.
    ///
    /// It is discarded when there is no route or it leads to this host, when it is shorter, and for
    /// want of memory; when the packet is larger than the path allows and must not be fragmented
    /// (RFC 1191), and when its time to live is used up (RFC 1812 section 5.3.1), its sender is
    /// told by ICMP, so the headers must still be those that were sent.
    #[inline(always)]
    pub fn prepare(
        self,
        _section: &Section<'_>,
        net: Net,
        route: &Route<'_>,
        writable: u16,
    ) -> Result<RoutedPacket<'a>, Verdict> {
        let request = bindings::knet_route {
            dst: route.cache.as_ptr(),
            source: route
                .preferred
                .map_or(ptr::null_mut(), PreferredSource::as_ptr),
            daddr: u32::from_ne_bytes(route.destination),
            saddr: u32::from_ne_bytes(route.source),
            overhead: route.overhead,
            writable,
            direct: route.direct,
        };
        let mut mtu = 0;
        // SAFETY: the packet is live, the namespace outlives its hooks, the caches are borrowed,
        // and the section is evidence of the RCU read lock.
        let result =
            unsafe { bindings::knet_prepare(net.as_ptr(), self.skb.as_ptr(), &request, &mut mtu) };
        let checksum_is_partial = match result {
            bindings::knet_prepared_KNET_PREPARED => false,
            bindings::knet_prepared_KNET_PREPARED_PARTIAL => true,
            _ => return Err(self.discard()),
        };
        // INVARIANT: the call has set the route and made the bytes writable.
        Ok(RoutedPacket {
            packet: self,
            net,
            mtu,
            writable,
            checksum_is_partial,
        })
    }
}

/// A packet with a route, ready to be changed and sent.
///
/// # Invariants
///
/// The packet has a route in the namespace `net`, and its first `writable` bytes are linear and
/// its own.
pub struct RoutedPacket<'a> {
    packet: Packet<'a>,
    net: Net,
    mtu: u32,
    writable: u16,
    checksum_is_partial: bool,
}

impl RoutedPacket<'_> {
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

    /// Sends the packet as one that passes through.
    pub fn send(self) -> Verdict {
        // SAFETY: live, owned and routed by the type invariants; the call consumes it, and the
        // verdict tells netfilter so.
        unsafe { bindings::knet_send(self.net.as_ptr(), self.packet.skb.as_ptr(), self.mtu) };
        Verdict(bindings::NF_STOLEN)
    }

    /// Puts the packet into another one from `source` to `destination` (IP in IP, RFC 2003), to
    /// which its route must lead, and sends that. It is discarded for want of memory.
    pub fn send_in_ip(self, source: [u8; 4], destination: [u8; 4]) -> Verdict {
        let skb = self.packet.skb.as_ptr();
        // SAFETY: live, owned and routed by the type invariants.
        let error = unsafe {
            bindings::knet_encapsulate_ipip(
                skb,
                u32::from_ne_bytes(destination),
                u32::from_ne_bytes(source),
            )
        };
        if error != 0 {
            return self.discard();
        }
        // SAFETY: as in `send`.
        unsafe { bindings::knet_send_local(self.net.as_ptr(), skb, self.mtu) };
        Verdict(bindings::NF_STOLEN)
    }
}
