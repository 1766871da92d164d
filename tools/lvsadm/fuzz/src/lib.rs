// SPDX-License-Identifier: GPL-2.0-only

//! What lvsadm promises for any text and any octets. Each fuzz target has a module with a function
//! `run`. The fuzzer calls it with generated inputs, the host tests call it with the corpus.
//!
//! Nothing here may need the fuzzer.

pub mod answers;
pub mod connections;
pub mod options;
pub mod rules;
pub mod survival;

use lvsadm::cli::Parser;
use lvsadm::error::Error;
use lvsadm::names::Names;
use lvsadm::restore::{self, Rule};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr};

thread_local! {
    // Creating a parser takes much longer than using it.
    static PARSER: RefCell<Parser<'static>> = RefCell::new(Parser::new(&Fixed));
}

/// Reads rules.
fn rules_in(text: &str) -> Result<Vec<Rule>, Error> {
    PARSER.with_borrow_mut(|parser| restore::parse_with(text, parser))
}

/// A few constant names; each belongs to one thing, and each thing has one name.
pub struct Fixed;

const HOSTS: [(&str, IpAddr); 2] = [
    ("www", IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    (
        "six",
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ),
];
const PORTS: [(&str, u16, &str); 3] = [
    ("http", 80, "tcp"),
    ("domain", 53, "udp"),
    ("domain", 53, "tcp"),
];

impl Names for Fixed {
    fn address_of(&self, host: &str) -> Option<IpAddr> {
        HOSTS.iter().find(|row| row.0 == host).map(|row| row.1)
    }

    fn port_of(&self, service: &str, protocol: &str) -> Option<u16> {
        let row = |row: &&(&str, u16, &str)| (row.0, row.2) == (service, protocol);
        PORTS.iter().find(row).map(|row| row.1)
    }

    fn host_of(&self, address: &IpAddr) -> Option<String> {
        let row = HOSTS.iter().find(|row| row.1 == *address)?;
        Some(row.0.to_owned())
    }

    fn service_of(&self, port: u16, protocol: &str) -> Option<String> {
        let row = |row: &&(&str, u16, &str)| (row.1, row.2) == (port, protocol);
        PORTS.iter().find(row).map(|row| row.0.to_owned())
    }
}
