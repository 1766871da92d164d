// SPDX-License-Identifier: GPL-2.0-only

//! The typed command that an argument list stands for.

use crate::connections::ConnectionFilter;
use crate::model::{Change, ServiceId};

/// A command with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make one change.
    Change {
        /// The change.
        change: Box<Change>,
        /// Remarks to print before the change is made.
        notes: Vec<String>,
        /// The options that were given, by their long names.
        given: Vec<String>,
    },
    /// Print a listing.
    List(Listing),
    /// Print the table as rules.
    Save(View),
    /// Carry out the rules on standard input.
    Restore,
    /// Print a shell's completions.
    Completions(clap_complete::Shell),
    /// Print the manual page.
    Manual,
    /// Print the versions of the command and of the module.
    Version {
        /// As JSON.
        json: bool,
    },
    /// List the schedulers.
    Schedulers {
        /// As JSON.
        json: bool,
    },
}

/// A listing and its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The subject of a listing.
    pub subject: Subject,
    /// The form.
    pub view: View,
    /// As JSON.
    pub json: bool,
}

/// The subject of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The table, or one service of it.
    Table(Option<ServiceId>),
    /// Connections.
    Connections(ConnectionFilter),
    /// The timeouts.
    Timeouts,
    /// The synchronization daemons.
    Daemons,
}

/// Columns of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding, weight, connections.
    #[default]
    Plain,
    /// Counters.
    Stats,
    /// Rates.
    Rate,
    /// Thresholds.
    Thresholds,
    /// Persistent connections.
    Persistent,
    /// The plain columns and the tunnel.
    Tunnel,
}

impl Columns {
    /// Whether the columns are statistics.
    #[must_use]
    pub fn has_statistics(self) -> bool {
        matches!(self, Self::Stats | Self::Rate)
    }
}

/// The form of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which columns.
    pub columns: Columns,
    /// Addresses and ports as numbers.
    pub numeric: bool,
    /// Large figures in full.
    pub exact: bool,
    /// Sorted, not in the kernel's order.
    pub sorted: bool,
    /// Persistence engine data beside connections.
    pub engine_data: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            columns: Columns::Plain,
            numeric: false,
            exact: false,
            sorted: true,
            engine_data: false,
        }
    }
}
