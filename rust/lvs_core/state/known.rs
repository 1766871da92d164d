// SPDX-License-Identifier: GPL-2.0-only

//! The states, with their numbers and names, and the directions of packets.

/// The state of a connection.
///
/// Up to [`State::Udp`], the numbers are those of TCP in the connection synchronization protocol.
/// Those of SCTP follow each other as they do there.
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
    /// SCTP: the client has sent one INIT.
    SctpInit1,
    /// SCTP: the client has sent several INITs.
    SctpInit,
    /// SCTP: the server has sent its cookie (INIT ACK).
    SctpCookieSent,
    /// SCTP: the client has returned the cookie.
    SctpCookieReplied,
    /// SCTP: the server has sent INIT.
    SctpCookieWait,
    /// SCTP: the client has sent its cookie.
    SctpCookie,
    /// SCTP: the server has returned the cookie.
    SctpCookieEchoed,
    /// SCTP: messages flow. Apart from TCP's state, whose timeout may be changed.
    SctpEstablished,
    /// SCTP: the server has sent SHUTDOWN.
    SctpShutdownSent,
    /// SCTP: the client has sent SHUTDOWN.
    SctpShutdownReceived,
    /// SCTP: the server has acknowledged SHUTDOWN.
    SctpShutdownAckSent,
    /// SCTP: the association was refused.
    SctpRejected,
    /// SCTP: the association is over.
    SctpClosed,
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

impl State {
    /// The number of states.
    pub const COUNT: usize = 26;

    /// Returns the state with this number, or [`State::None`] for an unknown number.
    #[inline(always)]
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
            13 => Self::SctpInit1,
            14 => Self::SctpInit,
            15 => Self::SctpCookieSent,
            16 => Self::SctpCookieReplied,
            17 => Self::SctpCookieWait,
            18 => Self::SctpCookie,
            19 => Self::SctpCookieEchoed,
            20 => Self::SctpEstablished,
            21 => Self::SctpShutdownSent,
            22 => Self::SctpShutdownReceived,
            23 => Self::SctpShutdownAckSent,
            24 => Self::SctpRejected,
            25 => Self::SctpClosed,
            _ => Self::None,
        }
    }

    /// Returns the name in listings, as in `/proc/net/ip_vs_conn`.
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established | Self::SctpEstablished => "ESTABLISHED",
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
            Self::SctpInit1 => "INIT1",
            Self::SctpInit => "INIT",
            Self::SctpCookieSent => "C-SENT",
            Self::SctpCookieReplied => "C-REPLIED",
            Self::SctpCookieWait => "C-WAIT",
            Self::SctpCookie => "COOKIE",
            Self::SctpCookieEchoed => "C-ECHOED",
            Self::SctpShutdownSent => "S-SENT",
            Self::SctpShutdownReceived => "S-RECEIVED",
            Self::SctpShutdownAckSent => "S-ACK-SENT",
            Self::SctpRejected => "REJECTED",
            Self::SctpClosed => "CLOSED",
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
            Self::Established
                | Self::SynSent
                | Self::SynRecv
                | Self::SynAck
                | Self::SctpEstablished
        )
    }

    /// Whether the client has opened the connection and not completed the handshake, as far as the
    /// director knows. Handshakes of TCP only.
    #[inline]
    pub const fn is_handshake(self) -> bool {
        matches!(self, Self::SynRecv | Self::SynAck)
    }
}
