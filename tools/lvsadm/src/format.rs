// SPDX-License-Identifier: GPL-2.0-only

//! Listings.
//!
//! Belongs here: what a listing looks like, one file a kind: `table` and `connections` print what
//! ipvsadm prints to the byte, `save` prints rules, `json` JSON; `order` sorts. Never: asking the
//! director, printing.

pub mod connections;
pub mod doctor;
pub mod fast_path;
pub mod json;
mod labels;
pub mod order;
pub mod save;
pub mod schedulers;
pub mod show;
pub mod sync;
pub mod table;
mod text;

pub use labels::Labels;
pub use text::{daemons, timeouts, versions};

#[cfg(test)]
mod tests;
