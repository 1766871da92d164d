// SPDX-License-Identifier: GPL-2.0-only

//! The subcommand `geo`, which has subcommands of its own.

use std::net::IpAddr;

use clap::{value_parser, Arg, Command as Definition};

use super::command::{Command, Geo};
use super::convert::Options;
use crate::error::Error;

/// The definition, given how all subcommands are made.
pub(super) fn definition(
    command: fn(&'static str, &'static str, &'static str) -> Definition,
) -> Definition {
    let file = Arg::new("file")
        .value_name("FILE")
        .required(true)
        .value_hint(clap::ValueHint::FilePath)
        .help("Lines \"region NAME NEXT...\" and \"PREFIX,REGION\"; - is standard input");
    command(
        "geo",
        "Check, load and show the table of regions of the scheduler geo",
        "lvsadm geo load /etc/lvs/regions\n  lvsadm geo where 192.0.2.7",
    )
    .subcommand_required(true)
    .subcommand(
        command(
            "check",
            "Check a file, and change nothing",
            "lvsadm geo check /etc/lvs/regions\n  lvsadm geo show | lvsadm geo check -",
        )
        .arg(file.clone()),
    )
    .subcommand(
        command(
            "load",
            "Replace the table by that of a file; a file with a mistake changes nothing",
            "lvsadm geo load /etc/lvs/regions\n  zcat regions.gz | lvsadm geo load -",
        )
        .arg(file),
    )
    .subcommand(command(
        "show",
        "Print the table as a file, with the fewest prefixes",
        "lvsadm geo show\n  lvsadm geo show >regions",
    ))
    .subcommand(command(
        "clear",
        "Remove the table; then all servers are equally near to every client",
        "lvsadm geo clear\n  lvsadm geo show >regions && lvsadm geo clear",
    ))
    .subcommand(
        command(
            "where",
            "Print the region of addresses and the order of their regions",
            "lvsadm geo where 192.0.2.7\n  lvsadm geo where 192.0.2.7 2001:db8::7",
        )
        .arg(
            Arg::new("address")
                .value_name("ADDRESS")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(IpAddr))
                .help("Addresses of clients or servers"),
        ),
    )
}

/// Reads the options.
pub(super) fn read(options: &Options<'_>) -> Result<Command, Error> {
    let unknown = || Error::Usage("geo needs a subcommand (see lvsadm geo --help)".to_owned());
    let (name, matches) = options.matches.subcommand().ok_or_else(unknown)?;
    let file = || {
        let file = matches.try_get_one::<String>("file").ok().flatten();
        file.cloned().unwrap_or_else(|| "-".to_owned())
    };
    Ok(Command::Geo(match name {
        "check" => Geo::Check(file()),
        "load" => Geo::Load(file()),
        "show" => Geo::Show,
        "clear" => Geo::Clear,
        "where" => {
            let addresses = matches.get_many::<IpAddr>("address");
            Geo::Where(addresses.into_iter().flatten().copied().collect())
        }
        _ => return Err(unknown()),
    }))
}
