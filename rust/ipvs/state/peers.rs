// SPDX-License-Identifier: GPL-2.0-only

//! The directors that synchronization daemons send to by unicast, instead of a multicast group.

use kernel::prelude::*;
use knet::rcu::{self, Boxed, Cell};
use lvs_core::Address;

/// The most peers.
pub(crate) const MOST: usize = 8;

/// Addresses, the first ones present.
pub(crate) type List = [Option<Address>; MOST];

/// The peers of a director. With none, daemons use multicast.
pub struct Peers(Cell<List>);

impl Default for Peers {
    fn default() -> Self {
        Self(Cell::empty())
    }
}

impl Peers {
    /// The peers at this time. Any context.
    pub(crate) fn list(&self) -> List {
        rcu::read(|section| self.0.get(section).copied().unwrap_or_default())
    }

    /// Whether there is none. Any context.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one. [`EEXIST`]: it is there; [`ENOSPC`]: there are [`MOST`]. Process context; the
    /// caller excludes other changes.
    pub(crate) fn add(&self, address: Address) -> Result {
        let mut list = self.list();
        if list.contains(&Some(address)) {
            return Err(EEXIST);
        }
        let place = list.iter_mut().find(|place| place.is_none());
        *place.ok_or(ENOSPC)? = Some(address);
        self.0.replace(Some(Boxed::new(list, GFP_KERNEL)?));
        Ok(())
    }

    /// Deletes one. [`ENOENT`]: it is not there. Process context; the caller excludes other
    /// changes.
    pub(crate) fn delete(&self, address: Address) -> Result {
        let former = self.list();
        if !former.contains(&Some(address)) {
            return Err(ENOENT);
        }
        let mut list = List::default();
        let others = former.into_iter().flatten().filter(|peer| *peer != address);
        for (place, peer) in list.iter_mut().zip(others) {
            *place = Some(peer);
        }
        let list = match list {
            [None, ..] => None,
            list => Some(Boxed::new(list, GFP_KERNEL)?),
        };
        self.0.replace(list);
        Ok(())
    }
}
