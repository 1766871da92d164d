// SPDX-License-Identifier: GPL-2.0-only

//! The common header of SCTP (RFC 9260), and the event that a packet stands for: its first chunk.

use super::flags::TcpFlags;

/// Octets of the common header (RFC 9260, section 3.1).
pub(crate) const HEADER: usize = 12;
/// Octets of a chunk's header (section 3.2).
const CHUNK: usize = 4;

/// What a packet stands for: the type of its first chunk.
///
/// It travels as the flags of a TCP segment, so that all rules for segments that open, close, reset
/// or only carry data apply: INIT opens like SYN, ABORT resets like RST, the chunks that change
/// states otherwise close like FIN, and all others carry data like ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// DATA, SACK, HEARTBEAT and everything else.
    Data,
    /// INIT.
    Init,
    /// INIT ACK.
    InitAck,
    /// COOKIE ECHO.
    CookieEcho,
    /// COOKIE ACK.
    CookieAck,
    /// SHUTDOWN.
    Shutdown,
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete,
    /// ERROR.
    Error,
    /// ABORT.
    Abort,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 10] = [
        Self::Data,
        Self::Init,
        Self::InitAck,
        Self::CookieEcho,
        Self::CookieAck,
        Self::Shutdown,
        Self::ShutdownAck,
        Self::ShutdownComplete,
        Self::Error,
        Self::Abort,
    ];

    /// Returns the event of a chunk of this type (section 3.2).
    const fn of_chunk(kind: u8) -> Self {
        match kind {
            1 => Self::Init,
            2 => Self::InitAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            _ => Self::Data,
        }
    }

    /// Reads the event of a packet of `len` octets, whose common header starts the slice. The slice
    /// may end before the packet does. A packet without a chunk carries data.
    ///
    /// # Errors
    ///
    /// The number of octets that another attempt needs.
    pub fn read(packet: &[u8], len: usize) -> Result<Self, usize> {
        let chunk_at = |at: usize| -> Result<Option<&[u8; CHUNK]>, usize> {
            let end = at.saturating_add(CHUNK);
            if end > len {
                return Ok(None);
            }
            let chunk = packet.get(at..end).ok_or(end)?;
            Ok(chunk.first_chunk())
        };
        let Some([kind, _, high, low]) = chunk_at(HEADER)? else {
            return Ok(Self::Data);
        };
        let event = Self::of_chunk(*kind);
        // An ABORT may follow the chunk that establishes an association (section 3.3.7).
        if matches!(event, Self::CookieEcho | Self::CookieAck) {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            let next = HEADER.saturating_add(size.next_multiple_of(CHUNK));
            if size >= CHUNK {
                if let Some([kind, ..]) = chunk_at(next)? {
                    if Self::of_chunk(*kind) == Self::Abort {
                        return Ok(Self::Abort);
                    }
                }
            }
        }
        Ok(event)
    }

    /// Returns the flags of a TCP segment that means the same to a director.
    #[inline]
    pub const fn flags(self) -> TcpFlags {
        /// FIN and ACK, and in the three highest bits which chunk it is.
        const fn other(number: u8) -> TcpFlags {
            TcpFlags::from_bits(0x11 | (number << 5))
        }
        match self {
            Self::Data => TcpFlags::ACK,
            Self::Init => TcpFlags::SYN,
            Self::InitAck => TcpFlags::from_bits(0x12),
            Self::Abort => TcpFlags::RST,
            Self::CookieEcho => other(0),
            Self::CookieAck => other(1),
            Self::Shutdown => other(2),
            Self::ShutdownAck => other(3),
            Self::ShutdownComplete => other(4),
            Self::Error => other(5),
        }
    }

    /// Returns the event with these flags: see [`Self::flags`].
    #[inline]
    pub const fn of(flags: TcpFlags) -> Self {
        match flags.bits() & 0x17 {
            0x02 => Self::Init,
            0x12 => Self::InitAck,
            0x04 => Self::Abort,
            0x11 => match flags.bits() >> 5 {
                0 => Self::CookieEcho,
                1 => Self::CookieAck,
                2 => Self::Shutdown,
                3 => Self::ShutdownAck,
                4 => Self::ShutdownComplete,
                _ => Self::Error,
            },
            _ => Self::Data,
        }
    }
}
