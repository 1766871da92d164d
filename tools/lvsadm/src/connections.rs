// SPDX-License-Identifier: GPL-2.0-only

//! Connections, and which of them are wanted.
//!
//! Belongs here: what a connection is, and reading the listing that every module offers,
//! /proc/net/ip_vs_conn. Never: how connections are shown, nor netlink.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv4Addr};

use lvs_core::selection::{BadPrefix, Ends, Pattern};
use lvs_core::state::State;
use lvs_core::{Address, Endpoint};

use crate::model::Protocol;

/// Where the kernel lists connections.
pub const FILE: &str = "/proc/net/ip_vs_conn";

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Protocol as the kernel writes it.
    pub protocol: Cow<'static, str>,
    /// The client.
    pub source: (IpAddr, u16),
    /// The service.
    pub service: (IpAddr, u16),
    /// The real server.
    pub destination: (IpAddr, u16),
    /// State as the kernel writes it.
    pub state: Cow<'static, str>,
    /// Seconds until it expires.
    pub expires: u32,
    /// Persistence engine and its data.
    pub engine: Option<(String, String)>,
}

impl Connection {
    /// The protocol, where it is one with port names.
    #[must_use]
    pub fn known_protocol(&self) -> Option<Protocol> {
        PROTOCOLS
            .into_iter()
            .find(|(_, name)| *name == self.protocol)
            .map(|(protocol, _)| protocol)
    }
}

// A listing has a million of these names, which take no memory.
const PROTOCOLS: [(Protocol, &str); 3] = [
    (Protocol::Tcp, "TCP"),
    (Protocol::Udp, "UDP"),
    (Protocol::Sctp, "SCTP"),
];

/// The name of a protocol's number in /proc/net/ip_vs_conn. 0 is that of a template for all of
/// them.
#[must_use]
pub fn protocol_name(number: u8) -> Cow<'static, str> {
    let protocol = Protocol::from(u16::from(number));
    let known = PROTOCOLS.into_iter().find(|(known, _)| *known == protocol);
    match (known, number) {
        (Some((_, name)), _) => name.into(),
        (None, 0) => "IP".into(),
        (None, other) => other.to_string().into(),
    }
}

/// A state's name.
#[must_use]
pub fn state_name(name: &[u8]) -> Cow<'static, str> {
    match State::from_name(name) {
        Some(state) => state.name().into(),
        None => String::from_utf8_lossy(name).into_owned().into(),
    }
}

/// The required properties of one end of a connection. Absent ones do not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointFilter {
    /// The address.
    pub address: Option<IpAddr>,
    /// How many bits of it count; all when absent. Goes with an address only, and is not longer.
    pub prefix: Option<u8>,
    /// The port.
    pub port: Option<u16>,
}

impl EndpointFilter {
    fn pattern(&self) -> Result<Pattern, BadPrefix> {
        Pattern::new(self.address.map(own), self.prefix, self.port)
    }
}

/// Which connections are wanted: all, unless something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// The client.
    pub client: EndpointFilter,
    /// The virtual address and port.
    pub service: EndpointFilter,
    /// The real server.
    pub server: EndpointFilter,
    /// The state.
    pub state: Option<State>,
}

impl ConnectionFilter {
    /// Whether a connection has the wanted state.
    #[must_use]
    pub fn matches_state(&self, connection: &Connection) -> bool {
        self.state
            .is_none_or(|state| state.name() == connection.state)
    }

    /// For a module that tells all connections: whether this is one that is wanted.
    #[must_use]
    pub fn matches(&self, connection: &Connection) -> bool {
        let end = |&(address, port): &(IpAddr, u16)| Endpoint::new(own(address), port);
        let number = |protocol| u8::try_from(u16::from(protocol)).unwrap_or(u8::MAX);
        let ends = Ends {
            protocol: connection.known_protocol().map_or(0, number),
            client: end(&connection.source),
            service: end(&connection.service),
            server: end(&connection.destination),
        };
        let (Ok(client), Ok(service), Ok(server)) = (
            self.client.pattern(),
            self.service.pattern(),
            self.server.pattern(),
        ) else {
            return false;
        };
        lvs_core::selection::Selection {
            protocol: self.protocol.map(number),
            client,
            service,
            server,
            state: None,
        }
        .matches_ends(&ends)
            && self.matches_state(connection)
    }
}

pub(crate) fn own(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => Address::from_v4(address.octets()),
        IpAddr::V6(address) => Address::from_v6(address.octets()),
    }
}

/// Why a listing was not read to its end.
#[derive(Debug)]
pub enum Broken {
    /// It cannot be read on.
    Input(io::Error),
    /// A line does not describe a connection.
    Line(String),
    /// Who got the connections wants no more.
    Output(io::Error),
}

