// SPDX-License-Identifier: GPL-2.0-only

//! A real server as a scheduler sees it.

use std::cell::Cell;
use std::rc::Rc;

use lvs_core::delay::{Delay, Estimate};
use lvs_core::scheduler::Destination;
use lvs_core::Endpoint;

/// The clock that delays are measured by: microseconds, shared by all servers of a run.
pub type Clock = Rc<Cell<u64>>;

/// A real server as a scheduler sees it. Its counts of connections are a *view*, which may be older
/// than the truth.
// So large that its place is found by a shift.
#[repr(align(128))]
#[derive(Debug)]
pub struct SimServer {
    endpoint: Endpoint,
    weight: u32,
    last_weight: u32,
    /// Active connections in the upper half, the others in the lower one.
    pub(super) connections: u64,
    pub(super) upper_threshold: u32,
    lower_threshold: u32,
    overloaded: bool,
    delay: Estimate,
    /// For algorithms that know the future: microseconds of work that wait there.
    pub(super) work: Option<u32>,
    clock: Clock,
}

impl SimServer {
    /// A server without connections.
    #[must_use]
    pub fn new(endpoint: Endpoint, weight: u32, clock: Clock) -> Self {
        Self {
            endpoint,
            weight,
            last_weight: weight,
            connections: 0,
            upper_threshold: 0,
            lower_threshold: 0,
            overloaded: false,
            delay: Estimate::new(),
            work: None,
            clock,
        }
    }

    /// Sets the connections from which on it takes none, and those below which it takes some again
    /// (0: three quarters of the former).
    #[must_use]
    pub fn with_thresholds(mut self, upper: u32, lower: u32) -> Self {
        (self.upper_threshold, self.lower_threshold) = (upper, lower);
        self
    }

    /// As the module judges it, see `Destination::judge_load` there.
    pub(super) fn judge_load(&mut self) {
        if self.upper_threshold == 0 {
            return;
        }
        let load = self.active().saturating_add(self.inactive());
        let relief = match self.lower_threshold {
            0 => self.upper_threshold - self.upper_threshold / 4,
            lower => lower,
        };
        if load >= self.upper_threshold {
            self.overloaded = true;
        } else if load < relief {
            self.overloaded = false;
        }
    }

    /// Gives it another weight, which ends an overload, as in the module.
    pub(super) fn set_weight(&mut self, weight: u32) {
        self.weight = weight;
        if weight != 0 {
            self.last_weight = weight;
        }
        self.overloaded = false;
        self.judge_load();
    }

    /// A new connection whose delay is measured goes to it.
    pub(super) fn ask(&self) {
        self.delay.ask(self.clock.get());
    }

    /// It answered a new connection after so many microseconds.
    pub(super) fn observe(&self, after: u32) {
        self.delay.observe(after, self.clock.get());
    }
}

impl Destination for SimServer {
    // A run has one thread.
    const SHARED: bool = false;

    #[inline]
    fn weight(&self) -> u32 {
        self.weight
    }

    #[inline]
    fn last_weight(&self) -> u32 {
        self.last_weight
    }

    #[inline]
    fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    #[inline]
    fn active(&self) -> u32 {
        (self.connections >> 32) as u32
    }

    #[inline]
    fn inactive(&self) -> u32 {
        self.connections as u32
    }

    #[inline]
    fn connections(&self) -> u64 {
        self.connections
    }

    #[inline]
    fn overloaded(&self) -> bool {
        self.overloaded
    }

    #[inline]
    fn delay(&self) -> Delay {
        match self.work {
            Some(work) => Delay {
                measured: work,
                present: work,
            },
            None => self.delay.at(self.clock.get()),
        }
    }
}

/// One connection in the counts of a server.
#[inline]
#[must_use]
pub const fn one(active: bool) -> u64 {
    if active {
        1 << 32
    } else {
        1
    }
}
