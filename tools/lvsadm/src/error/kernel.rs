// SPDX-License-Identifier: GPL-2.0-only

//! What an error number of the kernel means for the operation at hand.

use super::Error;
use crate::model::scheduler;
use crate::model::{
    Change, Destination, Family, Forwarding, Protocol, Service, ServiceFlags, ServiceId,
};
use crate::netlink::{Failure, KernelError};

/// The meaning of an error number for one operation.
enum Meaning {
    /// This is what is wrong.
    Known(String),
    /// This is probably wrong. The kernel's own words, if there are any, are better.
    Assumed(String),
}

use Meaning::{Assumed, Known};

/// The reason why there is no answer, whatever the question.
#[must_use]
pub fn plain(failure: &Failure) -> String {
    match failure {
        Failure::Kernel(error) => refusal(error, general(error)),
        Failure::Interrupted => "the table kept changing while it was listed; try again".to_owned(),
        Failure::Overrun => {
            "the kernel's answer overran the socket buffer every time; try again".to_owned()
        }
        Failure::Malformed(what) => format!("the kernel's answer cannot be read: {what}"),
        Failure::Socket(error) => format!("netlink socket: {error}"),
        Failure::Output(error) => format!("the answer cannot be written: {error}"),
    }
}

/// The error for a question that got no answer.
#[must_use]
pub fn query(what: &str, failure: &Failure) -> Error {
    Error::Failed(format!("cannot {what}: {}", plain(failure)))
}

/// The error for a question about one service that got no answer.
#[must_use]
pub fn service_query(id: &ServiceId, failure: &Failure) -> Error {
    let why = match failure {
        Failure::Kernel(error) if error.errno == libc::ESRCH => no_service(id),
        other => plain(other),
    };
    Error::Failed(format!("cannot list service {id}: {why}"))
}

/// The error for a change that the kernel refused.
#[must_use]
pub fn change(change: &Change, failure: &Failure) -> Error {
    let why = match failure {
        Failure::Kernel(error) => refusal(
            error,
            particular(change, error).unwrap_or_else(|| general(error)),
        ),
        other => plain(other),
    };
    Error::Failed(format!("cannot {}: {why}", subject(change)))
}