/// Reads all lines after the heading and gives each connection to `each`.
///
/// # Errors
///
/// The first line that does not describe a connection, or the error of reading or writing.
pub fn read(
    listing: impl BufRead,
    each: &mut dyn FnMut(Connection) -> io::Result<()>,
) -> Result<(), Broken> {
    for line in listing.lines().skip(1) {
        let line = line.map_err(Broken::Input)?;
        if !line.trim().is_empty() {
            let connection = connection(&line).ok_or_else(|| {
                Broken::Line(format!(
                    "{FILE} has a line that does not describe a connection: {line:?}"
                ))
            })?;
            each(connection).map_err(Broken::Output)?;
        }
    }
    Ok(())
}

fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    let protocol = words.next()?.to_owned().into();
    let source = (address(words.next()?)?, port(words.next()?)?);
    let service = (address(words.next()?)?, port(words.next()?)?);
    let destination = (address(words.next()?)?, port(words.next()?)?);
    let state = state_name(words.next()?.as_bytes());
    let expires = words.next()?.parse().ok()?;
    let engine = words
        .next()
        .zip(words.next())
        .map(|(name, data)| (name.to_owned(), data.to_owned()));
    Some(Connection {
        protocol,
        source,
        service,
        destination,
        state,
        expires,
        engine,
    })
}

/// An IPv6 address in full, or an IPv4 address as eight hexadecimal digits.
fn address(word: &str) -> Option<IpAddr> {
    word.parse().ok().or_else(|| {
        u32::from_str_radix(word, 16)
            .ok()
            .map(|bits| Ipv4Addr::from_bits(bits).into())
    })
}

fn port(word: &str) -> Option<u16> {
    u16::from_str_radix(word, 16).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Connections of both families, as /proc/net/ip_vs_conn has them.
    pub(crate) const LISTING: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010001 ACB0 0A010001 0050 2001:0db8:0000:0000:0000:0000:0000:0099 0050 SYN_RECV         56
UDP C0000201 13C4 0A010002 13C4 0A000009 13C4 UDP             118 sip call-1@example.net
";

    /// All connections of a listing.
    pub(crate) fn parse(text: &str) -> Result<Vec<Connection>, Broken> {
        let mut all = Vec::new();
        read(text.as_bytes(), &mut |connection| {
            all.push(connection);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn both_families_and_engine_data() {
        let got = parse(LISTING).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].source, ([10, 1, 0, 1].into(), 0xacb0));
        assert_eq!(
            got[0].destination.0,
            "2001:db8::99".parse::<IpAddr>().unwrap()
        );
        assert_eq!(got[0].expires, 56);
        assert_eq!(got[0].engine, None);
        assert_eq!(
            got[1].engine,
            Some(("sip".to_owned(), "call-1@example.net".to_owned()))
        );
    }

    #[test]
    fn the_wanted_ones() {
        let all = parse(LISTING).unwrap();
        let wanted = |filter: ConnectionFilter| -> Vec<bool> {
            all.iter()
                .map(|connection| filter.matches(connection))
                .collect()
        };
        let end = |address: &str, prefix, port| EndpointFilter {
            address: Some(address.parse().unwrap()),
            prefix,
            port,
        };
        assert_eq!(wanted(ConnectionFilter::default()), [true, true]);
        let udp = ConnectionFilter {
            protocol: Some(Protocol::Udp),
            ..ConnectionFilter::default()
        };
        assert_eq!(wanted(udp), [false, true]);
        let server = ConnectionFilter {
            server: end("2001:db8::", Some(32), Some(80)),
            ..ConnectionFilter::default()
        };
        assert_eq!(wanted(server), [true, false]);
        let client = ConnectionFilter {
            client: end("192.0.2.1", None, None),
            ..ConnectionFilter::default()
        };
        assert_eq!(wanted(client), [false, true]);
        let state = ConnectionFilter {
            state: Some(State::SynRecv),
            ..ConnectionFilter::default()
        };
        assert_eq!(wanted(state), [true, false]);
    }

    #[test]
    fn a_broken_line_is_named() {
        match parse("heading\nTCP 0A010001 ACB0\n") {
            Err(Broken::Line(line)) => assert!(line.contains("TCP 0A010001 ACB0"), "{line}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_wants_no_more_gets_no_more() {
        let mut got = 0;
        let broken = read(LISTING.as_bytes(), &mut |_| {
            got += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        });
        assert!(matches!(broken, Err(Broken::Output(_))));
        assert_eq!(got, 1);
    }

    proptest! {
        #[test]
        fn no_text_stops_the_reader(text in r"[ \n0-9A-F:a-z]{0,200}") {
            let _ = parse(&text);
        }
    }
}
