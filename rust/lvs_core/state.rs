// SPDX-License-Identifier: GPL-2.0-only

//! The states of a connection as the director sees it, and how packets change them.
//!
//! The director is not an endpoint of the connection. It infers the states of both ends (RFC 9293,
//! section 3.3.2) from the flags that pass, and ignores sequence numbers. With NAT it sees both
//! directions; with direct routing and tunneling it sees only the client's packets.

mod known;
mod sctp;
mod tcp;

pub use known::{Direction, State};

use crate::packet::{sctp::Event as Chunk, TcpFlags};
use crate::Protocol;
use tcp::Event;

impl State {
    /// Returns the state after a packet with these flags passed in this direction. A new connection
    /// starts in [`State::None`].
    #[inline]
    pub const fn after(self, protocol: Protocol, direction: Direction, flags: TcpFlags) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => sctp::after(self, direction, Chunk::of(flags)),
            // Nearly all packets end here, without the events.
            Protocol::Tcp if matches!(self, Self::Established) && flags.is_data() => self,
            Protocol::Tcp => match Event::of(flags) {
                Event::Data => self.after_data(direction),
                Event::Open => self.after_open(direction),
                Event::Finish => self.after_finish(direction),
                Event::Reset => self.after_reset(direction),
                Event::Nonsense => Self::Close,
            },
        }
    }

    /// Like [`Self::after`], with handshakes guarded against SYN floods. A connection stays in
    /// [`State::SynAck`] until the client was heard again. If the director sees both directions,
    /// only the server's answer to the client's ACK establishes the connection.
    #[must_use]
    pub const fn after_guarded(
        self,
        protocol: Protocol,
        direction: Direction,
        flags: TcpFlags,
    ) -> Self {
        let usual = self.after(protocol, direction, flags);
        if !matches!(protocol, Protocol::Tcp) {
            return usual;
        }
        match (Event::of(flags), direction, self) {
            (Event::Data, Direction::Input, Self::SynRecv | Self::SynAck) => self,
            (Event::Open | Event::Finish, Direction::Input, Self::SynAck) => self,
            (Event::Reset, Direction::Input, Self::SynAck) => Self::Close,
            (Event::Open, Direction::Output, Self::SynRecv | Self::SynAck) => Self::SynAck,
            (Event::Open, Direction::InputOnly, Self::SynRecv) => self,
            (Event::Open, Direction::InputOnly, _) if matches!(usual, Self::SynRecv) => {
                Self::SynAck
            }
            _ => usual,
        }
    }
}
