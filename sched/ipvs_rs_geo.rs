// SPDX-License-Identifier: GPL-2.0-only

//! Scheduling by region.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::NearestRegion,
    scheduler: c"geo",
    name: "ipvs_rs_geo",
    description: "Scheduling by region",
}
