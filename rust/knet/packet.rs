// SPDX-License-Identifier: GPL-2.0-only

//! Packets in flight (`struct sk_buff`).
//!
//! A netfilter hook gets a [`Packet`] and returns a [`Verdict`]. Every method that may move the
//! packet's bytes borrows it exclusively, so the borrow checker rejects a slice of headers that is
//! used after such a move.
//!
//! The IP version is part of the type, so the compiler specializes a hook for it.
//!
//! C header: `include/linux/skbuff.h`

use crate::{
    bindings,
    counters::Traffic,
    point::Point,
    rcu::Section,
    route::{raw, Route},
};
use core::{hint, marker::PhantomData, ptr::NonNull, slice};
use kernel::prelude::*;
use lvs_core::{
    packet::{self, IPV4_HEADER, IPV6_HEADER},
    receive,
    transmit::{self, Candidate, Check, Handling, Limits, Report},
    tunnel::{GueChecksum, Outer, Tunnel},
    Address, Endpoint, Family,
};

mod sealed {
    /// Implemented by the two versions of this module only.
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
    /// The length of the packet with this header, of which `available` bytes came in, if it may be
    /// forwarded where it comes in.
    fn received_len(header: &Self::Header, available: u32) -> Option<u32>;
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

    #[inline(always)]
    fn received_len(header: &Self::Header, available: u32) -> Option<u32> {
        receive::length_v4(header, available)
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

    #[inline(always)]
    fn received_len(header: &Self::Header, available: u32) -> Option<u32> {
        receive::length_v6(header, available)
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

/// Distinguishes packets: each call of a handler has a lifetime of its own, which can neither be
/// shortened nor extended.
type Brand<'a> = PhantomData<fn(&'a ()) -> &'a ()>;

/// The verdict for netfilter. It can only be made from the packet itself and has its lifetime, so a
/// handler cannot return the verdict of another packet.
#[must_use]
pub struct Verdict<'a>(u32, Brand<'a>);

impl<'a> Verdict<'a> {
    #[inline(always)]
    fn new(number: u32) -> Self {
        Self(number, PhantomData)
    }

    /// For netfilter.
    #[inline(always)]
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
    #[inline(always)]
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

    /// Whether the packet has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the linear area, from the network header on.
    #[inline]
    pub fn head(&self) -> &[u8] {
        let skb = self.raw();
        let linear = skb.len.wrapping_sub(skb.data_len) as usize;
        // SAFETY: `skb->data` is followed by `skb_headlen()` initialized bytes, and the exclusive
        // methods that move or change them cannot run while `self` is borrowed.
        unsafe { slice::from_raw_parts(skb.data, linear) }
    }

    /// The fixed part of the IP header, at the start of the packet.
    #[inline]
    pub fn header(&self) -> &V::Header {
        // SAFETY: the fixed header is linear before a hook sees the packet: ip_rcv_core() and
        // ip6_rcv_core() pull it, `ingress` looks, and a sender has written it. No method makes
        // fewer bytes linear.
        // `Header` is an array of bytes of that length.
        unsafe { &*self.raw().data.cast::<V::Header>() }
    }

    /// Makes at least `len` bytes linear. Fails if the packet is shorter or there is no memory.
    pub fn pull(&mut self, len: usize) -> Result {
        let len = u32::try_from(len).map_err(|_| EINVAL)?;
        // SAFETY: live and owned by the type invariant.
        kernel::error::to_result(unsafe { bindings::knet_skb_pull(self.skb.as_ptr(), len) })
    }

    /// Whether further packets hang on this one, which a pull would take bytes from. To SCTP each
    /// of them is a chunk, so read such a packet with [`Self::copy`].
    pub fn has_parts(&self) -> bool {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_has_parts(self.skb.as_ptr()) }
    }

    /// Copies the first `len` bytes, wherever they are. Fails if the packet is shorter or there is
    /// no memory.
    pub fn copy(&self, len: usize) -> Result<KVec<u8>> {
        let count = u32::try_from(len).map_err(|_| EINVAL)?;
        if count > self.len() {
            return Err(EINVAL);
        }
        let mut bytes = KVec::from_elem(0u8, len, GFP_ATOMIC)?;
        // SAFETY: live and owned by the type invariant; the vector has `len` bytes.
        kernel::error::to_result(unsafe {
            bindings::knet_skb_copy(self.skb.as_ptr(), bytes.as_mut_ptr(), count)
        })?;
        Ok(bytes)
    }

