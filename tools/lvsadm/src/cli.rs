// SPDX-License-Identifier: GPL-2.0-only

//! Argument lists → [`Command`].
//!
//! Belongs here: the options (`options`, `subcommands`), which of them go together (`rules`), and
//! the typed command (`command`) that `convert` builds from them. Never: carrying a command out.

mod command;
mod convert;
pub mod definition;
mod feedback;
mod geo;
mod hints;
mod options;
mod parser;
mod readers;
mod rules;
mod subcommands;
mod sync;

pub use command::{
    Columns, Command, DrainOptions, Feedback, Geo, Listing, Merge, RealServerAction, ServerMerge,
    ServiceFilter, ServiceMerge, Subject, Sync, Target, View,
};
pub use parser::{parse, Parser};
pub use subcommands::SCHEMAS;

#[cfg(test)]
mod tests;
