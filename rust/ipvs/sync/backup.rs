// SPDX-License-Identifier: GPL-2.0-only

//! Receives what another director sends, asks it for its whole table, and says in the log why
//! nothing is taken.

use super::{channel::Mouth, learn::Learner, master::event_of};
use crate::state::tables::Tables;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{random, socket::Sender, work};
use lvs_core::{
    daemon::Daemon,
    sync::{
        inbox::{Inbox, Rejection},
        join::Ready,
        message::Message,
        stamp::Doubt,
        Event, Malformed,
    },
};

/// Seconds without a datagram that the log mentions.
const SILENCE: u32 = 30;
/// Seconds between two lines of the log about the same.
const QUIET: u32 = 60;

/// The daemon.
pub(super) struct Backup {
    daemon: Daemon,
    tables: Arc<Tables>,
    learner: Learner,
    complaints: Complaints,
}

impl Backup {
    pub(super) fn new(daemon: Daemon, tables: Arc<Tables>) -> Self {
        Self {
            daemon,
            learner: Learner::new(tables.clone()),
            tables,
            complaints: Complaints::default(),
        }
    }

    fn complain(&self, complaint: Complaint, reason: fmt::Arguments<'_>) {
        if self.complaints.is_due(complaint) {
            let interface = self.daemon.interface;
            pr_warn!(
                "{}\n",
                format_args!("synchronization backup on {interface}: {reason}")
            );
        }
    }

    /// Counts and explains why a datagram is not taken.
    fn reject(&self, rejection: Rejection) {
        let Daemon { group, syncid, .. } = self.daemon;
        let event = match rejection {
            Rejection::Malformed(_) => Event::Malformed,
            Rejection::Syncid(_) => Event::Foreign,
            Rejection::Doubt(doubt) => event_of(doubt),
            Rejection::Epoch => Event::Unproved,
            Rejection::Repeated => Event::Repeated,
        };
        self.tables.synchronization.count(event);
        match rejection {
            Rejection::Malformed(Malformed::Version) => self.complain(
                Complaint::Version,
                format_args!("datagrams to {group} are of an unknown version and are ignored"),
            ),
            Rejection::Malformed(_) => self.complain(
                Complaint::Malformed,
                format_args!("datagrams to {group} are not of the protocol and are ignored"),
            ),
            Rejection::Syncid(other) => self.complain(
                Complaint::Syncid,
                format_args!(
                    "datagrams with syncid {other} are ignored; this daemon takes syncid {syncid}"
                ),
            ),
            Rejection::Doubt(Doubt::Unsigned) => self.complain(
                Complaint::Unsigned,
                format_args!(
                    "datagrams without a signature are ignored; set the key on the other \
                     director, too (lvsadm sync key)"
                ),
            ),
            Rejection::Doubt(Doubt::Key(id)) => self.complain(
                Complaint::Key,
                format_args!(
                    "datagrams that are signed with key {id} are ignored; this director lacks \
                     that key (lvsadm sync key)"
                ),
            ),
            Rejection::Doubt(Doubt::Code) => self.complain(
                Complaint::Forged,
                format_args!(
                    "datagrams with a wrong signature are ignored; somebody forges them, or the \
                     keys of the directors differ"
                ),
            ),
            // A master that has just begun is one of these for a moment.
            Rejection::Epoch | Rejection::Repeated => {}
        }
    }
}

/// What the log says about datagrams.
#[derive(Clone, Copy)]
enum Complaint {
    Version,
    Malformed,
    Syncid,
    Unsigned,
    Key,
    Forged,
    TooLong,
}

/// When each complaint is due again, as the second of the last one plus one; 0: never said.
#[derive(Default)]
struct Complaints([AtomicU32; 7]);

