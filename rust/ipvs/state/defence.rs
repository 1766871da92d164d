// SPDX-License-Identifier: GPL-2.0-only

//! Defence against floods of new connections: strategies that administrators turn on, or leave on
//! watch for scarce memory.

use crate::{path::Path, state::connection::Connection};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use knet::{memory, random, rcu, table::Entry, work};
use lvs_core::{
    defence::{one_in, Mode},
    state::State,
};

/// Into so many parts the table is divided: each second one of them is searched for what can go.
const PARTS: u32 = 32;
/// Keys of connections in a part.
const PART: u32 = u32::MAX / PARTS + 1;
/// Seconds after which a connection of UDP is taken for one that nobody uses.
const UNUSED: u32 = 60;

/// The modes of the strategies, as [`Mode`]'s numbers, and what they go by. Any context.
pub struct Defence {
    /// Drops entries of connections that never came to be, or that nobody uses.
    pub drop_entry: AtomicU32,
    /// Drops a part of the new connections.
    pub drop_packet: AtomicU32,
    /// Guards handshakes: [`State::after_guarded`].
    pub secure_tcp: AtomicU32,
    /// Below so many free pages memory is scarce.
    pub threshold: AtomicU32,
    /// Of how many new connections [`Mode::Always`] drops one; 0 for none.
    pub drop_rate: AtomicU32,
    /// Of how many one is dropped now.
    one_in: AtomicU32,
    /// Whether handshakes are guarded now.
    pub guarded: AtomicBool,
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            drop_entry: AtomicU32::new(Mode::Off as u32),
            drop_packet: AtomicU32::new(Mode::Off as u32),
            secure_tcp: AtomicU32::new(Mode::Off as u32),
            threshold: AtomicU32::new(1024),
            drop_rate: AtomicU32::new(10),
            one_in: AtomicU32::new(0),
            guarded: AtomicBool::new(false),
        }
    }
}

impl Defence {
    /// Looks how much memory there is, and acts by that; each second, and when a setting changed.
    /// Process context.
    pub fn update(&self) {
        let available = memory::available_pages();
        let threshold = self.threshold.load(Ordering::Relaxed).into();
        let scarce = available < threshold;
        follow(&self.drop_entry, scarce);
        let always = self.drop_rate.load(Ordering::Relaxed);
        let drops = follow(&self.drop_packet, scarce);
        self.one_in.store(
            one_in(drops, always, available, threshold),
            Ordering::Relaxed,
        );
        let guards = follow(&self.secure_tcp, scarce).acts();
        self.guarded.store(guards, Ordering::Relaxed);
    }

    /// Whether a new connection is to be dropped. Any context.
    pub fn drops(&self) -> bool {
        let one_in = self.one_in.load(Ordering::Relaxed);
        one_in != 0 && random::number().checked_rem(one_in.into()) == Some(0)
    }
}

/// Brings a mode up to date.
fn follow(mode: &AtomicU32, scarce: bool) -> Mode {
    let number = mode.load(Ordering::Relaxed);
    let old = Mode::from_number(number).unwrap_or(Mode::Off);
    let new = old.after(scarce);
    // An administrator who was quicker is obeyed the next time.
    let _ = mode.compare_exchange(number, new as u32, Ordering::Relaxed, Ordering::Relaxed);
    new
}

impl Path {
    /// Removes what can go from the part of the table whose turn it is in second `now`. Process
    /// context.
    pub(crate) fn drop_entries(&self, now: u32) {
        let mode = self.settings.defence.drop_entry.load(Ordering::Relaxed);
        if !Mode::from_number(mode).is_some_and(Mode::acts) {
            return;
        }
        let first = (now % PARTS).wrapping_mul(PART);
        let last = first.saturating_add(PART.wrapping_sub(1));
        let mut from = first;
        loop {
            let met = rcu::read(|section| {
                self.connections.first_from(section, from, |connection| {
                    if connection.key() <= last && can_go(connection, now) {
                        self.connections.remove(connection);
                    }
                })
            });
            match met.and_then(|key| key.checked_add(1)) {
                Some(next) if next <= last => from = next,
                _ => return,
            }
            work::yield_now();
        }
    }
}

/// Whether a connection is one that never came to be, or that nobody seems to use.
fn can_go(connection: &Entry<Connection>, now: u32) -> bool {
    match connection.state() {
        State::SynRecv | State::SynAck => true,
        State::Udp => connection.unused(now) >= UNUSED,
        _ => false,
    }
}
