// SPDX-License-Identifier: GPL-2.0-only

//! The points on a packet's way at which hooks are called.

use crate::bindings;

/// A point on a packet's way through the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// Received, before routing.
    PreRouting,
    /// Routed to this host.
    LocalIn,
    /// Routed on to another host.
    Forward,
    /// Sent by a socket of this host. The outer packets of tunnels have no socket.
    LocalOut,
    /// Routed, on its way out of this host, which forwards it or has sent it.
    PostRouting,
}

impl Point {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::PreRouting => bindings::nf_inet_hooks_NF_INET_PRE_ROUTING,
            Self::LocalIn => bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            Self::Forward => bindings::nf_inet_hooks_NF_INET_FORWARD,
            Self::LocalOut => bindings::nf_inet_hooks_NF_INET_LOCAL_OUT,
            Self::PostRouting => bindings::nf_inet_hooks_NF_INET_POST_ROUTING,
        }
    }
}
