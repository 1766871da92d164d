// SPDX-License-Identifier: GPL-2.0-only

//! Source-hashing scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::SourceHashing,
    scheduler: c"sh",
    name: "ipvs_rs_sh",
    description: "Source-hashing scheduling",
}
