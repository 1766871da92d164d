// SPDX-License-Identifier: GPL-2.0-only

//! The typed command that an argument list stands for.

use crate::connections::ConnectionFilter;
use crate::model::{Change, ServiceId};

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Change one thing. `notes` is what the user should know about it.
    Change {
        /// What to change.
        change: Box<Change>,
        /// Said before it is done.
        notes: Vec<String>,
    },
    /// Show something.
    List(Listing),
    /// Print the rules that make the table as it is.
    Save(View),
    /// Carry out the rules from standard input.
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
}

/// What to show, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What to show.
    pub subject: Subject,
    /// How to show it.
    pub view: View,
    /// As JSON.
    pub json: bool,
}

/// What to show.
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
    /// Whether they are about what services have done.
    #[must_use]
    pub fn has_statistics(self) -> bool {
        matches!(self, Self::Stats | Self::Rate)
    }
}

/// How to show the table.
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
