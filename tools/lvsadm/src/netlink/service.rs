// SPDX-License-Identifier: GPL-2.0-only

//! Service attributes (`IPVS_SVC_ATTR_*`).

use netlink_packet_core::{
    parse_u16, parse_u16_be, parse_u32, DecodeError, DefaultNla, Emitable, ErrorContext, Nla,
    Parseable, NLA_F_NESTED,
};

use super::attribute::{self, Raw};
use super::stats::StatsAttribute;

const FAMILY: u16 = 1;
const PROTOCOL: u16 = 2;
const ADDRESS: u16 = 3;
const PORT: u16 = 4;
const MARK: u16 = 5;
const SCHEDULER: u16 = 6;
const FLAGS: u16 = 7;
const TIMEOUT: u16 = 8;
const NETMASK: u16 = 9;
const STATS: u16 = 10;
const ENGINE: u16 = 11;
const STATS_64: u16 = 12;

/// One attribute of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceAttribute {
    /// `AF_INET` or `AF_INET6`.
    Family(u16),
    /// IP protocol.
    Protocol(u16),
    /// Virtual address, 16 octets with IPv4 in the first four.
    Address(Vec<u8>),
    /// Virtual port.
    Port(u16),
    /// Firewall mark.
    Mark(u32),
    /// Scheduler.
    Scheduler(String),
    /// Flags, and which of them the message speaks of.
    Flags {
        /// The flags.
        flags: u32,
        /// Those that are meant.
        mask: u32,
    },
    /// Persistence timeout, seconds.
    Timeout(u32),
    /// Persistence granularity as it stands: an IPv4 mask in network order, or an IPv6 prefix
    /// length in the machine's.
    Netmask([u8; 4]),
    /// Statistics in 32 bits.
    Stats(Vec<StatsAttribute>),
    /// Persistence engine.
    Engine(String),
    /// Statistics in 64 bits.
    Stats64(Vec<StatsAttribute>),
    /// Something newer than this command.
    Other(DefaultNla),
}

impl ServiceAttribute {
    pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        attribute::chain(bytes, "service", Self::read)
    }

    fn read(raw: &Raw<'_>) -> Result<Self, DecodeError> {
        let value = raw.value();
        Ok(match raw.kind() {
            FAMILY => Self::Family(parse_u16(value).context("IPVS_SVC_ATTR_AF")?),
            PROTOCOL => Self::Protocol(parse_u16(value).context("IPVS_SVC_ATTR_PROTOCOL")?),
            ADDRESS => Self::Address(value.to_vec()),
            PORT => Self::Port(parse_u16_be(value).context("IPVS_SVC_ATTR_PORT")?),
            MARK => Self::Mark(parse_u32(value).context("IPVS_SVC_ATTR_FWMARK")?),
            SCHEDULER => Self::Scheduler(attribute::text(value)),
            FLAGS => {
                let [a, b, c, d, e, f, g, h] = attribute::octets(value, "IPVS_SVC_ATTR_FLAGS")?;
                Self::Flags {
                    flags: u32::from_ne_bytes([a, b, c, d]),
                    mask: u32::from_ne_bytes([e, f, g, h]),
                }
            }
            TIMEOUT => Self::Timeout(parse_u32(value).context("IPVS_SVC_ATTR_TIMEOUT")?),
            NETMASK => Self::Netmask(attribute::octets(value, "IPVS_SVC_ATTR_NETMASK")?),
            STATS => Self::Stats(StatsAttribute::read_all(value)?),
            ENGINE => Self::Engine(attribute::text(value)),
            STATS_64 => Self::Stats64(StatsAttribute::read_all(value)?),
            _ => Self::Other(DefaultNla::parse(raw)?),
        })
    }
}

impl Nla for ServiceAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Family(_) | Self::Protocol(_) | Self::Port(_) => size_of::<u16>(),
            Self::Address(address) => address.len(),
            Self::Mark(_) | Self::Timeout(_) | Self::Netmask(_) => size_of::<u32>(),
            Self::Scheduler(name) | Self::Engine(name) => name.len().saturating_add(1),
            Self::Flags { .. } => size_of::<[u32; 2]>(),
            Self::Stats(stats) | Self::Stats64(stats) => stats.as_slice().buffer_len(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Family(_) => FAMILY,
            Self::Protocol(_) => PROTOCOL,
            Self::Address(_) => ADDRESS,
            Self::Port(_) => PORT,
            Self::Mark(_) => MARK,
            Self::Scheduler(_) => SCHEDULER,
            Self::Flags { .. } => FLAGS,
            Self::Timeout(_) => TIMEOUT,
            Self::Netmask(_) => NETMASK,
            Self::Stats(_) => STATS | NLA_F_NESTED,
            Self::Engine(_) => ENGINE,
            Self::Stats64(_) => STATS_64 | NLA_F_NESTED,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Family(value) | Self::Protocol(value) => {
                attribute::put(buffer, &value.to_ne_bytes());
            }
            Self::Port(value) => attribute::put(buffer, &value.to_be_bytes()),
            Self::Address(address) => attribute::put(buffer, address),
            Self::Mark(value) | Self::Timeout(value) => {
                attribute::put(buffer, &value.to_ne_bytes());
            }
            Self::Netmask(octets) => attribute::put(buffer, octets),
            Self::Scheduler(name) | Self::Engine(name) => attribute::put_text(buffer, name),
            Self::Flags { flags, mask } => {
                let [a, b, c, d] = flags.to_ne_bytes();
                let [e, f, g, h] = mask.to_ne_bytes();
                attribute::put(buffer, &[a, b, c, d, e, f, g, h]);
            }
            Self::Stats(stats) | Self::Stats64(stats) => stats.as_slice().emit(buffer),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}
