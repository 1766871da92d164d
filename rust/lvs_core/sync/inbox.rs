// SPDX-License-Identifier: GPL-2.0-only

//! What a backup believes: it checks who sent a datagram, and whether it is new.
//!
//! With a key, a datagram is taken if
//!
//! 1. its code is right,
//! 2. its epoch was proved to be of now: a master has answered this backup's random number in it,
//! 3. its sequence number has not been seen.
//!
//! So neither forged datagrams are taken, nor those that were recorded at any time. Without a key,
//! stamps only show losses and repetitions.

use super::{
    join::{Join, Progress},
    message::{Hello, Message, Messages},
    read::Datagram,
    stamp::{self, Doubt, Keys, Stamp},
    window::{Place, Window},
    Malformed,
};

/// Masters whose datagrams are told apart.
const SENDERS: usize = 4;

/// A master.
#[derive(Clone, Debug)]
struct Sender {
    epoch: u64,
    window: Window,
    /// When it was last heard, in milliseconds.
    heard: u32,
}

/// What a backup knows about the datagrams at one UDP port.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// Takes datagrams with this syncid only; 0: all.
    syncid: u8,
    nonce: u64,
    senders: [Option<Sender>; SENDERS],
    join: Join,
}

/// The reason why a datagram is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// It is not of the protocol.
    Malformed(Malformed),
    /// It is of another group of directors.
    Syncid(u8),
    /// It is not signed, or not rightly.
    Doubt(Doubt),
    /// Its epoch is not proved to be of now.
    Epoch,
    /// It arrived before.
    Repeated,
}

/// A datagram that is taken.
#[derive(Clone, Debug)]
pub struct Admitted<'a> {
    /// Its records, none if it has messages.
    pub records: Datagram<'a>,
    /// It has messages.
    pub is_message: bool,
    /// The datagrams that are missing before it.
    pub missing: u32,
    /// It was missing itself.
    pub is_late: bool,
}

impl Inbox {
    /// Begins to listen and to join. `nonce` is a random number, `now` the time in milliseconds.
    pub fn new(syncid: u8, nonce: u64, now: u32) -> Self {
        Self {
            syncid,
            nonce,
            senders: [const { None }; SENDERS],
            join: Join::new(now),
        }
    }

    /// How far it has joined.
    pub const fn join(&self) -> &Join {
        &self.join
    }

    /// Asks for the whole table again.
    pub const fn restart(&mut self, now: u32) {
        self.join.restart(now);
    }

    /// Returns what to send now, if anything.
    pub fn ask(&mut self, now: u32) -> Option<Hello> {
        self.join.ask(now, self.nonce)
    }

    /// Forgets whom it believes: the keys have changed from none to some.
    pub fn forget(&mut self) {
        self.senders = [const { None }; SENDERS];
    }

    /// Checks a datagram. `random` makes another random number.
    ///
    /// # Errors
    ///
    /// [`Rejection`].
    pub fn admit<'a>(
        &mut self,
        bytes: &'a [u8],
        keys: &impl Keys,
        now: u32,
        random: impl FnOnce() -> u64,
    ) -> Result<Admitted<'a>, Rejection> {
        let datagram = Datagram::new(bytes).map_err(Rejection::Malformed)?;
        if self.syncid != 0 && datagram.syncid != self.syncid {
            return Err(Rejection::Syncid(datagram.syncid));
        }
        let is_signed = keys.signing().is_some();
        let stamp = match is_signed {
            true => Some(stamp::verify(bytes, keys).map_err(Rejection::Doubt)?),
            false => datagram.stamp(),
        };
        let mut admitted = Admitted {
            is_message: Messages::of(&datagram).is_some(),
            records: datagram,
            missing: 0,
            is_late: false,
        };
        // The C director does not stamp.
        let Some(stamp) = stamp else {
            return Ok(admitted);
        };
        // Other backups say HELLO, too. That is for masters.
        if messages(&admitted.records).any(|message| matches!(message, Message::Hello(_))) {
            return Ok(admitted);
        }
        let known = self.known(stamp.epoch);
        let nonce = self.nonce;
        let so_far = match known.and_then(|index| self.senders.get_mut(index)?.as_mut()) {
            Some(sender) => {
                match sender.window.note(stamp.sequence) {
                    Place::After { missing } => admitted.missing = missing,
                    Place::Late => admitted.is_late = true,
                    Place::Again => return Err(Rejection::Repeated),
                }
                sender.heard = now;
                Progress {
                    sequence: sender.window.highest(),
                    received: sender.window.received(),
                }
            }
            None => {
                if is_signed {
                    if !self.is_answered(&admitted.records) {
                        self.join.meet(now);
                        return Err(Rejection::Epoch);
                    }
                    // An answer is good for one epoch, so that none can be used later.
                    self.nonce = random();
                    self.join.met(now);
                }
                self.add(stamp, now);
                Progress {
                    sequence: stamp.sequence,
                    received: 1,
                }
            }
        };
        self.join.hear(now, stamp.epoch);
        for message in messages(&admitted.records) {
            match message {
                Message::Welcome(welcome) => {
                    let is_mine = welcome.nonce == nonce;
                    self.join
                        .welcome(now, stamp.epoch, welcome, is_mine, so_far);
                }
                Message::Done(done) => self.join.done(now, stamp.epoch, done, so_far),
                Message::Hello(_) => {}
            }
        }
        Ok(admitted)
    }

    fn known(&self, epoch: u64) -> Option<usize> {
        let is_it = |sender: &Sender| sender.epoch == epoch;
        self.senders
            .iter()
            .position(|sender| sender.as_ref().is_some_and(is_it))
    }

    /// Whether a message repeats this backup's random number.
    fn is_answered(&self, records: &Datagram<'_>) -> bool {
        messages(records).any(|message| match message {
            Message::Welcome(welcome) => welcome.nonce == self.nonce,
            _ => false,
        })
    }

    /// Adds a master, in place of the one that was silent the longest.
    fn add(&mut self, stamp: Stamp, now: u32) {
        let silence = |sender: &Option<Sender>| {
            sender
                .as_ref()
                .map_or(u32::MAX, |sender| now.wrapping_sub(sender.heard))
        };
        if let Some(place) = self.senders.iter_mut().max_by_key(|sender| silence(sender)) {
            *place = Some(Sender {
                epoch: stamp.epoch,
                window: Window::new(stamp.sequence),
                heard: now,
            });
        }
    }
}

fn messages<'a>(records: &Datagram<'a>) -> impl Iterator<Item = Message> + 'a {
    Messages::of(records).into_iter().flatten()
}
