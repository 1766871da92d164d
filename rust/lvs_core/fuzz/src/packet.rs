// SPDX-License-Identifier: GPL-2.0-only

use super::{octets, verify, Orders};
use lvs_core::packet::{self, ParseError};
use lvs_core::Protocol;

/// [`packet::parse`], [`packet::is_icmp`].
pub fn run(data: &[u8]) {
    let Some(mut orders) = Orders::new(data) else {
        return;
    };
    let family = orders.family();
    let ip = orders.rest;
    let headers = match packet::parse(family, ip) {
        Err(ParseError::Truncated { need }) => {
            assert!(need > ip.len() && need <= 1300, "{need} of {}", ip.len());
            return;
        }
        Err(_) => {
            // More octets change nothing.
            let longer = [ip, &[0; 64]].concat();
            assert!(packet::parse(family, &longer).is_err());
            return;
        }
        Ok(headers) => headers,
    };
    assert!(!packet::is_icmp(family, ip));
    assert_eq!(headers.family, family);

    let upper = verify::upper(ip).expect("headers that make sense");
    let at = usize::from(headers.network_header_len);
    assert_eq!(at, upper.at);
    assert_eq!(headers.protocol as u8, upper.protocol);
    assert_eq!(headers.more_fragments, upper.is_fragment);
    let [s0, s1, d0, d1, ..] = ip[at..] else {
        panic!("no transport header");
    };
    assert_eq!(headers.source.port, u16::from_be_bytes([s0, s1]));
    assert_eq!(headers.destination.port, u16::from_be_bytes([d0, d1]));
    let (source, destination) = verify::addresses(ip);
    assert_eq!(octets(headers.source.address), ip[source]);
    assert_eq!(octets(headers.destination.address), ip[destination]);

    if headers.protocol == Protocol::Sctp {
        // How much is read depends on the first chunk.
        let enough = (at + 12..=ip.len()).find(|end| {
            !matches!(
                packet::parse(family, &ip[..*end]),
                Err(ParseError::Truncated { .. })
            )
        });
        let enough = enough.expect("the whole packet is enough");
        assert_eq!(packet::parse(family, &ip[..enough]), Ok(headers));
        return;
    }
    // Everything that was read is before the end of the transport header.
    let enough = at + least(headers.protocol);
    assert_eq!(packet::parse(family, &ip[..enough]), Ok(headers));
    assert_eq!(
        packet::parse(family, &ip[..enough - 1]),
        Err(ParseError::Truncated { need: enough })
    );
}

/// Octets of the transport header without options.
fn least(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Tcp => 20,
        Protocol::Udp => 8,
        Protocol::Sctp => 12,
    }
}
