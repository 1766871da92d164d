// SPDX-License-Identifier: GPL-2.0-only

//! Plans, and what is done on a machine that is made up.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::doctor::Status;
use crate::error::Error;

fn request(method: Method, services: &[&str], server: Option<(&str, Option<u16>)>) -> Request {
    let end = |text: &str| match text.rsplit_once('/') {
        Some((address, port)) => (address.parse().unwrap(), port.parse().ok()),
        None => (text.parse().unwrap(), None),
    };
    Request {
        method,
        services: services.iter().map(|text| end(text)).collect(),
        server: server.map(|(address, port)| (address.parse().unwrap(), port)),
        gue_port: 6080,
        mtu: 1500,
    }
}

fn commands(request: &Request) -> Vec<String> {
    plan(request).unwrap().iter().map(Step::command).collect()
}

#[test]
fn direct_routing_hides_the_virtual_address_from_arp() {
    let request = request(Method::Dr, &["192.0.2.1", "2001:db8::1"], None);
    assert_eq!(
        commands(&request),
        [
            "sysctl -q -w net.ipv4.conf.all.arp_ignore=1",
            "sysctl -q -w net.ipv4.conf.all.arp_announce=2",
            "ip address replace 192.0.2.1/32 dev lo",
            "ip address replace 2001:db8::1/128 dev lo preferred_lft 0 nodad",
        ]
    );
}

#[test]
fn each_tunnel_has_its_device_and_its_segments() {
    for (method, service, server, device, size) in [
        (Method::Ipip, "192.0.2.1", None, "tunl0", 1440),
        (Method::Ipip, "2001:db8::1", Some("10.0.0.2"), "sit0", 1420),
        (
            Method::Ipip,
            "192.0.2.1",
            Some("2001:db8::2"),
            "ip6tnl0",
            1420,
        ),
        (Method::Gue, "192.0.2.1", None, "tunl0", 1428),
        (Method::Gre, "192.0.2.1", None, "gre0", 1432),
        (Method::Gre, "2001:db8::1", None, "ip6gre0", 1392),
    ] {
        let server = server.map(|server| (server, None));
        let text = commands(&request(method, &[service], server)).join("\n");
        assert!(text.contains(&format!("ip link set {device} up")), "{text}");
        let sized = format!("maxseg size set {size}\n");
        assert!(text.contains(&sized), "{method:?} {size}: {text}");
        assert_eq!(
            text.contains("fou add port 6080 gue"),
            method == Method::Gue
        );
    }
}

