// SPDX-License-Identifier: GPL-2.0-only

//! What administrators configure: virtual services, their destinations and schedulers.
//!
//! It depends on no other part of the crate. Within: a [`destination`] knows its statistics and
//! its place in the [`filter`]; a [`scheduler`] chooses among destinations; a [`pool`] is the list
//! of destinations that packets see, with its scheduler; a [`service`] changes its pool; the
//! [`index`] finds services. A [`helper`] reads control connections, an
//! [`engine`] tells clients apart that have one address. The table of [`regions`] says which
//! servers are near to a client.

pub mod deleted;
pub mod destination;
pub mod drops;
pub mod engine;
pub mod engine_servers;
pub mod filter;
pub mod helper;
pub mod index;
pub mod nat_servers;
pub mod pool;
pub mod regions;
pub mod scheduler;
pub mod service;
pub mod statistics;
