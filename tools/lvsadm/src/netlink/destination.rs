// SPDX-License-Identifier: GPL-2.0-only

//! Destination attributes (`IPVS_DEST_ATTR_*`).

use netlink_packet_core::{
    parse_u16, parse_u16_be, parse_u32, parse_u8, DecodeError, DefaultNla, Emitable, ErrorContext,
    Nla, Parseable, NLA_F_NESTED,
};

use super::attribute::{self, Raw};
use super::stats::StatsAttribute;

const ADDRESS: u16 = 1;
const PORT: u16 = 2;
const FORWARDING: u16 = 3;
const WEIGHT: u16 = 4;
const UPPER_THRESHOLD: u16 = 5;
const LOWER_THRESHOLD: u16 = 6;
const ACTIVE: u16 = 7;
const INACTIVE: u16 = 8;
const PERSISTENT: u16 = 9;
const STATS: u16 = 10;
const FAMILY: u16 = 11;
const STATS_64: u16 = 12;
const TUNNEL_KIND: u16 = 13;
const TUNNEL_PORT: u16 = 14;
const TUNNEL_FLAGS: u16 = 15;

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
            ADDRESS => Self::Address(value.to_vec()),
            PORT => Self::Port(parse_u16_be(value).context("IPVS_DEST_ATTR_PORT")?),
            FORWARDING => Self::Forwarding(long("IPVS_DEST_ATTR_FWD_METHOD")?),
            WEIGHT => Self::Weight(long("IPVS_DEST_ATTR_WEIGHT")?),
            UPPER_THRESHOLD => Self::UpperThreshold(long("IPVS_DEST_ATTR_U_THRESH")?),
            LOWER_THRESHOLD => Self::LowerThreshold(long("IPVS_DEST_ATTR_L_THRESH")?),
            ACTIVE => Self::Active(long("IPVS_DEST_ATTR_ACTIVE_CONNS")?),
            INACTIVE => Self::Inactive(long("IPVS_DEST_ATTR_INACT_CONNS")?),
            PERSISTENT => Self::Persistent(long("IPVS_DEST_ATTR_PERSIST_CONNS")?),
            STATS => Self::Stats(StatsAttribute::read_all(value)?),
            FAMILY => Self::Family(parse_u16(value).context("IPVS_DEST_ATTR_ADDR_FAMILY")?),
            STATS_64 => Self::Stats64(StatsAttribute::read_all(value)?),
            TUNNEL_KIND => Self::TunnelKind(parse_u8(value).context("IPVS_DEST_ATTR_TUN_TYPE")?),
            TUNNEL_PORT => {
                Self::TunnelPort(parse_u16_be(value).context("IPVS_DEST_ATTR_TUN_PORT")?)
            }
            TUNNEL_FLAGS => {
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
            Self::Address(_) => ADDRESS,
            Self::Port(_) => PORT,
            Self::Forwarding(_) => FORWARDING,
            Self::Weight(_) => WEIGHT,
            Self::UpperThreshold(_) => UPPER_THRESHOLD,
            Self::LowerThreshold(_) => LOWER_THRESHOLD,
            Self::Active(_) => ACTIVE,
            Self::Inactive(_) => INACTIVE,
            Self::Persistent(_) => PERSISTENT,
            Self::Stats(_) => STATS | NLA_F_NESTED,
            Self::Family(_) => FAMILY,
            Self::Stats64(_) => STATS_64 | NLA_F_NESTED,
            Self::TunnelKind(_) => TUNNEL_KIND,
            Self::TunnelPort(_) => TUNNEL_PORT,
            Self::TunnelFlags(_) => TUNNEL_FLAGS,
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
