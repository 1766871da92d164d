// SPDX-License-Identifier: GPL-2.0-only

//! The options, with ipvsadm's names.
//!
//! An option's identifier is its long name, so that messages can name it.

use clap::{value_parser, Arg, ArgAction, ArgMatches, Command};

const COMMANDS: &str = "Commands";
const SERVICES: &str = "Virtual service";
const SERVICE: &str = "Service options";
const SERVER: &str = "Server options";
const LISTING: &str = "Listing options";
const DAEMON: &str = "Daemon options";

/// The schema of `--json`, a promise: members are only ever added. [`crate::format::json`] keeps it.
pub const JSON: &str = "\
--json prints one object and a line feed. Addresses, ports and figures are numeric
and exact, all columns are always there, lists are in the order of the text
listing. Members are only ever added; null and absent mean that there is none.

-L --json
  version                 string, the kernel's, such as \"1.2.1\"; absent with one service
  connection_table_size   number, buckets; absent with one service
  services                list of:
    family                \"inet\" or \"inet6\"
    protocol              \"tcp\", \"udp\", \"sctp\" or a number as a string; absent with a mark
    address, port         string and number; absent with a mark
    fwmark                number; only with a mark
    scheduler             string
    scheduler_flags       list of strings as --sched-flags takes them
    one_packet            boolean
    persistence           null, or:
      timeout             number, seconds
      netmask             string for inet, prefix length (number) for inet6
      engine              null or string
    stats                 connections, packets_in, packets_out, bytes_in, bytes_out
    rate                  the same five, per second
    destinations          list of:
      family, address, port
      forwarding          \"masquerade\", \"tunnel\", \"route\", \"local\" or a number as a string
      tunnel              null, or:
        type              \"ipip\", \"gue\", \"gre\" or a number as a string
        port              number
        checksum          \"none\", \"full\", \"remote\" or a number as a string
      weight, upper_threshold, lower_threshold
      active_connections, inactive_connections, persistent_connections
      stats, rate         as for the service

-L --timeout --json
  timeouts                tcp, tcp_fin, udp: numbers, seconds

-L --daemon --json
  daemons                 list of:
    role                  \"master\" or \"backup\"
    interface, sync_id, max_length, group (null or string), port, ttl

-L -c --json
  connections             list, a connection a line, of:
    protocol              string as the kernel writes it
    state                 string
    expires               number, seconds
    source, virtual, destination   objects: address, port
    engine, engine_data   null or string

--version --json
  lvsadm                  string, this command's version
  module                  null when nothing provides a virtual server, or:
    name                  string
    version               string; null of a module that cannot be asked
    features              list of strings: what it offers beside what all modules do
    missing               list of strings: what this command could use and it lacks";

/// What the shell is told.
pub const EXIT_STATUS: &str = "\
0  done
1  refused by the kernel, or failed
2  the command line (or a line given to --restore) is wrong; nothing was done";

/// What the command does, form by form.
pub const USAGE: &str = "\
lvsadm -A|-E VIRTUAL-SERVICE [-s scheduler] [-p [timeout]] [-M netmask] [--pe engine] [-b flags] [-o]
       lvsadm -D VIRTUAL-SERVICE
       lvsadm -C
       lvsadm -R
       lvsadm -S [-n]
       lvsadm -a|-e VIRTUAL-SERVICE -r server [-g|-i|-m] [-w weight] [-x n] [-y n] [tunnel options]
       lvsadm -d VIRTUAL-SERVICE -r server
       lvsadm -L|-l [VIRTUAL-SERVICE] [listing options]
       lvsadm connections|-L -c [-t|-u|--sctp-service host[:port]] [-r server[/bits]] [--client host[/bits]]
       lvsadm -Z [VIRTUAL-SERVICE]
       lvsadm --set tcp tcpfin udp
       lvsadm --start-daemon master|backup [daemon options]
       lvsadm --stop-daemon master|backup
VIRTUAL-SERVICE is -t host:port, -u host:port, --sctp-service host:port or -f mark [-6]";

fn flag(name: &'static str, heading: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
        .help_heading(heading)
}

