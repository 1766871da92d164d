// SPDX-License-Identifier: GPL-2.0-only

//! Hands arriving datagrams to the daemons.
//!
//! Each socket of a multicast group gets every datagram, so each daemon listens with its own. Of
//! two sockets with the same unicast port only one gets a datagram, so with peers each socket
//! listens for both daemons. A master ignores what is for backups, and the reverse.

use super::{backup::Port, master::Ear};
use crate::state::tables::Tables;
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::socket::Receive;
use lvs_core::{daemon::Role, sync::Event, Address};

/// The listeners of a director, in the order of its UDP ports.
#[pin_data]
pub(super) struct Hub {
    #[pin]
    master: Mutex<KVVec<Arc<Ear>>>,
    #[pin]
    backup: Mutex<KVVec<Arc<Port>>>,
}

impl Hub {
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                master <- new_mutex!(KVVec::new(), "ipvs_rs_ears"),
                backup <- new_mutex!(KVVec::new(), "ipvs_rs_ports"),
            }),
            GFP_KERNEL,
        )
    }

    pub(super) fn set_master(&self, ears: KVVec<Arc<Ear>>) {
        let former = core::mem::replace(&mut *self.master.lock(), ears);
        drop(former);
    }

    pub(super) fn set_backup(&self, ports: KVVec<Arc<Port>>) {
        let former = core::mem::replace(&mut *self.backup.lock(), ports);
        drop(former);
    }
}

/// Listens at a UDP port.
pub(super) struct Listener {
    pub(super) hub: Arc<Hub>,
    pub(super) tables: Arc<Tables>,
    /// The number of the port.
    pub(super) number: usize,
    /// Whose socket it is. With peers it listens for both.
    pub(super) role: Role,
}

impl Listener {
    fn is_for(&self, role: Role) -> bool {
        self.role == role || !self.tables.settings.peers.is_empty()
    }

    fn ear(&self) -> Option<Arc<Ear>> {
        let ears = self.hub.master.lock();
        let ear = ears.get(self.number).cloned();
        ear.filter(|_| self.is_for(Role::Master))
    }

    fn port(&self) -> Option<Arc<Port>> {
        let ports = self.hub.backup.lock();
        let port = ports.get(self.number).cloned();
        port.filter(|_| self.is_for(Role::Backup))
    }
}

impl Receive for Listener {
    fn receive(&self, source: Address, bytes: &[u8]) {
        let peers = &self.tables.settings.peers;
        if !peers.is_empty() && !peers.list().contains(&Some(source)) {
            return self.tables.synchronization.count(Event::Stranger);
        }
        if let Some(ear) = self.ear() {
            ear.receive(bytes);
        }
        if let Some(port) = self.port() {
            port.receive(bytes);
        }
    }

    fn lose(&self) {
        if let Some(port) = self.port() {
            port.lose();
        }
    }
}
