// SPDX-License-Identifier: GPL-2.0-only

//! Safe wrappers over kernel interfaces that the `kernel` crate lacks.
//!
//! This crate contains all `unsafe` code: packets, netfilter hooks, namespaces, generic netlink,
//! routes, tunnels, slab caches, per-CPU counters, RCU-protected data, the connection hash and its
//! slow timer, deferred work, sockets, authentication codes, files below `/proc/net` and
//! `/proc/sys`. It contains neither decisions of a director (`lvs_core`) nor virtual services
//! (`ipvs`). `scripts/layers` lists the modules of `lvs_core` that it may use.
//!
//! Atomics are those of `core`, for words that only Rust accesses: on the architectures that we
//! support they compile to the same instructions as the kernel's, while `kernel::sync::atomic`
//! costs a function call for each access on kernels that do not inline helpers. Words that C
//! accesses, too, are accessed by C only ([`route::RouteCache`]).
//!
//! # Context
//!
//! Each item documents its context: process context (may sleep), softirq, or both. A function
//! that reads RCU-protected data takes a [`rcu::Section`] as evidence.
//!
//! # Lock order
//!
//! 1. The mutex of a namespace's synchronization daemons, in `ipvs`.
//! 2. The kernel's RTNL, held by its callers of [`namespace::Instance::device_gone`] and
//!    [`namespace::Instance::device_removed`], taken by [`socket`] to join and leave groups and by
//!    [`xdp::batch::Queue`] to end, and tried by that and by [`ingress::Rtnl`]. It is not taken
//!    under the locks below.
//! 3. The other mutexes of `ipvs`, in process context: the configuration of a namespace, then that
//!    of a service's scheduler, of the hooks, or of the deleted destinations;
//!    then that of the devices with hooks.
//! 4. [`lock::BhLock`], among them the shards of a [`table::Table`]: spinlocks taken with bottom
//!    halves disabled. They are never nested in each other.
//!
//! All [`lock::Global`] data has one mutex (process context). No lock is taken inside it, and it is
//! not taken while a configuration is locked, since its holder may be loading a module.

#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod bindings;
pub mod conntrack;
pub mod counters;
pub mod crypto;
pub mod errno;
pub mod hook;
pub mod ingress;
pub mod lock;
pub mod memory;
pub mod module;
pub mod namespace;
pub mod net;
pub mod netlink;
pub mod packet;
pub mod parameter;
mod point;
pub mod procfs;
pub mod random;
pub mod rcu;
pub mod route;
pub mod socket;
pub mod sysctl;
pub mod table;
pub mod trace;
pub mod work;
pub mod xdp;
