// SPDX-License-Identifier: GPL-2.0-only

//! Addresses and ports as numbers or names.

use std::net::IpAddr;

use crate::model::{self, Protocol};
use crate::names::Names;

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
