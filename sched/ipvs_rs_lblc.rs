// SPDX-License-Identifier: GPL-2.0-only

//! Locality-based least-connection scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::LocalityBasedLeastConnection,
    scheduler: c"lblc",
    name: "ipvs_rs_lblc",
    description: "Locality-based least-connection scheduling",
}
