// SPDX-License-Identifier: GPL-2.0-only

//! Sends connections and templates.
//!
//! An entry is sent when it changes, some 20 ms later and together with others. All entries are
//! sent again and again (the *sweep*), so that timeouts are renewed and losses heal. A sweep is
//! fast when the master starts, and when changes came faster than they could be sent.

use crate::{
    services::service::Key,
    state::{
        announcements::Queue, connection::Connection, settings::SYNC_REFRESH_PERIOD,
        synchronization::Event, tables::Tables,
    },
};
use core::sync::atomic::Ordering;
use kernel::{
    alloc::{KVVec, KVec},
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    rcu,
    socket::Sender,
    table::Entry,
    work::{self, Tick, Ticker},
};
use lvs_core::{
    daemon::Daemon,
    sync::{self, Record, Unfit, Version, Writer},
};

/// Entries that are collected in one read section.
const BATCH: usize = 64;
/// Milliseconds between two rounds at most.
const IDLE: u32 = 1000;
/// Milliseconds between two rounds of a fast sweep, and the entries that a round sends: 190 Mbit/s.
const FAST: (u32, u32) = (4, 64 * 40);
/// Milliseconds between two rounds of a slow sweep, and the entries that a round should send: few
/// enough for the buffers of any receiver.
const SLOW: (u32, u32) = (20, 16 * 40);
/// Milliseconds until datagrams that could not be sent are sent again.
const RETRY: u32 = 4;

/// The daemon.
#[pin_data]
pub(super) struct Master {
    tables: Arc<Tables>,
    queue: Arc<Queue>,
    #[pin]
    work: Mutex<Work>,
}

/// What its rounds change.
struct Work {
    channels: KVVec<Channel>,
    records: KVec<(u32, Record<'static>)>,
    /// The number of keys that were taken out of the queue.
    taken: u32,
    sweep: Sweep,
}

/// A UDP port, and the datagram that is being written for it.
struct Channel {
    sender: Sender,
    writer: Writer<KVVec<u8>>,
    /// Version 1 or 0.
    version: Version,
}

/// A walk over all entries.
struct Sweep {
    is_fast: bool,
    /// The key to continue with; none at the end.
    next: Option<u32>,
    /// When a slow one began, in microseconds.
    began: u64,
}

impl Sweep {
    fn new(is_fast: bool) -> Self {
        Self {
            is_fast,
            next: Some(0),
            began: work::microseconds(),
        }
    }

    /// The key up to which a slow sweep should have come by now, if it takes `period` seconds.
    /// `None`: the end.
    fn due(&self, period: u32) -> Option<u32> {
        let elapsed = work::microseconds().saturating_sub(self.began) / 1000;
        let period = u64::from(period).saturating_mul(1000).max(1);
        // In milliseconds, 64 bits have room for this: a sweep takes some years at most.
        let part = elapsed.min(u64::from(u32::MAX)) << 32;
        let part = part.checked_div(period).unwrap_or(u64::MAX);
        u32::try_from(part).ok()
    }
}

impl Master {
    /// Starts the daemon. Process context.
    pub(super) fn start(
        daemon: &Daemon,
        tables: Arc<Tables>,
        senders: KVVec<Sender>,
    ) -> Result<Ticker<Self>> {
        let version = version(&tables);
        let mut channels = KVVec::new();
        for sender in senders {
            let buffer = KVVec::from_elem(0u8, usize::from(daemon.max_len), GFP_KERNEL)?;
            let writer = Writer::new(buffer, version, daemon.syncid).ok_or(EINVAL)?;
            let channel = Channel {
                sender,
                writer,
                version,
            };
            channels.push(channel, GFP_KERNEL)?;
        }
        let work = Work {
            channels,
            records: KVec::with_capacity(BATCH, GFP_KERNEL)?,
            taken: 0,
            sweep: Sweep::new(true),
        };
        let queue = Arc::new(Queue::new()?, GFP_KERNEL)?;
        let (its_tables, its_queue) = (tables.clone(), queue.clone());
        let master = Arc::pin_init(
            pin_init!(Self {
                tables: its_tables,
                queue: its_queue,
                work <- new_mutex!(work, "ipvs_rs_master"),
            }),
            GFP_KERNEL,
        )?;
        let ticker = Ticker::start(master, IDLE)?;
        let waker = ticker.waker();
        tables.announcements.begin(queue, waker.clone())?;
        // Entries that change from now on are in the queue; the others are found by the sweep.
        waker.wake(0);
        Ok(ticker)
    }
}

fn version(tables: &Tables) -> Version {
    match tables.settings.sync_version.load(Ordering::Relaxed) {
        0 => Version::V0,
        _ => Version::V1,
    }
}

/// The record of an entry that other directors should have.
fn record(tables: &Tables, entry: &Entry<Connection>) -> Option<Record<'static>> {
    let persist_mode = &tables.settings.sync_persist_mode;
    if entry.is_controlled() && persist_mode.load(Ordering::Relaxed) != 0 {
        return None;
    }
    let key: Key = entry.destination().service;
    let common = sync::Entry {
        key,
        forwarding: entry.forwarding(),
        client: entry.client(),
        server: entry.server(),
        timeout: entry.timeout(),
    };
    if entry.is_template() {
        return Some(common.template(entry.is_confirmed()));
    }
    let state = entry.state();
    if !state.is_announced() {
        return None;
    }
    let protocol = entry.protocol()?;
    Some(common.connection(protocol, entry.virtual_endpoint(), state))
}