fn value(
    name: &'static str,
    placeholder: &'static str,
    heading: &'static str,
    help: &'static str,
) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .action(ArgAction::Set)
        .allow_negative_numbers(true)
        .help(help)
        .help_heading(heading)
}

/// Was this option given?
pub(super) fn given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine)
}

/// The command line, with the options that only packagers need.
pub(super) fn command() -> Command {
    public().args(hidden())
}

/// The same for many lines. A flag that is absent costs half as much as one that is given, for each that there is,
/// when it has to get its default value; only whether it was given is ever asked.
pub(super) fn without_defaults() -> Command {
    command().mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0)
            .default_missing_value("true"),
        _ => arg,
    })
}

/// The command line that users know.
#[must_use]
pub fn public() -> Command {
    Command::new("lvsadm")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Administer the Linux Virtual Server")
        .override_usage(USAGE)
        .after_long_help(format!("JSON:\n\n{JSON}\n\nExit status:\n\n{EXIT_STATUS}"))
        .disable_version_flag(true)
        .args(commands())
        .args(services())
        .args(service_options())
        .args(server_options())
        .args(listing_options())
        .args(daemon_options())
}

fn commands() -> Vec<Arg> {
    vec![
        flag("add-service", COMMANDS, "Add a virtual service").short('A'),
        flag("edit-service", COMMANDS, "Edit a virtual service").short('E'),
        flag("delete-service", COMMANDS, "Delete a virtual service").short('D'),
        flag("clear", COMMANDS, "Delete all virtual services").short('C'),
        flag("restore", COMMANDS, "Carry out rules from standard input").short('R'),
        flag("save", COMMANDS, "Print the table as rules").short('S'),
        flag("add-server", COMMANDS, "Add a real server to a service").short('a'),
        flag("edit-server", COMMANDS, "Edit a real server of a service").short('e'),
        flag(
            "delete-server",
            COMMANDS,
            "Delete a real server of a service",
        )
        .short('d'),
        flag(
            "list",
            COMMANDS,
            "List the table, or one service of it [also: -l]",
        )
        .short('L')
        .short_alias('l'),
        flag(
            "zero",
            COMMANDS,
            "Zero the counters of one service or of all",
        )
        .short('Z'),
        value(
            "set",
            "SECONDS",
            COMMANDS,
            "Set the timeouts of TCP, TCP after a FIN, and UDP; 0 leaves one as it is",
        )
        .num_args(3)
        .value_names(["TCP", "TCPFIN", "UDP"]),
        value(
            "start-daemon",
            "ROLE",
            COMMANDS,
            "Start a synchronization daemon",
        )
        .value_name("master|backup"),
        value(
            "stop-daemon",
            "ROLE",
            COMMANDS,
            "Stop a synchronization daemon",
        )
        .value_name("master|backup"),
        Arg::new("version")
            .long("version")
            .short('v')
            .action(ArgAction::SetTrue)
            .help("Print the versions of this command and of the module")
            .help_heading(COMMANDS),
    ]
}

fn services() -> Vec<Arg> {
    vec![
        value("tcp-service", "HOST[:PORT]", SERVICES, "TCP service").short('t'),
        value("udp-service", "HOST[:PORT]", SERVICES, "UDP service").short('u'),
        value("sctp-service", "HOST[:PORT]", SERVICES, "SCTP service"),
        value(
            "fwmark-service",
            "MARK",
            SERVICES,
            "Service of packets with a firewall mark",
        )
        .short('f'),
        flag("ipv6", SERVICES, "The mark is looked at on IPv6 packets").short('6'),
    ]
}

fn service_options() -> Vec<Arg> {
    vec![
        value(
            "scheduler",
            "NAME",
            SERVICE,
            "Scheduler, such as rr, wrr, lc, wlc [default: wlc]",
        )
        .short('s'),
        value(
            "persistent",
            "SECONDS",
            SERVICE,
            "Connections of one client go to one server [default: 360]",
        )
        .short('p')
        .num_args(0..=1)
        .default_missing_value("360"),
        value(
            "netmask",
            "MASK",
            SERVICE,
            "Clients that persistence takes for one: mask (IPv4) or prefix length (IPv6)",
        )
        .short('M'),
        value("pe", "ENGINE", SERVICE, "Persistence engine"),
        flag("ops", SERVICE, "One-packet scheduling (UDP) [also: -O]")
            .short('o')
            .short_alias('O'),
        value(
            "sched-flags",
            "FLAGS",
            SERVICE,
            "Scheduler flags, separated by commas",
        )
        .short('b'),
    ]
}

