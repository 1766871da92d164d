// SPDX-License-Identifier: GPL-2.0-only

//! `lvsadm`: the administrator's command of the Linux Virtual Server.
//!
//! | module | subject |
//! |---|---|
//! | [`model`] | services, destinations, statistics, schedulers |
//! | [`parse`] | the text of single arguments: endpoints, numbers, masks, flags |
//! | [`names`] | host and port names, both ways |
//! | [`cli`] | options and subcommands; argument list → [`cli::Command`] |
//! | [`restore`] | rules from standard input → changes |
//! | [`netlink`] | the wire format of the generic netlink families |
//! | [`client`] | the [`client::Director`] trait and its netlink implementation |
//! | [`connections`] | the kernel's connection listing in /proc |
//! | [`tally`] | connections counted in groups |
//! | [`advice`] | remarks about a change |
//! | [`desired`], [`plan`] | the table that a file asks for, and the way to it |
//! | [`merge`] | edits that keep what they do not name |
//! | [`host`], [`report`] | the host's network; states and warnings |
//! | [`realserver`] | what a real server needs |
//! | [`geo`] | tables of regions |
//! | [`top`] | services and servers on the full screen |
//! | [`metrics`] | statistics in the OpenMetrics format |
//! | [`doctor`] | looks for mistakes of the configuration |
//! | [`commands`] | the subcommands for people |
//! | [`format`](mod@format) | listings: text, rules, JSON |
//! | [`error`] | errors as sentences; exit codes |
//! | [`schema`] | JSON schemas of what subcommands print |
//! | [`run`] | carries a command out |
//! | [`xdp`] | the XDP program and its devices |
//! | [`completion`], [`generate`] | shell completion and the manual page |
//!
//! Modules use each other in one direction: `run` → `commands` →
//! `cli`/`client`/`format` → `netlink`/`parse`/`names` → `model`. Only `run` writes to the
//! terminal, and only `client` and `netlink` know netlink.

// The command does not panic, whatever it reads.
#![warn(clippy::cast_possible_truncation)]
#![warn(clippy::expect_used)]
#![warn(clippy::indexing_slicing)]
#![warn(clippy::panic)]
#![warn(clippy::unwrap_used)]

pub mod advice;
pub mod cli;
pub mod client;
pub mod commands;
pub mod completion;
pub mod connections;
pub mod desired;
pub mod doctor;
pub mod error;
pub mod feedback;
pub mod format;
pub mod generate;
pub mod geo;
pub mod host;
pub mod merge;
pub mod metrics;
pub mod model;
pub mod names;
pub mod netlink;
pub mod parse;
pub mod plan;
pub mod realserver;
pub mod report;
pub mod restore;
pub mod run;
pub mod schema;
pub mod tally;
pub mod top;
pub mod xdp;

pub use run::main;
