// SPDX-License-Identifier: GPL-2.0-only

//! Traffic counters and their rates. To zero them does not touch what packets write.

use crate::services::drops::Drops;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::prelude::*;
use knet::counters::{Counters, Cpu, Totals};
use lvs_core::rate::Rate;

/// The counts of a past moment, each read and written atomically.
#[derive(Default)]
pub struct Remembered([AtomicU64; 5]);

impl Remembered {
    /// All zero.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 5])
    }

    /// The counts. Any context.
    pub fn get(&self) -> Totals {
        let [connections, in_packets, in_bytes, out_packets, out_bytes] = &self.0;
        Totals {
            connections: connections.load(Ordering::Acquire),
            in_packets: in_packets.load(Ordering::Acquire),
            in_bytes: in_bytes.load(Ordering::Acquire),
            out_packets: out_packets.load(Ordering::Acquire),
            out_bytes: out_bytes.load(Ordering::Acquire),
        }
    }

    /// Sets the counts. Any context.
    pub fn set(&self, totals: &Totals) {
        let [connections, in_packets, in_bytes, out_packets, out_bytes] = &self.0;
        connections.store(totals.connections, Ordering::Release);
        in_packets.store(totals.in_packets, Ordering::Release);
        in_bytes.store(totals.in_bytes, Ordering::Release);
        out_packets.store(totals.out_packets, Ordering::Release);
        out_bytes.store(totals.out_bytes, Ordering::Release);
    }
}

/// The counts of each CPU, in the order of [`Cpu::all`].
#[derive(Default)]
pub struct PerCpu(KVec<Totals>);

impl PerCpu {
    /// All zero. Process context.
    pub fn new() -> Result<Self> {
        let mut counts = KVec::new();
        for _ in Cpu::all() {
            counts.push(Totals::default(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self(counts))
    }

    /// The same counts. Process context.
    pub fn copy(&self) -> Result<Self> {
        let mut copy = Self::new()?;
        for (to, from) in copy.0.iter_mut().zip(&self.0) {
            *to = *from;
        }
        Ok(copy)
    }

    /// Adds the present counts. Any context.
    pub fn add(&mut self, counters: &Counters) {
        for (sum, cpu) in self.0.iter_mut().zip(Cpu::all()) {
            sum.add(&counters.of(cpu));
        }
    }

    /// Subtracts the present counts, which are part of these. Any context.
    pub fn subtract(&mut self, counters: &Counters) {
        for (sum, cpu) in self.0.iter_mut().zip(Cpu::all()) {
            *sum = sum.since(&counters.of(cpu));
        }
    }

    /// CPUs and their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Cpu, &Totals)> {
        Cpu::all().zip(&self.0)
    }
}

/// Counts, and their growth.
#[derive(Clone, Copy, Default)]
pub struct Traffic {
    /// Counts.
    pub totals: Totals,
    /// The same per second.
    pub rates: Totals,
}

impl Traffic {
    /// Adds that of another.
    pub fn add(&mut self, other: &Traffic) {
        self.totals.add(&other.totals);
        self.rates.add(&other.rates);
    }
}

/// Counters, their values when they were last zeroed, and their rates.
pub struct Statistics {
    /// What packets count into.
    pub live: Counters,
    /// Written with the configuration mutex held.
    zero: Remembered,
    /// Their values at the last estimate. The slow timer writes them and the rates.
    last: Remembered,
    /// [`Rate`]s, as bits.
    rates: Remembered,
    /// Packets for it that were dropped.
    pub drops: Drops,
}

impl Statistics {
    /// All zero. Process context.
    pub fn new() -> Result<Self> {
        Ok(Self {
            live: Counters::new()?,
            zero: Remembered::new(),
            last: Remembered::new(),
            rates: Remembered::new(),
            drops: Drops::default(),
        })
    }

    /// What was counted since the last [`Self::zero`], and the rates. Any context.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            totals: {
                // The older value first, so that zeroing meanwhile makes nothing negative.
                let zero = self.zero.get();
                self.live.totals().since(&zero)
            },
            rates: each(&self.rates.get(), &Totals::default(), |rate, _| {
                Rate::from_bits(rate).per_second()
            }),
        }
    }

    /// Starts from zero. Configuration mutex held.
    pub fn zero(&self) {
        self.zero.set(&self.live.totals());
        self.drops.zero();
    }

    /// Estimates the rates. The slow timer calls it once in a [`lvs_core::rate::PERIOD`].
    pub fn estimate(&self) {
        let now = self.live.totals();
        let events = now.since(&self.last.get());
        self.last.set(&now);
        self.rates
            .set(&each(&self.rates.get(), &events, |rate, events| {
                Rate::from_bits(rate).after(events).to_bits()
            }));
    }
}

/// Combines two field by field.
fn each(a: &Totals, b: &Totals, f: impl Fn(u64, u64) -> u64) -> Totals {
    Totals {
        connections: f(a.connections, b.connections),
        in_packets: f(a.in_packets, b.in_packets),
        in_bytes: f(a.in_bytes, b.in_bytes),
        out_packets: f(a.out_packets, b.out_packets),
        out_bytes: f(a.out_bytes, b.out_bytes),
    }
}
