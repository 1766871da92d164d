// SPDX-License-Identifier: GPL-2.0-only

//! How evenly hashes spread the clients of an access log ("ONE-IP", section 3.2: "analyze the
//! access log to choose the hash function").

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead};
use std::net::IpAddr;

use lvs_core::regions::Regions;
use lvs_core::scheduler::{Flow, Options};
use lvs_core::{Address, Endpoint, Protocol};
use rayon::prelude::*;
use serde::Serialize;

use crate::policy::{self, server_endpoint, Clock, SimServer};

/// The hashes that are compared: schedulers by name, after the address itself modulo the number of
/// servers, which is the paper's example.
const SCHEDULERS: [&str; 3] = ["sh", "mh", "oneip"];
/// The fewest and the most servers.
const SERVERS: std::ops::RangeInclusive<usize> = 2..=64;

/// The requests of each client.
#[derive(Debug, Default)]
pub struct Log {
    requests: HashMap<IpAddr, u64>,
    total: u64,
    /// Lines that begin with no address.
    pub skipped: u64,
}

/// The log names no client.
#[derive(Debug, PartialEq, Eq)]
pub struct NoClient;

impl fmt::Display for NoClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no line begins with an IP address")
    }
}

impl std::error::Error for NoClient {}

impl Log {
    /// Reads a log whose lines begin with the client's address, as in the common log format. Octets
    /// that are no UTF-8 do not matter.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut log = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.read_until(b'\n', &mut line)? == 0 {
                return Ok(log);
            }
            let word = line
                .split(u8::is_ascii_whitespace)
                .find(|it| !it.is_empty());
            let Some(word) = word else { continue };
            let client = std::str::from_utf8(word)
                .ok()
                .and_then(|it| it.parse().ok());
            match client {
                Some(client) => {
                    *log.requests.entry(client).or_insert(0) += 1;
                    log.total += 1;
                }
                None => log.skipped += 1,
            }
        }
    }

    /// Compares the hashes.
    ///
    /// # Errors
    ///
    /// [`NoClient`].
    pub fn compare(&self) -> Result<Comparison, NoClient> {
        let most = self.requests.values().max().ok_or(NoClient)?;
        let mut numbers: Vec<usize> = SERVERS.collect();
        // The longest first, so that all cores end together.
        numbers.reverse();
        let mut rows: Vec<_> = numbers.into_par_iter().map(|n| self.row(n)).collect();
        rows.reverse();
        Ok(Comparison {
            requests: self.total,
            clients: self.requests.len() as u64,
            greatest_client: *most as f64 / self.total as f64,
            rows,
        })
    }

    fn row(&self, servers: usize) -> Row {
        let mean = self.total as f64 / servers as f64;
        let greatest = |choose: &dyn Fn(&IpAddr) -> Option<usize>| {
            let mut shares = vec![0_u64; servers];
            for (client, requests) in &self.requests {
                if let Some(share) = choose(client).and_then(|index| shares.get_mut(index)) {
                    *share += requests;
                }
            }
            shares.into_iter().max().unwrap_or(0) as f64 / mean
        };
        let mut hashes = vec![greatest(&|client| {
            let number = match client {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            usize::try_from(number % servers as u128).ok()
        })];
        for name in SCHEDULERS {
            let Some(mut director) = policy::director(name, 0) else {
                continue;
            };
            let clock = Clock::default();
            let server = |number| SimServer::new(server_endpoint(number), 1, clock.clone());
            director.add_all((0..servers).map(server).collect());
            hashes.push(greatest(&|client| director.select(&flow(*client))));
        }
        let most = self.requests.values().max().copied().unwrap_or(0) as f64;
        Row {
            servers,
            least: (most / mean).max(1.0),
            hashes,
        }
    }
}

fn flow(client: IpAddr) -> Flow<'static> {
    let address = match client {
        IpAddr::V4(address) => Address::from_v4(address.octets()),
        IpAddr::V6(address) => Address::from_v6(address.octets()),
    };
    Flow {
        protocol: Protocol::Tcp,
        client: Endpoint::new(address, 1024),
        virtual_endpoint: Endpoint::new(Address::from_v4([10, 1, 0, 1]), 80),
        options: Options::default(),
        now: 0,
        regions: Regions::NONE,
    }
}

/// One number of servers.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The number of servers.
    pub servers: usize,
    /// What no hash of clients can undercut: the busiest client has one server.
    pub least: f64,
    /// The requests of the busiest server by those of the mean one, for each hash of
    /// [`Comparison::hashes`].
    pub hashes: Vec<f64>,
}

/// The hashes compared.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Requests in the log.
    pub requests: u64,
    /// Clients in the log.
    pub clients: u64,
    /// The share of the requests of the busiest client.
    pub greatest_client: f64,
    /// For each number of servers.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// The hashes' names.
    #[must_use]
    pub fn hashes() -> Vec<&'static str> {
        std::iter::once("address").chain(SCHEDULERS).collect()
    }

    /// As a table.
    #[must_use]
    pub fn table(&self) -> Vec<Vec<String>> {
        let mut head = vec!["servers".to_owned(), "least".to_owned()];
        head.extend(Self::hashes().into_iter().map(str::to_owned));
        let mut rows = vec![head];
        for row in &self.rows {
            let numbers = std::iter::once(&row.least).chain(&row.hashes);
            let first = std::iter::once(row.servers.to_string());
            rows.push(first.chain(numbers.map(|it| format!("{it:.3}"))).collect());
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(text: &str) -> Comparison {
        Log::read(text.as_bytes()).unwrap().compare().unwrap()
    }

    #[test]
    fn a_log_of_many_clients_is_even_by_hash_and_uneven_by_address() {
        // All addresses are even, as those of networks with two routers.
        let mut text = String::new();
        for client in 0..20_000_u32 {
            text += &format!(
                "10.0.{}.{} - - [x] \"GET / HTTP/1.1\" 200 1\n",
                client >> 7,
                (client & 127) * 2
            );
        }
        let compared = compared(&text);
        assert_eq!((compared.requests, compared.clients), (20_000, 20_000));
        assert_eq!(compared.rows.len(), 63);
        let two = &compared.rows[0];
        assert_eq!(two.servers, 2);
        assert_eq!(two.hashes[0], 2.0);
        for (name, share) in Comparison::hashes().iter().zip(&two.hashes).skip(1) {
            assert!((1.0..1.05).contains(share), "{name}: {share}");
        }
    }

    #[test]
    fn one_busy_client_bounds_every_hash() {
        let mut text = "2001:db8::1 GET\n".repeat(90);
        for client in 0..10 {
            text += &format!("192.0.2.{client} GET\n");
        }
        let compared = compared(&text);
        assert_eq!(compared.greatest_client, 0.9);
        let ten = &compared.rows[8];
        assert_eq!((ten.servers, ten.least), (10, 9.0));
        assert!(ten.hashes.iter().all(|share| *share >= 9.0));
    }

    #[test]
    fn lines_without_an_address_are_skipped() {
        let log = Log::read(&b"\nhost.example - -\n\xff\xff\n192.0.2.1\n"[..]).unwrap();
        assert_eq!((log.total, log.skipped), (1, 2));
        assert_eq!(Log::default().compare().unwrap_err(), NoClient);
    }
}
