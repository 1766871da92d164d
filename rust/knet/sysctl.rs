// SPDX-License-Identifier: GPL-2.0-only

//! Settings below `/proc/sys`, one set per network namespace.
//!
//! C header: `include/linux/sysctl.h`

use crate::{bindings, net::Net};
use core::{ffi::c_void, marker::PhantomData, ops::RangeInclusive, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};

/// The numbers of a setting. A setting of one number uses the first.
pub type Numbers = [u32; bindings::KNET_SYSCTL_NUMBERS as usize];

/// Access to the value of a setting in a `T`.
pub trait Value<T>: Sync + 'static {
    /// The present value. Process context.
    fn get(&self, of: &T) -> Numbers;
    /// Sets it to numbers in the setting's range. Process context.
    fn set(&self, of: &T, numbers: Numbers) -> Result;
}

/// A setting of a `T`: one or two whole numbers that an administrator reads and writes. For a
/// `static` table.
#[repr(C)]
pub struct Entry<T, V> {
    // First, so that a pointer to it is a pointer to the entry.
    setting: bindings::knet_sysctl,
    value: V,
    _of: PhantomData<fn(&T)>,
}

// SAFETY: the name and the functions never change; the value is shared by its bound.
unsafe impl<T, V: Sync> Sync for Entry<T, V> {}

impl<T: Send + Sync + 'static, V: Value<T>> Entry<T, V> {
    /// The setting in the file `name`. A value out of `range` is refused with [`EINVAL`].
    pub const fn new(name: &'static CStr, range: RangeInclusive<u32>, value: V) -> Self {
        Self::of_numbers(1, name, *range.start(), *range.end(), false, value)
    }

    /// The setting in the file `name`, with a sign. [`Value`] has the number in two's complement.
    pub const fn signed(name: &'static CStr, range: RangeInclusive<i32>, value: V) -> Self {
        Self::of_numbers(
            1,
            name,
            *range.start() as u32,
            *range.end() as u32,
            true,
            value,
        )
    }

    /// A switch in the file `name`. All numbers but 0 mean on, and who reads the file gets the
    /// number that was written.
    pub const fn switch(name: &'static CStr, value: V) -> Self {
        let mut entry = Self::signed(name, i32::MIN..=i32::MAX, value);
        entry.setting.is_switch = true;
        entry
    }

    /// A list of CPUs in the file `name`, as the kernel writes them ("0-3,8"). It has no
    /// effect: readers get what was written. `value` is not used.
    pub const fn cpus(name: &'static CStr, value: V) -> Self {
        Self::of_numbers(0, name, 0, 0, false, value)
    }

    /// The setting of two numbers in the file `name`, each in `range`. Who writes one number keeps
    /// the second.
    pub const fn pair(name: &'static CStr, range: RangeInclusive<u32>, value: V) -> Self {
        Self::of_numbers(2, name, *range.start(), *range.end(), false, value)
    }

    const fn of_numbers(
        numbers: u32,
        name: &'static CStr,
        minimum: u32,
        maximum: u32,
        is_signed: bool,
        value: V,
    ) -> Self {
        Self {
            setting: bindings::knet_sysctl {
                name: kernel::str::as_char_ptr_in_const_context(name),
                minimum,
                maximum,
                numbers,
                is_signed,
                is_switch: false,
                get: Some(get::<T, V>),
                set: Some(set::<T, V>),
            },
            value,
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
    /// Creates the files of `settings` in the directory `path` below `/proc/sys` in `net`. `of` has
    /// the values. Process context.
    pub fn new<V: Value<T>>(
        net: Net,
        path: &'static CStr,
        settings: &'static [Entry<T, V>],
        of: Arc<T>,
    ) -> Result<Self> {
        let data = (&raw const *of).cast::<c_void>().cast_mut();
        // SAFETY: path and settings are static; an entry begins with its `knet_sysctl`, and the
        // next one is `size_of` bytes further; `of` is of the type that the functions expect, and
        // kept until `drop` has removed the files.
        let files = unsafe {
            bindings::knet_sysctl_register(
                net.as_ptr(),
                path.as_char_ptr(),
                settings.as_ptr().cast::<bindings::knet_sysctl>(),
                settings.len() as u32,
                size_of::<Entry<T, V>>(),
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
/// `setting` must be the first field of an `Entry<T, V>`, `of` a `T` that lives during the call,
/// and `values` valid for writing [`Numbers`].
unsafe extern "C" fn get<T: 'static, V: Value<T>>(
    setting: *const bindings::knet_sysctl,
    of: *mut c_void,
    values: *mut u32,
) {
    // SAFETY: by this function's contract.
    let (entry, of) = unsafe { (&*setting.cast::<Entry<T, V>>(), &*of.cast::<T>()) };
    let numbers = entry.value.get(of);
    // SAFETY: by this function's contract.
    unsafe { values.cast::<Numbers>().write(numbers) };
}

/// # Safety
///
/// `setting` must be the first field of an `Entry<T, V>`, `of` a `T` that lives during the call,
/// and `values` valid for reading [`Numbers`].
unsafe extern "C" fn set<T: 'static, V: Value<T>>(
    setting: *const bindings::knet_sysctl,
    of: *mut c_void,
    values: *const u32,
) -> i32 {
    // SAFETY: by this function's contract.
    let (entry, of) = unsafe { (&*setting.cast::<Entry<T, V>>(), &*of.cast::<T>()) };
    // SAFETY: by this function's contract.
    let numbers = unsafe { values.cast::<Numbers>().read() };
    match entry.value.set(of, numbers) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}
