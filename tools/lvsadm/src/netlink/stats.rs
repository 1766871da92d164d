// SPDX-License-Identifier: GPL-2.0-only

//! Statistics attributes (`IPVS_STATS_ATTR_*`), in their 32-bit and their 64-bit form.

use lvs_core::uapi::stats;
use netlink_packet_core::{DecodeError, DefaultNla, Nla, Parseable};

use super::attribute::{self, Raw};

/// Which figure an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Figure {
    /// Connections scheduled.
    Connections,
    /// Packets from clients.
    PacketsIn,
    /// Packets to clients.
    PacketsOut,
    /// Bytes from clients.
    BytesIn,
    /// Bytes to clients.
    BytesOut,
    /// Connections per second.
    ConnectionRate,
    /// Packets from clients per second.
    PacketRateIn,
    /// Packets to clients per second.
    PacketRateOut,
    /// Bytes from clients per second.
    ByteRateIn,
    /// Bytes to clients per second.
    ByteRateOut,
}

impl Figure {
    fn from_kind(kind: u16) -> Option<Self> {
        Some(match kind {
            stats::CONNS => Self::Connections,
            stats::INPKTS => Self::PacketsIn,
            stats::OUTPKTS => Self::PacketsOut,
            stats::INBYTES => Self::BytesIn,
            stats::OUTBYTES => Self::BytesOut,
            stats::CPS => Self::ConnectionRate,
            stats::INPPS => Self::PacketRateIn,
            stats::OUTPPS => Self::PacketRateOut,
            stats::INBPS => Self::ByteRateIn,
            stats::OUTBPS => Self::ByteRateOut,
            _ => return None,
        })
    }

    fn kind(self) -> u16 {
        match self {
            Self::Connections => stats::CONNS,
            Self::PacketsIn => stats::INPKTS,
            Self::PacketsOut => stats::OUTPKTS,
            Self::BytesIn => stats::INBYTES,
            Self::BytesOut => stats::OUTBYTES,
            Self::ConnectionRate => stats::CPS,
            Self::PacketRateIn => stats::INPPS,
            Self::PacketRateOut => stats::OUTPPS,
            Self::ByteRateIn => stats::INBPS,
            Self::ByteRateOut => stats::OUTBPS,
        }
    }
}

/// One statistics attribute. The 32-bit container mixes both widths (its byte counters are 64 bits
/// wide), so the width is read from the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatsAttribute {
    /// A figure of 32 bits.
    Short(Figure, u32),
    /// A figure of 64 bits.
    Long(Figure, u64),
    /// Padding, or something newer than this command.
    Other(DefaultNla),
}

impl StatsAttribute {
    pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        attribute::chain(bytes, "statistics", Self::read)
    }

    fn read(raw: &Raw<'_>) -> Result<Self, DecodeError> {
        let value = raw.value();
        let Some(figure) = Figure::from_kind(raw.kind()) else {
            return Ok(Self::Other(DefaultNla::parse(raw)?));
        };
        if value.len() == size_of::<u32>() {
            let value = u32::from_ne_bytes(attribute::octets(value, "a statistics figure")?);
            return Ok(Self::Short(figure, value));
        }
        let value = u64::from_ne_bytes(attribute::octets(value, "a statistics figure")?);
        Ok(Self::Long(figure, value))
    }
}

impl Nla for StatsAttribute {
    fn value_len(&self) -> usize {
        match self {
            Self::Short(..) => size_of::<u32>(),
            Self::Long(..) => size_of::<u64>(),
            Self::Other(other) => other.value_len(),
        }
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Short(figure, _) | Self::Long(figure, _) => figure.kind(),
            Self::Other(other) => other.kind(),
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Short(_, value) => attribute::put(buffer, &value.to_ne_bytes()),
            Self::Long(_, value) => attribute::put(buffer, &value.to_ne_bytes()),
            Self::Other(other) => other.emit_value(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_both_widths_and_padding() {
        let bytes = [
            8, 0, 1, 0, 7, 0, 0, 0, // 32-bit connections
            4, 0, 11, 0, // padding
            12, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, // 64-bit bytes
        ];
        let got = StatsAttribute::read_all(&bytes).unwrap();
        assert_eq!(got[0], StatsAttribute::Short(Figure::Connections, 7));
        assert!(matches!(got[1], StatsAttribute::Other(_)));
        assert_eq!(got[2], StatsAttribute::Long(Figure::BytesIn, 1 << 32));
    }

    #[test]
    fn a_figure_of_another_width_is_refused() {
        let error = StatsAttribute::read_all(&[6, 0, 1, 0, 7, 0, 0, 0]).unwrap_err();
        assert!(error.to_string().contains("2 bytes"), "{error}");
    }
}
