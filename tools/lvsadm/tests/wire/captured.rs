// SPDX-License-Identifier: GPL-2.0-only

//! Holds lvsadm to a kernel's bytes and to ipvsadm's listings of the same table.

use std::net::IpAddr;

use crate::replay::{answers, bytes, captured, Replay};
use lvsadm::cli::{self, Command};
use lvsadm::format::{self, Labels};
use lvsadm::model::{Change, ServiceId, Table};
use lvsadm::names::Names;
use lvsadm::netlink::{convert, request, Failure, Message};
use netlink_packet_core::Emitable;

/// The names of the machine that made the captures.
struct Guest;

impl Names for Guest {
    fn address_of(&self, _host: &str) -> Option<IpAddr> {
        None
    }

    fn port_of(&self, _service: &str, _protocol: &str) -> Option<u16> {
        None
    }

    fn host_of(&self, _address: &IpAddr) -> Option<String> {
        None
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        let name = match (port, protocol) {
            (53, _) => "domain",
            (80, "tcp") => "http",
            (443, "tcp") => "https",
            (444, "tcp") => "snpp",
            (445, "tcp") => "microsoft-ds",
            (5060, "tcp" | "udp") => "sip",
            (8080, "tcp") => "http-alt",
            _ => return None,
        };
        Some(name.to_owned())
    }
}

