// SPDX-License-Identifier: GPL-2.0-only

//! Weighted least-connection scheduling.

use ipvs::{
    destination::RealServer,
    scheduler::{Change, Scheduler},
};
use kernel::prelude::*;
use lvs_core::scheduler::WeightedLeastConnection;

struct Algorithm(WeightedLeastConnection);

impl Scheduler for Algorithm {
    const NAME: &'static CStr = c"wlc";

    fn new() -> Self {
        Self(WeightedLeastConnection::new())
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
    name: "ipvs_rs_wlc",
    description: "Weighted least-connection scheduling",
}
