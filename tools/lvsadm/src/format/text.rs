// SPDX-License-Identifier: GPL-2.0-only

//! Short texts: versions, timeouts, daemons.

use crate::model::{self, Timeouts};

/// The versions of this command and of the module that is loaded.
#[must_use]
pub fn versions(module: Option<&model::Module>) -> String {
    let mut text = format!("lvsadm {}\n", env!("CARGO_PKG_VERSION"));
    let Some(module) = module else {
        return text + "the kernel has no director loaded\n";
    };
    let Some(version) = &module.version else {
        return text + &format!("module {}, the C director\n", module.name);
    };
    text += &format!("module {} {version}\n", module.name);
    if !module.features.is_empty() {
        text += &format!("features: {}\n", module.features.join(", "));
    }
    let missing = module.missing();
    if !missing.is_empty() {
        text += &format!(
            "features that this module is too old for: {}\n",
            missing.join(", ")
        );
    }
    text
}

/// The timeouts in a line.
#[must_use]
pub fn timeouts(timeouts: &Timeouts) -> String {
    format!(
        "Timeout (tcp tcpfin udp): {} {} {}\n",
        timeouts.tcp, timeouts.tcp_fin, timeouts.udp
    )
}

/// The synchronization daemons, one a line.
#[must_use]
pub fn daemons(daemons: &[model::Daemon]) -> String {
    let mut text = String::new();
    for daemon in daemons {
        text += &format!(
            "{} sync daemon (mcast={}, syncid={}",
            daemon.role.name(),
            daemon.interface,
            daemon.sync_id
        );
        if daemon.max_length != 0 {
            text += &format!(", maxlen={}", daemon.max_length);
        }
        if let Some(group) = daemon.group {
            text += &format!(", group={group}");
        }
        if daemon.port != 0 {
            text += &format!(", port={}", daemon.port);
        }
        if daemon.ttl != 0 {
            text += &format!(", ttl={}", daemon.ttl);
        }
        text += ")\n";
    }
    text
}
