// SPDX-License-Identifier: GPL-2.0-only

//! The director in the kernel: virtual services, destinations, connections, the packet path, and
//! its control by generic netlink.
//!
//! Here belongs policy, put together from what `lvs_core` decides and what `knet` offers. What
//! never belongs here: `unsafe`, and arithmetic or protocol knowledge that could be tested on the
//! host.
//!
//! # Locks and RCU
//!
//! One configuration mutex per namespace ([`director::Director`]) orders all commands. Packets
//! take no lock except a shard of the connection table when a connection begins or ends or its
//! timeout shortens; services, their pools of destinations and the timeouts are read under RCU.
//!
//! # Teardown
//!
//! The fields of [`Ipvs`] are dropped in order: first the netlink families, so that no command
//! arrives (until the namespaces are there, commands are answered with ENODEV); then the
//! namespaces' instances, each of which retires its services and then drops its file, its hooks
//! (which waits until no packet is inside), its ticker, and its connections; then, when other
//! directors may be loaded again and all RCU callbacks are done, the slab cache.

#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod control;
pub mod director;
pub mod path;
mod proc;
pub mod services;
pub mod state;
mod uapi;

use kernel::{prelude::*, ThisModule};
use knet::{module, namespace, netlink, table};

/// Prefix of what this crate prints (only the root crate of a module gets one by `module!`).
const __LOG_PREFIX: &[u8] = b"ipvs_rs\0";

/// All of IPVS, alive as long as this value is.
pub struct Ipvs {
    _extension: netlink::Registration<control::Extension>,
    _family: netlink::Registration<control::Control>,
    _namespaces: namespace::Registration<director::Director>,
    _refusal: module::Refusal,
    _cache: table::Cache,
}

impl Ipvs {
    /// Brings the director up in all network namespaces; [`EEXIST`] when another module is one.
    /// Process context.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let cache = table::Cache::new(c"ipvs_rs_connection")?;
        // The family's name tells whether there is another director; it comes before the
        // namespaces, whose files would clash with those of the other.
        let family = netlink::Registration::new(module).inspect_err(|&error| {
            if error == EEXIST {
                pr_err!("cannot load: another module provides IPVS already (unload ip_vs first)\n");
            }
        })?;
        let extension = netlink::Registration::new(module)?;
        let refusal = module::Refusal::new(c"ip_vs")?;
        let namespaces = namespace::Registration::new()?;
        pr_info!("version {} loaded\n", env!("CARGO_PKG_VERSION"));
        Ok(Self {
            _extension: extension,
            _family: family,
            _namespaces: namespaces,
            _refusal: refusal,
            _cache: cache,
        })
    }
}
