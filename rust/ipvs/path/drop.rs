// SPDX-License-Identifier: GPL-2.0-only

//! Counts dropped packets, and reports them to the kernel's log and to tracers.
//!
//! Every packet that the director drops on purpose comes here: what a service, a destination or
//! the path refuses. `Documentation/drops.rst` has the view of administrators.

use crate::{
    path::context::Context,
    services::{destination::Destination, service::Service},
    state::connection::Connection,
};
use core::fmt;
use kernel::{prelude::*, sync::Arc};
use knet::{trace, work};
use lvs_core::{drop::Reason, packet::Headers, scheduler::Destination as _, Endpoint, Protocol};

/// What is known of a dropped packet.
pub(crate) struct Dropped<'a> {
    protocol: Protocol,
    mark: u32,
    client: Endpoint,
    virtual_endpoint: Endpoint,
    server: Option<Endpoint>,
    service: Option<&'a Service>,
    destination: Option<&'a Destination>,
}

impl<'a> Dropped<'a> {
    /// A client's packet of no connection, for `service`. `destination` was chosen for it.
    pub(crate) fn for_service(
        service: &'a Service,
        destination: Option<&'a Destination>,
        headers: &Headers,
    ) -> Self {
        Self {
            protocol: headers.protocol,
            mark: service.key.mark(),
            client: headers.source,
            virtual_endpoint: headers.destination,
            server: destination.map(|server| server.reached_at(headers.destination.port)),
            service: Some(service),
            destination,
        }
    }

    /// A client's packet, which was on its way to `server`.
    pub(crate) fn to_server(
        destination: &'a Destination,
        server: Endpoint,
        headers: &Headers,
    ) -> Self {
        Self {
            protocol: headers.protocol,
            mark: 0,
            client: headers.source,
            virtual_endpoint: headers.destination,
            server: Some(server),
            service: None,
            destination: Some(destination),
        }
    }

    /// A server's packet, which was on its way to the client of `connection`.
    pub(crate) fn to_client(connection: &'a Connection, headers: &Headers) -> Self {
        Self {
            protocol: headers.protocol,
            mark: 0,
            client: connection.client(),
            virtual_endpoint: connection.virtual_endpoint(),
            server: Some(connection.server()),
            service: None,
            destination: Some(connection.destination()),
        }
    }

    /// Counts it, and reports it to tracers and to the kernel's log. Softirq.
    #[cold]
    #[inline(never)]
    pub(crate) fn count(&self, context: Context<'_>, reason: Reason) {
        let tables = context.tables;
        tables.drops.count(reason);
        // A service's counts are its own and those of its destinations.
        let drops = match (self.destination, self.service) {
            (Some(destination), _) => &destination.statistics.drops,
            (None, Some(service)) => &service.drops,
            (None, None) => &tables.drops,
        };
        if self.destination.is_some() || self.service.is_some() {
            drops.count(reason);
        }
        trace::drop(reason.name(), || trace::Flow {
            net: tables.namespace,
            protocol: self.protocol as u8,
            mark: self.mark,
            client: self.client,
            service: self.virtual_endpoint,
            server: self.server,
        });
        if reason.is_logged() && drops.may_log(reason, work::seconds()) && trace::may_log() {
            // Of what has a format of its own, the kernel's macro takes such arguments only.
            pr_warn!(
                "{}\n",
                format_args!(
                    "{self}: packet dropped: {} ({} so far){}",
                    reason.explanation(),
                    drops.get(reason),
                    Namespace(tables.namespace),
                )
            );
        }
    }
}

impl fmt::Display for Dropped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service {
            Some(service) => write!(f, "service {}", service.key)?,
            None => write!(
                f,
                "service {} {}",
                self.protocol.name(),
                self.virtual_endpoint
            )?,
        }
        match self.server {
            Some(server) => write!(f, ", server {server}"),
            None => Ok(()),
        }
    }
}

/// Names a namespace that is not the initial one.
struct Namespace(u32);

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            number => write!(f, " in net:[{number}]"),
        }
    }
}

/// A destination that would take new connections, except for its upper threshold, if the service
/// has one. In that case the service is overloaded, not empty.
pub(crate) fn overloaded<'a>(
    context: Context<'a>,
    service: &'a Service,
) -> Option<&'a Arc<Destination>> {
    let destinations = &service.pool(context.section)?.destinations;
    let mut waiting = destinations.iter().filter(|server| server.weight() != 0);
    waiting.find(|server| server.overloaded())
}