fn server_options() -> Vec<Arg> {
    vec![
        value(
            "real-server",
            "HOST[:PORT]",
            SERVER,
            "Real server [default port: the service's; with -c: any]",
        )
        .short('r'),
        flag("gatewaying", SERVER, "Direct routing (default)").short('g'),
        flag("ipip", SERVER, "Tunnelling").short('i'),
        flag("masquerading", SERVER, "Network address translation").short('m'),
        value(
            "weight",
            "WEIGHT",
            SERVER,
            "Share of the connections; 0 takes no new ones [default: 1]",
        )
        .short('w'),
        value(
            "u-threshold",
            "CONNECTIONS",
            SERVER,
            "No new connections above this many; 0 is no limit [default: 0]",
        )
        .short('x'),
        value(
            "l-threshold",
            "CONNECTIONS",
            SERVER,
            "New connections again below this many [default: 0]",
        )
        .short('y'),
        value(
            "tun-type",
            "TYPE",
            SERVER,
            "Encapsulation: ipip, gue or gre [default: ipip]",
        ),
        value("tun-port", "PORT", SERVER, "UDP port of gue"),
        flag(
            "tun-nocsum",
            SERVER,
            "Encapsulation without a checksum (default)",
        ),
        flag("tun-csum", SERVER, "Encapsulation with a checksum"),
        flag(
            "tun-remcsum",
            SERVER,
            "Encapsulation with remote checksum offload (gue)",
        ),
    ]
}

fn listing_options() -> Vec<Arg> {
    vec![
        flag("numeric", LISTING, "Addresses and ports as numbers").short('n'),
        flag(
            "connection",
            LISTING,
            "The connections, or those of a service, server, client",
        )
        .short('c'),
        value(
            "client",
            "HOST[:PORT]",
            LISTING,
            "With -c: connections of this client, or of a network (ADDRESS/BITS)",
        ),
        flag("timeout", LISTING, "The timeouts"),
        flag("daemon", LISTING, "The synchronization daemons"),
        flag("stats", LISTING, "Counters"),
        flag("rate", LISTING, "Rates per second"),
        flag("exact", LISTING, "Large figures in full").short('X'),
        flag("thresholds", LISTING, "Connection thresholds"),
        flag(
            "persistent-conn",
            LISTING,
            "Persistent connections; with -c, persistence engine data",
        ),
        flag("tun-info", LISTING, "Tunnels"),
        flag("nosort", LISTING, "In the kernel's order"),
        flag("sort", LISTING, "Sorted (default)"),
        flag("json", LISTING, "As JSON: see --help, JSON"),
    ]
}

fn daemon_options() -> Vec<Arg> {
    vec![
        value(
            "syncid",
            "ID",
            DAEMON,
            "Synchronization identifier [default: 0]",
        ),
        value(
            "sync-maxlen",
            "BYTES",
            DAEMON,
            "Longest message [default: the interface's MTU allows]",
        ),
        value(
            "mcast-interface",
            "INTERFACE",
            DAEMON,
            "Network interface of the multicast [default: eth0]",
        ),
        value(
            "mcast-group",
            "ADDRESS",
            DAEMON,
            "Multicast group [default: 224.0.0.81]",
        ),
        value("mcast-port", "PORT", DAEMON, "UDP port [default: 8848]"),
        value("mcast-ttl", "TTL", DAEMON, "Time to live [default: 1]"),
    ]
}

fn hidden() -> Vec<Arg> {
    vec![
        value(
            "completions",
            "SHELL",
            COMMANDS,
            "Print a shell's completions",
        )
        .value_parser(value_parser!(clap_complete::Shell))
        .hide(true),
        flag("manual", COMMANDS, "Print the manual page").hide(true),
    ]
}
