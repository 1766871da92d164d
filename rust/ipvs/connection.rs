// SPDX-License-Identifier: GPL-2.0-only

//! Connections: what the table's entries hold.
//!
//! # Layout
//!
//! An entry is 128 bytes, two cache lines ([`knet::table::Entry`]). Around the body the table
//! keeps its link, hash and second of last use (16 bytes, first line) and the timeout, slot and
//! neighbours in the slow timer (24 bytes, second line). The body:
//!
//! | line | bytes | field | written |
//! |---|---|---|---|
//! | 1 | 16 | client address | never |
//! | 1 | 16 | virtual address | never |
//! | 1 | 2 + 2 | client port, virtual port | never |
//! | 1 | 1 | protocol | never |
//! | 1 | 1 | forwarding method | never |
//! | 1 | 2 | server port | never |
//! | 1 | 8 | destination | never |
//! | 2 | 16 | server address | never |
//! | 2 | 4 | state | by packets, compare and exchange |
//! | 2 | 4 | firewall mark that it was scheduled by | never |
//! | 2 | 8 | route of replies | by the first reply, and when routing changed |
//! | 2 | 8 | room for what few connections need | never |
//!
//! So the first line decides a mismatch, and a packet reads no third one of the entry.

use crate::destination::{Forwarding, RealServer};
use core::sync::atomic::{AtomicU32, Ordering};
use knet::{route::RouteCache, table::Body};
use lvs_core::{
    hash::{flow_hash, HashKey},
    packet::{Packet, TcpFlags},
    state::{Direction, State},
    Address, Endpoint, Family, Protocol,
};

/// The entry has left the table: no more transitions.
const GONE: u32 = 1 << 8;

/// A connection between a client and a real server. It counts among the destination's active or
/// inactive ones from [`Self::new`] until it is dropped or removed from the table.
#[repr(C)]
pub struct Connection {
    client_address: Address,
    virtual_address: Address,
    client_port: u16,
    virtual_port: u16,
    protocol: Protocol,
    forwarding: Forwarding,
    server_port: u16,
    destination: RealServer,
    server_address: Address,
    /// A [`State`] and [`GONE`].
    state: AtomicU32,
    mark: u32,
    reply_route: RouteCache,
    /// Templates and what application protocols need will hang here.
    _room: u64,
}

const _: () = assert!(size_of::<Connection>() == 88);

impl Connection {
    /// The connection that `first`, its first packet, begins with `destination`.
    pub fn new(first: &Packet, protocol: Protocol, mark: u32, destination: RealServer) -> Self {
        let forwarding = destination.forwarding();
        let server = destination.endpoint;
        let state = State::None.after(protocol, direction(forwarding), first.tcp_flags);
        destination.join(state.is_active());
        Self {
            client_address: first.source.address,
            virtual_address: first.destination.address,
            client_port: first.source.port,
            virtual_port: first.destination.port,
            protocol,
            forwarding,
            // A destination without a port is reached on the port that the client asked for.
            server_port: if server.port == 0 {
                first.destination.port
            } else {
                server.port
            },
            destination,
            server_address: server.address,
            state: AtomicU32::new(state as u32),
            mark,
            reply_route: RouteCache::new(),
            _room: 0,
        }
    }

    /// True when `packet` came from this connection's client. Its hash is that of the source.
    #[inline]
    pub fn is_request(&self, packet: &Packet) -> bool {
        self.client_port == packet.source.port
            && self.client_address == packet.source.address
            && self.virtual_port == packet.destination.port
            && self.virtual_address == packet.destination.address
            && self.protocol == packet.protocol
    }

    /// True when `packet` came from this connection's server and must be rewritten. Its hash is
    /// that of the destination.
    #[inline]
    pub fn is_reply(&self, packet: &Packet) -> bool {
        self.client_port == packet.destination.port
            && self.client_address == packet.destination.address
            && self.server_port == packet.source.port
            && self.forwarding == Forwarding::Masquerading
            && self.protocol == packet.protocol
            && self.server_address == packet.source.address
    }

    /// The client's address and port.
    pub fn client(&self) -> Endpoint {
        Endpoint::new(self.client_address, self.client_port)
    }

    /// The address and port that the client sees.
    pub fn virtual_endpoint(&self) -> Endpoint {
        Endpoint::new(self.virtual_address, self.virtual_port)
    }

    /// The real server's address and port.
    pub fn server(&self) -> Endpoint {
        Endpoint::new(self.server_address, self.server_port)
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How packets get to the server.
    #[inline]
    pub fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    /// The destination.
    #[inline]
    pub fn destination(&self) -> &RealServer {
        &self.destination
    }

    /// The route to the client, for replies.
    #[inline]
    pub fn reply_route(&self) -> &RouteCache {
        &self.reply_route
    }

    /// The state. Any context.
    #[inline]
    pub fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Relaxed) as u8)
    }

    /// Goes to the state that follows on a packet with `flags`, and returns it. Any context.
    #[inline]
    pub fn advance(&self, direction: Direction, flags: TcpFlags) -> State {
        let word = self.state.load(Ordering::Relaxed);
        // Nearly all packets change nothing.
        if word == State::Udp as u32 {
            return State::Udp;
        }
        if word == State::Established as u32 && flags.is_data() {
            return State::Established;
        }
        self.advance_from(word, direction, flags)
    }

    #[inline(never)]
    fn advance_from(&self, mut word: u32, direction: Direction, flags: TcpFlags) -> State {
        loop {
            let old = State::from_u8(word as u8);
            if word & GONE != 0 {
                return old;
            }
            let new = old.after(self.protocol, direction, flags);
            if new == old {
                return old;
            }
            match self.state.compare_exchange_weak(
                word,
                new as u32,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if new.is_active() != old.is_active() {
                        self.destination.turn(new.is_active());
                    }
                    return new;
                }
                Err(current) => word = current,
            }
        }
    }

    /// Counts the connection out, once.
    fn leave(&self) {
        let word = self.state.fetch_or(GONE, Ordering::Relaxed);
        if word & GONE == 0 {
            self.destination
                .leave(State::from_u8(word as u8).is_active());
        }
    }
}

impl Body for Connection {
    fn removed(&self) {
        self.leave();
    }
}

impl Drop for Connection {
    // One that never got into the table was counted in as well.
    fn drop(&mut self) {
        self.leave();
    }
}

/// What the director sees of a client's packets.
pub fn direction(forwarding: Forwarding) -> Direction {
    match forwarding {
        Forwarding::Masquerading => Direction::Input,
        Forwarding::Tunneling | Forwarding::DirectRouting => Direction::InputOnly,
    }
}

/// The hash of all connections of a client's port.
#[inline]
pub fn client_hash(key: &HashKey, family: Family, protocol: Protocol, client: Endpoint) -> u32 {
    flow_hash(key, family, protocol as u8, client)
}
