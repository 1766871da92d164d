// SPDX-License-Identifier: GPL-2.0-only

//! `lvsadm`: the administrator's command of the Linux Virtual Server.
//!
//! | module | subject |
//! |---|---|
//! | [`model`] | services, destinations and statistics as the command thinks of them |
//! | [`parse`] | text of single arguments: endpoints, numbers, masks, flags |
//! | [`names`] | host and port names, both ways |
//! | [`cli`] | options and which of them go together; argument list → [`cli::Command`] |
//! | [`restore`] | rules from standard input → changes |
//! | [`netlink`] | the wire: generic netlink family IPVS, byte for byte |
//! | [`client`] | the [`client::Director`] trait and its netlink implementation |
//! | [`connections`] | the kernel's connection listing in /proc |
//! | [`mod@format`] | listings: text, rules, JSON |
//! | [`error`] | what went wrong, in sentences; exit codes |
//! | [`run`] | carries a command out |
//! | [`generate`] | shell completions and the manual page |
//!
//! Arrows go one way: `run` → `cli`/`client`/`format` → `netlink`/`parse`/`names` → `model`.
//! Nothing here writes to the terminal but `run`, and nothing but `client` and `netlink` knows
//! netlink.

// The command does not panic, whatever it reads.
#![warn(clippy::cast_possible_truncation)]
#![warn(clippy::expect_used)]
#![warn(clippy::indexing_slicing)]
#![warn(clippy::panic)]
#![warn(clippy::unwrap_used)]

pub mod cli;
pub mod client;
pub mod connections;
pub mod error;
pub mod format;
pub mod generate;
pub mod model;
pub mod names;
pub mod netlink;
pub mod parse;
pub mod restore;
pub mod run;

pub use run::main;
