// SPDX-License-Identifier: GPL-2.0-only

//! Generic netlink families.
//!
//! Attributes arrive as bytes; the family parses them.
//!
//! C header: `include/net/genetlink.h`

use crate::bindings;
use core::{
    ffi::c_void,
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};
use kernel::{alloc::KVec, prelude::*, ThisModule};

/// A command of a family.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its number.
    pub number: u8,
    /// The family handles requests ([`Family::act`]).
    pub act: bool,
    /// The family handles dumps ([`Family::dump`]).
    pub dump: bool,
}

/// The callers that may send commands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Administrators {
    /// Callers with CAP_NET_ADMIN in the initial user namespace.
    Host,
    /// Also callers with CAP_NET_ADMIN in the user namespace that owns the network namespace.
    Namespaces,
}

/// A family of commands for [`Administrators`]. They run concurrently, in process context.
pub trait Family: 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// Its version.
    const VERSION: u32;
    /// Its commands.
    const COMMANDS: &'static [Command];
    /// Commands whose requests have a secret. The request's memory is overwritten after each.
    const SECRET: &'static [u8] = &[];
    /// The name of its multicast group, which [`notify`] sends to. One family has one.
    const GROUP: Option<&'static CStr> = None;
    /// The state of a dump between its messages.
    type Dump: Dump;

    /// Executes a command.
    fn act(request: &Request<'_>) -> Result;

    /// Starts a dump.
    fn dump(request: &DumpRequest<'_>) -> Result<Self::Dump>;
}

/// A listing, item by item, one message each.
pub trait Dump: Send + 'static {
    /// The command number of its messages.
    fn command(&self) -> u8;

    /// Finds the next item, unless it was found before; false at the end of the listing.
    fn find(&mut self) -> Result<bool>;

    /// Writes the item that was found. It is called again for the same item after [`Full`].
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full>;

    /// Moves past that item.
    fn advance(&mut self);
}

/// The message has no room left.
#[derive(Clone, Copy, Debug)]
pub struct Full;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Request<'_> {}
    impl Sealed for super::DumpRequest<'_> {}
}

/// A request from a socket, whose network namespace is therefore alive.
pub trait Source: sealed::Sealed {
    #[doc(hidden)]
    fn net(&self) -> *const bindings::net;
    /// The command's number.
    fn command(&self) -> u8;
    /// The attributes, not validated.
    fn attributes(&self) -> &[u8];
    /// Adds an error message to the answer (extended acknowledgment).
    fn explain(&self, message: &'static CStr);
}

/// # Safety
///
/// `header` must point to a whole generic netlink message that lives for `'a`.
unsafe fn attributes<'a>(header: *const bindings::nlmsghdr) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: by this function's contract.
    let data = unsafe { bindings::knet_nlmsg_attributes(header, &mut len) };
    // SAFETY: the message holds `len` bytes there.
    unsafe { slice::from_raw_parts(data, len as usize) }
}

/// A command to execute.
///
/// # Invariants
///
/// The pointer is valid for `'a`.
pub struct Request<'a>(
    NonNull<bindings::genl_info>,
    PhantomData<&'a bindings::genl_info>,
);

impl Source for Request<'_> {
    fn net(&self) -> *const bindings::net {
        // SAFETY: valid by the type invariant.
        unsafe { bindings::knet_info_net(self.0.as_ptr()) }
    }

    fn command(&self) -> u8 {
        // SAFETY: valid by the type invariant.
        unsafe { bindings::knet_info_command(self.0.as_ptr()) }
    }

    fn attributes(&self) -> &[u8] {
        // SAFETY: valid by the type invariant; generic netlink has checked the headers' lengths.
        unsafe { attributes(bindings::knet_info_message_header(self.0.as_ptr())) }
    }

    fn explain(&self, message: &'static CStr) {
        // SAFETY: valid by the type invariant; the message is static.
        unsafe { bindings::knet_info_message(self.0.as_ptr(), message.as_char_ptr()) };
    }
}

impl Request<'_> {
    /// Sends a reply with this command number; `fill` writes its attributes.
    pub fn reply(
        &self,
        command: u8,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result {
        // SAFETY: process context.
        let skb = NonNull::new(unsafe { bindings::knet_reply_new() }).ok_or(ENOMEM)?;
        // SAFETY: the message is ours, the request valid.
        let header = unsafe { bindings::knet_reply_header(skb.as_ptr(), self.0.as_ptr(), command) };
        if header.is_null() || fill(&mut Writer(skb, PhantomData)).is_err() {
            // SAFETY: ours, and not used again.
            unsafe { bindings::knet_reply_free(skb.as_ptr()) };
            return Err(EMSGSIZE);
        }
        // SAFETY: ours, and given away here.
        kernel::error::to_result(unsafe {
            bindings::knet_reply_send(skb.as_ptr(), header, self.0.as_ptr())
        })
    }
}

/// True if a socket in the network namespace of `request` listens to the multicast group
/// ([`Family::GROUP`]). Process context.
pub fn is_listened_to(request: &impl Source) -> bool {
    // SAFETY: the namespace of a request is alive.
    unsafe { bindings::knet_event_wanted(request.net().cast_mut()) }
}

