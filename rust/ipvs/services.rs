// SPDX-License-Identifier: GPL-2.0-only

//! What administrators configure: virtual services, their destinations and schedulers.

pub mod deleted;
pub mod destination;
pub mod filter;
pub mod index;
pub mod pool;
pub mod scheduler;
pub mod service;
pub mod statistics;
