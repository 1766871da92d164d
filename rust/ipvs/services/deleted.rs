// SPDX-License-Identifier: GPL-2.0-only

//! Destinations that were deleted while connections hold on to them: each takes its place again when it is
//! added anew to the same service.

use crate::services::{destination::RealServer, service::Key};
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::Mutex,
};
use knet::work;
use lvs_core::Endpoint;

/// A packet that chose the server just before it was deleted makes its connection well within this many
/// seconds.
const GRACE: u32 = 2;

struct Kept {
    server: RealServer,
    /// Second since boot in which it was deleted.
    since: u32,
}

impl Kept {
    fn is_over(&self, now: u32) -> bool {
        !self.server.is_in_use() && now.wrapping_sub(self.since) >= GRACE
    }
}

/// They are found by service and endpoint, as many as there may be.
type Tree = RBTree<(Key, Endpoint), Kept>;

/// All of a director's. Changes are made with the configuration mutex held.
#[pin_data]
pub struct Deleted {
    #[pin]
    tree: Mutex<Tree>,
}

/// Room for some of them, so that to keep them cannot fail.
pub struct Room(KVVec<RBTreeNodeReservation<(Key, Endpoint), Kept>>);

impl Room {
    /// Room for so many. Process context.
    pub fn new(number: usize) -> Result<Self> {
        let mut nodes = KVVec::with_capacity(number, GFP_KERNEL)?;
        for _ in 0..number {
            nodes.push(RBTreeNodeReservation::new(GFP_KERNEL)?, GFP_KERNEL)?;
        }
        Ok(Self(nodes))
    }
}

impl Deleted {
    /// None. Process context.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            tree <- new_mutex!(RBTree::new(), "ipvs_rs_deleted"),
        })
    }

    /// Keeps a destination that was deleted, as long as it has connections. Where there is no room it is
    /// forgotten.
    pub fn keep(&self, service: Key, server: RealServer, room: &mut Room) {
        if let Some(node) = room.0.pop() {
            let since = work::seconds();
            let key = (service, server.endpoint);
            let node = node.into_node(key, Kept { server, since });
            // One with the same key was let go of with its last connection, or it would have been taken.
            drop(self.tree.lock().insert(node));
        }
    }

    /// Takes back a destination that was deleted from `service`.
    pub fn take(&self, service: Key, endpoint: Endpoint) -> Option<RealServer> {
        let kept = self.tree.lock().remove(&(service, endpoint))?;
        Some(kept.server)
    }

    /// Calls `f` for each. Process context.
    pub fn for_each(&self, f: impl Fn(&RealServer)) {
        for kept in self.tree.lock().values() {
            f(&kept.server);
        }
    }

    /// Lets go of those that no connection holds on to any more. Process context.
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