impl Tick for Master {
    fn tick(&self) -> Option<u32> {
        let mut work = self.work.lock();
        let work = &mut *work;
        let version = version(&self.tables);
        for channel in &mut work.channels {
            if channel.version != version {
                channel.version = version;
                channel.writer.begin(version);
            }
        }
        self.queue.begin();
        // The buffer of a socket is full for a moment only: the work stops there and continues
        // soon.
        let is_sent = self
            .send_changes(work)
            .and_then(|()| self.sweep(work))
            .and_then(|next| self.flush(work).map(|()| next));
        Some(is_sent.unwrap_or(RETRY))
    }
}

/// The socket's buffer is full.
struct Full;

impl Master {
    /// Sends the entries that changed.
    fn send_changes(&self, work: &mut Work) -> Result<(), Full> {
        if self.queue.has_overflowed() {
            self.tables.synchronization.count(Event::Overflow);
            work.sweep = Sweep::new(true);
        }
        loop {
            self.send(work)?;
            while work.records.len() < BATCH / 2 {
                let Some(key) = self.queue.take(&mut work.taken) else {
                    return self.send(work);
                };
                let records = &mut work.records;
                self.at(key, |entry| {
                    // What finds no room keeps its mark until the sweep comes.
                    let room = records.len() < records.capacity();
                    if entry.key() == key && room && entry.take_unsent() {
                        if let Some(record) = record(&self.tables, entry) {
                            let _ = records.push_within_capacity((key, record));
                        }
                    }
                });
            }
            work::yield_now();
        }
    }

    /// Calls `f` for the entries at the lowest key that is at least `from`, and returns that key.
    fn at(&self, from: u32, mut f: impl FnMut(&Entry<Connection>)) -> Option<u32> {
        rcu::read(|section| {
            self.tables
                .connections
                .first_from(section, from, |entry| f(&entry))
        })
    }

    /// Continues the sweep. Returns the milliseconds until the next round.
    fn sweep(&self, work: &mut Work) -> Result<u32, Full> {
        let period = match self
            .tables
            .settings
            .sync_refresh_period
            .load(Ordering::Relaxed)
        {
            0 => SYNC_REFRESH_PERIOD,
            seconds => seconds,
        };
        let is_fast = work.sweep.is_fast;
        let due = match is_fast {
            true => None,
            false => work.sweep.due(period),
        };
        let mut budget = if is_fast { FAST.1 } else { u32::MAX };
        while let Some(from) = work.sweep.next {
            if budget == 0 || due.is_some_and(|due| from > due) {
                break;
            }
            let records = &mut work.records;
            let alone = records.is_empty();
            let mut complete = true;
            let found = self.at(from, |entry| {
                // A learned entry is the other director's to send, as long as that lives.
                if entry.is_learned() && !is_fast {
                    return;
                }
                let room = records.len() < records.capacity();
                complete &= room;
                if room {
                    entry.take_unsent();
                    if let Some(record) = record(&self.tables, entry) {
                        let _ = records.push_within_capacity((entry.key(), record));
                    }
                }
            });
            // A key with more entries than fit beside the others is looked at again.
            if complete || alone {
                work.sweep.next = found.and_then(|key| key.checked_add(1));
            }
            if !complete || work.records.len() >= BATCH / 2 {
                budget = budget.saturating_sub(work.records.len() as u32);
                self.send(work)?;
                work::yield_now();
            }
        }
        self.send(work)?;
        if work.sweep.next.is_none() && (is_fast || due.is_none()) {
            work.sweep = Sweep::new(false);
        }
        Ok(match work.sweep.is_fast {
            true => FAST.0,
            false => self.pause(period),
        })
    }

    /// Milliseconds between two rounds of a slow sweep.
    fn pause(&self, period: u32) -> u32 {
        let entries = self.tables.connections.count() as u64;
        u64::from(period)
            .saturating_mul(1000)
            .saturating_mul(u64::from(SLOW.1))
            .checked_div(entries.max(1))
            .map_or(IDLE, |pause| pause.clamp(SLOW.0.into(), IDLE.into()) as u32)
    }

    /// Writes the collected records, and sends the datagrams that are full. What could not be
    /// written stays.
    fn send(&self, work: &mut Work) -> Result<(), Full> {
        let counters = &self.tables.synchronization;
        let mut result = Ok(());
        let mut written = 0usize;
        let ports = work.channels.len().max(1);
        for (key, record) in &work.records {
            let port = *key as usize & ports.wrapping_sub(1);
            if let Some(channel) = work.channels.get_mut(port) {
                let mut pushed = channel.writer.push(record);
                if pushed == Err(Unfit::Full) {
                    result = channel.send(&self.tables);
                    if result.is_err() {
                        break;
                    }
                    pushed = channel.writer.push(record);
                }
                counters.count(match pushed {
                    Ok(()) => Event::SentRecord,
                    Err(_) => Event::Inexpressible,
                });
            }
            written = written.wrapping_add(1);
        }
        let mut left = written;
        work.records.retain(|_| {
            let stays = left == 0;
            left = left.saturating_sub(1);
            stays
        });
        result
    }

    /// Sends the datagrams that are not full.
    fn flush(&self, work: &mut Work) -> Result<(), Full> {
        let mut result = Ok(());
        for channel in &mut work.channels {
            result = channel.send(&self.tables).and(result);
        }
        result
    }
}

impl Channel {
    /// Sends the datagram, if it has any record, and begins another. The datagram stays if the
    /// socket's buffer is full.
    fn send(&mut self, tables: &Tables) -> Result<(), Full> {
        if self.writer.records() == 0 {
            return Ok(());
        }
        let event = match self.sender.send(self.writer.datagram()) {
            Ok(()) => Event::Sent,
            Err(EAGAIN) => return Err(Full),
            // Without a link, for example. The sweep sends its entries again.
            Err(_) => Event::Unsent,
        };
        tables.synchronization.count(event);
        self.writer.begin(self.version);
        Ok(())
    }
}
