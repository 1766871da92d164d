// SPDX-License-Identifier: GPL-2.0-only

//! Typical mistakes of new users: what each of them typed, and the message that helps.

use std::net::IpAddr;

use lvsadm::cli::{parse, Command};
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

/// Pairs of lines: `$ lvsadm` with a command line, and `lvsadm:` with the whole message.
const MISTAKES: &str = include_str!("fixtures/mistakes.txt");

fn read(line: &str) -> Result<Command, lvsadm::error::Error> {
    let words = std::iter::once("lvsadm").chain(line.split_whitespace());
    parse(words, &NoNames)
}

#[test]
fn each_mistake_is_answered_by_one_helpful_message() {
    let mut lines = MISTAKES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut wrong) = (0, Vec::new());
    while let Some(line) = lines.next() {
        let line = line.strip_prefix("$ lvsadm ").unwrap();
        let message = lines.next().unwrap().strip_prefix("lvsadm: ").unwrap();
        count += 1;
        match read(line) {
            Err(error) if error.to_string() == message => (),
            Err(error) => wrong.push(format!("$ lvsadm {line}\nlvsadm: {error}")),
            Ok(command) => wrong.push(format!("$ lvsadm {line}\n{command:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 30, "{count}");
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
