// SPDX-License-Identifier: GPL-2.0-only

//! Work that repeats in process context.
//!
//! C header: `include/linux/workqueue.h`

use crate::bindings;
use core::ffi::c_void;
use kernel::{alloc::KBox, prelude::*, sync::Arc, types::Opaque};

/// What a [`Ticker`] runs.
pub trait Tick: Send + Sync + 'static {
    /// Does a round of work and says after how many milliseconds the next one is due, if any.
    /// Process context, may sleep.
    fn tick(&self) -> Option<u32>;
}

/// Runs [`Tick::tick`] over and over, never twice at once. Dropping it cancels the work and waits
/// for a round that is running.
pub struct Ticker<T: Tick>(KBox<State<T>>);

struct State<T> {
    work: Opaque<bindings::knet_work>,
    target: Arc<T>,
}

// SAFETY: the kernel serialises the work item; the target may be shared by its bounds.
unsafe impl<T: Tick> Send for Ticker<T> {}
// SAFETY: as above.
unsafe impl<T: Tick> Sync for Ticker<T> {}

impl<T: Tick> Ticker<T> {
    /// Starts ticking, the first time after `milliseconds`. Process context.
    pub fn start(target: Arc<T>, milliseconds: u32) -> Result<Self> {
        let state = KBox::new(
            State {
                work: Opaque::uninit(),
                target,
            },
            GFP_KERNEL,
        )?;
        let data = (&raw const *state).cast::<c_void>().cast_mut();
        // SAFETY: the work lies in the box, so it stays where it is until `drop` has cancelled it,
        // and so does `data`, of the type that `run` expects.
        unsafe {
            bindings::knet_work_init(state.work.get(), Some(run::<T>), data);
            bindings::knet_work_queue(state.work.get(), milliseconds);
        }
        Ok(Self(state))
    }
}

impl<T: Tick> Drop for Ticker<T> {
    fn drop(&mut self) {
        // SAFETY: the work was initialised in `start`; the call waits for a running round and
        // keeps it from queueing itself again.
        unsafe { bindings::knet_work_cancel(self.0.work.get()) };
    }
}

/// # Safety
///
/// `data` must be the `State<T>` of a live ticker.
unsafe extern "C" fn run<T: Tick>(data: *mut c_void) {
    // SAFETY: by this function's contract.
    let state = unsafe { &*data.cast::<State<T>>() };
    if let Some(milliseconds) = state.target.tick() {
        // SAFETY: the work is live; a cancelled work is not queued.
        unsafe { bindings::knet_work_queue(state.work.get(), milliseconds) };
    }
}

/// Gives way to other work when it is due. Process context, no lock held.
pub fn yield_now() {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::knet_cond_resched() };
}

/// Milliseconds until [`seconds`] tells the next second. Any context.
pub fn until_next_second() -> u32 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_until_next_second() }
}

/// Seconds since boot, coarse, wrapping after 136 years. Any context.
#[inline]
pub fn seconds() -> u32 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_seconds() }
}

/// Microseconds since boot, by a clock that is worth tens of nanoseconds. Any context.
pub fn microseconds() -> u64 {
    // SAFETY: may be called anywhere.
    unsafe { bindings::knet_microseconds() }
}
