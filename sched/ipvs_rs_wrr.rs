// SPDX-License-Identifier: GPL-2.0-only

//! Weighted round-robin scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::WeightedRoundRobin,
    scheduler: c"wrr",
    name: "ipvs_rs_wrr",
    description: "Weighted round-robin scheduling",
}
