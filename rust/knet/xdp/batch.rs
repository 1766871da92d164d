// SPDX-License-Identifier: GPL-2.0-only

//! Frames that wait for others, so that a handler gets several at once.
//!
//! `helpers/xdp_batch.c` has the device where they wait. What it hands over may be anybody's
//! frames: a note may be wrong.

use super::{Frame, Handler, Verdict};
use crate::{
    bindings,
    net::Net,
    packet::{Version, V4, V6},
    rcu::Section,
};
use core::{
    ffi::{c_int, c_uint, c_void},
    marker::PhantomData,
    ptr::NonNull,
    slice,
};
use kernel::{prelude::*, sync::Arc};

/// The largest number of frames that a handler gets at once.
pub const FRAMES: usize = bindings::KNET_FRAMES as usize;

/// A handler of frames that wait for others.
pub trait Batching: Handler {
    /// What it finds out about frames before it handles them: at most 8 bytes.
    type Ahead<'s>: Copy;

    /// Reads a frame that will wait, and returns what the handler remembers about it. `None`: the
    /// frame goes on to the host at once. Softirq.
    fn note<V: Version>(&self, frame: &Frame<'_, V>) -> Option<u64>;

    /// Prepares for at most [`FRAMES`] frames with these notes, which it gets next, in this order.
    /// Softirq.
    fn prepare<'s>(&'s self, section: &'s Section<'_>, notes: &[u64]) -> [Self::Ahead<'s>; FRAMES];

    /// Handles a frame that has waited. The note may be one of another frame, or any number.
    /// Softirq.
    fn take_noted<'a, 's, V: Version>(
        &'s self,
        section: &'s Section<'_>,
        frame: Frame<'a, V>,
        note: u64,
        ahead: Self::Ahead<'s>,
    ) -> Verdict<'a>;
}

/// What a handler finds out about a frame, for C, which only keeps it until the frame is handled.
struct Kept<H>(PhantomData<H>);

impl<H: Batching> Kept<H> {
    const FITS: () = assert!(
        size_of::<H::Ahead<'static>>() <= size_of::<u64>()
            && align_of::<H::Ahead<'static>>() <= align_of::<u64>()
    );

