// SPDX-License-Identifier: GPL-2.0-only

//! The director in the kernel: virtual services, destinations, connections, the packet path, and
//! its control by generic netlink.
//!
//! Policy belongs here: it combines the decisions of `lvs_core` with the kernel interfaces of
//! `knet`. `unsafe` never belongs here, nor arithmetic or protocol knowledge that could be tested
//! on the host.
//!
//! # Folders
//!
//! The cut is by rate of change: administrators change services, packets and the slow timer change
//! the state, and the path changes nothing but the state. Each part uses only parts below it;
//! `scripts/lint layers` checks that.
//!
//! | part | what happens there |
//! |---|---|
//! | `instance` | a namespace gets a director and its files |
//! | `control` | netlink commands are read, carried out and answered |
//! | `proc` | files below `/proc` are read and written |
//! | `director` | a configuration is changed; the director starts and stops |
//! | `path` | a packet is read, decided and sent |
//! | `sync` | connections are sent to other directors, and taken from them |
//! | `state` | connections, settings, and the tables that packets meet |
//! | `services` | services, destinations, schedulers |
//! | `uapi` | the numbers of the netlink interface |
//!
//! `control` knows `instance`, to find the director of a request; nothing else does.
//!
//! # Locks and RCU
//!
//! One configuration mutex per namespace ([`director::Director`]) orders all commands. Packets
//! take no lock, except that of a shard of the connection table when a connection begins or ends
//! or its timeout becomes shorter. They read services, pools of destinations and timeouts under
//! RCU.
//!
//! # Teardown
//!
//! The fields of [`Ipvs`] are dropped in order. The netlink families go first, so that no command
//! arrives (before the namespaces have their instances, commands get ENODEV). Then each namespace's
//! instance drops its files, retires its services, and drops its hooks (which waits until no packet
//! is inside), its ticker and its connections. The slab cache goes last, when other directors may
//! be loaded again and all RCU callbacks are done.

#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod control;
pub mod director;
mod instance;
mod path;
mod proc;
pub mod services;
pub mod state;
mod sync;
mod uapi;

use kernel::{prelude::*, ThisModule};
pub use knet::netlink::Administrators;
use knet::{module, namespace, netlink, table};

/// Prefix of what this crate prints (only the root crate of a module gets one by `module!`).
const __LOG_PREFIX: &[u8] = b"ipvs_rs\0";

/// All of IPVS, alive as long as this value is.
pub struct Ipvs {
    _extension: netlink::Registration<control::Extension>,
    _family: netlink::Registration<control::Control>,
    _namespaces: namespace::Registration<instance::Instance>,
    _refusal: module::Refusal,
    _cache: table::Cache,
}

impl Ipvs {
    /// Brings the director up in all network namespaces; [`EEXIST`] when another module is one.
    /// Process context.
    pub fn new(module: &'static ThisModule, administrators: Administrators) -> Result<Self> {
        let cache = table::Cache::new([c"ipvs_rs_connection", c"ipvs_rs_aliased"])?;
        // The family's name tells whether there is another director; it comes before the
        // namespaces, whose files would clash with those of the other.
        let family = netlink::Registration::new(module, administrators).inspect_err(|&error| {
            if error == EEXIST {
                pr_err!("cannot load: another module provides IPVS already (unload ip_vs first)\n");
            }
        })?;
        let extension = netlink::Registration::new(module, administrators)?;
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
