// SPDX-License-Identifier: GPL-2.0-only

//! The addresses and ports of the real servers that are reached by NAT.
//!
//! Only `nat_icmp_send` needs them, to tell a real server's packet from others. The slow timer
//! builds the list anew each second while the setting is on.

use crate::services::{
    destination::{Destination, Forwarding},
    index::Index,
    service::Key,
};
use kernel::{alloc::KVVec, prelude::*};
use knet::rcu::{Boxed, Cell, Section};
use lvs_core::{Endpoint, Protocol};

/// Protocols and endpoints of real servers, sorted; port 0 stands for all ports.
pub struct NatServers(Cell<KVVec<(Protocol, Endpoint)>>);

impl NatServers {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Cell::empty())
    }

    /// True if a real server answers at `endpoint`. Any context.
    pub fn contains(&self, section: &Section<'_>, protocol: Protocol, endpoint: Endpoint) -> bool {
        let Some(list) = self.0.get(section) else {
            return false;
        };
        let contains = |endpoint| list.binary_search(&(protocol, endpoint)).is_ok();
        contains(endpoint) || contains(Endpoint::new(endpoint.address, 0))
    }

    /// Empties the list. Process context.
    pub fn clear(&self) {
        if !self.0.is_empty() {
            self.0.replace(None);
        }
    }

    /// Builds the list from the present services; without memory it stays as it is. Process
    /// context.
    pub fn refresh(&self, services: &Index) {
        let mut number: usize = 0;
        for_each(services, |key, _| {
            number = number.saturating_add(protocols(key).len());
        });
        let Ok(mut list) = KVVec::with_capacity(number, GFP_KERNEL) else {
            return;
        };
        for_each(services, |key, destination| {
            for protocol in protocols(key) {
                // A destination that was added meanwhile is in the next list.
                let _ = list.push_within_capacity((*protocol, destination.endpoint));
            }
        });
        list.sort_unstable();
        if let Ok(list) = Boxed::new(list, GFP_KERNEL) {
            self.0.replace(Some(list));
        }
    }
}

impl Default for NatServers {
    fn default() -> Self {
        Self::new()
    }
}

/// The protocols of a service's packets.
fn protocols(key: &Key) -> &[Protocol] {
    match key {
        Key::Address { protocol, .. } => core::slice::from_ref(protocol),
        Key::Mark { .. } => &[Protocol::Tcp, Protocol::Udp, Protocol::Sctp],
    }
}

fn for_each(services: &Index, mut f: impl FnMut(&Key, &Destination)) {
    services.for_each(|service, section| {
        for server in service
            .pool(section)
            .iter()
            .flat_map(|pool| &pool.destinations)
        {
            if server.forwarding() == Forwarding::Masquerading {
                f(&service.key, server);
            }
        }
    });
}
