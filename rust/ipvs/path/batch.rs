// SPDX-License-Identifier: GPL-2.0-only

//! Takes packets of known connections where they come in, several at once.
//!
//! In a large table, most of the time of a packet goes into waiting for its bucket and its entry.
//! So packets wait for a few others ([`lvs_core::batch`]), and then the buckets and entries of all
//! are loaded at once. What happens to each packet is what [`fast`] does.

use crate::{
    path::{
        fast::{self, Key, Noted},
        read,
    },
    state::{connection::Connection, tables::Tables},
};
use knet::{
    ingress::{Batching, BATCH},
    packet::{Packet, Verdict, Version},
    rcu::Section,
    table::Ahead,
};

impl Batching for Tables {
    type Note = Key;
    type Ahead<'s> = Ahead<'s, Connection>;

    #[inline(always)]
    fn note<V: Version>(&self, packet: &Packet<'_, V>, len: u32) -> Option<Key> {
        let protocol = read::plain_protocol(packet)?;
        match read::plain_headers(packet, protocol, len) {
            Ok(headers) if fast::may_be_steady(&headers) => {
                let (_, destination) = read::address_words(packet);
                Some(Key::new(self, &headers, destination))
            }
            Err(Some(_)) => Some(Key::UNKNOWN),
            Ok(_) | Err(None) => None,
        }
    }

    #[inline(always)]
    fn prepare<'s>(
        &'s self,
        section: &'s Section<'_>,
        notes: impl Iterator<Item = Option<Key>> + Clone,
    ) -> [Ahead<'s, Connection>; BATCH] {
        let hashes = notes.map(|key| key.unwrap_or(Key::UNKNOWN).hash);
        self.connections.look_ahead(section, hashes)
    }

    #[inline(always)]
    fn take_noted<'p, 's, V: Version>(
        &'s self,
        section: &'s Section<'_>,
        packet: Packet<'p, V>,
        len: u32,
        key: Key,
        ahead: Ahead<'s, Connection>,
    ) -> Verdict<'p> {
        let noted = Noted { key, ahead };
        fast::read_and_take(self, section, packet, len, Some(noted))
    }
}