    /// Makes the first `len` bytes writable. Fails if the packet is shorter or there is no memory.
    /// A checksum that the device computed over the whole packet is discarded.
    pub fn writable(&mut self, len: usize) -> Result<&mut [u8]> {
        let count = u32::try_from(len).map_err(|_| EINVAL)?;
        // SAFETY: live and owned by the type invariant.
        kernel::error::to_result(unsafe { bindings::knet_skb_writable(self.skb.as_ptr(), count) })?;
        // SAFETY: the call made `len` bytes linear and private to this packet.
        Ok(unsafe { slice::from_raw_parts_mut(self.raw().data, len) })
    }

    /// Whether the device fills in the transport checksum: the field holds the sum of the
    /// pseudo-header.
    pub fn checksum_is_partial(&self) -> bool {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_checksum_partial(self.skb.as_ptr()) }
    }

    /// Replaces `len` octets of the payload at `at` by `text`, and corrects lengths and checksums.
    /// The packet is a TCP segment with its header at `transport`. It stays unchanged and the call
    /// fails if it is shorter, if a device will segment it, if its checksum is wrong, or if there
    /// is no memory. Softirq.
    pub fn replace(&mut self, transport: u16, at: usize, len: usize, text: &[u8]) -> Result {
        let number = |number: usize| u32::try_from(number).map_err(|_| EINVAL);
        let (at, len, new) = (number(at)?, number(len)?, number(text.len())?);
        // SAFETY: live, owned and of this version by the type invariant; the call reads `text` and
        // checks all positions. No borrow of the packet's bytes exists.
        kernel::error::to_result(unsafe {
            bindings::knet_skb_replace(
                self.skb.as_ptr(),
                V::FAMILY as i32,
                transport.into(),
                at,
                len,
                text.as_ptr(),
                new,
            )
        })
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
        // SAFETY: C tells the offset.
        unsafe { self.field(bindings::knet_skb_layout_KNET_SKB_MARK) }
    }

    /// False for a packet that was sent to a broadcast or multicast link address.
    #[inline]
    pub fn is_to_host(&self) -> bool {
        // SAFETY: C tells the offset.
        let byte: u8 = unsafe { self.field(bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE) };
        u32::from(byte) & bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE_MASK
            == bindings::PACKET_HOST
    }

    /// Makes a packet that was sent to a broadcast or multicast link address one that was sent to
    /// this host. TCP takes no others.
    pub fn claim(&mut self) {
        let mask = bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE_MASK as u8;
        let offset = bindings::knet_skb_layout_KNET_SKB_PACKET_TYPE as usize;
        // SAFETY: live and owned by the type invariant, so nobody else writes the fields that share
        // the byte; C tells its offset.
        unsafe {
            let byte = self.skb.as_ptr().cast::<u8>().add(offset);
            *byte = *byte & !mask | bindings::PACKET_HOST as u8;
        }
    }

    /// The index of the device by which the packet came in.
    #[inline]
    pub fn device(&self) -> i32 {
        // SAFETY: C tells the offset.
        unsafe { self.field(bindings::knet_skb_layout_KNET_SKB_DEVICE) }
    }

    /// Whether the packet may be taken in the hook of a device: false if the host has to receive
    /// it. Softirq.
    #[inline(always)]
    pub(crate) fn may_be_received(&self) -> bool {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: the packet is live and owned, and the namespace is alive, by the type invariant.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_may_receive4(net, skb),
                Family::V6 => bindings::knet_may_receive6(net, skb),
            }
        }
    }

    /// Receives a packet of `len` bytes in the hook of a device, in place of the host. False, and
    /// the packet is unchanged to the host, if the host has to do that: others would see it before
    /// PRE_ROUTING, or this module has no hook there. Softirq.
    #[inline(always)]
    pub fn receive(&mut self, len: u32) -> bool {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the namespace is alive.
        // The header stays where it is, and linear.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_receive4(net, skb, len),
                Family::V6 => bindings::knet_receive6(net, skb, len),
            }
        }
    }

    /// Counts this packet as received by the host. To be called in the hook of a device before it
    /// is changed. Softirq.
    #[inline(always)]
    pub fn count_received(&self) {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the namespace is alive.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_count_received4(net, skb),
                Family::V6 => bindings::knet_count_received6(net, skb),
            }
        }
    }

    /// Whether the IPsec policies for received packets allow this one: a server's `reply`, or a
    /// client's packet. It must still have the addresses with which it arrived. Softirq.
    #[inline(always)]
    pub fn obeys_policies(&self, reply: bool) -> bool {
        // SAFETY: live, owned and of this version by the type invariant; the namespace is alive.
        unsafe {
            let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
            bindings::knet_ipsec_allows(net, skb, V::FAMILY as i32, reply)
        }
    }

    /// True if the packet has a route to another host.
    pub fn leaves_host(&self) -> bool {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_leaves_host(self.skb.as_ptr()) }
    }

    /// Whether the packet was received from an IP tunnel that ends in this namespace.
    pub fn is_from_tunnel(&self) -> bool {
        // SAFETY: live and owned by the type invariant; the device of a packet in a hook is alive.
        unsafe { bindings::knet_skb_from_tunnel(self.skb.as_ptr()) }
    }

    /// Lets the packet continue.
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

    /// Conntrack no longer tracks this packet, and source NAT leaves it alone.
    pub fn untrack(&mut self) {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_untrack(self.skb.as_ptr()) };
    }

    /// Tells conntrack that replies come from `server`, if this is a client's packet of a tracked
    /// connection. To be called before the packet is rewritten. If conntrack knows another server
    /// from before, its entry ends, and a new one begins. Fails if the packet must be dropped.
    /// Softirq.
    pub fn track_server(&mut self, server: Endpoint) -> Result {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        let (address, port) = (raw(server.address), server.port.to_be());
        // SAFETY: live and owned by the type invariant; the namespace is alive.
        match unsafe { bindings::knet_track_server(net, skb, &address, port) } {
            true => Ok(()),
            false => Err(ENOMEM),
        }
    }

    /// Lets the packet, which has its route and was rewritten, continue on its way out of this
    /// host. [`Err`]: an IPsec policy blocks it, and it was discarded. Softirq.
    pub fn pass(self) -> Result<Verdict<'a>, Verdict<'a>> {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the namespace is alive.
        match unsafe { bindings::knet_ipsec_reroute(net, skb, V::FAMILY as i32) } {
            true => Ok(self.accept()),
            false => Err(self.discard()),
        }
    }

    /// Discards the packet and sends its sender an ICMP error: host unreachable. Softirq.
    pub fn report_unreachable(mut self) -> Verdict<'a> {
        self.report(Report::host_unreachable(V::FAMILY));
        self.discard()
    }

    /// Lets the packet, which was rewritten, continue to a socket of this host. A socket that was
    /// found by the former addresses does not get it.
    pub fn deliver(self) -> Verdict<'a> {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_orphan(self.skb.as_ptr()) };
        self.accept()
    }

    /// Lets the packet, which this host forwards or sends, continue by another route to the same
    /// destination; by its own, if the other leads to this host. [`Err`]: the packet was discarded;
    /// without a route, its sender got an ICMP error. Softirq.
    pub fn redirect(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
    ) -> Result<Verdict<'a>, (Verdict<'a>, Unsent)> {
        if route.family() != V::FAMILY {
            return Err((self.discard(), Unsent::NoRoute));
        }
        let request = route.request(V::FAMILY, 0, 0);
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the route is of the same
        // family, and its pointers are valid; the section is evidence of the RCU read lock.
        let result = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_redirect4(net, skb, &request),
                Family::V6 => bindings::knet_redirect6(net, skb, &request),
            }
        };
        match result {
            bindings::knet_prepared_KNET_PREPARED | bindings::knet_prepared_KNET_LOCAL => {
                Ok(self.accept())
            }
            bindings::knet_prepared_KNET_NO_ROUTE => {
                Err((self.report_unreachable(), Unsent::NoRoute))
            }
            _ => Err((self.discard(), Unsent::NotWritable)),
        }
    }

    /// Lets the packet, which this host sends and whose destination was rewritten, continue by the
    /// route that it has now. Discards it if there is none.
    pub fn route_again(self) -> Verdict<'a> {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; a packet that this host
        // sends has a route.
        let found = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_route_again4(net, skb),
                Family::V6 => bindings::knet_route_again6(net, skb),
            }
        };
        if found {
            self.accept()
        } else {
            self.discard()
        }
    }

    /// Reassembles the packet of which this is a fragment, at hook `point`. Returns the whole
    /// packet, or this one if it cannot be reassembled; a verdict while fragments are missing.
    /// Softirq.
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
            // It waits for the other fragments, and no longer belongs to this hook.
            error if error == -(bindings::EINPROGRESS as i32) => {
                Err(Verdict::new(bindings::NF_STOLEN))
            }
            _ => Err(self.discard()),
        }
    }

    /// Whether the checksum of the ICMP message is right that begins at this offset. This packet
    /// is at hook `point`. Softirq.
    pub fn has_valid_icmp_checksum(&mut self, point: Point, header: u16) -> bool {
        let (skb, hook) = (self.skb.as_ptr(), point.number());
        // SAFETY: live, owned and of this version by the type invariant.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_icmp_checksum4(skb, hook, header.into()),
                Family::V6 => bindings::knet_icmp_checksum6(skb, hook, header.into()),
            }
        }
    }

    /// Stores a path MTU. This packet is an ICMP error; `at` this offset it quotes a packet of
    /// `protocol` and the same IP version that this host sent; its path has that MTU. Softirq.
    pub fn learn_mtu(&mut self, at: usize, protocol: u8, mtu: u32) {
        let Ok(at) = u32::try_from(at) else {
            return;
        };
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: live, owned and of this version by the type invariant; the call checks the
        // quote's length.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_learn_mtu4(net, skb, at, protocol, mtu),
                Family::V6 => bindings::knet_learn_mtu6(net, skb, at, mtu),
            }
        };
    }

    /// Relays an ICMP error about a tunnel. This packet is that error; `at` this offset it quotes
    /// a packet of `family` that this host had encapsulated. Its sender gets the report. Discards
    /// this packet. Softirq.
    pub fn relay_report(self, at: usize, family: Family, report: Report) -> Verdict<'a> {
        let report = raw_report(report);
        if let Ok(at) = u32::try_from(at) {
            let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
            // SAFETY: live and owned by the type invariant; the call checks the quote's length.
            unsafe {
                match family {
                    Family::V4 => bindings::knet_relay_report4(net, skb, at, &report),
                    Family::V6 => bindings::knet_relay_report6(skb, at, &report),
                }
            };
        }
        self.discard()
    }

    /// The length of the largest fragment that the packet was reassembled from, or that this host
    /// will make of it; 0 if it stays whole.
    #[inline]
    fn largest_fragment(&self) -> u16 {
        let offset = match V::FAMILY {
            Family::V4 => bindings::knet_skb_layout_KNET_SKB_LARGEST_FRAGMENT4,
            Family::V6 => bindings::knet_skb_layout_KNET_SKB_LARGEST_FRAGMENT6,
        };
        // SAFETY: C tells the offset; in the hooks of IP, the control block is that of IP.
        let largest = unsafe { self.field(offset) };
        // This host fragments its own datagrams behind the hook, as small as need be. Those of IPv4
        // have no DF.
        if V::FAMILY == Family::V6 && largest == 0 && self.is_fragmented_here() {
            return 1;
        }
        largest
    }

    fn is_fragmented_here(&self) -> bool {
        // SAFETY: live and owned by the type invariant.
        unsafe { bindings::knet_skb_fragmented_here(self.skb.as_ptr()) }
    }

    /// Sets the packet's route, and makes its first `writable` bytes writable. Softirq.
    ///
    /// The packet is discarded if an IPsec policy blocks it, if it is shorter, or if there is no
    /// memory. It is discarded, and its sender may get an ICMP error, if there is no route, or if
    /// [`transmit::check`] says so; therefore the headers must still be those that the sender sent.
    /// If the route leads to this host, the packet comes back unchanged.
    #[inline(always)]
    pub fn prepare(
        mut self,
        _section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
    ) -> Result<RoutedPacket<'a, V>, NotRouted<'a, V>> {
        let handling = V::handling(self.header());
        let sufficient = transmit::sufficient_mtu(handling, self.len(), route.overhead());
        let mut request = route.request(V::FAMILY, sufficient, writable);
        let (family, overhead, ignore_df) = (route.family(), route.overhead(), route.ignores_df());
        let mut hop = bindings::knet_hop {
            mtu: 0,
            source: bindings::knet_address { words: [0; 2] },
        };
        let result = loop {
            let result = self.call_prepare(family, &request, &mut hop);
            if result != bindings::knet_prepared_KNET_UNCHECKED {
                break result;
            }
            let handling = V::handling(self.header());
            self = match self.check(hop.mtu, overhead, ignore_df) {
                Some(packet) => packet,
                None => {
                    let unsent = match (handling.from_loopback, handling.hop_limit) {
                        (true, _) => Unsent::NoRoute,
                        (false, 0..=1) => Unsent::HopLimit,
                        (false, _) => Unsent::TooLarge,
                    };
                    return Err(NotRouted::Over(Verdict::new(bindings::NF_DROP), unsent));
                }
            };
            request.sufficient_mtu = 0;
        };
        let checksum_is_partial = match result {
            bindings::knet_prepared_KNET_PREPARED => false,
            bindings::knet_prepared_KNET_PREPARED_PARTIAL => true,
            bindings::knet_prepared_KNET_LOCAL => return Err(NotRouted::Local(self)),
            bindings::knet_prepared_KNET_NO_ROUTE => {
                return Err(NotRouted::Over(self.report_unreachable(), Unsent::NoRoute));
            }
            bindings::knet_prepared_KNET_FORBIDDEN => {
                return Err(NotRouted::Over(self.discard(), Unsent::Forbidden));
            }
            _ => return Err(NotRouted::Over(self.discard(), Unsent::NotWritable)),
        };
        // INVARIANT: the call has set the route and made the bytes writable.
        Ok(RoutedPacket {
            packet: self,
            hop,
            family,
            writable,
            checksum_is_partial,
            ignore_df,
        })
    }

    /// The same, if nothing keeps the packet from being sent as it is. Otherwise it comes back
    /// unchanged, and its sender gets no ICMP error. Softirq.
    #[inline(always)]
    pub fn prepare_at_once(
        mut self,
        _section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
    ) -> Result<RoutedPacket<'a, V>, Self> {
        let handling = V::handling(self.header());
        let sufficient = transmit::sufficient_mtu(handling, self.len(), route.overhead());
        let mut request = route.request(V::FAMILY, sufficient, writable);
        let (family, overhead, ignore_df) = (route.family(), route.overhead(), route.ignores_df());
        let mut hop = bindings::knet_hop {
            mtu: 0,
            source: bindings::knet_address { words: [0; 2] },
        };
        let mut result = self.call_prepare(family, &request, &mut hop);
        if result == bindings::knet_prepared_KNET_UNCHECKED
            && self.judge(hop.mtu, overhead, ignore_df) == Check::Pass
        {
            // Offloads joined it, and its segments fit.
            request.sufficient_mtu = 0;
            result = self.call_prepare(family, &request, &mut hop);
        }
        let checksum_is_partial = match result {
            bindings::knet_prepared_KNET_PREPARED => false,
            bindings::knet_prepared_KNET_PREPARED_PARTIAL => true,
            _ => return Err(self),
        };
        // INVARIANT: the call has set the route and made the bytes writable.
        Ok(RoutedPacket {
            packet: self,
            hop,
            family,
            writable,
            checksum_is_partial,
            ignore_df,
        })
    }

    /// Receives a packet of `len` bytes in the hook of a device, as [`Self::receive`], gives it the
    /// cached route, and makes its first `writable` bytes writable. The packet comes back unchanged
    /// if it has a mark by which rules may route it, or if there is anything that
    /// [`Self::prepare`] would have to do about it. `route` is not that of a tunnel. Softirq.
    #[inline(always)]
    pub fn depart(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
        writable: u16,
        len: u32,
    ) -> Result<EarlyPacket<'a, V>, Self> {
        if self.mark() != 0 && self.may_be_routed_by_mark() {
            return Err(self);
        }
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        let (cache, bytes) = (route.cache(), writable.into());
        // SAFETY: the packet is live and of this version, and the namespace is alive, by the type
        // invariant; the cache is that of a route, valid by its invariant. The section is evidence
        // of the RCU read lock.
        let result = unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_depart4(net, skb, cache, bytes, len),
                Family::V6 => bindings::knet_depart6(net, skb, cache, bytes, len),
            }
        };
        let checksum_is_partial = match result {
            bindings::knet_prepared_KNET_PREPARED => false,
            bindings::knet_prepared_KNET_PREPARED_PARTIAL => true,
            _ => return Err(self),
        };
        // INVARIANT: the call has set a route of this version and made the bytes writable.
        Ok(EarlyPacket {
            packet: self,
            writable,
            checksum_is_partial,
        })
    }

    /// The same for a packet that goes through a tunnel by IP in IP, of its own version. It also
    /// comes back if there is anything to do about it but to write the outer header.
    #[inline(always)]
    pub fn enter(
        self,
        _section: &Section<'_>,
        route: &Route<'_>,
        len: u32,
    ) -> Result<EnteringPacket<'a, V>, Self> {
        if self.mark() != 0 && self.may_be_routed_by_mark() {
            return Err(self);
        }
        let Some((Tunnel::Ipip, cached)) = route.tunnel() else {
            return Err(self);
        };
        let (net, skb, cache) = (self.net.as_ptr(), self.skb.as_ptr(), route.cache());
        let mut source = bindings::knet_address { words: [0; 2] };
        // SAFETY: as in `depart`; the address is that of the same route.
        let enters = unsafe {
            match V::FAMILY {
                Family::V4 => {
                    bindings::knet_depart4_ipip(net, skb, cache, cached, &mut source, len)
                }
                Family::V6 => {
                    bindings::knet_depart6_ipip(net, skb, cache, cached, &mut source, len)
                }
            }
        };
        if !enters {
            return Err(self);
        }
        // INVARIANT: the call has set a route of this version, and checked the rest.
        Ok(EnteringPacket {
            packet: EarlyPacket {
                packet: self,
                writable: size_of::<V::Header>() as u16,
                checksum_is_partial: false,
            },
            source: Address::from_words(source.words),
            destination: route.next(),
            ignore_df: route.ignores_df(),
        })
    }

    #[cold]
    #[inline(never)]
    fn may_be_routed_by_mark(&self) -> bool {
        // SAFETY: the namespace is alive by the type invariant.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_marks_matter4(self.net.as_ptr()),
                Family::V6 => bindings::knet_marks_matter6(self.net.as_ptr()),
            }
        }
    }

    /// Has C find a route of `family`, set it, and make bytes writable.
    #[inline(always)]
    fn call_prepare(
        &mut self,
        family: Family,
        request: &bindings::knet_route,
        hop: &mut bindings::knet_hop,
    ) -> bindings::knet_prepared {
        let (net, skb) = (self.net.as_ptr(), self.skb.as_ptr());
        // SAFETY: the packet is live and of this version, and the namespace is alive, by the type
        // invariant; the pointers of the request are those of a route, valid by its invariant. The
        // callers have a section, which is evidence of the RCU read lock.
        unsafe {
            match (V::FAMILY, family) {
                (Family::V4, Family::V4) => bindings::knet_prepare4(net, skb, request, hop),
                (Family::V6, Family::V6) => bindings::knet_prepare6(net, skb, request, hop),
                (Family::V4, Family::V6) => bindings::knet_prepare4in6(net, skb, request, hop),
                (Family::V6, Family::V4) => bindings::knet_prepare6in4(net, skb, request, hop),
            }
        }
    }

    /// Judges a packet that may be too large for the route's MTU, or must not be sent.
    // It takes words in registers: all packets would pay for structs in memory.
    #[cold]
    #[inline(never)]
    fn judge(&self, mtu: u32, overhead: u16, ignore_df: bool) -> Check {
        let candidate = Candidate {
            family: V::FAMILY,
            len: self.len(),
            handling: V::handling(self.header()),
            largest_fragment: self.largest_fragment(),
        };
        let limits = Limits {
            mtu,
            overhead,
            ignore_df,
        };
        let skb = self.skb.as_ptr();
        // SAFETY: live and owned by the type invariant.
        let segments_fit = |mtu| unsafe { bindings::knet_segments_fit(skb, mtu) };
        transmit::check(candidate, limits, segments_fit)
    }

    /// Checks a packet as [`Self::judge`]. Returns `None` if it does not pass: its sender got the
    /// ICMP error that is due, and the caller must drop it.
    // It returns a word in a register, likewise.
    #[cold]
    #[inline(never)]
    fn check(mut self, mtu: u32, overhead: u16, ignore_df: bool) -> Option<Self> {
        match self.judge(mtu, overhead, ignore_df) {
            Check::Pass => Some(self),
            Check::Discard => None,
            Check::Report(report) => {
                self.report(report);
                None
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

/// Whether conntrack tracks the packets that the director sends.
#[derive(Clone, Copy)]
pub struct Tracking(pub bool);

/// Why a packet has no route.
pub enum NotRouted<'a, V: Version> {
    /// The route leads to this host: the packet, unchanged.
    Local(Packet<'a, V>),
    /// The packet was discarded, and its sender got an ICMP error where that is due.
    Over(Verdict<'a>, Unsent),
}

/// Why a packet cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsent {
    /// There is no route, or only one off this host for a packet with a loopback source.
    NoRoute,
    /// There is no memory, or the packet is too short.
    NotWritable,
    /// It is larger than the MTU, and must not be fragmented.
    TooLarge,
    /// Its time to live (hop limit) is used up.
    HopLimit,
    /// An IPsec policy blocks it.
    Forbidden,
}

/// A packet with a route, ready to be changed and sent.
///
/// # Invariants
///
/// The packet has a route of `family`, and its first `writable` bytes are linear and private.
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

    /// The writable bytes.
    #[inline]
    pub fn writable(&mut self) -> &mut [u8] {
        // SAFETY: by the type invariant; the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.packet.raw().data, self.writable.into()) }
    }

    /// Whether the device fills in the transport checksum: the field holds the sum of the
    /// pseudo-header.
    #[inline]
    pub fn checksum_is_partial(&self) -> bool {
        self.checksum_is_partial
    }

    /// The packet, whose payload may be changed. Its methods make no fewer bytes writable, since
    /// [`Packet::replace`] changes nothing before the end of the transport header.
    pub fn packet(&mut self) -> &mut Packet<'a, V> {
        &mut self.packet
    }

    /// See [`Packet::discard`].
    pub fn discard(self) -> Verdict<'a> {
        self.packet.discard()
    }

    /// See [`Packet::track_server`].
    pub fn track_server(&mut self, server: Endpoint) -> Result {
        self.packet.track_server(server)
    }

    /// Sends the packet as a forwarded one. Discards it if its route is of the other family.
    #[inline(always)]
    pub fn send(self, tracking: Tracking) -> Verdict<'a> {
        if self.family != V::FAMILY {
            return self.discard();
        }
        let (net, skb) = (self.packet.net.as_ptr(), self.packet.skb.as_ptr());
        // SAFETY: live, owned and routed by the type invariants; the call consumes it, as the
        // verdict says.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_send4(net, skb, self.hop.mtu, tracking.0),
                Family::V6 => bindings::knet_send6(net, skb, self.hop.mtu, tracking.0),
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }

    /// Encapsulates the packet in one to `destination`, to which its route must lead, and sends
    /// it. `flow` returns the hash of the packet's flow, which a tunnel over UDP needs for its
    /// source port. Discards the packet if there is no memory, or if the route is not that of a
    /// tunnel or not of the family of `destination`. Softirq.
    #[inline(always)]
    pub fn send_through(
        self,
        tunnel: Tunnel,
        destination: Address,
        flow: impl FnOnce() -> u32,
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
        let outer = Outer {
            handling: V::handling(packet.header()).outer(
                V::FAMILY,
                packet.len(),
                packet.largest_fragment(),
                self.ignore_df,
            ),
            protocol: tunnel.protocol(V::FAMILY),
            source: Address::from_words(self.hop.source.words),
            destination,
        };
        let may_fragment = !outer.handling.dont_fragment;
        // SAFETY: live, owned, of these families and routed by the type invariants.
        let result = unsafe {
            match (tunnel, V::FAMILY, family) {
                (Tunnel::Ipip, Family::V4, Family::V4) => {
                    bindings::knet_encapsulate_ipip4(skb, may_fragment)
                }
                (Tunnel::Ipip, Family::V6, Family::V6) => {
                    bindings::knet_encapsulate_ipip6(skb, may_fragment)
                }
                _ => {
                    let raw = raw_tunnel(tunnel, outer, V::FAMILY, flow());
                    bindings::knet_encapsulate(net, skb, &raw)
                }
            }
        };
        let Ok(identification) = u16::try_from(result) else {
            return self.discard();
        };
        // SAFETY: live, owned and routed by the type invariants. Encapsulation has made room for a
        // header of `family`, which is written here. The call consumes the packet.
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
                    bindings::knet_send6_local(net, skb, self.hop.mtu);
                }
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }
}

