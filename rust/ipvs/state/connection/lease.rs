// SPDX-License-Identifier: GPL-2.0-only

//! What a template or a control connection shares with the entries that it controls.

use crate::services::{engine, helper::Bound};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel::{alloc::KVec, prelude::*, sync::Arc};
use lvs_core::{sequence::Deltas, state::State};

/// What an entry shares with those that it controls.
pub struct Lease {
    /// The number of entries that it controls, and [`CONFIRMED`] and [`ENDED`].
    count: AtomicU32,
    /// What a helper knows of a control connection; none for a template.
    helped: Option<Helped>,
    /// What a persistence engine found about a template's client.
    evidence: Option<Evidence>,
}

/// What a persistence engine found.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The engine.
    pub engine: &'a engine::Reference,
    /// 1 to [`LONGEST`](lvs_core::engine::LONGEST) octets.
    pub text: &'a [u8],
}

/// The text by which a persistence engine recognizes a client.
struct Evidence {
    engine: engine::Reference,
    text: KVec<u8>,
}

/// What a helper knows of a control connection.
pub struct Helped {
    /// The helper.
    pub helper: Bound,
    /// What the helper remembers.
    memory: AtomicU64,
    /// [`Deltas`] of the server's stream.
    deltas: AtomicU64,
    /// Expectations that wait for their connection.
    pub(super) expectations: AtomicU32,
    /// That of the template that controls the control connection.
    template: Option<Arc<Lease>>,
}

/// A connection of the template was established, so the client's address is not forged.
const CONFIRMED: u32 = 1 << 31;
/// The control connection is over: nothing that it announced may begin.
const ENDED: u32 = 1 << 30;
/// The most expectations of one control connection.
pub(super) const EXPECTATIONS: u32 = 8;

impl Helped {
    /// Calls `hear` with what the helper remembers. It returns what the helper remembers from now
    /// on. If another CPU was faster with another packet, it is called again. Any context.
    pub fn remember<T>(&self, mut hear: impl FnMut(u64) -> (u64, T)) -> T {
        let mut memory = self.memory.load(Ordering::Relaxed);
        loop {
            let (new, heard) = hear(memory);
            if new == memory {
                return heard;
            }
            match self
                .memory
                .compare_exchange(memory, new, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return heard,
                Err(current) => memory = current,
            }
        }
    }

    /// How the numbers of the server's stream are shifted. Any context.
    pub fn deltas(&self) -> Deltas {
        Deltas::unpack(self.deltas.load(Ordering::Relaxed))
    }

    /// Takes over how the numbers are shifted, as another director says. Any context.
    pub fn learn(&self, deltas: Deltas) {
        self.deltas.store(deltas.pack(), Ordering::Relaxed);
    }

    /// Records that the segment with this number became longer by `change` octets. Any context.
    pub fn shift(&self, sequence: u32, change: i16) {
        // A CPU that changes the same segment at the same time records the same.
        let _ = self
            .deltas
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let changed = Deltas::unpack(word).changed(sequence, change)?;
                Some(changed.pack())
            });
    }
}

impl Lease {
    pub(super) fn new(helped: Option<Helped>) -> Result<Arc<Self>> {
        Self::make(helped, None)
    }

    fn make(helped: Option<Helped>, evidence: Option<Evidence>) -> Result<Arc<Self>> {
        let lease = Self {
            count: AtomicU32::new(0),
            helped,
            evidence,
        };
        Ok(Arc::new(lease, GFP_ATOMIC)?)
    }

    /// The lease of a template, with what a persistence engine found about its client.
    pub(super) fn of_client(found: Option<Found<'_>>) -> Result<Arc<Self>> {
        let Some(found) = found else {
            return Self::make(None, None);
        };
        let mut text = KVec::new();
        text.extend_from_slice(found.text, GFP_ATOMIC)?;
        // The module goes away: the client is no longer recognized.
        let engine = found.engine.again().ok_or(ENOENT)?;
        Self::make(None, Some(Evidence { engine, text }))
    }

    /// What a persistence engine found about the template's client. Any context.
    pub fn found(&self) -> Option<Found<'_>> {
        let Evidence { engine, text } = self.evidence.as_ref()?;
        Some(Found { engine, text })
    }

    /// The lease of a control connection with this helper, which this template's lease controls.
    /// Softirq.
    pub fn helped(helper: Bound, template: Option<Arc<Lease>>) -> Result<Arc<Self>> {
        Self::new(Some(Helped {
            helper,
            memory: AtomicU64::new(0),
            deltas: AtomicU64::new(0),
            expectations: AtomicU32::new(0),
            template,
        }))
    }

    pub(super) fn controls_any(&self) -> bool {
        self.count.load(Ordering::Relaxed) & !(CONFIRMED | ENDED) != 0
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.count.load(Ordering::Relaxed) & CONFIRMED != 0
    }

    /// The lease of the template at the end of the chain, if there is one.
    pub(super) fn of_template(lease: &Arc<Self>) -> Option<&Arc<Self>> {
        match &lease.helped {
            Some(helped) => helped.template.as_ref(),
            None => Some(lease),
        }
    }

    /// Records that a connection went to `state`.
    pub(super) fn follow(&self, state: State) {
        // A UDP client sends nothing that could confirm more than its first datagram does; with NAT
        // the caller waits for the server's answer.
        let confirms = matches!(
            state,
            State::Established | State::SctpEstablished | State::Udp
        );
        if confirms && !self.is_confirmed() {
            self.confirm();
        }
    }

    pub(super) fn gain(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the control connection is over.
    pub(super) fn end(&self) {
        self.count.fetch_or(ENDED, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.count.load(Ordering::Relaxed) & ENDED != 0
    }

    pub(super) fn confirm(&self) {
        self.count.fetch_or(CONFIRMED, Ordering::Relaxed);
    }

    pub(super) fn helped_by(&self) -> Option<&Helped> {
        self.helped.as_ref()
    }

    pub(super) fn lose(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
