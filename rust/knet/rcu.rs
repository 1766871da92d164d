// SPDX-License-Identifier: GPL-2.0-only

//! Read-copy update: read sections, cells that readers load without locks, deferred drops.
//!
//! C header: `include/linux/rcupdate.h`

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{
    alloc::{AllocError, Flags},
    bindings,
    prelude::*,
    sync::rcu,
    types::NotThreadSafe,
};

/// Evidence that the calling thread is inside an RCU read section.
///
/// It costs nothing. Netfilter hooks and timers pass one, [`read`] opens one.
///
/// # Invariants
///
/// The RCU read lock is held for the lifetime `'a`.
pub struct Section<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl Section<'_> {
    /// Claims that the RCU read lock is held.
    ///
    /// # Safety
    ///
    /// The RCU read lock must be held for as long as the value lives.
    #[inline]
    pub unsafe fn assume_held() -> Self {
        // INVARIANT: by this function's contract.
        Self(PhantomData, NotThreadSafe)
    }
}

/// Runs `f` inside an RCU read section. `f` must not sleep. Any context.
#[inline]
pub fn read<R>(f: impl FnOnce(&Section<'_>) -> R) -> R {
    let _guard = rcu::read_lock();
    // SAFETY: the lock is held until `_guard` is dropped, after `f` has returned.
    let section = unsafe { Section::assume_held() };
    f(&section)
}

/// Waits for all deferred drops that were requested before. Process context.
pub fn barrier() {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::rcu_barrier() };
}

/// Waits until all read sections that are open now have ended. Process context.
pub fn synchronize() {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::synchronize_rcu() };
}

/// Does what [`synchronize`] does, in tens of microseconds instead of tens of milliseconds. It
/// interrupts all processors, unless the host forbids that (`rcupdate.rcu_normal`). Process
/// context.
pub fn synchronize_expedited() {
    // SAFETY: process context, by this function's contract.
    unsafe { crate::bindings::knet_synchronize_rcu_expedited() };
}

/// A heap value that can be published in a [`Cell`] and dropped after a grace period.
#[repr(C)]
struct Node<T> {
    // First, so that a pointer to it is a pointer to the node.
    head: bindings::callback_head,
    value: ManuallyDrop<T>,
}

/// A value ready to be published, allocated in advance so that publishing cannot fail.
pub struct Boxed<T>(KBox<Node<T>>);

impl<T: Send + Sync + 'static> Boxed<T> {
    /// Allocates memory for `value`, which is dropped if there is none.
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        // Memory first: a node by itself does not drop its value.
        let room = KBox::<Node<T>>::new_uninit(flags)?;
        Ok(Self(KBox::write(
            room,
            Node {
                head: bindings::callback_head::default(),
                value: ManuallyDrop::new(value),
            },
        )))
    }

    fn into_raw(self) -> *mut Node<T> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again and its destructor does not run.
        KBox::into_raw(unsafe { ptr::read(&this.0) })
    }
}

impl<T> Deref for Boxed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for Boxed<T> {
    fn drop(&mut self) {
        // SAFETY: a boxed value that was not published is dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.0.value) };
    }
}

/// Drops `Node<T>` once no reader can hold a reference.
///
/// # Safety
///
/// `head` must be the head of a node that [`Boxed::into_raw`] gave and that no reader can see.
unsafe extern "C" fn drop_node<T>(head: *mut bindings::callback_head) {
    // SAFETY: `head` is the first field of a `Node<T>` that was made by `KBox::into_raw`.
    let mut node = unsafe { KBox::from_raw(head.cast::<Node<T>>()) };
    // SAFETY: the value is dropped once, here; what remains is freed without its destructor.
    unsafe { ManuallyDrop::drop(&mut node.value) };
}

/// A pointer-sized cell. Readers borrow the current value under RCU, writers replace it, and the
/// former value is dropped after a grace period, in softirq: its destructor must not sleep.
///
/// # Invariants
///
/// The pointer is null or came from [`Boxed::into_raw`] and is owned by the cell.
pub struct Cell<T: Send + Sync + 'static>(AtomicPtr<Node<T>>);

impl<T: Send + Sync + 'static> Cell<T> {
    /// An empty cell.
    pub const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A cell that holds `value`.
    pub fn new(value: Boxed<T>) -> Self {
        Self(AtomicPtr::new(value.into_raw()))
    }

    /// The current value, if any, valid while the section lasts. Any context.
    #[inline]
    pub fn get<'a>(&self, _section: &'a Section<'_>) -> Option<&'a T> {
        let node = self.0.load(Ordering::Acquire);
        // SAFETY: a node that a reader finds under RCU is freed only after a grace period, so it
        // is valid for as long as the section is; it is never changed after publication.
        unsafe { node.as_ref() }.map(|node| &*node.value)
    }

    /// Whether there is no value. Any context.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Publishes `value`; the former one is dropped after a grace period. Any context.
    pub fn replace(&self, value: Option<Boxed<T>>) {
        let new = value.map_or(ptr::null_mut(), Boxed::into_raw);
        let old = self.0.swap(new, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: `old` was owned by the cell and no new reader can find it; the head is used
            // for this one callback only.
            unsafe { bindings::call_rcu(&raw mut (*old).head, Some(drop_node::<T>)) };
        }
    }
}

impl<T: Send + Sync + 'static> Drop for Cell<T> {
    fn drop(&mut self) {
        self.replace(None);
    }
}