impl Complaints {
    fn is_due(&self, complaint: Complaint) -> bool {
        let Some(said) = self.0.get(complaint as usize) else {
            return false;
        };
        let now = work::seconds().wrapping_add(1).max(1);
        let last = said.load(Ordering::Relaxed);
        let is_due = last == 0 || now.wrapping_sub(last) >= QUIET;
        is_due
            && said
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// A UDP port of a backup.
#[pin_data]
pub(super) struct Port {
    backup: Arc<Backup>,
    #[pin]
    inbox: Mutex<Inbox>,
    #[pin]
    mouth: Mutex<Mouth>,
    /// The second in which a datagram last arrived.
    heard: AtomicU32,
    /// The log says that nothing arrives.
    is_silent: AtomicBool,
}

impl Port {
    pub(super) fn new(backup: Arc<Backup>, sender: Sender, port: u16) -> Result<Arc<Self>> {
        let syncid = backup.daemon.syncid;
        let inbox = Inbox::new(syncid, random::number(), work::milliseconds());
        let mouth = Mouth::new(sender, port, syncid);
        Arc::pin_init(
            pin_init!(Self {
                backup,
                inbox <- new_mutex!(inbox, "ipvs_rs_inbox"),
                mouth <- new_mutex!(mouth, "ipvs_rs_mouth"),
                heard: AtomicU32::new(work::seconds()),
                is_silent: AtomicBool::new(false),
            }),
            GFP_KERNEL,
        )
    }

    /// Why it is ready; `None` while it joins. Process context.
    pub(super) fn ready(&self) -> Option<Ready> {
        self.inbox.lock().join().ready()
    }

    /// Asks for the whole table again. Process context.
    pub(super) fn resync(&self) {
        self.inbox.lock().restart(work::milliseconds());
    }

    /// Asks a master for the table, if that is due. Returns whether this port joins.
    pub(super) fn ask(&self) -> bool {
        let (hello, joins) = {
            let mut inbox = self.inbox.lock();
            (inbox.ask(work::milliseconds()), inbox.join().is_asking())
        };
        if let Some(hello) = hello {
            let tables = &self.backup.tables;
            if hello.wants_sweep {
                tables.synchronization.count(Event::Asked);
            }
            let message = Some(Message::Hello(hello));
            self.mouth.lock().tell(tables, message);
        }
        joins
    }

    /// Says once when nothing arrives.
    pub(super) fn notice_silence(&self) {
        let silence = work::seconds().wrapping_sub(self.heard.load(Ordering::Relaxed));
        if silence >= SILENCE && !self.is_silent.swap(true, Ordering::Relaxed) {
            let Daemon {
                interface, group, ..
            } = self.backup.daemon;
            pr_warn!(
                "{}\n",
                format_args!(
                    "synchronization backup on {interface}: no datagram to {group} for {SILENCE} \
                     seconds; see whether a master runs, and check its interface, group and port, \
                     and the firewall"
                )
            );
        }
    }

    fn note_arrival(&self) {
        self.heard.store(work::seconds(), Ordering::Relaxed);
        if self.is_silent.load(Ordering::Relaxed) && self.is_silent.swap(false, Ordering::Relaxed) {
            let interface = self.backup.daemon.interface;
            pr_info!(
                "{}\n",
                format_args!("synchronization backup on {interface}: datagrams arrive again")
            );
        }
    }

    /// A datagram has arrived. Process context.
    pub(super) fn receive(&self, bytes: &[u8]) {
        let backup = &*self.backup;
        let tables = &*backup.tables;
        self.note_arrival();
        let now = work::milliseconds();
        let admitted = {
            let mut inbox = self.inbox.lock();
            let keyring = &tables.settings.keyring;
            keyring.with(|keys| inbox.admit(bytes, keys, now, random::number))
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(rejection) => return backup.reject(rejection),
        };
        let counters = &tables.synchronization;
        counters.count(Event::Received);
        counters.add(Event::Missing, admitted.missing.into());
        if admitted.is_late {
            counters.uncount(Event::Missing);
        }
        backup.learner.learn(admitted.records);
    }

    /// A datagram has arrived that is too long. Process context.
    pub(super) fn lose(&self) {
        self.note_arrival();
        self.backup.tables.synchronization.count(Event::Malformed);
        self.backup.complain(
            Complaint::TooLong,
            format_args!("datagrams are longer than --sync-maxlen and are ignored"),
        );
    }
}
