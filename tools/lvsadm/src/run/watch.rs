// SPDX-License-Identifier: GPL-2.0-only

//! What goes on until it is ended: `monitor` and `top`.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::terminal::write;
use crate::cli::DrainOptions;
use crate::client::{Director, Events, Kernel};
use crate::commands::drain::{self, Waiting, Weights};
use crate::commands::{monitor, show};
use crate::connections::{ConnectionFilter, EndpointFilter};
use crate::error::Error;
use crate::format;
use crate::host::ThisHost;
use crate::model::ServiceId;
use crate::top::{self, Row, World};

/// What `ipvs_rs` reports about its table.
pub(super) const STATUS_FILE: &str = "/proc/net/ip_vs_status";
/// Time between two looks at the connections of a server that is drained.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// No screen has more lines.
const MOST_SHOWN: usize = 1000;

/// `monitor`: until the output is closed.
pub(super) fn monitored(json: bool, interval: Duration) -> Result<(), Error> {
    let mut events = Events::open()?;
    let mut director = Kernel::open()?;
    let (sender, receiver) = mpsc::channel();
    // It blocks while nothing happens, and ends with the process.
    thread::spawn(move || loop {
        let next = events.wait();
        let failed = next.is_err();
        if sender.send(next).is_err() || failed {
            return;
        }
    });
    let now = || humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let print = |lines: &[monitor::Line]| {
        let form = if json {
            monitor::Line::json
        } else {
            monitor::Line::text
        };
        let text: String = lines.iter().map(form).collect();
        write(&mut io::stdout().lock(), text.as_bytes())
    };
    let mut states = monitor::States::default();
    let mut due = Instant::now();
    loop {
        match receiver.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(events) => {
                let changes = events?;
                let lines: Vec<monitor::Line> = changes
                    .iter()
                    .map(|event| monitor::change(now(), event.as_ref()))
                    .collect();
                print(&lines)?;
            }
            Err(RecvTimeoutError::Timeout) => {
                due = Instant::now() + interval;
                let reports = show::reports(&mut director, &ThisHost, None)?;
                print(&states.update(&now(), &reports))?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Packets that the director dropped so far, if it counts them.
fn dropped(director: &mut Kernel) -> Result<Option<u64>, Error> {
    // Only the director with this file counts them.
    if !Path::new(STATUS_FILE).exists() {
        return Ok(None);
    }
    let drops = director.drops()?;
    Ok(Some(drops.iter().map(|(_, count)| count).sum()))
}

/// A sample for the page of `top --serve`.
pub(super) fn page_sample() -> Result<String, Error> {
    let mut director = Kernel::open()?;
    let reports = show::reports(&mut director, &ThisHost, None)?;
    Ok(format::show::page_json(&reports, dropped(&mut director)?))
}

/// `top`.
pub(super) fn watched(once: bool, interval: Duration) -> Result<(), Error> {
    // The three closures use it one after the other.
    let director = RefCell::new(Kernel::open()?);
    let weights = Weights::of_this_namespace();
    let server = |row: &Row| -> Result<DrainOptions, Error> {
        let mut director = director.borrow_mut();
        let service = director
            .services()?
            .into_iter()
            .map(|entry| entry.service.id)
            .find(|id| id.to_string() == row.service);
        match (service, row.server) {
            (Some(service), Some((address, port))) => Ok(DrainOptions {
                service: Some(service),
                address,
                port: Some(port),
                json: false,
            }),
            _ => Err(Error::Failed("it is gone".to_owned())),
        }
    };
    let mut world = World {
        sample: &mut || {
            let director = &mut *director.borrow_mut();
            Ok(top::Sample {
                services: show::reports(director, &ThisHost, None)?,
                drops: dropped(director)?,
            })
        },
        drain: &mut |row| {
            let options = server(row)?;
            let mut waiting = Waiting {
                time: None,
                then_delete: false,
                pause: PAUSE,
                progress: &mut |_| (),
            };
            drain::drain(
                &mut *director.borrow_mut(),
                &weights,
                &options,
                &mut waiting,
            )
            .map(|drained| drained.text)
        },
        connections: &mut |row| {
            let mut director = director.borrow_mut();
            let services = director.services()?.into_iter();
            let found = services
                .map(|entry| entry.service.id)
                .find(|id| id.to_string() == row.service);
            let Some(id) = found else {
                return Ok(top::Connections::default());
            };
            let filter = top_filter(&id, row);
            let mut connections = top::Connections::default();
            director.connections(&filter, &mut |connection| {
                connections.total = connections.total.saturating_add(1);
                if connections.first.len() < MOST_SHOWN {
                    connections.first.push(connection);
                }
                Ok(())
            })?;
            Ok(connections)
        },
        undrain: &mut |row| {
            let options = server(row)?;
            drain::undrain(&mut *director.borrow_mut(), &weights, &options, None)
        },
    };
    if once {
        let text = top::once(&mut world)?;
        return write(&mut io::stdout().lock(), text.as_bytes());
    }
    top::run(interval, &mut world)
}

/// Selects the connections of a service, or of one of its servers.
fn top_filter(id: &ServiceId, row: &Row) -> ConnectionFilter {
    let service = match id {
        ServiceId::Address { address, port, .. } => EndpointFilter {
            address: Some(*address),
            prefix: None,
            port: Some(*port).filter(|port| *port != 0),
        },
        // Connections do not have the mark; those of the servers are shown.
        ServiceId::Mark { .. } => EndpointFilter::default(),
    };
    let server = match row.server {
        Some((address, port)) => EndpointFilter {
            address: Some(address),
            prefix: None,
            port: Some(port).filter(|port| *port != 0),
        },
        None => EndpointFilter::default(),
    };
    ConnectionFilter {
        protocol: id.protocol(),
        service,
        server,
        ..ConnectionFilter::default()
    }
}
