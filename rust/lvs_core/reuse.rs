// SPDX-License-Identifier: GPL-2.0-only

//! Whether a known connection takes a packet of its client, ends, or begins anew.
//!
//! The settings are those of the C director (`conn_reuse_mode` and `expire_nodest_conn` in
//! `Documentation/networking/ipvs-sysctl.rst` in the kernel).

use crate::{destination::Forwarding, state::State};

/// In [`Settings::mode`]: connections that are closed.
pub const CLOSED: u32 = 1;
/// In [`Settings::mode`]: also connections whose client has closed its end, if the director does
/// not see the server's end.
pub const CLOSING: u32 = 2;

/// The settings of the administrator.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `conn_reuse_mode`: [`CLOSED`], [`CLOSING`], both or none.
    pub mode: u32,
    /// `expire_nodest_conn`: connections end when their server is deleted.
    pub expires_without_server: bool,
}

/// The use of a known connection for a packet of its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usability {
    /// It takes the packet.
    Usable,
    /// Its server was deleted, and may be gone. The connection waits for its timeout, or for the
    /// server to be added again.
    Unavailable,
    /// Its service was deleted: the host answers, as for a connection that it does not know.
    Abandoned,
    /// It ends here: the packet belongs to no connection, and may begin one.
    Over,
    /// The client opens it again, and its server has not answered. If the service redispatches,
    /// another server takes it.
    Unanswered,
}

impl Settings {
    /// Returns the use of a connection whose destination was deleted, alone or with its service.
    #[must_use]
    pub const fn without_destination(self, service_is_deleted: bool) -> Usability {
        if self.expires_without_server {
            Usability::Over
        } else if service_is_deleted {
            Usability::Abandoned
        } else {
            Usability::Unavailable
        }
    }

    /// True if a client that uses its port again gets a new connection: the former one is over as
    /// far as the director sees (RFC 9293 section 3.6.1), or its server is quiesced (`weight` 0)
    /// and clients shall leave it.
    #[must_use]
    pub const fn allows_new(self, state: State, forwarding: Forwarding, weight: u32) -> bool {
        if self.expires_without_server && weight == 0 {
            return true;
        }
        match state {
            State::TimeWait | State::Close | State::SctpClosed => {
                self.mode & (CLOSED | CLOSING) != 0
            }
            State::FinWait => {
                self.mode & CLOSING != 0 && !matches!(forwarding, Forwarding::Masquerading)
            }
            _ => false,
        }
    }
}
