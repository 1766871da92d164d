// SPDX-License-Identifier: GPL-2.0-only

//! The options, with ipvsadm's names.
//!
//! The identifier of an option is its long name, so that messages can name it.

use clap::{value_parser, Arg, ArgAction, ArgMatches};

const COMMANDS: &str = "Commands";
const SERVICES: &str = "Virtual service";
const SERVICE: &str = "Service options";
const SERVER: &str = "Server options";
const LISTING: &str = "Listing options";
const DAEMON: &str = "Daemon options";

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

/// Whether this option was given.
pub(super) fn given(matches: &ArgMatches, name: &str) -> bool {
    // Subcommands do not have every option.
    matches.try_contains_id(name).is_ok()
        && matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine)
}

pub(super) fn commands() -> Vec<Arg> {
    vec![
        flag("add-service", COMMANDS, "Add a virtual service").short('A'),
        flag("edit-service", COMMANDS, "Edit a virtual service").short('E'),
        flag("delete-service", COMMANDS, "Delete a virtual service").short('D'),
        flag("clear", COMMANDS, "Delete all virtual services").short('C'),
        flag("restore", COMMANDS, "Apply the rules on standard input").short('R'),
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
            "Set the timeouts of TCP, TCP after a FIN, and UDP; 0 keeps a timeout",
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
            .help("Print the versions of lvsadm and of the kernel module")
            .help_heading(COMMANDS),
    ]
}

pub(super) fn services() -> Vec<Arg> {
    vec![
        value("tcp-service", "HOST[:PORT]", SERVICES, "TCP service").short('t'),
        value("udp-service", "HOST[:PORT]", SERVICES, "UDP service").short('u'),
        value("sctp-service", "HOST[:PORT]", SERVICES, "SCTP service"),
        value(
            "fwmark-service",
            "MARK",
            SERVICES,
            "Service for packets with a firewall mark, such as 7 or 0x7",
        )
        .short('f'),
        flag("ipv6", SERVICES, "The firewall mark is for IPv6 packets").short('6'),
    ]
}

pub(super) fn service_options() -> Vec<Arg> {
    vec![
        value(
            "scheduler",
            "NAME",
            SERVICE,
            "Scheduler: lvsadm schedulers lists them [default: wlc]",
        )
        .short('s'),
        value(
            "persistent",
            "SECONDS",
            SERVICE,
            "Persistence: a client keeps its server for this long [default: 360]",
        )
        .short('p')
        .num_args(0..=1)
        .default_missing_value("360"),
        value(
            "netmask",
            "MASK",
            SERVICE,
            "Persistence for networks of clients: prefix length, or mask (IPv4)",
        )
        .short('M'),
        value("pe", "ENGINE", SERVICE, "Persistence engine, such as sip"),
        flag("ops", SERVICE, "One-packet scheduling (UDP) [also: -O]")
            .short('o')
            .short_alias('O'),
        flag(
            "redispatch",
            SERVICE,
            "Try another server when one does not answer a client's SYN (TCP; ipvs_rs only)",
        ),
        value(
            "hash-seed",
            "0-255",
            SERVICE,
            "Seed of the hash of clients (sh, mh, dh, oneip; ipvs_rs only)",
        ),
        value(
            "sched-flags",
            "FLAGS",
            SERVICE,
            "Flags of the scheduler, separated by commas: lvsadm schedulers lists them",
        )
        .short('b'),
    ]
}

pub(super) fn server_options() -> Vec<Arg> {
    vec![
        value(
            "real-server",
            "HOST[:PORT]",
            SERVER,
            "Real server [default port: that of the service; with -c: any]",
        )
        .short('r'),
        flag("gatewaying", SERVER, "Direct routing (default)").short('g'),
        flag("ipip", SERVER, "Tunneling").short('i'),
        flag("masquerading", SERVER, "Network address translation").short('m'),
        flag(
            "direct-reply",
            SERVER,
            "With -m: the server answers the client directly (ipvs_rs only; see lvsadm realserver)",
        )
        .requires("masquerading"),
        value(
            "weight",
            "WEIGHT",
            SERVER,
            "Share of the connections; with 0 the server gets no new ones [default: 1]",
        )
        .short('w'),
        value(
            "u-threshold",
            "CONNECTIONS",
            SERVER,
            "No new connections above this number; 0: no limit [default: 0]",
        )
        .short('x'),
        value(
            "l-threshold",
            "CONNECTIONS",
            SERVER,
            "An overloaded server gets new connections below this number [default: 0]",
        )
        .short('y'),
        value(
            "tun-type",
            "TYPE",
            SERVER,
            "Type of the tunnel: ipip, gue or gre [default: ipip]",
        ),
        value("tun-port", "PORT", SERVER, "UDP port of a gue tunnel"),
        flag("tun-nocsum", SERVER, "Tunnel without a checksum (default)"),
        flag("tun-csum", SERVER, "Tunnel with a checksum"),
        flag(
            "tun-remcsum",
            SERVER,
            "Tunnel with remote checksum offload (gue)",
        ),
    ]
}

pub(super) fn listing_options() -> Vec<Arg> {
    vec![
        flag("numeric", LISTING, "Addresses and ports as numbers").short('n'),
        flag(
            "connection",
            LISTING,
            "Connections, or those of a service, a server, a client",
        )
        .short('c'),
        value(
            "client",
            "HOST[:PORT]",
            LISTING,
            "With -c: connections of this client or network (ADDRESS/BITS)",
        ),
        flag("timeout", LISTING, "Timeouts"),
        flag("daemon", LISTING, "Synchronization daemons"),
        flag("stats", LISTING, "Counters"),
        flag("rate", LISTING, "Rates per second"),
        flag("exact", LISTING, "Large numbers in full").short('X'),
        flag("thresholds", LISTING, "Connection thresholds"),
        flag(
            "persistent-conn",
            LISTING,
            "Persistent connections; with -c: data of the persistence engine",
        ),
        flag("tun-info", LISTING, "Tunnels"),
        flag("nosort", LISTING, "In the order of the kernel"),
        flag("sort", LISTING, "Sorted (default)"),
        flag("json", LISTING, "JSON: --help describes the members"),
    ]
}

pub(super) fn daemon_options() -> Vec<Arg> {
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
            "Longest message [default: from the MTU of the interface]",
        ),
        value(
            "mcast-interface",
            "INTERFACE",
            DAEMON,
            "Network interface for the multicast [default: eth0]",
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

pub(super) fn hidden() -> Vec<Arg> {
    vec![
        value(
            "completions",
            "SHELL",
            COMMANDS,
            "Print the completion script of a shell",
        )
        .value_parser(value_parser!(clap_complete::Shell))
        .hide(true),
        flag("manual", COMMANDS, "Print the manual page").hide(true),
    ]
}