/// The operation, to follow "cannot".
#[must_use]
pub fn subject(change: &Change) -> String {
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

fn no_service(id: &ServiceId) -> String {
    match id {
        ServiceId::Address { port: 0, .. } => "there is no such service (no port was given, and \
                                               port 0 stands for every port; lvsadm -Ln lists the \
                                               services)"
            .to_owned(),
        _ => "there is no such service (lvsadm -Ln lists the services)".to_owned(),
    }
}

/// The meaning of an error number for one operation.
fn particular(change: &Change, error: &KernelError) -> Option<Meaning> {
    let errno = error.errno;
    Some(match change {
        Change::AddService(service) | Change::EditService(service) => match errno {
            libc::EEXIST => Known("the service exists already (-E edits it)".to_owned()),
            libc::ESRCH => Known(no_service(&service.id)),
            libc::ENOENT => Known(unknown_name(service, error.message.as_deref())),
            libc::EINVAL | libc::EOPNOTSUPP => unsupported_service(service)?,
            _ => return None,
        },
        Change::AddDestination(id, destination) | Change::EditDestination(id, destination) => {
            match errno {
                libc::ESRCH => Known(no_service(id)),
                libc::ENOENT => Known(no_server()),
                _ => refused_destination(destination, errno)?,
            }
        }
        Change::DeleteService(id) | Change::Zero(Some(id)) if errno == libc::ESRCH => {
            Known(no_service(id))
        }
        Change::DeleteDestination(id, _) => match errno {
            libc::ESRCH => Known(no_service(id)),
            libc::ENOENT => Known(no_server()),
            _ => return None,
        },
        Change::StartDaemon(daemon) => match errno {
            libc::EEXIST => Known("it runs already".to_owned()),
            libc::ENODEV => Known(format!(
                "there is no network interface {} (--mcast-interface selects another)",
                daemon.interface
            )),
            _ => return None,
        },
        Change::StopDaemon(_) if errno == libc::ESRCH => Known("it does not run".to_owned()),
        Change::SetTimeouts(_) if [libc::EINVAL, libc::ERANGE].contains(&errno) => {
            Assumed("the kernel does not accept such a timeout".to_owned())
        }
        _ => return None,
    })
}

fn no_server() -> String {
    "the service has no such server (lvsadm -Ln lists the servers)".to_owned()
}

/// The reason why a kernel may refuse a server.
fn refused_destination(destination: &Destination, errno: i32) -> Option<Meaning> {
    let (lower, upper) = (destination.lower_threshold, destination.upper_threshold);
    Some(match errno {
        libc::EEXIST => Known("the server exists already (-e edits it)".to_owned()),
        libc::ERANGE if lower > upper => Known(format!(
            "--l-threshold {lower} is above --u-threshold {upper}; it must not be"
        )),
        libc::EINVAL => Assumed(match destination.forwarding {
            Forwarding::Tunnel => "the kernel does not accept such a server; check that its \
                                   address is a unicast address and that the kernel knows the \
                                   tunnel options"
                .to_owned(),
            _ => "the kernel does not accept such a server; check that its address is a unicast \
                  address"
                .to_owned(),
        }),
        libc::EOPNOTSUPP => Assumed(format!(
            "the kernel does not support {} to an {} server",
            match destination.forwarding {
                Forwarding::Masquerade | Forwarding::DirectReply => "NAT (-m)",
                Forwarding::Tunnel => "tunnels (-i)",
                Forwarding::Local | Forwarding::Route | Forwarding::Other(_) =>
                    "direct routing (-g)",
            },
            Family::of(&destination.id.address),
        )),
        _ => return None,
    })
}

/// The kernel does not know a name. Its message, if there is one, tells which.
fn unknown_name(service: &Service, message: Option<&str>) -> String {
    let engine_refused = message.is_some_and(|message| message.contains("persistence engine"));
    match &service.engine {
        Some(engine) if engine_refused => {
            format!("the kernel has no persistence engine {engine:?}")
        }
        Some(engine) if message.is_none() => format!(
            "the kernel has no scheduler {:?} or no persistence engine {engine:?}",
            service.scheduler
        ),
        _ => no_scheduler(&service.scheduler),
    }
}

fn no_scheduler(name: &str) -> String {
    match scheduler::find(name) {
        Some(_) => format!(
            "the kernel has no scheduler {name:?} (load its module: modprobe ipvs_rs_{name})"
        ),
        None => {
            format!("the kernel has no scheduler {name:?} (lvsadm schedulers lists them)")
        }
    }
}

/// Options of a service that a kernel may not support; `None` when it has only basic ones.
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
        Assumed(format!(
            "the kernel does not accept such a service; it may not support {}",
            options.join(", ")
        ))
    })
}

/// The meaning of an error number for every operation.
fn general(error: &KernelError) -> Meaning {
    let assumed = |words: &str| Assumed(words.to_owned());
    match error.errno {
        libc::EPERM | libc::EACCES => Known(
            "permission denied: this needs CAP_NET_ADMIN in the network namespace (run it as \
             root)"
                .to_owned(),
        ),
        libc::EINVAL => assumed("the kernel considers the request invalid"),
        libc::EOPNOTSUPP => assumed("the kernel does not support this"),
        libc::EAFNOSUPPORT => assumed("the kernel does not support this address family"),
        libc::ENOPROTOOPT => assumed("the kernel does not support this protocol"),
        libc::ENOMEM => assumed("the kernel is out of memory"),
        libc::EMSGSIZE => assumed("the answer does not fit a message; kernel and lvsadm disagree"),
        libc::ERANGE => assumed("the kernel considers a value out of range"),
        _ => Assumed(error.to_string()),
    }
}

/// One sentence: ours where we know what is wrong, else the kernel's, else our assumption.
fn refusal(error: &KernelError, meaning: Meaning) -> String {
    match (meaning, &error.message, error.missing) {
        (Assumed(_), Some(message), _) => message.clone(),
        (Known(words) | Assumed(words), None, Some(attribute)) => {
            format!("{words} (it misses attribute {attribute})")
        }
        (Known(words) | Assumed(words), _, _) => words,
    }
}
