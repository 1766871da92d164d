// SPDX-License-Identifier: GPL-2.0-only

//! The director's table: every service with its destinations.

use super::destination::DestinationEntry;
use super::module::Info;
use super::service::ServiceEntry;

/// A service with its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The service.
    pub service: ServiceEntry,
    /// Its destinations, in the order in which they are listed.
    pub destinations: Vec<DestinationEntry>,
}

/// The content of a table listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Version and size of the connection table; absent when one service is listed.
    pub info: Option<Info>,
    /// Services in the order in which they are listed.
    pub groups: Vec<Group>,
}
