// SPDX-License-Identifier: GPL-2.0-only

//! Sends connections and templates.
//!
//! An entry is sent when it changes, within 20 ms and together with others. All entries are
//! sent again and again (the *sweep*), so that timeouts are renewed and losses heal. A sweep is
//! fast when the master starts, and when changes came faster than they could be sent.

use super::channel::{Channel, Full};
use crate::{
    services::service::Key,
    state::{
        announcements::Queue,
        connection::{Connection, Lease},
        settings::{SYNC_BULK_RATE, SYNC_REFRESH_PERIOD},
        tables::Tables,
    },
};
use core::sync::atomic::{AtomicBool, Ordering};
use kernel::{
    alloc::{KVVec, KVec},
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    rcu,
    table::{key_of, Entry},
    work::{self, Tick, Ticker, Waker},
};
use lvs_core::sync::{
    self,
    join::{Answer, Sponsor},
    message::{Hello, Message, Messages},
    stamp::{self, Doubt, Keys},
    Datagram, Event, Record,
};

/// Entries that are collected in one read section.
const BATCH: usize = 64;
/// Milliseconds between two rounds at most.
const IDLE: u32 = 1000;
/// Milliseconds between two rounds of a fast sweep.
const FAST: u32 = 4;
/// Octets that an entry takes on the wire, with its part of all headers.
const ENTRY: u32 = 38;
/// Milliseconds between two rounds of a slow sweep, and the entries that a round should send: few
/// enough for the buffers of any receiver.
const SLOW: (u32, u32) = (20, 16 * 40);
/// Milliseconds until datagrams that could not be sent are sent again.
const RETRY: u32 = 4;
/// How often a master that ends tries to send again what did not fit into a socket's buffer.
const LAST_TRIES: u32 = 25;
/// Milliseconds between two rounds while a promised sweep waits.
const SOON: u32 = 50;
/// Backups whose questions wait for an answer. Later ones repeat theirs.
const MOST_ASKING: usize = 64;

/// The daemon.
#[pin_data]
pub(super) struct Master {
    tables: Arc<Tables>,
    queue: Arc<Queue>,
    /// Send the whole table.
    resync: AtomicBool,
    /// Backups that ask, with the number of the channel.
    #[pin]
    asking: Mutex<KVec<(u16, Hello)>>,
    #[pin]
    work: Mutex<Work>,
}

/// What its rounds change.
struct Work {
    channels: KVVec<Channel>,
    records: KVec<Noted>,
    /// The number of hashes that were taken out of the queue.
    taken: u32,
    sweep: Sweep,
    sponsor: Sponsor,
    /// Datagrams are signed.
    signs: bool,
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

impl Work {
    /// Begins a fast sweep, or begins it again.
    fn sweep_all(&mut self, tables: &Tables) {
        tables.synchronization.count(Event::Bulk);
        self.sponsor.begin();
        self.sweep = Sweep::new(true);
        for channel in &mut self.channels {
            channel.swept = 0;
            channel.ended = None;
        }
    }
}

impl Master {
    /// Starts the daemon. Process context.
    pub(super) fn start(
        tables: Arc<Tables>,
        channels: KVVec<Channel>,
    ) -> Result<(Arc<Self>, Ticker<Self>)> {
        let mut work = Work {
            channels,
            records: KVec::with_capacity(BATCH, GFP_KERNEL)?,
            taken: 0,
            sweep: Sweep::new(true),
            sponsor: Sponsor::default(),
            signs: !tables.settings.keyring.is_empty(),
        };
        work.sweep_all(&tables);
        let asking = KVec::with_capacity(MOST_ASKING, GFP_KERNEL)?;
        let queue = Arc::new(Queue::new()?, GFP_KERNEL)?;
        let (its_tables, its_queue) = (tables.clone(), queue.clone());
        let master = Arc::pin_init(
            pin_init!(Self {
                tables: its_tables,
                queue: its_queue,
                resync: AtomicBool::new(false),
                asking <- new_mutex!(asking, "ipvs_rs_asking"),
                work <- new_mutex!(work, "ipvs_rs_master"),
            }),
            GFP_KERNEL,
        )?;
        let ticker = Ticker::start(master.clone(), IDLE)?;
        let waker = ticker.waker();
        tables.announcements.begin(queue, waker.clone())?;
        // Entries that change from now on are in the queue; the others are found by the sweep.
        waker.wake(0);
        Ok((master, ticker))
    }

