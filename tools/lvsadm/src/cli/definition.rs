// SPDX-License-Identifier: GPL-2.0-only

//! The command line as a whole, and the texts of its help.

use clap::{ArgAction, Command};

use super::{options, subcommands};
use crate::model::scheduler::SCHEDULERS;

/// The exit status.
pub const EXIT_STATUS: &str = "\
0  success
1  the kernel refused the command, or something else failed
2  the command line, or a line of the rules, is wrong; nothing was changed
3  drain: connections are left at the end of the time; sync status: the backup is joining
diff: 0 no differences, 1 differences, 2 an error
doctor: 1 a check failed
sync status: 0 ready, 1 no daemon runs or an error, 3 joining";

/// The synopsis.
pub const USAGE: &str = "\
lvsadm -A|-E SERVICE [-s SCHEDULER] [-p [SECONDS]] [-M MASK] [--pe ENGINE] [-b FLAGS] [-o]
       lvsadm -D SERVICE
       lvsadm -a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x N] [-y N] [TUNNEL OPTIONS]
       lvsadm -d SERVICE -r SERVER
       lvsadm -L|-l [SERVICE] [LISTING OPTIONS]
       lvsadm -Z [SERVICE]
       lvsadm -C
       lvsadm -S [-n] >FILE
       lvsadm -R <FILE
       lvsadm --set TCP TCPFIN UDP
       lvsadm --start-daemon master|backup [DAEMON OPTIONS]
       lvsadm --stop-daemon master|backup
       lvsadm SUBCOMMAND [OPTIONS]
SERVICE is -t HOST:PORT, -u HOST:PORT, --sctp-service HOST:PORT or -f MARK [-6]";

/// The schedulers as a table: name, when to choose it, flags.
#[must_use]
pub fn schedulers() -> String {
    let lines: Vec<String> = SCHEDULERS
        .iter()
        .map(|scheduler| {
            let flags: Vec<&str> = scheduler.flags.iter().map(|(name, _)| *name).collect();
            let line = format!("{:<6} {}", scheduler.name, scheduler.when);
            if flags.is_empty() {
                line
            } else {
                format!("{line}\n       flags: {}", flags.join(", "))
            }
        })
        .collect();
    lines.join("\n")
}

/// The command line, with the options that only packagers need.
pub(super) fn command() -> Command {
    public().args(options::hidden())
}

