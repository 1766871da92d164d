// SPDX-License-Identifier: GPL-2.0-only

//! Packets that wait for others where they come in, so that a handler gets several at once.
//!
//! `helpers/batch.c` has the queues: one for each processor, in the order of arrival.

use crate::{
    bindings,
    memory::{prefetch, LINE},
    net::Net,
    packet::{Packet, Verdict, Version, V4, V6},
    rcu::Section,
};
use core::{
    ffi::{c_uint, c_void},
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull,
    slice,
};
use kernel::prelude::*;

/// The largest number of packets that a handler gets at once.
pub const BATCH: usize = bindings::KNET_BATCH as usize;

/// A handler of packets that wait for others.
pub trait Batching: Send + Sync + 'static {
    /// What it remembers about a packet that waits: at most 8 bytes.
    type Note: Copy + 'static;
    /// What it finds out about packets before it handles them.
    type Ahead<'s>: Copy;

    /// Reads a packet of `len` bytes that will wait. `None`: it lets the packet pass. Softirq.
    fn note<V: Version>(&self, packet: &Packet<'_, V>, len: u32) -> Option<Self::Note>;

    /// Prepares for at most [`BATCH`] packets with these notes. It gets those that have one next,
    /// in this order. Softirq.
    fn prepare<'s>(
        &'s self,
        section: &'s Section<'_>,
        notes: impl Iterator<Item = Option<Self::Note>> + Clone,
    ) -> [Self::Ahead<'s>; BATCH];

    /// Handles a packet of `len` bytes that has waited, as [`Handler::take`]. Softirq.
    ///
    /// [`Handler::take`]: super::Handler::take
    fn take_noted<'a, 's, V: Version>(
        &'s self,
        section: &'s Section<'_>,
        packet: Packet<'a, V>,
        len: u32,
        note: Self::Note,
        ahead: Self::Ahead<'s>,
    ) -> Verdict<'a>;
}

/// The bytes of a note for C. It begins with an `Option` of the note.
struct Room<N>(MaybeUninit<[u64; ROOM]>, PhantomData<N>);

const ROOM: usize = bindings::KNET_NOTE as usize / size_of::<u64>();

impl<N: Copy> Room<N> {
    const FITS: () = assert!(
        size_of::<Option<N>>() <= bindings::KNET_NOTE as usize
            && align_of::<Option<N>>() <= align_of::<u64>()
    );

    #[inline(always)]
    fn new(note: Option<N>) -> Self {
        let () = Self::FITS;
        let mut room = MaybeUninit::<[u64; ROOM]>::uninit();
        // SAFETY: there is room for it, and it is aligned.
        unsafe { room.as_mut_ptr().cast::<Option<N>>().write(note) };
        Self(room, PhantomData)
    }

