// SPDX-License-Identifier: GPL-2.0-only

//! Parts of `lvsadm` for the rules in a file instead of a director's table, with made-up traffic.
//! `scripts/programs` checks by it what shells, Prometheus and browsers make of them.
//!
//! - `without_director metrics ADDRESS:PORT` serves `lvsadm metrics`
//! - `without_director page ADDRESS:PORT` serves the page of `lvsadm top`
//! - with `COMPLETE=SHELL` it answers a shell as `lvsadm` does
//!
//! `RULES` names the file.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lvs_core::drop::Reason;
use lvsadm::error::Error;
use lvsadm::host::Host;
use lvsadm::model::{DestinationEntry, Drops, Group, ServiceEntry, Stats, Traffic};
use lvsadm::names::System;
use lvsadm::{completion, desired, format, metrics, report, top};

/// Every address is local and has a route, except those for documentation.
struct AnyHost;

impl Host for AnyHost {
    fn has_route(&self, address: &std::net::IpAddr) -> bool {
        !address.to_string().starts_with("203.0.113.")
    }

    fn is_local(&self, _: &std::net::IpAddr) -> bool {
        true
    }
}

/// Traffic that grows with each look.
fn traffic(size: u64) -> Traffic {
    Stats {
        connections: size * 10,
        packets_in: size * 100,
        packets_out: size * 90,
        bytes_in: size * 70_000,
        bytes_out: size * 900_000,
        connection_rate: size % 300,
        packet_rate_in: size % 3_000,
        packet_rate_out: size % 2_700,
        byte_rate_in: size * 700,
        byte_rate_out: size * 9_000,
    }
    .into()
}

fn table(look: u64) -> Vec<Group> {
    let file = std::env::var("RULES").unwrap_or_default();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let wanted = desired::read(&text, &System::default()).unwrap_or_default();
    let mut number = look;
    let groups = wanted.into_iter().map(|wanted| {
        let destinations: Vec<DestinationEntry> = wanted
            .servers
            .into_iter()
            .map(|destination| {
                number += 1;
                DestinationEntry {
                    active: u32::try_from(number * 3 % 1000).unwrap_or(0),
                    inactive: u32::try_from(number % 7).unwrap_or(0),
                    persistent: 0,
                    stats: traffic(number),
                    drops: Drops::default(),
                    destination,
                }
            })
            .collect();
        let mut drops = Drops::default();
        drops.add(Reason::NoRoute, number);
        Group {
            service: ServiceEntry {
                service: wanted.service,
                stats: traffic(number),
                drops,
            },
            destinations,
        }
    });
    groups.collect()
}

/// The number of looks so far.
fn look() -> u64 {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    LOOKS.fetch_add(1, Ordering::Relaxed)
}

fn measured() -> Result<String, Error> {
    let mut drops = Drops::default();
    drops.add(Reason::NoRoute, 3);
    metrics::encode(&metrics::Sample {
        module: Some(("ipvs_rs".to_owned(), env!("CARGO_PKG_VERSION").to_owned())),
        table: table(look()),
        status: metrics::status("Conns:\t12\nConns refused:\t3\nConns dropped:\t0\n"),
        drops,
        sync: None,
    })
}

fn page() -> Result<String, Error> {
    let services: Vec<report::ServiceReport> = table(look())
        .iter()
        .map(|group| report::service(group, &AnyHost))
        .collect();
    Ok(format::show::page_json(&services, Some(look())))
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if matches!(completion::answer(&arguments, || table(0)), Ok(true)) {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut ready = |address| eprintln!("ready at {address}");
    let outcome = match words.as_slice() {
        [what, address] => match (what.as_str(), address.parse()) {
            ("metrics", Ok(address)) => metrics::serve(address, &mut ready, &mut measured),
            ("page", Ok(address)) => {
                let interval = Duration::from_millis(200);
                top::serve(address, interval, &mut ready, &page)
            }
            _ => return ExitCode::from(2),
        },
        _ => return ExitCode::from(2),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
