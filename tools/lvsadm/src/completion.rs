// SPDX-License-Identifier: GPL-2.0-only

//! Shell completion. The shell asks this command, so that it can offer the services and servers
//! that exist.
//!
//! Belongs here: candidates for the values of options. Never: anything that changes the kernel, nor
//! loads a module.

use std::ffi::OsString;
use std::io;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use crate::cli::definition;
use crate::client::{Director, Kernel};
use crate::model::{endpoint, scheduler, DaemonRole, Protocol, ServiceId, TunnelKind};

/// The environment variable by which a shell asks for candidates.
const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks for candidates. Returns whether one did.
///
/// # Errors
///
/// When the shell is unknown, or the answer cannot be written.
pub fn answer(arguments: &[OsString]) -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .try_complete(arguments, None)
}

/// The script that makes a shell ask.
///
/// # Errors
///
/// If the shell is not bash, zsh, fish, elvish or PowerShell.
pub fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Shells::builtins()
        .completer(&shell.to_string())
        .ok_or(io::ErrorKind::Unsupported)?
        .write_registration(VARIABLE, "lvsadm", "lvsadm", "lvsadm", &mut text)?;
    Ok(text)
}

/// The command line, with candidates for the values of its options.
fn command() -> Command {
    definition::public()
        .mut_args(with_candidates)
        .mut_subcommands(|command| command.mut_args(with_candidates))
}

fn with_candidates(arg: Arg) -> Arg {
    let candidates = match arg.get_id().as_str() {
        "scheduler" => ArgValueCandidates::new(schedulers),
        "sched-flags" => ArgValueCandidates::new(flags),
        "tun-type" => ArgValueCandidates::new(tunnels),
        "start-daemon" | "stop-daemon" => ArgValueCandidates::new(roles),
        "tcp-service" => ArgValueCandidates::new(|| addresses(Some(Protocol::Tcp))),
        "udp-service" => ArgValueCandidates::new(|| addresses(Some(Protocol::Udp))),
        "sctp-service" => ArgValueCandidates::new(|| addresses(Some(Protocol::Sctp))),
        "service" => ArgValueCandidates::new(|| addresses(None)),
        "fwmark-service" => ArgValueCandidates::new(marks),
        "real-server" => ArgValueCandidates::new(servers),
        _ => return arg,
    };
    arg.add(candidates)
}

fn words<T: Into<OsString>>(words: impl IntoIterator<Item = T>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}

fn schedulers() -> Vec<CompletionCandidate> {
    scheduler::SCHEDULERS
        .iter()
        .map(|known| CompletionCandidate::new(known.name).help(Some(known.when.into())))
        .collect()
}

fn flags() -> Vec<CompletionCandidate> {
    words(scheduler::flag_names())
}

fn tunnels() -> Vec<CompletionCandidate> {
    words([TunnelKind::Ipip, TunnelKind::Gue, TunnelKind::Gre].map(TunnelKind::name))
}

fn roles() -> Vec<CompletionCandidate> {
    words([DaemonRole::Master, DaemonRole::Backup].map(DaemonRole::name))
}

/// The services that exist; none when the kernel cannot be asked.
fn services() -> Vec<ServiceId> {
    let services = Kernel::present()
        .ok()
        .flatten()
        .and_then(|mut director| director.services().ok());
    services
        .unwrap_or_default()
        .into_iter()
        .map(|entry| entry.service.id)
        .collect()
}

fn addresses(wanted: Option<Protocol>) -> Vec<CompletionCandidate> {
    words(services().into_iter().filter_map(|id| match id {
        ServiceId::Address {
            protocol,
            address,
            port,
        } if wanted.is_none_or(|wanted| wanted == protocol) => Some(endpoint(&address, port)),
        _ => None,
    }))
}

fn marks() -> Vec<CompletionCandidate> {
    words(services().into_iter().filter_map(|id| match id {
        ServiceId::Mark { mark, .. } => Some(mark.to_string()),
        ServiceId::Address { .. } => None,
    }))
}

fn servers() -> Vec<CompletionCandidate> {
    let table = Kernel::present()
        .ok()
        .flatten()
        .and_then(|mut director| director.table(false).ok());
    let mut servers: Vec<String> = table
        .unwrap_or_default()
        .iter()
        .flat_map(|group| &group.destinations)
        .map(|entry| entry.destination.id.to_string())
        .collect();
    servers.sort_unstable();
    servers.dedup();
    words(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candidates for the last of these words.
    fn candidates(line: &[&str]) -> Vec<String> {
        let arguments = std::iter::once("lvsadm").chain(line.iter().copied());
        clap_complete::engine::complete(
            &mut command(),
            arguments.map(OsString::from).collect(),
            line.len(),
            None,
        )
        .unwrap()
        .into_iter()
        .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
        .collect()
    }

    #[test]
    fn values_with_a_fixed_set_are_offered() {
        assert_eq!(candidates(&["-A", "-s", "w"]), ["wlc", "wrr"]);
        assert_eq!(candidates(&["-A", "-b", "mh"]), ["mh-fallback", "mh-port"]);
        assert_eq!(candidates(&["-a", "--tun-type", "g"]), ["gue", "gre"]);
        assert_eq!(candidates(&["--start-daemon", ""]), ["master", "backup"]);
    }

    #[test]
    fn subcommands_and_options_are_offered() {
        assert!(candidates(&["conn"]).contains(&"connections".to_owned()));
        assert!(candidates(&["--add-s"]).contains(&"--add-service".to_owned()));
        assert!(candidates(&["connections", "--cl"]).contains(&"--client".to_owned()));
        assert!(!candidates(&["--man"]).contains(&"--manual".to_owned()));
    }

    #[test]
    fn the_scripts_of_three_shells_make_them_ask() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(script(shell).unwrap()).unwrap();
            assert!(text.contains("COMPLETE="), "{shell}: {text}");
            assert!(text.contains("lvsadm"), "{shell}: {text}");
        }
    }
}