#[test]
fn direct_replies_get_the_virtual_address_and_port() {
    let request = request(
        Method::DirectReply,
        &["192.0.2.1/80"],
        Some(("10.0.0.2", Some(8080))),
    );
    let steps = plan(&request).unwrap();
    let rules = steps[1].ruleset().unwrap();
    for line in [
        "ip daddr 10.0.0.2 notrack",
        "ip saddr 10.0.0.2 tcp sport 8080 ip saddr set 192.0.2.1 tcp sport set 80",
        "ip saddr 10.0.0.2 udp sport 8080 ip saddr set 192.0.2.1 udp sport set 80",
        "ip saddr 10.0.0.2 icmp type destination-unreachable ip saddr set 192.0.2.1",
    ] {
        assert!(rules.contains(line), "{line}\n{rules}");
    }
    assert!(rules.contains(&steps[1].mark().unwrap()), "{rules}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let direct = Method::DirectReply;
    for (request, wanted) in [
        (request(direct, &["192.0.2.1/80"], None), "--server names"),
        (
            request(
                direct,
                &["192.0.2.1", "192.0.2.2"],
                Some(("10.0.0.2", None)),
            ),
            "give one virtual address",
        ),
        (
            request(direct, &["192.0.2.1"], Some(("2001:db8::2", None))),
            "of one family",
        ),
        (
            request(direct, &["192.0.2.1"], Some(("192.0.2.1", None))),
            "another address",
        ),
        (
            request(direct, &["192.0.2.1"], Some(("10.0.0.2", Some(8080)))),
            "give that of the service",
        ),
    ] {
        let error = plan(&request).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

/// A machine that knows some programs, and what was done to it.
#[derive(Default)]
struct Imagined {
    settings: BTreeMap<String, u32>,
    missing: BTreeSet<&'static str>,
    addresses: Vec<String>,
    done: Vec<String>,
}

impl Machine for Imagined {
    fn setting(&self, path: &str) -> Option<u32> {
        self.settings.get(path).copied()
    }

    fn run(&mut self, words: &[&str], _input: &str) -> Result<String, String> {
        if self.missing.contains(words[0]) {
            return Err(format!("{} is not installed", words[0]));
        }
        let line = words.join(" ");
        match words {
            ["ip", "-V"] | ["modprobe", "--dry-run", ..] | ["nft", "--check", ..] => {}
            ["ip", "-o", "address", "show", .., address] => {
                let known = self.addresses.iter().find(|known| known == address);
                return Ok(known.cloned().unwrap_or_default());
            }
            ["ip", "-o", "link", ..] | ["nft", "list", ..] => return Err("no".to_owned()),
            ["sysctl", _, _, assignment] => {
                let (name, value) = assignment.split_once('=').unwrap();
                let path = name.replace('.', "/");
                self.settings.insert(path, value.parse().unwrap());
                self.done.push(line);
            }
            ["ip", "address", "replace", address, ..] => {
                let (address, _) = address.split_once('/').unwrap();
                self.addresses.push(address.to_owned());
                self.done.push(line);
            }
            _ => self.done.push(line),
        }
        Ok(String::new())
    }
}

fn machine() -> Imagined {
    let settings = [
        "net/ipv4/conf/all/arp_ignore",
        "net/ipv4/conf/all/arp_announce",
    ];
    Imagined {
        settings: settings.map(|name| (name.to_owned(), 0)).into(),
        ..Imagined::default()
    }
}

#[test]
fn only_what_is_missing_is_done() {
    let steps = plan(&request(Method::Dr, &["192.0.2.1"], None)).unwrap();
    let mut machine = machine();
    let statuses = |machine: &mut Imagined| -> Vec<Status> {
        let checks = check(&steps, machine);
        checks.iter().map(|check| check.status).collect()
    };
    assert_eq!(statuses(&mut machine), [Status::Fail; 3]);
    // Stricter than asked for.
    machine
        .settings
        .insert("net/ipv4/conf/all/arp_ignore".to_owned(), 8);
    let commands = apply(&steps, &mut machine).unwrap();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert_eq!(commands, machine.done);
    assert_eq!(statuses(&mut machine), [Status::Pass; 3]);
    assert!(apply(&steps, &mut machine).unwrap().is_empty());
}

#[test]
fn a_machine_that_lacks_something_is_not_changed() {
    let own = request(
        Method::DirectReply,
        &["192.0.2.1/80"],
        Some(("10.0.0.2", Some(8080))),
    );
    for (request, missing, wanted) in [
        (
            request(Method::Dr, &["192.0.2.1"], None),
            "ip",
            "ip is not installed",
        ),
        (
            request(Method::Ipip, &["192.0.2.1"], None),
            "nft",
            "nft is not installed",
        ),
        (
            request(Method::Gre, &["192.0.2.1"], None),
            "modprobe",
            "the kernel has no module ip_gre",
        ),
        (own, "none", "10.0.0.2 is no address of this machine"),
    ] {
        let mut machine = machine();
        machine.missing.insert(missing);
        let error = apply(&plan(&request).unwrap(), &mut machine).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("nothing was changed"), "{error}");
        assert!(error.contains(wanted), "{error}");
        assert!(machine.done.is_empty(), "{:?}", machine.done);
    }
}

#[test]
fn the_unit_and_the_script_have_the_steps() {
    let unit = unit("dr 192.0.2.1");
    assert!(unit.contains("ExecStart=/usr/sbin/lvsadm realserver dr 192.0.2.1 --apply\n"));
    let script = script(&plan(&request(Method::Dr, &["192.0.2.1"], None)).unwrap());
    assert!(
        script.starts_with("#!/bin/sh\nset -e\n# ARP requests"),
        "{script}"
    );
}
