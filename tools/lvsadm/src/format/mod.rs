// SPDX-License-Identifier: GPL-2.0-only

//! Listings.
//!
//! Belongs here: what a listing looks like, one file a kind: `table` and `connections` as ipvsadm
//! prints them to the byte, `save` as rules, `json`, and the `order` they come in. Never: asking the
//! director, printing.

pub mod connections;
pub mod json;
pub mod order;
pub mod save;
pub mod table;

use std::net::IpAddr;

use crate::model::{self, DestinationEntry, Info, Protocol, ServiceEntry, Timeouts};
use crate::names::Names;

/// A service with its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The service.
    pub service: ServiceEntry,
    /// Its destinations.
    pub destinations: Vec<DestinationEntry>,
}

/// All that a table listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The kernel's word of itself; absent when one service is listed.
    pub info: Option<Info>,
    /// Services in the order they are shown.
    pub groups: Vec<Group>,
}

/// Shows addresses and ports: as numbers, or by the names that there are.
pub struct Labels<'a> {
    names: Option<&'a dyn Names>,
}

impl<'a> Labels<'a> {
    /// Numbers only.
    #[must_use]
    pub fn numeric() -> Self {
        Self { names: None }
    }

    /// Names where there are any.
    #[must_use]
    pub fn named(names: &'a dyn Names) -> Self {
        Self { names: Some(names) }
    }

    /// Address and port. Ports have names for a protocol only.
    #[must_use]
    pub fn endpoint(&self, address: &IpAddr, port: u16, protocol: Option<Protocol>) -> String {
        let Some(names) = self.names else {
            return model::endpoint(address, port);
        };
        let host = names
            .host_of(address)
            .unwrap_or_else(|| address.to_string());
        let port = protocol
            .and_then(Protocol::name)
            .and_then(|protocol| names.service_of(port, protocol))
            .unwrap_or_else(|| port.to_string());
        match address {
            IpAddr::V4(_) => format!("{host}:{port}"),
            IpAddr::V6(_) => format!("[{host}]:{port}"),
        }
    }
}

/// This command's version and the module's, if one is loaded.
#[must_use]
pub fn versions(module: Option<&model::Module>) -> String {
    let mut text = format!("lvsadm {}\n", env!("CARGO_PKG_VERSION"));
    let Some(module) = module else {
        return text + "no module provides a virtual server now\n";
    };
    text += &match &module.version {
        Some(version) => format!("module {} {version}\n", module.name),
        None => format!("module {}, which has no version query\n", module.name),
    };
    if !module.features.is_empty() {
        text += &format!("it offers: {}\n", module.features.join(", "));
    }
    let missing = module.missing();
    if !missing.is_empty() {
        text += &format!("it is too old for: {}\n", missing.join(", "));
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

/// The synchronisation daemons, one a line.
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

#[cfg(test)]
mod tests;
