// SPDX-License-Identifier: GPL-2.0-only

//! What a director remembers: connections and settings, and the tables that packets meet.
//!
//! It depends on [`services`](crate::services) only. The steps that a packet takes over the tables
//! are in `path`; here is only what the slow timer does to them.

pub(crate) mod announcements;
pub mod connection;
pub mod defence;
pub mod keyring;
pub(crate) mod listing;
pub mod peers;
pub mod settings;
pub(crate) mod synchronization;
pub mod tables;
mod upkeep;
