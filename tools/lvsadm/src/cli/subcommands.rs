// SPDX-License-Identifier: GPL-2.0-only

//! The subcommands and their options. `readers` makes typed commands of them.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{value_parser, Arg, ArgAction, ArgGroup, Command as Definition};

use lvs_core::state::State;

use super::feedback;
use super::geo;
use super::options;
use super::rules;
use super::sync;
use crate::realserver::Method;
use crate::tally::GroupBy;

/// The JSON answers that have a schema.
pub const SCHEMAS: [&str; 21] = [
    "list",
    "timeouts",
    "daemons",
    "connections",
    "counts",
    "kill",
    "monitor",
    "show",
    "describe",
    "top",
    "diff",
    "apply",
    "set",
    "drain",
    "undrain",
    "doctor",
    "realserver",
    "schedulers",
    "fast-path",
    "sync",
    "version",
];

/// The definitions of the subcommands.
pub(super) fn definitions() -> Vec<Definition> {
    vec![
        command(
            "show",
            "Show services and servers with their state, for people",
            "lvsadm show\n  lvsadm show 192.0.2.1:80",
        )
        .args(target())
        .arg(json()),
        command(
            "describe",
            "Show everything about one service, with warnings",
            "lvsadm describe 192.0.2.1:80\n  lvsadm describe -f 7 --json",
        )
        .args(target())
        .arg(json()),
        command(
            "diff",
            "Show what apply would change; exit status 0: nothing, 1: something, 2: error",
            "lvsadm diff rules\n  lvsadm -S -n | ssh other lvsadm diff --prune -",
        )
        .args(file())
        .arg(json()),
        command(
            "apply",
            "Make the table equal a file; connections to remaining servers survive",
            "lvsadm apply rules --dry-run\n  lvsadm -L --json | ssh other lvsadm apply --prune -",
        )
        .args(file())
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only print what would change"),
        )
        .arg(json()),
        command(
            "set",
            "Change options of a service or a server and keep the others",
            "lvsadm set -t 192.0.2.1:80 -s wrr\n  \
             lvsadm set -t 192.0.2.1:80 -r 10.2.0.11 -w 5",
        )
        .args(options::services())
        .args(
            options::service_options()
                .into_iter()
                .map(|arg| match arg.get_id().as_str() {
                    "ops" => arg.help("One-packet scheduling (UDP)"),
                    _ => arg,
                }),
        )
        .arg(flag("no-persistent", "No persistence").conflicts_with("persistent"))
        .arg(flag("no-ops", "No one-packet scheduling").conflicts_with("ops"))
        .arg(flag("no-redispatch", "No redispatch").conflicts_with("redispatch"))
        .args(options::server_options())
        .arg(json())
        .group(service_group().required(true)),
        command(
            "drain",
            "Give a server no new connections (weight 0), and wait until the old ones have ended",
            "lvsadm drain -r 10.2.0.11 --wait 5m\n  \
             lvsadm drain -t 192.0.2.1:80 -r 10.2.0.11:80 --wait 60s --then delete",
        )
        .args(options::services())
        .arg(server())
        .arg(
            Arg::new("wait")
                .long("wait")
                .value_name("TIME")
                .value_parser(duration)
                .help(
                    "Wait this long (30, 30s, 5m, 1h) until no connection is left; exit status 3: \
                       some are left",
                ),
        )
        .arg(
            Arg::new("then")
                .long("then")
                .value_name("ACTION")
                .value_parser(["delete"])
                .requires("wait")
                .help("What to do with the server once it is empty"),
        )
        .arg(json())
        .group(service_group()),
        command(
            "undrain",
            "Give a drained server its former weight again",
            "lvsadm undrain -r 10.2.0.11\n  lvsadm undrain -t 192.0.2.1:80 -r 10.2.0.11:80 -w 3",
        )
        .args(options::services())
        .arg(server())
        .arg(
            Arg::new("weight")
                .long("weight")
                .short('w')
                .value_name("WEIGHT")
                .allow_negative_numbers(true)
                .help("The weight [default: the weight before drain, or 1]"),
        )
        .arg(json())
        .group(service_group()),
        command(
            "schedulers",
            "List the schedulers, their flags, and when to choose each",
            "lvsadm schedulers\n  lvsadm schedulers --json",
        )
        .arg(json()),
        command(
            "fast-path",
            "Show whether packets of known connections take the fast path; attach XDP",
            "lvsadm fast-path\n  lvsadm fast-path --json\n  \
             lvsadm fast-path --attach eth0",
        )
        .arg(
            Arg::new("attach")
                .long("attach")
                .value_name("DEVICE")
                .help("Hand the device's frames to the director by XDP"),
        )
        .arg(
            Arg::new("detach")
                .long("detach")
                .value_name("DEVICE")
                .conflicts_with("attach")
                .help("End that"),
        )
        .arg(json().conflicts_with_all(["attach", "detach"])),
        command(
            "doctor",
            "Check director and host for mistakes; exit status 1: a check failed",
            "lvsadm doctor\n  lvsadm doctor --json",
        )
        .arg(json()),
        command(
            "realserver",
            "Print what this host needs as a real server; --apply does it, --check looks",
            "lvsadm realserver dr 192.0.2.1 2001:db8::1\n  \
             lvsadm realserver ipip 192.0.2.1 --apply\n  \
             lvsadm realserver direct-reply 192.0.2.1:80 --server 10.2.0.21:8080 --check",
        )
        .arg(
            Arg::new("method")
                .value_name("METHOD")
                .required(true)
                .value_parser(Method::NAMES.map(|(name, _)| name))
                .help("How the director forwards packets to this host"),
        )
        .arg(
            Arg::new("virtual-address")
                .value_name("ADDRESS[:PORT]")
                .required(true)
                .num_args(1..)
                .help("Virtual addresses; the port matters for direct-reply only"),
        )
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("ADDRESS[:PORT]")
                .help(
                    "The address of this host that the director sends to, with the port for \
                     direct-reply [default for tunnels: of the family of the virtual address]",
                ),
        )
        .arg(
            Arg::new("gue-port")
                .long("gue-port")
                .value_name("PORT")
                .value_parser(value_parser!(u16).range(1..))
                .default_value("6080")
                .help("UDP port of GUE, the director's --tun-port"),
        )
        .arg(
            Arg::new("mtu")
                .long("mtu")
                .value_name("OCTETS")
                .value_parser(value_parser!(u16).range(1280..))
                .default_value("1500")
                .help("MTU of the path from the director, for tunnels"),
        )
        .arg(flag(
            "apply",
            "Do what is missing; change nothing if this host lacks something",
        ))
        .arg(flag(
            "check",
            "Say what is missing; exit status 1: something is",
        ))
        .arg(flag(
            "unit",
            "Print a systemd unit that does it at every start",
        ))
        .group(ArgGroup::new("what").args(["apply", "check", "unit"]))
        .arg(flag("json", "Print JSON, what doctor --json prints").requires("check")),
        command(
            "metrics",
            "Print statistics in the OpenMetrics text format, or serve them",
            "lvsadm metrics >/var/lib/node_exporter/lvs.prom\n  \
             lvsadm metrics --listen 127.0.0.1:9750",
        )
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS:PORT")
                .value_parser(value_parser!(SocketAddr))
                .help("Serve the metrics over HTTP at /metrics, until the command is ended"),
        ),
        command(
            "top",
            "Watch services and servers on the full screen",
            "lvsadm top\n  lvsadm top --once\n  lvsadm top --serve",
        )
        .arg(flag("once", "Print one screen and exit").conflicts_with("serve"))
        .arg(flag("json", "Print JSON, what show --json prints").requires("once"))
        .arg(
            Arg::new("serve")
                .long("serve")
                .value_name("ADDRESS:PORT")
                .num_args(0..=1)
                .default_missing_value("127.0.0.1:9751")
                .value_parser(value_parser!(SocketAddr))
                .help(
                    "Serve a web page that shows the same and changes nothing, until the command \
                     is ended [default: 127.0.0.1:9751]",
                ),
        )
        .arg(
            Arg::new("interval")
                .long("interval")
                .short('i')
                .value_name("SECONDS")
                .value_parser(value_parser!(u32).range(1..=3600))
                .default_value("1")
                .help("Seconds between two updates"),
        ),
        command(
            "monitor",
            "Print changes of the configuration and of states as they happen",
            "lvsadm monitor\n  lvsadm monitor --json | jq 'select(.event == \"server_state\")'",
        )
        .arg(
            Arg::new("interval")
                .long("interval")
                .short('i')
                .value_name("SECONDS")
                .value_parser(value_parser!(u32).range(1..=3600))
                .default_value("1")
                .help("Seconds between two looks at thresholds and other states"),
        )
        .arg(flag("json", "Print JSON, an object in each line")),
        command(
            "connections",
            "List, count or remove connections, or those of a service, a server, a client",
            "lvsadm connections -n -t 192.0.2.1:80\n  \
             lvsadm connections -n --client 198.51.100.0/24 --json\n  \
             lvsadm connections --state SYN_RECV --group-by prefix --top 10\n  \
             lvsadm connections -r 10.2.0.11 --kill",
        )
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("STATE")
                .ignore_case(true)
                .value_parser(states())
                .help("Only connections in this state"),
        )
        .arg(flag("count", "Print the number of connections"))
        .arg(
            Arg::new("group-by")
                .long("group-by")
                .value_name("WHAT")
                .value_parser(GroupBy::NAMES.map(|(name, _)| name))
                .help(
                    "Count the connections of each group, the largest first; prefix: of each \
                     client network, /24 or /64",
                ),
        )
        .arg(
            Arg::new("top")
                .long("top")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..))
                .requires("group-by")
                .help("Only the N largest groups"),
        )
        .arg(flag(
            "kill",
            "Remove the connections from the director's table; needs at least one selection",
        ))
        .group(ArgGroup::new("action").args(["count", "group-by", "kill"]))
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
        sync::definition(command, json, duration),
        feedback::definition(command, flag, duration),
        geo::definition(command),
        command(
            "schema",
            "Print the JSON schema of what a command prints with --json",
            "lvsadm schema show\n  lvsadm schema list",
        )
        .arg(
            Arg::new("answer")
                .value_name("ANSWER")
                .required(true)
                .value_parser(SCHEMAS)
                .help(
                    "A subcommand; list, timeouts, daemons: of -L; counts, kill: of connections \
                     --count, --group-by and --kill; sync: of sync status; version: of --version",
                ),
        ),
    ]
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

