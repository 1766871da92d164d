// SPDX-License-Identifier: GPL-2.0-only

//! Argument list → [`Command`].

use std::ffi::OsString;

use super::command::{Command, Listing, Subject, View};
use super::convert::{Options, Source};
use super::{convert, definition, hints, readers, rules};
use crate::error::Error;
use crate::names::Names;

/// Reads argument lists. Building a parser takes longer than using it, so many lines share one.
pub struct Parser<'a> {
    options: clap::Command,
    names: &'a dyn Names,
}

impl<'a> Parser<'a> {
    /// A parser for command lines.
    #[must_use]
    pub fn new(names: &'a dyn Names) -> Self {
        Self {
            options: definition::command(),
            names,
        }
    }

    /// A parser for lines of rules. It is faster, and has no subcommands.
    #[must_use]
    pub fn of_lines(names: &'a dyn Names) -> Self {
        Self {
            options: definition::of_rules(),
            names,
        }
    }

    /// Reads an argument list that begins with the program's name. Without any argument it lists
    /// the table.
    ///
    /// # Errors
    ///
    /// [`Error::Clap`] and [`Error::Usage`].
    pub fn parse<I, T>(&mut self, arguments: I) -> Result<Command, Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        self.parse_from(arguments, Source::CommandLine)
    }

    /// Reads a line of saved rules, as [`Parser::parse`] does, but without suspicion.
    ///
    /// # Errors
    ///
    /// As [`Parser::parse`].
    pub fn parse_rule<I, T>(&mut self, arguments: I) -> Result<Command, Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        self.parse_from(arguments, Source::Rules)
    }

    fn parse_from<I, T>(&mut self, arguments: I, source: Source) -> Result<Command, Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        if arguments.len() <= 1 {
            return Ok(Command::List(Listing {
                subject: Subject::Table(None),
                view: View::default(),
                json: false,
            }));
        }
        let matches =
            self.options.try_get_matches_from_mut(&arguments).map_err(
                |error| match hints::about(&error, &arguments, &self.options) {
                    Some(words) => Error::Usage(words),
                    None => Error::Clap(Box::new(error)),
                },
            )?;
        if let Some((name, matches)) = matches.subcommand() {
            let names = self.names;
            return readers::read(name, &Options { matches, names });
        }
        let verb = rules::check(&matches)?;
        convert::command(verb, &matches, self.names, source)
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
