// SPDX-License-Identifier: GPL-2.0-only

//! The states of a connection as the director sees it, and how packets change them.
//!
//! The director is no end of the connection: it guesses at both ends' states (RFC 9293, section
//! 3.3.2) from the flags that pass, and never looks at sequence numbers. With NAT it sees both
//! directions; with direct routing and tunnelling it sees the client's packets only.

use crate::packet::TcpFlags;
use crate::Protocol;

/// The state of a connection.
///
/// The numbers follow the order that listings and the connection synchronisation protocol use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet has been accounted for yet.
    None = 0,
    /// Data flow.
    Established,
    /// The server opened: its SYN went out.
    SynSent,
    /// The client opened: its SYN came in.
    SynRecv,
    /// The first FIN has passed, from the server, or from whomever where only one side is seen.
    FinWait,
    /// Both ends are done, or taken to be.
    TimeWait,
    /// The connection was reset or makes no sense.
    Close,
    /// The client is done, the server may still send.
    CloseWait,
    /// The last FIN awaits its ACK.
    LastAck,
    /// An expected connection that nobody has opened yet.
    Listen,
    /// A SYN was answered on the server's behalf.
    SynAck,
    /// A UDP flow: it has but this state.
    Udp,
}

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From client to server, of a connection whose replies pass the director too.
    Input,
    /// From server to client: seen only with NAT.
    Output,
    /// From client to server, of a connection whose replies the director never sees: direct routing
    /// and tunnelling.
    InputOnly,
}

/// What a TCP segment means for the state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// RST, whatever else is set.
    Reset,
    /// SYN without RST.
    Open,
    /// FIN without RST and SYN.
    Finish,
    /// ACK alone, perhaps with PSH and the like.
    Data,
    /// None of these: no sane sender sends that.
    Nonsense,
}

impl Event {
    /// The meaning of these flags.
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
    /// How many states there are.
    pub const COUNT: usize = 12;

    /// The state of this number; [`State::None`] for a number that is none.
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
            _ => Self::None,
        }
    }

    /// The name in listings, as `/proc/net/ip_vs_conn` shows it.
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
        }
    }

    /// Whether the connection counts as active at its server: it is being opened or data may flow.
    /// All else, UDP included, counts as inactive.
    #[inline]
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck
        )
    }

    /// The state after a packet with these flags passed in this direction. A new connection starts
    /// in [`State::None`].
    #[inline]
    pub const fn after(self, protocol: Protocol, direction: Direction, flags: TcpFlags) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            // Nearly all packets: no need to go through the events.
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

    /// As [`Self::after`], where handshakes are guarded against floods of SYNs: a connection whose
    /// client has not been heard again is in [`State::SynAck`], and where both directions are seen,
    /// only the server's answer to the client's ACK makes it established.
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

    /// After a segment that neither opens nor closes.
    #[inline]
    const fn after_data(self, direction: Direction) -> Self {
        match (self, direction) {
            // The handshake is complete, or the director took the connection over in its midst.
            (Self::None | Self::SynRecv | Self::SynAck | Self::Udp, _) => Self::Established,
            // The server talks on an expected connection.
            (Self::Listen, Direction::Output) => Self::Established,
            // The client acknowledges the last FIN.
            (Self::LastAck, Direction::Input | Direction::InputOnly) => Self::Close,
            (same, _) => same,
        }
    }

    /// After a SYN.
    #[inline]
    const fn after_open(self, direction: Direction) -> Self {
        match (self, direction) {
            // A stray or repeated SYN does not disturb what is established.
            (Self::Established, _) => Self::Established,
            (Self::SynSent, Direction::Input | Direction::InputOnly) => Self::Established,
            // Whatever was before, the client opens anew.
            (_, Direction::Input | Direction::InputOnly) => Self::SynRecv,
            // The server's SYN and ACK.
            (Self::SynRecv | Self::SynAck, Direction::Output) => Self::SynRecv,
            (Self::Listen, Direction::Output) => Self::Listen,
            // The server opens by itself, as with an active FTP data connection.
            (_, Direction::Output) => Self::SynSent,
        }
    }

    /// After a FIN.
    #[inline]
    const fn after_finish(self, direction: Direction) -> Self {
        match (self, direction) {
            (Self::None | Self::Udp, Direction::Output) => Self::TimeWait,
            (Self::None | Self::Udp, _) => Self::Close,
            (Self::Established, Direction::Input) => Self::CloseWait,
            // Where only the client is seen, its FIN must count for both ends.
            (Self::Established, Direction::Output | Direction::InputOnly) => Self::FinWait,
            // Over before it began.
            (Self::SynRecv | Self::SynAck, _) => Self::TimeWait,
            // The second FIN.
            (Self::FinWait, Direction::Input) => Self::TimeWait,
            (Self::CloseWait, Direction::Output) => Self::TimeWait,
            (same, _) => same,
        }
    }

    /// After a RST.
    #[inline]
    const fn after_reset(self, direction: Direction) -> Self {
        match (self, direction) {
            // The client cannot end what the server has not answered: anybody may have sent this.
            (Self::SynRecv, Direction::Input | Direction::InputOnly) => Self::SynRecv,
            (Self::SynAck, Direction::Input) => Self::SynRecv,
            (Self::LastAck | Self::Listen, Direction::Input | Direction::InputOnly) => self,
            // The server resets what it opened itself: the client's answer decides.
            (Self::SynSent | Self::TimeWait, Direction::Output) => self,
            _ => Self::Close,
        }
    }
}
