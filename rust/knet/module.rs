// SPDX-License-Identifier: GPL-2.0-only

//! Modules: loading them by name, keeping them loaded.
//!
//! C headers: `include/linux/kmod.h`, `include/linux/module.h`

use crate::bindings;
use kernel::{prelude::*, ThisModule};

/// Asks user space to load the module `prefix` + `name` and waits for it. Process context, and no
/// lock that the module's initialisation takes may be held. Whether it is there now, see for
/// yourself.
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
    /// Takes a reference; fails when the module is being unloaded. Any context.
    pub fn new(module: &'static ThisModule) -> Option<Self> {
        // SAFETY: the caller reached `module` through a registration, which ends before the
        // module does.
        unsafe { bindings::knet_module_get(module.as_ptr()) }.then_some(Self(module))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the reference was taken in `new`.
        unsafe { bindings::knet_module_put(self.0.as_ptr()) };
    }
}

/// Keeps a module that does the same as ours from being loaded beside it, for as long as this
/// value lives. There can be one.
///
/// Some would not fail cleanly by themselves: the C director creates its files below `/proc/net`
/// before anything that tells it that it is not alone, and a name that is taken there makes the
/// kernel print a warning with a stack trace.
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
