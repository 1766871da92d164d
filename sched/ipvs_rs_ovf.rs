// SPDX-License-Identifier: GPL-2.0-only

//! Weighted overflow scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::WeightedOverflow,
    scheduler: c"ovf",
    name: "ipvs_rs_ovf",
    description: "Weighted overflow scheduling",
}
