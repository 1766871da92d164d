// SPDX-License-Identifier: GPL-2.0-only

//! Which options go together. An option that does not apply to a command is refused, not ignored.

use clap::ArgMatches;

use super::options::given;
use crate::error::Error;

/// The command of a command line, without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    AddService,
    EditService,
    DeleteService,
    Clear,
    Restore,
    Save,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Set,
    StartDaemon,
    StopDaemon,
    Completions,
    Manual,
    Version,
}

/// Options that name a service; at most one of them.
pub(super) const SERVICES: &[&str] = &[
    "tcp-service",
    "udp-service",
    "sctp-service",
    "fwmark-service",
];
/// Forwarding methods; at most one of them.
pub(super) const FORWARDING: &[&str] = &["gatewaying", "ipip", "masquerading"];
/// Checksums of an encapsulation; at most one of them.
pub(super) const CHECKSUMS: &[&str] = &["tun-nocsum", "tun-csum", "tun-remcsum"];
/// What a listing may show; at most one of them.
const SUBJECTS: &[&str] = &["connection", "timeout", "daemon"];
/// Options beside a service that select connections.
const ENDS: &[&str] = &["real-server", "client"];
/// Columns of the table; at most one of them.
const COLUMNS: &[&str] = &["stats", "rate", "thresholds", "persistent-conn", "tun-info"];

pub(super) const SERVICE_OPTIONS: &[&str] = &[
    "scheduler",
    "persistent",
    "netmask",
    "pe",
    "ops",
    "redispatch",
    "hash-seed",
    "sched-flags",
];
pub(super) const SERVER_OPTIONS: &[&str] = &[
    "direct-reply",
    "weight",
    "u-threshold",
    "l-threshold",
    "tun-type",
    "tun-port",
];
const LISTING_OPTIONS: &[&str] = &["numeric", "exact", "nosort", "sort", "json"];
const DAEMON_OPTIONS: &[&str] = &[
    "syncid",
    "sync-maxlen",
    "mcast-interface",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
];

/// One command: its option and the options it takes, in groups.
struct Rule {
    verb: Verb,
    name: &'static str,
    takes: &'static [&'static [&'static str]],
    needs_service: bool,
    needs_server: bool,
}

const fn rule(verb: Verb, name: &'static str, takes: &'static [&'static [&'static str]]) -> Rule {
    Rule {
        verb,
        name,
        takes,
        needs_service: false,
        needs_server: false,
    }
}

impl Rule {
    const fn of_service(mut self) -> Self {
        self.needs_service = true;
        self
    }

    const fn of_server(mut self) -> Self {
        self.needs_service = true;
        self.needs_server = true;
        self
    }

    fn accepts(&self, option: &str) -> bool {
        option == self.name || self.takes.iter().any(|group| group.contains(&option))
    }
}

const RULES: &[Rule] = &[
    rule(
        Verb::AddService,
        "add-service",
        &[SERVICES, &["ipv6"], SERVICE_OPTIONS],
    )
    .of_service(),
    rule(
        Verb::EditService,
        "edit-service",
        &[SERVICES, &["ipv6"], SERVICE_OPTIONS],
    )
    .of_service(),
    rule(
        Verb::DeleteService,
        "delete-service",
        &[SERVICES, &["ipv6"]],
    )
    .of_service(),
    rule(Verb::Clear, "clear", &[]),
    rule(Verb::Restore, "restore", &[]),
    rule(Verb::Save, "save", &[&["numeric", "sort", "nosort"]]),
    rule(
        Verb::AddServer,
        "add-server",
        &[
            SERVICES,
            &["ipv6", "real-server"],
            FORWARDING,
            SERVER_OPTIONS,
            CHECKSUMS,
        ],
    )
    .of_server(),
    rule(
        Verb::EditServer,
        "edit-server",
        &[
            SERVICES,
            &["ipv6", "real-server"],
            FORWARDING,
            SERVER_OPTIONS,
            CHECKSUMS,
        ],
    )
    .of_server(),
    rule(
        Verb::DeleteServer,
        "delete-server",
        &[SERVICES, &["ipv6", "real-server"]],
    )
    .of_server(),
    rule(
        Verb::List,
        "list",
        &[
            SUBJECTS,
            SERVICES,
            &["ipv6"],
            ENDS,
            COLUMNS,
            LISTING_OPTIONS,
        ],
    ),
    rule(Verb::Zero, "zero", &[SERVICES, &["ipv6"]]),
    rule(Verb::Set, "set", &[]),
    rule(Verb::StartDaemon, "start-daemon", &[DAEMON_OPTIONS]),
    rule(Verb::StopDaemon, "stop-daemon", &[&["syncid"]]),
    rule(Verb::Completions, "completions", &[]),
    rule(Verb::Manual, "manual", &[]),
    rule(Verb::Version, "version", &[&["json"]]),
];

