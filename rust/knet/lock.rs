// SPDX-License-Identifier: GPL-2.0-only

//! Locks that the `kernel` crate lacks.
//!
//! C header: `include/linux/spinlock.h`

use crate::bindings;
use core::cell::UnsafeCell;
use kernel::{
    ffi::c_char,
    sync::lock::{Backend, Guard, Lock},
};

/// The back end of a [`BhLock`]: `spin_lock_bh()`.
pub struct BhBackend;

/// A spinlock that disables bottom halves while it is held: for data that packets (softirq) and
/// commands (process context) share. [`new_bh_lock!`](crate::new_bh_lock) makes one.
pub type BhLock<T> = Lock<T, BhBackend>;

/// Holds a [`BhLock`]; dropping it releases the lock.
pub type BhGuard<'a, T> = Guard<'a, T, BhBackend>;

/// Makes a [`BhLock`] with a lock class of its own.
#[macro_export]
macro_rules! new_bh_lock {
    ($data:expr, $name:literal) => {
        $crate::lock::BhLock::new($data, $name, ::kernel::static_lock_class!())
    };
}

// SAFETY: a spinlock excludes all other CPUs, and its own while bottom halves are disabled: such
// locks are not taken in hard interrupts. Relocking is locking.
unsafe impl Backend for BhBackend {
    type State = kernel::bindings::spinlock_t;
    type GuardState = ();

    #[inline]
    unsafe fn init(
        ptr: *mut Self::State,
        name: *const c_char,
        key: *mut kernel::bindings::lock_class_key,
    ) {
        // SAFETY: by this function's contract.
        unsafe { kernel::bindings::__spin_lock_init(ptr, name, key) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) {
        // SAFETY: by this function's contract.
        unsafe { bindings::knet_spin_lock_bh(ptr) }
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<()> {
        // SAFETY: by this function's contract.
        unsafe { bindings::knet_spin_trylock_bh(ptr) }.then_some(())
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, (): &()) {
        // SAFETY: by this function's contract.
        unsafe { bindings::knet_spin_unlock_bh(ptr) }
    }

    #[inline]
    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: by this function's contract.
        unsafe { kernel::bindings::spin_assert_is_held(ptr) }
    }
}

/// Data in a `static` behind the one global mutex of this crate. Uses of different statics
/// exclude each other, too, so `f` must be short and must not use another one.
///
/// The kernel's `global_lock!` is not used: it must be initialized before its first use, which is
/// left to the caller and thus `unsafe`. C's mutex is initialized when the module is linked.
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
