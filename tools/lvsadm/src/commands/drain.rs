// SPDX-License-Identifier: GPL-2.0-only

//! `drain` and `undrain`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::set::editable;
use crate::cli::DrainOptions;
use crate::client::Director;
use crate::error::Error;
use crate::format::json;
use crate::model::{Change, Destination, DestinationEntry, ServiceId};

/// Where the weights of drained servers are remembered.
const FOLDER: &str = "/run/lvsadm";
/// The weight of a server whose former weight is unknown.
const DEFAULT_WEIGHT: u32 = 1;

/// The weights that drained servers had, in a file of their network namespace.
#[derive(Debug)]
pub struct Weights {
    file: PathBuf,
}

impl Weights {
    /// The file of this process's network namespace.
    #[must_use]
    pub fn of_this_namespace() -> Self {
        let namespace = fs::read_link("/proc/self/ns/net")
            .map(|target| target.to_string_lossy().into_owned())
            .unwrap_or_default();
        let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
        Self::at(Path::new(FOLDER).join(format!("weights-{number}.json")))
    }

    /// A file.
    #[must_use]
    pub fn at(file: PathBuf) -> Self {
        Self { file }
    }

    fn read(&self) -> BTreeMap<String, u32> {
        // Without the file, or with one that is damaged, nothing is known.
        fs::read_to_string(&self.file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    fn write(&self, weights: &BTreeMap<String, u32>) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string(weights)?;
        // A reader sees the old file or the new one.
        let new = self.file.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.file)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, u32>)) -> Result<(), Error> {
        let mut weights = self.read();
        change(&mut weights);
        self.write(&weights).map_err(|error| {
            Error::Failed(format!(
                "cannot remember the weight in {}: {error}",
                self.file.display()
            ))
        })
    }
}

/// A server in its service.
#[derive(Clone, Debug)]
struct Member {
    service: ServiceId,
    entry: DestinationEntry,
}

impl Member {
    fn key(&self) -> String {
        format!("{} {}", self.service, self.entry.destination.id)
    }

    fn with_weight(&self, weight: u32) -> Change {
        Change::EditDestination(
            self.service.clone(),
            Destination {
                weight,
                ..editable(self.entry.destination.clone())
            },
        )
    }

    fn connections(&self) -> u64 {
        [
            self.entry.active,
            self.entry.inactive,
            self.entry.persistent,
        ]
        .into_iter()
        .map(u64::from)
        .sum()
    }
}

/// The servers that match.
fn members(director: &mut dyn Director, options: &DrainOptions) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for group in director.table(false)? {
        let service = group.service.service.id;
        if options
            .service
            .as_ref()
            .is_some_and(|wanted| *wanted != service)
        {
            continue;
        }
        for entry in group.destinations {
            let id = entry.destination.id;
            if id.address == options.address && options.port.is_none_or(|port| port == id.port) {
                members.push(Member {
                    service: service.clone(),
                    entry,
                });
            }
        }
    }
    if members.is_empty() {
        let server = match options.port {
            Some(port) => crate::model::endpoint(&options.address, port),
            None => options.address.to_string(),
        };
        return Err(Error::Failed(match &options.service {
            Some(service) => format!("the service {service} has no server {server}"),
            None => format!("no service has a server {server}"),
        }));
    }
    Ok(members)
}

/// What `drain --json` and `undrain --json` print.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "drain")]
pub(crate) struct Listing {
    /// The server in each of its services.
    servers: Vec<Entry>,
    /// Connections are left at the end of the time.
    timed_out: bool,
}

/// A server of a service.
#[derive(Serialize, JsonSchema)]
struct Entry {
    /// The service.
    service: String,
    /// Address and port.
    server: String,
    /// The weight before, if it is known.
    former_weight: Option<u32>,
    /// The weight now.
    weight: u32,
    /// Active connections.
    active: u32,
    /// Inactive connections.
    inactive: u32,
    /// Persistence templates.
    persistent: u32,
    /// The server was deleted.
    deleted: bool,
}

/// What `drain` is to do beside setting weights to 0.
pub struct Waiting<'a> {
    /// How long to wait for the end of the connections.
    pub time: Option<Duration>,
    /// Delete the servers then.
    pub then_delete: bool,
    /// Time between two looks.
    pub pause: Duration,
    /// Takes a line about the progress.
    pub progress: &'a mut dyn FnMut(&str),
}

