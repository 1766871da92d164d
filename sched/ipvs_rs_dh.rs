// SPDX-License-Identifier: GPL-2.0-only

//! Destination-hashing scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::DestinationHashing,
    scheduler: c"dh",
    name: "ipvs_rs_dh",
    description: "Destination-hashing scheduling",
}
