// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's connection listing, /proc/net/ip_vs_conn.
//!
//! Belongs here: reading the file's lines. Never: how connections are shown.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::Protocol;

/// Where the kernel lists connections.
pub const FILE: &str = "/proc/net/ip_vs_conn";

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Protocol as the kernel writes it.
    pub protocol: String,
    /// The client.
    pub source: (IpAddr, u16),
    /// The service.
    pub service: (IpAddr, u16),
    /// The real server.
    pub destination: (IpAddr, u16),
    /// State as the kernel writes it.
    pub state: String,
    /// Seconds until it expires.
    pub expires: u32,
    /// Persistence engine and its data.
    pub engine: Option<(String, String)>,
}

impl Connection {
    /// The protocol, where it is one with port names.
    #[must_use]
    pub fn known_protocol(&self) -> Option<Protocol> {
        [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|protocol| protocol.to_string() == self.protocol)
    }
}

/// Reads all lines after the heading.
///
/// # Errors
///
/// The first line that is none of a connection.
pub fn parse(text: &str) -> Result<Vec<Connection>, String> {
    text.lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            connection(line)
                .ok_or_else(|| format!("{FILE} has a line that is no connection: {line:?}"))
        })
        .collect()
}

fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    let protocol = words.next()?.to_owned();
    let source = (address(words.next()?)?, port(words.next()?)?);
    let service = (address(words.next()?)?, port(words.next()?)?);
    let destination = (address(words.next()?)?, port(words.next()?)?);
    let state = words.next()?.to_owned();
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTING: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010001 ACB0 0A010001 0050 2001:0db8:0000:0000:0000:0000:0000:0099 0050 SYN_RECV         56
UDP C0000201 13C4 0A010002 13C4 0A000009 13C4 UDP             118 sip call-1@example.net
";

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
    fn a_broken_line_is_named() {
        let error = parse("heading\nTCP 0A010001 ACB0\n").unwrap_err();
        assert!(error.contains("TCP 0A010001 ACB0"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_stops_the_reader(text in r"[ \n0-9A-F:a-z]{0,200}") {
            let _ = parse(&text);
        }
    }
}
