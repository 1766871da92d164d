// SPDX-License-Identifier: GPL-2.0-only

//! What went wrong, in sentences; exit codes.
//!
//! Belongs here: turning an error number into what it means for the operation at hand. Never: the
//! wording of single options (that is `parse` and `cli`).

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::model::{
    Change, Destination, Family, Forwarding, Protocol, Service, ServiceFlags, ServiceId,
};
use crate::netlink::{Failure, KernelError};

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong. Exit code 2.
    Usage(String),
    /// The command line is wrong, or asked for help, in clap's own words. Exit code 2 or 0.
    Clap(Box<clap::Error>),
    /// The kernel refused, or something else failed. Exit code 1.
    Failed(String),
    /// What was to be printed could not be. Exit code 1.
    Output(io::Error),
}

impl Error {
    /// The exit code that goes with it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Output(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Clap(error) if error.exit_code() == 0 => ExitCode::SUCCESS,
            Self::Clap(_) => ExitCode::from(2),
        }
    }

    /// The same kind of error in other words.
    #[must_use]
    pub fn reworded(&self, words: String) -> Self {
        match self {
            Self::Failed(_) | Self::Output(_) => Self::Failed(words),
            Self::Usage(_) | Self::Clap(_) => Self::Usage(words),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) | Self::Failed(words) => f.write_str(words),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Clap(error) => {
                // What is wrong and clap's advice on it, without usage and pointers to help.
                let text = error.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                let end = text.find("\nUsage:").or_else(|| text.find("\nFor more"));
                let words: Vec<&str> = end
                    .map_or(text, |end| text.get(..end).unwrap_or(text))
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .collect();
                f.write_str(&words.join("; "))
            }
        }
    }
}

impl std::error::Error for Error {}

/// What an error number means here.
enum Meaning {
    /// Just this.
    Sure(String),
    /// Perhaps this; the kernel's own words are better where there are any.
    Guess(String),
}

use Meaning::{Guess, Sure};

/// Why there is no answer, without regard to the question.
#[must_use]
pub fn plain(failure: &Failure) -> String {
    match failure {
        Failure::Kernel(error) => refusal(error, general(error)),
        Failure::Interrupted => {
            "the tables kept changing while they were listed; try again".to_owned()
        }
        Failure::Overrun => {
            "parts of the kernel's answer were lost every time (socket buffer overrun); try again"
                .to_owned()
        }
        Failure::Malformed(what) => format!("the kernel's answer cannot be read: {what}"),
        Failure::Socket(error) => format!("netlink socket: {error}"),
        Failure::Output(error) => format!("the answer cannot be passed on: {error}"),
    }
}

/// A question that got no answer.
#[must_use]
pub fn query(what: &str, failure: &Failure) -> Error {
    Error::Failed(format!("cannot {what}: {}", plain(failure)))
}

/// A question about one service that got no answer.
#[must_use]
pub fn service_query(id: &ServiceId, failure: &Failure) -> Error {
    let why = match failure {
        Failure::Kernel(error) if error.errno == libc::ESRCH => refusal(error, Sure(no_service())),
        other => plain(other),
    };
    Error::Failed(format!("cannot list service {id}: {why}"))
}

/// A change that was refused.
#[must_use]
pub fn change(change: &Change, failure: &Failure) -> Error {
    let why = match failure {
        Failure::Kernel(error) => refusal(
            error,
            particular(change, error.errno).unwrap_or_else(|| general(error)),
        ),
        other => plain(other),
    };
    Error::Failed(format!("cannot {}: {why}", subject(change)))
}

/// The operation, to stand after "cannot".
fn subject(change: &Change) -> String {
    match change {
        Change::AddService(service) => format!("add service {}", service.id),
        Change::EditService(service) => format!("edit service {}", service.id),
        Change::DeleteService(id) => format!("delete service {id}"),
        Change::Clear => "clear the table".to_owned(),
        Change::Zero(None) => "zero the counters".to_owned(),
        Change::Zero(Some(id)) => format!("zero the counters of service {id}"),
        Change::AddDestination(id, destination) => {
            format!("add server {} to service {id}", destination.id)
        }
        Change::EditDestination(id, destination) => {
            format!("edit server {} of service {id}", destination.id)
        }
        Change::DeleteDestination(id, destination) => {
            format!("delete server {destination} of service {id}")
        }
        Change::SetTimeouts(_) => "set the timeouts".to_owned(),
        Change::StartDaemon(daemon) => {
            format!("start the {} synchronization daemon", daemon.role.name())
        }
        Change::StopDaemon(role) => format!("stop the {} synchronization daemon", role.name()),
    }
}

