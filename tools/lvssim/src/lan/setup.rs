// SPDX-License-Identifier: GPL-2.0-only

//! What a run of the LAN model is made of.

use crate::engine::{Time, SECOND};

/// How packets get to a server, as far as it matters on the LAN: the report's modified NAT and
/// direct routing send the same octets at the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The report's modified NAT: replies do not pass the director's agent.
    Nat,
    /// Tunneling: 20 octets more.
    Tun,
    /// Direct routing.
    Dr,
}

/// Which way replies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topology {
    /// The director is the gateway: replies cross the LAN.
    Gateway,
    /// Servers have links of their own to the clients.
    OwnLinks,
}

/// When clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sending {
    /// Each millisecond, all in the same instant.
    InPhase,
    /// Each millisecond, from a random moment on.
    Scattered,
    /// After half a millisecond or a whole one, at random.
    HalfOrWhole,
}

/// A run of the LAN model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LanSetup {
    /// All randomness comes from it.
    pub seed: u64,
    /// Clients. Each sends a request every millisecond.
    pub clients: u32,
    /// Servers behind the director.
    pub servers: u32,
    /// Mb/s of the LAN.
    pub megabits: u64,
    /// The LAN is a switch with full-duplex links instead of a shared segment.
    pub switched: bool,
    /// How packets get to the servers.
    pub method: Method,
    /// Which way replies go.
    pub topology: Topology,
    /// Servers behind a second director, which is a server of the first one and has a LAN of its
    /// own; 0 for none.
    pub behind: u32,
    /// The scheduler.
    pub scheduler: &'static str,
    /// Weights; those that are missing are 1.
    pub weights: &'static [u32],
    /// Queues of the servers; those that are missing are [`Self::queue`].
    pub server_queues: &'static [usize],
    /// The queue of the director's interface.
    pub director_queue: usize,
    /// All other queues.
    pub queue: usize,
    /// The duration of a connection. `None`: it never ends, so a client keeps its server.
    pub connection: Option<Time>,
    /// When clients send.
    pub sending: Sending,
    /// Replies to requests of odd number.
    pub odd_replies: u32,
    /// When measuring begins.
    pub warmup: Time,
    /// When it ends; clients begin at half a second.
    pub until: Time,
    /// The length of periods that are told one by one.
    pub series: Option<Time>,
}

impl Default for LanSetup {
    fn default() -> Self {
        Self {
            seed: 1,
            clients: 1,
            servers: 1,
            megabits: 100,
            switched: false,
            method: Method::Nat,
            topology: Topology::Gateway,
            behind: 0,
            scheduler: "rr",
            weights: &[],
            server_queues: &[],
            director_queue: 100,
            queue: 100,
            connection: None,
            sending: Sending::InPhase,
            odd_replies: 1,
            warmup: SECOND,
            until: 2 * SECOND,
            series: None,
        }
    }
}
