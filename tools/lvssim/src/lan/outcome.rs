// SPDX-License-Identifier: GPL-2.0-only

//! The outcome of a run of the LAN model.

use crate::engine::{Time, SECOND};

/// The result of a run, in packets per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LanOutcome {
    /// Replies that arrived at clients.
    pub replied: f64,
    /// Requests that arrived at servers.
    pub received: f64,
    /// Packets dropped at the first director.
    pub lost_at_director: f64,
    /// Packets dropped at servers (and at the second director).
    pub lost_at_servers: f64,
    /// Frames lost in collisions that their senders did not hear.
    pub collided: f64,
    /// Mean seconds from request to reply.
    pub round_trip: f64,
    /// Frames sent on all LANs, in all.
    pub frames: u64,
    /// Requests received and packets dropped by each server of the first LAN.
    pub by_server: Vec<(f64, f64)>,
    /// By period: replies, and requests received and packets dropped by each server.
    pub series: Vec<LanPeriod>,
}

/// A period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LanPeriod {
    /// Replies a second.
    pub replied: f64,
    /// Requests received a second, by server.
    pub received: Vec<f64>,
    /// Packets dropped a second, by server.
    pub lost: Vec<f64>,
}

impl LanOutcome {
    /// Makes rates of counts: of all in so many seconds, and of periods of this length.
    pub(super) fn divide(&mut self, span: f64, series: Option<Time>) {
        for value in [
            &mut self.replied,
            &mut self.received,
            &mut self.lost_at_director,
            &mut self.lost_at_servers,
            &mut self.collided,
        ] {
            *value /= span;
        }
        for (received, lost) in &mut self.by_server {
            *received /= span;
            *lost /= span;
        }
        if let Some(length) = series {
            let length = length as f64 / SECOND as f64;
            for period in &mut self.series {
                period.replied /= length;
                period
                    .received
                    .iter_mut()
                    .for_each(|value| *value /= length);
                period.lost.iter_mut().for_each(|value| *value /= length);
            }
        }
    }
}
