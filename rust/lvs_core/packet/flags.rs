// SPDX-License-Identifier: GPL-2.0-only

//! The control bits of TCP.

use core::ops::BitOr;

/// The control bits of a TCP header (RFC 9293, section 3.1), as they stand in its octet 13.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No control bit, as in a UDP packet.
    pub const EMPTY: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);

    /// The flags of this octet.
    #[inline]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The octet that holds the flags.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every flag of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True for a segment that opens a connection: SYN without ACK and RST.
    #[inline]
    pub const fn opens_connection(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0 | Self::RST.0) == Self::SYN.0
    }

    /// Whether the segment neither opens nor closes a connection: ACK without SYN, FIN and RST.
    #[inline]
    pub const fn is_data(self) -> bool {
        self.0 & (Self::ACK.0 | Self::SYN.0 | Self::FIN.0 | Self::RST.0) == Self::ACK.0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
