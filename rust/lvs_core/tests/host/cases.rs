// SPDX-License-Identifier: GPL-2.0-only

//! Packets in, packets out: the cases in `../data`.
//!
//! A case has four fields, `name`, `do`, `in` and `out`, and ends with an empty line; packets are
//! in hexadecimal. The operations are:
//!
//! - `parse FAMILY`
//! - `rewrite SIDE ENDPOINT full|partial`
//! - `icmp [outer SIDE ADDRESS] quoted SIDE ENDPOINT`
//! - `tunnel PROTOCOL OFFSET`
//!
//! The output is a packet, `error` with the error, `other` for an ICMP message that is no error,
//! the family and offset of a tunnel's inner packet, or `none`. An independent computation checks
//! that each checksum of an output packet is as right or wrong as in the input.

use crate::fuzz::verify::{checksums, pseudo_header_is, upper};
use crate::wire;
use lvs_core::icmp::{self, Message};
use lvs_core::packet::{self, ParseError};
use lvs_core::rewrite::{self, Side, TransportChecksum};
use lvs_core::{tunnel, Address, Endpoint, Family};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

struct Case {
    name: String,
    fields: HashMap<String, String>,
}

/// The outcome of a case.
#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    Packet(Vec<u8>),
    Text(String),
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert!(digits.len() % 2 == 0, "half an octet");
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4) | pair[1])
        .collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let text: String =
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .fold(String::new(), |mut text, line| {
                text.extend([line, "\n"]);
                text
            });
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let mut fields = HashMap::new();
            let mut current = String::new();
            for line in block.trim().lines() {
                let value = match line.strip_prefix(' ') {
                    Some(more) => more,
                    None => {
                        let (field, value) = line.split_once(':').expect("a field");
                        current = field.to_string();
                        value
                    }
                };
                let field: &mut String = fields.entry(current.clone()).or_default();
                field.push(' ');
                field.push_str(value.trim());
            }
            let name = fields["name"].trim().to_string();
            Case { name, fields }
        })
        .collect()
}

fn side(word: &str) -> Side {
    match word {
        "source" => Side::Source,
        "destination" => Side::Destination,
        _ => panic!("{word} is no side"),
    }
}

fn endpoint(word: &str) -> Endpoint {
    let endpoint: SocketAddr = word.parse().unwrap();
    wire::to((endpoint.ip(), endpoint.port()))
}

fn address(word: &str) -> Address {
    wire::address(word.parse().unwrap())
}

/// The family in the packet's version field.
fn family(ip: &[u8]) -> Family {
    match ip[0] >> 4 {
        6 => Family::V6,
        _ => Family::V4,
    }
}

fn error(error: ParseError) -> Outcome {
    Outcome::Text(match error {
        ParseError::Truncated { need } => format!("error Truncated {need}"),
        error => format!("error {error:?}"),
    })
}

fn translate(ip: &[u8], words: &[&str]) -> Outcome {
    let (outer, words) = match words {
        ["outer", outer, to, rest @ ..] => (Some((side(outer), address(to))), rest),
        words => (None, words),
    };
    let ["quoted", quoted, to] = words else {
        panic!("{words:?}");
    };
    let mut ip = ip.to_vec();
    match icmp::parse(family(&ip), &ip) {
        Ok(Message::Error(found)) => {
            match icmp::rewrite(&mut ip, &found, outer, (side(quoted), endpoint(to))) {
                Ok(()) => Outcome::Packet(ip),
                Err(why) => error(why),
            }
        }
        Ok(Message::Other) => Outcome::Text("other".to_string()),
        Err(why) => error(why),
    }
}

fn run(ip: &[u8], words: &[&str]) -> Outcome {
    match words {
        ["parse", family] => {
            let family = if *family == "v6" {
                Family::V6
            } else {
                Family::V4
            };
            match packet::parse(family, ip) {
                Ok(headers) => Outcome::Text(format!("{headers:?}")),
                Err(why) => error(why),
            }
        }
        ["rewrite", which, to, mode] => {
            let mode = match *mode {
                "partial" => TransportChecksum::Partial,
                _ => TransportChecksum::Full,
            };
            let mut ip = ip.to_vec();
            let headers = packet::parse(family(&ip), &ip).unwrap();
            rewrite::rewrite(&mut ip, &headers, side(which), endpoint(to), mode).unwrap();
            Outcome::Packet(ip)
        }
        ["icmp", rest @ ..] => translate(ip, rest),
        ["tunnel", protocol, at] => {
            let found = tunnel::payload(protocol.parse().unwrap(), ip, at.parse().unwrap());
            Outcome::Text(match found {
                Some((Family::V4, at)) => format!("v4 {at}"),
                Some((Family::V6, at)) => format!("v6 {at}"),
                None => "none".to_string(),
            })
        }
        _ => panic!("cannot {words:?}"),
    }
}

/// Whether the transport checksum field has the sum of the pseudo-header.
fn is_partial(ip: &[u8]) -> bool {
    let upper = upper(ip).unwrap();
    let at = upper.at + if upper.protocol == 6 { 16 } else { 6 };
    let field = u16::from_be_bytes([ip[at], ip[at + 1]]);
    pseudo_header_is(ip, field) == Some(0)
}

fn check(case: &Case) {
    let input = hex(&case.fields["in"]);
    let words: Vec<&str> = case.fields["do"].split_whitespace().collect();
    let expected = case.fields["out"].trim();
    let outcome = run(&input, &words);
    let Outcome::Packet(output) = &outcome else {
        assert_eq!(outcome, Outcome::Text(expected.to_string()));
        return;
    };
    assert_eq!(outcome, Outcome::Packet(hex(expected)));
    assert_ne!(*output, input);
    if words.contains(&"partial") {
        assert!(is_partial(&input) && is_partial(output));
        return;
    }
    let before = checksums(&input);
    assert_eq!(checksums(output), before);
    let wrong = before.iter().filter(|checksum| !checksum.right).count();
    assert_eq!(wrong, usize::from(case.name.contains("wrong")));
}

fn all_of(file: &str, least: usize) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let cases = read(&data.join(file));
    assert!(cases.len() >= least, "{} cases", cases.len());
    for case in cases {
        eprintln!("{file}: {}", case.name);
        check(&case);
    }
}

#[test]
fn ipv4_packets() {
    all_of("rewrite-ipv4.txt", 14);
}

#[test]
fn ipv6_packets() {
    all_of("rewrite-ipv6.txt", 17);
}

#[test]
fn icmp_errors() {
    all_of("icmp-ipv4.txt", 52);
}

#[test]
fn icmpv6_errors() {
    all_of("icmp-ipv6.txt", 42);
}

#[test]
fn refused_packets() {
    all_of("refused.txt", 35);
}

#[test]
fn tunnels() {
    all_of("tunnel.txt", 18);
}
