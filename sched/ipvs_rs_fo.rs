// SPDX-License-Identifier: GPL-2.0-only

//! Weighted failover scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::WeightedFailover,
    scheduler: c"fo",
    name: "ipvs_rs_fo",
    description: "Weighted failover scheduling",
}
