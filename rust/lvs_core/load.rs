// SPDX-License-Identifier: GPL-2.0-only

//! The load of a real server, as schedulers see it: weight, connections, thresholds, delay.
//!
//! Connections count themselves in and out on all CPUs without a lock.

use crate::delay::{Delay, Estimate};
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// The load of a real server.
///
/// Counts are changed by sequentially consistent instructions, and later loads wait for them. One
/// CPU changes a count and then looks for observers. Another publishes an observer and then reads
/// the count. So at least one of the two sees the other's change.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Load {
    weight: AtomicU32,
    overloaded: AtomicBool,
    /// Active connections in the upper half, the others in the lower half.
    connections: AtomicU64,
    templates: AtomicU32,
    upper_threshold: AtomicU32,
    lower_threshold: AtomicU32,
    last_weight: AtomicU32,
    /// The delay of answers to new connections, if it is measured.
    pub delay: Estimate,
}

/// When a server is overloaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Thresholds {
    /// With this many connections it gets no new ones; 0 means no limit.
    pub upper: u32,
    /// With fewer connections it gets new ones again; 0 means three quarters of the upper.
    pub lower: u32,
}

impl Thresholds {
    /// With fewer connections an overloaded server gets new ones again.
    #[inline]
    pub const fn relief(self) -> u32 {
        match self.lower {
            0 => self.upper.saturating_sub(self.upper / 4),
            lower => lower,
        }
    }
}

impl Load {
    /// Without weight and connections.
    pub const fn new() -> Self {
        Self {
            weight: AtomicU32::new(0),
            overloaded: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            templates: AtomicU32::new(0),
            upper_threshold: AtomicU32::new(0),
            lower_threshold: AtomicU32::new(0),
            last_weight: AtomicU32::new(0),
            delay: Estimate::new(),
        }
    }

    /// Sets weight and thresholds. One call at a time.
    pub fn set(&self, weight: u32, thresholds: Thresholds) {
        self.weight.store(weight, Relaxed);
        if weight != 0 {
            self.last_weight.store(weight, Relaxed);
        }
        let former = self.upper_threshold.swap(thresholds.upper, Relaxed);
        self.lower_threshold.store(thresholds.lower, Relaxed);
        // A higher threshold, or none, ends an overload. Other settings leave it as it is.
        if thresholds.upper == 0 || thresholds.upper > former {
            self.overloaded.store(false, Relaxed);
        }
        self.judge();
    }

    /// The weight.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.weight.load(SeqCst)
    }

    /// The last weight that was not 0; 0 if there was none.
    #[inline]
    pub fn last_weight(&self) -> u32 {
        self.last_weight.load(Relaxed)
    }

    /// The thresholds.
    #[inline]
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            upper: self.upper_threshold.load(Relaxed),
            lower: self.lower_threshold.load(Relaxed),
        }
    }

    /// Counts a connection in. [`Self::judge`] follows when it is certain that it stays.
    #[inline]
    pub fn join(&self, active: bool) {
        self.connections.fetch_add(one(active), SeqCst);
    }

    /// Counts a connection out.
    #[inline]
    pub fn leave(&self, active: bool) {
        self.connections.fetch_sub(one(active), SeqCst);
        self.judge();
    }

    /// Counts a connection that became active, or inactive.
    #[inline]
    pub fn turn(&self, active: bool) {
        let change = one(active).wrapping_sub(one(!active));
        self.connections.fetch_add(change, SeqCst);
    }

    /// Active connections in the upper half, the others in the lower half, of one moment.
    #[inline]
    pub fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    /// Active connections.
    #[inline]
    pub fn active(&self) -> u32 {
        halves(self.connections()).0
    }

    /// Inactive connections.
    #[inline]
    pub fn inactive(&self) -> u32 {
        halves(self.connections()).1
    }

    /// Counts a template in.
    pub fn join_template(&self) {
        self.templates.fetch_add(1, Relaxed);
    }

    /// Counts a template out.
    pub fn leave_template(&self) {
        self.templates.fetch_sub(1, Relaxed);
    }

    /// Templates.
    pub fn templates(&self) -> u32 {
        self.templates.load(Relaxed)
    }

    /// True if there are connections or templates.
    pub fn is_in_use(&self) -> bool {
        self.connections.load(Relaxed) != 0 || self.templates() != 0
    }

    /// True if the upper threshold was reached, and the load has not been relieved since.
    #[inline]
    pub fn is_overloaded(&self) -> bool {
        self.overloaded.load(SeqCst) && self.is_still_overloaded()
    }

    /// Two CPUs may have judged in the wrong order; a reader corrects that.
    #[cold]
    fn is_still_overloaded(&self) -> bool {
        if self.all() < self.thresholds().relief() {
            self.overloaded.store(false, SeqCst);
        }
        self.overloaded.load(SeqCst)
    }

    /// The delay when a clock shows `now` microseconds.
    pub fn delay(&self, now: u64) -> Delay {
        self.delay.at(now)
    }

    #[inline]
    fn all(&self) -> u32 {
        let (active, inactive) = halves(self.connections());
        active.saturating_add(inactive)
    }

    /// Compares the number of connections with the thresholds; true if that has overloaded or
    /// relieved the server.
    #[inline]
    pub fn judge(&self) -> bool {
        let thresholds = self.thresholds();
        if thresholds.upper == 0 {
            return false;
        }
        let all = self.all();
        if all >= thresholds.upper {
            !self.overloaded.swap(true, SeqCst)
        } else if all < thresholds.relief() {
            self.overloaded.swap(false, SeqCst)
        } else {
            false
        }
    }
}

/// One connection in [`Load::connections`].
#[inline]
const fn one(active: bool) -> u64 {
    if active {
        1 << 32
    } else {
        1
    }
}

/// Active and inactive connections of [`Load::connections`]. If one CPU counts a connection out
/// before another has counted it as no longer active, the lower half is below zero for a moment.
#[inline]
const fn halves(connections: u64) -> (u32, u32) {
    let inactive = connections as u32;
    let borrowed = inactive >> 31;
    let active = ((connections >> 32) as u32).wrapping_add(borrowed);
    (active, if borrowed == 0 { inactive } else { 0 })
}
