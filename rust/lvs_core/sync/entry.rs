// SPDX-License-Identifier: GPL-2.0-only

//! The records of connections and templates, and what a record says about them.
//!
//! The C director identifies a template by addresses. This director identifies it by its service.
//! The two differ for services on port 0, on port 21 (FTP) and on firewall marks:
//!
//! ============== =============== ================ ================ ===============
//! service        record:         record: virtual  record: virtual  record: port of
//!                protocol        address          port             the server
//! ============== =============== ================ ================ ===============
//! on a port      its protocol    its address      its port         its port
//! on port 21     its protocol    its address      0                0
//! on port 0      its protocol    its address      0                0
//! firewall mark  0               the mark         0                0
//! ============== =============== ================ ================ ===============

use super::{Flags, Record, Sequence, Sequences};
use crate::{
    destination::Forwarding, sequence::Deltas, service::Key, state::State, timeout::MAX_SECONDS,
    Address, Endpoint, Family, Protocol,
};

/// The port of services whose templates cover all ports of the client's address (FTP).
const FTP: u16 = 21;

/// What records of connections and of templates have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The service.
    pub key: Key,
    /// How packets are forwarded.
    pub forwarding: Forwarding,
    /// The client.
    pub client: Endpoint,
    /// The real server.
    pub server: Endpoint,
    /// Seconds for which the entry may stay unused.
    pub timeout: u32,
}

/// Returns the flags of an entry.
fn flags(forwarding: Forwarding, is_active: bool) -> Flags {
    let mut flags = Flags::new(forwarding);
    if forwarding != Forwarding::Masquerading {
        flags = flags.with(Flags::NO_OUTPUT);
    }
    if !is_active {
        flags = flags.with(Flags::INACTIVE);
    }
    flags
}

impl Entry {
    /// Returns the record of a connection. `service` is its virtual endpoint.
    pub fn connection(
        &self,
        protocol: Protocol,
        service: Endpoint,
        state: State,
    ) -> Record<'static> {
        Record {
            flags: flags(self.forwarding, state.is_active()),
            protocol: Some(protocol),
            state: state.number_in_records(),
            mark: self.key.mark(),
            timeout: self.timeout,
            client: self.client,
            service,
            server: self.server,
            sequences: None,
            engine: None,
        }
    }

    /// Returns the record of a template. `is_confirmed` says that a connection was established.
    pub fn template(&self, is_confirmed: bool) -> Record<'static> {
        let (protocol, service) = self.key.identity();
        let mut server = self.server;
        let service = match self.key {
            Key::Mark { mark, family } => Endpoint::new(mark_address(mark, family), 0),
            Key::Address { endpoint, .. } if endpoint.port == FTP => {
                Endpoint::new(endpoint.address, 0)
            }
            Key::Address { .. } => service,
        };
        if service.port == 0 {
            server.port = 0;
        }
        Record {
            flags: flags(self.forwarding, false).with(Flags::TEMPLATE),
            protocol,
            state: u16::from(is_confirmed),
            mark: self.key.mark(),
            timeout: self.timeout,
            client: self.client,
            service,
            server,
            sequences: None,
            engine: None,
        }
    }
}

