// SPDX-License-Identifier: GPL-2.0-only

//! UDP sockets that send to a multicast group or to peers, or receive from them.
//!
//! C headers: `include/linux/net.h`, `include/net/sock.h`
//!
//! Sockets take the RTNL when they join or leave a group: when a [`Receiver`] is opened, and when
//! either is dropped. So no lock may be held there that is taken under the RTNL.

use crate::{bindings, net::Net, route::raw};
use core::{
    cell::UnsafeCell,
    ffi::{c_void, CStr},
    ptr::NonNull,
};
use kernel::{
    alloc::{KBox, KVVec},
    prelude::*,
    sync::Arc,
    types::Opaque,
};
use lvs_core::{Address, Endpoint};

/// The number of datagrams that are received before other work can run.
const BATCH: usize = 64;
/// Batches that a receiver takes at most when it ends: those of a buffer of some megabytes.
const LAST_ROUNDS: usize = 64;
/// Milliseconds after which a receiver tries again when its socket had an error.
const AFTER_ERROR: u32 = 100;

/// A network interface.
#[derive(Clone, Copy)]
pub struct Device {
    index: i32,
    /// The octets of the largest packet.
    pub mtu: u32,
}

impl Device {
    /// Finds the interface with this name. [`ENODEV`]: there is none. Process context.
    pub fn find(net: &Net, name: &CStr) -> Result<Self> {
        let mut found = bindings::knet_device::default();
        // SAFETY: the namespace is alive, and the other pointers are valid during the call.
        let result =
            unsafe { bindings::knet_device_find(net.as_ptr(), name.as_char_ptr(), &mut found) };
        kernel::error::to_result(result)?;
        Ok(Self {
            index: found.index,
            mtu: found.mtu,
        })
    }
}

/// A multicast group, and how it is used. A receiver may have the unspecified address instead, for
/// what is sent to this host.
#[derive(Clone, Copy)]
pub struct Group {
    /// The address and the UDP port.
    pub endpoint: Endpoint,
    /// The interface.
    pub device: Device,
    /// The time to live of what is sent.
    pub ttl: u8,
    /// Octets of the socket's buffer; 0 stands for the system's default.
    pub buffer: u32,
}

impl Group {
    fn raw(&self) -> bindings::knet_group {
        bindings::knet_group {
            address: raw(self.endpoint.address),
            family: self.endpoint.address.family() as i32,
            device: self.device.index,
            buffer: self.buffer,
            port: self.endpoint.port,
            ttl: self.ttl,
        }
    }

    fn check(&self, net: &Net) -> Result {
        let family = self.endpoint.address.family();
        match net.supports(family) {
            true => Ok(()),
            false => Err(crate::errno::family_not_supported()),
        }
    }
}

/// A socket.
///
/// # Invariants
///
/// The pointer is an open socket that this value owns, of a namespace that is alive.
struct Socket {
    socket: NonNull<bindings::knet_socket>,
    _net: Net,
}

// SAFETY: sockets lock for themselves.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: by the invariant, and it is not used again.
        unsafe { bindings::knet_socket_close(self.socket.as_ptr()) };
    }
}

/// A socket that sends to a multicast group. Dropping it closes it: in process context.
pub struct Sender(Socket);

impl Sender {
    /// Opens a socket. [`ENETUNREACH`](kernel::bindings::ENETUNREACH) and other errors of
    /// `bind` and `connect`. Process context.
    pub fn open(net: Net, group: &Group) -> Result<Self> {
        group.check(&net)?;
        let mut error = 0;
        // SAFETY: the namespace is alive, and the other pointers are valid during the call.
        let socket = unsafe { bindings::knet_sender_open(net.as_ptr(), &group.raw(), &mut error) };
        let socket = NonNull::new(socket).ok_or_else(|| Error::from_errno(error))?;
        // INVARIANT: just opened, and the namespace lives as long as `_net`.
        Ok(Self(Socket { socket, _net: net }))
    }

    /// Sends a datagram. [`EAGAIN`]: the socket's buffer is full. Process context.
    pub fn send(&self, datagram: &[u8]) -> Result {
        // SAFETY: the socket is open, and the slice is valid during the call.
        kernel::error::to_result(unsafe {
            let data = datagram.as_ptr().cast::<c_void>();
            bindings::knet_sender_send(self.0.socket.as_ptr(), data, datagram.len())
        })
    }

    /// Sends a datagram to an address of the group's family, instead of the group. [`EAGAIN`]: the
    /// socket's buffer is full; other errors of sockets. Process context.
    pub fn send_to(&self, peer: Endpoint, datagram: &[u8]) -> Result {
        // SAFETY: the socket is open, and the pointers are valid during the call.
        kernel::error::to_result(unsafe {
            let data = datagram.as_ptr().cast::<c_void>();
            let socket = self.0.socket.as_ptr();
            bindings::knet_sender_send_to(
                socket,
                &raw(peer.address),
                peer.port,
                data,
                datagram.len(),
            )
        })
    }
}

