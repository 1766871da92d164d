// SPDX-License-Identifier: GPL-2.0-only

//! Carries a command out.
//!
//! Belongs here: the order of steps, reading standard input, writing to the terminal. Never: the
//! layout of a listing, the text of an error.

mod feedback;
mod geo;
mod listing;
mod terminal;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, LineWriter};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

pub use listing::{groups, list};

use crate::cli::{self, Command, RealServerAction, Subject, Sync};
use crate::client::{Director, Kernel};
use crate::commands::drain::{self, Waiting, Weights};
use crate::commands::{apply, set, show, sync, transfer};
use crate::connections::ConnectionFilter;
use crate::doctor::{self, Check, Status};
use crate::error::Error;
use crate::format;
use crate::format::fast_path::{FastPath, XDP};
use crate::host::ThisHost;
use crate::model::{Drops, Group, SyncState};
use crate::names::{Names, System};
use crate::realserver::{self, ThisMachine};
use crate::tally::Tally;
use crate::{advice, client, completion, generate, metrics, restore, schema, top, xdp};
use listing::{addresses, collect, labels};
use terminal::{colors, note, standard_input, text_of, write};
use watch::{monitored, page_sample, watched, PAUSE, STATUS_FILE};

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

/// The settings of the director.
const SETTINGS: &str = "/proc/sys/net/ipv4/vs";
/// Exit status of `diff` and `doctor` when they found something, and of `sync status` without a
/// daemon.
const FOUND: u8 = 1;
/// Exit status of `drain` when connections are left, and of `sync status` while a backup joins.
const TIMED_OUT: u8 = 3;
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
        Command::FastPath { json } => {
            let path = fast_path()?;
            let text = if json { path.json() } else { path.text() };
            text.into_bytes()
        }
        Command::AttachXdp(device) => {
            let setting = fast_path()?.setting;
            if setting < XDP {
                return Err(Error::Failed(format!(
                    "net.ipv4.vs.fast_path is {setting}; XDP needs 2"
                )));
            }
            xdp::attach(&device)?;
            Vec::new()
        }
        Command::DetachXdp(device) => {
            xdp::detach(&device)?;
            Vec::new()
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
            return checked(&checks, json);
        }
        Command::RealServer {
            request,
            action,
            json,
        } => {
            let steps = realserver::plan(&request)?;
            let text = match action {
                RealServerAction::Print => realserver::script(&steps),
                RealServerAction::Unit(arguments) => realserver::unit(&arguments),
                RealServerAction::Check => {
                    let checks = realserver::check(&steps, &mut ThisMachine);
                    return checked(&checks, json);
                }
                RealServerAction::Apply => {
                    let done = realserver::apply(&steps, &mut ThisMachine)?;
                    match done.as_slice() {
                        [] => "nothing was missing\n".to_owned(),
                        done => format!("{}\n", done.join("\n")),
                    }
                }
            };
            text.into_bytes()
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
        Command::Geo(action) => return geo::geo(action).map(|()| 0),
        Command::Feedback(action) => return feedback::feedback(&names, action),
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

/// Whether packets take the fast path in this network namespace.
fn fast_path() -> Result<FastPath, Error> {
    Kernel::open()?;
    let setting = |name: &str| {
        let text = std::fs::read_to_string(Path::new(SETTINGS).join(name)).ok()?;
        text.trim().parse().ok()
    };
    let status = std::fs::read_to_string(STATUS_FILE).unwrap_or_default();
    let mut path = FastPath::read(&status, &setting)
        .ok_or_else(|| Error::Failed("the loaded director has no fast path".to_owned()))?;
    if path.setting >= XDP {
        path.xdp = xdp::devices()?;
    }
    Ok(path)
}

/// Prints outcomes of checks; the exit status says whether one failed.
fn checked(checks: &[Check], json: bool) -> Result<u8, Error> {
    let text = if json {
        format::doctor::json(checks)
    } else {
        format::doctor::text(checks)
    };
    write(&mut colors(), text.as_bytes())?;
    let failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(if failed { FOUND } else { 0 })
}

/// The table for completion. It loads no module.
fn existing() -> Vec<Group> {
    let director = Kernel::present().ok().flatten();
    director
        .and_then(|mut director| director.table(false).ok())
        .unwrap_or_default()
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
            let key = match file.as_str() {
                // The library's standard input has a buffer that is not wiped.
                "-" => io::stdin().as_fd().try_clone_to_owned().map(File::from),
                file => File::open(file),
            };
            let key = key.and_then(sync::read_key);
            let key = key.map_err(|error| Error::Failed(format!("cannot read {file}: {error}")))?;
            director.add_sync_key(id, sync::key(&file, &key)?)?;
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
        Sync::Save => save_connections(&mut director)?,
        Sync::Load => {
            let datagrams = transfer::read(io::stdin().lock())?;
            let loaded = transfer::load(&mut director, &datagrams)?;
            eprintln!("{loaded} connections");
        }
    }
    Ok(0)
}

/// `sync save`.
fn save_connections(director: &mut Kernel) -> Result<(), Error> {
    let table = director.table(false)?;
    let out = BufWriter::new(io::stdout().lock());
    let mut saver = transfer::Saver::new(&table, 0, out)?;
    director.connections(&ConnectionFilter::default(), &mut |connection| {
        saver.add(&connection)
    })?;
    let numbers = saver.finish().map_err(Error::Output)?;
    if numbers.skipped > 0 {
        eprintln!(
            "{} connections of servers that no service has are left out",
            numbers.skipped
        );
    }
    eprintln!("{} connections", numbers.saved);
    Ok(())
}

/// `diff` and `apply`. Returns whether there are, or were, differences.
fn file_command(
    names: &dyn Names,
    file: &str,
    prune: bool,
    apply: bool,
    json: bool,
) -> Result<bool, Error> {
    let text = text_of(file)?;
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
