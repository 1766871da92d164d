// SPDX-License-Identifier: GPL-2.0-only

//! Weighted least-connection scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::WeightedLeastConnection,
    scheduler: c"wlc",
    name: "ipvs_rs_wlc",
    description: "Weighted least-connection scheduling",
}
