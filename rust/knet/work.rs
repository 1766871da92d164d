// SPDX-License-Identifier: GPL-2.0-only

//! Work that repeats in process context.
//!
//! C header: `include/linux/workqueue.h`

use crate::bindings;
use core::ffi::c_void;
use kernel::{alloc::KBox, prelude::*, sync::Arc, types::Opaque};

/// Work that a [`Ticker`] repeats.
pub trait Tick: Send + Sync + 'static {
    /// Does a round of work. Returns the milliseconds until the next round, or `None` for no
    /// more. Process context, may sleep.
    fn tick(&self) -> Option<u32>;
}

/// Calls [`Tick::tick`] repeatedly, never concurrently. Dropping it cancels the work and waits for
/// a running round.
pub struct Ticker<T: Tick>(KBox<State<T>>);

struct State<T> {
    work: Arc<Work>,
    target: Arc<T>,
}

/// An initialized work item.
struct Work(Opaque<bindings::knet_work>);

// SAFETY: the kernel serializes the work item.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

/// Has the next round of a [`Ticker`] begin earlier. It does nothing once the ticker was dropped.
#[derive(Clone)]
pub struct Waker(Arc<Work>);

impl Waker {
    /// Has the next round begin after `milliseconds`, if it would not begin earlier. Softirq or
    /// process context.
    pub fn wake(&self, milliseconds: u32) {
        // SAFETY: the work was initialized, and lives as long as this value. A canceled work is not
        // queued.
        unsafe { bindings::knet_work_hasten(self.0 .0.get(), milliseconds) };
    }
}

// SAFETY: the kernel serializes the work item; the target may be shared by its bounds.
unsafe impl<T: Tick> Send for Ticker<T> {}
// SAFETY: as above.
unsafe impl<T: Tick> Sync for Ticker<T> {}

impl<T: Tick> Ticker<T> {
    /// Starts the work; the first round begins after `milliseconds`. Process context.
    pub fn start(target: Arc<T>, milliseconds: u32) -> Result<Self> {
        let work = Arc::new(Work(Opaque::uninit()), GFP_KERNEL)?;
        let state = KBox::new(State { work, target }, GFP_KERNEL)?;
        let data = (&raw const *state).cast::<c_void>().cast_mut();
        let work = state.work.0.get();
        // SAFETY: the work stays where it is until the last `Arc` is dropped. `data` is of the type
        // that `run` expects and stays until `drop` has canceled the work.
        unsafe {
            bindings::knet_work_init(work, Some(run::<T>), data);
            bindings::knet_work_queue(work, milliseconds);
        }
        Ok(Self(state))
    }

    /// What has the next round begin earlier. Any context.
    pub fn waker(&self) -> Waker {
        Waker(self.0.work.clone())
    }
}

impl<T: Tick> Drop for Ticker<T> {
    fn drop(&mut self) {
        // SAFETY: the work was initialized in `start`; the call waits for a running round and
        // keeps it from being queued again.
        unsafe { bindings::knet_work_cancel(self.0.work.0.get()) };
    }
}

/// # Safety
///
/// `data` must be the `State<T>` of a live ticker.
unsafe extern "C" fn run<T: Tick>(data: *mut c_void) {
    // SAFETY: by this function's contract.
    let state = unsafe { &*data.cast::<State<T>>() };
    if let Some(milliseconds) = state.target.tick() {
        // SAFETY: the work is live; a canceled work is not queued.
        unsafe { bindings::knet_work_queue(state.work.0.get(), milliseconds) };
    }
}

/// Reschedules if necessary. Process context, no lock held but mutexes.
pub fn yield_now() {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::knet_cond_resched() };
}

/// Sleeps. Process context, no lock held but mutexes.
pub fn sleep(milliseconds: u32) {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::knet_sleep(milliseconds) };
}

const HZ: u64 = bindings::knet_time_KNET_HZ as u64;

/// Jiffies since boot.
#[inline]
fn jiffies() -> u64 {
    // SAFETY: the kernel's counter is always valid; it is read once, as C's volatile does.
    let now = unsafe { (&raw const kernel::bindings::jiffies).read_volatile() };
    now.wrapping_sub(bindings::knet_time_KNET_INITIAL_JIFFIES as usize) as u64
}

/// Seconds since boot, wrapping after 136 years. Any context.
#[inline]
pub fn seconds() -> u32 {
    (jiffies() / HZ) as u32
}

/// Milliseconds since boot, to the precision of a jiffy, wrapping after 49 days. Any context.
pub fn milliseconds() -> u32 {
    (jiffies().wrapping_mul(1000) / HZ) as u32
}

/// Milliseconds until [`seconds`] changes, rounded up. Any context.
pub fn until_next_second() -> u32 {
    let left = HZ.wrapping_sub(jiffies() % HZ);
    left.wrapping_mul(1000).div_ceil(HZ) as u32
}

/// Converts seconds to jiffies, wrapping. Any context.
pub const fn ticks(seconds: u32) -> u32 {
    seconds.wrapping_mul(HZ as u32)
}

/// Microseconds since boot. Reading the clock takes tens of nanoseconds. Any context.
pub fn microseconds() -> u64 {
    // SAFETY: may be called anywhere.
    let nanoseconds = unsafe { kernel::bindings::ktime_get() };
    nanoseconds as u64 / 1000
}
