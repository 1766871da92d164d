// SPDX-License-Identifier: GPL-2.0-only

//! Control connections and the data connections that they announce.

use super::{
    lease::{Helped, Lease, EXPECTATIONS},
    Connection, EXPECTED_TCP, HELPED,
};
use crate::services::{destination::Forwarding, helper::Bound};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{prelude::*, sync::Arc};
use knet::{rcu::Section, route::RouteCache};
use lvs_core::{packet::Headers, state::State, Address, Endpoint, Protocol};

/// What identifies an expectation.
pub struct Expectation {
    /// The client.
    pub client: Address,
    /// The virtual address, and the port that the client will ask for.
    pub service: Endpoint,
}

impl Connection {
    /// Makes this connection a control connection, if there is a helper for its port. To be called
    /// before the connection is in the table. Softirq or process context.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: it has no helper then.
    pub fn help(&mut self, section: &Section<'_>) -> Result {
        if self.kind != Protocol::Tcp as u8 || self.forwarding != Forwarding::Masquerading {
            return Ok(());
        }
        let Some(bound) = Bound::new(section, self.virtual_port) else {
            return Ok(());
        };
        // The template's lease counts this connection as before, through the new one.
        self.lease = Some(Lease::helped(bound, self.lease.clone())?);
        self.word().fetch_or(HELPED, Ordering::Relaxed);
        Ok(())
    }

    /// The connection that this control connection announces: the server will open it to `client`,
    /// from the port below its own. Any context.
    pub fn announced(&self, client: Endpoint) -> Self {
        self.data(
            client,
            self.virtual_port.wrapping_sub(1),
            Protocol::Tcp as u8,
            self.server_port.wrapping_sub(1),
        )
    }

    /// True for an announced connection that the server of a packet with these headers may open,
    /// from any port. Its hash is that of the destination.
    pub fn is_announced(&self, headers: &Headers) -> bool {
        self.client() == headers.destination
            && self.server_address == headers.source.address
            && self.kind == headers.protocol as u8
            && self.forwarding == Forwarding::Masquerading
            && self.state() == State::Listen
            && self.lease.as_ref().is_some_and(|lease| !lease.has_ended())
    }

    /// This announced connection, if the server opens it from `port`. Any context.
    pub fn opened_from(&self, port: u16) -> Self {
        self.data(self.client(), self.virtual_port, self.kind, port)
    }

    /// The expectation that the control connection's client opens a connection to `expectation`,
    /// for the server's `port`. Any context.
    pub fn expected(&self, expectation: &Expectation, port: u16) -> Self {
        if let Some(helped) = self.helped() {
            helped.expectations.fetch_add(1, Ordering::Relaxed);
        }
        let client = Endpoint::new(self.client_address, 0);
        self.data(client, expectation.service.port, EXPECTED_TCP, port)
    }

    fn data(&self, client: Endpoint, virtual_port: u16, kind: u8, server_port: u16) -> Self {
        self.destination.join(State::Listen.is_active());
        if let Some(lease) = &self.lease {
            lease.gain();
        }
        Self {
            client_address: client.address,
            virtual_address: self.virtual_address,
            client_port: client.port,
            virtual_port,
            kind,
            forwarding: self.forwarding,
            server_port,
            destination: self.destination.clone(),
            server_address: self.server_address,
            reply_route: RouteCache::new(AtomicU32::new(State::Listen as u32)),
            lease: self.lease.clone(),
        }
    }

    /// True for the entry of `expectation`, unless its control connection is over.
    pub fn is_of(&self, expectation: &Expectation) -> bool {
        self.kind == EXPECTED_TCP
            && self.virtual_port == expectation.service.port
            && self.virtual_address == expectation.service.address
            && self.client_address == expectation.client
            && self.lease.as_ref().is_some_and(|lease| !lease.has_ended())
    }

    /// True for a connection that `control` announced, to the same endpoint of the server. Any
    /// context.
    pub fn is_announced_by(&self, control: &Self, server: Endpoint) -> bool {
        let leases = self.lease.as_ref().zip(control.lease.as_ref());
        self.server() == server && leases.is_some_and(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// What the helper knows of this control connection; none for other connections. Any context.
    pub fn helped(&self) -> Option<&Helped> {
        if self.word().load(Ordering::Relaxed) & HELPED == 0 {
            return None;
        }
        self.lease.as_ref()?.helped_by()
    }

    /// Whether this control connection may have another expectation. Any context.
    pub fn may_expect(&self) -> bool {
        self.helped()
            .is_some_and(|helped| helped.expectations.load(Ordering::Relaxed) < EXPECTATIONS)
    }
}