    /// Sends the changes that are queued. The daemon has ended: nothing calls [`Self::tick`], and
    /// nothing is queued any more. Waits for the sockets for a tenth of a second at most. Process
    /// context.
    pub(super) fn finish(&self) {
        let mut work = self.work.lock();
        let work = &mut *work;
        for _ in 0..LAST_TRIES {
            let sent = self.send_changes(work).and_then(|()| self.flush(work));
            if sent.is_ok() {
                return;
            }
            work::sleep(RETRY);
        }
    }

    /// Has the whole table sent in the next round. Any context.
    pub(super) fn resync(&self) {
        self.resync.store(true, Ordering::Relaxed);
    }
}

/// Listens to backups at a UDP port of a master.
pub(super) struct Ear {
    pub(super) master: Arc<Master>,
    pub(super) waker: Waker,
    /// The number of the channel.
    pub(super) channel: u16,
    pub(super) syncid: u8,
}

impl Ear {
    /// A datagram has arrived. Process context.
    pub(super) fn receive(&self, bytes: &[u8]) {
        let tables = &self.master.tables;
        let Ok(datagram) = Datagram::new(bytes) else {
            return;
        };
        // A backup with 0 belongs to all groups.
        if datagram.syncid != 0 && datagram.syncid != self.syncid {
            return;
        }
        let hello = |message| match message {
            Message::Hello(hello) => Some(hello),
            _ => None,
        };
        // The records of another master are for backups.
        let Some(hello) = Messages::of(&datagram).and_then(|mut all| all.find_map(hello)) else {
            return;
        };
        // A question that was recorded and is repeated gets an answer that no backup believes.
        let doubt = tables.settings.keyring.with(|keys| match keys.signing() {
            Some(_) => stamp::verify(bytes, keys).err(),
            None => None,
        });
        if let Some(doubt) = doubt {
            return tables.synchronization.count(event_of(doubt));
        }
        let mut asking = self.master.asking.lock();
        if asking.len() < asking.capacity() {
            let _ = asking.push_within_capacity((self.channel, hello));
        }
        drop(asking);
        self.waker.wake(0);
    }
}

/// What to count for a datagram that is not believed.
pub(super) const fn event_of(doubt: Doubt) -> Event {
    match doubt {
        Doubt::Unsigned => Event::Unsigned,
        Doubt::Key(_) => Event::OtherKey,
        Doubt::Code => Event::Forged,
    }
}

/// A record that waits until it is sent.
struct Noted {
    /// The key of its entry.
    key: u32,
    record: Record<'static>,
    /// What a persistence engine found, for a template that has it.
    evidence: Option<Arc<Lease>>,
}

impl Noted {
    fn new(entry: &Entry<Connection>, record: Record<'static>) -> Self {
        Self {
            key: entry.key(),
            record,
            evidence: entry.found().and_then(|_| entry.lease()),
        }
    }