fn no_service() -> String {
    "there is no such service (lvsadm -L -n lists what there is)".to_owned()
}

/// What an error number means for one operation.
fn particular(change: &Change, errno: i32) -> Option<Meaning> {
    Some(match change {
        Change::AddService(service) | Change::EditService(service) => match errno {
            libc::EEXIST => Sure("there is such a service already (-E edits it)".to_owned()),
            libc::ESRCH => Sure(no_service()),
            libc::ENOENT => Sure(unknown_name(service)),
            libc::EINVAL | libc::EOPNOTSUPP => unsupported_service(service)?,
            _ => return None,
        },
        Change::AddDestination(_, destination) | Change::EditDestination(_, destination) => {
            match errno {
                libc::ESRCH => Sure(no_service()),
                libc::ENOENT => Sure(no_server()),
                _ => refused_destination(destination, errno)?,
            }
        }
        Change::DeleteService(_) | Change::Zero(Some(_)) if errno == libc::ESRCH => {
            Sure(no_service())
        }
        Change::DeleteDestination(..) => match errno {
            libc::ESRCH => Sure(no_service()),
            libc::ENOENT => Sure(no_server()),
            _ => return None,
        },
        Change::StartDaemon(daemon) => match errno {
            libc::EEXIST => Sure("it runs already".to_owned()),
            libc::ENODEV => Sure(format!(
                "there is no network interface {}; name one with --mcast-interface",
                daemon.interface
            )),
            _ => return None,
        },
        Change::StopDaemon(_) if errno == libc::ESRCH => Sure("it does not run".to_owned()),
        Change::SetTimeouts(_) if [libc::EINVAL, libc::ERANGE].contains(&errno) => {
            Guess("the kernel takes no such timeouts".to_owned())
        }
        _ => return None,
    })
}

fn no_server() -> String {
    "the service has no such server".to_owned()
}

/// Why a kernel may not take a server.
fn refused_destination(destination: &Destination, errno: i32) -> Option<Meaning> {
    let (lower, upper) = (destination.lower_threshold, destination.upper_threshold);
    Some(match errno {
        libc::EEXIST => Sure("the service has such a server already (-e edits it)".to_owned()),
        libc::ERANGE if lower > upper => Sure(format!(
            "--l-threshold {lower} is above --u-threshold {upper}; it must not be"
        )),
        libc::EINVAL => Guess(match destination.forwarding {
            Forwarding::Tunnel => "the kernel takes no such server; the address must be a unicast \
                                   one and the tunnel options ones that this kernel knows"
                .to_owned(),
            _ => "the kernel takes no such server; the address must be a unicast one".to_owned(),
        }),
        libc::EOPNOTSUPP => Guess(format!(
            "this kernel does not offer it ({}, {} server)",
            match destination.forwarding {
                Forwarding::Masquerade => "-m",
                Forwarding::Tunnel => "-i",
                Forwarding::Local | Forwarding::Route | Forwarding::Other(_) => "-g",
            },
            Family::of(&destination.id.address),
        )),
        _ => return None,
    })
}

/// The kernel does not know a name; which one it was it does not say.
fn unknown_name(service: &Service) -> String {
    let scheduler = format!(
        "the kernel has no scheduler {:?} (no module ipvs_rs_{} could be loaded)",
        service.scheduler, service.scheduler
    );
    match &service.engine {
        None => scheduler,
        Some(engine) => format!("{scheduler}, or no persistence engine {engine:?}"),
    }
}

/// Options of a service that a kernel may not offer; `None` when it has only plain ones.
fn unsupported_service(service: &Service) -> Option<Meaning> {
    let flags = service.flags;
    let options: Vec<&str> = [
        (flags.contains(ServiceFlags::PERSISTENT), "--persistent"),
        (flags.contains(ServiceFlags::ONE_PACKET), "--ops"),
        (service.engine.is_some(), "--pe"),
        (service.id.family() == Family::Inet6, "IPv6"),
        (
            service.id.protocol() == Some(Protocol::Sctp),
            "--sctp-service",
        ),
        (
            !flags.scheduler_names(&service.scheduler).is_empty(),
            "--sched-flags",
        ),
    ]
    .into_iter()
    .filter(|(used, _)| *used)
    .map(|(_, option)| option)
    .collect();
    (!options.is_empty()).then(|| {
        Guess(format!(
            "the kernel takes no such service; perhaps it does not offer {}",
            options.join(", ")
        ))
    })
}

