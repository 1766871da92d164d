// SPDX-License-Identifier: GPL-2.0-only

//! Peak-EWMA scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::PeakEwma,
    scheduler: c"ewma",
    name: "ipvs_rs_ewma",
    description: "Peak-EWMA scheduling",
}