/// The answer of `drain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// The text or JSON.
    pub text: String,
    /// Connections were left when the time was over.
    pub timed_out: bool,
}

/// Sets the weight of servers to 0, remembers the former weights, and waits for the end of their
/// connections.
///
/// # Errors
///
/// When no server matches, or the director refuses.
pub fn drain(
    director: &mut dyn Director,
    weights: &Weights,
    options: &DrainOptions,
    waiting: &mut Waiting<'_>,
) -> Result<Drained, Error> {
    for member in members(director, options)? {
        let weight = member.entry.destination.weight;
        if weight != 0 {
            weights.change(|weights| {
                weights.insert(member.key(), weight);
            })?;
            director.change(&member.with_weight(0))?;
        }
    }
    let mut left = members(director, options)?;
    let mut timed_out = false;
    if let Some(time) = waiting.time {
        let deadline = Instant::now().checked_add(time);
        let mut last = String::new();
        loop {
            let line = progress(&left);
            if line != last {
                (waiting.progress)(&line);
                last = line;
            }
            if left.iter().all(|member| member.connections() == 0) {
                break;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                timed_out = true;
                break;
            }
            std::thread::sleep(waiting.pause);
            left = members(director, options)?;
        }
    }
    let delete = waiting.then_delete && waiting.time.is_some() && !timed_out;
    let known = weights.read();
    if delete {
        for member in &left {
            director.change(&Change::DeleteDestination(
                member.service.clone(),
                member.entry.destination.id,
            ))?;
            weights.change(|weights| {
                weights.remove(&member.key());
            })?;
        }
    }
    let entries: Vec<Entry> = left
        .iter()
        .map(|member| entry(member, known.get(&member.key()).copied(), delete))
        .collect();
    Ok(Drained {
        text: answer(entries, options.json, timed_out),
        timed_out,
    })
}

/// Gives drained servers a weight again.
///
/// # Errors
///
/// When no server matches, or the director refuses.
pub fn undrain(
    director: &mut dyn Director,
    weights: &Weights,
    options: &DrainOptions,
    weight: Option<u32>,
) -> Result<String, Error> {
    for member in members(director, options)? {
        let key = member.key();
        let known = weights.read().get(&key).copied();
        let current = member.entry.destination.weight;
        let new = match (weight, known) {
            (Some(weight), _) => weight,
            // It is not drained.
            (None, _) if current != 0 => current,
            (None, Some(known)) => known,
            (None, None) => DEFAULT_WEIGHT,
        };
        if new != current {
            director.change(&member.with_weight(new))?;
        }
        if known.is_some() {
            weights.change(|weights| {
                weights.remove(&key);
            })?;
        }
    }
    let entries: Vec<Entry> = members(director, options)?
        .iter()
        .map(|member| entry(member, None, false))
        .collect();
    Ok(answer(entries, options.json, false))
}

fn progress(members: &[Member]) -> String {
    let sum = |value: fn(&DestinationEntry) -> u32| -> u64 {
        members
            .iter()
            .map(|member| u64::from(value(&member.entry)))
            .sum()
    };
    format!(
        "{} active, {} inactive, {} persistent connections",
        sum(|entry| entry.active),
        sum(|entry| entry.inactive),
        sum(|entry| entry.persistent)
    )
}

fn entry(member: &Member, former_weight: Option<u32>, deleted: bool) -> Entry {
    let entry = &member.entry;
    Entry {
        service: member.service.to_string(),
        server: entry.destination.id.to_string(),
        former_weight,
        weight: entry.destination.weight,
        active: entry.active,
        inactive: entry.inactive,
        persistent: entry.persistent,
        deleted,
    }
}

