// SPDX-License-Identifier: GPL-2.0-only

//! Recognizes packets of bystanders before any lookup.
//!
//! Each virtual address and each real server's address is counted in a slot that the address picks
//! ([`lvs_core::filter`]). A packet whose destination picks an empty slot is no client's, and one
//! whose source picks an empty slot is no server's reply.

use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{prelude::*, sync::Arc};
use lvs_core::{
    filter::{server_slot, virtual_slot, word_of, SLOTS},
    Address,
};

/// Counts addresses by the slots that they pick.
#[pin_data]
pub struct Filter {
    /// Where clients' packets go.
    virtuals: [AtomicU32; SLOTS],
    /// Where replies come from.
    servers: [AtomicU32; SLOTS],
}

impl Filter {
    /// A filter that counts no address. Process context.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                virtuals <- pin_init::init_array_from_fn(|_| AtomicU32::new(0)),
                servers <- pin_init::init_array_from_fn(|_| AtomicU32::new(0)),
            }),
            GFP_KERNEL,
        )
    }

    /// False if no connection can have a packet between these addresses, given by their
    /// [words](lvs_core::filter::word). Any context.
    #[inline]
    pub fn may_be_ours(&self, source: u32, destination: u32) -> bool {
        // One branch for both, since nearly all packets take the same one.
        self.clients(destination) | self.servers(source) != 0
    }

    /// False if no client's packet goes to `destination`. Any context.
    #[inline]
    pub fn may_be_request(&self, destination: u32) -> bool {
        self.clients(destination) != 0
    }

    /// False if no reply comes from `source`. Any context.
    #[inline]
    pub fn may_be_reply(&self, source: u32) -> bool {
        self.servers(source) != 0
    }

    #[inline]
    fn clients(&self, destination: u32) -> u32 {
        self.virtuals
            .get(virtual_slot(destination))
            .map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    #[inline]
    fn servers(&self, source: u32) -> u32 {
        self.servers
            .get(server_slot(source))
            .map_or(0, |slot| slot.load(Ordering::Relaxed))
    }
}

/// Addresses that a filter counts for as long as this value lives. Destinations keep it for as long
/// as connections keep them.
pub struct Counted {
    filter: Arc<Filter>,
    /// None for a service on a firewall mark.
    service: Option<Address>,
    /// None for a service itself.
    server: Option<Address>,
}

impl Counted {
    /// Counts the address of a service (`None` for a firewall mark) and that of a real server.
    pub fn new(filter: Arc<Filter>, service: Option<Address>, server: Option<Address>) -> Self {
        let counted = Self {
            filter,
            service,
            server,
        };
        counted.count(|slot| slot.fetch_add(1, Ordering::Relaxed));
        counted
    }

    fn count(&self, change: impl Fn(&AtomicU32) -> u32) {
        let Filter { virtuals, servers } = &*self.filter;
        match self.service {
            Some(address) => {
                virtuals.get(virtual_slot(word_of(address))).map(&change);
            }
            // The virtual addresses of a firewall mark are not known.
            None => virtuals.iter().for_each(|slot| {
                change(slot);
            }),
        }
        if let Some(address) = self.server {
            servers.get(server_slot(word_of(address))).map(change);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count(|slot| slot.fetch_sub(1, Ordering::Relaxed));
    }
}
