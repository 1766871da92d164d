// SPDX-License-Identifier: GPL-2.0-only

//! The synchronization daemons of a director, with their keys.

use super::Director;
use crate::sync::Joined;
use core::sync::atomic::Ordering;
use kernel::prelude::*;
use knet::{crypto::Key, socket::Device};
use lvs_core::{
    daemon::{Daemon, Role, Wanted},
    Address,
};

impl Director {
    /// Starts a synchronization daemon; `role` is `None` for a number that no role has. [`EINVAL`]:
    /// that, or a real server is of another family than its service; [`ENODEV`]: there is no such
    /// interface; [`EEXIST`]: the daemon runs; errors of sockets. Process context.
    pub(crate) fn start_daemon(&self, role: Option<Role>, wanted: &Wanted) -> Result {
        let mut daemons = self.daemons.lock();
        let net = {
            let config = self.config.lock();
            if config.mixes_families()? {
                return Err(EINVAL);
            }
            config.net.clone().ok_or(ENODEV)?
        };
        let device = Device::find(&net, wanted.interface.as_c_str())?;
        let role = role.ok_or(EINVAL)?;
        if daemons.has(role) {
            return Err(EEXIST);
        }
        let tables = {
            let mut config = self.config.lock();
            let tables = config.begin(self)?.tables.clone();
            // A destination may have been added meanwhile.
            if config.mixes_families()? {
                return Err(EINVAL);
            }
            config.synchronizes = true;
            tables
        };
        let ports = self.settings.sync_ports.load(Ordering::Relaxed);
        let started = daemons
            .start(role, wanted, device, &net, tables, ports)
            .and_then(|()| self.cover_backup(daemons.has(Role::Backup)));
        if started.is_err() {
            let _ = daemons.stop(role);
            self.config.lock().synchronizes = daemons.any();
        }
        started
    }

    /// Stops a synchronization daemon. [`EINVAL`]: no role has this number; [`ESRCH`]: it does not
    /// run. Process context.
    pub(crate) fn stop_daemon(&self, role: Option<Role>) -> Result {
        let mut daemons = self.daemons.lock();
        let role = role.ok_or(EINVAL)?;
        // First, what may fail.
        if role == Role::Backup && daemons.has(role) {
            self.cover_backup(false)?;
        }
        daemons.stop(role)?;
        self.config.lock().synchronizes = daemons.any();
        Ok(())
    }

    fn cover_backup(&self, runs: bool) -> Result {
        let mut config = self.config.lock();
        config.cover(|coverage| coverage.backup_runs = runs)
    }

    /// The synchronization daemons that run, the master first. Process context.
    pub(crate) fn daemons(&self) -> [Option<Daemon>; 2] {
        self.daemons.lock().running()
    }

    /// How far the synchronization backup has joined; `None` if none runs. Process context.
    pub(crate) fn backup_state(&self) -> Option<Joined> {
        self.daemons.lock().backup_state()
    }

    /// Has the whole table sent, or asked for. [`ESRCH`]: no synchronization daemon runs. Process
    /// context.
    pub(crate) fn resync(&self) -> Result {
        self.daemons.lock().resync()
    }

    /// Adds a director that daemons send to, instead of a multicast group. [`EEXIST`]: it is there;
    /// [`ENOSPC`]: there are too many; [`EINVAL`]: it is no host, or of another family than the
    /// others; [`EBUSY`]: it is the first one, and a daemon runs. Process context.
    pub(crate) fn add_sync_peer(&self, peer: Address) -> Result {
        let mut daemons = self.daemons.lock();
        let peers = &self.settings.peers;
        let is_other = |other: Address| other.family() != peer.family();
        if !peer.is_host() || peers.list().into_iter().flatten().any(is_other) {
            return Err(EINVAL);
        }
        if peers.is_empty() && daemons.any() {
            return Err(EBUSY);
        }
        if peers.is_empty() {
            daemons.forget();
        }
        peers.add(peer)
    }

    /// Deletes such a director. [`ENOENT`]: it is not there; [`EBUSY`]: it is the last one, and a
    /// daemon runs. Process context.
    pub(crate) fn delete_sync_peer(&self, peer: Address) -> Result {
        let mut daemons = self.daemons.lock();
        let peers = &self.settings.peers;
        let list = peers.list();
        let is_last = list.into_iter().flatten().count() == 1 && list.contains(&Some(peer));
        if is_last && daemons.any() {
            return Err(EBUSY);
        }
        if is_last {
            daemons.forget();
        }
        peers.delete(peer)
    }

    /// Adds a key that signs synchronization datagrams. [`EEXIST`]: one has this identifier;
    /// [`ENOSPC`]: there are two. Process context.
    pub(crate) fn add_sync_key(&self, id: u8, key: Key) -> Result {
        let _daemons = self.daemons.lock();
        self.settings.keyring.add(id, key)
    }

    /// Deletes such a key. [`ENOENT`]: none has this identifier. Process context.
    pub(crate) fn delete_sync_key(&self, id: u8) -> Result {
        let _daemons = self.daemons.lock();
        self.settings.keyring.delete(id)
    }
}
