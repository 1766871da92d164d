// SPDX-License-Identifier: GPL-2.0-only

//! Files below `/proc/net` that are written afresh for each reader.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/seq_file_net.h`

use crate::{
    bindings,
    namespace::{self, Instance, Net},
};
use core::{ffi::c_void, marker::PhantomData};
use kernel::{prelude::*, seq_file::SeqFile};

/// The content of a file.
pub trait Content: 'static {
    /// What the file tells of.
    type Of: Instance;
    /// Its name below `/proc/net`.
    const NAME: &'static CStr;

    /// Writes the whole content. Process context.
    fn show(of: &Self::Of, file: &SeqFile);
}

/// A file that exists as long as this value lives. Dropping it waits for readers.
pub struct File<C: Content>(Net, PhantomData<C>);

// SAFETY: only a name.
unsafe impl<C: Content> Send for File<C> {}
// SAFETY: as above.
unsafe impl<C: Content> Sync for File<C> {}

impl<C: Content> File<C> {
    /// Creates the file in `net`. Process context.
    pub fn new(net: Net) -> Result<Self> {
        // SAFETY: the name is NUL-terminated and static; the function stays until `drop` has
        // removed the file, which waits for its readers.
        let entry = unsafe {
            bindings::knet_proc_create(net.as_ptr(), C::NAME.as_char_ptr(), Some(show::<C>))
        };
        if entry.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(net, PhantomData))
    }
}

impl<C: Content> Drop for File<C> {
    fn drop(&mut self) {
        // SAFETY: the file was created in `new`.
        unsafe { bindings::knet_proc_remove(self.0.as_ptr(), C::NAME.as_char_ptr()) };
    }
}

/// # Safety
///
/// As the kernel calls the show function of a file made by [`File::new`].
unsafe extern "C" fn show<C: Content>(seq: *mut bindings::seq_file, _v: *mut c_void) -> i32 {
    // SAFETY: the file's namespace is alive while it is read, and so is the registration, since it
    // removes the file first.
    let of = unsafe { namespace::instance_of::<C::Of>(bindings::knet_seq_net(seq)) };
    if let Some(of) = of {
        // SAFETY: the file is this thread's for the duration of the call.
        C::show(of, unsafe { SeqFile::from_raw(seq) });
    }
    0
}
