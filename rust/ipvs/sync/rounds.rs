// SPDX-License-Identifier: GPL-2.0-only

//! A backup's work: it asks for the table, and ends some time after it was stopped.

use super::{
    backup::Port,
    hub::{Hub, Listener},
};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kernel::{
    alloc::KVVec,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    socket::Receiver,
    work::{self, Tick},
};

/// Milliseconds between two looks at what to ask, while a backup joins and afterwards.
const PAUSE: (u32, u32) = (100, 1000);
/// Milliseconds for which a stopped backup takes what arrives.
pub(super) const LINGER: u32 = 2000;

/// Looks at the ports again and again.
#[pin_data]
pub(super) struct Rounds {
    pub(super) ports: KVVec<Arc<Port>>,
    hub: Arc<Hub>,
    /// Empty when the daemon has ended.
    #[pin]
    receivers: Mutex<KVVec<Receiver<Listener>>>,
    /// The daemon was stopped.
    is_stopped: AtomicBool,
    /// The millisecond in which a stopped daemon ends.
    end: AtomicU32,
}

impl Rounds {
    pub(super) fn new(
        ports: KVVec<Arc<Port>>,
        receivers: KVVec<Receiver<Listener>>,
        hub: Arc<Hub>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                ports,
                hub,
                receivers <- new_mutex!(receivers, "ipvs_rs_receivers"),
                is_stopped: AtomicBool::new(false),
                end: AtomicU32::new(0),
            }),
            GFP_KERNEL,
        )
    }

    /// The daemon ends after [`LINGER`]: then a round must take place. Process context.
    pub(super) fn end_soon(&self) {
        let end = work::milliseconds().wrapping_add(LINGER);
        self.end.store(end, Ordering::Relaxed);
        self.is_stopped.store(true, Ordering::Release);
    }

    /// The daemon ends. It takes what has arrived. Process context, waits for the RTNL.
    pub(super) fn end(&self) {
        let receivers = core::mem::take(&mut *self.receivers.lock());
        drop(receivers);
        self.hub.set_backup(KVVec::new());
    }
}

impl Tick for Rounds {
    fn tick(&self) -> Option<u32> {
        if self.is_stopped.load(Ordering::Acquire) {
            let left = self.end.load(Ordering::Relaxed);
            let left = left.wrapping_sub(work::milliseconds());
            if (1..=LINGER).contains(&left) {
                return Some(left);
            }
            self.end();
            return None;
        }
        let mut joins = false;
        for port in &self.ports {
            joins |= port.ask();
            port.notice_silence();
        }
        let (soon, later) = PAUSE;
        Some(if joins { soon } else { later })
    }
}