/// Sends a message with this command number to the multicast group in the network namespace of
/// `request`; `fill` writes its attributes. Without memory, or listeners with room for it, it is
/// lost. Process context.
pub fn notify(
    request: &impl Source,
    command: u8,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) {
    // SAFETY: process context.
    let Some(skb) = NonNull::new(unsafe { bindings::knet_reply_new() }) else {
        return;
    };
    // SAFETY: the message is ours.
    let header = unsafe { bindings::knet_event_header(skb.as_ptr(), command) };
    if header.is_null() || fill(&mut Writer(skb, PhantomData)).is_err() {
        // SAFETY: ours, and not used again.
        unsafe { bindings::knet_reply_free(skb.as_ptr()) };
        return;
    }
    // SAFETY: the message is ours, and given away here; the namespace of a request is alive.
    unsafe { bindings::knet_event_send(request.net().cast_mut(), skb.as_ptr(), header) };
}

/// A request for a dump.
///
/// # Invariants
///
/// The pointer is valid for `'a`.
pub struct DumpRequest<'a>(
    NonNull<bindings::netlink_callback>,
    PhantomData<&'a bindings::netlink_callback>,
);

impl Source for DumpRequest<'_> {
    fn net(&self) -> *const bindings::net {
        // SAFETY: valid by the type invariant.
        unsafe { bindings::knet_cb_net(self.0.as_ptr()) }
    }

    fn command(&self) -> u8 {
        // SAFETY: valid by the type invariant.
        unsafe { bindings::knet_cb_command(self.0.as_ptr()) }
    }

    fn attributes(&self) -> &[u8] {
        // SAFETY: valid by the type invariant; generic netlink has checked the headers' lengths.
        unsafe { attributes(bindings::knet_cb_message_header(self.0.as_ptr())) }
    }

    fn explain(&self, message: &'static CStr) {
        // SAFETY: valid by the type invariant; the message is static.
        unsafe { bindings::knet_cb_message(self.0.as_ptr(), message.as_char_ptr()) };
    }
}

/// Appends attributes to a message.
///
/// # Invariants
///
/// The pointer is a message under construction, valid for `'a`.
pub struct Writer<'a>(
    NonNull<bindings::sk_buff>,
    PhantomData<&'a mut bindings::sk_buff>,
);

impl Writer<'_> {
    /// Appends an attribute with `payload`.
    pub fn put(&mut self, kind: u16, payload: &[u8]) -> Result<(), Full> {
        let len = i32::try_from(payload.len()).map_err(|_| Full)?;
        // SAFETY: valid by the type invariant; the payload has `len` bytes.
        let error = unsafe {
            bindings::knet_put(
                self.0.as_ptr(),
                i32::from(kind),
                payload.as_ptr().cast::<c_void>(),
                len,
            )
        };
        if error == 0 {
            Ok(())
        } else {
            Err(Full)
        }
    }

    /// Appends a byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> Result<(), Full> {
        self.put(kind, &[value])
    }

    /// Appends a 16-bit number.
    pub fn u16(&mut self, kind: u16, value: u16) -> Result<(), Full> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Appends a 16-bit number in network byte order.
    pub fn u16_be(&mut self, kind: u16, value: u16) -> Result<(), Full> {
        self.put(kind, &value.to_be_bytes())
    }

    /// Appends a 32-bit number.
    pub fn u32(&mut self, kind: u16, value: u32) -> Result<(), Full> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Appends a 64-bit number, aligned by an attribute of kind `pad` if necessary.
    pub fn u64(&mut self, kind: u16, value: u64, pad: u16) -> Result<(), Full> {
        // SAFETY: valid by the type invariant.
        let error = unsafe {
            bindings::knet_put_u64(self.0.as_ptr(), i32::from(kind), value, i32::from(pad))
        };
        if error == 0 {
            Ok(())
        } else {
            Err(Full)
        }
    }

    /// Appends a string with its terminator.
    pub fn string(&mut self, kind: u16, value: &CStr) -> Result<(), Full> {
        self.put(kind, value.to_bytes_with_nul())
    }

    /// Appends a nested attribute; `fill` writes its content.
    pub fn nest(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        // SAFETY: valid by the type invariant.
        let nest = unsafe { bindings::knet_nest_start(self.0.as_ptr(), i32::from(kind)) };
        if nest.is_null() {
            return Err(Full);
        }
        // On failure the caller cancels the whole message, and the nest with it.
        fill(self)?;
        // SAFETY: the nest was started in this message.
        unsafe { bindings::knet_nest_end(self.0.as_ptr(), nest) };
        Ok(())
    }
}

/// A registered family. Dropping the value unregisters it and waits for running commands (process
/// context).
pub struct Registration<F: Family>(NonNull<bindings::genl_family>, PhantomData<F>);

// SAFETY: generic netlink locks for itself.
unsafe impl<F: Family> Send for Registration<F> {}
// SAFETY: as above.
unsafe impl<F: Family> Sync for Registration<F> {}

