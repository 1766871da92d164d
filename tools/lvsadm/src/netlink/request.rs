// SPDX-License-Identifier: GPL-2.0-only

//! The request that each change makes.

use super::convert;
use super::message::{Command, Message};
use crate::model::Change;

/// The request that asks for a change.
#[must_use]
pub fn request(change: &Change) -> Message {
    let (command, attributes) = match change {
        Change::AddService(service) => (Command::NewService, vec![convert::service(service)]),
        Change::EditService(service) => (Command::SetService, vec![convert::service(service)]),
        Change::DeleteService(id) => (Command::DelService, vec![convert::service_id(id)]),
        Change::Clear => (Command::Flush, Vec::new()),
        Change::Zero(id) => (Command::Zero, id.iter().map(convert::service_id).collect()),
        Change::AddDestination(id, destination) => (
            Command::NewDest,
            vec![convert::service_id(id), convert::destination(destination)],
        ),
        Change::EditDestination(id, destination) => (
            Command::SetDest,
            vec![convert::service_id(id), convert::destination(destination)],
        ),
        Change::DeleteDestination(id, destination) => (
            Command::DelDest,
            vec![
                convert::service_id(id),
                convert::destination_id(destination),
            ],
        ),
        Change::SetTimeouts(timeouts) => (Command::SetConfig, convert::timeouts(timeouts)),
        Change::StartDaemon(daemon) => (Command::NewDaemon, vec![convert::daemon(daemon)]),
        Change::StopDaemon(role) => (Command::DelDaemon, vec![convert::daemon_role(*role)]),
    };
    Message {
        command,
        attributes,
    }
}