/// The command line of rules, without subcommands. Parsing is faster without the default values of
/// flags, and only their presence counts.
pub(super) fn of_rules() -> Command {
    options_only()
        .args(options::hidden())
        .mut_args(|arg| match arg.get_action() {
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
    options_only()
        .subcommands(subcommands::definitions())
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
}

fn options_only() -> Command {
    Command::new("lvsadm")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Administer the Linux Virtual Server")
        .override_usage(USAGE)
        .after_help("Without arguments lvsadm lists the table. More: lvsadm --help, man lvsadm")
        .after_long_help(format!(
            "Schedulers:\n\n{}\n\nJSON:\n\n{JSON}\n\nExit status:\n\n{EXIT_STATUS}",
            schedulers()
        ))
        .subcommand_help_heading("Subcommands")
        .disable_version_flag(true)
        .args(options::commands())
        .args(options::services())
        .args(options::service_options())
        .args(options::server_options())
        .args(options::listing_options())
        .args(options::daemon_options())
}

/// The schema of `--json`: members are only ever added. [`crate::format::json`] implements it.
pub const JSON: &str = "\
--json prints one object and a line feed. Addresses, ports and figures are exact numbers,
all columns are present, and lists have the order of the text listing. Members are only
ever added. null, or a member that is absent, means no value.

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
    redispatch            boolean
    hash_seed             number, 0 to 255
    persistence           null, or:
      timeout             number, seconds
      netmask             string for inet, prefix length (number) for inet6
      engine              null or string
    stats                 connections, packets_in, packets_out, bytes_in, bytes_out
    rate                  the same five, per second
    drops                 dropped packets: reasons and their counts (lvsadm.rst lists the reasons)
    destinations          list of:
      family, address, port
      forwarding          \"masquerade\", \"direct_reply\", \"tunnel\", \"route\", \"local\"
                          or a number as a string
      tunnel              null, or:
        type              \"ipip\", \"gue\", \"gre\" or a number as a string
        port              number
        checksum          \"none\", \"full\", \"remote\" or a number as a string
      weight, upper_threshold, lower_threshold
      active_connections, inactive_connections, persistent_connections
      stats, rate, drops  as for the service

-L --timeout --json
  timeouts                tcp, tcp_fin, udp: numbers, seconds

-L --daemon --json
  daemons                 list of:
    role                  \"master\" or \"backup\"
    interface, sync_id, max_length, group (null or string), port, ttl

connections --json, -L -c --json
  connections             list, one connection a line, of:
    protocol              string as the kernel writes it
    state                 string
    expires               number, seconds
    source, virtual, destination   objects: address, port
    engine, engine_data   null or string

connections --count --json, connections --group-by WHAT --json
  total                   number of connections
  groups                  with --group-by, list of:
    group                 string: what the connections have in common
    connections           number

connections --kill --json
  removed                 number of connections

monitor --json            one object in each line:
  time                    string, UTC
  event                   \"service_added\", \"service_edited\", \"service_deleted\",
                          \"server_added\", \"server_edited\", \"server_deleted\",
                          \"table_cleared\", \"counters_zeroed\", \"timeouts_set\",
                          \"service_state\", \"server_state\", \"events_lost\" or \"other\"
  service, server         strings; absent when the event has none
  rule                    string as -S prints it: what was added or edited
  from, to                strings, the states of service_state and server_state; no from: it is new
  active, inactive        numbers of connections, of service_state and server_state

show --json, describe --json, top --once --json
  services                list of:
    service               string, such as \"TCP 192.0.2.1:80\"
    protocol, address, port, fwmark   as above
    state                 \"ok\", \"degraded\", \"down\" or \"empty\"
    scheduler, scheduler_flags, one_packet, redispatch, hash_seed   as above
    persistence           number, seconds, or null
    netmask, engine       strings or null
    active, inactive, persistent   numbers of connections of all servers
    stats, rate           as above
    servers               list of:
      server, address, port, method, weight   method such as \"NAT\", \"DR\", \"tunnel gue\"
      state               \"ok\", \"draining\", \"drained\", \"full\" or \"no_route\"
      weight_share, active_share   percent of the service
      active, inactive, persistent, upper_threshold, lower_threshold, stats, rate
    warnings              list of strings

diff --json, apply --json
  same                    boolean: there is no difference
  applied                 boolean: the changes have been made
  added, edited, deleted, left_alone   numbers; the last: services that are not in the file
  changes                 list of:
    action                \"add\", \"edit\" or \"delete\"
    service               string
    before, after         rules as -S prints them, or null

set --json
  service, server         strings; no server: the service was edited
  before, after           rules as -S prints them

drain --json, undrain --json
  servers                 list of:
    service, server       strings
    former_weight         number or null
    weight, active, inactive, persistent   numbers
    deleted               boolean
  timed_out               boolean: connections are left

doctor --json
  checks                  list of:
    check                 string, which never changes
    status                \"PASS\", \"WARN\" or \"FAIL\"
    message               string
    fix                   string, the command that mends it, or null

schedulers --json
  schedulers              list of:
    name                  string
    loaded                boolean: the kernel has its module now
    flags                 list of strings as --sched-flags takes them
    chooses, when         strings: which server it chooses, and when to choose it

fast-path --json
  setting                 number: net.ipv4.vs.fast_path
  rests                   \"short_cut\" or \"conntrack\", the setting that keeps all packets from
                          the fast path, or null
  devices, packets        numbers: devices that were learned, packets that took the fast path
  xdp                     list of strings: devices with the XDP program
  frames                  number: frames that XDP took

sync status --json
  state                   \"ready\", \"joining\" or \"off\"
  reason                  \"complete\", \"no_answer\" or \"master\"; null if it is not ready
  master, backup          booleans: such a daemon runs
  keys                    list of numbers, the identifiers of keys; the first one signs
  peers                   list of strings, addresses; empty with multicast
  counters                what was counted: names and counts (failover.rst lists the names)

--version --json
  lvsadm                  string, the version of this command
  module                  null when the kernel has no director, or:
    name                  string
    version               string; null for a module that does not report it
    features              list of strings: what it offers beyond the C director
    missing               list of strings: what lvsadm would use and it lacks";
