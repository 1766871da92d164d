// SPDX-License-Identifier: GPL-2.0-only

//! The subcommand `sync`, which has subcommands of its own.

use std::net::IpAddr;
use std::time::Duration;

use clap::{value_parser, Arg, Command as Definition};

use super::command::{Command, Sync};
use super::convert::Options;
use crate::error::Error;

/// The definition, given how all subcommands are made.
pub(super) fn definition(
    command: fn(&'static str, &'static str, &'static str) -> Definition,
    json: fn() -> Arg,
    duration: fn(&str) -> Result<Duration, String>,
) -> Definition {
    let key = Arg::new("id")
        .value_name("ID")
        .value_parser(value_parser!(u8));
    let keys = command(
        "key",
        "Set or delete a key that signs synchronization datagrams",
        "lvsadm sync key set /etc/lvs.key --id 1\n  lvsadm sync key delete 1",
    )
    .subcommand_required(true)
    .subcommand(
        command(
            "set",
            "Add a key; the older one of two signs, and both are accepted",
            "lvsadm sync key set /etc/lvs.key\n  lvsadm sync key set - --id 2 <new.key",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .value_hint(clap::ValueHint::FilePath)
                .help("32 octets, or 64 hexadecimal digits; - is standard input"),
        )
        .arg(
            key.clone()
                .long("id")
                .default_value("0")
                .help("The identifier of the key, the same on all directors"),
        ),
    )
    .subcommand(
        command(
            "delete",
            "Delete a key; without any key, datagrams are neither signed nor checked",
            "lvsadm sync key delete 0\n  lvsadm sync key delete 2",
        )
        .arg(key.required(true).help("The identifier of the key")),
    );
    command(
        "sync",
        "Show and steer the synchronization of connections with other directors",
        "lvsadm sync status --wait 10s\n  lvsadm sync resync",
    )
    .subcommand_required(true)
    .subcommand(
        command(
            "status",
            "Show whether the director could take over; exit status 0: ready, 3: joining, 1: off",
            "lvsadm sync status --wait 10s\n  lvsadm sync status --json",
        )
        .arg(
            Arg::new("wait")
                .long("wait")
                .value_name("TIME")
                .value_parser(duration)
                .help("Wait this long (30, 30s, 5m, 1h) until the director is ready"),
        )
        .arg(json()),
    )
    .subcommand(command(
        "resync",
        "Send the whole table now (master), or ask for it (backup)",
        "lvsadm sync resync\n  lvsadm sync resync && lvsadm sync status --wait 10s",
    ))
    .subcommand(command(
        "save",
        "Write all connections to standard output, for another director of this host",
        "lvsadm sync save >connections\n  /usr/lib/ipvs_rs/replace",
    ))
    .subcommand(command(
        "load",
        "Read connections from standard input, and give them to the director",
        "lvsadm sync load <connections\n  /usr/lib/ipvs_rs/replace",
    ))
    .subcommand(keys)
    .subcommand(peers(command))
}

fn peers(command: fn(&'static str, &'static str, &'static str) -> Definition) -> Definition {
    let address = Arg::new("address")
        .value_name("ADDRESS")
        .required(true)
        .value_parser(value_parser!(IpAddr))
        .help("The address of another director, from which its datagrams come, too");
    command(
        "peers",
        "Choose the directors to synchronize with, where there is no multicast",
        "lvsadm sync peers add 192.0.2.7\n  lvsadm sync peers list",
    )
    .subcommand_required(true)
    .subcommand(
        command(
            "add",
            "Send to this director, not to the multicast group, and take datagrams of peers only",
            "lvsadm sync peers add 192.0.2.7\n  lvsadm sync peers add 2001:db8::7",
        )
        .arg(address.clone()),
    )
    .subcommand(
        command(
            "del",
            "Delete a peer",
            "lvsadm sync peers del 192.0.2.7\n  lvsadm sync peers del 2001:db8::7",
        )
        .arg(address),
    )
    .subcommand(command(
        "list",
        "List the peers, an address a line",
        "lvsadm sync peers list\n  lvsadm sync status --json | jq .peers",
    ))
}

/// Reads the options.
pub(super) fn read(options: &Options<'_>) -> Result<Command, Error> {
    let names = options.names;
    let unknown = || Error::Usage("sync needs a subcommand (see lvsadm sync --help)".to_owned());
    let (name, matches) = options.matches.subcommand().ok_or_else(unknown)?;
    let inner = Options { matches, names };
    let sync = match name {
        "status" => Sync::Status {
            wait: matches.get_one("wait").copied(),
            json: inner.given("json"),
        },
        "resync" => Sync::Resync,
        "save" => Sync::Save,
        "load" => Sync::Load,
        "peers" => {
            let (name, matches) = matches.subcommand().ok_or_else(unknown)?;
            match (name, matches.try_get_one("address")) {
                ("add", Ok(Some(address))) => Sync::AddPeer(*address),
                ("del", Ok(Some(address))) => Sync::DeletePeer(*address),
                _ => Sync::Peers,
            }
        }
        "key" => match matches.subcommand().ok_or_else(unknown)? {
            ("set", matches) => Sync::SetKey {
                file: matches
                    .get_one::<String>("file")
                    .cloned()
                    .ok_or_else(unknown)?,
                id: matches.get_one("id").copied().unwrap_or(0),
            },
            (_, matches) => Sync::DeleteKey(matches.get_one("id").copied().ok_or_else(unknown)?),
        },
        _ => return Err(unknown()),
    };
    Ok(Command::Sync(sync))
}
