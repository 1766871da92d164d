// SPDX-License-Identifier: GPL-2.0-only

//! The connection to a director.
//!
//! Belongs here: the trait [`Director`], its netlink implementation, and a director in memory for
//! tests. Never: bytes, text, options.

mod director;
mod kernel;
#[cfg(test)]
pub mod memory;
mod regions;
mod synchronization;

pub use director::Director;
pub use kernel::{module, Events, Kernel};
