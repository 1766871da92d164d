// SPDX-License-Identifier: GPL-2.0-only

//! Entries as newcomers to the table: their hashes, and what they must not duplicate.

use super::{data::Expectation, Connection, Template, EXPECTED_TCP};
use crate::services::destination::Forwarding;
use knet::table::Newcomer;
use lvs_core::{
    hash::{flow_hash, hash_apart, hash_text, Apart, HashKey},
    packet::Headers,
    Endpoint, Family, Protocol,
};

/// The hash of the connections of a client's port.
#[inline]
pub fn client_hash(key: &HashKey, family: Family, protocol: Protocol, client: Endpoint) -> u32 {
    flow_hash(key, family, protocol as u8, client)
}

/// The hash of a client's connection by both ends, as a request shows them.
pub fn request_hash(key: &HashKey, packet: &Headers) -> u32 {
    let (client, service) = (packet.source, packet.destination);
    hash_apart(key, Apart::Virtual, packet.protocol as u8, client, service)
}

/// The hash of a client's connection by both ends, as a reply shows them.
pub fn reply_hash(key: &HashKey, packet: &Headers) -> u32 {
    let (client, server) = (packet.destination, packet.source);
    hash_apart(key, Apart::Server, packet.protocol as u8, client, server)
}

/// The hash of a template. It covers the service, so a client may have templates of many services.
pub fn template_hash(key: &HashKey, template: &Template<'_>) -> u32 {
    let (_, service) = template.service;
    let client = Endpoint::new(template.client, 0);
    let hash = hash_apart(key, Apart::Template, template.kind(), client, service);
    match template.found {
        Some(found) => hash ^ hash_text(key, found.text),
        None => hash,
    }
}

/// The hash of an expectation.
pub fn expectation_hash(key: &HashKey, expectation: &Expectation) -> u32 {
    let client = Endpoint::new(expectation.client, 0);
    hash_apart(
        key,
        Apart::Template,
        EXPECTED_TCP,
        client,
        expectation.service,
    )
}

/// The connection that begins with the packet with these headers, as a newcomer to the table.
pub struct First<'a> {
    /// The key of the table's hashes.
    pub key: &'a HashKey,
    /// The headers of the first packet.
    pub headers: &'a Headers,
    /// Learns of the connections that make room for it.
    pub evicted: &'a dyn Evicted,
}

/// Learns of connections that made room for new ones.
pub trait Evicted {
    /// This connection is no longer in the table. Softirq or process context.
    fn evicted(&self, connection: &Connection);
}

impl Newcomer<Connection> for First<'_> {
    #[inline]
    fn duplicates(&self, other: &Connection) -> bool {
        other.is_request(self.headers)
    }

    fn hash_apart(&self) -> u32 {
        request_hash(self.key, self.headers)
    }

    fn alias(&self, connection: &Connection) -> Option<(u32, Connection)> {
        if connection.forwarding != Forwarding::Masquerading {
            return None;
        }
        let (protocol, client) = (connection.kind, connection.client());
        let hash = hash_apart(
            self.key,
            Apart::Server,
            protocol,
            client,
            connection.server(),
        );
        Some((hash, connection.alias()))
    }

    fn evicted(&self, other: &Connection) {
        self.evicted.evicted(other);
    }

    // Their replies have the same headers.
    #[inline]
    fn are_alike(&self, one: &Connection, other: &Connection) -> bool {
        one.server_port == other.server_port
            && one.forwarding == Forwarding::Masquerading
            && other.forwarding == Forwarding::Masquerading
            && one.kind == other.kind
            && one.client() == other.client()
            && one.server() == other.server()
    }
}

/// A template as a newcomer to the table.
pub struct FirstOfClient<'a> {
    /// The key of the table's hashes.
    pub key: &'a HashKey,
    /// The template.
    pub template: &'a Template<'a>,
    /// As of [`First`].
    pub evicted: &'a dyn Evicted,
}

impl Newcomer<Connection> for FirstOfClient<'_> {
    fn duplicates(&self, other: &Connection) -> bool {
        other.is(self.template)
    }

    // The hash of a template covers all that distinguishes it from others.
    fn hash_apart(&self) -> u32 {
        template_hash(self.key, self.template)
    }

    fn evicted(&self, other: &Connection) {
        self.evicted.evicted(other);
    }
}

/// An expectation as a newcomer to the table.
pub struct Expected<'a> {
    /// The key of the table's hashes.
    pub key: &'a HashKey,
    /// The expectation.
    pub expectation: &'a Expectation,
    /// As of [`First`].
    pub evicted: &'a dyn Evicted,
}

impl Newcomer<Connection> for Expected<'_> {
    fn duplicates(&self, other: &Connection) -> bool {
        other.is_of(self.expectation)
    }

    // As of a template.
    fn hash_apart(&self) -> u32 {
        expectation_hash(self.key, self.expectation)
    }

    fn evicted(&self, other: &Connection) {
        self.evicted.evicted(other);
    }
}
