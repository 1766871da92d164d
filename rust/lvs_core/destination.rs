// SPDX-License-Identifier: GPL-2.0-only

//! The settings of a destination, that is, of a real server of one virtual service.

use crate::tunnel;

/// How packets are forwarded to a real server ("Linux Virtual Server for Scalable Network
/// Services", section 3). [`Self::number`] is the number of `IP_VS_CONN_F_*`. In memory, the
/// methods that rewrite requests come first, so that one comparison tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Forwarding {
    /// Virtual server via NAT: addresses and ports are rewritten in both directions.
    Masquerading,
    /// The modified NAT of "Implementation, Simulation of Linux Virtual Server in ns-2": requests
    /// are rewritten as by NAT, and the server answers the client directly, with the virtual
    /// address and port as its source.
    DirectReply,
    /// This host serves the packets itself, under the virtual address.
    Local,
    /// Virtual server via IP tunneling: packets travel inside others, replies bypass the director.
    Tunneling,
    /// Virtual server via direct routing: packets are sent unchanged to the server's link address,
    /// replies bypass the director.
    DirectRouting,
    /// Packets go to their own destination, as if there were no director.
    Bypass,
}

impl Forwarding {
    /// NAT with `IP_VS_CONN_F_NOOUTPUT`, which the C director takes for NAT.
    const NAT_NO_OUTPUT: u32 = 0x80;

    /// Returns the method with this number of `IP_VS_CONN_F_*`.
    #[inline]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Masquerading),
            1 => Some(Self::Local),
            2 => Some(Self::Tunneling),
            3 => Some(Self::DirectRouting),
            4 => Some(Self::Bypass),
            Self::NAT_NO_OUTPUT => Some(Self::DirectReply),
            _ => None,
        }
    }

    /// Returns the number of `IP_VS_CONN_F_*`.
    #[inline]
    pub const fn number(self) -> u32 {
        match self {
            Self::Masquerading => 0,
            Self::Local => 1,
            Self::Tunneling => 2,
            Self::DirectRouting => 3,
            Self::Bypass => 4,
            Self::DirectReply => Self::NAT_NO_OUTPUT,
        }
    }

    /// Returns true if requests are rewritten: the server's address and port differ from the
    /// virtual ones.
    #[inline]
    pub const fn rewrites(self) -> bool {
        matches!(self, Self::Masquerading | Self::DirectReply)
    }

    /// Returns the name in `/proc/net/ip_vs`. As in the C director, a bypass has none of its own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masquerading | Self::DirectReply | Self::Bypass => "Masq",
            Self::Local => "Local",
            Self::Tunneling => "Tunnel",
            Self::DirectRouting => "Route",
        }
    }
}

/// The settings of a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How packets are forwarded to it.
    pub forwarding: Forwarding,
    /// The tunnel, as it was sent. Only [`Forwarding::Tunneling`] uses it; the numbers are valid
    /// then.
    pub tunnel: tunnel::Numbers,
    /// Share of new connections. With 0 the destination is quiesced and gets none.
    pub weight: u32,
    /// Number of connections from which on the destination gets no new ones; 0 means no limit.
    pub upper_threshold: u32,
    /// Number of connections below which it gets new ones again; 0 means three quarters of the
    /// upper threshold.
    pub lower_threshold: u32,
}

impl Settings {
    /// Returns true if a destination of a service without connection entries may have these
    /// settings.
    pub fn allow_stateless(&self) -> bool {
        !matches!(
            self.forwarding,
            Forwarding::Masquerading | Forwarding::Bypass
        ) && self.upper_threshold == 0
    }
}