/// Returns the virtual address in the template of a firewall mark: the mark, then zeros.
fn mark_address(mark: u32, family: Family) -> Address {
    let [a, b, c, d] = mark.to_be_bytes();
    match family {
        Family::V4 => Address::from_v4([a, b, c, d]),
        Family::V6 => Address::from_v6([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    }
}

impl Record<'_> {
    /// Returns the record of a connection whose server's stream is shifted.
    #[must_use]
    pub fn with_deltas(self, deltas: Deltas) -> Self {
        let (initial, before, after) = deltas.parts();
        if before == 0 && after == 0 {
            return self;
        }
        let output = Sequence {
            initial,
            delta: i32::from(after) as u32,
            previous_delta: i32::from(before) as u32,
        };
        Self {
            flags: self.flags.with(Flags::OUT_SEQUENCES),
            sequences: Some(Sequences {
                input: Sequence::default(),
                output,
            }),
            ..self
        }
    }

    /// Returns how the server's stream is shifted. `None` for shifts that no helper of this
    /// director makes: of the client's stream, or by very much.
    pub fn deltas(&self) -> Option<Deltas> {
        let Some(Sequences { input, output }) = &self.sequences else {
            return Some(Deltas::default());
        };
        let shift = |delta: u32| i16::try_from(delta as i32).ok();
        let (before, after) = (shift(output.previous_delta)?, shift(output.delta)?);
        let is_usual = input.delta == 0 && input.previous_delta == 0;
        is_usual.then_some(Deltas::new(output.initial, before, after))
    }

    /// Whether the record is a template.
    pub const fn is_template(&self) -> bool {
        self.flags.contains(Flags::TEMPLATE)
    }

    /// Returns the state of the connection; [`State::None`] for a template.
    pub fn connection_state(&self) -> State {
        match self.protocol {
            _ if self.is_template() => State::None,
            Some(Protocol::Udp) => State::Udp,
            Some(Protocol::Sctp) => State::of_sctp_record(self.state),
            _ => u8::try_from(self.state).map_or(State::None, State::from_u8),
        }
    }

    /// Whether a connection of the template was established.
    pub const fn is_confirmed(&self) -> bool {
        self.state == 1
    }

    /// Returns the timeout in seconds, or `default` in version 0, which has none.
    pub fn timeout_or(&self, default: u32) -> u32 {
        match self.timeout {
            0 => default,
            seconds if seconds > MAX_SECONDS => MAX_SECONDS,
            seconds => seconds,
        }
    }

    /// Returns the address family.
    pub fn family(&self) -> Family {
        self.client.address.family()
    }

    /// Returns the keys of the services to which a template may belong. The first one that exists
    /// is the right one.
    pub fn template_keys(&self) -> impl Iterator<Item = Key> {
        let family = self.family();
        let on = |protocol, port| Key::Address {
            protocol,
            endpoint: Endpoint::new(self.service.address, port),
        };
        let (first, second) = match (self.protocol, self.service.port) {
            (None, _) => {
                let octets = match self.service.address.v4() {
                    Some(octets) => octets,
                    None => {
                        let [a, b, c, d, ..] = self.service.address.octets16();
                        [a, b, c, d]
                    }
                };
                let mark = u32::from_be_bytes(octets);
                (Key::Mark { mark, family }, None)
            }
            (Some(protocol), 0) => (on(protocol, 0), Some(on(protocol, FTP))),
            (Some(protocol), port) => (on(protocol, port), None),
        };
        [Some(first), second].into_iter().flatten()
    }

    /// Returns the key that a connection's service probably has, if the director does not have the
    /// service.
    pub fn presumed_key(&self, protocol: Protocol) -> Key {
        match self.mark {
            0 => Key::Address {
                protocol,
                endpoint: self.service,
            },
            mark => Key::Mark {
                mark,
                family: self.family(),
            },
        }
    }
}

impl State {
    /// Whether a change to this state is sent to other directors. Handshakes are not: the client
    /// repeats them.
    #[inline]
    pub const fn is_announced(self) -> bool {
        matches!(
            self,
            Self::Established
                | Self::FinWait
                | Self::Close
                | Self::CloseWait
                | Self::TimeWait
                | Self::Udp
                | Self::SctpEstablished
                | Self::SctpShutdownSent
                | Self::SctpShutdownReceived
                | Self::SctpShutdownAckSent
                | Self::SctpClosed
        )
    }

    /// The number in records. Each protocol has numbers of its own, and [`Self::None`] is 0 in all.
    const fn number_in_records(self) -> u16 {
        let number = self as u16;
        match self {
            Self::Udp => 0,
            // The last state before those of SCTP counts as their 0.
            _ if number > Self::Assured as u16 => number.wrapping_sub(Self::Assured as u16),
            _ => number,
        }
    }

    /// The state of SCTP with this number in a record; [`Self::None`] for 0.
    fn of_sctp_record(number: u16) -> Self {
        match u8::try_from(number) {
            Ok(1..) => u8::try_from(number.saturating_add(Self::Assured as u16))
                .map_or(Self::None, Self::from_u8),
            _ => Self::None,
        }
    }
}
