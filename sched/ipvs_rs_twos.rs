// SPDX-License-Identifier: GPL-2.0-only

//! Power-of-two-choices scheduling.

ipvs::module_scheduler! {
    algorithm: lvs_core::scheduler::PowerOfTwoChoices,
    scheduler: c"twos",
    name: "ipvs_rs_twos",
    description: "Power-of-two-choices scheduling",
}