/// What an error number means whatever the operation.
fn general(error: &KernelError) -> Meaning {
    let guess = |words: &str| Guess(words.to_owned());
    match error.errno {
        libc::EPERM | libc::EACCES => Sure(
            "permission denied: it needs CAP_NET_ADMIN in this network namespace (be root)"
                .to_owned(),
        ),
        libc::EINVAL => guess("the kernel calls the request invalid"),
        libc::EOPNOTSUPP => guess("this kernel does not offer it"),
        libc::EAFNOSUPPORT => guess("this kernel does not offer that address family"),
        libc::ENOPROTOOPT => guess("this kernel does not offer that protocol"),
        libc::ENOMEM => guess("the kernel is out of memory"),
        libc::EMSGSIZE => guess("the answer does not fit a message; kernel and lvsadm disagree"),
        libc::ERANGE => guess("the kernel calls a value out of range"),
        _ => Sure(error.to_string()),
    }
}

/// Our words and the kernel's own.
fn refusal(error: &KernelError, meaning: Meaning) -> String {
    match (meaning, &error.message, error.missing) {
        (Guess(_), Some(message), _) => format!("the kernel says: {message}"),
        (Sure(words), Some(message), _) => format!("{words}; the kernel says: {message}"),
        (Sure(words) | Guess(words), None, Some(attribute)) => {
            format!("{words}; the kernel misses attribute {attribute}")
        }
        (Sure(words) | Guess(words), None, None) => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Netmask;

    fn refused(errno: i32) -> Failure {
        Failure::Kernel(KernelError {
            errno,
            ..KernelError::default()
        })
    }

    fn service() -> Service {
        let id = ServiceId::Mark {
            mark: 7,
            family: Family::Inet,
        };
        Service {
            scheduler: "nope".to_owned(),
            flags: ServiceFlags::default(),
            timeout: 0,
            netmask: Netmask::Inet([255; 4].into()),
            engine: None,
            id,
        }
    }

    #[test]
    fn the_same_number_says_something_else_for_another_operation() {
        let scheduler = change(&Change::AddService(service()), &refused(libc::ENOENT));
        assert_eq!(
            scheduler.to_string(),
            "cannot add service firewall mark 7 (IPv4): the kernel has no scheduler \"nope\" \
             (no module ipvs_rs_nope could be loaded)"
        );
        let server = change(
            &Change::DeleteDestination(
                service().id,
                crate::model::DestinationId {
                    address: [10, 0, 0, 1].into(),
                    port: 80,
                },
            ),
            &refused(libc::ENOENT),
        );
        assert_eq!(
            server.to_string(),
            "cannot delete server 10.0.0.1:80 of service firewall mark 7 (IPv4): the service has \
             no such server"
        );
    }

    #[test]
    fn the_kernels_own_words_are_shown() {
        let failure = Failure::Kernel(KernelError {
            errno: libc::EOPNOTSUPP,
            message: Some("persistence is not implemented".to_owned()),
            ..KernelError::default()
        });
        let error = change(&Change::Clear, &failure);
        assert_eq!(
            error.to_string(),
            "cannot clear the table: the kernel says: persistence is not implemented"
        );
        let failure = Failure::Kernel(KernelError {
            errno: libc::EEXIST,
            message: Some("the virtual service exists already".to_owned()),
            ..KernelError::default()
        });
        let error = change(&Change::AddService(service()), &failure);
        assert_eq!(
            error.to_string(),
            "cannot add service firewall mark 7 (IPv4): there is such a service already (-E edits \
             it); the kernel says: the virtual service exists already"
        );
    }

    #[test]
    fn a_number_without_a_meaning_keeps_the_systems_text() {
        let error = query("list the services", &refused(libc::EIO));
        assert!(error.to_string().contains("Input/output error"), "{error}");
    }
}