impl<F: Family> Registration<F> {
    /// Registers the family. [`EEXIST`]: its name is taken. Process context.
    pub fn new(module: &'static ThisModule, administrators: Administrators) -> Result<Self> {
        let mut commands = KVec::with_capacity(F::COMMANDS.len(), GFP_KERNEL)?;
        for command in F::COMMANDS {
            commands.push(
                bindings::knet_command {
                    number: command.number,
                    dump: command.dump,
                    act: command.act,
                },
                GFP_KERNEL,
            )?;
        }
        let calls = bindings::knet_family_calls {
            act: Some(act::<F>),
            start: Some(dump_start::<F>),
            dump: Some(dump_continue::<F>),
            done: Some(dump_done::<F>),
        };
        let mut error = 0;
        // SAFETY: names, commands and calls are copied; the functions stay loaded until `drop` has
        // unregistered the family: `module` has them.
        let family = unsafe {
            bindings::knet_family_register(
                F::NAME.as_char_ptr(),
                F::VERSION,
                commands.as_ptr(),
                commands.len() as u32,
                &calls,
                module.as_ptr(),
                administrators == Administrators::Namespaces,
                F::GROUP.map_or(ptr::null(), CStr::as_char_ptr),
                &mut error,
            )
        };
        kernel::error::to_result(error)?;
        Ok(Self(NonNull::new(family).ok_or(ENOMEM)?, PhantomData))
    }
}

impl<F: Family> Drop for Registration<F> {
    fn drop(&mut self) {
        // SAFETY: registered in `new`.
        unsafe { bindings::knet_family_unregister(self.0.as_ptr()) };
    }
}

/// # Safety
///
/// As generic netlink calls `genl_ops::doit`.
unsafe extern "C" fn act<F: Family>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> i32 {
    let Some(info) = NonNull::new(info) else {
        return EINVAL.to_errno();
    };
    let request = Request(info, PhantomData);
    let result = F::act(&request);
    if F::SECRET.contains(&request.command()) {
        // SAFETY: generic netlink has checked the headers' lengths. The message is this request's,
        // and `F::act` keeps no reference.
        unsafe { bindings::knet_nlmsg_forget(bindings::knet_info_message_header(info.as_ptr())) };
    }
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// As generic netlink calls `genl_ops::start`.
unsafe extern "C" fn dump_start<F: Family>(cb: *mut bindings::netlink_callback) -> i32 {
    let Some(callback) = NonNull::new(cb) else {
        return EINVAL.to_errno();
    };
    let dump = match F::dump(&DumpRequest(callback, PhantomData)) {
        Ok(dump) => dump,
        Err(error) => return error.to_errno(),
    };
    match KBox::new(dump, GFP_KERNEL) {
        Ok(dump) => {
            // SAFETY: the callback keeps this word for us until `dump_done`.
            unsafe { *bindings::knet_dump_data(cb) = KBox::into_raw(dump).cast::<c_void>() };
            0
        }
        Err(_) => ENOMEM.to_errno(),
    }
}

/// # Safety
///
/// As generic netlink calls `genl_ops::dumpit` after a successful `dump_start`.
unsafe extern "C" fn dump_continue<F: Family>(
    skb: *mut bindings::sk_buff,
    cb: *mut bindings::netlink_callback,
) -> i32 {
    // SAFETY: `dump_start` stored it, and calls for one dump do not overlap.
    let dump = unsafe { (*bindings::knet_dump_data(cb)).cast::<F::Dump>().as_mut() };
    let (Some(dump), Some(message)) = (dump, NonNull::new(skb)) else {
        return EINVAL.to_errno();
    };
    let mut written = false;
    loop {
        match dump.find() {
            Ok(true) => {}
            Ok(false) => break,
            // The items written so far are sent first.
            Err(_) if written => break,
            Err(error) => return error.to_errno(),
        }
        // SAFETY: both are valid during the call.
        let header = unsafe { bindings::knet_dump_header(skb, cb, dump.command()) };
        let full = header.is_null() || dump.write(&mut Writer(message, PhantomData)).is_err();
        if full {
            if !header.is_null() {
                // SAFETY: the header was started in this message.
                unsafe { bindings::knet_dump_cancel(skb, header) };
            }
            if !written {
                return EMSGSIZE.to_errno();
            }
            break;
        }
        // SAFETY: as above.
        unsafe { bindings::knet_dump_end(skb, header) };
        dump.advance();
        written = true;
    }
    // SAFETY: valid during the call.
    unsafe { bindings::knet_dump_length(skb) as i32 }
}

/// # Safety
///
/// As generic netlink calls `genl_ops::done` after a successful `dump_start`.
unsafe extern "C" fn dump_done<F: Family>(cb: *mut bindings::netlink_callback) -> i32 {
    // SAFETY: `dump_start` stored a box there, which is taken back once, here.
    unsafe {
        let data = *bindings::knet_dump_data(cb);
        if !data.is_null() {
            *bindings::knet_dump_data(cb) = core::ptr::null_mut();
            drop(KBox::from_raw(data.cast::<F::Dump>()));
        }
    }
    0
}