fn answer(servers: Vec<Entry>, json: bool, timed_out: bool) -> String {
    if json {
        return json::text(&Listing { servers, timed_out });
    }
    let mut text = String::new();
    for entry in &servers {
        let weight = match entry.former_weight {
            Some(former) => format!("weight {} (was {former})", entry.weight),
            None => format!("weight {}", entry.weight),
        };
        let end = if entry.deleted { ", deleted" } else { "" };
        text += &format!(
            "{} -> {}: {weight}, {} active, {} inactive, {} persistent{end}\n",
            entry.service, entry.server, entry.active, entry.inactive, entry.persistent
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::names::Fixed;
    use crate::restore;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("lvsadm-{name}-{}", std::process::id())))
        }

        fn weights(&self) -> Weights {
            Weights::at(self.0.join("weights.json"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn director() -> Memory {
        let mut director = Memory::default();
        let rules = "\
-A -t 10.0.0.1:80
-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 5
-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 1
-A -t 10.0.0.1:443
-a -t 10.0.0.1:443 -r 10.0.0.2:443 -m -w 7
";
        for rule in restore::parse(rules, &Fixed).unwrap() {
            director.change(&rule.change).unwrap();
        }
        director
    }

    fn options(port: Option<u16>) -> DrainOptions {
        DrainOptions {
            service: None,
            address: [10, 0, 0, 2].into(),
            port,
            json: false,
        }
    }

    fn waiting(progress: &mut dyn FnMut(&str)) -> Waiting<'_> {
        Waiting {
            time: None,
            then_delete: false,
            pause: Duration::from_millis(1),
            progress,
        }
    }

    fn weights_of(director: &Memory) -> Vec<u32> {
        director
            .groups
            .iter()
            .flat_map(|group| &group.destinations)
            .map(|entry| entry.destination.weight)
            .collect()
    }

    #[test]
    fn a_drained_server_gets_its_weight_back() {
        let folder = Folder::new("weight");
        let mut director = director();
        let drained = drain(
            &mut director,
            &folder.weights(),
            &options(None),
            &mut waiting(&mut |_| ()),
        )
        .unwrap();
        assert_eq!(weights_of(&director), [0, 1, 0]);
        assert!(!drained.timed_out);
        assert_eq!(
            drained.text.lines().next().unwrap(),
            "TCP 10.0.0.1:80 -> 10.0.0.2:80: weight 0 (was 5), 0 active, 0 inactive, 0 persistent"
        );
        // A second time the remembered weight is not lost.
        drain(
            &mut director,
            &folder.weights(),
            &options(None),
            &mut waiting(&mut |_| ()),
        )
        .unwrap();
        undrain(&mut director, &folder.weights(), &options(None), None).unwrap();
        assert_eq!(weights_of(&director), [5, 1, 7]);
        undrain(
            &mut director,
            &folder.weights(),
            &options(Some(80)),
            Some(2),
        )
        .unwrap();
        assert_eq!(weights_of(&director), [2, 1, 7]);
        assert!(folder.weights().read().is_empty());
    }

    #[test]
    fn an_empty_server_is_deleted_when_that_is_wanted() {
        let folder = Folder::new("delete");
        let mut director = director();
        let mut lines = Vec::new();
        let drained = drain(
            &mut director,
            &folder.weights(),
            &options(Some(80)),
            &mut Waiting {
                time: Some(Duration::from_secs(60)),
                then_delete: true,
                ..waiting(&mut |line| lines.push(line.to_owned()))
            },
        )
        .unwrap();
        assert!(drained.text.ends_with(", deleted\n"), "{}", drained.text);
        assert_eq!(weights_of(&director), [1, 7]);
        assert_eq!(lines, ["0 active, 0 inactive, 0 persistent connections"]);
    }

    #[test]
    fn connections_that_stay_end_the_wait_without_deleting() {
        let folder = Folder::new("timeout");
        let mut director = director();
        director.groups[0].destinations[0].active = 3;
        let drained = drain(
            &mut director,
            &folder.weights(),
            &options(Some(80)),
            &mut Waiting {
                time: Some(Duration::from_millis(5)),
                then_delete: true,
                ..waiting(&mut |_| ())
            },
        )
        .unwrap();
        assert!(drained.timed_out);
        assert_eq!(weights_of(&director), [0, 1, 7]);
    }

    #[test]
    fn an_unknown_server_is_refused() {
        let folder = Folder::new("unknown");
        let mut director = director();
        let unknown = DrainOptions {
            port: Some(99),
            ..options(None)
        };
        let error = undrain(&mut director, &folder.weights(), &unknown, None).unwrap_err();
        assert_eq!(error.to_string(), "no service has a server 10.0.0.2:99");
    }
}
