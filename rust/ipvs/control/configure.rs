// SPDX-License-Identifier: GPL-2.0-only

//! What commands change: a director at once, or a transaction that changes the director later.

use crate::{
    director::{Director, Transaction},
    services::{
        destination,
        service::{self, Key},
    },
};
use kernel::prelude::*;
use lvs_core::{service::SchedulerName, Endpoint};

/// A configuration that can be changed. See the methods of [`Director`] for errors.
pub(super) trait Configure {
    /// The director, for commands that no transaction has.
    fn director(&self) -> Option<&Director>;
    /// [`ESRCH`]: there is no such service.
    fn find_service(&mut self, key: &Key) -> Result;
    /// Whether a service has a destination. [`ESRCH`]: there is no such service.
    fn has_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result<bool>;
    /// Adds a service.
    fn add_service<E: From<Error>>(
        &mut self,
        key: Key,
        scheduler: SchedulerName,
        settings: impl FnOnce() -> Result<service::Settings, E>,
    ) -> Result<(), E>;
    /// Changes a service.
    fn edit_service<E: From<Error>>(
        &mut self,
        key: &Key,
        settings: impl FnOnce(service::Settings) -> Result<service::Settings, E>,
        scheduler: SchedulerName,
    ) -> Result<(), E>;
    /// Deletes a service.
    fn delete_service(&mut self, key: &Key) -> Result;
    /// Adds a destination.
    fn add_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result;
    /// Changes a destination.
    fn edit_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result;
    /// Deletes a destination.
    fn delete_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result;
}

impl Configure for &Director {
    fn director(&self) -> Option<&Director> {
        Some(self)
    }

    fn find_service(&mut self, key: &Key) -> Result {
        Director::find_service(self, key).map(|_| ())
    }

    fn has_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result<bool> {
        Ok(Director::find_service(self, key)?.find(endpoint).is_some())
    }

    fn add_service<E: From<Error>>(
        &mut self,
        key: Key,
        scheduler: SchedulerName,
        settings: impl FnOnce() -> Result<service::Settings, E>,
    ) -> Result<(), E> {
        Director::add_service(self, key, scheduler, settings)
    }

    fn edit_service<E: From<Error>>(
        &mut self,
        key: &Key,
        settings: impl FnOnce(service::Settings) -> Result<service::Settings, E>,
        scheduler: SchedulerName,
    ) -> Result<(), E> {
        Director::edit_service(self, key, settings, scheduler)
    }

    fn delete_service(&mut self, key: &Key) -> Result {
        Director::delete_service(self, key)
    }

    fn add_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        Director::add_destination(self, key, endpoint, settings)
    }

    fn edit_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        Director::edit_destination(self, key, endpoint, settings)
    }

    fn delete_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result {
        Director::delete_destination(self, key, endpoint)
    }
}

impl Configure for Transaction<'_> {
    fn director(&self) -> Option<&Director> {
        None
    }

    fn find_service(&mut self, key: &Key) -> Result {
        Transaction::find_service(self, key)
    }

    fn has_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result<bool> {
        Transaction::has_destination(self, key, endpoint)
    }

    fn add_service<E: From<Error>>(
        &mut self,
        key: Key,
        scheduler: SchedulerName,
        settings: impl FnOnce() -> Result<service::Settings, E>,
    ) -> Result<(), E> {
        Transaction::add_service(self, key, scheduler, settings)
    }

    fn edit_service<E: From<Error>>(
        &mut self,
        key: &Key,
        settings: impl FnOnce(service::Settings) -> Result<service::Settings, E>,
        scheduler: SchedulerName,
    ) -> Result<(), E> {
        Transaction::edit_service(self, key, settings, scheduler)
    }

    fn delete_service(&mut self, key: &Key) -> Result {
        Transaction::delete_service(self, key)
    }

    fn add_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        Transaction::add_destination(self, key, endpoint, settings)
    }

    fn edit_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        Transaction::edit_destination(self, key, endpoint, settings)
    }

    fn delete_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result {
        Transaction::delete_destination(self, key, endpoint)
    }
}
