// SPDX-License-Identifier: GPL-2.0-only

//! Tells bystanders from packets that may be the director's, before any connection is looked up.
//!
//! Each virtual address and each real server's address is counted in a slot of an array that the
//! address picks. A packet whose destination picks an empty slot is no client's, and one whose
//! source does is no server's reply. What shares a slot by chance costs a lookup, no more.

use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{prelude::*, sync::Arc};
use lvs_core::Address;

/// log2 of the number of slots: four for each of a thousand addresses.
const ORDER: u32 = 12;
const SLOTS: usize = 1 << ORDER;

/// How many addresses have picked each slot.
type Slots = [AtomicU32; SLOTS];

/// Counts addresses, by what they are.
#[pin_data]
pub struct Filter {
    /// Where clients' packets go.
    virtuals: Slots,
    /// Where replies come from.
    servers: Slots,
}

/// The word of an address by which it picks its slots: all of an IPv4 address in network byte order,
/// or the words of an IPv6 address added up.
#[inline(always)]
pub fn word(octets: &[u8]) -> u32 {
    let mut word: u32 = 0;
    let mut rest = octets;
    while let Some((four, tail)) = rest.split_first_chunk() {
        word = word.wrapping_add(u32::from_ne_bytes(*four));
        rest = tail;
    }
    word
}

/// The word of any address. See [`word`].
pub fn word_of(address: Address) -> u32 {
    match address.v4() {
        Some(octets) => word(&octets),
        None => word(&address.octets16()),
    }
}

/// Multiplicative hashing (Knuth, "The Art of Computer Programming", section 6.4). It has no key,
/// since whoever makes addresses collide wins nothing but a lookup.
#[inline]
fn slot<const MULTIPLIER: u32>(slots: &Slots, word: u32) -> Option<&AtomicU32> {
    let hash = word.wrapping_mul(MULTIPLIER);
    slots.get((hash >> (u32::BITS - ORDER)) as usize)
}

/// Two multipliers, so that an address which is both of a service and of a server takes two places.
const VIRTUAL: u32 = 0x9e37_79b9;
const SERVER: u32 = 0x85eb_ca6b;

impl Filter {
    /// One that knows no address. Process context.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                virtuals <- pin_init::init_array_from_fn(|_| AtomicU32::new(0)),
                servers <- pin_init::init_array_from_fn(|_| AtomicU32::new(0)),
            }),
            GFP_KERNEL,
        )
    }

    /// False when a packet between these addresses, given by their [`word`]s, is certainly of no
    /// connection. Any context.
    #[inline]
    pub fn may_be_ours(&self, source: u32, destination: u32) -> bool {
        // One branch for both, since nearly all packets take the same way.
        self.clients(destination) | self.servers(source) != 0
    }

    /// False when what goes to `destination` is certainly of no connection's client.
    #[inline]
    pub fn may_be_request(&self, destination: u32) -> bool {
        self.clients(destination) != 0
    }

    /// False when what comes from `source` is certainly no reply.
    #[inline]
    pub fn may_be_reply(&self, source: u32) -> bool {
        self.servers(source) != 0
    }

    #[inline]
    fn clients(&self, destination: u32) -> u32 {
        slot::<VIRTUAL>(&self.virtuals, destination).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    #[inline]
    fn servers(&self, source: u32) -> u32 {
        slot::<SERVER>(&self.servers, source).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }
}

/// What a service or a destination has counted in a filter, as long as it lives. Connections keep
/// their destination.
pub struct Known {
    filter: Arc<Filter>,
    /// None for a service on a firewall mark.
    service: Option<Address>,
    /// None for a service itself.
    server: Option<Address>,
}

impl Known {
    /// Counts in the address of a service (none: that of a firewall mark) and that of a real server.
    pub fn new(filter: Arc<Filter>, service: Option<Address>, server: Option<Address>) -> Self {
        let known = Self {
            filter,
            service,
            server,
        };
        known.count(|slot| slot.fetch_add(1, Ordering::Relaxed));
        known
    }

    fn count(&self, change: impl Fn(&AtomicU32) -> u32) {
        let filter = &self.filter;
        match self.service {
            Some(address) => {
                slot::<VIRTUAL>(&filter.virtuals, word_of(address)).map(&change);
            }
            // Nobody knows the virtual addresses of a firewall mark.
            None => filter.virtuals.iter().for_each(|slot| {
                change(slot);
            }),
        }
        if let Some(address) = self.server {
            slot::<SERVER>(&filter.servers, word_of(address)).map(change);
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.count(|slot| slot.fetch_sub(1, Ordering::Relaxed));
    }
}
