// SPDX-License-Identifier: GPL-2.0-only

//! Connections: what the table's entries hold.
//!
//! # Layout
//!
//! An entry is 128 bytes, two cache lines ([`knet::table::Entry`]). Around the body the table
//! keeps its link, hash and second of last use (16 bytes, first line) and the timeout, slot and
//! neighbors in the slow timer (24 bytes, second line). The body:
//!
//! | line | bytes | field | written |
//! |---|---|---|---|
//! | 1 | 16 | client address | never |
//! | 1 | 16 | virtual address | never |
//! | 1 | 2 + 2 | client port, virtual port | never |
//! | 1 | 1 | kind: protocol, or template | never |
//! | 1 | 1 | forwarding method | never |
//! | 1 | 2 | server port | never |
//! | 1 | 8 | destination | never |
//! | 2 | 16 | server address | never |
//! | 2 | 8 | route of replies | by the first reply, and when routing changed |
//! | 2 | 4 | cookie of the route | with the route |
//! | 2 | 4 | state, marks, and when the handshake began | by packets, compare and exchange |
//! | 2 | 8 | lease of an entry that controls others, by the entry and what it controls | never |
//!
//! So the first line decides a mismatch, and a packet reads no third line of the entry.
//!
//! # Templates
//!
//! A template ("Linux Virtual Server for Scalable Network Services", section 3.4) represents a
//! client of a persistent service: the client's connections go to the template's server. It is an
//! entry of the same table under a key that no packet has. A template and the connections that it
//! controls share a [`Lease`]; while that counts a connection, the template does not expire.
//!
//! # Helpers
//!
//! A control connection (FTP) owns a lease as well, which it shares with its data connections and
//! with [`Expectation`]s: entries under keys that no packet has, for connections that clients will
//! open. Its lease has what the helper remembers, and the lease of the template that controls the
//! control connection itself.

mod data;
mod lease;
mod newcomer;

pub use data::Expectation;
pub use lease::{Found, Helped, Lease};
pub use newcomer::{
    client_hash, expectation_hash, reply_hash, request_hash, template_hash, Evicted, Expected,
    First, FirstOfClient,
};

use crate::services::destination::{Destination, Forwarding};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{
    route::{Route, RouteCache},
    table::Body,
    trace, work,
};
use lvs_core::{
    packet::{Headers, TcpFlags},
    redispatch,
    state::{Direction, State},
    Address, Endpoint, Family, Protocol,
};

/// The bits of the word that are a [`State`].
const STATE: u32 = 0x1f;
/// The hash of the entry is in the queue of a synchronization daemon, which has not sent it yet.
const UNSENT: u32 = 1 << 5;
/// The entry was learned from another director, and no packet has used it here since.
const LEARNED: u32 = 1 << 6;
/// The connection must be sent if it is used in a later second than that of its beginning.
const WAITS: u32 = 1 << 7;
/// A helper reads the connection's packets, and the connection owns its lease. Never changes.
const HELPED: u32 = 1 << 8;
/// The entry has left the table: no more transitions.
const GONE: u32 = 1 << 9;
/// The server has answered the handshake, which is not complete.
const ANSWERED: u32 = 1 << 10;
/// The same bit in the state [`State::Udp`], which is no handshake: the server has not answered, so
/// the template that controls the flow is not confirmed yet.
const UNANSWERED: u32 = ANSWERED;
/// The bit at which the tick begins in which a measured handshake began; 0 means none.
const BEGAN: u32 = 11;
/// log2 of the microseconds in a tick: the word has room for a minute, as long as a handshake may
/// last.
const TICK: u32 = 5;

const _: () = assert!(State::COUNT <= STATE as usize + 1);

/// The state in the word of an entry.
#[inline]
const fn state_in(word: u32) -> State {
    State::from_u8((word & STATE) as u8)
}

