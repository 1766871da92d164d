// SPDX-License-Identifier: GPL-2.0-only

//! Defence against floods of new connections: strategies that administrators turn on, always or
//! when memory is scarce.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use knet::{memory, random};
use lvs_core::defence::{one_in, Mode};

/// The modes of the strategies, as numbers of [`Mode`], and their parameters. Any context.
pub struct Defence {
    /// Drops entries of connections that were never established, or are abandoned.
    pub drop_entry: AtomicU32,
    /// Drops some of the new connections.
    pub drop_packet: AtomicU32,
    /// Guards handshakes: [`State::after_guarded`](lvs_core::state::State::after_guarded).
    pub secure_tcp: AtomicU32,
    /// With fewer free pages, memory is scarce.
    pub threshold: AtomicU32,
    /// [`Mode::Always`] drops one of this many new connections; 0 means none.
    pub drop_rate: AtomicU32,
    /// One of this many new connections is dropped now.
    one_in: AtomicU32,
    /// Handshakes are guarded now.
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
    /// Adapts to the free memory; called each second, and when a setting changes. Process context.
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

    /// True if a new connection shall be dropped. Any context.
    pub fn drops(&self) -> bool {
        let one_in = self.one_in.load(Ordering::Relaxed);
        one_in != 0 && random::number().checked_rem(one_in.into()) == Some(0)
    }
}

/// Updates a mode.
fn follow(mode: &AtomicU32, scarce: bool) -> Mode {
    let number = mode.load(Ordering::Relaxed);
    let old = Mode::from_number(number).unwrap_or(Mode::Off);
    let new = old.after(scarce);
    // If an administrator changed it meanwhile, the next update follows.
    let _ = mode.compare_exchange(number, new as u32, Ordering::Relaxed, Ordering::Relaxed);
    new
}
