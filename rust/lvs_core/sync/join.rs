// SPDX-License-Identifier: GPL-2.0-only

//! How a backup gets the whole table when it starts.
//!
//! ```text
//!    backup                            master
//!      | -- HELLO, each second ---------> |
//!      | <------- WELCOME, sweep number n |
//!      | <------------- the sweep begins  |
//!      | <--------- records of all entries|
//!      | <----------------- DONE, number n|
//!    ready
//! ```
//!
//! - Any of these may be lost. The backup repeats HELLO until it is ready: each second, or five
//!   times as often if it hears a master and gets no answer.
//! - Sweep n begins after the WELCOME that promises it, so it has all that the backup lacks. One
//!   sweep serves all backups that were promised it. The master remembers no backup.
//! - If datagrams of the sweep were lost, the backup asks for another one, until less than an
//!   eighth of an entry is probably missing: the entries, times the lost part of each sweep.
//! - A master of the C director does not answer. After 10 seconds without an answer the backup is
//!   ready, as there is nothing to wait for. While it hears a master that could answer, it waits
//!   for 60 seconds: the wire is bad, or works in one direction only.
//!
//! Times are in milliseconds of a clock that wraps.

use super::message::{Done, Hello, Welcome};

/// Milliseconds between two HELLO.
const REPEAT: u32 = 1000;
/// The same when a master is heard and has not answered: a datagram was probably lost.
const REPEAT_SOON: u32 = 200;
/// Milliseconds without an answer after which a backup waits no longer.
pub const PATIENCE: u32 = 10_000;
/// The same while a master is heard that could answer.
const LONG_PATIENCE: u32 = 60_000;
/// Milliseconds without a sign of the master that promised a sweep, after which another may.
const SILENCE: u32 = 3000;
/// Milliseconds between two sweeps that backups ask for.
const PAUSE: u32 = 250;
/// Parts of an entry in which missing entries are estimated.
const PARTS: u64 = 256;
/// The estimate below which nothing is missing.
const NOTHING: u64 = PARTS / 8;

/// Why a backup is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    /// It has the whole table of a master.
    Complete,
    /// No master has answered.
    Alone,
}

/// The datagrams of a master so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The number of the latest.
    pub sequence: u32,
    /// How many arrived.
    pub received: u64,
}

/// A sweep that a master has promised.
#[derive(Clone, Copy, Debug)]
struct Promise {
    epoch: u64,
    sweep: u32,
    since: Progress,
    heard: u32,
}

/// A backup that joins, on one UDP port.
#[derive(Clone, Debug)]
pub struct Join {
    ready: Option<Ready>,
    /// It needs a sweep.
    wants: bool,
    promise: Option<Promise>,
    /// What is missing after the sweeps so far, in [`PARTS`].
    missing: Option<u64>,
    /// When it began to ask, or a master last answered.
    answered: u32,
    /// When it last heard a master that could answer.
    heard: Option<u32>,
    /// When it last asked.
    asked: Option<u32>,
    /// When it heard a master that must answer before it is believed.
    unproved: Option<u32>,
}

impl Join {
    /// Begins to join.
    pub const fn new(now: u32) -> Self {
        Self {
            ready: None,
            wants: true,
            promise: None,
            missing: None,
            answered: now,
            heard: None,
            asked: None,
            unproved: None,
        }
    }

    /// Returns whether the backup is ready, and why.
    pub const fn ready(&self) -> Option<Ready> {
        self.ready
    }

    /// Returns whether the backup asks, or waits for the end of a sweep.
    pub const fn is_asking(&self) -> bool {
        self.wants || self.unproved.is_some()
    }

    /// Asks for the whole table again. A backup that was ready stays so.
    pub const fn restart(&mut self, now: u32) {
        *self = Self {
            ready: self.ready,
            ..Self::new(now)
        };
    }

    /// A master sends that must answer this backup before it is believed.
    pub const fn meet(&mut self, now: u32) {
        self.unproved = Some(now);
    }

    /// Such a master has answered. What it sent before is lost, so the backup needs its table.
    pub const fn met(&mut self, now: u32) {
        self.unproved = None;
        if !self.wants {
            self.restart(now);
        }
    }

