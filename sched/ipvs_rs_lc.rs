// SPDX-License-Identifier: GPL-2.0-only

//! Least-connection scheduling.

use ipvs::{
    destination::RealServer,
    scheduler::{Change, Scheduler},
};
use kernel::prelude::*;
use lvs_core::scheduler::LeastConnection;

struct Algorithm(LeastConnection);

impl Scheduler for Algorithm {
    const NAME: &'static CStr = c"lc";

    fn new() -> Self {
        Self(LeastConnection::new())
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
    name: "ipvs_rs_lc",
    description: "Least-connection scheduling",
}
