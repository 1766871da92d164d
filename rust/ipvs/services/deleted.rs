// SPDX-License-Identifier: GPL-2.0-only

//! Deleted destinations that still have connections. If one is added to the same service again, it
//! returns with its connections.
//!
//! Destinations of connections that another director sent, and that this director does not have
//! yet, are here, too.

use crate::services::{destination::Destination, service::Key};
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{Arc, Mutex},
};
use knet::work;
use lvs_core::{Address, Endpoint};

/// Seconds after which a packet that chose a destination just before it was deleted has made its
/// connection.
const GRACE: u32 = 2;

struct Kept {
    destination: Arc<Destination>,
    /// The second in which it was deleted.
    since: u32,
}

impl Kept {
    fn is_over(&self, now: u32) -> bool {
        !self.destination.is_in_use() && now.wrapping_sub(self.since) >= GRACE
    }
}

/// By service and endpoint.
type Tree = RBTree<(Key, Endpoint), Kept>;

/// The deleted destinations of a director. Changes are made with the configuration mutex held,
/// except by [`Deleted::find_or_keep`].
#[pin_data]
pub struct Deleted {
    #[pin]
    tree: Mutex<Tree>,
}

/// Memory for some of them, so that [`Deleted::keep`] cannot fail.
pub struct Reservation(KVVec<RBTreeNodeReservation<(Key, Endpoint), Kept>>);

impl Reservation {
    /// Memory for `number` destinations. Process context.
    pub fn new(number: usize) -> Result<Self> {
        let mut nodes = KVVec::with_capacity(number, GFP_KERNEL)?;
        for _ in 0..number {
            nodes.push(RBTreeNodeReservation::new(GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Self(nodes))
    }
}

impl Deleted {
    /// An empty set. Process context.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            tree <- new_mutex!(RBTree::new(), "ipvs_rs_deleted"),
        })
    }

    /// Keeps a destination that was deleted from `service` for as long as it has connections. If
    /// the reservation is used up, the destination is forgotten.
    pub fn keep(&self, service: Key, destination: Arc<Destination>, reservation: &mut Reservation) {
        if let Some(node) = reservation.0.pop() {
            let key = (service, destination.endpoint);
            let since = work::seconds();
            let node = node.into_node(key, Kept { destination, since });
            // A former one with the same key had no connections left, or it would have been taken.
            drop(self.tree.lock().insert(node));
        }
    }

    /// The destination that was deleted from `service`, which stays here.
    pub fn find(&self, service: Key, endpoint: Endpoint) -> Option<Arc<Destination>> {
        let tree = self.tree.lock();
        tree.get(&(service, endpoint))
            .map(|kept| kept.destination.clone())
    }

    /// The destination of `service` at `endpoint`. If it is not here, `make` makes one, which stays
    /// for as long as it has connections. [`ENOSPC`]: there are `most` already. If an administrator
    /// adds the destination at the same moment, the connections move to it when they are sent
    /// again. Process context.
    pub fn find_or_keep(
        &self,
        service: Key,
        endpoint: Endpoint,
        most: usize,
        make: impl FnOnce() -> Result<Arc<Destination>>,
    ) -> Result<Arc<Destination>> {
        if let Some(destination) = self.find(service, endpoint) {
            return Ok(destination);
        }
        if self.tree.lock().iter().count() >= most {
            return Err(ENOSPC);
        }
        let destination = make()?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let key = (service, endpoint);
        let mut tree = self.tree.lock();
        if let Some(kept) = tree.get(&key) {
            return Ok(kept.destination.clone());
        }
        let kept = Kept {
            destination: destination.clone(),
            since: work::seconds(),
        };
        drop(tree.insert(node.into_node(key, kept)));
        Ok(destination)
    }

    /// Takes back a destination that was deleted from `service`.
    pub fn take(&self, service: Key, endpoint: Endpoint) -> Option<Arc<Destination>> {
        let kept = self.tree.lock().remove(&(service, endpoint))?;
        Some(kept.destination)
    }

    /// The service was deleted too. Configuration mutex held.
    pub fn lose_service(&self, service: Key) {
        let first = (service, Endpoint::new(Address::from_v6([0; 16]), 0));
        let mut tree = self.tree.lock();
        let mut cursor = tree.cursor_lower_bound_mut(&first);
        while let Some(at) = cursor {
            let (key, kept) = at.current();
            if key.0 != service {
                return;
            }
            kept.destination.lose_service();
            cursor = at.move_next();
        }
    }

    /// Calls `f` for each. Process context.
    pub fn for_each(&self, f: impl Fn(&Destination)) {
        for kept in self.tree.lock().values() {
            f(&kept.destination);
        }
    }

    /// Drops those that no connection holds any more; `now` is the second. Process context.
    pub fn expire(&self, now: u32) {
        let mut tree = self.tree.lock();
        let mut cursor = tree.cursor_front_mut();
        while let Some(at) = cursor {
            let (_, kept) = at.current();
            cursor = if kept.is_over(now) {
                let (next, _) = at.remove_current();
                next
            } else {
                at.move_next()
            };
        }
    }
}