/// A connection between a client and a real server, or a template. The destination counts it as
/// active, inactive or a template until it is dropped or removed from the table.
#[repr(C)]
pub struct Connection {
    client_address: Address,
    virtual_address: Address,
    client_port: u16,
    virtual_port: u16,
    /// A [`Protocol`]'s number; with [`TEMPLATE`] that of a template's service, 0 for all.
    kind: u8,
    forwarding: Forwarding,
    server_port: u16,
    destination: Arc<Destination>,
    server_address: Address,
    /// The route to the client, and beside it a [`State`], the marks above, and what begins at
    /// [`BEGAN`].
    reply_route: RouteCache<AtomicU32>,
    lease: Option<Arc<Lease>>,
}

/// What a packet did to a connection.
#[derive(Clone, Copy)]
pub struct Advanced {
    /// The state.
    pub state: State,
    /// The caller must put the hash of the entry into the queue of a synchronization daemon.
    pub is_news: bool,
    /// A helper reads the packet.
    pub helped: bool,
}

impl Advanced {
    #[inline(always)]
    const fn nothing(state: State) -> Self {
        Self {
            state,
            is_news: false,
            helped: false,
        }
    }
}

/// The state after a packet.
fn after(
    state: State,
    protocol: Protocol,
    direction: Direction,
    flags: TcpFlags,
    guarded: bool,
) -> State {
    if guarded {
        state.after_guarded(protocol, direction, flags)
    } else {
        state.after(protocol, direction, flags)
    }
}

/// Marks the kind of a template: no protocol's number has this bit, nor those below.
const TEMPLATE: u8 = 0x08;
/// Marks the kind of an alias, by which replies find a connection of a client port that has many
/// connections ([`knet::table::Newcomer::alias`]).
const ALIAS: u8 = 0x40;

/// Marks the kind of an expectation.
const EXPECTED: u8 = 0x20;
const _: () = {
    let protocols = Protocol::Tcp as u8 | Protocol::Udp as u8 | Protocol::Sctp as u8;
    assert!(protocols & (TEMPLATE | ALIAS | EXPECTED) == 0);
};

/// The kind of expectations: helpers are for TCP.
const EXPECTED_TCP: u8 = EXPECTED | Protocol::Tcp as u8;

/// What identifies a template.
pub struct Template<'a> {
    /// The client's address family.
    pub family: Family,
    /// The client's address under the service's netmask.
    pub client: Address,
    /// The service: [`Key::identity`](crate::services::service::Key::identity).
    pub service: (Option<Protocol>, Endpoint),
    /// What the service's persistence engine found in the client's datagram.
    pub found: Option<Found<'a>>,
}

impl Template<'_> {
    fn kind(&self) -> u8 {
        let (protocol, _) = self.service;
        TEMPLATE | protocol.map_or(0, |protocol| protocol as u8)
    }
}

const _: () = assert!(size_of::<Connection>() == 88);

impl Connection {
    /// The connection to `server` that a packet with the headers `first` begins. `lease` is that of
    /// the template that controls it; `guarded` as in [`Self::advance`]. The caller has the packet
    /// change the state once more: only with SCTP does that make a difference, whose connections
    /// begin without a state. Any context.
    // Inlined, so that the fields go from registers to the table's entry.
    #[inline(always)]
    pub fn new(
        first: &Headers,
        destination: Arc<Destination>,
        server: Endpoint,
        lease: Option<Arc<Lease>>,
        guarded: bool,
    ) -> Self {
        let forwarding = destination.forwarding();
        let direction = direction(forwarding);
        let state = match first.protocol {
            // A second INIT counts as a repeated one.
            Protocol::Sctp => State::None,
            protocol => after(State::None, protocol, direction, first.tcp_flags, guarded),
        };
        destination.join(state.is_active());
        let mut word = state as u32;
        if let Some(lease) = &lease {
            lease.gain();
            // Only with NAT will an answer be seen.
            if (state, direction) == (State::Udp, Direction::Input) {
                word |= if lease.is_confirmed() { 0 } else { UNANSWERED };
            } else {
                lease.follow(state);
            }
        }
        Self {
            client_address: first.source.address,
            virtual_address: first.destination.address,
            client_port: first.source.port,
            virtual_port: first.destination.port,
            kind: first.protocol as u8,
            forwarding,
            server_port: server.port,
            destination,
            server_address: server.address,
            reply_route: RouteCache::new(AtomicU32::new(word)),
            lease,
        }
    }

