// SPDX-License-Identifier: GPL-2.0-only

//! Shell completion. The shell asks this command, so that it can offer the services and servers
//! that exist.
//!
//! Belongs here: candidates for the values of options. Never: asking the director.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{Arg, Command, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use crate::cli::definition;
use crate::model::{endpoint, scheduler, DaemonRole, Group, Protocol, ServiceId, TunnelKind};

/// The environment variable by which a shell asks for candidates.
const VARIABLE: &str = "COMPLETE";

/// An IPv6 address with a port must be quoted in zsh, maybe by a quote that is still open. lvsadm
/// gets it without quotes.
const ZSH_UNQUOTED: &str = r#""${(@)${(@Q)words}#[\"\']}""#;

/// zsh loads the script as a function when it needs the first completion, and expects it then.
const ZSH_FIRST_USE: &str = "
if [[ $funcstack[1] == _lvsadm ]]; then
    _clap_dynamic_completer_lvsadm
fi
";

/// Gives the services and servers that exist; none when the director cannot be asked. It must not
/// load a module.
pub type Existing = fn() -> Vec<Group>;

/// Answers a shell that asks for candidates. Returns whether one did.
///
/// # Errors
///
/// When the shell is unknown, or the answer cannot be written.
pub fn answer(arguments: &[OsString], existing: Existing) -> Result<bool, clap::Error> {
    // Without words it asks for the script.
    if let (Ok(shell), true) = (std::env::var(VARIABLE), arguments.len() <= 1) {
        if let Ok(shell) = Shell::from_str(&shell, true) {
            io::stdout().write_all(script(shell)?.as_bytes())?;
            return Ok(true);
        }
    }
    CompleteEnv::with_factory(|| command(existing))
        .var(VARIABLE)
        .try_complete(arguments, None)
}

/// The script that makes a shell ask.
///
/// # Errors
///
/// If the shell is not bash, zsh, fish, elvish or PowerShell.
pub fn script(shell: Shell) -> io::Result<String> {
    let mut bytes = Vec::new();
    Shells::builtins()
        .completer(&shell.to_string())
        .ok_or(io::ErrorKind::Unsupported)?
        .write_registration(VARIABLE, "lvsadm", "lvsadm", "lvsadm", &mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(match shell {
        Shell::Bash => text + BASH_WHOLE_WORDS,
        Shell::Zsh => text.replace("\"${words[@]}\"", ZSH_UNQUOTED) + ZSH_FIRST_USE,
        _ => text,
    })
}

/// bash breaks words at colons, which addresses have.
const BASH_WHOLE_WORDS: &str = r#"
_lvsadm_whole_words() {
    local line=${COMP_LINE:0:COMP_POINT}
    local -a COMP_WORDS
    read -ra COMP_WORDS <<<"$line"
    if [[ $line == *[[:blank:]] ]]; then
        COMP_WORDS+=("")
    fi
    local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    local word=${COMP_WORDS[COMP_CWORD]}
    _clap_complete_lvsadm lvsadm "$word"
    if [[ $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
}
complete -o nospace -o bashdefault -F _lvsadm_whole_words lvsadm
"#;

/// The command line, with candidates for the values of its options.
fn command(existing: Existing) -> Command {
    let add = move |arg| with_candidates(arg, existing);
    definition::public()
        .mut_args(add)
        .mut_subcommands(|command| command.mut_args(add))
}

fn with_candidates(arg: Arg, existing: Existing) -> Arg {
    let addresses = move |wanted| move || addresses(&existing(), wanted);
    let candidates = match arg.get_id().as_str() {
        "scheduler" => ArgValueCandidates::new(schedulers),
        "sched-flags" => ArgValueCandidates::new(flags),
        "tun-type" => ArgValueCandidates::new(tunnels),
        "start-daemon" | "stop-daemon" => ArgValueCandidates::new(roles),
        "tcp-service" => ArgValueCandidates::new(addresses(Some(Protocol::Tcp))),
        "udp-service" => ArgValueCandidates::new(addresses(Some(Protocol::Udp))),
        "sctp-service" => ArgValueCandidates::new(addresses(Some(Protocol::Sctp))),
        "service" => ArgValueCandidates::new(addresses(None)),
        "fwmark-service" => ArgValueCandidates::new(move || marks(&existing())),
        "real-server" => ArgValueCandidates::new(move || servers(&existing())),
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

fn services(table: &[Group]) -> impl Iterator<Item = &ServiceId> {
    table.iter().map(|group| &group.service.service.id)
}

fn addresses(table: &[Group], wanted: Option<Protocol>) -> Vec<CompletionCandidate> {
    words(services(table).filter_map(|id| match id {
        ServiceId::Address {
            protocol,
            address,
            port,
        } if wanted.is_none_or(|wanted| wanted == *protocol) => Some(endpoint(address, *port)),
        _ => None,
    }))
}

fn marks(table: &[Group]) -> Vec<CompletionCandidate> {
    words(services(table).filter_map(|id| match id {
        ServiceId::Mark { mark, .. } => Some(mark.to_string()),
        ServiceId::Address { .. } => None,
    }))
}

fn servers(table: &[Group]) -> Vec<CompletionCandidate> {
    let mut servers: Vec<String> = table
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
    use crate::report::tests::{group, server};

    fn existing() -> Vec<Group> {
        let mut mark = group(vec![server(2, 1, 0)]);
        mark.service.service.id = ServiceId::Mark {
            mark: 7,
            family: crate::model::Family::Inet,
        };
        vec![group(vec![server(2, 1, 0), server(1, 1, 0)]), mark]
    }

    /// The candidates for the last of these words.
    fn candidates(line: &[&str]) -> Vec<String> {
        let arguments = std::iter::once("lvsadm").chain(line.iter().copied());
        clap_complete::engine::complete(
            &mut command(existing),
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
    fn services_and_servers_that_exist_are_offered() {
        assert_eq!(candidates(&["-D", "-t", ""]), ["192.0.2.1:80"]);
        assert!(candidates(&["-D", "-u", ""]).is_empty());
        assert_eq!(candidates(&["-D", "-f", ""]), ["7"]);
        let servers = ["10.2.0.1:80", "10.2.0.2:80"];
        assert_eq!(candidates(&["drain", "-r", ""]), servers);
        assert_eq!(candidates(&["show", "1"]), ["192.0.2.1:80"]);
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
            let text = script(shell).unwrap();
            assert!(text.contains("COMPLETE="), "{shell}: {text}");
            assert!(text.contains("lvsadm"), "{shell}: {text}");
        }
    }
}
