// SPDX-License-Identifier: GPL-2.0-only

//! Weighted round-robin scheduling.

use ipvs::{
    destination::RealServer,
    scheduler::{Change, Scheduler},
};
use kernel::prelude::*;
use lvs_core::scheduler::WeightedRoundRobin;

struct Algorithm(WeightedRoundRobin);

impl Scheduler for Algorithm {
    const NAME: &'static CStr = c"wrr";

    fn new() -> Self {
        Self(WeightedRoundRobin::new())
    }

    fn changed(&self, servers: &[RealServer], change: Change) {
        self.0.changed(servers, change);
    }

    fn select(&self, servers: &[RealServer]) -> Option<usize> {
        self.0.select(servers)
    }
}

ipvs::module_scheduler! {
    scheduler: Algorithm,
    name: "ipvs_rs_wrr",
    description: "Weighted round-robin scheduling",
}
