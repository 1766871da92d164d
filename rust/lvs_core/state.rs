// SPDX-License-Identifier: GPL-2.0-only

//! The states of a connection as the director sees it, and how packets change them.
//!
//! The director is not an endpoint of the connection. It infers the states of both ends (RFC 9293,
//! section 3.3.2) from the flags that pass, and ignores sequence numbers. With NAT it sees both
//! directions; with direct routing and tunneling it sees only the client's packets.

use crate::packet::TcpFlags;
use crate::Protocol;

/// The state of a connection.
///
/// The numbers follow the order in listings and in the connection synchronization protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet has been counted yet.
    None = 0,
    /// Data flows.
    Established,
    /// The server opened the connection: its SYN was sent.
    SynSent,
    /// The client opened the connection: its SYN was received.
    SynRecv,
    /// The first FIN has passed: the server's, or any if the director sees only one side.
    FinWait,
    /// Both ends are done, or are assumed to be.
    TimeWait,
    /// The connection was reset, or a segment was invalid.
    Close,
    /// The client is done; the server may still send.
    CloseWait,
    /// The last FIN awaits its ACK.
    LastAck,
    /// An expected connection that is not open yet.
    Listen,
    /// A SYN was answered on the server's behalf.
    SynAck,
    /// The only state of a UDP flow.
    Udp,
    /// The state of a template in listings, once one of its connections was established.
    Assured,
}

/// The direction of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From client to server, when the director also sees the replies.
    Input,
    /// From server to client: seen only with NAT.
    Output,
    /// From client to server, when the director never sees the replies: direct routing and
    /// tunneling.
    InputOnly,
}

/// The event that a TCP segment stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// RST, with or without other flags.
    Reset,
    /// SYN without RST.
    Open,
    /// FIN without RST and SYN.
    Finish,
    /// ACK without these, possibly with PSH and others.
    Data,
    /// None of these flags; no correct sender sends this.
    Nonsense,
}

impl Event {
    /// Returns the event for these flags.
    #[inline]
    const fn of(flags: TcpFlags) -> Self {
        if flags.contains(TcpFlags::RST) {
            Self::Reset
        } else if flags.contains(TcpFlags::SYN) {
            Self::Open
        } else if flags.contains(TcpFlags::FIN) {
            Self::Finish
        } else if flags.contains(TcpFlags::ACK) {
            Self::Data
        } else {
            Self::Nonsense
        }
    }
}

impl State {
    /// The number of states.
    pub const COUNT: usize = 13;

    /// Returns the state with this number, or [`State::None`] for an unknown number.
    #[inline]
    pub const fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 => Self::SynRecv,
            4 => Self::FinWait,
            5 => Self::TimeWait,
            6 => Self::Close,
            7 => Self::CloseWait,
            8 => Self::LastAck,
            9 => Self::Listen,
            10 => Self::SynAck,
            11 => Self::Udp,
            12 => Self::Assured,
            _ => Self::None,
        }
    }

    /// Returns the name in listings, as in `/proc/net/ip_vs_conn`.
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
            Self::Assured => "ASSURED",
        }
    }

    /// Returns the state with this name in listings.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        (0..Self::COUNT as u8)
            .map(Self::from_u8)
            .find(|state| state.name().as_bytes() == name)
    }

    /// Whether the connection counts as active at its server: it is being opened, or data may flow.
    /// All others, UDP included, count as inactive.
    #[inline]
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck
        )
    }

    /// Whether the client has opened the connection and not completed the handshake, as far as the
    /// director knows.
    #[inline]
    pub const fn is_handshake(self) -> bool {
        matches!(self, Self::SynRecv | Self::SynAck)
    }

    /// Returns the state after a packet with these flags passed in this direction. A new connection
    /// starts in [`State::None`].
    #[inline]
    pub const fn after(self, protocol: Protocol, direction: Direction, flags: TcpFlags) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
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
        if matches!(protocol, Protocol::Udp) {
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

    /// The state after a segment that neither opens nor closes.
    #[inline]
    const fn after_data(self, direction: Direction) -> Self {
        match (self, direction) {
            // The handshake is complete, or the director took over an existing connection.
            (Self::None | Self::SynRecv | Self::SynAck | Self::Udp, _) => Self::Established,
            // The server sends on an expected connection.
            (Self::Listen, Direction::Output) => Self::Established,
            // The client acknowledges the last FIN.
            (Self::LastAck, Direction::Input | Direction::InputOnly) => Self::Close,
            (same, _) => same,
        }
    }

    /// The state after a SYN.
    #[inline]
    const fn after_open(self, direction: Direction) -> Self {
        match (self, direction) {
            // A stray or repeated SYN does not disturb an established connection.
            (Self::Established, _) => Self::Established,
            (Self::SynSent, Direction::Input | Direction::InputOnly) => Self::Established,
            // The client opens again, regardless of the former state.
            (_, Direction::Input | Direction::InputOnly) => Self::SynRecv,
            // The server's SYN-ACK.
            (Self::SynRecv | Self::SynAck, Direction::Output) => Self::SynRecv,
            (Self::Listen, Direction::Output) => Self::Listen,
            // The server opens the connection, as for an active FTP data connection.
            (_, Direction::Output) => Self::SynSent,
        }
    }

    /// The state after a FIN.
    #[inline]
    const fn after_finish(self, direction: Direction) -> Self {
        match (self, direction) {
            (Self::None | Self::Udp, Direction::Output) => Self::TimeWait,
            (Self::None | Self::Udp, _) => Self::Close,
            (Self::Established, Direction::Input) => Self::CloseWait,
            // If the director sees only the client, the client's FIN counts for both ends.
            (Self::Established, Direction::Output | Direction::InputOnly) => Self::FinWait,
            // The connection ends before it began.
            (Self::SynRecv | Self::SynAck, _) => Self::TimeWait,
            // The second FIN.
            (Self::FinWait, Direction::Input) => Self::TimeWait,
            (Self::CloseWait, Direction::Output) => Self::TimeWait,
            (same, _) => same,
        }
    }

    /// The state after a RST.
    #[inline]
    const fn after_reset(self, direction: Direction) -> Self {
        match (self, direction) {
            // The client cannot end a connection that the server has not answered: anybody may have
            // sent this RST.
            (Self::SynRecv, Direction::Input | Direction::InputOnly) => Self::SynRecv,
            (Self::SynAck, Direction::Input) => Self::SynRecv,
            (Self::LastAck | Self::Listen, Direction::Input | Direction::InputOnly) => self,
            // The server resets a connection that it opened itself: the client's answer decides.
            (Self::SynSent | Self::TimeWait, Direction::Output) => self,
            _ => Self::Close,
        }
    }
}
