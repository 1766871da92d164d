// SPDX-License-Identifier: GPL-2.0-only

//! Carries a command out.
//!
//! Belongs here: the order of steps, reading standard input, writing to the terminal. Never: the
//! layout of a listing, the text of an error.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, BufWriter, LineWriter, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::cli::{self, Command, DrainOptions, Listing, Subject, Sync, View};
use crate::client::{Director, Events, Kernel};
use crate::commands::drain::{self, Waiting, Weights};
use crate::commands::{apply, monitor, set, show, sync};
use crate::connections::{ConnectionFilter, EndpointFilter};
use crate::doctor::{self, Status};
use crate::error::Error;
use crate::format::connections::Form;
use crate::format::{self, Labels};
use crate::host::ThisHost;
use crate::model::{DestinationEntry, Drops, Group, ServiceEntry, ServiceId, SyncState, Table};
use crate::names::{Names, System};
use crate::tally::Tally;
use crate::top::{self, Row, World};
use crate::{advice, client, completion, generate, metrics, restore, schema};

/// The whole command: arguments in, exit code out.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(status) => ExitCode::from(status),
        // A reader that has seen enough (`lvsadm -L | head`) is no failure.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                // Help and version, on standard output.
                Error::Clap(help) if !help.use_stderr() => {
                    help.print().ok();
                }
                Error::Clap(_) => eprintln!("lvsadm: {error} (see lvsadm --help)"),
                other => eprintln!("lvsadm: {other}"),
            }
            error.exit_code()
        }
    }
}

/// Exit status of `diff` and `doctor` when they found something, and of `sync status` without a
/// daemon.
const FOUND: u8 = 1;
/// Exit status of `drain` when connections are left, and of `sync status` while a backup joins.
const TIMED_OUT: u8 = 3;
/// What `ipvs_rs` reports about its table.
const STATUS_FILE: &str = "/proc/net/ip_vs_status";
/// No screen has more lines.
const MOST_SHOWN: usize = 1000;
/// Time between two looks at the connections of a server that is drained.
const PAUSE: Duration = Duration::from_millis(500);

