// SPDX-License-Identifier: GPL-2.0-only

//! Round-robin scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::RoundRobin,
    scheduler: c"rr",
    name: "ipvs_rs_rr",
    description: "Round-robin scheduling",
}