    /// A connection that another director has, in its `state` there. `ends` has client and virtual
    /// endpoint as a request shows them. Any context.
    pub fn learned(
        ends: &Headers,
        destination: Arc<Destination>,
        server: Endpoint,
        lease: Option<Arc<Lease>>,
        state: State,
    ) -> Self {
        destination.join(state.is_active());
        if let Some(lease) = &lease {
            lease.gain();
            lease.follow(state);
        }
        Self {
            client_address: ends.source.address,
            virtual_address: ends.destination.address,
            client_port: ends.source.port,
            virtual_port: ends.destination.port,
            kind: ends.protocol as u8,
            forwarding: destination.forwarding(),
            server_port: server.port,
            destination,
            server_address: server.address,
            reply_route: RouteCache::new(AtomicU32::new(state as u32 | LEARNED)),
            lease,
        }
    }

    /// Measures the delay of the destination's answer, from now to its SYN with ACK. To be called
    /// before the connection is in the table. Any context.
    pub fn measure(&self) {
        let now = work::microseconds();
        self.destination.delay_begins(now);
        let ticks = (now >> TICK) as u32;
        let began = (ticks << BEGAN).max(1 << BEGAN);
        self.word().fetch_or(began, Ordering::Relaxed);
    }

    /// A template that leads to `destination`. Any context.
    pub fn template(template: &Template<'_>, destination: Arc<Destination>) -> Result<Self> {
        let lease = Lease::of_client(template.found)?;
        let (_, service) = template.service;
        destination.join_template();
        Ok(Self {
            client_address: template.client,
            virtual_address: service.address,
            client_port: 0,
            virtual_port: service.port,
            kind: template.kind(),
            forwarding: destination.forwarding(),
            server_port: destination.endpoint.port,
            server_address: destination.endpoint.address,
            destination,
            reply_route: RouteCache::new(AtomicU32::new(State::None as u32)),
            lease: Some(lease),
        })
    }

    /// A template that another director has. `is_confirmed`: a connection was established. Any
    /// context.
    pub fn learned_template(
        template: &Template<'_>,
        destination: Arc<Destination>,
        is_confirmed: bool,
    ) -> Result<Self> {
        let learned = Self::template(template, destination)?;
        learned.word().fetch_or(LEARNED, Ordering::Relaxed);
        if is_confirmed {
            learned.confirm();
        }
        Ok(learned)
    }

    /// Records that a connection of this template was established. Any context.
    pub fn confirm(&self) {
        if let Some(lease) = &self.lease {
            lease.confirm();
        }
    }

    /// The alias of a connection by NAT: counted nowhere.
    fn alias(&self) -> Self {
        Self {
            client_address: self.client_address,
            virtual_address: self.virtual_address,
            client_port: self.client_port,
            virtual_port: self.virtual_port,
            kind: self.kind | ALIAS,
            forwarding: self.forwarding,
            server_port: self.server_port,
            destination: self.destination.clone(),
            server_address: self.server_address,
            reply_route: RouteCache::new(AtomicU32::new(GONE)),
            lease: None,
        }
    }

    /// True for the entry of `template`.
    pub fn is(&self, template: &Template<'_>) -> bool {
        let (_, service) = template.service;
        self.kind == template.kind()
            && self.client_address == template.client
            && self.virtual_address == service.address
            && self.virtual_port == service.port
            && match (self.found(), template.found) {
                (None, None) => true,
                (Some(found), Some(wanted)) => {
                    found.engine.name() == wanted.engine.name() && found.text == wanted.text
                }
                _ => false,
            }
    }

