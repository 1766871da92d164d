// SPDX-License-Identifier: GPL-2.0-only

//! The world of the 2003 report "Implementation, Simulation of Linux Virtual Server in ns-2":
//! clients with links of their own, a director and servers on a shared LAN.
//!
//! Agents take no time, as in ns-2. The link layer takes a millisecond at the sender and another at
//! the receiver. Packets are 500 octets, and all clients send in the same instant.

pub mod comparison;
pub mod figures;
mod mac;
mod oracle;
mod outcome;
pub mod recipes;
mod setup;
mod switch;
mod world;

pub use outcome::{LanOutcome, LanPeriod};
pub use setup::{LanSetup, Method, Sending, Topology};
use world::World;

/// Runs the model once.
///
/// # Panics
///
/// When there is no scheduler of that name.
#[must_use]
pub fn run(setup: &LanSetup) -> LanOutcome {
    World::new(setup).run()
}

#[cfg(test)]
mod tests;