fn command(line: &str) -> Command {
    cli::parse(line.split_whitespace(), &Guest).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn listed(line: &str) -> String {
    let Command::List(listing) = command(line) else {
        panic!("{line} lists nothing");
    };
    let mut text = Vec::new();
    lvsadm::run::list(&mut Replay::new(), &listing, &Guest, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

macro_rules! listing {
    ($($name:ident: $line:literal is $file:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(listed($line), include_str!(concat!("../fixtures/", $file)));
        }
    )*};
}

listing! {
    plain: "lvsadm -L -n" is "plain.txt";
    plain_combined: "lvsadm -Ln" is "plain.txt";
    plain_lower_case: "lvsadm -ln --sort" is "plain.txt";
    named: "lvsadm -L" is "named.txt";
    named_without_arguments: "lvsadm" is "named.txt";
    stats: "lvsadm -L -n --stats" is "stats.txt";
    stats_exact: "lvsadm -L -n --stats --exact" is "stats-exact.txt";
    rate: "lvsadm -L -n --rate" is "rate.txt";
    rate_exact: "lvsadm -L -n --rate -X" is "rate-exact.txt";
    thresholds: "lvsadm -L -n --thresholds" is "thresholds.txt";
    persistent_connections: "lvsadm -L -n --persistent-conn" is "persistent-conn.txt";
    tunnels: "lvsadm -L -n --tun-info" is "tun-info.txt";
    unsorted: "lvsadm -L -n --nosort" is "nosort.txt";
    one_service: "lvsadm -L -n -t 10.1.0.1:80" is "one.txt";
    timeouts: "lvsadm -L --timeout" is "timeout.txt";
    daemons: "lvsadm -L --daemon" is "daemon.txt";
}

#[test]
fn rules_are_ipvsadms_and_thresholds() {
    let mut replay = Replay::new();
    let table = Table {
        info: None,
        groups: lvsadm::run::groups(&mut replay, &Default::default(), true).unwrap(),
    };
    let ours = format::save::rules(&table, &Labels::numeric());
    assert!(
        ours.contains("-r 10.0.0.2:8080 -m -w 3 -x 100 -y 50\n"),
        "{ours}"
    );
    assert_eq!(
        ours.replace(" -x 100 -y 50", "").replace(" -x 9 -y 8", ""),
        include_str!("../fixtures/save.txt")
    );
    // What is saved can be restored, and makes the same table.
    let rules = lvsadm::restore::parse(&ours, &Guest).unwrap();
    let added = |rule: &lvsadm::restore::Rule| match &rule.change {
        Change::AddService(service) => Some(service.clone()),
        _ => None,
    };
    let restored: Vec<_> = rules.iter().filter_map(added).collect();
    let listed: Vec<_> = table
        .groups
        .iter()
        .map(|group| &group.service.service)
        .collect();
    assert_eq!(restored.len(), listed.len());
    for (restored, listed) in restored.iter().zip(listed) {
        assert_eq!(restored.id, listed.id);
        assert_eq!(restored.scheduler, listed.scheduler);
        assert_eq!(restored.timeout, listed.timeout);
        assert_eq!(restored.netmask, listed.netmask);
        assert_eq!(restored.engine, listed.engine);
        // The kernel adds a flag of its own: the service is in its table.
        assert_eq!(restored.flags.0 | 2, listed.flags.0);
    }
    let destinations = rules.iter().filter_map(|rule| match &rule.change {
        Change::AddDestination(_, destination) => Some(destination),
        _ => None,
    });
    let listed = table.groups.iter().flat_map(|group| &group.destinations);
    assert!(destinations.eq(listed.map(|entry| &entry.destination)));
}

/// The attributes of a request as they stand in the message.
fn emitted(message: &Message) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

/// What ipvsadm asked for: the command and, of its attributes, those that `keep` names.
fn asked(name: &str, keep: &[u16]) -> (u8, Vec<u8>) {
    let line = include_str!("../fixtures/requests.hex")
        .lines()
        .find(|line| line.split(' ').next() == Some(name))
        .unwrap();
    let mut words = line.split(' ').skip(1);
    let command = words.next().unwrap().parse().unwrap();
    let mut attributes = Vec::new();
    for word in words {
        let (kind, value) = word.split_once(':').unwrap();
        let kind = u16::from_str_radix(kind, 16).unwrap();
        if keep.contains(&(kind & 0x3fff)) {
            let value = bytes(value);
            attributes.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            attributes.extend(kind.to_ne_bytes());
            attributes.extend(value);
        }
    }
    (command, attributes)
}

fn requested(line: &str) -> Message {
    let Command::Change { change, .. } = command(line) else {
        panic!("{line} changes nothing");
    };
    request::request(&change)
}

#[test]
fn services_are_added_in_ipvsadms_bytes() {
    for (name, line) in [
        ("add-service", "lvsadm -A -t 10.1.0.1:80 -s rr"),
        (
            "add-persistent",
            "lvsadm -A -t 10.1.0.2:0 -p -M 255.255.255.0",
        ),
        ("add-engine", "lvsadm -A -u 10.1.0.2:5060 -p 120 --pe sip"),
        ("add-mark", "lvsadm -A -f 8 -6 -p 90 -M 64"),
        ("set", "lvsadm --set 901 0 302"),
    ] {
        let message = requested(line);
        let (command, attributes) = asked(name, &[1, 4, 5, 6]);
        assert_eq!(u8::from(message.command), command, "{line}");
        assert_eq!(emitted(&message), attributes, "{line}");
    }
}

#[test]
fn destinations_are_added_in_ipvsadms_bytes() {
    for (name, line) in [
        (
            "add-server",
            "lvsadm -a -t 10.1.0.1:80 -r 10.0.0.4 -i --tun-type gue --tun-port 6080 --tun-remcsum \
             -w 70000 -x 9 -y 8",
        ),
        ("add-server-6", "lvsadm -a -f 8 -6 -r [2001:db8::7]:77 -m"),
    ] {
        let mut message = requested(line);
        let (command, attributes) = asked(name, &[2]);
        assert_eq!(u8::from(message.command), command, "{line}");
        // The service is named by less than ipvsadm says: nothing else is looked at.
        let service = message.attributes.remove(0);
        assert_eq!(emitted(&message), attributes, "{line}");
        let (_, whole) = asked(name, &[1]);
        let mut named = vec![0; service.buffer_len()];
        service.emit(&mut named);
        assert_eq!(named[2..], whole[2..named.len()], "{line}");
    }
}

#[test]
fn answers_survive_the_round_trip() {
    let mut count = 0;
    for answer in captured().iter().filter(|answer| answer.name == "services") {
        for message in answer.messages().unwrap() {
            let emitted = emitted(&message);
            let again = netlink_packet_core::ParseableParametrized::parse_with_param(
                emitted.as_slice(),
                netlink_packet_generic::GenlHeader { cmd: 1, version: 1 },
            );
            assert_eq!(again.ok(), Some(message));
            count += 1;
        }
    }
    assert_eq!(count, 11);
}

fn kernel_error(name: &str) -> lvsadm::netlink::KernelError {
    let captured = captured();
    let answer = captured.iter().find(|answer| answer.name == name).unwrap();
    match answer.messages() {
        Err(Failure::Kernel(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals_and_their_extended_acknowledgments() {
    assert_eq!(kernel_error("absent").errno, libc::ESRCH);
    assert_eq!(kernel_error("absent").message, None);
    assert_eq!(kernel_error("unknown").errno, libc::EOPNOTSUPP);
    for name in ["malformed", "malformed-capped"] {
        let error = kernel_error(name);
        assert_eq!(error.errno, libc::ERANGE, "{name}");
        assert_eq!(
            error.message.as_deref(),
            Some("Attribute failed policy validation"),
            "{name}"
        );
        assert_eq!(error.offset, Some(20), "{name}");
    }
}

#[test]
fn an_interrupted_listing_is_no_listing() {
    let mut captured = captured();
    let answer = captured
        .iter_mut()
        .find(|answer| answer.name == "services")
        .unwrap();
    // NLM_F_DUMP_INTR in the first message's flags.
    answer.datagrams[0][6] |= 0x10;
    assert!(matches!(answer.messages(), Err(Failure::Interrupted)));
}

#[test]
fn figures_of_32_bits_serve_when_there_are_no_others() {
    let captured = captured();
    let entry = |strip: bool| {
        let answer = captured.iter().find(|answer| answer.name == "services");
        let messages = answer.unwrap().messages().unwrap();
        messages
            .into_iter()
            .map(|mut message| {
                if let Some(lvsadm::netlink::Attribute::Service(attributes)) =
                    message.attributes.first_mut()
                {
                    attributes.retain(|attribute| {
                        !strip
                            || !matches!(
                                attribute,
                                lvsadm::netlink::service::ServiceAttribute::Stats64(_)
                            )
                    });
                }
                convert::read_service(&message).unwrap()
            })
            .find(|entry| entry.stats.connections != 0)
            .unwrap()
    };
    assert_eq!(entry(true), entry(false));
    assert_eq!(entry(true).stats.packets_in, 300);
    assert_eq!(entry(true).stats.bytes_out, 98_400);
}

#[test]
fn json_of_the_captured_table() {
    let table: serde_json::Value = serde_json::from_str(&listed("lvsadm -L --json")).unwrap();
    assert_eq!(table["version"], "1.2.1");
    assert_eq!(table["connection_table_size"], 2048);
    let services = table["services"].as_array().unwrap();
    assert_eq!(services.len(), 11);
    let find = |key: &str, value: serde_json::Value| {
        services
            .iter()
            .find(|service| service[key] == value)
            .unwrap()
    };
    let http = services
        .iter()
        .find(|service| service["address"] == "10.1.0.1" && service["port"] == 80)
        .unwrap();
    assert_eq!(http["protocol"], "tcp");
    assert_eq!(http["persistence"], serde_json::Value::Null);
    let masquerade = &http["destinations"][2];
    assert_eq!(masquerade["address"], "10.0.0.2");
    assert_eq!(masquerade["port"], 8080);
    assert_eq!(masquerade["forwarding"], "masquerade");
    assert_eq!(masquerade["upper_threshold"], 100);
    assert_eq!(masquerade["tunnel"], serde_json::Value::Null);
    let gue = &http["destinations"][3]["tunnel"];
    assert_eq!(
        *gue,
        serde_json::json!({"type": "gue", "port": 6080, "checksum": "remote"})
    );
    let mark = find("fwmark", 8.into());
    assert_eq!(mark["family"], "inet6");
    assert!(mark.get("address").is_none());
    assert_eq!(
        mark["persistence"],
        serde_json::json!({"timeout": 90, "netmask": 64, "engine": null})
    );
    let sip = services
        .iter()
        .find(|service| service["persistence"]["engine"] == "sip")
        .unwrap();
    assert_eq!(sip["persistence"]["netmask"], "255.255.255.255");
    let dns = find("protocol", "udp".into());
    assert_eq!(
        dns["stats"],
        serde_json::json!({
            "connections": 295, "packets_in": 300, "packets_out": 300,
            "bytes_in": 38400, "bytes_out": 98400
        })
    );
    let one: serde_json::Value =
        serde_json::from_str(&listed("lvsadm -L --json -t 10.1.0.1:80")).unwrap();
    assert!(one.get("version").is_none());
    assert_eq!(one["services"], serde_json::json!([http]));
    let timeouts = listed("lvsadm -L --timeout --json");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&timeouts).unwrap(),
        serde_json::json!({"timeouts": {"tcp": 901, "tcp_fin": 120, "udp": 302}})
    );
    let daemons: serde_json::Value =
        serde_json::from_str(&listed("lvsadm -L --daemon --json")).unwrap();
    assert_eq!(daemons["daemons"][1]["group"], "ff02::81");
}

#[test]
fn the_capture_holds_what_the_tests_think() {
    assert_eq!(answers("x 1 00ff\nx 1 01\ny 2 02\n").len(), 2);
    let id = ServiceId::Address {
        protocol: lvsadm::model::Protocol::Tcp,
        address: [10, 1, 0, 1].into(),
        port: 80,
    };
    let mut replay = Replay::new();
    let destinations = lvsadm::client::Director::destinations(&mut replay, &id).unwrap();
    assert_eq!(destinations.len(), 6);
}
