// SPDX-License-Identifier: GPL-2.0-only

//! Locality-based least-connection scheduling with replication.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::LocalityBasedWithReplication,
    scheduler: c"lblcr",
    name: "ipvs_rs_lblcr",
    description: "Locality-based least-connection scheduling with replication",
}
