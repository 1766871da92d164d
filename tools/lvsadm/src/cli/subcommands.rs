// SPDX-License-Identifier: GPL-2.0-only

//! The subcommands: their options, and the typed commands they stand for.

use clap::{Arg, ArgAction, Command as Definition};

use super::command::{Command, Listing, Subject, View};
use super::convert::Options;
use super::options;
use super::rules;
use crate::error::Error;

/// Reads the options of one subcommand.
type Reader = fn(&Options<'_>) -> Result<Command, Error>;

const READERS: [(&str, Reader); 2] = [("connections", connections), ("schedulers", schedulers)];

/// The definitions of the subcommands.
pub(super) fn definitions() -> Vec<Definition> {
    vec![
        command(
            "connections",
            "List connections, or those of a service, a server, a client (same as -L -c)",
            "lvsadm connections -n -t 192.0.2.1:80\n  \
             lvsadm connections -n --client 198.51.100.0/24 --json",
        )
        .args(
            options::services()
                .into_iter()
                .filter(|arg| arg.get_id() != "ipv6"),
        )
        .args(
            options::server_options()
                .into_iter()
                .filter(|arg| arg.get_id() == "real-server"),
        )
        .args(options::listing_options().into_iter().filter(|arg| {
            let kept = [
                "numeric",
                "client",
                "persistent-conn",
                "json",
                "sort",
                "exact",
            ];
            kept.contains(&arg.get_id().as_str())
        })),
        command(
            "schedulers",
            "List the schedulers, their flags, and when to choose which",
            "lvsadm schedulers\n  lvsadm schedulers --json",
        )
        .arg(json()),
    ]
}

/// Reads the options of a subcommand.
pub(super) fn read(name: &str, options: &Options<'_>) -> Result<Command, Error> {
    READERS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Error::Usage(format!("there is no subcommand {name}")))
        .and_then(|(_, reader)| reader(options))
}

fn command(name: &'static str, about: &'static str, examples: &'static str) -> Definition {
    Definition::new(name)
        .about(about)
        .after_help(format!("Examples:\n  {examples}"))
        .disable_help_subcommand(true)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn json() -> Arg {
    flag("json", "Print JSON")
}

fn connections(options: &Options<'_>) -> Result<Command, Error> {
    rules::at_most_one(options.matches, rules::SERVICES)?;
    Ok(Command::List(Listing {
        subject: Subject::Connections(options.filter()?),
        view: View {
            numeric: options.given("numeric"),
            engine_data: options.given("persistent-conn"),
            ..View::default()
        },
        json: options.given("json"),
    }))
}

fn schedulers(options: &Options<'_>) -> Result<Command, Error> {
    Ok(Command::Schedulers {
        json: options.given("json"),
    })
}
