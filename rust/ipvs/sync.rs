// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization daemons: the master sends the connections of a director to others, the backup
//! takes them over. `Documentation/failover.rst` has the view of an administrator.
//!
//! The formats are in [`lvs_core::sync`]. Packets mark entries that changed
//! ([`announcements`](crate::state::announcements)).

mod backup;
mod master;

use crate::state::tables::Tables;
use backup::Backup;
use core::fmt;
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    net::Net,
    socket::{Device, Group, Receiver, Sender},
    work::Ticker,
};
use lvs_core::{
    daemon::{Daemon, Role, Wanted},
    Endpoint,
};
use master::Master;

/// The most UDP ports that daemons use.
const MOST_PORTS: u32 = 64;
/// Octets of a receiver's buffer unless an administrator sets another size: room for some 1,500
/// datagrams, as the other director sends its whole table when it starts.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// The daemons of a director. Locked by a mutex that is held while one starts or stops.
#[derive(Default)]
pub(crate) struct Daemons {
    master: Option<Running<Ticker<Master>>>,
    backup: Option<Running<KVVec<Receiver<Backup>>>>,
    /// The number of ports, which both have in common.
    ports: u32,
}

struct Running<T> {
    daemon: Daemon,
    tables: Arc<Tables>,
    // Dropped to end it.
    _parts: T,
}

impl<T> Running<T> {
    fn log(&self, event: &str) {
        pr_info!("{}\n", format_args!("{}: {event}", Described(&self.daemon)));
    }
}

/// A daemon in the kernel's log.
struct Described<'a>(&'a Daemon);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Daemon {
            role,
            interface,
            group,
            syncid,
            ..
        } = self.0;
        write!(
            f,
            "synchronization {} on {interface}, {group}, syncid {syncid}",
            role.name()
        )
    }
}

impl Daemons {
    /// Whether any runs.
    pub(crate) fn any(&self) -> bool {
        self.master.is_some() || self.backup.is_some()
    }

    /// Whether one with this role runs.
    pub(crate) fn has(&self, role: Role) -> bool {
        match role {
            Role::Master => self.master.is_some(),
            Role::Backup => self.backup.is_some(),
        }
    }

    /// The daemons that run, the master first.
    pub(crate) fn running(&self) -> [Option<Daemon>; 2] {
        let master = self.master.as_ref().map(|running| running.daemon);
        let backup = self.backup.as_ref().map(|running| running.daemon);
        [master, backup]
    }

    /// Starts a daemon on an interface. `ports` is the number of UDP ports unless another daemon
    /// runs. [`EEXIST`]: one with this role runs; [`EINVAL`]: there are not so many ports; errors
    /// of sockets. Process context, waits for the RTNL.
    pub(crate) fn start(
        &mut self,
        role: Role,
        wanted: &Wanted,
        device: Device,
        net: &Net,
        tables: Arc<Tables>,
        ports: u32,
    ) -> Result {
        if self.has(role) {
            return Err(EEXIST);
        }
        if !self.any() {
            self.ports = ports.clamp(1, MOST_PORTS);
        }
        let daemon = wanted.complete(role, device.mtu);
        let first = daemon.group.port;
        let last = u16::try_from(self.ports.wrapping_sub(1))
            .ok()
            .and_then(|more| first.checked_add(more))
            .ok_or(EINVAL)?;
        let buffer = tables
            .settings
            .sync_sock_size
            .load(core::sync::atomic::Ordering::Relaxed);
        let groups = (first..=last).map(|port| Group {
            endpoint: Endpoint::new(daemon.group.address, port),
            device,
            ttl: daemon.ttl,
            buffer: buffer.saturating_mul(2),
        });
        match role {
            Role::Master => {
                let mut senders = KVVec::new();
                for group in groups {
                    senders.push(Sender::open(net.clone(), &group)?, GFP_KERNEL)?;
                }
                let running = Running {
                    _parts: Master::start(&daemon, tables.clone(), senders)?,
                    daemon,
                    tables,
                };
                running.log("starts");
                self.master = Some(running);
            }
            Role::Backup => {
                let backup = Arc::new(Backup::new(daemon.syncid, tables.clone()), GFP_KERNEL)?;
                let mut receivers = KVVec::new();
                for mut group in groups {
                    if group.buffer == 0 {
                        group.buffer = RECEIVE_BUFFER;
                    }
                    let len = usize::from(daemon.max_len);
                    let receiver = Receiver::open(net.clone(), &group, len, backup.clone())?;
                    receivers.push(receiver, GFP_KERNEL)?;
                }
                let running = Running {
                    _parts: receivers,
                    daemon,
                    tables,
                };
                running.log("starts");
                self.backup = Some(running);
            }
        }
        Ok(())
    }

    /// Stops a daemon. [`ESRCH`]: none with this role runs. Process context, waits for the RTNL.
    pub(crate) fn stop(&mut self, role: Role) -> Result {
        match role {
            Role::Master => {
                let running = self.master.take().ok_or(ESRCH)?;
                running.tables.announcements.end();
                running.log("stops");
            }
            Role::Backup => self.backup.take().ok_or(ESRCH)?.log("stops"),
        }
        Ok(())
    }
}
