// SPDX-License-Identifier: GPL-2.0-only

//! What a director remembers beside its services: connections, settings, defence policy.

pub mod connection;
pub mod defence;
pub(crate) mod listing;
pub mod settings;