    /// # Safety
    ///
    /// `word` must be valid for writing, and be read before the section of `'s` ends.
    #[inline(always)]
    unsafe fn write<'s>(word: *mut u64, ahead: H::Ahead<'s>) {
        let () = Self::FITS;
        // SAFETY: there is room for it, and it is aligned.
        unsafe { word.cast::<H::Ahead<'s>>().write(ahead) };
    }

    /// # Safety
    ///
    /// [`Self::write`] must have written the word, in the section of `'s`.
    #[inline(always)]
    unsafe fn read<'s>(word: *const u64) -> H::Ahead<'s> {
        let () = Self::FITS;
        // SAFETY: by this function's contract.
        unsafe { word.cast::<H::Ahead<'s>>().read() }
    }
}

/// Where frames of a namespace wait: a device. Dropping the value deletes it (process context;
/// takes the RTNL).
pub struct Queue<H: Batching> {
    // Dropped first, since it borrows the handler.
    device: Device,
    /// What C uses while frames wait here. It leads to `_waiting`.
    raw: KBox<bindings::knet_xdp>,
    _waiting: KBox<Waiting<H>>,
    _net: Net,
}

/// What a frame needs that is about to wait.
struct Waiting<H> {
    handler: Arc<H>,
    device: NonNull<bindings::net_device>,
}

/// # Invariants
///
/// The pointer is that of a device from `knet_waiter_create`. `None`: it is deleted.
struct Device(Option<NonNull<bindings::net_device>>);

// SAFETY: C only reads what the pointers lead to: a handler, which may be shared, and a device.
unsafe impl<H: Batching> Send for Queue<H> {}
// SAFETY: as above.
unsafe impl<H: Batching> Sync for Queue<H> {}

impl Device {
    /// Deletes it. False: `waits` is false, and somebody has the RTNL. Process context.
    fn delete(&mut self, waits: bool) -> bool {
        let Some(device) = self.0 else {
            return true;
        };
        // SAFETY: live by the type invariant, and forgotten when it is deleted. No frame is told to
        // wait there any more: who did that had the value.
        let is_gone = unsafe { bindings::knet_waiter_destroy(device.as_ptr(), waits) };
        if is_gone {
            self.0 = None;
        }
        is_gone
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.delete(true);
    }
}

impl<H: Batching> Queue<H> {
    /// Creates the device. [`EAGAIN`]: somebody has the RTNL, there is no memory, or frames cannot
    /// wait in this kernel. Process context.
    pub fn new(net: Net, handler: Arc<H>) -> Result<Self> {
        let calls = bindings::knet_xdp_batching {
            prepare: Some(prepare::<H>),
            take4: Some(take::<H, V4>),
            take6: Some(take::<H, V6>),
            data: (&raw const *handler).cast::<c_void>().cast_mut(),
        };
        // SAFETY: the namespace is alive, and C copies the calls. The handler is of the type that
        // they expect, and is dropped after the device.
        let raw = unsafe { bindings::knet_waiter_create(net.as_ptr(), &calls) };
        let raw = NonNull::new(raw).ok_or(EAGAIN)?;
        // INVARIANT: just created.
        let device = Device(Some(raw));
        let waiting = Waiting {
            handler: handler.clone(),
            device: raw,
        };
        let waiting = KBox::new(waiting, GFP_KERNEL)?;
        let raw = bindings::knet_xdp {
            handle4: Some(wait::<H, V4>),
            handle6: Some(wait::<H, V6>),
            data: (&raw const *waiting).cast::<c_void>().cast_mut(),
        };
        Ok(Self {
            device,
            raw: KBox::new(raw, GFP_KERNEL)?,
            _waiting: waiting,
            _net: net,
        })
    }

    /// What has frames wait here.
    pub(super) fn as_raw(&self) -> *const bindings::knet_xdp {
        &raw const *self.raw
    }

    /// The number of frames that have waited here. Any context.
    pub fn handled(&self) -> u64 {
        self.device.0.map_or(0, |device| {
            // SAFETY: live by the type invariant.
            unsafe { bindings::knet_waiter_handled(device.as_ptr()) }
        })
    }

    /// Deletes the device, unless somebody has the RTNL. Process context.
    pub fn try_end(mut self) -> Result<(), Self> {
        match self.device.delete(false) {
            true => Ok(()),
            false => Err(self),
        }
    }
}

/// Has a frame wait for others. If it cannot, it is handled now.
///
/// # Safety
///
/// As C calls the functions of `knet_xdp`: see `handle` of [`super::registration`]. `data` is that
/// of a [`Queue`] of an `H`.
unsafe extern "C" fn wait<H: Batching, V: Version>(
    data: *mut c_void,
    net: *mut bindings::net,
    frame: *mut bindings::xdp_buff,
    ip: *mut u8,
    len: u32,
) -> c_int {
    // SAFETY: by this function's contract.
    let (waiting, section, taken) = unsafe {
        (
            &*data.cast::<Waiting<H>>(),
            Section::assume_held(),
            Frame::<V>::from_raw(net, frame, ip, len),
        )
    };
    let Some(note) = waiting.handler.note(&taken) else {
        return taken.pass().0;
    };
    // SAFETY: the frame is live, and the device is while a frame can be told to wait there. If it
    // waits, this function does not use it any more.
    let action = unsafe { bindings::knet_xdp_wait(net, frame, waiting.device.as_ptr(), note) };
    if action != bindings::knet_xdp_action_KNET_XDP_PASS as c_int {
        return action;
    }
    waiting.handler.take(&section, taken).0
}

/// # Safety
///
/// As C calls the functions of `knet_xdp_batching`, in softirq and an RCU read section: `data` is
/// that of a [`Queue`] of an `H`. There are `count` notes, and room for as many words.
unsafe extern "C" fn prepare<H: Batching>(
    data: *mut c_void,
    notes: *const u64,
    aheads: *mut u64,
    count: c_uint,
) {
    // SAFETY: by this function's contract.
    let (handler, section, notes) = unsafe {
        (
            &*data.cast::<H>(),
            Section::assume_held(),
            slice::from_raw_parts(notes, count as usize),
        )
    };
    let found = handler.prepare(&section, notes);
    for (at, (_, ahead)) in notes.iter().zip(found).enumerate() {
        // SAFETY: by this function's contract. C has the frames handled in the same section.
        unsafe { Kept::<H>::write(aheads.add(at), ahead) };
    }
}

/// Handles a frame that has waited.
///
/// # Safety
///
/// As of `handle` of [`super::registration`]; `data` is that of a [`Queue`] of an `H`, and `ahead`
/// what [`prepare`] has found out about the frame, in the same section.
unsafe extern "C" fn take<H: Batching, V: Version>(
    data: *mut c_void,
    net: *mut bindings::net,
    frame: *mut bindings::xdp_buff,
    ip: *mut u8,
    len: u32,
    note: u64,
    ahead: *const u64,
) -> c_int {
    // SAFETY: by this function's contract.
    let (handler, section, frame, ahead) = unsafe {
        (
            &*data.cast::<H>(),
            Section::assume_held(),
            Frame::<V>::from_raw(net, frame, ip, len),
            Kept::<H>::read(ahead),
        )
    };
    handler.take_noted(&section, frame, note, ahead).0
}