    /// The record with what the engine found.
    fn complete(&self) -> Record<'_> {
        let found = self.evidence.as_ref().and_then(|lease| lease.found());
        Record {
            engine: found.map(|found| sync::Engine {
                name: found.engine.name().as_c_str().to_bytes(),
                data: found.text,
            }),
            ..self.record
        }
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
    let record = common.connection(protocol, entry.virtual_endpoint(), state);
    Some(match entry.helped() {
        Some(helped) => record.with_deltas(helped.deltas()),
        None => record,
    })
}

impl Tick for Master {
    fn tick(&self) -> Option<u32> {
        let mut work = self.work.lock();
        let work = &mut *work;
        for channel in &mut work.channels {
            channel.update(&self.tables);
        }
        self.answer(work);
        let signs = !self.tables.settings.keyring.is_empty();
        // Backups have refused what was not signed.
        let must_repeat = signs && !work.signs;
        work.signs = signs;
        if self.resync.swap(false, Ordering::Relaxed)
            || must_repeat
            || work.sponsor.is_due(work::milliseconds())
        {
            work.sweep_all(&self.tables);
        }
        self.queue.begin();
        // The buffer of a socket is full for a moment only: the work stops there and continues
        // soon.
        let is_sent = self
            .send_changes(work)
            .and_then(|()| self.sweep(work))
            .and_then(|next| self.flush(work).map(|()| next));
        let next = is_sent.unwrap_or(RETRY);
        Some(match work.sponsor.has_promised() {
            true => next.min(SOON),
            false => next,
        })
    }
}

impl Master {
    /// Answers the backups that ask.
    fn answer(&self, work: &mut Work) {
        // Taken out one by one, so that nobody waits for the socket.
        while let Some((number, hello)) = { self.asking.lock().pop() } {
            let Some(channel) = work.channels.get_mut(usize::from(number)) else {
                continue;
            };
            self.tables.synchronization.count(Event::Answered);
            match work.sponsor.answer(&hello, channel.mouth.epoch()) {
                Answer::Welcome(welcome) => {
                    let message = Message::Welcome(welcome);
                    channel.mouth.tell(&self.tables, Some(message));
                }
                Answer::Done(sweep) => channel.ended = Some(sweep),
            }
        }
    }

    /// Sends the entries that changed.
    fn send_changes(&self, work: &mut Work) -> Result<(), Full> {
        if self.queue.has_overflowed() {
            self.tables.synchronization.count(Event::Overflow);
            work.sweep_all(&self.tables);
        }
        loop {
            self.send(work)?;
            while work.records.len() < BATCH / 2 {
                let Some(hash) = self.queue.take(&mut work.taken) else {
                    return self.send(work);
                };
                let key = key_of(hash);
                let records = &mut work.records;
                self.at(key, |entry| {
                    // What finds no room keeps its mark until the sweep comes.
                    let room = records.len() < records.capacity();
                    if entry.key() == key && room && entry.take_unsent() {
                        if let Some(record) = record(&self.tables, entry) {
                            let _ = records.push_within_capacity(Noted::new(entry, record));
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
        let mut budget = if is_fast { self.bulk() } else { u32::MAX };
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
                        let _ = records.push_within_capacity(Noted::new(entry, record));
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
            if is_fast {
                let number = work.sponsor.end(work::milliseconds());
                for channel in &mut work.channels {
                    channel.ended = Some(number);
                }
            }
        }
        Ok(match work.sweep.is_fast {
            true => FAST,
            false => self.pause(period),
        })
    }

    /// The entries that a round of a fast sweep sends.
    fn bulk(&self) -> u32 {
        let rate = &self.tables.settings.sync_bulk_rate;
        let rate = match rate.load(Ordering::Relaxed) {
            0 => SYNC_BULK_RATE,
            megabits => megabits,
        };
        // Megabits in a second are kilobits in a millisecond.
        let octets = rate.saturating_mul(1000 / 8 * FAST);
        octets.checked_div(ENTRY).unwrap_or(0).max(1)
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
        let mut result = Ok(());
        let mut written = 0usize;
        let ports = work.channels.len().max(1);
        for noted in &work.records {
            let port = noted.key as usize & ports.wrapping_sub(1);
            if let Some(channel) = work.channels.get_mut(port) {
                result = channel.push(&self.tables, &noted.complete());
                if result.is_err() {
                    break;
                }
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

    /// Sends the datagrams that are not full, and what is due beside them.
    fn flush(&self, work: &mut Work) -> Result<(), Full> {
        let mut result = Ok(());
        for channel in &mut work.channels {
            let sent = channel.send(&self.tables);
            result = sent.and_then(|()| channel.attend(&self.tables)).and(result);
        }
        result
    }
}
