// SPDX-License-Identifier: GPL-2.0-only

//! Argument list → [`Command`].

use std::ffi::OsString;

use super::command::{Command, Listing, Subject, View};
use super::{convert, options, rules};
use crate::error::Error;
use crate::names::Names;

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
