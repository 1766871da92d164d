// SPDX-License-Identifier: GPL-2.0-only

//! Command lines and the commands that they make, or what is said against them.

use std::net::IpAddr;

use super::*;
use crate::connections::{ConnectionFilter, EndpointFilter};
use crate::error::Error;
use crate::model::{
    Change, DaemonRole, DestinationId, Family, Forwarding, Netmask, Protocol, Service,
    ServiceFlags, ServiceId, TunnelChecksum, TunnelKind,
};
use crate::names::Fixed;

fn parsed(line: &str) -> Result<Command, Error> {
    parse(
        std::iter::once("lvsadm").chain(line.split_whitespace()),
        &Fixed,
    )
}

fn changed(line: &str) -> (Change, Vec<String>) {
    match parsed(line) {
        Ok(Command::Change { change, notes, .. }) => (*change, notes),
        other => panic!("{line}: {other:?}"),
    }
}

fn change(line: &str) -> Change {
    let (change, notes) = changed(line);
    assert!(notes.is_empty(), "{line}: {notes:?}");
    change
}

fn listing(line: &str) -> Listing {
    match parsed(line) {
        Ok(Command::List(listing)) => listing,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match parsed(line) {
        Err(error) => {
            assert_eq!(
                error.exit_code(),
                std::process::ExitCode::from(2),
                "{line}: {error}"
            );
            error.to_string()
        }
        Ok(command) => panic!("{line}: {command:?}"),
    }
}

fn id(protocol: Protocol, address: &str, port: u16) -> ServiceId {
    ServiceId::Address {
        protocol,
        address: address.parse().unwrap(),
        port,
    }
}

#[test]
fn a_service_with_what_it_does_not_say() {
    let service = Service {
        id: id(Protocol::Tcp, "10.0.0.1", 80),
        scheduler: "wlc".to_owned(),
        flags: ServiceFlags::default(),
        timeout: 0,
        netmask: Netmask::Inet([255; 4].into()),
        engine: None,
    };
    assert_eq!(
        change("-A -t 10.0.0.1:80"),
        Change::AddService(service.clone())
    );
    assert_eq!(
        change("--edit-service --tcp-service=10.0.0.1:http"),
        Change::EditService(service)
    );
}

#[test]
fn a_service_with_all_it_can_say() {
    let expected = Service {
        id: ServiceId::Mark {
            mark: 7,
            family: Family::Inet6,
        },
        scheduler: "sh".to_owned(),
        flags: ServiceFlags::PERSISTENT
            .with(ServiceFlags::ONE_PACKET)
            .with(ServiceFlags::SCHEDULER_2),
        timeout: 60,
        netmask: Netmask::Inet6(64),
        engine: Some("sip".to_owned()),
    };
    for line in [
        "-A -f 7 -6 -s sh -p 60 -M 64 --pe sip -o -b sh-port",
        "-b sh-port -O --pe=sip -M64 -p60 -ssh -6 -f7 -A",
        "--add-service --fwmark-service 7 --ipv6 --scheduler sh --persistent 60 --netmask 64 \
         --pe sip --ops --sched-flags sh-port",
    ] {
        assert_eq!(change(line), Change::AddService(expected.clone()), "{line}");
    }
}

#[test]
fn redispatch_is_for_tcp_and_firewall_marks() {
    for line in [
        "-A -t 10.0.0.1:80 --redispatch",
        "-E -t 10.0.0.1:80 --redispatch",
        "-A -f 7 --redispatch",
    ] {
        let (Change::AddService(service) | Change::EditService(service)) = change(line) else {
            panic!("{line}");
        };
        assert!(service.flags.contains(ServiceFlags::REDISPATCH), "{line}");
    }
    for line in [
        "-A -u 10.0.0.1:53 --redispatch",
        "set -u 10.0.0.1:53 --redispatch",
    ] {
        let error = refusal(line);
        let wanted = "works for TCP and firewall-mark services only, not for UDP 10.0.0.1:53";
        assert!(error.contains(wanted), "{line}: {error}");
    }
}

#[test]
fn persistence_has_a_value_or_not() {
    for (line, seconds) in [
        ("-A -t 10.0.0.1:0 -p", 360),
        ("-A -t 10.0.0.1 -p -s rr", 360),
        ("-A -t 10.0.0.1:0 -p 90", 90),
    ] {
        let Change::AddService(service) = change(line) else {
            panic!("{line}");
        };
        assert_eq!(service.timeout, seconds, "{line}");
        assert!(service.flags.contains(ServiceFlags::PERSISTENT), "{line}");
        assert_eq!(service.id.port(), 0, "{line}");
    }
}

#[test]
fn a_server_with_what_it_does_not_say() {
    let Change::AddDestination(service, server) = change("-a -u 10.0.0.1:domain -r 10.0.0.2")
    else {
        panic!();
    };
    assert_eq!(service, id(Protocol::Udp, "10.0.0.1", 53));
    assert_eq!(
        server.id,
        DestinationId {
            address: [10, 0, 0, 2].into(),
            port: 53
        }
    );
    assert_eq!(server.forwarding, Forwarding::Route);
    assert_eq!((server.weight, server.upper_threshold), (1, 0));
}

#[test]
fn a_server_with_all_it_can_say() {
    let Change::EditDestination(_, server) = change(
        "-e -t 10.0.0.1:80 -r [2001:db8::2]:80 -i -w 0 -x 9 -y 8 --tun-type gue --tun-port 6080 \
         --tun-remcsum",
    ) else {
        panic!();
    };
    assert_eq!(server.id.address, "2001:db8::2".parse::<IpAddr>().unwrap());
    assert_eq!(server.forwarding, Forwarding::Tunnel);
    assert_eq!(
        (
            server.weight,
            server.upper_threshold,
            server.lower_threshold
        ),
        (0, 9, 8)
    );
    assert_eq!(server.tunnel.kind, TunnelKind::Gue);
    assert_eq!(server.tunnel.port, 6080);
    assert_eq!(server.tunnel.checksum, TunnelChecksum::Remote);
}

#[test]
fn only_masquerading_changes_ports() {
    let port = |line: &str| match changed(line) {
        (Change::AddDestination(_, server) | Change::EditDestination(_, server), notes) => {
            (server.id.port, notes.len())
        }
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(port("-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m"), (8080, 0));
    assert_eq!(port("-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -g"), (80, 1));
    assert_eq!(port("-a -f 1 -r 10.0.0.2:8080 -g"), (8080, 0));
    // A destination to delete keeps the port that was given.
    assert_eq!(
        change("-d -t 10.0.0.1:80 -r 10.0.0.2:8080"),
        Change::DeleteDestination(
            id(Protocol::Tcp, "10.0.0.1", 80),
            DestinationId {
                address: [10, 0, 0, 2].into(),
                port: 8080
            }
        )
    );
}

#[test]
fn the_other_changes() {
    assert_eq!(change("-C"), Change::Clear);
    assert_eq!(change("--clear"), Change::Clear);
    assert_eq!(change("-Z"), Change::Zero(None));
    assert_eq!(
        change("-Z --sctp-service 10.0.0.1:9"),
        Change::Zero(Some(id(Protocol::Sctp, "10.0.0.1", 9)))
    );
    assert_eq!(
        change("-D -f 4294967295"),
        Change::DeleteService(ServiceId::Mark {
            mark: u32::MAX,
            family: Family::Inet
        })
    );
    let Change::SetTimeouts(timeouts) = change("--set 900 0 300") else {
        panic!();
    };
    assert_eq!(
        (timeouts.tcp, timeouts.tcp_fin, timeouts.udp),
        (900, 0, 300)
    );
    assert_eq!(
        change("--stop-daemon backup"),
        Change::StopDaemon(DaemonRole::Backup)
    );
    let Change::StartDaemon(daemon) =
        change("--start-daemon master --syncid 7 --mcast-group ff02::81 --mcast-ttl 3")
    else {
        panic!();
    };
    assert_eq!((daemon.sync_id, daemon.ttl, daemon.port), (7, 3, 0));
    assert_eq!(daemon.interface, "eth0");
}

#[test]
fn listings() {
    let plain = Listing {
        subject: Subject::Table(None),
        view: View::default(),
        json: false,
    };
    assert_eq!(listing(""), plain);
    assert_eq!(listing("-L"), plain);
    assert_eq!(listing("-l"), plain);
    assert_eq!(listing("--list --sort"), plain);
    for line in ["-Ln", "-ln", "-nL", "-L -n", "--list --numeric"] {
        assert!(listing(line).view.numeric, "{line}");
    }
    assert_eq!(
        listing("-Lc").subject,
        Subject::Connections(ConnectionFilter::default())
    );
    assert_eq!(listing("-L --timeout").subject, Subject::Timeouts);
    assert_eq!(listing("-L --daemon").subject, Subject::Daemons);
    assert_eq!(
        listing("-L -t 10.0.0.1:80").subject,
        Subject::Table(Some(id(Protocol::Tcp, "10.0.0.1", 80)))
    );
    assert_eq!(listing("-L --stats --exact").view.columns, Columns::Stats);
    assert!(listing("-L --rate -X").view.exact);
    assert!(!listing("-L --nosort").view.sorted);
    assert!(listing("-L --stats --rate --json").json);
    assert!(matches!(parsed("-Sn"), Ok(Command::Save(view)) if view.numeric));
    assert!(matches!(parsed("-R"), Ok(Command::Restore)));
}

#[test]
fn which_connections() {
    let end = |address: &str, prefix, port| EndpointFilter {
        address: Some(address.parse().unwrap()),
        prefix,
        port,
    };
    let all = ConnectionFilter::default();
    for (line, filter) in [
        ("connections", all),
        (
            "connections -t 10.0.0.1:http",
            ConnectionFilter {
                protocol: Some(Protocol::Tcp),
                service: end("10.0.0.1", None, Some(80)),
                ..all
            },
        ),
        (
            "-L -c -u [2001:db8::1]",
            ConnectionFilter {
                protocol: Some(Protocol::Udp),
                service: end("2001:db8::1", None, None),
                ..all
            },
        ),
        (
            "connections -r 10.0.0.2 --client 192.0.2.1:4000",
            ConnectionFilter {
                client: end("192.0.2.1", None, Some(4000)),
                server: end("10.0.0.2", None, None),
                ..all
            },
        ),
        (
            "connections -r 2001:db8::/32 --client 192.0.2.0/24",
            ConnectionFilter {
                client: end("192.0.2.0", Some(24), None),
                server: end("2001:db8::", Some(32), None),
                ..all
            },
        ),
    ] {
        assert_eq!(
            listing(line).subject,
            Subject::Connections(filter),
            "{line}"
        );
    }
    assert!(listing("connections -n --json").json);
    for (line, words) in [
        ("connections --client 10.0.0.0/33", "from 0 to 32"),
        ("connections --client ::/129", "from 0 to 128"),
        ("connections --client 10.0.0.0:80/8", "is not an address"),
        ("connections --client 10.0.0.0/8:80", "whole number"),
        ("connections -r /8", "is not an address"),
        ("connections -L", "there is no option \"-L\""),
        ("-L connections", "connections must be the first word"),
    ] {
        let said = refusal(line);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn versions() {
    for line in ["-v", "--version"] {
        assert_eq!(parsed(line).unwrap(), Command::Version { json: false });
    }
    assert_eq!(
        parsed("-v --json").unwrap(),
        Command::Version { json: true }
    );
}

#[test]
fn names_that_rules_cannot_hold_are_refused() {
    for line in ["-A -f 1 -s=-t", "-A -f 1 -s r#r", "-A -f 1 -p --pe=-x"] {
        assert!(refusal(line).contains("letters, digits, - and _"), "{line}");
    }
}

#[test]
fn options_that_mean_nothing_to_a_command_are_refused() {
    for (line, words) in [
        ("-L -w 3", "--weight does not apply to --list"),
        ("-C -n", "--numeric does not apply to --clear"),
        (
            "-A -t 10.0.0.1:80 -r 10.0.0.2",
            "--real-server does not apply to --add-service",
        ),
        (
            "-D -t 10.0.0.1:80 -s rr",
            "--scheduler does not apply to --delete-service",
        ),
        (
            "-d -t 10.0.0.1:80 -r 10.0.0.2 -m",
            "--masquerading does not apply to --delete-server",
        ),
        ("-S --json", "--json does not apply to --save"),
        ("--set 1 2 3 -n", "--numeric does not apply to --set"),
        (
            "-L --timeout --stats",
            "--stats does not apply to --list --timeout",
        ),
        (
            "-L -c --rate",
            "--rate does not apply to --list --connection",
        ),
        ("-L --stats --rate", "--stats and --rate exclude each other"),
        ("-L -c -f 1", "--fwmark-service cannot select connections"),
        (
            "-L --timeout -t 10.0.0.1:80",
            "--timeout and --tcp-service exclude each other",
        ),
        (
            "-L -c --timeout",
            "--connection and --timeout exclude each other",
        ),
        (
            "-L -r 10.0.0.2",
            "--real-server does not apply to --list without --connection",
        ),
        (
            "-L --client 10.0.0.2",
            "--client does not apply to --list without --connection",
        ),
        ("-v -n", "--numeric does not apply to --version"),
        (
            "-A -t 10.0.0.1:80 -u 10.0.0.1:80",
            "--tcp-service and --udp-service exclude each other",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -g -m",
            "--gatewaying and --masquerading exclude each other",
        ),
        (
            "-A -t 10.0.0.1:80 -6",
            "--ipv6 applies to --fwmark-service only",
        ),
        ("-A -D -t 10.0.0.1:80", "are two commands: give one"),
        ("-n", "no command"),
        ("-A", "--add-service needs a virtual service"),
        ("-a -t 10.0.0.1:80", "--add-server needs a real server"),
        (
            "-A -t 10.0.0.1:80 -s rr -s wlc",
            "cannot be used multiple times",
        ),
        ("-L -n -n", "cannot be used multiple times"),
        ("-L table", "unexpected \"table\""),
        ("--ad-service", "--add-service"),
    ] {
        let said = refusal(line);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn values_that_make_no_sense_are_named_with_their_option() {
    for (line, words) in [
        (
            "-A -t 10.0.0.1:99999",
            "--tcp-service \"10.0.0.1:99999\": port",
        ),
        ("-A -t 10.0.0.1:80 -o", "--ops works for UDP"),
        (
            "-A -f 0",
            "--fwmark-service \"0\": it must be a whole number from 1",
        ),
        ("-A -t 10.0.0.1:80 -p 0", "--persistent \"0\""),
        ("-A -t 10.0.0.1:80 -p 99999999", "--persistent \"99999999\""),
        (
            "-A -t 10.0.0.1:80 -p -M 33",
            "--netmask \"33\": an IPv4 service",
        ),
        (
            "-A -t [2001:db8::1]:80 -p -M 129",
            "--netmask \"129\": an IPv6 service",
        ),
        (
            "-A -t 10.0.0.1:80 -s aaaabbbbccccdddd",
            "1 to 15 characters",
        ),
        (
            "-A -t 10.0.0.1:80 -s rr -b sh-port",
            "--sched-flags \"sh-port\"",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -w -1",
            "--weight \"-1\": it must be a whole number",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -w 2147483648",
            "from 0 to 2147483647",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -x many",
            "--u-threshold \"many\"",
        ),
        (
            "-a -t 10.0.0.1:80 -r 2001:db8::2 -m",
            "only a tunnel (--ipip) connects the two",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -m --tun-csum",
            "--tun-csum applies to tunnels only",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue",
            "--tun-port",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-csum",
            "not apply to a tunnel of type ipip",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre --tun-remcsum",
            "of type gre",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type vxlan",
            "ipip, gue or gre",
        ),
        ("--set 1 2", "3 values required"),
        ("--set 1 2 x", "--set \"x\": as the UDP timeout"),
        (
            "--start-daemon boss",
            "--start-daemon \"boss\": it must be master or backup",
        ),
        (
            "--start-daemon master --mcast-group 10.0.0.1",
            "--mcast-group \"10.0.0.1\"",
        ),
        ("-A -t", "--tcp-service"),
    ] {
        let said = refusal(line);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn a_forgotten_port_or_bracket_is_refused() {
    for (line, words) in [
        (
            "-A -t 10.0.0.1",
            "--tcp-service 10.0.0.1 has no port: write 10.0.0.1:PORT, or 10.0.0.1:0 for a service \
             on every port",
        ),
        (
            "-A -u 2001:db8::1:80",
            "--udp-service 2001:db8::1:80 has no port: write [2001:db8::1]:80, or \
             [2001:db8::1:80]:0 for a service on every port",
        ),
        ("-A -t [2001:db8::1]", "write [2001:db8::1]:PORT, or"),
        ("-A -t 10.0.0.010:80", "without leading zeros"),
        ("-A -t 10.0.0:80", "it has 3 numbers, not 4"),
    ] {
        let said = refusal(line);
        assert!(said.contains(words), "{line}: {said}");
    }
    // Only a new service can be one by mistake; and saved rules say what there was.
    for line in [
        "-E -t 10.0.0.1",
        "-D -t 10.0.0.1",
        "-a -t 10.0.0.1 -r 10.0.0.2",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
    }
    assert!(Parser::of_lines(&Fixed)
        .parse_rule(["lvsadm", "-A", "-t", "10.0.0.1"])
        .is_ok());
    let (change, notes) = changed("-A -t 2001:db8::1:80 -p");
    assert!(matches!(change, Change::AddService(_)));
    assert_eq!(
        notes,
        ["--tcp-service 2001:db8::1:80 takes every port; did you mean [2001:db8::1]:80?"]
    );
}

#[test]
fn a_firewall_mark_may_be_hexadecimal_and_an_ipv4_netmask_a_prefix_length() {
    assert_eq!(change("-D -f 0x10"), change("-D -f 16"));
    assert_eq!(
        change("-A -t 10.0.0.1:80 -p -M 24"),
        change("-A -t 10.0.0.1:80 -p -M 255.255.255.0")
    );
}

#[test]
fn an_option_without_effect_is_remarked() {
    let (_, notes) = changed("-A -t 10.0.0.1:80 -M 255.255.255.0");
    assert_eq!(notes, ["--netmask has no effect without --persistent"]);
}

#[test]
fn the_definition_is_sound() {
    definition::command().debug_assert();
    let help = parsed("--help").unwrap_err();
    assert_eq!(help.exit_code(), std::process::ExitCode::SUCCESS);
}

proptest::proptest! {
    #[test]
    fn no_command_line_stops_the_parser(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "-A", "-E", "-a", "-d", "-L", "-Z", "-S", "--set", "-t", "-u", "-f", "-6", "-s",
                "-p", "-r", "-m", "-i", "-w", "-x", "-M", "-b", "-n", "-c", "--stats", "--json",
                "--pe", "-o", "--tun-type", "gue", "10.0.0.1:80", "[2001:db8::1]:80", "10.0.0.2",
                "7", "rr", "", "-1", "255.255.255.0", "--start-daemon", "master", "show", "drain",
                "set", "apply", "connections", "--wait", "5s",
            ]),
            0..8,
        )
    ) {
        let _ = parse(std::iter::once("lvsadm").chain(words), &Fixed);
    }
}
