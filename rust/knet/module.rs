// SPDX-License-Identifier: GPL-2.0-only

//! Modules: loading them by name, keeping them loaded.
//!
//! C headers: `include/linux/kmod.h`, `include/linux/module.h`

use crate::bindings;
use kernel::{prelude::*, ThisModule};

/// Asks user space to load the module `prefix` + `name`, and waits. The result is not returned: the
/// caller must check whether the module has registered its interface. Process context, without
/// locks that the module's initialization takes.
pub fn request(prefix: &CStr, name: &CStr) {
    // SAFETY: both are NUL-terminated; process context, by this function's contract.
    let _ = unsafe { bindings::knet_request_module(prefix.as_char_ptr(), name.as_char_ptr()) };
}

/// A reference that keeps a module loaded.
pub struct Reference(&'static ThisModule);

// SAFETY: the module's reference count is atomic.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Reference {
    /// Takes a reference; fails if the module is being unloaded. Any context.
    pub fn new(module: &'static ThisModule) -> Option<Self> {
        // SAFETY: the caller reached `module` through a registration, which ends before the
        // module does.
        unsafe { bindings::knet_module_get(module.as_ptr()) }.then_some(Self(module))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the reference was taken in `new`.
        unsafe { kernel::bindings::module_put(self.0.as_ptr()) };
    }
}

/// Prevents a module that provides the same interfaces from being loaded, for as long as this
/// value lives. There can be one.
///
/// Such a module may not fail cleanly by itself: the C director creates its files below
/// `/proc/net` before it registers anything that would fail, and the kernel prints a warning with
/// a stack trace for a name that exists.
pub struct Refusal(());

impl Refusal {
    /// Refuses the module called `name` ([`EBUSY`] and a line in the log). Process context.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: the name is static and NUL-terminated; ended when the value is dropped.
        kernel::error::to_result(unsafe { bindings::knet_module_refuse(name.as_char_ptr()) })?;
        Ok(Self(()))
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        // SAFETY: begun in `new`.
        unsafe { bindings::knet_module_refuse_end() };
    }
}