fn server() -> Arg {
    Arg::new("real-server")
        .long("real-server")
        .short('r')
        .value_name("HOST[:PORT]")
        .required(true)
        .help("Real server; without a port: all its ports; without a service: all services")
}

fn target() -> Vec<Arg> {
    let mut target = vec![Arg::new("service")
        .value_name("SERVICE")
        .conflicts_with_all(rules::SERVICES)
        .help("HOST[:PORT][/PROTOCOL], such as 192.0.2.1:80 or [2001:db8::1]:53/udp")];
    target.extend(options::services());
    target
}

fn file() -> Vec<Arg> {
    vec![
        Arg::new("file")
            .value_name("FILE")
            .required(true)
            .value_hint(clap::ValueHint::FilePath)
            .help("Rules as -S prints them, or JSON as -L --json does; - is standard input"),
        flag("prune", "Also delete services that the file does not have"),
    ]
}

fn service_group() -> ArgGroup {
    ArgGroup::new("services").args(rules::SERVICES)
}

fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 30s, 5m or 1h"))
}

fn states() -> Vec<&'static str> {
    let numbers = 0..=u8::try_from(State::COUNT).unwrap_or(u8::MAX);
    let mut names: Vec<&str> = numbers
        .map(|number| State::from_u8(number).name())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
