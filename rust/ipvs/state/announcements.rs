// SPDX-License-Identifier: GPL-2.0-only

//! The connections whose changes a synchronization daemon sends to other directors.
//!
//! An entry that changed is marked ([`Connection`](crate::state::connection::Connection)), and its
//! hash is put into a queue, once until the daemon has taken the mark. The daemon finds the entries
//! of a hash in the table, so the queue needs no references, and a daemon that comes late sends the
//! newest state once.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use kernel::{alloc::KVVec, prelude::*, sync::Arc};
use knet::{
    rcu::{Boxed, Cell, Section},
    work::Waker,
};
use lvs_core::ring::Ring;

/// The number of hashes that a queue holds, a power of two.
const SLOTS: usize = 1 << 14;
/// Milliseconds for which changes are collected. Timers are late by up to a tick, and Debian's
/// kernels have 250 in a second. So a change is sent within 20 ms.
const DELAY: u32 = 15;

/// Hashes of entries that changed, from packets to a daemon.
///
/// Any number of CPUs put hashes in; one thread takes them out.
pub(crate) struct Queue {
    slots: KVVec<AtomicU64>,
    ring: Ring,
    /// A hash was overwritten before it was taken.
    overflowed: AtomicBool,
    /// Hashes were put in since the daemon last looked, and it was woken.
    woken: AtomicBool,
}

impl Queue {
    /// An empty queue. Process context.
    pub(crate) fn new() -> Result<Self> {
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
        for _ in 0..SLOTS {
            slots.push(AtomicU64::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            slots,
            ring: Ring::new(),
            overflowed: AtomicBool::new(false),
            woken: AtomicBool::new(false),
        })
    }

    /// Puts a hash in. True if the daemon must be woken. Softirq or process context.
    fn put(&self, hash: u32) -> bool {
        if self.ring.put(&self.slots, hash) {
            self.overflowed.store(true, Ordering::Relaxed);
        }
        // The store to the slot comes before this load; see `begin`.
        !self.woken.load(Ordering::SeqCst) && !self.woken.swap(true, Ordering::SeqCst)
    }

    /// Begins to take hashes out. A hash that is put in after this either is found by the following
    /// [`Self::take`], or its CPU wakes the daemon again: this store comes before the loads of
    /// slots there, and each CPU stores to a slot before it loads this flag.
    pub(crate) fn begin(&self) {
        self.woken.swap(false, Ordering::SeqCst);
    }

    /// Takes the next hash out, as [`Ring::take`].
    pub(crate) fn take(&self, taken: &mut u32) -> Option<u32> {
        self.ring.take(&self.slots, taken)
    }

    /// Whether a hash was lost since the last call.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed.swap(false, Ordering::Relaxed)
    }
}

struct Listener {
    queue: Arc<Queue>,
    waker: Waker,
}

/// Where packets put the hashes of entries that changed, while a daemon sends them.
pub(crate) struct Announcements {
    /// A daemon sends changes. Packets read it only when a state changes or a connection begins.
    pub(crate) active: AtomicBool,
    listener: Cell<Listener>,
}

impl Announcements {
    /// No daemon sends changes.
    pub(crate) const fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            listener: Cell::empty(),
        }
    }

    /// Has changes put into a queue, and the daemon woken. Process context.
    pub(crate) fn begin(&self, queue: Arc<Queue>, waker: Waker) -> Result {
        let listener = Boxed::new(Listener { queue, waker }, GFP_KERNEL)?;
        self.listener.replace(Some(listener));
        self.active.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing is put into the queue any more, after a grace period. Process context.
    pub(crate) fn end(&self) {
        self.active.store(false, Ordering::Relaxed);
        self.listener.replace(None);
    }

    /// Puts the hash of a marked entry into the queue. Softirq or process context.
    pub(crate) fn put(&self, section: &Section<'_>, hash: u32) {
        if let Some(Listener { queue, waker }) = self.listener.get(section) {
            if queue.put(hash) {
                waker.wake(DELAY);
            }
        }
    }
}
