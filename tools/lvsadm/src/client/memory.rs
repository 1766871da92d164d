// SPDX-License-Identifier: GPL-2.0-only

//! A director in memory, for tests: it refuses what the kernel refuses, with the same numbers.

use std::io;

use super::director::Director;
use crate::connections::{Connection, ConnectionFilter};
use crate::error::{self, Error};
use crate::model::{
    Change, Daemon, Destination, DestinationEntry, Drops, Group, Info, Service, ServiceEntry,
    ServiceId, Timeouts, Traffic,
};
use crate::netlink::{Failure, KernelError};

/// The director.
#[derive(Debug)]
pub struct Memory {
    /// Services with their destinations.
    pub groups: Vec<Group>,
    /// Connections.
    pub connections: Vec<Connection>,
    timeouts: Timeouts,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            connections: Vec::new(),
            timeouts: Timeouts {
                tcp: 900,
                tcp_fin: 120,
                udp: 300,
            },
        }
    }
}

fn refused<T>(errno: i32) -> Result<T, Failure> {
    Err(Failure::Kernel(KernelError {
        errno,
        ..KernelError::default()
    }))
}

impl Memory {
    fn position(&self, id: &ServiceId) -> Result<usize, Failure> {
        self.groups
            .iter()
            .position(|group| group.service.service.id == *id)
            .map_or_else(|| refused(libc::ESRCH), Ok)
    }

    fn check(service: &Service) -> Result<(), Failure> {
        if ["rr", "wrr", "lc", "wlc"].contains(&service.scheduler.as_str()) {
            Ok(())
        } else {
            refused(libc::ENOENT)
        }
    }

    fn entry(destination: &Destination) -> DestinationEntry {
        DestinationEntry {
            destination: destination.clone(),
            active: 0,
            inactive: 0,
            persistent: 0,
            stats: Traffic::default(),
            drops: Drops::default(),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), Failure> {
        match change {
            Change::AddService(service) => {
                if self.position(&service.id).is_ok() {
                    return refused(libc::EEXIST);
                }
                Self::check(service)?;
                self.groups.push(Group {
                    service: ServiceEntry {
                        service: service.clone(),
                        stats: Traffic::default(),
                        drops: Drops::default(),
                    },
                    destinations: Vec::new(),
                });
            }
            Change::EditService(service) => {
                let position = self.position(&service.id)?;
                Self::check(service)?;
                self.groups[position].service.service = service.clone();
            }
            Change::DeleteService(id) => {
                let position = self.position(id)?;
                self.groups.remove(position);
            }
            Change::Clear => self.groups.clear(),
            Change::Zero(Some(id)) => {
                let position = self.position(id)?;
                self.groups[position].service.stats = Traffic::default();
            }
            Change::Zero(None) => {
                for group in &mut self.groups {
                    group.service.stats = Traffic::default();
                }
            }
            Change::AddDestination(id, destination) => {
                let position = self.position(id)?;
                let list = &mut self.groups[position].destinations;
                if list
                    .iter()
                    .any(|entry| entry.destination.id == destination.id)
                {
                    return refused(libc::EEXIST);
                }
                list.push(Self::entry(destination));
            }
            Change::EditDestination(id, destination) => {
                let position = self.position(id)?;
                let list = &mut self.groups[position].destinations;
                match list
                    .iter_mut()
                    .find(|entry| entry.destination.id == destination.id)
                {
                    Some(entry) => entry.destination = destination.clone(),
                    None => return refused(libc::ENOENT),
                }
            }
            Change::DeleteDestination(id, destination) => {
                let position = self.position(id)?;
                let list = &mut self.groups[position].destinations;
                let before = list.len();
                list.retain(|entry| entry.destination.id != *destination);
                if list.len() == before {
                    return refused(libc::ENOENT);
                }
            }
            Change::SetTimeouts(timeouts) => self.timeouts = *timeouts,
            Change::StartDaemon(_) | Change::StopDaemon(_) => return refused(libc::EOPNOTSUPP),
        }
        Ok(())
    }
}

impl Director for Memory {
    fn info(&mut self) -> Result<Info, Error> {
        Ok(Info {
            version: 0x0001_0201,
            table_size: 4096,
        })
    }

    fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        Ok(self
            .groups
            .iter()
            .map(|group| group.service.clone())
            .collect())
    }

    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry, Error> {
        let position = self
            .position(id)
            .map_err(|failure| error::service_query(id, &failure))?;
        Ok(self.groups[position].service.clone())
    }

    fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        Ok(self.position(id).map_or_else(
            |_| Vec::new(),
            |position| self.groups[position].destinations.clone(),
        ))
    }

    fn timeouts(&mut self) -> Result<Timeouts, Error> {
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        Ok(Vec::new())
    }

    fn connections(
        &mut self,
        filter: &ConnectionFilter,
        each: &mut dyn FnMut(Connection) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.connections
            .iter()
            .filter(|connection| filter.matches(connection))
            .try_for_each(|connection| each(connection.clone()))
            .map_err(Error::Output)
    }

    fn kill(&mut self, filter: &ConnectionFilter) -> Result<u32, Error> {
        let before = self.connections.len();
        self.connections
            .retain(|connection| !filter.matches(connection));
        Ok(u32::try_from(before - self.connections.len()).unwrap_or(u32::MAX))
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        self.apply(change)
            .map_err(|failure| error::change(change, &failure))
    }
}
