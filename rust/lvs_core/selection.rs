// SPDX-License-Identifier: GPL-2.0-only

//! Which connections a listing tells.

use crate::{Address, Endpoint};

/// What the ends of connections are compared with: a network, a port, both or neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pattern {
    /// The first bits of the address, and how many.
    network: Option<(Address, u8)>,
    port: Option<u16>,
}

/// A prefix is longer than the address, or there is none that it would be of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPrefix;

impl Pattern {
    /// Ends whose address has the first `prefix` bits of `address` (without a prefix: all of them)
    /// and whose port is `port`; what is not given does not matter.
    ///
    /// # Errors
    ///
    /// [`BadPrefix`].
    pub fn new(
        address: Option<Address>,
        prefix: Option<u8>,
        port: Option<u16>,
    ) -> Result<Self, BadPrefix> {
        let network = match (address, prefix) {
            (None, None) => None,
            (None, Some(_)) => return Err(BadPrefix),
            (Some(address), prefix) => {
                let bits = address.family().bits();
                let prefix = prefix.unwrap_or(bits);
                if prefix > bits {
                    return Err(BadPrefix);
                }
                Some((address.masked(prefix), prefix))
            }
        };
        Ok(Self { network, port })
    }

    /// Whether an end of a connection is meant.
    #[must_use]
    pub fn matches(&self, end: Endpoint) -> bool {
        self.port.is_none_or(|port| port == end.port)
            && self
                .network
                .is_none_or(|(network, prefix)| network == end.address.masked(prefix))
    }
}

/// What tells connections apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The protocol's number; 0 for the template of a firewall mark.
    pub protocol: u8,
    /// The client.
    pub client: Endpoint,
    /// What the client sees.
    pub service: Endpoint,
    /// The real server.
    pub server: Endpoint,
}

/// The connections that somebody wants to see; all, unless something is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// The protocol's number.
    pub protocol: Option<u8>,
    /// Their clients.
    pub client: Pattern,
    /// The virtual addresses and ports.
    pub service: Pattern,
    /// Their real servers.
    pub server: Pattern,
}

impl Selection {
    /// Whether a connection is one of them.
    #[must_use]
    pub fn matches(&self, ends: &Ends) -> bool {
        self.protocol
            .is_none_or(|protocol| protocol == ends.protocol)
            && self.client.matches(ends.client)
            && self.service.matches(ends.service)
            && self.server.matches(ends.server)
    }
}
