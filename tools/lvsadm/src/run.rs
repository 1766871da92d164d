// SPDX-License-Identifier: GPL-2.0-only

//! Carries a command out.
//!
//! Belongs here: the order of things, reading standard input, writing to the terminal. Never: what a
//! listing looks like or an error says.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::cli::{self, Command, Listing, Subject, View};
use crate::client::{Director, Kernel};
use crate::error::Error;
use crate::format::{self, Group, Labels, Table};
use crate::model::ServiceEntry;
use crate::names::{Names, System};
use crate::{connections, generate, restore};

/// The whole command: arguments in, exit code out.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                // Help and version, on standard output.
                Error::Clap(help) if !help.use_stderr() => {
                    help.print().ok();
                }
                Error::Clap(_) => eprintln!("lvsadm: {error} (lvsadm --help tells the options)"),
                other => eprintln!("lvsadm: {other}"),
            }
            error.exit_code()
        }
    }
}

fn execute(arguments: impl Iterator<Item = OsString>) -> Result<(), Error> {
    let names = System::default();
    let command = cli::parse(arguments, &names)?;
    let text = match command {
        Command::Completions(shell) => generate::completions(shell),
        Command::Manual => generate::manual().map_err(|error| output(&error))?,
        Command::Restore => {
            let rules = restore::parse(&standard_input()?, &names)?;
            for rule in &rules {
                note(&format!("line {}: ", rule.line), &rule.notes);
            }
            restore::apply(&rules, &mut Kernel::open()?)?;
            Vec::new()
        }
        Command::Change { change, notes } => {
            note("", &notes);
            Kernel::open()?.change(&change)?;
            Vec::new()
        }
        Command::List(listing) => list(&mut Kernel::open()?, &listing, &names)?.into_bytes(),
        Command::Save(view) => {
            let table = collect(&mut Kernel::open()?, &Subject::Table(None), &view)?;
            format::save::rules(&table, &labels(&view, &names)).into_bytes()
        }
    };
    print(&text)
}

fn note(prefix: &str, notes: &[String]) {
    for note in notes {
        eprintln!("lvsadm: note: {prefix}{note}");
    }
}

fn standard_input() -> Result<String, Error> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| {
        Error::Failed(format!(
            "cannot read the rules from standard input: {error}"
        ))
    })?;
    Ok(text)
}

/// Prints all at once. A reader that has seen enough (`lvsadm -L | head`) is no failure.
fn print(text: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(output(&error)),
        _ => Ok(()),
    }
}

fn output(error: &io::Error) -> Error {
    Error::Failed(format!("cannot write to standard output: {error}"))
}

fn labels<'a>(view: &View, names: &'a dyn Names) -> Labels<'a> {
    if view.numeric {
        Labels::numeric()
    } else {
        Labels::named(names)
    }
}

/// The text of a listing.
///
/// # Errors
///
/// When the director gives no answer.
pub fn list(
    director: &mut dyn Director,
    listing: &Listing,
    names: &dyn Names,
) -> Result<String, Error> {
    let view = &listing.view;
    let labels = labels(view, names);
    Ok(match &listing.subject {
        Subject::Table(_) => {
            let table = collect(director, &listing.subject, view)?;
            if listing.json {
                format::json::table(&table)
            } else {
                format::table::table(&table, view, &labels)
            }
        }
        Subject::Timeouts => {
            let timeouts = director.timeouts()?;
            if listing.json {
                format::json::timeouts(&timeouts)
            } else {
                format::timeouts(&timeouts)
            }
        }
        Subject::Daemons => {
            let daemons = director.daemons()?;
            if listing.json {
                format::json::daemons(&daemons)
            } else {
                format::daemons(&daemons)
            }
        }
        Subject::Connections => {
            let text = std::fs::read_to_string(connections::FILE).map_err(|error| {
                Error::Failed(match error.kind() {
                    io::ErrorKind::NotFound => format!(
                        "cannot list the connections: the kernel module does not offer it (there \
                         is no {})",
                        connections::FILE
                    ),
                    _ => format!(
                        "cannot list the connections: {}: {error}",
                        connections::FILE
                    ),
                })
            })?;
            let list = connections::parse(&text).map_err(Error::Failed)?;
            if listing.json {
                format::json::connections(&list)
            } else {
                format::connections::connections(&list, view.engine_data, &labels)
            }
        }
    })
}

/// Asks for the table, or for one service of it.
fn collect(director: &mut dyn Director, subject: &Subject, view: &View) -> Result<Table, Error> {
    if let Subject::Table(Some(id)) = subject {
        let service = director.service(id)?;
        return Ok(Table {
            info: None,
            groups: vec![group(director, service, view)?],
        });
    }
    Ok(Table {
        info: Some(director.info()?),
        groups: groups(director, view)?,
    })
}

/// All services with their destinations: one dump for the former, one each for the latter.
///
/// # Errors
///
/// When the director gives no answer.
pub fn groups(director: &mut dyn Director, view: &View) -> Result<Vec<Group>, Error> {
    let mut services = director.services()?;
    if view.sorted {
        format::order::sort(&mut services, format::order::services);
    }
    services
        .into_iter()
        .map(|service| group(director, service, view))
        .collect()
}

fn group(director: &mut dyn Director, service: ServiceEntry, view: &View) -> Result<Group, Error> {
    let mut destinations = director.destinations(&service.service.id)?;
    if view.sorted {
        format::order::sort(&mut destinations, format::order::destinations);
    }
    Ok(Group {
        service,
        destinations,
    })
}