/// Takes what a [`Receiver`] receives.
pub trait Receive: Send + Sync + 'static {
    /// A datagram from `source` has arrived. Process context, may sleep.
    fn receive(&self, source: Address, datagram: &[u8]);

    /// A datagram has arrived that is longer than the receiver's limit, or an error. Process
    /// context.
    fn lose(&self);
}

/// A socket that receives from a multicast group on one interface. It hands datagrams to a target,
/// one after the other, in process context. Dropping it hands over what has arrived, and closes the
/// socket: in process context.
pub struct Receiver<T: Receive>(KBox<State<T>>);

struct State<T> {
    work: Opaque<bindings::knet_work>,
    socket: Socket,
    /// Used by the work only.
    buffer: UnsafeCell<KVVec<u8>>,
    target: Arc<T>,
}

// SAFETY: the kernel serializes the work item, which alone uses the buffer; the target may be
// shared by its bounds.
unsafe impl<T: Receive> Send for Receiver<T> {}
// SAFETY: as above.
unsafe impl<T: Receive> Sync for Receiver<T> {}

impl<T: Receive> Receiver<T> {
    /// Opens a socket for datagrams of at most `len` octets. Errors of `bind` and of joining the
    /// group. Process context.
    pub fn open(net: Net, group: &Group, len: usize, target: Arc<T>) -> Result<Self> {
        group.check(&net)?;
        let mut error = 0;
        // SAFETY: the namespace is alive, and the other pointers are valid during the call.
        let socket =
            unsafe { bindings::knet_receiver_open(net.as_ptr(), &group.raw(), &mut error) };
        let socket = NonNull::new(socket).ok_or_else(|| Error::from_errno(error))?;
        // INVARIANT: just opened, and the namespace lives as long as `_net`.
        let socket = Socket { socket, _net: net };
        let buffer = KVVec::from_elem(0u8, len, GFP_KERNEL)?;
        let state = KBox::new(
            State {
                work: Opaque::uninit(),
                socket,
                buffer: UnsafeCell::new(buffer),
                target,
            },
            GFP_KERNEL,
        )?;
        let data = (&raw const *state).cast::<c_void>().cast_mut();
        // SAFETY: the work lies in the box, so it stays where it is until `drop` has canceled it,
        // and so does `data`, of the type that `run` expects. `drop` also ends what is started
        // here.
        unsafe {
            bindings::knet_work_init(state.work.get(), Some(run::<T>), data);
            bindings::knet_receiver_start(state.socket.socket.as_ptr(), state.work.get());
        }
        Ok(Self(state))
    }
}

impl<T: Receive> Drop for Receiver<T> {
    fn drop(&mut self) {
        // SAFETY: started in `open`. First nothing queues the work any more, then the call waits
        // for a running round. The socket is closed after that, with the box.
        unsafe {
            bindings::knet_receiver_quiet(self.0.socket.socket.as_ptr());
            bindings::knet_work_cancel(self.0.work.get());
        }
        // Datagrams may go on arriving.
        for _ in 0..LAST_ROUNDS {
            // SAFETY: the canceled work does not run any more.
            match unsafe { round(&self.0) } {
                Round::More => crate::work::yield_now(),
                Round::Empty | Round::Failed => break,
            }
        }
    }
}

/// What a round of receiving ended with.
enum Round {
    /// The batch was full.
    More,
    /// Nothing has arrived any more.
    Empty,
    /// An error of the socket.
    Failed,
}

/// Receives a batch.
///
/// # Safety
///
/// Not concurrently for one receiver.
unsafe fn round<T: Receive>(state: &State<T>) -> Round {
    // SAFETY: nothing else uses the buffer, by this function's contract.
    let buffer = unsafe { &mut *state.buffer.get() };
    for _ in 0..BATCH {
        let mut source = bindings::knet_address::default();
        // SAFETY: the socket is open, the buffer valid for its length, and so is `source`.
        let len = unsafe {
            let place = buffer.as_mut_ptr().cast::<c_void>();
            let socket = state.socket.socket.as_ptr();
            bindings::knet_receiver_receive(socket, place, buffer.len(), &mut source)
        };
        let Ok(len) = usize::try_from(len) else {
            if Error::from_errno(len) == EAGAIN {
                return Round::Empty;
            }
            state.target.lose();
            return Round::Failed;
        };
        match buffer.get(..len) {
            Some(datagram) => {
                let source = Address::from_words(source.words);
                state.target.receive(source, datagram);
            }
            None => state.target.lose(),
        }
    }
    Round::More
}

/// # Safety
///
/// `data` must be the `State<T>` of a live receiver.
unsafe extern "C" fn run<T: Receive>(data: *mut c_void) {
    // SAFETY: by this function's contract.
    let state = unsafe { &*data.cast::<State<T>>() };
    // SAFETY: the kernel never runs a work item concurrently with itself.
    let pause = match unsafe { round(state) } {
        Round::More => 0,
        Round::Failed => AFTER_ERROR,
        Round::Empty => return,
    };
    // SAFETY: the work is live; a canceled work is not queued.
    unsafe { bindings::knet_work_queue(state.work.get(), pause) };
}
