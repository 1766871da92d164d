// SPDX-License-Identifier: GPL-2.0-only

//! The director as the command sees it.
//!
//! Belongs here: the trait, its netlink implementation, and a director in memory for tests. Never:
//! bytes, text, options.

mod kernel;
#[cfg(test)]
pub mod memory;

pub use kernel::Kernel;

use crate::error::Error;
use crate::model::{Change, Daemon, DestinationEntry, Info, ServiceEntry, ServiceId, Timeouts};

/// Something that can be asked about virtual services and told to change them.
pub trait Director {
    /// What the kernel says of itself.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], as for every other method.
    fn info(&mut self) -> Result<Info, Error>;

    /// All services, in the kernel's order.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn services(&mut self) -> Result<Vec<ServiceEntry>, Error>;

    /// One service.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry, Error>;

    /// The destinations of a service, in the kernel's order.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error>;

    /// The timeouts.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn timeouts(&mut self) -> Result<Timeouts, Error>;

    /// The synchronisation daemons that run.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn daemons(&mut self) -> Result<Vec<Daemon>, Error>;

    /// Changes one thing.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn change(&mut self, change: &Change) -> Result<(), Error>;
}
