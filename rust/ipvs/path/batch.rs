// SPDX-License-Identifier: GPL-2.0-only

//! Takes packets of known connections where they come in, several at once.
//!
//! In a large table, most of the time of a packet goes into waiting for its bucket and its entry.
//! So packets wait for a few others ([`lvs_core::batch`]): the buckets are loaded while they wait,
//! and then the entries of all are loaded at once. What happens to each packet is what [`fast`]
//! does.

use crate::{
    path::{fast, read},
    state::tables::Tables,
};
use knet::{
    ingress::{Batching, BATCH},
    packet::{Packet, Verdict, Version},
    rcu::Section,
};
use lvs_core::packet::Headers;

/// By what the connection of a packet or frame that waits is found.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// The hash of its source if it may be a client's, else that of its destination.
    pub(super) hash: u32,
    pub(super) may_be_request: bool,
}

impl Key {
    /// The key of a packet with these headers and this word of its destination. Its bucket is
    /// loaded from now on. Softirq.
    #[inline(always)]
    pub(super) fn prefetch(
        tables: &Tables,
        section: &Section<'_>,
        headers: &Headers,
        destination: u32,
    ) -> Self {
        let may_be_request = tables.filter.may_be_request(destination);
        let client = match may_be_request {
            true => headers.source,
            false => headers.destination,
        };
        let hash = tables.hash(headers, client);
        tables.connections.prefetch_bucket(section, hash);
        Self {
            hash,
            may_be_request,
        }
    }
}

/// A packet that waits.
#[derive(Clone, Copy)]
pub struct Note {
    headers: Headers,
    key: Key,
}

impl Batching for Tables {
    type Note = Note;

    #[inline(always)]
    fn note<V: Version>(&self, section: &Section<'_>, packet: &mut Packet<'_, V>) -> Option<Note> {
        let headers = read::pulled_headers(packet, packet.len())?;
        if !fast::may_be_steady(&headers) {
            return None;
        }
        let (_, destination) = read::address_words(packet);
        let key = Key::prefetch(self, section, &headers, destination);
        Some(Note { headers, key })
    }

    #[inline(always)]
    fn prepare(&self, section: &Section<'_>, notes: impl Iterator<Item = Note>) {
        let hashes = notes.map(|note| note.key.hash);
        self.connections.prefetch::<BATCH>(section, hashes);
    }

    #[inline(always)]
    fn take_noted<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        note: Note,
    ) -> Verdict<'p> {
        let Note { headers, key } = &note;
        let len = packet.len();
        if key.may_be_request {
            if let Some(connection) = self.find_request(section, headers, key.hash) {
                return fast::request(self, section, packet, len, *headers, connection);
            }
        }
        let (source, _) = read::address_words(&packet);
        if self.filter.may_be_reply(source) {
            let hash = match key.may_be_request {
                true => self.hash(headers, headers.destination),
                false => key.hash,
            };
            if let Some(connection) = self.find_reply(section, headers, hash) {
                return fast::reply(self, section, packet, len, *headers, connection);
            }
        }
        packet.accept()
    }
}
