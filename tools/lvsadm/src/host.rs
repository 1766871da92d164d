// SPDX-License-Identifier: GPL-2.0-only

//! Facts about this host's network.
//!
//! Belongs here: questions that a socket answers without sending anything. Never: what follows from
//! the answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A host that can be asked.
pub trait Host {
    /// Whether the host has a route to an address.
    fn has_route(&self, address: &IpAddr) -> bool;
    /// Whether an address is one of the host's own.
    fn is_local(&self, address: &IpAddr) -> bool;
}

/// This host, in the network namespace of the process.
#[derive(Clone, Copy, Debug)]
pub struct ThisHost;

impl Host for ThisHost {
    fn has_route(&self, address: &IpAddr) -> bool {
        let any = match address {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        // Connecting a UDP socket looks a route up and sends nothing. Any port will do.
        let connected = UdpSocket::bind(SocketAddr::new(any, 0))
            .and_then(|socket| socket.connect(SocketAddr::new(*address, 9)));
        match connected {
            Ok(()) => true,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
            ),
        }
    }

    fn is_local(&self, address: &IpAddr) -> bool {
        match UdpSocket::bind(SocketAddr::new(*address, 0)) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
        }
    }
}

/// A host whose answers are fixed.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub struct FixedHost {
    /// Addresses without a route.
    pub unreachable: Vec<IpAddr>,
    /// Addresses that are not local.
    pub remote: Vec<IpAddr>,
}

#[cfg(test)]
impl Host for FixedHost {
    fn has_route(&self, address: &IpAddr) -> bool {
        !self.unreachable.contains(address)
    }

    fn is_local(&self, address: &IpAddr) -> bool {
        !self.remote.contains(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_documentation_addresses_are_not() {
        assert!(ThisHost.is_local(&Ipv4Addr::LOCALHOST.into()));
        assert!(ThisHost.has_route(&Ipv4Addr::LOCALHOST.into()));
        assert!(!ThisHost.is_local(&[192, 0, 2, 1].into()));
    }
}
