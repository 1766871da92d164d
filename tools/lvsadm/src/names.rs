// SPDX-License-Identifier: GPL-2.0-only

//! Host and port names, both ways.
//!
//! Belongs here: asking the system's resolver, reading /etc/services. Never: what an endpoint looks
//! like.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};
use std::sync::OnceLock;

/// Where port names stand.
const SERVICES: &str = "/etc/services";

/// Names to numbers and back.
pub trait Names {
    /// The address of a host; IPv4 is preferred, as in ipvsadm.
    fn address_of(&self, host: &str) -> Option<IpAddr>;
    /// The IPv6 address of a host.
    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        match self.address_of(host)? {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        }
    }
    /// The port of a service name or alias.
    fn port_of(&self, service: &str, protocol: &str) -> Option<u16>;
    /// The name of a host.
    fn host_of(&self, address: &IpAddr) -> Option<String>;
    /// The service name of a port.
    fn service_of(&self, port: u16, protocol: &str) -> Option<String>;
}

/// The system's names.
#[derive(Debug, Default)]
pub struct System {
    services: OnceLock<Services>,
}

impl System {
    fn services(&self) -> &Services {
        self.services.get_or_init(|| {
            // Without the file there are no names: ports are then numbers.
            Services::parse(&std::fs::read(SERVICES).map_or_else(
                |_| String::new(),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            ))
        })
    }
}

/// All addresses of a host.
fn addresses(host: &str) -> Vec<IpAddr> {
    (host, 0).to_socket_addrs().map_or_else(
        |_| Vec::new(),
        |addresses| addresses.map(|address| address.ip()).collect(),
    )
}

impl Names for System {
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        let addresses = addresses(host);
        addresses
            .iter()
            .find(|address| address.is_ipv4())
            .or_else(|| addresses.first())
            .copied()
    }

    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        addresses(host)
            .into_iter()
            .find_map(|address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
    }

    fn port_of(&self, service: &str, protocol: &str) -> Option<u16> {
        self.services().port(service, protocol)
    }

    fn host_of(&self, address: &IpAddr) -> Option<String> {
        dns_lookup::lookup_addr(address).ok()
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        self.services().name(port, protocol).map(str::to_owned)
    }
}

/// The content of /etc/services.
#[derive(Debug, Default)]
struct Services {
    ports: HashMap<(String, String), u16>,
    names: HashMap<(u16, String), String>,
}

impl Services {
    /// Lines of `name port/protocol [alias...]`; the first line with a port names it.
    fn parse(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else {
                continue;
            };
            let Some((port, protocol)) = number.split_once('/') else {
                continue;
            };
            let Ok(port) = port.parse::<u16>() else {
                continue;
            };
            services
                .names
                .entry((port, protocol.to_owned()))
                .or_insert_with(|| name.to_owned());
            for name in std::iter::once(name).chain(words) {
                services
                    .ports
                    .entry((name.to_owned(), protocol.to_owned()))
                    .or_insert(port);
            }
        }
        services
    }

    fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        self.ports
            .get(&(name.to_owned(), protocol.to_owned()))
            .copied()
    }

    fn name(&self, port: u16, protocol: &str) -> Option<&str> {
        self.names
            .get(&(port, protocol.to_owned()))
            .map(String::as_str)
    }
}

/// A few names that never change, for tests.
#[cfg(test)]
pub struct Fixed;

#[cfg(test)]
impl Names for Fixed {
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        (host == "www.example.net").then(|| [192, 0, 2, 1].into())
    }

    fn ipv6_address_of(&self, host: &str) -> Option<Ipv6Addr> {
        (host == "six.example.net").then(|| [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80].into())
    }

    fn port_of(&self, service: &str, protocol: &str) -> Option<u16> {
        match (service, protocol) {
            ("http", "tcp") => Some(80),
            ("domain", "udp") => Some(53),
            _ => None,
        }
    }

    fn host_of(&self, address: &IpAddr) -> Option<String> {
        (*address == IpAddr::from([192, 0, 2, 1])).then(|| "www.example.net".to_owned())
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        match (port, protocol) {
            (80, "tcp") => Some("http".to_owned()),
            (53, "udp") => Some("domain".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_by_name_alias_and_port() {
        let services = Services::parse(
            "# comment\n\
             http\t80/tcp\twww web # the web\n\
             other 80/tcp\n\
             domain 53/udp\n\
             broken\n\
             worse x/tcp\n",
        );
        assert_eq!(services.port("http", "tcp"), Some(80));
        assert_eq!(services.port("web", "tcp"), Some(80));
        assert_eq!(services.port("http", "udp"), None);
        assert_eq!(services.port("broken", "tcp"), None);
        assert_eq!(services.name(80, "tcp"), Some("http"));
        assert_eq!(services.name(53, "udp"), Some("domain"));
        assert_eq!(services.name(53, "tcp"), None);
    }
}
