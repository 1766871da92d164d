// SPDX-License-Identifier: GPL-2.0-only

//! First-available scheduling: the worked example of `Documentation/adding-a-scheduler.rst`.

mod first;

ipvs::module_scheduler! {
    algorithm: first::FirstAvailable,
    scheduler: c"first",
    name: "ipvs_rs_first",
    description: "First-available scheduling",
}
