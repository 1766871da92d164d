// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization daemon attributes (`IPVS_DAEMON_ATTR_*`).

use lvs_core::uapi::daemon;
use netlink_packet_core::{
    parse_u16, parse_u32, parse_u8, DecodeError, DefaultNla, ErrorContext, Nla, Parseable,
};

use super::attribute::{self, Raw};

/// One attribute of a synchronization daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DaemonAttribute {
    /// 1 for master, 2 for backup.
    State(u32),
    /// Network interface of the multicast.
    Interface(String),
    /// Synchronization identifier.
    SyncId(u32),
    /// Longest message.
    MaxLength(u16),
    /// IPv4 multicast group.
    Group([u8; 4]),
    /// IPv6 multicast group.
    Group6([u8; 16]),
    /// UDP port, in the machine's byte order.
    Port(u16),
    /// Time to live.
    Ttl(u8),
    /// Something newer than this command.
    Other(DefaultNla),
}

impl DaemonAttribute {
    pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        attribute::chain(bytes, "synchronization daemon", Self::read)
    }

    fn read(raw: &Raw<'_>) -> Result<Self, DecodeError> {
        let value = raw.value();
        Ok(match raw.kind() {
            daemon::STATE => Self::State(parse_u32(value).context("IPVS_DAEMON_ATTR_STATE")?),
            daemon::MCAST_IFN => Self::Interface(attribute::text(value)),
            daemon::SYNC_ID => Self::SyncId(parse_u32(value).context("IPVS_DAEMON_ATTR_SYNC_ID")?),
            daemon::SYNC_MAXLEN => {
                Self::MaxLength(parse_u16(value).context("IPVS_DAEMON_ATTR_SYNC_MAXLEN")?)
            }
            daemon::MCAST_GROUP => {
                Self::Group(attribute::octets(value, "IPVS_DAEMON_ATTR_MCAST_GROUP")?)
            }
            daemon::MCAST_GROUP6 => {
                Self::Group6(attribute::octets(value, "IPVS_DAEMON_ATTR_MCAST_GROUP6")?)
            }
            daemon::MCAST_PORT => {
                Self::Port(parse_u16(value).context("IPVS_DAEMON_ATTR_MCAST_PORT")?)
            }
            daemon::MCAST_TTL => Self::Ttl(parse_u8(value).context("IPVS_DAEMON_ATTR_MCAST_TTL")?),
            _ => Self::Other(DefaultNla::parse(raw)?),
        })
    }
}

impl Nla for DaemonAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::State(_) | Self::SyncId(_) | Self::Group(_) => size_of::<u32>(),
            Self::Interface(name) => name.len().saturating_add(1),
            Self::MaxLength(_) | Self::Port(_) => size_of::<u16>(),
            Self::Group6(group) => group.len(),
            Self::Ttl(_) => size_of::<u8>(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::State(_) => daemon::STATE,
            Self::Interface(_) => daemon::MCAST_IFN,
            Self::SyncId(_) => daemon::SYNC_ID,
            Self::MaxLength(_) => daemon::SYNC_MAXLEN,
            Self::Group(_) => daemon::MCAST_GROUP,
            Self::Group6(_) => daemon::MCAST_GROUP6,
            Self::Port(_) => daemon::MCAST_PORT,
            Self::Ttl(_) => daemon::MCAST_TTL,
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::State(value) | Self::SyncId(value) => {
                attribute::put(buffer, &value.to_ne_bytes());
            }
            Self::Interface(name) => attribute::put_text(buffer, name),
            Self::MaxLength(value) | Self::Port(value) => {
                attribute::put(buffer, &value.to_ne_bytes());
            }
            Self::Group(group) => attribute::put(buffer, group),
            Self::Group6(group) => attribute::put(buffer, group),
            Self::Ttl(value) => attribute::put(buffer, &[*value]),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}
