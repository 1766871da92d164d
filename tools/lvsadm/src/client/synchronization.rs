// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization of the kernel's director.

use std::net::IpAddr;

use lvs_core::extension::feature;
use netlink_packet_core::Emitable;
use netlink_packet_generic::GenlFamily;
use zeroize::Zeroizing;

use super::kernel::Kernel;
use crate::error::{self, Error};
use crate::model::Synchronization;
use crate::netlink::native::Request;
use crate::netlink::socket::Mode;
use crate::netlink::synchronization::{self, NewKey};
use crate::netlink::Failure;

impl Kernel {
    /// The state of synchronization; `None` if the module does not report it.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn synchronization(&mut self) -> Result<Option<Synchronization>, Error> {
        let mut state = None;
        let mut ask = || -> Result<(), Failure> {
            let Some(connection) = self.extension(feature::SYNC)? else {
                return Ok(());
            };
            connection.stream(&Request::synchronization(), Mode::One, &mut |part| {
                state = Some(synchronization::read(part)?);
                Ok(())
            })
        };
        ask().map_err(|failure| error::query("ask for the state of synchronization", &failure))?;
        Ok(state)
    }

    /// Has the whole table sent, or asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn resync(&mut self) -> Result<(), Error> {
        self.change_sync("send or request the table", &Request::resync())
    }

    /// Adds a key, which is wiped afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn add_sync_key(&mut self, id: u8, key: Zeroizing<Vec<u8>>) -> Result<(), Error> {
        self.change_sync("set the key", &NewKey::new(id, key))
    }

    /// Deletes a key.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn delete_sync_key(&mut self, id: u8) -> Result<(), Error> {
        self.change_sync("delete the key", &Request::delete_sync_key(id))
    }

    /// Adds a peer.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn add_sync_peer(&mut self, peer: IpAddr) -> Result<(), Error> {
        self.change_sync("add the peer", &Request::add_sync_peer(peer))
    }

    /// Deletes a peer.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn delete_sync_peer(&mut self, peer: IpAddr) -> Result<(), Error> {
        self.change_sync("delete the peer", &Request::delete_sync_peer(peer))
    }

    fn change_sync<F>(&mut self, what: &str, request: &F) -> Result<(), Error>
    where
        F: GenlFamily + Emitable + std::fmt::Debug + Clone,
    {
        let failed = |failure: Failure| error::query(what, &failure);
        let Some(connection) = self.extension(feature::SYNC).map_err(failed)? else {
            return Err(Error::Failed(format!(
                "cannot {what}: the kernel module does not offer it (ipvs_rs does)"
            )));
        };
        connection
            .stream(request, Mode::One, &mut |_| Ok(()))
            .map_err(failed)
    }
}
