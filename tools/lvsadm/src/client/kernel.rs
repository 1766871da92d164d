// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's director, over generic netlink.

use std::path::Path;
use std::process::Command as Process;

use super::Director;
use crate::error::{self, Error};
use crate::model::{
    Change, Daemon, DestinationEntry, Info, Service, ServiceEntry, ServiceFlags, ServiceId,
    Timeouts,
};
use crate::netlink::request::request as change_request;
use crate::netlink::socket::{Lookup, Mode};
use crate::netlink::{Attribute, Command, Connection, Failure, Message, convert};

/// The module that is loaded when nothing provides the family.
const MODULE: &str = "ipvs_rs";
/// There while the kernel's own module is.
const C_MODULE: &str = "/sys/module/ip_vs";

/// The kernel's director.
pub struct Kernel {
    connection: Connection,
}

impl Kernel {
    /// Connects. When nothing provides the family, our module is loaded; failing that, the kernel may
    /// load another.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] with what to do about it.
    pub fn open() -> Result<Self, Error> {
        let open = |lookup| {
            Connection::open(lookup).map_err(|failure| {
                Error::Failed(format!(
                    "cannot reach the kernel: {}",
                    error::plain(&failure)
                ))
            })
        };
        if let Some(connection) = open(Lookup::Present)? {
            return Ok(Self { connection });
        }
        let said = load_module();
        match open(Lookup::Autoload)? {
            Some(connection) => Ok(Self { connection }),
            None => Err(Error::Failed(format!(
                "this kernel has no virtual server: nothing provides the generic netlink family \
                 IPVS. Load a module that does: modprobe {MODULE}{said}"
            ))),
        }
    }

    fn one(&mut self, command: Command, attributes: Vec<Attribute>) -> Result<Message, Failure> {
        let request = Message {
            command,
            attributes,
        };
        let answers = self.connection.request(&request, Mode::One)?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| Failure::Malformed("the answer is empty".to_owned()))
    }

    fn list(
        &mut self,
        command: Command,
        attributes: Vec<Attribute>,
    ) -> Result<Vec<Message>, Failure> {
        let request = Message {
            command,
            attributes,
        };
        self.connection.request(&request, Mode::Dump)
    }
}

/// The C module takes a service on every port that is not persistent, and then gives it no connection.
fn refuse_idle_service(service: &Service) -> Result<(), Error> {
    let idle = !service.id.is_mark()
        && service.id.port() == 0
        && !service.flags.contains(ServiceFlags::PERSISTENT);
    if idle && Path::new(C_MODULE).exists() {
        return Err(Error::Failed(format!(
            "a service on every port ({}) must be persistent with the module ip_vs: add -p, or \
             name a port",
            service.id
        )));
    }
    Ok(())
}

/// Tries to load the module; says how that went, for the end of a sentence.
fn load_module() -> String {
    let program = ["/sbin/modprobe", "/usr/sbin/modprobe"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("modprobe");
    match Process::new(program).args(["--", MODULE]).output() {
        Err(error) => format!(" (trying it failed: {program}: {error})"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            match said.trim().lines().last() {
                Some(line) if !output.status.success() => format!(" (trying it failed: {line})"),
                _ if !output.status.success() => " (trying it failed)".to_owned(),
                _ => " (that was tried: it loads but brings no such family)".to_owned(),
            }
        }
    }
}

impl Director for Kernel {
    fn info(&mut self) -> Result<Info, Error> {
        self.one(Command::GetInfo, Vec::new())
            .and_then(|answer| convert::read_info(&answer))
            .map_err(|failure| error::query("ask the kernel for its version", &failure))
    }

    fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        self.list(Command::GetService, Vec::new())
            .and_then(|answers| answers.iter().map(convert::read_service).collect())
            .map_err(|failure| error::query("list the services", &failure))
    }

    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry, Error> {
        self.one(Command::GetService, vec![convert::service_id(id)])
            .and_then(|answer| convert::read_service(&answer))
            .map_err(|failure| error::service_query(id, &failure))
    }

    fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        self.list(Command::GetDest, vec![convert::service_id(id)])
            .and_then(|answers| {
                answers
                    .iter()
                    .map(|answer| convert::read_destination(id.family(), answer))
                    .collect()
            })
            .map_err(|failure| error::query(&format!("list the destinations of {id}"), &failure))
    }

    fn timeouts(&mut self) -> Result<Timeouts, Error> {
        self.one(Command::GetConfig, Vec::new())
            .and_then(|answer| convert::read_timeouts(&answer))
            .map_err(|failure| error::query("list the timeouts", &failure))
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        self.list(Command::GetDaemon, Vec::new())
            .and_then(|answers| {
                answers
                    .iter()
                    .filter_map(|answer| convert::read_daemon(answer).transpose())
                    .collect()
            })
            .map_err(|failure| error::query("list the synchronisation daemons", &failure))
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        if let Change::AddService(service) | Change::EditService(service) = change {
            refuse_idle_service(service)?;
        }
        match self.connection.request(&change_request(change), Mode::One) {
            Ok(_) => Ok(()),
            Err(failure) => Err(error::change(change, &failure)),
        }
    }
}
