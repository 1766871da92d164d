// SPDX-License-Identifier: GPL-2.0-only

//! Listings: what is asked of the director for them.

use std::io::Write;
use std::net::IpAddr;

use super::terminal::write;
use crate::cli::{Listing, Subject, View};
use crate::client::Director;
use crate::error::Error;
use crate::format::connections::Form;
use crate::format::{self, Labels};
use crate::model::{DestinationEntry, Group, ServiceEntry, ServiceId, Table};
use crate::names::Names;

pub(super) fn labels<'a>(view: &View, names: &'a dyn Names) -> Labels<'a> {
    if view.numeric {
        Labels::numeric()
    } else {
        Labels::named(names)
    }
}

/// Writes a listing to `out`.
///
/// # Errors
///
/// When the director gives no answer, or the listing cannot be written.
pub fn list(
    director: &mut dyn Director,
    listing: &Listing,
    names: &dyn Names,
    mut out: impl Write,
) -> Result<(), Error> {
    let view = &listing.view;
    let text = match &listing.subject {
        // There may be a hundred thousand lines.
        Subject::Table(_) => {
            let statistics = listing.json || view.columns.has_statistics();
            let mut table = collect(director, &listing.subject, view, statistics)?;
            if listing.json {
                add_drops(director, &listing.subject, &mut table)?;
            }
            if !view.numeric && !listing.json {
                names.prepare(&mut addresses(&table));
            }
            let written = if listing.json {
                format::json::table(&table, &mut out)
            } else {
                format::table::table(&table, view, &labels(view, names), &mut out)
            };
            return written.and_then(|()| out.flush()).map_err(Error::Output);
        }
        Subject::Timeouts => {
            let timeouts = director.timeouts()?;
            if listing.json {
                format::json::timeouts(&timeouts)
            } else {
                format::timeouts(&timeouts)
            }
        }
        Subject::Daemons => {
            let daemons = director.daemons()?;
            if listing.json {
                format::json::daemons(&daemons)
            } else {
                format::daemons(&daemons)
            }
        }
        // There may be more than memory has room for, so each is written as it comes.
        Subject::Connections(filter) => {
            let form = if listing.json {
                Form::Json
            } else {
                Form::Text {
                    engine_data: view.engine_data,
                    labels: labels(view, names),
                }
            };
            let mut listing = format::connections::Listing::new(form, out);
            director.connections(filter, &mut |connection| listing.add(&connection))?;
            return listing.end().map_err(Error::Output);
        }
    };
    write(&mut out, text.as_bytes())
}

/// The addresses of a table in the order in which it is listed.
pub(super) fn addresses(table: &Table) -> impl Iterator<Item = IpAddr> + '_ {
    table.groups.iter().flat_map(|group| {
        let service = match &group.service.service.id {
            ServiceId::Address { address, .. } => Some(*address),
            ServiceId::Mark { .. } => None,
        };
        let servers = group
            .destinations
            .iter()
            .map(|entry| entry.destination.id.address);
        service.into_iter().chain(servers)
    })
}

/// Asks for the table, or for one service of it, and for statistics if they are wanted.
pub(super) fn collect(
    director: &mut dyn Director,
    subject: &Subject,
    view: &View,
    statistics: bool,
) -> Result<Table, Error> {
    if let Subject::Table(Some(id)) = subject {
        let service = director.service(id)?;
        let destinations = director.destinations(id)?;
        return Ok(Table {
            info: None,
            groups: vec![group(service, destinations, view)],
        });
    }
    Ok(Table {
        info: Some(director.info()?),
        groups: groups(director, view, statistics)?,
    })
}

/// Adds the dropped packets to the listing of one service. Only the whole table has them.
fn add_drops(
    director: &mut dyn Director,
    subject: &Subject,
    table: &mut Table,
) -> Result<(), Error> {
    let Subject::Table(Some(_)) = subject else {
        return Ok(());
    };
    let whole = director.table(true)?;
    for group in &mut table.groups {
        let id = &group.service.service.id;
        let Some(same) = whole.iter().find(|same| same.service.service.id == *id) else {
            continue;
        };
        group.service.drops = same.service.drops.clone();
        for entry in &mut group.destinations {
            let id = entry.destination.id;
            if let Some(same) = same
                .destinations
                .iter()
                .find(|same| same.destination.id == id)
            {
                entry.drops = same.drops.clone();
            }
        }
    }
    Ok(())
}

/// All services with their destinations, and statistics if they are wanted.
///
/// # Errors
///
/// When the director gives no answer.
pub fn groups(
    director: &mut dyn Director,
    view: &View,
    statistics: bool,
) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = director
        .table(statistics)?
        .into_iter()
        .map(|found| group(found.service, found.destinations, view))
        .collect();
    if view.sorted {
        format::order::sort(&mut groups, |a, b| {
            format::order::services(&a.service, &b.service)
        });
    }
    Ok(groups)
}

fn group(service: ServiceEntry, mut destinations: Vec<DestinationEntry>, view: &View) -> Group {
    if view.sorted {
        format::order::sort(&mut destinations, format::order::destinations);
    }
    Group {
        service,
        destinations,
    }
}
