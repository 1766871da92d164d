// SPDX-License-Identifier: GPL-2.0-only

//! Least-connection scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::LeastConnection,
    scheduler: c"lc",
    name: "ipvs_rs_lc",
    description: "Least-connection scheduling",
}
