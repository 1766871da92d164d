// SPDX-License-Identifier: GPL-2.0-only

//! Settings below `/proc/sys`, one set per network namespace.
//!
//! C header: `include/linux/sysctl.h`

use crate::{bindings, net::Net};
use core::{ffi::c_void, marker::PhantomData, ops::RangeInclusive, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};

/// A number that an administrator reads and writes.
pub trait Setting: 'static {
    /// The type that has the setting.
    type Of: Send + Sync + 'static;
    /// The name of its file.
    const NAME: &'static CStr;
    /// The valid values; others are refused with [`EINVAL`].
    const RANGE: RangeInclusive<u32>;

    /// The current value. Process context.
    fn get(of: &Self::Of) -> u32;
    /// Sets it to a value in the range. Process context.
    fn set(of: &Self::Of, value: u32) -> Result;
}

/// The functions of a setting, for a `static` list of the settings of one `T`.
#[repr(transparent)]
pub struct Entry<T> {
    setting: bindings::knet_sysctl,
    _of: PhantomData<fn(&T)>,
}

// SAFETY: names and functions that never change.
unsafe impl<T> Sync for Entry<T> {}

impl<T: Send + Sync + 'static> Entry<T> {
    /// The entry of a setting.
    pub const fn of<S: Setting<Of = T>>() -> Self {
        Self {
            setting: bindings::knet_sysctl {
                name: kernel::str::as_char_ptr_in_const_context(S::NAME),
                minimum: *S::RANGE.start(),
                maximum: *S::RANGE.end(),
                get: Some(get::<S>),
                set: Some(set::<S>),
            },
            _of: PhantomData,
        }
    }
}

/// A directory of settings. Dropping the value removes the files and waits for readers and
/// writers.
pub struct Directory<T: Send + Sync + 'static> {
    files: NonNull<bindings::knet_sysctls>,
    // Dropped after the files, which borrow it.
    _of: Arc<T>,
    // The files are of a namespace that is alive.
    _net: Net,
}

// SAFETY: the files lock for themselves.
unsafe impl<T: Send + Sync + 'static> Send for Directory<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync + 'static> Sync for Directory<T> {}

impl<T: Send + Sync + 'static> Directory<T> {
    /// Creates the files of `settings` in the directory `path` below `/proc/sys` in `net`. They
    /// read and write those of `of`. Process context.
    pub fn new(
        net: Net,
        path: &'static CStr,
        settings: &'static [Entry<T>],
        of: Arc<T>,
    ) -> Result<Self> {
        let data = (&raw const *of).cast::<c_void>().cast_mut();
        // SAFETY: path and settings are static; an entry has the layout of its first field; `of`
        // has the type that the functions expect, and lives until `drop` has removed the files.
        let files = unsafe {
            bindings::knet_sysctl_register(
                net.as_ptr(),
                path.as_char_ptr(),
                settings.as_ptr().cast::<bindings::knet_sysctl>(),
                settings.len() as u32,
                data,
            )
        };
        Ok(Self {
            files: NonNull::new(files).ok_or(ENOMEM)?,
            _of: of,
            _net: net,
        })
    }
}

impl<T: Send + Sync + 'static> Drop for Directory<T> {
    fn drop(&mut self) {
        // SAFETY: registered in `new`.
        unsafe { bindings::knet_sysctl_unregister(self.files.as_ptr()) };
    }
}

/// # Safety
///
/// `of` must be an `S::Of` that lives during the call.
unsafe extern "C" fn get<S: Setting>(of: *mut c_void) -> u32 {
    // SAFETY: by this function's contract.
    S::get(unsafe { &*of.cast::<S::Of>() })
}

/// # Safety
///
/// `of` must be an `S::Of` that lives during the call.
unsafe extern "C" fn set<S: Setting>(of: *mut c_void, value: u32) -> i32 {
    // SAFETY: by this function's contract.
    match S::set(unsafe { &*of.cast::<S::Of>() }, value) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}
