// SPDX-License-Identifier: GPL-2.0-only

//! Service attributes (`IPVS_SVC_ATTR_*`).

use lvs_core::uapi::service;
use netlink_packet_core::{
    parse_u16, parse_u16_be, parse_u32, DecodeError, DefaultNla, Emitable, ErrorContext, Nla,
    Parseable, NLA_F_NESTED,
};

use super::attribute::{self, Raw};
use super::stats::StatsAttribute;

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
            service::AF => Self::Family(parse_u16(value).context("IPVS_SVC_ATTR_AF")?),
            service::PROTOCOL => {
                Self::Protocol(parse_u16(value).context("IPVS_SVC_ATTR_PROTOCOL")?)
            }
            service::ADDR => Self::Address(value.to_vec()),
            service::PORT => Self::Port(parse_u16_be(value).context("IPVS_SVC_ATTR_PORT")?),
            service::FWMARK => Self::Mark(parse_u32(value).context("IPVS_SVC_ATTR_FWMARK")?),
            service::SCHED_NAME => Self::Scheduler(attribute::text(value)),
            service::FLAGS => {
                let [a, b, c, d, e, f, g, h] = attribute::octets(value, "IPVS_SVC_ATTR_FLAGS")?;
                Self::Flags {
                    flags: u32::from_ne_bytes([a, b, c, d]),
                    mask: u32::from_ne_bytes([e, f, g, h]),
                }
            }
            service::TIMEOUT => Self::Timeout(parse_u32(value).context("IPVS_SVC_ATTR_TIMEOUT")?),
            service::NETMASK => Self::Netmask(attribute::octets(value, "IPVS_SVC_ATTR_NETMASK")?),
            service::STATS => Self::Stats(StatsAttribute::read_all(value)?),
            service::PE_NAME => Self::Engine(attribute::text(value)),
            service::STATS64 => Self::Stats64(StatsAttribute::read_all(value)?),
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
            Self::Family(_) => service::AF,
            Self::Protocol(_) => service::PROTOCOL,
            Self::Address(_) => service::ADDR,
            Self::Port(_) => service::PORT,
            Self::Mark(_) => service::FWMARK,
            Self::Scheduler(_) => service::SCHED_NAME,
            Self::Flags { .. } => service::FLAGS,
            Self::Timeout(_) => service::TIMEOUT,
            Self::Netmask(_) => service::NETMASK,
            Self::Stats(_) => service::STATS | NLA_F_NESTED,
            Self::Engine(_) => service::PE_NAME,
            Self::Stats64(_) => service::STATS64 | NLA_F_NESTED,
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
