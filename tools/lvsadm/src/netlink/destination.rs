// SPDX-License-Identifier: GPL-2.0-only

//! Destination attributes (`IPVS_DEST_ATTR_*`).

use lvs_core::uapi::destination;
use netlink_packet_core::{
    parse_u16, parse_u16_be, parse_u32, parse_u8, DecodeError, DefaultNla, Emitable, ErrorContext,
    Nla, Parseable, NLA_F_NESTED,
};

use super::attribute::{self, Raw};
use super::stats::StatsAttribute;

/// One attribute of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationAttribute {
    /// Address of the real server, 16 octets with IPv4 in the first four.
    Address(Vec<u8>),
    /// Its port.
    Port(u16),
    /// Forwarding method.
    Forwarding(u32),
    /// Weight.
    Weight(u32),
    /// Upper threshold of connections.
    UpperThreshold(u32),
    /// Lower threshold of connections.
    LowerThreshold(u32),
    /// Active connections.
    Active(u32),
    /// Inactive connections.
    Inactive(u32),
    /// Persistence templates.
    Persistent(u32),
    /// Statistics in 32 bits.
    Stats(Vec<StatsAttribute>),
    /// Address family of the address.
    Family(u16),
    /// Statistics in 64 bits.
    Stats64(Vec<StatsAttribute>),
    /// Encapsulation.
    TunnelKind(u8),
    /// UDP port of GUE.
    TunnelPort(u16),
    /// Encapsulation flags.
    TunnelFlags(u16),
    /// Something newer than this command.
    Other(DefaultNla),
}

impl DestinationAttribute {
    pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        attribute::chain(bytes, "destination", Self::read)
    }

    fn read(raw: &Raw<'_>) -> Result<Self, DecodeError> {
        let value = raw.value();
        let long = |what: &'static str| parse_u32(value).context(what);
        Ok(match raw.kind() {
            destination::ADDR => Self::Address(value.to_vec()),
            destination::PORT => Self::Port(parse_u16_be(value).context("IPVS_DEST_ATTR_PORT")?),
            destination::FWD_METHOD => Self::Forwarding(long("IPVS_DEST_ATTR_FWD_METHOD")?),
            destination::WEIGHT => Self::Weight(long("IPVS_DEST_ATTR_WEIGHT")?),
            destination::U_THRESH => Self::UpperThreshold(long("IPVS_DEST_ATTR_U_THRESH")?),
            destination::L_THRESH => Self::LowerThreshold(long("IPVS_DEST_ATTR_L_THRESH")?),
            destination::ACTIVE_CONNS => Self::Active(long("IPVS_DEST_ATTR_ACTIVE_CONNS")?),
            destination::INACT_CONNS => Self::Inactive(long("IPVS_DEST_ATTR_INACT_CONNS")?),
            destination::PERSIST_CONNS => Self::Persistent(long("IPVS_DEST_ATTR_PERSIST_CONNS")?),
            destination::STATS => Self::Stats(StatsAttribute::read_all(value)?),
            destination::ADDR_FAMILY => {
                Self::Family(parse_u16(value).context("IPVS_DEST_ATTR_ADDR_FAMILY")?)
            }
            destination::STATS64 => Self::Stats64(StatsAttribute::read_all(value)?),
            destination::TUN_TYPE => {
                Self::TunnelKind(parse_u8(value).context("IPVS_DEST_ATTR_TUN_TYPE")?)
            }
            destination::TUN_PORT => {
                Self::TunnelPort(parse_u16_be(value).context("IPVS_DEST_ATTR_TUN_PORT")?)
            }
            destination::TUN_FLAGS => {
                Self::TunnelFlags(parse_u16(value).context("IPVS_DEST_ATTR_TUN_FLAGS")?)
            }
            _ => Self::Other(DefaultNla::parse(raw)?),
        })
    }
}

impl Nla for DestinationAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Address(address) => address.len(),
            Self::Port(_) | Self::Family(_) | Self::TunnelPort(_) | Self::TunnelFlags(_) => {
                size_of::<u16>()
            }
            Self::Forwarding(_)
            | Self::Weight(_)
            | Self::UpperThreshold(_)
            | Self::LowerThreshold(_)
            | Self::Active(_)
            | Self::Inactive(_)
            | Self::Persistent(_) => size_of::<u32>(),
            Self::TunnelKind(_) => size_of::<u8>(),
            Self::Stats(stats) | Self::Stats64(stats) => stats.as_slice().buffer_len(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Address(_) => destination::ADDR,
            Self::Port(_) => destination::PORT,
            Self::Forwarding(_) => destination::FWD_METHOD,
            Self::Weight(_) => destination::WEIGHT,
            Self::UpperThreshold(_) => destination::U_THRESH,
            Self::LowerThreshold(_) => destination::L_THRESH,
            Self::Active(_) => destination::ACTIVE_CONNS,
            Self::Inactive(_) => destination::INACT_CONNS,
            Self::Persistent(_) => destination::PERSIST_CONNS,
            Self::Stats(_) => destination::STATS | NLA_F_NESTED,
            Self::Family(_) => destination::ADDR_FAMILY,
            Self::Stats64(_) => destination::STATS64 | NLA_F_NESTED,
            Self::TunnelKind(_) => destination::TUN_TYPE,
            Self::TunnelPort(_) => destination::TUN_PORT,
            Self::TunnelFlags(_) => destination::TUN_FLAGS,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Address(address) => attribute::put(buffer, address),
            Self::Port(value) | Self::TunnelPort(value) => {
                attribute::put(buffer, &value.to_be_bytes());
            }
            Self::Family(value) | Self::TunnelFlags(value) => {
                attribute::put(buffer, &value.to_ne_bytes());
            }
            Self::Forwarding(value)
            | Self::Weight(value)
            | Self::UpperThreshold(value)
            | Self::LowerThreshold(value)
            | Self::Active(value)
            | Self::Inactive(value)
            | Self::Persistent(value) => attribute::put(buffer, &value.to_ne_bytes()),
            Self::TunnelKind(value) => attribute::put(buffer, &[*value]),
            Self::Stats(stats) | Self::Stats64(stats) => stats.as_slice().emit(buffer),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}