/// A packet in the hook of a device, with a route, ready to be changed and sent.
///
/// # Invariants
///
/// The packet has a route of version `V`, set by [`Packet::depart`], and its first `writable` bytes
/// are linear and private.
pub struct EarlyPacket<'a, V: Version> {
    packet: Packet<'a, V>,
    writable: u16,
    checksum_is_partial: bool,
}

impl<'a, V: Version> EarlyPacket<'a, V> {
    /// See [`RoutedPacket::writable`].
    #[inline(always)]
    pub fn writable(&mut self) -> &mut [u8] {
        let data = self.packet.raw().data;
        // SAFETY: by the type invariant; the borrow is exclusive. No packet has its data at null.
        unsafe {
            hint::assert_unchecked(!data.is_null());
            slice::from_raw_parts_mut(data, self.writable.into())
        }
    }

    /// See [`RoutedPacket::checksum_is_partial`].
    #[inline(always)]
    pub fn checksum_is_partial(&self) -> bool {
        self.checksum_is_partial
    }

    /// See [`Packet::discard`].
    pub fn discard(self) -> Verdict<'a> {
        self.packet.discard()
    }

    /// Sends the packet as a forwarded one, which conntrack does not track. Counts it as received
    /// by the host, in `early` (packets only) and in `server`.
    #[inline(always)]
    pub fn send(self, early: Traffic<'_>, server: Traffic<'_>) -> Verdict<'a> {
        let (net, skb) = (self.packet.net.as_ptr(), self.packet.skb.as_ptr());
        let (early, server) = (early.as_ptr(), server.as_ptr());
        // SAFETY: live, owned, routed and of this version by the type invariants; the counters are
        // live by theirs. The call consumes the packet, as the verdict says.
        unsafe {
            match V::FAMILY {
                Family::V4 => bindings::knet_send_early4(net, skb, early, server),
                Family::V6 => bindings::knet_send_early6(net, skb, early, server),
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }
}