/// The options of `group` that were given.
fn chosen<'a>(matches: &ArgMatches, group: &[&'a str]) -> Vec<&'a str> {
    group
        .iter()
        .copied()
        .filter(|name| given(matches, name))
        .collect()
}

pub(super) fn at_most_one(matches: &ArgMatches, group: &[&str]) -> Result<(), Error> {
    match chosen(matches, group).as_slice() {
        [first, second, ..] => Err(Error::Usage(format!(
            "--{first} and --{second} exclude each other: give one of them"
        ))),
        _ => Ok(()),
    }
}

/// Finds the command and checks that every option means something to it.
pub(super) fn check(matches: &ArgMatches) -> Result<Verb, Error> {
    let verbs: Vec<&Rule> = RULES
        .iter()
        .filter(|rule| given(matches, rule.name))
        .collect();
    let rule = match verbs.as_slice() {
        [rule] => rule,
        [] => {
            return Err(Error::Usage(
                "no command: give one of -A -E -D -C -a -e -d -L -Z -S -R --set --start-daemon \
                 --stop-daemon, or a subcommand such as show"
                    .to_owned(),
            ));
        }
        [first, second, ..] => {
            return Err(Error::Usage(format!(
                "--{} and --{} are two commands: give one",
                first.name, second.name
            )));
        }
    };
    for option in matches.ids().map(clap::Id::as_str) {
        if given(matches, option) && !rule.accepts(option) {
            return Err(Error::Usage(format!(
                "--{option} does not apply to --{}: {}",
                rule.name,
                owners(option)
            )));
        }
    }
    if rule.needs_service && chosen(matches, SERVICES).is_empty() {
        return Err(Error::Usage(format!(
            "--{} needs a virtual service: add -t, -u or --sctp-service HOST:PORT, or -f MARK",
            rule.name
        )));
    }
    if rule.needs_server && !given(matches, "real-server") {
        return Err(Error::Usage(format!(
            "--{} needs a real server: add -r HOST[:PORT]",
            rule.name
        )));
    }
    at_most_one(matches, SERVICES)?;
    at_most_one(matches, FORWARDING)?;
    at_most_one(matches, CHECKSUMS)?;
    if given(matches, "ipv6") && !given(matches, "fwmark-service") {
        return Err(Error::Usage(
            "--ipv6 applies to --fwmark-service only: an address has its own family".to_owned(),
        ));
    }
    if rule.verb == Verb::List {
        listing(matches)?;
    }
    Ok(rule.verb)
}

/// The commands that an option applies to, to end a sentence.
fn owners(option: &str) -> String {
    let owners: Vec<String> = RULES
        .iter()
        .filter(|rule| rule.accepts(option))
        .map(|rule| format!("--{}", rule.name))
        .collect();
    format!("it belongs to {}", owners.join(", "))
}

fn listing(matches: &ArgMatches) -> Result<(), Error> {
    at_most_one(matches, SUBJECTS)?;
    at_most_one(matches, &["sort", "nosort"])?;
    let json = given(matches, "json");
    if !json {
        at_most_one(matches, COLUMNS)?;
    }
    let columns = chosen(matches, COLUMNS);
    if !given(matches, "connection") {
        if let Some(end) = chosen(matches, ENDS).first() {
            return Err(Error::Usage(format!(
                "--{end} does not apply to --list without --connection: it selects connections"
            )));
        }
    }
    for subject in chosen(matches, &["timeout", "daemon"]) {
        if let Some(service) = chosen(matches, SERVICES).first() {
            return Err(Error::Usage(format!(
                "--{subject} and --{service} exclude each other: give one of them"
            )));
        }
    }
    for subject in chosen(matches, SUBJECTS) {
        for column in &columns {
            if subject == "connection" && *column == "persistent-conn" {
                continue;
            }
            return Err(Error::Usage(format!(
                "--{column} does not apply to --list --{subject}: it selects columns of the table"
            )));
        }
        if given(matches, "nosort") {
            return Err(Error::Usage(format!(
                "--nosort does not apply to --list --{subject}: only the table is sorted"
            )));
        }
    }
    Ok(())
}
