// SPDX-License-Identifier: GPL-2.0-only

//! Files below `/proc/net`: short files that are generated as a whole, and lists that are generated
//! part by part as they are read.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/seq_file_net.h`

use crate::{
    bindings,
    namespace::{self, Instance},
    net::Net,
};
use core::{ffi::c_void, marker::PhantomData};
use kernel::{prelude::*, seq_file::SeqFile};

/// The content of a file.
pub trait Content: 'static {
    /// The instance that the file is about.
    type Of: Instance;
    /// Its name below `/proc/net`.
    const NAME: &'static CStr;
    /// Who may read it.
    const MODE: u16 = 0o444;

    /// Writes the whole content. Process context.
    fn show(of: &Self::Of, file: &SeqFile);
}

/// A file. Dropping the value removes it and waits for readers.
pub struct File<C: Content>(Net, PhantomData<fn() -> C>);

impl<C: Content> File<C> {
    /// Creates the file in `net`. Process context.
    pub fn new(net: Net) -> Result<Self> {
        // SAFETY: the name is NUL-terminated and static; the function stays until `drop` has
        // removed the file, which waits for its readers.
        let entry = unsafe {
            bindings::knet_proc_create(
                net.as_ptr(),
                C::NAME.as_char_ptr(),
                C::MODE,
                Some(show::<C>),
            )
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

/// The content of a list of any length.
pub trait List: 'static {
    /// The instance that the list is about.
    type Of: Instance;
    /// Its name below `/proc/net`.
    const NAME: &'static CStr;

    /// Writes the heading. Process context.
    fn heading(file: &SeqFile);

    /// The lowest key of a part that is at least `from`, if there is one. Process context.
    fn find(of: &Self::Of, from: u32) -> Option<u32>;

    /// Writes the part with this key, if it still exists. Process context.
    fn show(of: &Self::Of, key: u32, file: &SeqFile);
}

/// The file of a list. Dropping the value removes it and waits for readers.
pub struct ListFile<L: List>(Net, PhantomData<fn() -> L>);

impl<L: List> ListFile<L> {
    const CALLS: &'static bindings::knet_list_calls = &bindings::knet_list_calls {
        find: Some(list_find::<L>),
        show: Some(list_show::<L>),
    };

    /// Creates the file in `net`. Process context.
    pub fn new(net: Net) -> Result<Self> {
        // SAFETY: the name is NUL-terminated and static, and the calls are static; their functions
        // stay until `drop` has removed the file, which waits for its readers.
        let entry = unsafe {
            bindings::knet_proc_create_list(net.as_ptr(), L::NAME.as_char_ptr(), Self::CALLS)
        };
        if entry.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(net, PhantomData))
    }
}

impl<L: List> Drop for ListFile<L> {
    fn drop(&mut self) {
        // SAFETY: the file was created in `new`.
        unsafe { bindings::knet_proc_remove(self.0.as_ptr(), L::NAME.as_char_ptr()) };
    }
}

/// # Safety
///
/// As the kernel calls the functions of a file made by [`ListFile::new`].
unsafe extern "C" fn list_find<L: List>(net: *mut bindings::net, from: u64) -> u64 {
    // SAFETY: the file's namespace is alive while it is read: it waits for the file's removal.
    let of = unsafe { namespace::instance_of::<L::Of>(net) };
    let key = match (of, u32::try_from(from)) {
        (Some(of), Ok(from)) => L::find(&of, from),
        _ => None,
    };
    key.map_or(0, |key| u64::from(key).wrapping_add(1))
}

/// # Safety
///
/// As the kernel calls the functions of a file made by [`ListFile::new`].
unsafe extern "C" fn list_show<L: List>(
    net: *mut bindings::net,
    seq: *mut bindings::seq_file,
    position: u64,
) {
    // SAFETY: the file is this thread's for the duration of the call.
    let file = unsafe { SeqFile::from_raw(seq) };
    let Some(key) = position.checked_sub(1) else {
        L::heading(file);
        return;
    };
    // SAFETY: as above.
    let of = unsafe { namespace::instance_of::<L::Of>(net) };
    if let (Some(of), Ok(key)) = (of, u32::try_from(key)) {
        L::show(&of, key, file);
    }
}

/// # Safety
///
/// As the kernel calls the show function of a file made by [`File::new`].
unsafe extern "C" fn show<C: Content>(seq: *mut bindings::seq_file, _v: *mut c_void) -> i32 {
    // SAFETY: the file's namespace is alive while it is read: it waits for the file's removal.
    let of = unsafe { namespace::instance_of::<C::Of>(bindings::knet_seq_net(seq)) };
    if let Some(of) = of {
        // SAFETY: the file is this thread's for the duration of the call.
        C::show(&of, unsafe { SeqFile::from_raw(seq) });
    }
    0
}
