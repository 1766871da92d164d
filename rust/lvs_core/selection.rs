// SPDX-License-Identifier: GPL-2.0-only

//! The selection of connections for a listing.

use crate::{state::State, Address, Endpoint};

/// A pattern for the end of a connection: a network, a port, both or neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pattern {
    /// The first bits of the address, and their number.
    network: Option<(Address, u8)>,
    port: Option<u16>,
}

/// A prefix is longer than its address, or has no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPrefix;

impl Pattern {
    /// Returns a pattern for ends whose address has the first `prefix` bits of `address` (all bits
    /// without a prefix) and whose port is `port`. A missing value matches everything.
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

    /// Whether the end of a connection matches.
    #[must_use]
    pub fn matches(&self, end: Endpoint) -> bool {
        self.port.is_none_or(|port| port == end.port)
            && self
                .network
                .is_none_or(|(network, prefix)| network == end.address.masked(prefix))
    }
}

/// The attributes that identify a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The protocol's number; 0 for the template of a firewall mark.
    pub protocol: u8,
    /// The client.
    pub client: Endpoint,
    /// The virtual address and port, which the client uses.
    pub service: Endpoint,
    /// The real server.
    pub server: Endpoint,
}

/// A selection of connections; by default all.
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
    /// Their state.
    pub state: Option<State>,
}

impl Selection {
    /// Whether a connection with these ends in this state is selected.
    #[must_use]
    pub fn matches(&self, ends: &Ends, state: State) -> bool {
        let is_wanted = self.state.is_none_or(|wanted| {
            wanted == state
                // Two states have one name.
                || wanted == State::Established && state == State::SctpEstablished
        });
        is_wanted && self.matches_ends(ends)
    }

    /// Whether a connection with these ends is selected, in the right state.
    #[must_use]
    pub fn matches_ends(&self, ends: &Ends) -> bool {
        self.protocol
            .is_none_or(|protocol| protocol == ends.protocol)
            && self.client.matches(ends.client)
            && self.service.matches(ends.service)
            && self.server.matches(ends.server)
    }
}
