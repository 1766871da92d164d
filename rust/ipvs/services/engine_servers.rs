// SPDX-License-Identifier: GPL-2.0-only

//! The real servers of services with a persistence engine that are reached by NAT.
//!
//! Their datagrams may begin a connection, which has the virtual address as its source. The slow
//! timer builds the list anew each second while a service has an engine.

use crate::services::{destination::Forwarding, index::Index, service::Key};
use kernel::{alloc::KVVec, prelude::*};
use knet::rcu::{Boxed, Cell, Section};
use lvs_core::{Endpoint, Protocol};

/// Endpoints of real servers with their services, sorted by endpoint.
pub struct EngineServers(Cell<KVVec<(Endpoint, Key)>>);

impl EngineServers {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Cell::empty())
    }

    /// The service of the real server at `endpoint`. Any context.
    pub fn find(&self, section: &Section<'_>, endpoint: Endpoint) -> Option<Key> {
        let list = self.0.get(section)?;
        let at = list.binary_search_by_key(&endpoint, |(server, _)| *server);
        list.get(at.ok()?).map(|(_, key)| *key)
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
        for_each(services, |_, _| number = number.saturating_add(1));
        let Ok(mut list) = KVVec::with_capacity(number, GFP_KERNEL) else {
            return;
        };
        for_each(services, |key, endpoint| {
            // A destination that was added meanwhile is in the next list.
            let _ = list.push_within_capacity((endpoint, *key));
        });
        list.sort_unstable();
        if let Ok(list) = Boxed::new(list, GFP_KERNEL) {
            self.0.replace(Some(list));
        }
    }
}

impl Default for EngineServers {
    fn default() -> Self {
        Self::new()
    }
}

fn for_each(services: &Index, mut f: impl FnMut(&Key, Endpoint)) {
    services.for_each(|service, section| {
        // A virtual port is needed, and engines read UDP only.
        let fits = match service.key {
            Key::Address { protocol, endpoint } => protocol == Protocol::Udp && endpoint.port != 0,
            Key::Mark { .. } => false,
        };
        if !fits || service.engine(section).is_none() {
            return;
        }
        for server in service
            .pool(section)
            .iter()
            .flat_map(|pool| &pool.destinations)
        {
            if server.forwarding() == Forwarding::Masquerading {
                f(&service.key, server.endpoint);
            }
        }
    });
}
