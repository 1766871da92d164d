// SPDX-License-Identifier: GPL-2.0-only

//! A UDP port of a daemon: it numbers, signs and sends datagrams.

use crate::state::tables::Tables;
use core::sync::atomic::Ordering;
use kernel::{alloc::KVVec, prelude::*};
use knet::{random, socket::Sender, work};
use lvs_core::{
    daemon::Daemon,
    sync::{
        message::{self, Message},
        stamp::{self, Stamp},
        Event, Record, Unfit, Version, Writer,
    },
    Endpoint,
};

/// Seconds of silence after which a master sends a sign of life.
const SIGN_OF_LIFE: u32 = 5;

/// The socket's buffer is full.
pub(super) struct Full;

/// The sender of a UDP port.
pub(super) struct Mouth {
    sender: Sender,
    port: u16,
    syncid: u8,
    /// The latest datagram that was numbered.
    stamp: Stamp,
    /// The second in which it was sent.
    sent: u32,
}

impl Mouth {
    pub(super) fn new(sender: Sender, port: u16, syncid: u8) -> Self {
        Self {
            sender,
            port,
            syncid,
            stamp: new_epoch(),
            sent: work::seconds(),
        }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.stamp.epoch
    }

    /// The stamp of the next datagram.
    fn next(&mut self) -> Stamp {
        match self.stamp.sequence.checked_add(1) {
            Some(sequence) => self.stamp.sequence = sequence,
            // Numbers are not used twice.
            None => {
                self.stamp = Stamp {
                    sequence: 1,
                    ..new_epoch()
                }
            }
        }
        self.stamp
    }

    /// Sends a datagram, to the peers if there are any.
    fn send(&mut self, tables: &Tables, datagram: &[u8]) -> Result<(), Full> {
        self.sent = work::seconds();
        let counters = &tables.synchronization;
        let count = |sent: Result| match sent {
            Ok(()) => {
                counters.count(Event::Sent);
                Ok(())
            }
            Err(EAGAIN) => Err(Full),
            // Without a link, for example. The sweep sends its entries again.
            Err(_) => {
                counters.count(Event::Unsent);
                Ok(())
            }
        };
        let peers = &tables.settings.peers;
        if peers.is_empty() {
            return count(self.sender.send(datagram));
        }
        for peer in peers.list().into_iter().flatten() {
            count(
                self.sender
                    .send_to(Endpoint::new(peer, self.port), datagram),
            )?;
        }
        Ok(())
    }

    /// Sends a message, or a sign of life. What finds the buffer full is lost: all messages are
    /// repeated.
    pub(super) fn tell(&mut self, tables: &Tables, message: Option<Message>) {
        let mut buffer = [0; message::LONGEST];
        let stamp = self.next();
        let syncid = self.syncid;
        let keyring = &tables.settings.keyring;
        let len = keyring.with(|keys| message::write(&mut buffer, syncid, message, stamp, keys));
        if let Some(datagram) = len.and_then(|len| buffer.get(..len)) {
            let _ = self.send(tables, datagram);
        }
    }
}

fn new_epoch() -> Stamp {
    Stamp {
        // 0 stands for none.
        epoch: random::number().max(1),
        sequence: 0,
    }
}

/// A UDP port of a master, and the datagram that is being written for it.
pub(super) struct Channel {
    pub(super) mouth: Mouth,
    writer: Writer<KVVec<u8>>,
    version: Version,
    /// Octets of the datagram that stay free for a stamp.
    reserve: usize,
    /// The entries that the present fast sweep sent here.
    pub(super) swept: u32,
    /// The number of an ended sweep that backups were not told yet.
    pub(super) ended: Option<u32>,
}

impl Channel {
    pub(super) fn new(sender: Sender, port: u16, daemon: &Daemon, tables: &Tables) -> Result<Self> {
        let buffer = KVVec::from_elem(0u8, usize::from(daemon.max_len), GFP_KERNEL)?;
        let version = version(tables);
        let mut channel = Self {
            mouth: Mouth::new(sender, port, daemon.syncid),
            writer: Writer::new(buffer, version, daemon.syncid).ok_or(EINVAL)?,
            version,
            reserve: 0,
            swept: 0,
            ended: None,
        };
        channel.begin(tables);
        Ok(channel)
    }

    fn begin(&mut self, tables: &Tables) {
        self.reserve = tables.settings.keyring.with(stamp::len);
        self.writer.begin(self.version, self.reserve);
    }

    /// Follows the settings. Entries of a datagram of another version, or without room for the
    /// signature, are lost. A sweep follows the first key.
    pub(super) fn update(&mut self, tables: &Tables) {
        let version = version(tables);
        let reserve = tables.settings.keyring.with(stamp::len);
        if self.version != version || self.reserve < reserve {
            self.version = version;
            self.begin(tables);
        }
    }

    /// Adds a record, after sending the datagram if that is full.
    pub(super) fn push(&mut self, tables: &Tables, record: &Record<'_>) -> Result<(), Full> {
        let mut pushed = self.writer.push(record);
        if pushed == Err(Unfit::Full) {
            self.send(tables)?;
            pushed = self.writer.push(record);
        }
        self.swept = self.swept.saturating_add(1);
        tables.synchronization.count(match pushed {
            Ok(()) => Event::SentRecord,
            Err(_) => Event::Inexpressible,
        });
        Ok(())
    }

    /// Sends the datagram, if it has any record, and begins another. The datagram stays if the
    /// socket's buffer is full.
    pub(super) fn send(&mut self, tables: &Tables) -> Result<(), Full> {
        if self.writer.records() == 0 {
            return Ok(());
        }
        if self.version == Version::V1 && !self.writer.is_sealed() {
            let stamp = self.mouth.next();
            let keyring = &tables.settings.keyring;
            let sealed = keyring.with(|keys| self.writer.seal(stamp, keys));
            if sealed.is_none() {
                // The first key came while the datagram was being written. A sweep follows.
                tables.synchronization.count(Event::Unsent);
                self.begin(tables);
                return Ok(());
            }
        }
        self.mouth.send(tables, self.writer.datagram())?;
        self.begin(tables);
        Ok(())
    }

    /// Sends what is due beside records.
    pub(super) fn attend(&mut self, tables: &Tables) -> Result<(), Full> {
        if let Some(sweep) = self.ended {
            self.send(tables)?;
            let done = message::Done {
                sweep,
                entries: self.swept,
            };
            self.mouth.tell(tables, Some(Message::Done(done)));
            self.ended = None;
        }
        if work::seconds().wrapping_sub(self.mouth.sent) >= SIGN_OF_LIFE {
            self.mouth.tell(tables, None);
        }
        Ok(())
    }
}

/// The version to send. Only version 1 can be signed.
fn version(tables: &Tables) -> Version {
    match tables.settings.sync_version.load(Ordering::Relaxed) {
        0 if tables.settings.keyring.is_empty() => Version::V0,
        _ => Version::V1,
    }
}
