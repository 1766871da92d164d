// SPDX-License-Identifier: GPL-2.0-only

//! Locks that the kernel's own crate does not have.
//!
//! C header: `include/linux/spinlock.h`

use crate::bindings;
use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
};
use kernel::{
    prelude::*,
    types::{NotThreadSafe, Opaque},
};

/// A spinlock that keeps bottom halves off while it is held: for data that packets (softirq) and
/// commands (process context) share. Two of them are never held at once.
#[pin_data]
pub struct BhLock<T> {
    #[pin]
    lock: Opaque<bindings::spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock hands the data to one thread at a time.
unsafe impl<T: Send> Send for BhLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for BhLock<T> {}

impl<T> BhLock<T> {
    /// A lock around `data`.
    pub fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: the slot is valid for writes and stays where it is.
            lock <- Opaque::ffi_init(|slot| unsafe { bindings::knet_spin_init(slot) }),
            data: UnsafeCell::new(data),
        })
    }

    /// Takes the lock, spinning. Process context or softirq.
    #[inline]
    pub fn lock(&self) -> BhGuard<'_, T> {
        // SAFETY: the lock was initialised when `self` was made.
        unsafe { bindings::knet_spin_lock_bh(self.lock.get()) };
        BhGuard(self, NotThreadSafe)
    }
}

/// Holds a [`BhLock`]; dropping it releases the lock.
pub struct BhGuard<'a, T>(&'a BhLock<T>, NotThreadSafe);

impl<T> Deref for BhGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.0.data.get() }
    }
}

impl<T> DerefMut for BhGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard is borrowed exclusively.
        unsafe { &mut *self.0.data.get() }
    }
}

impl<T> Drop for BhGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard is evidence that this thread holds the lock.
        unsafe { bindings::knet_spin_unlock_bh(self.0.lock.get()) };
    }
}

/// Data in a `static` behind the one global mutex of this crate. Uses of different statics
/// exclude each other too, so `f` must be short and must not use another one.
pub struct Global<T>(UnsafeCell<T>);

// SAFETY: the mutex hands the data to one thread at a time.
unsafe impl<T: Send> Sync for Global<T> {}

impl<T> Global<T> {
    /// Puts `data` behind the mutex.
    pub const fn new(data: T) -> Self {
        Self(UnsafeCell::new(data))
    }

    /// Runs `f` with the data. Process context.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) {
                // SAFETY: taken below by this thread.
                unsafe { bindings::knet_global_unlock() };
            }
        }

        // SAFETY: process context, by this function's contract.
        unsafe { bindings::knet_global_lock() };
        let _guard = Guard;
        // SAFETY: the mutex is held until `_guard` is dropped.
        f(unsafe { &mut *self.0.get() })
    }
}
