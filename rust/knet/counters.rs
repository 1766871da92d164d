// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU traffic counters.
//!
//! Adding is one or two instructions on the CPU's own memory; reading sums over all CPUs.
//! C header: `include/linux/percpu.h`

use crate::bindings;
use core::{marker::PhantomData, mem::offset_of, ptr::NonNull};
use kernel::prelude::*;

/// Sums of [`Counters`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Bytes from clients, counted from the network header.
    pub in_bytes: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes to clients, counted from the network header.
    pub out_bytes: u64,
}

impl Totals {
    /// Adds field by field, wrapping.
    pub fn add(&mut self, other: &Totals) {
        self.connections = self.connections.wrapping_add(other.connections);
        self.in_packets = self.in_packets.wrapping_add(other.in_packets);
        self.in_bytes = self.in_bytes.wrapping_add(other.in_bytes);
        self.out_packets = self.out_packets.wrapping_add(other.out_packets);
        self.out_bytes = self.out_bytes.wrapping_add(other.out_bytes);
    }

    /// The difference to an earlier value, `base`.
    pub fn since(&self, base: &Totals) -> Totals {
        Totals {
            connections: self.connections.wrapping_sub(base.connections),
            in_packets: self.in_packets.wrapping_sub(base.in_packets),
            in_bytes: self.in_bytes.wrapping_sub(base.in_bytes),
            out_packets: self.out_packets.wrapping_sub(base.out_packets),
            out_bytes: self.out_bytes.wrapping_sub(base.out_bytes),
        }
    }
}

/// One set of counters per possible CPU.
///
/// # Invariants
///
/// The pointer is a live per-CPU allocation of `struct knet_counters`.
pub struct Counters(NonNull<bindings::knet_counters>);

// SAFETY: each CPU writes its own set with instructions that interrupts cannot split; readers
// only load.
unsafe impl Send for Counters {}
// SAFETY: as above.
unsafe impl Sync for Counters {}

impl Counters {
    /// Allocates zeroed counters. Process context.
    pub fn new() -> Result<Self> {
        // SAFETY: process context, by this function's contract.
        let counters = unsafe { bindings::knet_counters_alloc() };
        // INVARIANT: the allocation succeeded.
        Ok(Self(NonNull::new(counters).ok_or(ENOMEM)?))
    }

    /// Counts a connection. Any context.
    #[inline]
    pub fn connection(&self) {
        // SAFETY: the counters are live.
        unsafe { bindings::knet_counters_connection(self.0.as_ptr()) };
    }

    /// Counts a packet from a client, `bytes` long from its network header. Any context.
    #[inline]
    pub fn packet_in(&self, bytes: u32) {
        // SAFETY: the counters are live.
        unsafe { bindings::knet_counters_in(self.0.as_ptr(), bytes) };
    }

    /// Counts a packet to a client, `bytes` long from its network header. Any context.
    #[inline]
    pub fn packet_out(&self, bytes: u32) {
        // SAFETY: the counters are live.
        unsafe { bindings::knet_counters_out(self.0.as_ptr(), bytes) };
    }

    /// The counters of packets from clients.
    #[inline]
    pub fn incoming(&self) -> Traffic<'_> {
        self.traffic(offset_of!(bindings::knet_counters, in_))
    }

    /// The counters of packets to clients.
    #[inline]
    pub fn outgoing(&self) -> Traffic<'_> {
        self.traffic(offset_of!(bindings::knet_counters, out))
    }

    #[inline]
    fn traffic(&self, offset: usize) -> Traffic<'_> {
        Traffic {
            counters: self.0.as_ptr().wrapping_byte_add(offset).cast(),
            _borrows: PhantomData,
        }
    }

    /// Sums over all CPUs. Any context.
    pub fn totals(&self) -> Totals {
        let mut sum = bindings::knet_counters::default();
        // SAFETY: the counters are live and `sum` is ours.
        unsafe { bindings::knet_counters_sum(self.0.as_ptr(), &mut sum) };
        sum.into()
    }

    /// The counts of one CPU. Any context.
    pub fn of(&self, cpu: Cpu) -> Totals {
        let mut of = bindings::knet_counters::default();
        // SAFETY: the counters are live, the CPU is a possible one, and `of` is ours.
        unsafe { bindings::knet_counters_of(self.0.as_ptr(), cpu.0, &mut of) };
        of.into()
    }
}

/// The part of [`Counters`] for one direction.
///
/// # Invariants
///
/// The pointer is that of a `struct knet_traffic` inside a per-CPU allocation that lives for `'a`.
#[derive(Clone, Copy)]
pub struct Traffic<'a> {
    counters: *mut bindings::knet_traffic,
    _borrows: PhantomData<&'a Counters>,
}

impl Traffic<'_> {
    /// For C.
    #[inline]
    pub(crate) fn as_ptr(self) -> *mut bindings::knet_traffic {
        self.counters
    }
}

impl From<bindings::knet_counters> for Totals {
    fn from(counters: bindings::knet_counters) -> Self {
        Self {
            connections: counters.connections,
            in_packets: counters.in_.packets,
            in_bytes: counters.in_.bytes,
            out_packets: counters.out.packets,
            out_bytes: counters.out.bytes,
        }
    }
}

/// A possible CPU of this machine.
///
/// # Invariants
///
/// The number of a possible CPU.
#[derive(Clone, Copy)]
pub struct Cpu(u32);

impl Cpu {
    /// All possible CPUs.
    pub fn all() -> impl Iterator<Item = Self> {
        let from = |cpu: u32| {
            // SAFETY: may be called anywhere.
            let (next, end) = unsafe { (bindings::knet_cpu_from(cpu), bindings::knet_cpu_end()) };
            // INVARIANT: found in the mask of possible CPUs.
            (next < end).then_some(Self(next))
        };
        core::iter::successors(from(0), move |cpu| from(cpu.0.wrapping_add(1)))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: nobody else has the pointer; free_percpu() may be called from softirq.
        unsafe { bindings::knet_counters_free(self.0.as_ptr()) };
    }
}