/// A packet in the hook of a device, with a route, ready to get an outer header of its own version
/// (IP in IP) and to be sent.
///
/// # Invariants
///
/// There are bytes for such a header before the packet, which only it may write.
pub struct EnteringPacket<'a, V: Version> {
    packet: EarlyPacket<'a, V>,
    source: Address,
    destination: Address,
    ignore_df: bool,
}

impl<'a, V: Version> EnteringPacket<'a, V> {
    /// The packet, whose header may be changed.
    #[inline(always)]
    pub fn packet(&mut self) -> &mut EarlyPacket<'a, V> {
        &mut self.packet
    }

    /// See [`Packet::discard`].
    pub fn discard(self) -> Verdict<'a> {
        self.packet.discard()
    }

    /// Sends the packet inside another one from the local address that the route prefers to the
    /// route's destination. Counts it as [`EarlyPacket::send`] does. Softirq.
    #[inline(always)]
    pub fn send(self, early: Traffic<'_>, server: Traffic<'_>) -> Verdict<'a> {
        let packet = &self.packet.packet;
        // A fragment does not come here.
        let handling =
            V::handling(packet.header()).outer(V::FAMILY, packet.len(), 0, self.ignore_df);
        let outer = Outer {
            handling,
            protocol: Tunnel::Ipip.protocol(V::FAMILY),
            source: self.source,
            destination: self.destination,
        };
        let may_fragment = !handling.dont_fragment;
        let (net, skb) = (packet.net.as_ptr(), packet.skb.as_ptr());
        let (early, server) = (early.as_ptr(), server.as_ptr());
        let end = packet.raw().data;
        // SAFETY: live, owned, routed and of this version by the type invariants, which also say
        // that the header before the packet may be written; the counters are live by theirs. The
        // call consumes the packet, as the verdict says.
        unsafe {
            match V::FAMILY {
                Family::V4 => {
                    let identification = match may_fragment {
                        true => bindings::knet_identify(skb),
                        false => 0,
                    };
                    outer.write_v4(&mut *end.sub(IPV4_HEADER).cast(), identification);
                    bindings::knet_send_early4_ipip(net, skb, early, server);
                }
                Family::V6 => {
                    outer.write_v6(&mut *end.sub(IPV6_HEADER).cast(), packet.len());
                    bindings::knet_send_early6_ipip(net, skb, early, server, may_fragment);
                }
            }
        };
        Verdict::new(bindings::NF_STOLEN)
    }
}

/// A tunnel for C, with an inner packet of this family, of a flow with this hash.
#[inline(never)]
fn raw_tunnel(tunnel: Tunnel, outer: Outer, inner: Family, flow: u32) -> bindings::knet_tunnel {
    let family = outer.destination.family();
    let mut raw = bindings::knet_tunnel {
        daddr: raw(outer.destination),
        saddr: raw(outer.source),
        family: family as i32,
        inner_family: inner as i32,
        kind: bindings::knet_tunnel_kind_KNET_IPIP,
        overhead: tunnel.overhead(family),
        port: 0,
        flow,
        protocol: Tunnel::Ipip.protocol(inner),
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
    raw
}
