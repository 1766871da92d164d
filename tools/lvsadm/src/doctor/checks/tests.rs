// SPDX-License-Identifier: GPL-2.0-only

//! Every check finds its mistake, and nothing on a sound host.

use std::collections::BTreeMap;

use super::super::facts::{FirewallRule, Kernel, Link, Route};
use super::super::probe::{Answer, Target};
use super::*;
use crate::host::FixedHost;
use crate::model::{
    DestinationEntry, DestinationId, Forwarding, Group, Protocol, ServiceId, Stats,
};
use crate::report;
use crate::report::tests::{group, server};

/// A host where nothing is wrong, with one service.
fn sound(groups: Vec<Group>) -> Facts {
    with_host(groups, &FixedHost::default())
}

fn with_host(groups: Vec<Group>, host: &FixedHost) -> Facts {
    Facts {
        module: Some("ipvs_rs".to_owned()),
        kernels: vec![Kernel {
            release: "7.2".to_owned(),
            running: true,
            module: Some("ipvs_rs.ko".into()),
            signed: false,
        }],
        settings: BTreeMap::from([
            ("net/ipv4/ip_forward".to_owned(), "1".to_owned()),
            ("net/ipv4/vs/conn_max".to_owned(), "100".to_owned()),
            ("net/ipv4/vs/conntrack".to_owned(), "0".to_owned()),
            ("net/ipv4/conf/eth0/rp_filter".to_owned(), "2".to_owned()),
        ]),
        links: BTreeMap::from([("eth0".to_owned(), Link { mtu: 1500 })]),
        services: groups
            .iter()
            .map(|group| report::service(group, host))
            .collect(),
        table: groups,
        ..Facts::default()
    }
}

/// The outcomes that are not PASS.
fn findings(facts: &Facts) -> Vec<(&'static str, Status, String)> {
    all(facts)
        .into_iter()
        .filter(|check| check.status != Status::Pass)
        .map(|check| {
            assert!(
                check.fix.is_some_and(|fix| !fix.is_empty()),
                "{}",
                check.check
            );
            (check.check, check.status, check.message)
        })
        .collect()
}

fn one(facts: &Facts, check: &str, status: Status, words: &str) {
    let findings = findings(facts);
    let [(name, found, message)] = findings.as_slice() else {
        panic!("{check}: {findings:?}");
    };
    assert_eq!((*name, *found), (check, status), "{message}");
    assert!(message.contains(words), "{message}");
}

fn by(method: Forwarding) -> Group {
    let mut entry = server(1, 1, 0);
    entry.destination.forwarding = method;
    group(vec![entry])
}

#[test]
fn a_sound_host_passes_every_check_that_applies() {
    let facts = sound(vec![group(vec![server(1, 1, 0)])]);
    assert_eq!(findings(&facts), []);
    let names: Vec<&str> = all(&facts).iter().map(|check| check.check).collect();
    assert!(
        names.contains(&"director") && names.contains(&"forwarding"),
        "{names:?}"
    );
    // Nothing is said about what is not used.
    assert!(!names.contains(&"direct-routing") && !names.contains(&"tunnel-mtu"));
    assert!(!names.contains(&"signature"));
}

#[test]
fn a_wrong_module_is_found() {
    let mut facts = sound(vec![]);
    facts.module = Some("ip_vs".to_owned());
    one(
        &facts,
        "director",
        Status::Warn,
        "the C director (ip_vs) is loaded",
    );
    facts.module = None;
    one(&facts, "director", Status::Fail, "no director is loaded");
    facts = sound(vec![]);
    facts.kernels[0].module = None;
    one(
        &facts,
        "kernels",
        Status::Warn,
        "the running kernel 7.2 has no module",
    );
    facts = sound(vec![]);
    facts.lockdown = true;
    one(&facts, "signature", Status::Fail, "not signed");
    facts.kernels[0].signed = true;
    assert_eq!(findings(&facts), []);
}

