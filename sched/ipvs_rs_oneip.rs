// SPDX-License-Identifier: GPL-2.0-only

//! ONE-IP scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::OneIp,
    scheduler: c"oneip",
    name: "ipvs_rs_oneip",
    description: "ONE-IP scheduling",
}
