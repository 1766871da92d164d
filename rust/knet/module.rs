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
