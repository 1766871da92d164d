// SPDX-License-Identifier: GPL-2.0-only

//! Typical mistakes of new users: what each of them typed, and the message that helps.

use std::net::IpAddr;

use lvsadm::cli::{Command, parse};
use lvsadm::names::Names;

/// No name resolves.
struct NoNames;

impl Names for NoNames {
    fn address_of(&self, _: &str) -> Option<IpAddr> {
        None
    }

    fn port_of(&self, service: &str, _: &str) -> Option<u16> {
        (service == "http").then_some(80)
    }

    fn host_of(&self, _: &IpAddr) -> Option<String> {
        None
    }

    fn service_of(&self, _: u16, _: &str) -> Option<String> {
        None
    }
}

/// The command line and the whole message.
const MISTAKES: [(&str, &str); 36] = [
    // A word in the wrong place, or misspelled.
    (
        "conections",
        r#"there is no "conections"; did you mean connections?"#,
    ),
    (
        "-L conections",
        r#"unexpected "conections": it is neither an option nor a subcommand"#,
    ),
    (
        "-L connections",
        "connections must be the first word, before all options",
    ),
    (
        "list",
        r#"unexpected "list": it is neither an option nor a subcommand"#,
    ),
    ("--lsit", r#"there is no "--lsit"; did you mean --list?"#),
    ("-C -S", "--clear and --save are two commands: give one"),
    (
        "-n",
        "no command: give one of -A -E -D -C -a -e -d -L -Z -S -R --set --start-daemon \
            --stop-daemon, or a subcommand such as show",
    ),
    (
        "-A 10.0.0.1:80",
        r#"unexpected "10.0.0.1:80": put -t (TCP), -u (UDP) or --sctp-service before a virtual service, -r before a real server"#,
    ),
    (
        "-a -t 10.0.0.1:80 10.0.0.2 -m",
        r#"unexpected "10.0.0.2": put -t (TCP), -u (UDP) or --sctp-service before a virtual service, -r before a real server"#,
    ),
    (
        "-R rules",
        r#"unexpected "rules": -R reads standard input, as in lvsadm -R <rules"#,
    ),
    // An address that means something else than it seems to.
    (
        "-A -t 10.0.0.1",
        "--tcp-service 10.0.0.1 has no port: write 10.0.0.1:PORT, or 10.0.0.1:0 for a service on every port",
    ),
    (
        "-A -t 2001:db8::1:80",
        "--tcp-service 2001:db8::1:80 has no port: write [2001:db8::1]:80, or [2001:db8::1:80]:0 for a service on every port",
    ),
    (
        "-A -t 2001:db8::1:http",
        r#"--tcp-service "2001:db8::1:http": an IPv6 address with a port needs brackets: [2001:db8::1]:http"#,
    ),
    (
        "-A -t [2001:db8::1:80",
        r#"--tcp-service "[2001:db8::1:80": the closing ] is missing"#,
    ),
    (
        "-A -t 10.0.0.010:80",
        r#"--tcp-service "10.0.0.010:80": "10.0.0.010" is not an IPv4 address: write its numbers without leading zeros"#,
    ),
    (
        "-A -t 10.0.0:80",
        r#"--tcp-service "10.0.0:80": "10.0.0" is not an IPv4 address: it has 3 numbers, not 4"#,
    ),
    (
        "-A -t 10.0.0.256:80",
        r#"--tcp-service "10.0.0.256:80": "10.0.0.256" is not an IPv4 address: its numbers go from 0 to 255"#,
    ),
    (
        "-A -t 80",
        r#"--tcp-service "80": "80" is a number, not an address; write ADDRESS[:PORT], HOST[:PORT] or [IPv6-ADDRESS]:PORT"#,
    ),
    (
        "-A -t www.example:80",
        r#"--tcp-service "www.example:80": "www.example" is neither an address nor a host name that resolves"#,
    ),
    (
        "-A -t 10.0.0.1:99999",
        r#"--tcp-service "10.0.0.1:99999": port "99999" is not a number from 0 to 65535"#,
    ),
    (
        "-A -t 10.0.0.1:htpp",
        r#"--tcp-service "10.0.0.1:htpp": port "htpp" is neither a number from 0 to 65535 nor a tcp service name"#,
    ),
    // Something is missing.
    (
        "-A",
        "--add-service needs a virtual service: add -t, -u or --sctp-service HOST:PORT, or -f MARK",
    ),
    (
        "-a -t 10.0.0.1:80",
        "--add-server needs a real server: add -r HOST[:PORT]",
    ),
    (
        "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue",
        "--tun-type gue needs the UDP port of the tunnel: add --tun-port PORT",
    ),
    (
        "-a -t 10.0.0.1:80 -r 10.0.0.2 -m --tun-type gre",
        "--tun-type applies to tunnels only: add --ipip",
    ),
    // Things that do not go together.
    (
        "-A -t 10.0.0.1:80 -w 3",
        "--weight does not apply to --add-service: it belongs to --add-server, --edit-server",
    ),
    (
        "-A -t 10.0.0.1:80 -u 10.0.0.1:80",
        "--tcp-service and --udp-service exclude each other: give one of them",
    ),
    (
        "-a -t 10.0.0.1:80 -r 10.0.0.2 -g -m",
        "--gatewaying and --masquerading exclude each other: give one of them",
    ),
    (
        "-a -t 10.0.0.1:80 -r 2001:db8::2 -m",
        "--real-server [2001:db8::2]:80 is IPv6 and the service is IPv4: only a tunnel (--ipip) connects the two",
    ),
    (
        "-A -t 10.0.0.1:80 -o",
        "--ops works for UDP and firewall-mark services only, not for TCP 10.0.0.1:80",
    ),
    (
        "-A -t 10.0.0.1:80 -s mh -b sh-port",
        r#"--sched-flags "sh-port": sh-port is a flag of the scheduler sh, not of mh"#,
    ),
    // Values out of range.
    (
        "-a -t 10.0.0.1:80 -r 10.0.0.2 -w -1",
        r#"--weight "-1": it must be a whole number from 0 to 2147483647"#,
    ),
    (
        "-A -t 10.0.0.1:80 -p -M 33",
        r#"--netmask "33": an IPv4 service needs a mask such as 255.255.255.0, or a prefix length from 1 to 32"#,
    ),
    (
        "-A -t 10.0.0.1:80 -s least/conn",
        r#"--scheduler "least/conn": it must be a name of letters, digits, - and _"#,
    ),
    (
        "-A -f 0",
        r#"--fwmark-service "0": it must be a whole number from 1 to 4294967295"#,
    ),
    (
        "--set 900 120",
        "3 values required for '--set <TCP> <TCPFIN> <UDP>' but 2 were provided",
    ),
];

fn read(line: &str) -> Result<Command, lvsadm::error::Error> {
    let words = std::iter::once("lvsadm").chain(line.split_whitespace());
    parse(words, &NoNames)
}

#[test]
fn each_mistake_is_answered_by_one_helpful_message() {
    let mut wrong = Vec::new();
    for (line, message) in MISTAKES {
        match read(line) {
            Err(error) if error.to_string() == message => (),
            Err(error) => wrong.push(format!("lvsadm {line}\n  {error}")),
            Ok(command) => wrong.push(format!("lvsadm {line}\n  {command:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_only_looks_like_a_mistake_is_accepted() {
    for line in [
        "-A -t 10.0.0.1:0",
        "-A -t 10.0.0.1 -p",
        "-A -f 0x10",
        "-A -t 10.0.0.1:http -p 60 -M 24",
        "-A -t [2001:db8::1]:80 -p -M 64",
        "-A -t 10.0.0.1:80 -s sh -b flag-3",
        "-a -t 10.0.0.1:80 -r 2001:db8::2 -i",
        "connections -t 10.0.0.1:http",
    ] {
        assert!(read(line).is_ok(), "{line}: {:?}", read(line));
    }
}