    #[inline(always)]
    fn as_ptr(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// C must have copied the words from a [`Room`] of an `N`.
    #[inline(always)]
    unsafe fn read(words: &[u64; ROOM]) -> Option<N> {
        let () = Self::FITS;
        // SAFETY: by this function's contract they begin with a value of this type.
        unsafe { *words.as_ptr().cast::<Option<N>>() }
    }
}

/// The queues of a namespace. Dropping them handles all packets that wait (process context).
///
/// # Invariants
///
/// The pointer is that of live queues, whose notes are those of one handler's type.
pub(super) struct Queues(NonNull<bindings::knet_batch>);

// SAFETY: each processor uses its own queue, and the rest is not changed.
unsafe impl Send for Queues {}
// SAFETY: as above.
unsafe impl Sync for Queues {}

impl Queues {
    /// Empty queues of `net`. [`ENOMEM`]: there is no memory, or packets cannot wait in this
    /// kernel. Process context.
    ///
    /// # Safety
    ///
    /// Namespace and handler must outlive the value.
    pub(super) unsafe fn new<H: Batching>(net: &Net, handler: &H) -> Result<Self> {
        let data = core::ptr::from_ref(handler).cast::<c_void>().cast_mut();
        // SAFETY: by this function's contract; `handle` is for handlers of this type.
        let queues = unsafe { bindings::knet_batch_create(net.as_ptr(), Some(handle::<H>), data) };
        // INVARIANT: just created.
        Ok(Self(NonNull::new(queues).ok_or(ENOMEM)?))
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::knet_batch {
        self.0.as_ptr()
    }

    /// The number of packets that have waited. Any context.
    pub(super) fn handled(&self) -> u64 {
        // SAFETY: live by the invariant.
        unsafe { bindings::knet_batch_handled(self.as_ptr()) }
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        // SAFETY: live by the invariant, and the owner has made sure that no hook uses it.
        unsafe { bindings::knet_batch_destroy(self.as_ptr()) };
    }
}

/// Whether packets of this processor wait. Softirq.
///
/// # Safety
///
/// `queues` must be live.
#[inline]
pub(super) unsafe fn has_waiting(queues: NonNull<bindings::knet_batch>) -> bool {
    // SAFETY: by this function's contract.
    unsafe { bindings::knet_batch_waits(queues.as_ptr()) }
}

/// Has a packet wait, with what its handler remembers about it. True: the packet is in the queue.
/// Softirq.
///
/// # Safety
///
/// `queues` must be live and have notes of type `N`, and `skb` be the packet of a running ingress
/// hook. If it is in the queue, the hook must steal it.
#[inline]
pub(super) unsafe fn add<N: Copy>(
    queues: NonNull<bindings::knet_batch>,
    skb: NonNull<bindings::sk_buff>,
    note: Option<N>,
) -> bool {
    let room = Room::new(note);
    // SAFETY: by this function's contract; the note has as many bytes as C copies.
    unsafe {
        bindings::knet_batch_add(queues.as_ptr(), skb.as_ptr(), room.as_ptr(), note.is_some())
    }
}

/// Handles packets that have waited.
///
/// # Safety
///
/// As of a `knet_batch_handler`, for queues that [`Queues::new`] created for an `H`.
unsafe extern "C" fn handle<H: Batching>(
    data: *mut c_void,
    net: *mut bindings::net,
    waiting: *const bindings::knet_waiting,
    count: c_uint,
) {
    // SAFETY: by this function's contract: handler and namespace live, C holds the RCU read lock,
    // and nobody changes these elements meanwhile.
    let (handler, section, net, waiting) = unsafe {
        (
            &*data.cast::<H>(),
            Section::assume_held(),
            NonNull::new_unchecked(net),
            slice::from_raw_parts(waiting, count as usize),
        )
    };
    // SAFETY: `add` has made the notes.
    let note = |waiting: &bindings::knet_waiting| unsafe { Room::<H::Note>::read(&waiting.note) };
    let aheads = handler.prepare(&section, waiting.iter().map(note));
    for (at, (packet, ahead)) in waiting.iter().zip(aheads).enumerate() {
        if let Some(next) = waiting.get(at.wrapping_add(1)) {
            load(next);
        }
        let Some(skb) = NonNull::new(packet.skb) else {
            continue;
        };
        let verdict = match (note(packet), protocol(packet.protocol)) {
            (Some(note), bindings::knet_protocol_KNET_PROTOCOL_IPV4) => {
                // SAFETY: live, of the queue, and noted, so its fixed header is linear; its
                // protocol number tells the version.
                let packet = unsafe { Packet::<V4>::from_raw(skb, net) };
                take_noted(handler, &section, packet, note, ahead).into_raw()
            }
            (Some(note), bindings::knet_protocol_KNET_PROTOCOL_IPV6) => {
                // SAFETY: as above.
                let packet = unsafe { Packet::<V6>::from_raw(skb, net) };
                take_noted(handler, &section, packet, note, ahead).into_raw()
            }
            _ => bindings::NF_ACCEPT,
        };
        // SAFETY: live, and not used afterwards. A stolen packet is gone.
        unsafe {
            match verdict {
                bindings::NF_ACCEPT => bindings::knet_batch_pass_on(skb.as_ptr()),
                bindings::NF_DROP => bindings::knet_batch_drop(skb.as_ptr()),
                _ => {}
            }
        }
    }
}

/// Has the processor load a packet that is handled soon. Many of the driver's pages compete for a
/// few places of its first cache.
#[inline(always)]
fn load(waiting: &bindings::knet_waiting) {
    prefetch(waiting.data);
    for offset in (0..size_of::<bindings::sk_buff>()).step_by(LINE) {
        prefetch(waiting.skb.wrapping_byte_add(offset));
    }
}

#[inline(always)]
fn take_noted<'a, 's, H: Batching, V: Version>(
    handler: &'s H,
    section: &'s Section<'_>,
    packet: Packet<'a, V>,
    note: H::Note,
    ahead: H::Ahead<'s>,
) -> Verdict<'a> {
    match V::received_len(packet.header(), packet.len()) {
        Some(len) => handler.take_noted(section, packet, len, note, ahead),
        None => packet.accept(),
    }
}

/// A protocol number of Ethernet in the machine's byte order.
#[inline(always)]
pub(super) fn protocol(number: u16) -> bindings::knet_protocol {
    u16::from_be(number).into()
}
