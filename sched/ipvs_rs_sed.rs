// SPDX-License-Identifier: GPL-2.0-only

//! Shortest-expected-delay scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::ShortestExpectedDelay,
    scheduler: c"sed",
    name: "ipvs_rs_sed",
    description: "Shortest-expected-delay scheduling",
}
