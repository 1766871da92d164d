// SPDX-License-Identifier: GPL-2.0-only

//! Netfilter's connection tracking.
//!
//! C header: `include/net/netfilter/nf_conntrack.h`

use crate::{bindings, net::Net, route::raw};
use lvs_core::{Endpoint, Protocol};

/// Ends conntrack's entry, in its default zone, of the packets that `client` sends to `service`,
/// and of the replies to them. Any context.
pub fn end(net: &Net, protocol: Protocol, client: Endpoint, service: Endpoint) {
    let flow = bindings::knet_tracked {
        client: raw(client.address),
        service: raw(service.address),
        client_port: client.port.to_be(),
        service_port: service.port.to_be(),
        family: client.address.family() as i32,
        protocol: protocol as u8,
    };
    // SAFETY: the namespace is alive by the invariant of `Net`.
    unsafe { bindings::knet_end_tracking(net.as_ptr(), &flow) };
}
