// SPDX-License-Identifier: GPL-2.0-only

//! Safe wrappers over what the kernel's own `kernel` crate lacks.
//!
//! Here belongs: everything `unsafe`, namely packets, netfilter hooks, network namespaces, generic
//! netlink, routes, tunnels, slab caches, per-CPU counters, RCU-protected data, the connection hash
//! and its slow timer, deferred work, files below `/proc/net` and `/proc/sys`. What never belongs
//! here: what a director decides (that is `lvs_core`), or what a virtual service is (that is
//! `ipvs`). Nothing here depends on either, but for addresses, where they lie in a header, kinds of
//! tunnels, and the table's algorithm (`lvs_core::split_order`), which stands where a model of it
//! can run.
//!
//! Atomics are those of `core`: on the architectures that we support they compile to the same
//! instructions as the kernel's, while `kernel::sync::atomic` costs a function call for each
//! access on kernels that do not inline helpers.
//!
//! # Context
//!
//! Each item says where it may be called: process context (may sleep), softirq, or both. Whatever
//! reads RCU-protected data takes a [`rcu::Section`] as evidence.
//!
//! # Lock order
//!
//! 1. The kernel's RTNL, which a call about a device comes with ([`namespace::Instance`]). Nobody
//!    takes it under the others.
//! 2. `ipvs`'s mutexes, from process context: the configuration of a namespace, then that of a
//!    service's scheduler, or that of the deleted destinations.
//! 3. [`lock::BhLock`], among them the shards of a [`table::Table`]: spinlocks taken with bottom
//!    halves off. They are never nested in each other.
//!
//! [`lock::Global`] data has one mutex for all (process context); nothing is locked inside it, and
//! it is not taken while a configuration is locked, since who holds it may be loading a module.

#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod bindings;
pub mod counters;
pub mod errno;
pub mod hook;
pub mod lock;
pub mod memory;
pub mod module;
pub mod namespace;
pub mod net;
pub mod netlink;
pub mod packet;
mod point;
pub mod procfs;
pub mod random;
pub mod rcu;
pub mod route;
pub mod sysctl;
pub mod table;
mod wheel;
pub mod work;