fn execute(arguments: impl Iterator<Item = OsString>) -> Result<u8, Error> {
    let arguments: Vec<OsString> = arguments.collect();
    if completion::answer(&arguments, existing).map_err(|error| Error::Clap(Box::new(error)))? {
        return Ok(0);
    }
    let names = System::default();
    let command = cli::parse(arguments, &names)?;
    let text = match command {
        Command::Completions(shell) => {
            let text = completion::script(shell).map_err(Error::Output)?;
            text.into_bytes()
        }
        Command::Schedulers { json } => {
            let text = if json {
                format::schedulers::json(&loaded)
            } else {
                format::schedulers::text(&loaded)
            };
            text.into_bytes()
        }
        Command::Schema(name) => schema::of(name).into_bytes(),
        Command::Manual => generate::manual().map_err(Error::Output)?,
        Command::Version { json } => {
            let module = client::module();
            if let Err(error) = &module {
                note("", &[error.to_string()]);
            }
            let module = module.ok().flatten();
            if json {
                format::json::versions(module.as_ref()).into_bytes()
            } else {
                format::versions(module.as_ref()).into_bytes()
            }
        }
        Command::Restore => {
            let rules = restore::parse(&standard_input()?, &names)?;
            for rule in &rules {
                note(&format!("line {}: ", rule.line), &rule.notes);
            }
            restore::apply(&rules, &mut Kernel::open()?)?;
            Vec::new()
        }
        Command::Change {
            change,
            notes,
            given,
        } => {
            note("", &notes);
            let mut director = Kernel::open()?;
            note("", &advice::before(&change, &given, &mut director));
            director.change(&change)?;
            Vec::new()
        }
        Command::List(listing) => {
            let mut director = Kernel::open()?;
            if listing.view.numeric || listing.json {
                let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
                return list(&mut director, &listing, &names, out).map(|()| 0);
            }
            // A name may take seconds: what is known already is shown meanwhile.
            list(
                &mut director,
                &listing,
                &names,
                LineWriter::new(io::stdout().lock()),
            )?;
            if names.late() > 0 {
                note(
                    "",
                    &[format!(
                        "the resolver did not answer in time for {} addresses; -n does not ask it",
                        names.late()
                    )],
                );
            }
            return Ok(0);
        }
        Command::Save(view) => {
            let table = collect(&mut Kernel::open()?, &Subject::Table(None), &view, false)?;
            if !view.numeric {
                names.prepare(&mut addresses(&table));
            }
            format::save::rules(&table, &labels(&view, &names)).into_bytes()
        }
        Command::Show { target, json } => {
            let reports = show::reports(&mut Kernel::open()?, &ThisHost, target.as_ref())?;
            let text = if json {
                format::show::json(&reports)
            } else {
                format::show::table_of(&reports)
            };
            return write(&mut colors(), text.as_bytes()).map(|()| 0);
        }
        Command::Describe { target, json } => {
            let reports = show::reports(&mut Kernel::open()?, &ThisHost, Some(&target))?;
            let text = if json {
                format::show::json(&reports)
            } else {
                let details: Vec<String> = reports.iter().map(format::show::details).collect();
                details.join("\n")
            };
            return write(&mut colors(), text.as_bytes()).map(|()| 0);
        }
        Command::Diff { file, prune, json } => {
            // Every error has the status 2, since 1 means differences.
            let differs = file_command(&names, &file, prune, false, json)
                .map_err(|error| Error::Usage(error.to_string()))?;
            return Ok(if differs { FOUND } else { 0 });
        }
        Command::Apply {
            file,
            dry_run,
            prune,
            json,
        } => {
            return file_command(&names, &file, prune, !dry_run, json).map(|_| 0);
        }
        Command::Set {
            service,
            merge,
            json,
        } => {
            let edit = set::run(&mut Kernel::open()?, &service, &merge)?;
            let text = if json { edit.json() } else { String::new() };
            text.into_bytes()
        }
        Command::Drain {
            options,
            wait,
            then_delete,
        } => {
            let drained = drain::drain(
                &mut Kernel::open()?,
                &Weights::of_this_namespace(),
                &options,
                &mut Waiting {
                    time: wait,
                    then_delete,
                    pause: PAUSE,
                    progress: &mut |line| eprintln!("lvsadm: {line}"),
                },
            )?;
            write(&mut io::stdout().lock(), drained.text.as_bytes())?;
            return Ok(if drained.timed_out { TIMED_OUT } else { 0 });
        }
        Command::Doctor { json } => {
            let module = client::module()?.map(|module| module.name.to_owned());
            let (table, synchronization) = match Kernel::present()? {
                Some(mut director) => (director.table(true)?, director.synchronization()?),
                None => (Vec::new(), None),
            };
            let checks = doctor::all(&doctor::Facts {
                synchronization,
                ..doctor::gather(module, table, &ThisHost)
            });
            let text = if json {
                format::doctor::json(&checks)
            } else {
                format::doctor::text(&checks)
            };
            write(&mut colors(), text.as_bytes())?;
            let failed = checks.iter().any(|check| check.status == Status::Fail);
            return Ok(if failed { FOUND } else { 0 });
        }
        Command::Metrics { listen: None } => measured()?.into_bytes(),
        Command::Metrics {
            listen: Some(address),
        } => {
            // Whether there is anything to measure is known before anybody asks.
            measured()?;
            let mut ready = |address| eprintln!("lvsadm: metrics at http://{address}/metrics");
            return metrics::serve(address, &mut ready, &mut measured).map(|()| 0);
        }
        Command::Top {
            serve: Some(address),
            interval,
            ..
        } => {
            // Whether there is a director is known before anybody asks.
            page_sample()?;
            let mut ready = |address| eprintln!("lvsadm: the page is at http://{address}/");
            return top::serve(address, interval, &mut ready, &page_sample).map(|()| 0);
        }
        Command::Top {
            json: true,
            serve: None,
            ..
        } => {
            let reports = show::reports(&mut Kernel::open()?, &ThisHost, None)?;
            format::show::json(&reports).into_bytes()
        }
        Command::Top {
            once,
            serve: None,
            interval,
            json: false,
        } => {
            return watched(once, interval).map(|()| 0);
        }
        Command::Sync(sync) => return synchronized(sync),
        Command::Monitor { json, interval } => return monitored(json, interval).map(|()| 0),
        Command::Tally {
            filter,
            by,
            most,
            json,
        } => {
            let mut tally = Tally::new(by);
            Kernel::open()?.connections(&filter, &mut |connection| {
                tally.add(&connection);
                Ok(())
            })?;
            let total = tally.total();
            let groups = by.map(|_| tally.groups(most));
            let text = if json {
                format::connections::counts_json(total, groups.as_deref())
            } else {
                format::connections::counts(total, groups.as_deref())
            };
            text.into_bytes()
        }
        Command::Kill { filter, json } => {
            let removed = Kernel::open()?.kill(&filter)?;
            format::connections::removed(removed, json).into_bytes()
        }
        Command::Undrain { options, weight } => drain::undrain(
            &mut Kernel::open()?,
            &Weights::of_this_namespace(),
            &options,
            weight,
        )?
        .into_bytes(),
    };
    write(&mut io::stdout().lock(), &text).map(|()| 0)
}

/// The table for completion. It loads no module.
fn existing() -> Vec<Group> {
    let director = Kernel::present().ok().flatten();
    director
        .and_then(|mut director| director.table(false).ok())
        .unwrap_or_default()
}

