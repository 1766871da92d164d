// SPDX-License-Identifier: GPL-2.0-only

//! Services without connection entries: every packet of a client's goes where the scheduler says, which says
//! the same to every director with the same servers.
//!
//! Servers answer past the director: by direct routing or a tunnel, or as this host. Since nothing is
//! remembered, nothing is counted as a connection, so there are neither thresholds nor persistence.

use crate::{
    path::{forward::Target, is_beginning, schedule::flow, Path},
    services::{
        destination::{self, Forwarding},
        pool::Pool,
        scheduler::Bound,
        service::Settings,
    },
    uapi::service::{F_ONE_PACKET, F_PERSISTENT, F_STATELESS},
};
use knet::{
    hook::Point,
    packet::{Packet, Verdict, Version},
    rcu::Section,
};
use lvs_core::packet;

/// Whether a service with these settings has no connection entries.
pub(crate) fn is_stateless(settings: &Settings, scheduler: &Bound) -> bool {
    settings.flags & F_STATELESS != 0 && scheduler.instance.may_be_stateless()
}

/// Whether a service without connection entries may have these settings.
pub(crate) fn allows(settings: &Settings) -> bool {
    settings.flags & (F_PERSISTENT | F_ONE_PACKET) == 0
}

/// Whether it may have such a destination.
pub(crate) fn allows_destination(settings: &destination::Settings) -> bool {
    settings.forwarding != Forwarding::Masquerading && settings.upper_threshold == 0
}

impl Path {
    /// Sends a client's packet to the server that the scheduler has for the client, at LOCAL_IN.
    #[inline(never)]
    pub(crate) fn dispatch<'p, V: Version>(
        &self,
        section: &Section<'_>,
        packet: Packet<'p, V>,
        headers: &packet::Headers,
        pool: &Pool,
        settings: &Settings,
    ) -> Verdict<'p> {
        let Some(target) = choose(pool, settings, headers) else {
            return packet.refuse();
        };
        // All that there is to see of a connection is that of TCP one began.
        if is_beginning(headers.tcp_flags) {
            target.destination.statistics.live.connection();
        }
        self.transmit(section, Point::LocalIn, packet, headers, target)
    }

    /// Where a client's packet with these headers goes, if it is for such a service.
    pub(crate) fn stateless_target<'a>(
        &self,
        section: &'a Section<'_>,
        mark: u32,
        headers: &packet::Headers,
    ) -> Option<Target<'a>> {
        let (family, protocol) = (headers.family, headers.protocol);
        let service =
            self.services
                .for_packet(section, mark, family, protocol, headers.destination)?;
        choose(
            service.stateless_pool(section)?,
            &service.settings(),
            headers,
        )
    }
}

fn choose<'a>(
    pool: &'a Pool,
    settings: &Settings,
    headers: &packet::Headers,
) -> Option<Target<'a>> {
    let server = pool.select(&flow(settings, headers))?;
    Some(Target::new(server, headers))
}