    /// What a persistence engine found, for a template that has it. Any context.
    pub fn found(&self) -> Option<Found<'_>> {
        let lease = self.lease.as_ref().filter(|_| self.is_template());
        lease.and_then(|lease| lease.found())
    }

    /// True for a template. Any context.
    pub fn is_template(&self) -> bool {
        self.kind & TEMPLATE != 0
    }

    /// True for a template of which a connection was established, and for a connection of such a
    /// template. Any context.
    pub fn is_confirmed(&self) -> bool {
        let lease = self.lease.as_ref().and_then(Lease::of_template);
        lease.is_some_and(|lease| lease.is_confirmed())
    }

    /// True for a connection that a template controls. Any context.
    pub fn is_controlled(&self) -> bool {
        let lease = self.lease.as_ref().and_then(Lease::of_template);
        lease.is_some() && !self.is_template()
    }

    /// The lease of a template, for a connection that it controls.
    pub fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.clone()
    }

    /// True if this connection's client sent a packet with these headers. Its hash is that of the
    /// source.
    #[inline]
    pub fn is_request(&self, headers: &Headers) -> bool {
        // Entries with the same hash have the same client, so the other end decides first. Both
        // ends are of one family.
        self.virtual_address
            .is_like(headers.destination.address, headers.family)
            && self.virtual_port == headers.destination.port
            && self.kind == headers.protocol as u8
            && self.client_port == headers.source.port
            && self.client_address == headers.source.address
    }

    /// True if this connection's server sent a packet with these headers, which must be rewritten.
    /// Its hash is that of the destination.
    #[inline]
    pub fn is_reply(&self, headers: &Headers) -> bool {
        // As above. A server of the other family is not reached by this method.
        self.server_port == headers.source.port
            && self.forwarding == Forwarding::Masquerading
            && self.kind == headers.protocol as u8
            && self.client_port == headers.destination.port
            && self.client_address == headers.destination.address
            && self
                .server_address
                .is_like(headers.source.address, headers.family)
    }

    /// True for the alias of the connection whose server sent `packet`. The alias's hash is
    /// [`reply_hash`].
    pub fn is_alias_of_reply(&self, packet: &Headers) -> bool {
        self.kind == packet.protocol as u8 | ALIAS
            && self.client() == packet.destination
            && self.server() == packet.source
    }

    /// The headers of its client's packets, as far as they identify it; none for a template.
    pub fn request(&self) -> Option<Headers> {
        let (protocol, source, destination) = self.tracked()?;
        Some(Headers {
            family: destination.address.family(),
            protocol,
            source,
            destination,
            network_header_len: 0,
            tcp_flags: TcpFlags::EMPTY,
            more_fragments: false,
        })
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

    /// The protocol; none for a template of all protocols.
    pub fn protocol(&self) -> Option<Protocol> {
        Protocol::try_from(self.kind & !(TEMPLATE | EXPECTED)).ok()
    }

    /// What identifies its client's packets; none for a template.
    pub fn tracked(&self) -> Option<(Protocol, Endpoint, Endpoint)> {
        let protocol = Protocol::try_from(self.kind).ok()?;
        Some((protocol, self.client(), self.virtual_endpoint()))
    }

    /// How packets are forwarded to the server.
    #[inline]
    pub fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    /// The destination.
    #[inline]
    pub fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// The route to the client, for replies: routing rules see the virtual address.
    #[inline(always)]
    pub fn reply_route(&self) -> Route<'_> {
        let source = self.virtual_endpoint();
        self.reply_route
            .route(self.client().address, Some(source.address))
            .translated(source.port)
    }

    /// The route to the virtual address itself, for packets that no server takes.
    pub fn bypass_route(&self) -> Route<'_> {
        // There are no replies that the director would route.
        self.reply_route.route(self.virtual_address, None)
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU32 {
        &self.reply_route.beside
    }

    /// The state. Any context.
    #[inline]
    pub fn state(&self) -> State {
        state_in(self.word().load(Ordering::Relaxed))
    }

    /// True if no packet of the server was seen, and the handshake is not complete. Any context.
    pub fn awaits_answer(&self) -> bool {
        let word = self.word().load(Ordering::Relaxed);
        redispatch::awaits_answer(state_in(word), word & ANSWERED != 0)
    }

    /// True for an entry that was learned from another director, as long as no packet has used it
    /// here. Any context.
    pub fn is_learned(&self) -> bool {
        self.word().load(Ordering::Relaxed) & LEARNED != 0
    }

    /// Marks the entry to be sent. True if the caller must put its hash into the queue. Any
    /// context.
    pub fn mark_unsent(&self) -> bool {
        self.word().fetch_or(UNSENT, Ordering::Relaxed) & UNSENT == 0
    }

    /// Marks the connection to be sent if it is used in a later second. Any context.
    pub fn mark_waiting(&self) {
        self.word().fetch_or(WAITS, Ordering::Relaxed);
    }

    /// Whether the connection must be sent if it is used in a later second. Any context.
    #[inline]
    pub fn waits(&self) -> bool {
        self.word().load(Ordering::Relaxed) & WAITS != 0
    }

    /// The connection was used in a later second. True if the caller must put its hash into the
    /// queue. Any context.
    pub fn wait_is_over(&self) -> bool {
        self.waits()
            && self.word().fetch_and(!WAITS, Ordering::Relaxed) & WAITS != 0
            && self.mark_unsent()
    }

    /// Removes the mark that the entry must be sent, and returns whether it was there. Any context.
    pub fn take_unsent(&self) -> bool {
        let marks = UNSENT | WAITS;
        self.word().load(Ordering::Relaxed) & marks != 0
            && self.word().fetch_and(!marks, Ordering::Relaxed) & UNSENT != 0
    }

    /// Changes to a state that was learned from another director. Any context.
    pub fn learn(&self, state: State) {
        let mut word = self.word().load(Ordering::Relaxed);
        while word & GONE == 0 {
            let new = state as u32 | LEARNED | word & HELPED;
            match self
                .word()
                .compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    self.follow(state);
                    if state.is_active() != state_in(word).is_active() {
                        self.destination.turn(state.is_active());
                    }
                    return;
                }
                Err(current) => word = current,
            }
        }
    }

    /// The state, if a packet with `flags` changes nothing and no helper reads it, as is so with
    /// nearly all packets. `None`: call [`Self::advance`]. Any context.
    #[inline(always)]
    pub fn stays(&self, flags: TcpFlags) -> Option<State> {
        let word = self.word().load(Ordering::Relaxed);
        if word == State::Udp as u32 {
            return Some(State::Udp);
        }
        (word == State::Established as u32 && flags.is_data()).then_some(State::Established)
    }

    /// The state, if a datagram or a segment with data flags changes nothing and no helper reads
    /// it. Any context.
    #[inline(always)]
    pub fn steady(&self, protocol: Protocol) -> Option<State> {
        let state = match protocol {
            Protocol::Tcp => State::Established,
            Protocol::Udp => State::Udp,
            Protocol::Sctp => return None,
        };
        (self.word().load(Ordering::Relaxed) == state as u32).then_some(state)
    }

    /// Changes to the state after a packet with `flags`. `guarded` says whether handshakes are
    /// guarded ([`State::after_guarded`]), `announced` whether changes are sent to other directors.
    /// Any context.
    pub fn advance(
        &self,
        direction: Direction,
        flags: TcpFlags,
        guarded: &AtomicBool,
        announced: &AtomicBool,
    ) -> Advanced {
        let guarded = guarded.load(Ordering::Relaxed);
        let mut word = self.word().load(Ordering::Relaxed);
        let Some(protocol) = self.protocol() else {
            return Advanced::nothing(State::None);
        };
        let helped = word & HELPED != 0;
        let announced = announced.load(Ordering::Relaxed);
        loop {
            let old = state_in(word);
            if word & GONE != 0 {
                return Advanced::nothing(old);
            }
            let new = after(old, protocol, direction, flags, guarded);
            // The first CPU that sees the answer removes the time from the word, so one measures.
            let answered = word >> BEGAN != 0 && direction == Direction::Output;
            let mut next = new as u32 | word & HELPED;
            if (new == old || old == State::None) && !answered {
                next |= word >> BEGAN << BEGAN;
            }
            if new.is_handshake() {
                next |= match direction {
                    Direction::Output => ANSWERED,
                    Direction::Input | Direction::InputOnly => word & ANSWERED,
                };
            }
            if new == State::Udp && direction != Direction::Output {
                next |= word & UNANSWERED;
            }
            if announced {
                next |= word & (UNSENT | WAITS);
                // A packet makes a learned connection this director's own.
                if (new != old || word & LEARNED != 0) && new.is_announced() {
                    next |= UNSENT;
                }
            }
            if next == word {
                return Advanced {
                    helped,
                    ..Advanced::nothing(old)
                };
            }
            match self.word().compare_exchange_weak(
                word,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if answered {
                        self.report_delay(word >> BEGAN, flags);
                    }
                    if new != old {
                        trace::state(old.name(), new.name(), || self.flow(protocol));
                    }
                    if new != State::Udp || next & UNANSWERED == 0 {
                        self.follow(new);
                    }
                    if new.is_active() != old.is_active() {
                        self.destination.turn(new.is_active());
                    }
                    return Advanced {
                        state: new,
                        is_news: next & !word & UNSENT != 0,
                        helped,
                    };
                }
                Err(current) => word = current,
            }
        }
    }

    /// For tracers, which know the namespace by the connection's beginning.
    #[cold]
    fn flow(&self, protocol: Protocol) -> trace::Flow {
        trace::Flow {
            net: 0,
            protocol: protocol as u8,
            mark: 0,
            client: self.client(),
            service: self.virtual_endpoint(),
            server: Some(self.server()),
        }
    }

    /// Reports the delay of an answer with these flags to a handshake that began in this tick.
    #[cold]
    fn report_delay(&self, began: u32, flags: TcpFlags) {
        // A refusal takes no work.
        if !flags.contains(TcpFlags::SYN) {
            self.destination.delay_ends_unmeasured();
            return;
        }
        let now = work::microseconds();
        let ticks = ((now >> TICK) as u32).wrapping_sub(began) << BEGAN >> BEGAN;
        self.destination.delay_ends(ticks << TICK, now);
    }

    /// Counts the connection out, once.
    fn leave(&self) {
        let word = self.word().fetch_or(GONE, Ordering::Relaxed);
        if word & GONE != 0 {
            return;
        }
        if self.is_template() {
            self.destination.leave_template();
            return;
        }
        self.destination.leave(state_in(word).is_active());
        let Some(lease) = &self.lease else {
            return;
        };
        if word & HELPED != 0 {
            lease.end();
            if let Some(template) = Lease::of_template(lease) {
                template.lose();
            }
            return;
        }
        if let (EXPECTED_TCP, Some(helped)) = (self.kind, lease.helped_by()) {
            helped.expectations.fetch_sub(1, Ordering::Relaxed);
        }
        lease.lose();
    }

    /// Records in the lease of the template that this connection went to `state`.
    fn follow(&self, state: State) {
        if let Some(lease) = self.lease.as_ref().and_then(Lease::of_template) {
            lease.follow(state);
        }
    }
}

