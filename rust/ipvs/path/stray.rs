// SPDX-License-Identifier: GPL-2.0-only

//! What real servers send that belongs to no connection, and that they are told so (`nat_icmp_send`).
//!
//! Only for this it has to be known exactly which addresses and ports are those of real servers, so that a list is
//! kept as long as the setting is on, which the slow timer makes anew.

use crate::{
    path::Path,
    services::{
        destination::{Forwarding, RealServer},
        service::Key,
    },
};
use core::sync::atomic::Ordering;
use kernel::{alloc::KVVec, prelude::*};
use knet::{
    packet::{Packet, Verdict, Version},
    rcu::{Boxed, Cell, Section},
};
use lvs_core::{
    packet::{self, TcpFlags},
    Endpoint, Protocol,
};

/// The real servers by NAT, in order; those on port 0 have all ports.
pub(crate) struct RealServers(Cell<KVVec<(Protocol, Endpoint)>>);

impl RealServers {
    /// None. Process context.
    pub(crate) fn none() -> Self {
        Self(Cell::empty())
    }

    /// Whether this is where a real server answers. Any context.
    fn has(&self, section: &Section<'_>, protocol: Protocol, at: Endpoint) -> bool {
        let Some(list) = self.0.get(section) else {
            return false;
        };
        let all = Endpoint::new(at.address, 0);
        list.binary_search(&(protocol, at)).is_ok() || list.binary_search(&(protocol, all)).is_ok()
    }
}

/// The protocols that a service's packets can be of.
fn protocols(key: &Key) -> &[Protocol] {
    match key {
        Key::Address { protocol, .. } => core::slice::from_ref(protocol),
        Key::Mark { .. } => &[Protocol::Tcp, Protocol::Udp],
    }
}

impl Path {
    /// Makes the list of real servers anew; without memory it stays as it is. Process context.
    pub(crate) fn list_real_servers(&self) {
        let list = &self.real_servers.0;
        if !self.settings.nat_icmp_send.load(Ordering::Relaxed) {
            if !list.is_empty() {
                list.replace(None);
            }
            return;
        }
        let mut number: usize = 0;
        self.for_each_masqueraded(|key, _| number = number.saturating_add(protocols(key).len()));
        let Ok(mut servers) = KVVec::with_capacity(number, GFP_KERNEL) else {
            return;
        };
        self.for_each_masqueraded(|key, server| {
            for protocol in protocols(key) {
                // One that came meanwhile is in the next list.
                let _ = servers.push_within_capacity((*protocol, server.endpoint));
            }
        });
        servers.sort_unstable();
        if let Ok(servers) = Boxed::new(servers, GFP_KERNEL) {
            list.replace(Some(servers));
        }
    }

    fn for_each_masqueraded(&self, mut f: impl FnMut(&Key, &RealServer)) {
        self.services.for_each(|service, section| {
            for server in service.pool(section).iter().flat_map(|pool| &pool.servers) {
                if server.forwarding() == Forwarding::Masquerading {
                    f(&service.key, server);
                }
            }
        });
    }

    /// A packet that this host forwards and that is of no connection: a real server is told that nobody waits
    /// for it, unless it says the same.
    #[cold]
    #[inline(never)]
    pub(crate) fn stray<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
    ) -> Verdict<'p> {
        let told = self.settings.nat_icmp_send.load(Ordering::Relaxed)
            && !headers.tcp_flags.contains(TcpFlags::RST)
            && self
                .real_servers
                .has(section, headers.protocol, headers.source);
        if told {
            packet.refuse()
        } else {
            packet.accept()
        }
    }
}