#[test]
fn services_without_a_working_server_are_found() {
    one(
        &sound(vec![group(vec![])]),
        "services",
        Status::Fail,
        "has no servers",
    );
    let zero = sound(vec![group(vec![server(1, 0, 0)])]);
    one(&zero, "weights", Status::Fail, "has weight 0");
    let mut full = server(1, 1, 9);
    full.destination.upper_threshold = 9;
    let facts = sound(vec![group(vec![full, server(2, 1, 0)])]);
    one(
        &facts,
        "thresholds",
        Status::Warn,
        "upper threshold of 9 connections",
    );
    let host = FixedHost {
        unreachable: vec![[10, 2, 0, 1].into()],
        ..FixedHost::default()
    };
    let facts = with_host(vec![group(vec![server(1, 1, 0), server(2, 1, 0)])], &host);
    one(
        &facts,
        "routes",
        Status::Fail,
        "10.2.0.1:80 of TCP 192.0.2.1:80 has no route",
    );
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    facts.failed_neighbors = vec![[10, 2, 0, 1].into(), [10, 2, 0, 9].into()];
    one(
        &facts,
        "neighbors",
        Status::Fail,
        "10.2.0.1 does not answer",
    );
}

#[test]
fn a_network_that_does_not_carry_the_method_is_found() {
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    facts.remote_addresses = vec![[192, 0, 2, 1].into()];
    one(&facts, "virtual-addresses", Status::Fail, "192.0.2.1");
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    facts
        .settings
        .insert("net/ipv4/ip_forward".to_owned(), "0".to_owned());
    one(&facts, "forwarding", Status::Fail, "does not forward IPv4");
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    facts
        .settings
        .insert("net/ipv4/conf/eth0/rp_filter".to_owned(), "1".to_owned());
    one(&facts, "rp-filter", Status::Warn, "on eth0 drops");
    let route = |gateway| Route {
        device: "eth0".to_owned(),
        gateway,
        mtu: None,
    };
    let mut facts = sound(vec![by(Forwarding::Route)]);
    facts.routes.insert([10, 2, 0, 1].into(), route(false));
    assert_eq!(findings(&facts), []);
    facts.routes.insert([10, 2, 0, 1].into(), route(true));
    one(&facts, "direct-routing", Status::Fail, "behind a router");
    let mut facts = sound(vec![by(Forwarding::Tunnel)]);
    facts.routes.insert([10, 2, 0, 1].into(), route(true));
    one(
        &facts,
        "tunnel-mtu",
        Status::Warn,
        "takes 1520 in its tunnel, and eth0 passes 1500",
    );
    facts.links.insert("eth0".to_owned(), Link { mtu: 1520 });
    facts.links.insert("eth1".to_owned(), Link { mtu: 1500 });
    assert_eq!(findings(&facts), []);
    let narrow = Route {
        mtu: Some(1400),
        ..route(true)
    };
    facts.routes.insert([10, 2, 0, 1].into(), narrow);
    one(
        &facts,
        "tunnel-mtu",
        Status::Warn,
        "takes 1520 in its tunnel, and the path passes 1400",
    );
}

#[test]
fn a_rule_that_breaks_nat_is_found() {
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    let rule = |hook: &str, priority| FirewallRule {
        chain: "inet filter early".to_owned(),
        hook: hook.to_owned(),
        priority,
    };
    facts.firewall = vec![rule("input", 0), rule("prerouting", -100)];
    assert_eq!(findings(&facts), []);
    facts.firewall.push(rule("prerouting", -150));
    one(
        &facts,
        "firewall",
        Status::Fail,
        "inet filter early (priority -150)",
    );
    facts
        .settings
        .insert("net/ipv4/vs/conntrack".to_owned(), "1".to_owned());
    assert_eq!(findings(&facts), []);
}

#[test]
fn chains_that_the_short_cut_skips_are_found() {
    let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
    facts.skipped_chains = vec![FirewallRule {
        chain: "inet filter forward".to_owned(),
        hook: "forward".to_owned(),
        priority: 0,
    }];
    assert_eq!(findings(&facts), []);
    let setting = "net/ipv4/vs/short_cut".to_owned();
    facts.settings.insert(setting.clone(), "1".to_owned());
    one(
        &facts,
        "short-cut",
        Status::Warn,
        "inet filter forward (forward, priority 0)",
    );
    facts.settings.insert(setting, "0".to_owned());
    assert_eq!(findings(&facts), []);
}

