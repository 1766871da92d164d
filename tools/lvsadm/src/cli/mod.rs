// SPDX-License-Identifier: GPL-2.0-only

//! Argument lists → [`Command`].
//!
//! Belongs here: the options (`options`), which of them go together (`rules`), and the typed command
//! they make (`convert`). Never: carrying a command out.

mod convert;
pub mod options;
mod rules;

use std::ffi::OsString;

use crate::connections::Selection;
use crate::error::Error;
use crate::model::{Change, ServiceId};
use crate::names::Names;

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change one thing. `notes` is what the user should know about it.
    Change {
        /// What to change.
        change: Box<Change>,
        /// Said before it is done.
        notes: Vec<String>,
    },
    /// Show something.
    List(Listing),
    /// Print the rules that make the table as it is.
    Save(View),
    /// Carry out the rules from standard input.
    Restore,
    /// Print a shell's completions.
    Completions(clap_complete::Shell),
    /// Print the manual page.
    Manual,
    /// Print the versions of the command and of the module.
    Version {
        /// As JSON.
        json: bool,
    },
}

/// What to show, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What to show.
    pub subject: Subject,
    /// How to show it.
    pub view: View,
    /// As JSON.
    pub json: bool,
}

/// What to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The table, or one service of it.
    Table(Option<ServiceId>),
    /// Connections.
    Connections(Selection),
    /// The timeouts.
    Timeouts,
    /// The synchronisation daemons.
    Daemons,
}

/// Columns of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding, weight, connections.
    #[default]
    Plain,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds.
    Thresholds,
    /// Persistent connections.
    Persistent,
    /// The plain columns and the tunnel.
    Tunnel,
}

impl Columns {
    /// Whether they are about what services have done.
    #[must_use]
    pub fn has_statistics(self) -> bool {
        matches!(self, Self::Stats | Self::Rate)
    }
}

/// How to show the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which columns.
    pub columns: Columns,
    /// Addresses and ports as numbers.
    pub numeric: bool,
    /// Large figures in full.
    pub exact: bool,
    /// Sorted, not in the kernel's order.
    pub sorted: bool,
    /// Persistence engine data beside connections.
    pub engine_data: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            columns: Columns::Plain,
            numeric: false,
            exact: false,
            sorted: true,
            engine_data: false,
        }
    }
}

/// Reads argument lists. Making one takes longer than using it, so many lines share one.
pub struct Parser<'a> {
    options: clap::Command,
    names: &'a dyn Names,
}

impl<'a> Parser<'a> {
    /// With these names of hosts and ports.
    #[must_use]
    pub fn new(names: &'a dyn Names) -> Self {
        Self {
            options: options::command(),
            names,
        }
    }

    /// For many lines: quicker, but its errors know nothing of help.
    #[must_use]
    pub fn of_lines(names: &'a dyn Names) -> Self {
        Self {
            options: options::without_defaults(),
            names,
        }
    }

    /// Reads an argument list, the program's name first. Without any argument the table is listed.
    ///
    /// # Errors
    ///
    /// [`Error::Clap`] and [`Error::Usage`].
    pub fn parse<I, T>(&mut self, arguments: I) -> Result<Command, Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        // A word for what is a combination of options.
        if arguments.get(1).is_some_and(|word| word == "connections") {
            arguments.splice(1..2, ["--list".into(), "--connection".into()]);
        }
        if arguments.len() <= 1 {
            return Ok(Command::List(Listing {
                subject: Subject::Table(None),
                view: View::default(),
                json: false,
            }));
        }
        let matches = self
            .options
            .try_get_matches_from_mut(arguments)
            .map_err(|error| Error::Clap(Box::new(error)))?;
        let verb = rules::check(&matches)?;
        convert::command(verb, &matches, self.names)
    }
}

/// Reads one argument list: see [`Parser::parse`].
///
/// # Errors
///
/// [`Error::Clap`] and [`Error::Usage`].
pub fn parse<I, T>(arguments: I, names: &dyn Names) -> Result<Command, Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    Parser::new(names).parse(arguments)
}

#[cfg(test)]
mod tests;
