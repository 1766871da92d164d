// SPDX-License-Identifier: GPL-2.0-only

//! Synchronization daemons: the master sends the connections of a director to others, the backup
//! takes them over. `Documentation/failover.rst` has the view of an administrator.
//!
//! The formats are in [`lvs_core::sync`]. Packets mark entries that changed
//! ([`announcements`](crate::state::announcements)).

mod backup;
mod channel;
mod hub;
mod learn;
mod master;
mod rounds;

use crate::state::tables::Tables;
use backup::{Backup, Port};
use channel::Channel;
use core::fmt;
use hub::{Hub, Listener};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    net::Net,
    socket::{Device, Group, Receiver, Sender},
    work::Ticker,
};
use lvs_core::{
    daemon::{Daemon, Role, Wanted},
    sync::join::Ready,
    Address, Endpoint,
};
use master::{Ear, Master};
use rounds::Rounds;

/// The most UDP ports that daemons use.
const MOST_PORTS: u32 = 64;
/// Octets of a receiver's buffer unless an administrator sets another size: room for some 1,500
/// datagrams, as the other director sends its whole table when it starts.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// The daemons of a director. Locked by a mutex that is held while one starts or stops.
#[derive(Default)]
pub(crate) struct Daemons {
    master: Option<Running<MasterParts>>,
    backup: Option<Running<BackupParts>>,
    /// The last backup, which still takes what arrives for a moment after it was stopped.
    former: Option<BackupParts>,
    /// The number of ports, which both have in common.
    ports: u32,
    /// Made by the first daemon.
    hub: Option<Arc<Hub>>,
}

/// What a master consists of. It stops listening before its work ends.
struct MasterParts {
    _receivers: KVVec<Receiver<Listener>>,
    ticker: Ticker<Master>,
    master: Arc<Master>,
    hub: Arc<Hub>,
}

/// What a backup consists of.
struct BackupParts {
    ticker: Ticker<Rounds>,
    rounds: Arc<Rounds>,
}

struct Running<T> {
    daemon: Daemon,
    tables: Arc<Tables>,
    // Dropped to end it.
    parts: T,
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
        if role == Role::Backup {
            self.forget();
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
        let hub = match &self.hub {
            Some(hub) => hub.clone(),
            None => self.hub.insert(Hub::new()?).clone(),
        };
        let sockets = Sockets {
            net,
            first,
            last,
            group: Group {
                endpoint: daemon.group,
                device,
                ttl: daemon.ttl,
                buffer: buffer.saturating_mul(2),
            },
            // Sockets are of the family of the peers.
            peer: tables.settings.peers.list().into_iter().flatten().next(),
            listener: Listener {
                hub,
                tables: tables.clone(),
                number: 0,
                role,
            },
            len: usize::from(daemon.max_len),
        };
        match role {
            Role::Master => {
                let running = Running {
                    parts: start_master(&daemon, &tables, &sockets)?,
                    daemon,
                    tables,
                };
                running.log("starts");
                self.master = Some(running);
            }
            Role::Backup => {
                let running = Running {
                    parts: start_backup(&daemon, &tables, &sockets)?,
                    daemon,
                    tables,
                };
                running.log("starts");
                self.backup = Some(running);
            }
        }
        Ok(())
    }

    /// How far the backup has joined; `None` if none runs. Process context.
    pub(crate) fn backup_state(&self) -> Option<Joined> {
        let mut state = Joined::Complete;
        for port in &self.backup.as_ref()?.parts.rounds.ports {
            match port.ready() {
                None => return Some(Joined::No),
                Some(Ready::Alone) => state = Joined::Alone,
                Some(Ready::Complete) => {}
            }
        }
        Some(state)
    }

    /// Has the master send the whole table, and the backup ask for it. [`ESRCH`]: neither runs.
    /// Process context.
    pub(crate) fn resync(&self) -> Result {
        if let Some(running) = &self.master {
            running.parts.master.resync();
            running.parts.ticker.waker().wake(0);
        }
        if let Some(running) = &self.backup {
            let ports = &running.parts.rounds.ports;
            ports.iter().for_each(|port| port.resync());
            running.parts.ticker.waker().wake(0);
        }
        match self.any() {
            true => Ok(()),
            false => Err(ESRCH),
        }
    }

    /// A stopped backup takes nothing any more. Process context, waits for the RTNL.
    pub(crate) fn forget(&mut self) {
        if let Some(BackupParts { ticker, rounds }) = self.former.take() {
            drop(ticker);
            rounds.end();
        }
    }

