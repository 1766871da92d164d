// SPDX-License-Identifier: GPL-2.0-only

//! The subcommand `feedback`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{value_parser, Arg, ArgGroup, Command as Definition};

use super::command::{Command, Feedback};
use super::convert::Options;
use crate::error::Error;

/// The definition, given how all subcommands are made.
pub(super) fn definition(
    command: fn(&'static str, &'static str, &'static str) -> Definition,
    flag: fn(&'static str, &'static str) -> Arg,
    duration: fn(&str) -> Result<Duration, String>,
) -> Definition {
    let address = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("ADDRESS:PORT")
            .value_parser(value_parser!(SocketAddr))
            .help(help)
    };
    command(
        "feedback",
        "Let weights follow the loads that agents on the real servers report",
        "lvsadm feedback /etc/lvs/feedback\n  \
         lvsadm feedback --serve 10.2.0.11:5555\n  \
         lvsadm feedback --check 10.2.0.11:5555 --weight 100",
    )
    .arg(
        Arg::new("file")
            .value_name("FILE")
            .value_hint(clap::ValueHint::FilePath)
            .help("Rules as -S prints them, each with --agent ADDRESS:PORT; - is standard input"),
    )
    .arg(address(
        "serve",
        "Be the agent of this host, which reports its load average",
    ))
    .arg(address(
        "check",
        "Ask an agent once; the exit status is for MISC_CHECK of keepalived with misc_dynamic",
    ))
    .group(
        ArgGroup::new("what")
            .args(["file", "serve", "check"])
            .required(true),
    )
    .arg(
        Arg::new("period")
            .long("period")
            .value_name("TIME")
            .value_parser(duration)
            .default_value("2s")
            .help("Time between two questions; an agent may take as long to answer"),
    )
    .arg(flag("once", "Ask all agents once, and exit").requires("file"))
    .arg(
        Arg::new("weight")
            .long("weight")
            .value_name("WEIGHT")
            .requires("check")
            .value_parser(value_parser!(u32).range(0..=253))
            .default_value("100")
            .help("The weight of a server that reports 100 %"),
    )
    .arg(
        Arg::new("reference")
            .long("reference")
            .value_name("PERCENT")
            .requires("serve")
            .value_parser(value_parser!(u32).range(1..=99))
            .default_value("50")
            .help("The load at which a server reports 100 %"),
    )
}

/// Reads the options.
pub(super) fn read(options: &Options<'_>) -> Result<Command, Error> {
    let number = |name, default| options.matches.get_one(name).copied().unwrap_or(default);
    let address = |name| options.matches.get_one::<SocketAddr>(name).copied();
    let period = options.matches.get_one("period").copied();
    let period = period.unwrap_or(Duration::from_secs(2));
    if period.is_zero() {
        return Err(Error::Usage("--period must not be 0".to_owned()));
    }
    Ok(Command::Feedback(if let Some(address) = address("serve") {
        Feedback::Serve {
            address,
            reference: number("reference", 50),
        }
    } else if let Some(agent) = address("check") {
        Feedback::Check {
            agent,
            patience: period,
            weight: number("weight", 100),
        }
    } else {
        Feedback::Follow {
            file: options.text("file").unwrap_or("-").to_owned(),
            period,
            once: options.given("once"),
        }
    }))
}
