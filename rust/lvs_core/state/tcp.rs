// SPDX-License-Identifier: GPL-2.0-only

//! What segments of TCP do to the state of a connection (RFC 9293, section 3.3.2).

use super::known::{Direction, State};
use crate::packet::TcpFlags;

/// The event that a TCP segment stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
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
    pub(super) const fn of(flags: TcpFlags) -> Self {
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
    /// The state after a segment that neither opens nor closes.
    #[inline]
    pub(super) const fn after_data(self, direction: Direction) -> Self {
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
    pub(super) const fn after_open(self, direction: Direction) -> Self {
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
    pub(super) const fn after_finish(self, direction: Direction) -> Self {
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
    pub(super) const fn after_reset(self, direction: Direction) -> Self {
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