/// A NAT server with packets of clients, and so many replies.
fn replying(packets_out: u64) -> DestinationEntry {
    let mut server = server(1, 1, 0);
    server.stats = Stats {
        packets_in: 9,
        packets_out,
        ..Stats::default()
    }
    .into();
    server
}

/// The same facts, with one server that answered a probe so.
fn probed(mut facts: Facts, answer: Answer) -> Facts {
    let service = &facts.table[0].service.service.id;
    let server = facts.table[0].destinations[0].destination.id;
    facts.probed = vec![(Target::new(service, server).unwrap(), answer)];
    facts
}

#[test]
fn nat_servers_whose_replies_do_not_pass_are_found() {
    let facts = sound(vec![group(vec![replying(0)])]);
    let check = |facts: &Facts, status, words| one(facts, "nat-replies", status, words);
    check(
        &probed(facts.clone(), Answer::Yes),
        Status::Fail,
        "10.2.0.1:80 of TCP 192.0.2.1:80 got 9 packets and answers this host, but none of its \
         replies to clients passes here",
    );
    check(
        &probed(facts.clone(), Answer::Refused),
        Status::Fail,
        "got 9 packets and refuses them",
    );
    check(
        &probed(facts.clone(), Answer::None),
        Status::Fail,
        "got 9 packets and answers none",
    );
    check(
        &facts,
        Status::Warn,
        "got 9 packets, and none of its replies to clients passes here",
    );
    assert_eq!(findings(&sound(vec![group(vec![replying(1)])])), []);
}

#[test]
fn udp_servers_whose_replies_do_not_pass_are_found() {
    let mut udp = group(vec![replying(0)]);
    udp.service.service.id = ServiceId::Address {
        protocol: Protocol::Udp,
        address: [192, 0, 2, 1].into(),
        port: 80,
    };
    let facts = sound(vec![udp]);
    let check = |answer, status, words| {
        one(&probed(facts.clone(), answer), "nat-replies", status, words);
    };
    check(
        Answer::Yes,
        Status::Fail,
        "10.2.0.1:80 of UDP 192.0.2.1:80 got 9 packets and answers this host, but",
    );
    check(
        Answer::Refused,
        Status::Fail,
        "got 9 packets and refuses them",
    );
    // Syslog has no answers.
    check(
        Answer::None,
        Status::Warn,
        "answers none; a probe of this host has no answer either",
    );
}

#[test]
fn a_table_that_is_almost_full_is_found() {
    let facts = sound(vec![group(vec![server(1, 1, 80)])]);
    assert_eq!(findings(&facts), []);
    let facts = sound(vec![group(vec![server(1, 1, 81)])]);
    one(
        &facts,
        "connections",
        Status::Warn,
        "81 of 100 connections are in use",
    );
}

#[test]
fn protocols_with_other_connections_and_loops_are_found() {
    let mut ftp = by(Forwarding::Route);
    ftp.service.service.id = ServiceId::Address {
        protocol: Protocol::Tcp,
        address: [192, 0, 2, 1].into(),
        port: 21,
    };
    let id = ftp.service.service.id.clone();
    one(&sound(vec![ftp]), "helpers", Status::Warn, "is FTP");
    // The helper is for NAT.
    let mut ftp = by(Forwarding::Masquerade);
    ftp.service.service.id = id;
    assert_eq!(findings(&sound(vec![ftp])), []);
    let mut sip = group(vec![server(1, 1, 0)]);
    sip.service.service.id = ServiceId::Address {
        protocol: Protocol::Udp,
        address: [192, 0, 2, 1].into(),
        port: 5060,
    };
    one(&sound(vec![sip]), "helpers", Status::Warn, "is SIP");
    let mut looped = group(vec![server(1, 1, 0)]);
    looped.destinations[0].destination.id = DestinationId {
        address: [192, 0, 2, 2].into(),
        port: 80,
    };
    let mut other = group(vec![server(1, 1, 0)]);
    other.service.service.id = ServiceId::Address {
        protocol: Protocol::Tcp,
        address: [192, 0, 2, 2].into(),
        port: 80,
    };
    let mut facts = sound(vec![looped, other]);
    assert_eq!(findings(&facts), []);
    facts.local_servers = vec![[192, 0, 2, 2].into()];
    one(
        &facts,
        "loops",
        Status::Fail,
        "is itself the service TCP 192.0.2.2:80",
    );
}
