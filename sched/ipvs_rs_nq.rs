// SPDX-License-Identifier: GPL-2.0-only

//! Never-queue scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::NeverQueue,
    scheduler: c"nq",
    name: "ipvs_rs_nq",
    description: "Never-queue scheduling",
}
