// SPDX-License-Identifier: GPL-2.0-only

//! Counters and rates of services and destinations.

use std::ops::Deref;

/// Counters and rates. Rates are per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Connections per second.
    pub connection_rate: u64,
    /// Packets from clients per second.
    pub packet_rate_in: u64,
    /// Packets to clients per second.
    pub packet_rate_out: u64,
    /// Bytes from clients per second.
    pub byte_rate_in: u64,
    /// Bytes to clients per second.
    pub byte_rate_out: u64,
}

/// What a service or a destination has done. Where that is nothing it takes no room: there may be a
/// hundred thousand of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic(Option<Box<Stats>>);

impl From<Stats> for Traffic {
    fn from(stats: Stats) -> Self {
        Self((stats != Stats::default()).then(|| Box::new(stats)))
    }
}

impl Deref for Traffic {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        const NONE: &Stats = &Stats {
            connections: 0,
            packets_in: 0,
            packets_out: 0,
            bytes_in: 0,
            bytes_out: 0,
            connection_rate: 0,
            packet_rate_in: 0,
            packet_rate_out: 0,
            byte_rate_in: 0,
            byte_rate_out: 0,
        };
        self.0.as_deref().unwrap_or(NONE)
    }
}
