// SPDX-License-Identifier: GPL-2.0-only

//! The real server that a client's packet goes to, and the route to it.

use crate::{
    services::destination::{Destination, Forwarding},
    state::{
        connection::Connection,
        settings::{Settings, MARKED_REQUESTS},
    },
};
use core::sync::atomic::Ordering;
use knet::route::Route;
use lvs_core::{packet::Headers, Endpoint};

/// Where a client's packet goes, and how.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) forwarding: Forwarding,
    /// The real server's address and port.
    pub(crate) server: Endpoint,
    /// The connection, which has the route of packets without a server.
    pub(crate) connection: Option<&'a Connection>,
}

impl<'a> Target<'a> {
    /// The target of a packet with these headers, if it goes to `destination`.
    pub(crate) fn new(destination: &'a Destination, headers: &Headers) -> Self {
        Self {
            destination,
            forwarding: destination.forwarding(),
            server: destination.reached_at(headers.destination.port),
            connection: None,
        }
    }

    /// The target of a connection's client.
    #[inline(always)]
    pub(crate) fn of(connection: &'a Connection) -> Self {
        Self {
            destination: connection.destination(),
            forwarding: connection.forwarding(),
            server: connection.server(),
            connection: Some(connection),
        }
    }

    /// The route to the server, by the forwarding method, for a packet with this mark. `None`: this
    /// host is the server.
    #[inline(always)]
    pub(crate) fn route(&self, settings: &Settings, mark: u32) -> Option<Route<'a>> {
        let server = self.server.address;
        // The frequent methods first, with one test each.
        let route = if self.forwarding.rewrites() {
            self.destination.route(self.server)
        } else if self.forwarding == Forwarding::DirectRouting {
            self.destination.direct_route(server)
        } else if self.forwarding == Forwarding::Tunneling {
            let ignore_df = !settings.pmtu_disc.load(Ordering::Relaxed);
            self.destination.tunnel_route(server, ignore_df)
        } else {
            return unusual_route(self.forwarding, self.connection);
        };
        Some(route.by_mark(settings.routing_mark(MARKED_REQUESTS, mark)))
    }
}

/// The route without a server, if there is one: without the packet's mark, by which it came to the
/// service.
#[cold]
fn unusual_route<'a>(
    forwarding: Forwarding,
    connection: Option<&'a Connection>,
) -> Option<Route<'a>> {
    match forwarding {
        Forwarding::Bypass => connection.map(Connection::bypass_route),
        _ => None,
    }
}
