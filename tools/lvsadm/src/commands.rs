// SPDX-License-Identifier: GPL-2.0-only

//! The subcommands for people, one file for each group of them.
//!
//! Belongs here: what a subcommand asks of a director and answers. Never: options, the terminal.

pub mod apply;
pub mod drain;
pub mod monitor;
pub mod set;
pub mod show;
pub mod sync;
pub mod transfer;
