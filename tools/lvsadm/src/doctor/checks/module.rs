// SPDX-License-Identifier: GPL-2.0-only

//! The module: is it there, and is it accepted.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{fail, warn, Finding};

pub(super) fn director(facts: &Facts) -> Option<Vec<Finding>> {
    Some(match facts.module.as_deref() {
        Some("ipvs_rs") => vec![],
        Some(other) => vec![warn(
            format!("the C director ({other}) is loaded, not ipvs_rs"),
            format!("lvsadm -C; modprobe -r {other}; modprobe ipvs_rs"),
        )],
        None => vec![fail(
            "no director is loaded".to_owned(),
            "modprobe ipvs_rs".to_owned(),
        )],
    })
}

pub(super) fn kernels(facts: &Facts) -> Option<Vec<Finding>> {
    if facts.kernels.is_empty() {
        return None;
    }
    let missing = |release: &str, running: bool| {
        let message = if running {
            format!("the running kernel {release} has no module ipvs_rs")
        } else {
            format!(
                "the kernel {release} has no module ipvs_rs: after a reboot there is no director"
            )
        };
        warn(
            message,
            format!("make install KDIR=/lib/modules/{release}/build"),
        )
    };
    Some(
        facts
            .kernels
            .iter()
            .filter(|kernel| kernel.module.is_none())
            .map(|kernel| missing(&kernel.release, kernel.running))
            .collect(),
    )
}

pub(super) fn signature(facts: &Facts) -> Option<Vec<Finding>> {
    if !facts.lockdown {
        return None;
    }
    Some(
        facts
            .kernels
            .iter()
            .filter(|kernel| kernel.module.is_some() && !kernel.signed)
            .map(|kernel| {
                fail(
                    format!(
                        "the kernel accepts signed modules only, and that of {} is not signed",
                        kernel.release
                    ),
                    "sign the modules with a key that the kernel or the firmware (MOK) knows"
                        .to_owned(),
                )
            })
            .collect(),
    )
}
