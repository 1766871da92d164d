// SPDX-License-Identifier: GPL-2.0-only

//! Connections, counted in groups.
//!
//! Belongs here: what connections are grouped by, and the counts. Never: how they are shown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::connections::Connection;
use crate::model::endpoint;

/// The bits of the prefixes that IPv4 clients are grouped by.
const PREFIX_V4: u8 = 24;
/// The same for IPv6: the smallest network that a site is given.
const PREFIX_V6: u8 = 64;

/// What connections are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The client's address.
    Client,
    /// The real server's address and port.
    Server,
    /// The protocol, virtual address and port.
    Service,
    /// The state.
    State,
    /// The client's network: /24 (IPv4) or /64 (IPv6).
    Prefix,
}

/// What the connections of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// The client.
    Client(IpAddr),
    /// The real server.
    Server(IpAddr, u16),
    /// Protocol, virtual address and port.
    Service(Cow<'static, str>, IpAddr, u16),
    /// The state.
    State(Cow<'static, str>),
    /// The client's network.
    Prefix(IpNet),
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(address) => write!(f, "{address}"),
            Self::Server(address, port) => f.write_str(&endpoint(address, *port)),
            Self::Service(protocol, address, port) => {
                write!(f, "{protocol} {}", endpoint(address, *port))
            }
            Self::State(state) => f.write_str(state),
            Self::Prefix(network) => write!(f, "{network}"),
        }
    }
}

impl GroupBy {
    /// The names on the command line.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("client", Self::Client),
        ("server", Self::Server),
        ("service", Self::Service),
        ("state", Self::State),
        ("prefix", Self::Prefix),
    ];

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, by)| by)
    }

    fn of(self, connection: &Connection) -> Group {
        let (client, _) = connection.source;
        match self {
            Self::Client => Group::Client(client),
            Self::Server => Group::Server(connection.destination.0, connection.destination.1),
            Self::Service => Group::Service(
                connection.protocol.clone(),
                connection.service.0,
                connection.service.1,
            ),
            Self::State => Group::State(connection.state.clone()),
            Self::Prefix => prefix(client),
        }
    }
}

/// The network of a client that counts as one site.
fn prefix(client: IpAddr) -> Group {
    let bits = match client {
        IpAddr::V4(_) => PREFIX_V4,
        IpAddr::V6(_) => PREFIX_V6,
    };
    // The lengths are valid; otherwise the client would be a group of its own.
    let network = IpNet::new(client, bits).unwrap_or_else(|_| client.into());
    Group::Prefix(network.trunc())
}

/// Counts connections.
#[derive(Debug, Default)]
pub struct Tally {
    by: Option<GroupBy>,
    total: u64,
    groups: HashMap<Group, u64>,
}

impl Tally {
    /// A tally of groups, or of all connections.
    #[must_use]
    pub fn new(by: Option<GroupBy>) -> Self {
        Self {
            by,
            ..Self::default()
        }
    }

    /// Counts a connection.
    pub fn add(&mut self, connection: &Connection) {
        self.total = self.total.saturating_add(1);
        if let Some(by) = self.by {
            let count = self.groups.entry(by.of(connection)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The number of connections.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The groups, those with most connections first: all, or so many.
    #[must_use]
    pub fn groups(self, most: Option<usize>) -> Vec<(Group, u64)> {
        let mut groups: Vec<(Group, u64)> = self.groups.into_iter().collect();
        groups.sort_unstable_by(|(a, count_a), (b, count_b)| {
            count_b.cmp(count_a).then_with(|| a.cmp(b))
        });
        groups.truncate(most.unwrap_or(usize::MAX));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(client: &str, server: u8, state: &'static str) -> Connection {
        Connection {
            protocol: "TCP".into(),
            source: (client.parse().unwrap(), 4000),
            service: ([192, 0, 2, 1].into(), 80),
            destination: ([10, 2, 0, server].into(), 8080),
            state: state.into(),
            expires: 1,
            engine: None,
        }
    }

    fn counted(by: GroupBy, most: Option<usize>) -> Vec<(String, u64)> {
        let mut tally = Tally::new(Some(by));
        for connection in [
            connection("198.51.100.1", 1, "ESTABLISHED"),
            connection("198.51.100.1", 2, "ESTABLISHED"),
            connection("198.51.100.2", 2, "FIN_WAIT"),
            connection("2001:db8:0:7:1::1", 2, "ESTABLISHED"),
        ] {
            tally.add(&connection);
        }
        assert_eq!(tally.total(), 4);
        let groups = tally.groups(most);
        groups
            .into_iter()
            .map(|(group, count)| (group.to_string(), count))
            .collect()
    }

    #[test]
    fn groups_are_counted_and_the_largest_come_first() {
        let groups = |by| counted(by, None);
        let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
            let owned = pairs
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count));
            owned.collect()
        };
        assert_eq!(
            groups(GroupBy::Client),
            pairs(&[
                ("198.51.100.1", 2),
                ("198.51.100.2", 1),
                ("2001:db8:0:7:1::1", 1)
            ])
        );
        assert_eq!(
            groups(GroupBy::Server),
            pairs(&[("10.2.0.2:8080", 3), ("10.2.0.1:8080", 1)])
        );
        assert_eq!(groups(GroupBy::Service), pairs(&[("TCP 192.0.2.1:80", 4)]));
        assert_eq!(
            groups(GroupBy::State),
            pairs(&[("ESTABLISHED", 3), ("FIN_WAIT", 1)])
        );
        assert_eq!(
            groups(GroupBy::Prefix),
            pairs(&[("198.51.100.0/24", 3), ("2001:db8:0:7::/64", 1)])
        );
        assert_eq!(
            counted(GroupBy::Prefix, Some(1)),
            pairs(&[("198.51.100.0/24", 3)])
        );
    }
}
