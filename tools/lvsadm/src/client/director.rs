// SPDX-License-Identifier: GPL-2.0-only

//! The director as the command sees it.

use std::io;

use crate::connections::{Connection, ConnectionFilter};
use crate::error::Error;
use crate::model::{
    Change, Daemon, DestinationEntry, Group, Info, ServiceEntry, ServiceId, Timeouts,
};

/// Answers questions about virtual services, and changes them.
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

    /// All services with their destinations, in the kernel's order; without statistics, if they are
    /// not wanted and can be left out.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn table(&mut self, _statistics: bool) -> Result<Vec<Group>, Error> {
        table_in_pieces(self)
    }

    /// The timeouts.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn timeouts(&mut self) -> Result<Timeouts, Error>;

    /// The synchronization daemons that run.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn daemons(&mut self) -> Result<Vec<Daemon>, Error>;

    /// Gives the connections that are wanted to `each`, in the kernel's order, as they come.
    ///
    /// # Errors
    ///
    /// See [`Director::info`]; and [`Error::Output`] with what `each` says.
    fn connections(
        &mut self,
        filter: &ConnectionFilter,
        each: &mut dyn FnMut(Connection) -> io::Result<()>,
    ) -> Result<(), Error>;

    /// Removes the connections that are selected, and returns their number.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn kill(&mut self, _filter: &ConnectionFilter) -> Result<u32, Error> {
        Err(Error::Failed(
            "cannot remove connections: the kernel module does not offer it (ipvs_rs does)"
                .to_owned(),
        ))
    }

    /// Changes one thing.
    ///
    /// # Errors
    ///
    /// See [`Director::info`].
    fn change(&mut self, change: &Change) -> Result<(), Error>;

    /// Changes things in order, up to the first that is refused.
    ///
    /// # Errors
    ///
    /// How many were changed before it, and see [`Director::info`].
    fn change_all(&mut self, changes: &[&Change]) -> Result<(), (usize, Error)> {
        change_one_by_one(self, changes)
    }

    /// Makes all changes or none; `Ok(false)` when the director does not offer that, and nothing
    /// was changed.
    ///
    /// # Errors
    ///
    /// The change that was refused: see [`Director::info`].
    fn change_at_once(&mut self, _changes: &[&Change]) -> Result<bool, Error> {
        Ok(false)
    }
}

/// The table by one question for the services and one for each of them.
pub(super) fn table_in_pieces<D: Director + ?Sized>(director: &mut D) -> Result<Vec<Group>, Error> {
    director
        .services()?
        .into_iter()
        .map(|service| {
            let destinations = director.destinations(&service.service.id)?;
            Ok(Group {
                service,
                destinations,
            })
        })
        .collect()
}

/// Each change by itself.
pub(super) fn change_one_by_one<D: Director + ?Sized>(
    director: &mut D,
    changes: &[&Change],
) -> Result<(), (usize, Error)> {
    for (done, change) in changes.iter().enumerate() {
        director.change(change).map_err(|error| (done, error))?;
    }
    Ok(())
}
