// SPDX-License-Identifier: GPL-2.0-only

//! Round-robin scheduling.

use ipvs::{
    destination::RealServer,
    scheduler::{Change, Scheduler},
};
use kernel::prelude::*;
use lvs_core::scheduler::RoundRobin;

struct Algorithm(RoundRobin);

impl Scheduler for Algorithm {
    const NAME: &'static CStr = c"rr";

    fn new() -> Self {
        Self(RoundRobin::new())
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
    name: "ipvs_rs_rr",
    description: "Round-robin scheduling",
}
