// SPDX-License-Identifier: GPL-2.0-only

//! Packets of ESP (RFC 4303) and AH (RFC 4302), which have no ports.

use super::{flags::TcpFlags, ipv4, ipv6, Headers, ParseError};
use crate::{Address, Endpoint, Family, Protocol};

/// The protocol number of ESP.
const ESP: u8 = 50;
/// The protocol number of AH.
const AH: u8 = 51;
/// The port at which both hosts negotiate keys (ISAKMP, RFC 2408 section 2.5.1).
const ISAKMP: u16 = 500;

/// A packet of ESP or AH.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Related {
    /// The headers that a packet of the ISAKMP flow in the same direction has. The length is that
    /// of this packet.
    pub flow: Headers,
    /// The packet's authentication covers its addresses (AH), so they cannot be translated.
    pub covers_addresses: bool,
}

/// Reads the packet of this family whose IP header starts the slice. Fragments are read as whole
/// packets are, since only their addresses count.
///
/// In an IPv6 packet, AH is an extension header like others: what follows decides, and this is
/// [`ParseError::NotOurs`].
///
/// # Errors
///
/// As [`super::parse`]; [`ParseError::NotOurs`] for any other protocol.
pub fn parse(family: Family, ip: &[u8]) -> Result<Related, ParseError> {
    let (source, destination, protocol, len) = match family {
        Family::V4 => {
            let header = ipv4::Header::read(ip)?;
            if usize::from(header.total_len) < header.len {
                return Err(ParseError::Malformed);
            }
            (
                Address::from_v4(header.source),
                Address::from_v4(header.destination),
                header.protocol,
                header.len,
            )
        }
        Family::V6 => {
            let header = ipv6::Header::read(ip)?;
            let upper = ipv6::Upper::read(ip, 0, header.next, header.end())?;
            (header.source, header.destination, upper.protocol, upper.at)
        }
    };
    let covers_addresses = match (family, protocol) {
        (_, ESP) => false,
        (Family::V4, AH) => true,
        _ => return Err(ParseError::NotOurs),
    };
    Ok(Related {
        flow: Headers {
            family,
            protocol: Protocol::Udp,
            source: Endpoint::new(source, ISAKMP),
            destination: Endpoint::new(destination, ISAKMP),
            // At most ipv6::MAX_HEADERS.
            network_header_len: len as u16,
            tcp_flags: TcpFlags::EMPTY,
            more_fragments: false,
        },
        covers_addresses,
    })
}