    /// Returns what to send now, if anything. `nonce` is the random number of this backup.
    pub fn ask(&mut self, now: u32, nonce: u64) -> Option<Hello> {
        if self
            .promise
            .is_some_and(|promise| now.wrapping_sub(promise.heard) >= SILENCE)
        {
            self.promise = None;
        }
        let is_alone = self
            .heard
            .is_none_or(|heard| now.wrapping_sub(heard) >= PATIENCE);
        let patience = if is_alone { PATIENCE } else { LONG_PATIENCE };
        if self.wants && self.promise.is_none() && now.wrapping_sub(self.answered) >= patience {
            self.wants = false;
            self.ready = self.ready.or(Some(Ready::Alone));
        }
        if self
            .unproved
            .is_some_and(|heard| now.wrapping_sub(heard) >= PATIENCE)
        {
            self.unproved = None;
        }
        let repeat = match self.heard.is_some() && self.promise.is_none() {
            true => REPEAT_SOON,
            false => REPEAT,
        };
        let is_due = self
            .asked
            .is_none_or(|asked| now.wrapping_sub(asked) >= repeat);
        if !is_due || !self.is_asking() {
            return None;
        }
        self.asked = Some(now);
        Some(Hello {
            nonce,
            epoch: self.promise.map_or(0, |promise| promise.epoch),
            sweep: self.promise.map_or(0, |promise| promise.sweep),
            wants_sweep: self.wants,
        })
    }

    /// The master `epoch` is heard, which may have promised the sweep.
    pub fn hear(&mut self, now: u32, epoch: u64) {
        self.heard = Some(now);
        if let Some(promise) = &mut self.promise {
            if promise.epoch == epoch {
                promise.heard = now;
                self.answered = now;
            }
        }
    }

    /// A master answers some backup; `is_mine` if it is this one.
    pub fn welcome(
        &mut self,
        now: u32,
        epoch: u64,
        welcome: Welcome,
        is_mine: bool,
        so_far: Progress,
    ) {
        // Another sweep is promised for the one that is over, if its end was lost.
        let is_new = self.promise.is_none_or(|promise| {
            is_mine && promise.epoch == epoch && promise.sweep != welcome.sweep
        });
        if self.wants && is_new && !welcome.has_begun && welcome.sweep != 0 {
            self.promise = Some(Promise {
                epoch,
                sweep: welcome.sweep,
                since: so_far,
                heard: now,
            });
            self.answered = now;
        }
    }

    /// A master has ended a sweep. `so_far` includes this message.
    pub fn done(&mut self, now: u32, epoch: u64, done: Done, so_far: Progress) {
        let Some(promise) = self
            .promise
            .filter(|promise| promise.epoch == epoch && promise.sweep == done.sweep)
        else {
            return;
        };
        // Without the message itself.
        let sent = so_far.sequence.saturating_sub(promise.since.sequence);
        let sent = u64::from(sent.saturating_sub(1));
        let received = so_far.received.saturating_sub(promise.since.received);
        let lost = sent.saturating_sub(received.saturating_sub(1));
        let before = self
            .missing
            .unwrap_or(u64::from(done.entries).saturating_mul(PARTS));
        let missing = match sent {
            0 => 0,
            _ => before
                .saturating_mul(lost)
                .checked_div(sent)
                .unwrap_or(before),
        };
        self.promise = None;
        self.answered = now;
        if missing < NOTHING {
            self.missing = None;
            self.wants = false;
            self.ready = Some(Ready::Complete);
        } else {
            self.missing = Some(missing);
            self.asked = None;
        }
    }
}

/// The fast sweeps of a master.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sponsor {
    /// The number of the latest sweep that began.
    sweep: u32,
    runs: bool,
    /// Another one was promised.
    promised: bool,
    ended: u32,
}

/// What a master answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// This message.
    Welcome(Welcome),
    /// The end of the sweep with this number, again.
    Done(u32),
}

impl Sponsor {
    /// A fast sweep begins, or begins again from the start of the table.
    pub const fn begin(&mut self) {
        if !self.runs {
            self.sweep = self.next();
            self.runs = true;
            self.promised = false;
        }
    }

    /// The sweep has ended. Returns its number.
    pub const fn end(&mut self, now: u32) -> u32 {
        self.runs = false;
        self.ended = now;
        self.sweep
    }

    const fn next(&self) -> u32 {
        match self.sweep.wrapping_add(1) {
            0 => 1,
            next => next,
        }
    }

    /// Whether a sweep must begin.
    pub const fn is_due(&self, now: u32) -> bool {
        self.promised && !self.runs && now.wrapping_sub(self.ended) >= PAUSE
    }

    /// Whether a sweep was promised that has not begun.
    pub const fn has_promised(&self) -> bool {
        self.promised
    }

    /// Answers a backup. `epoch` is that of this master.
    pub fn answer(&mut self, hello: &Hello, epoch: u64) -> Answer {
        let is_mine = hello.epoch == epoch && hello.sweep != 0;
        let welcome = |sweep, has_begun| {
            Answer::Welcome(Welcome {
                nonce: hello.nonce,
                sweep,
                has_begun,
            })
        };
        if !hello.wants_sweep {
            return welcome(0, true);
        }
        if is_mine && hello.sweep == self.sweep {
            return match self.runs {
                true => welcome(self.sweep, true),
                false => Answer::Done(self.sweep),
            };
        }
        self.promised = true;
        welcome(self.next(), false)
    }
}