impl Body for Connection {
    fn removed(&self) {
        self.leave();
    }

    fn is_held(&self) -> bool {
        let owns = self.is_template() || self.word().load(Ordering::Relaxed) & HELPED != 0;
        let lease = self.lease.as_ref().filter(|_| owns);
        lease.is_some_and(|lease| lease.controls_any())
    }

    /// True for a connection whose handshake is not complete, and for a template of which no
    /// connection was ever established.
    fn is_half_open(&self) -> bool {
        match &self.lease {
            Some(lease) if self.is_template() => !lease.is_confirmed(),
            _ => {
                let state = self.state();
                state.is_handshake()
                    || matches!(
                        state,
                        State::SctpInit1
                            | State::SctpInit
                            | State::SctpCookieSent
                            | State::SctpCookieReplied
                    )
            }
        }
    }
}

impl Drop for Connection {
    // One that never got into the table was counted in as well.
    fn drop(&mut self) {
        self.leave();
    }
}

/// The direction of a client's packets, as far as the director sees the connection.
pub fn direction(forwarding: Forwarding) -> Direction {
    match forwarding {
        // The C director expects replies of what it lets pass.
        Forwarding::Masquerading | Forwarding::Bypass => Direction::Input,
        Forwarding::Local
        | Forwarding::Tunneling
        | Forwarding::DirectRouting
        | Forwarding::DirectReply => Direction::InputOnly,
    }
}