    /// Stops a daemon. A master sends what is queued. A backup goes on for a moment: with VRRP, a
    /// director that takes over stops its backup before the other one stops its master. [`ESRCH`]:
    /// none with this role runs. Process context, waits for the RTNL.
    pub(crate) fn stop(&mut self, role: Role) -> Result {
        match role {
            Role::Master => {
                let running = self.master.take().ok_or(ESRCH)?;
                running.log("stops");
                let parts = running.parts;
                parts.hub.set_master(KVVec::new());
                running.tables.announcements.end();
                drop(parts.ticker);
                parts.master.finish();
            }
            Role::Backup => {
                let running = self.backup.take().ok_or(ESRCH)?;
                running.log("stops");
                let BackupParts { ticker, rounds } = running.parts;
                rounds.end_soon();
                ticker.waker().wake(rounds::LINGER);
                self.former = Some(BackupParts { ticker, rounds });
            }
        }
        Ok(())
    }
}

/// How far a backup has joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It waits for the whole table.
    No,
    /// It has the whole table of a master.
    Complete,
    /// It has waited, and no master has answered.
    Alone,
}

/// What the sockets of a daemon have in common.
struct Sockets<'a> {
    net: &'a Net,
    first: u16,
    last: u16,
    group: Group,
    peer: Option<Address>,
    listener: Listener,
    len: usize,
}

impl Sockets<'_> {
    /// The UDP ports.
    fn ports(&self) -> core::ops::RangeInclusive<u16> {
        self.first..=self.last
    }

    fn sender(&self, port: u16) -> Result<Sender> {
        let address = self.peer.unwrap_or(self.group.endpoint.address);
        let group = Group {
            endpoint: Endpoint::new(address, port),
            ..self.group
        };
        Sender::open(self.net.clone(), &group)
    }

    /// Opens a socket for each port.
    fn receivers(&self, default_buffer: u32) -> Result<KVVec<Receiver<Listener>>> {
        let mut receivers = KVVec::new();
        for (number, port) in self.ports().enumerate() {
            let listener = Listener {
                number,
                hub: self.listener.hub.clone(),
                tables: self.listener.tables.clone(),
                role: self.listener.role,
            };
            let address = match self.peer {
                Some(peer) => peer.family().unspecified(),
                None => self.group.endpoint.address,
            };
            let mut group = Group {
                endpoint: Endpoint::new(address, port),
                ..self.group
            };
            if group.buffer == 0 {
                group.buffer = default_buffer;
            }
            let listener = Arc::new(listener, GFP_KERNEL)?;
            let receiver = Receiver::open(self.net.clone(), &group, self.len, listener)?;
            receivers.push(receiver, GFP_KERNEL)?;
        }
        Ok(receivers)
    }
}

fn start_master(
    daemon: &Daemon,
    tables: &Arc<Tables>,
    sockets: &Sockets<'_>,
) -> Result<MasterParts> {
    let mut channels = KVVec::new();
    for port in sockets.ports() {
        let channel = Channel::new(sockets.sender(port)?, port, daemon, tables)?;
        channels.push(channel, GFP_KERNEL)?;
    }
    let receivers = sockets.receivers(0)?;
    let mut ears = KVVec::new();
    let (master, ticker) = Master::start(tables.clone(), channels)?;
    for (channel, _) in (0..).zip(sockets.ports()) {
        let ear = Ear {
            master: master.clone(),
            waker: ticker.waker(),
            channel,
            syncid: daemon.syncid,
        };
        let added = Arc::new(ear, GFP_KERNEL)
            .map_err(Error::from)
            .and_then(|ear| Ok(ears.push(ear, GFP_KERNEL)?));
        if let Err(error) = added {
            tables.announcements.end();
            return Err(error);
        }
    }
    let hub = sockets.listener.hub.clone();
    hub.set_master(ears);
    Ok(MasterParts {
        _receivers: receivers,
        ticker,
        master,
        hub,
    })
}

fn start_backup(
    daemon: &Daemon,
    tables: &Arc<Tables>,
    sockets: &Sockets<'_>,
) -> Result<BackupParts> {
    let backup = Arc::new(Backup::new(*daemon, tables.clone()), GFP_KERNEL)?;
    let (mut ports, mut heard) = (KVVec::new(), KVVec::new());
    for number in sockets.ports() {
        let port = Port::new(backup.clone(), sockets.sender(number)?, number)?;
        ports.push(port.clone(), GFP_KERNEL)?;
        heard.push(port, GFP_KERNEL)?;
    }
    let receivers = sockets.receivers(RECEIVE_BUFFER)?;
    let hub = sockets.listener.hub.clone();
    let rounds = Rounds::new(ports, receivers, hub.clone())?;
    // Before the first question, which is answered at once.
    hub.set_backup(heard);
    let ticker = Ticker::start(rounds.clone(), 0).inspect_err(|_| hub.set_backup(KVVec::new()))?;
    Ok(BackupParts { ticker, rounds })
}
