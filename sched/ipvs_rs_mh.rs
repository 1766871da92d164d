// SPDX-License-Identifier: GPL-2.0-only

//! Maglev-hashing scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::MaglevHashing,
    scheduler: c"mh",
    name: "ipvs_rs_mh",
    description: "Maglev-hashing scheduling",
}