/// `sync`. Returns the exit status.
fn synchronized(sync: Sync) -> Result<u8, Error> {
    let mut director = Kernel::open()?;
    match sync {
        Sync::Status { wait, json } => {
            let state = sync::status(wait, PAUSE, &mut || {
                director.synchronization()?.ok_or_else(|| {
                    Error::Failed(
                        "cannot show the state of synchronization: the kernel module does not \
                         report it (ipvs_rs does)"
                            .to_owned(),
                    )
                })
            })?;
            let text = if json {
                format::sync::json(&state)
            } else {
                format::sync::text(&state)
            };
            write(&mut io::stdout().lock(), text.as_bytes())?;
            return Ok(match state.state() {
                SyncState::Ready => 0,
                SyncState::Joining => TIMED_OUT,
                SyncState::Off => FOUND,
            });
        }
        Sync::Resync => director.resync()?,
        Sync::SetKey { file, id } => {
            let mut octets = Vec::new();
            let read = match file.as_str() {
                "-" => io::stdin().read_to_end(&mut octets),
                file => std::fs::File::open(file).and_then(|mut it| it.read_to_end(&mut octets)),
            };
            read.map_err(|error| Error::Failed(format!("cannot read {file}: {error}")))?;
            director.add_sync_key(id, &sync::key(&file, &octets)?)?;
        }
        Sync::DeleteKey(id) => director.delete_sync_key(id)?,
        Sync::AddPeer(address) => director.add_sync_peer(address)?,
        Sync::DeletePeer(address) => director.delete_sync_peer(address)?,
        Sync::Peers => {
            let state = director.synchronization()?.unwrap_or_default();
            let mut lines = Vec::new();
            for peer in &state.peers {
                lines.extend_from_slice(format!("{peer}\n").as_bytes());
            }
            write(&mut io::stdout().lock(), &lines)?;
        }
    }
    Ok(0)
}

/// `monitor`: until the output is closed.
fn monitored(json: bool, interval: Duration) -> Result<(), Error> {
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
fn page_sample() -> Result<String, Error> {
    let mut director = Kernel::open()?;
    let reports = show::reports(&mut director, &ThisHost, None)?;
    Ok(format::show::page_json(&reports, dropped(&mut director)?))
}

/// `top`.
fn watched(once: bool, interval: Duration) -> Result<(), Error> {
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

/// The current statistics, of the loaded director only.
fn measured() -> Result<String, Error> {
    let module = client::module()?;
    let (table, drops, sync) = match Kernel::present()? {
        Some(mut director) => {
            let sync = director.synchronization()?;
            (director.table(true)?, director.drops()?, sync)
        }
        None => (Vec::new(), Drops::default(), None),
    };
    let status = std::fs::read_to_string(STATUS_FILE).unwrap_or_default();
    metrics::encode(&metrics::Sample {
        module: module.map(|module| {
            let version = module.version.unwrap_or_default();
            (module.name.to_owned(), version)
        }),
        table,
        status: metrics::status(&status),
        drops,
        sync: sync.filter(|sync| sync.state() != SyncState::Off),
    })
}

/// Standard output, with colors only on a terminal and never with `NO_COLOR`.
fn colors() -> impl Write {
    anstream::stdout().lock()
}

/// `diff` and `apply`. Returns whether there are, or were, differences.
fn file_command(
    names: &dyn Names,
    file: &str,
    prune: bool,
    apply: bool,
    json: bool,
) -> Result<bool, Error> {
    let text = match file {
        "-" => standard_input()?,
        file => std::fs::read_to_string(file)
            .map_err(|error| Error::Failed(format!("cannot read {file}: {error}")))?,
    };
    let request = apply::Request {
        text: &text,
        prune,
        apply,
        json,
    };
    let (text, differs) = apply::run(&mut Kernel::open()?, names, &request)?;
    write(&mut io::stdout().lock(), text.as_bytes())?;
    Ok(differs)
}

/// Whether the kernel has a scheduler's module, of either director.
fn loaded(scheduler: &str) -> bool {
    ["ipvs_rs", "ip_vs"]
        .iter()
        .any(|director| Path::new(&format!("/sys/module/{director}_{scheduler}")).exists())
}

fn note(prefix: &str, notes: &[String]) {
    for note in notes {
        eprintln!("lvsadm: note: {prefix}{note}");
    }
}

fn standard_input() -> Result<String, Error> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| {
        Error::Failed(format!(
            "cannot read the rules from standard input: {error}"
        ))
    })?;
    Ok(text)
}

fn write(out: &mut impl Write, text: &[u8]) -> Result<(), Error> {
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(Error::Output)
}

fn labels<'a>(view: &View, names: &'a dyn Names) -> Labels<'a> {
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
fn addresses(table: &Table) -> impl Iterator<Item = IpAddr> + '_ {
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
fn collect(
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
