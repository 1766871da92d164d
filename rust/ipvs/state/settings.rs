// SPDX-License-Identifier: GPL-2.0-only

//! The settings that packets look at. What they mean to administrators is said in
//! `Documentation/proc.rst`; their files are those of `sysctl`.

use crate::state::defence::Defence;
use core::sync::atomic::{AtomicBool, AtomicU32};

/// Settings that are on or off. Any context.
pub struct Settings {
    /// Connections are tracked by conntrack.
    pub conntrack: AtomicBool,
    /// Connections to a server that was deleted end with their next packet.
    pub expire_nodest_conn: AtomicBool,
    /// A client's template ends when its server is quiesced.
    pub expire_quiescent_template: AtomicBool,
    /// Real servers by NAT are told when what they send is of no connection.
    pub nat_icmp_send: AtomicBool,
    /// A tunnel's packets are not cut up where their senders forbid it: these learn the path's MTU.
    pub pmtu_disc: AtomicBool,
    /// Rates are estimated.
    pub run_estimation: AtomicBool,
    /// Errors about packets of no connection go to the server that the scheduler has for the client.
    pub schedule_icmp: AtomicBool,
    /// Connections of TCP that the director has not seen from the beginning are balanced.
    pub sloppy_tcp: AtomicBool,
    /// When a client uses a port again its connection is scheduled anew: see `Path::begins_anew`.
    pub conn_reuse_mode: AtomicU32,
    /// What is done against floods.
    pub defence: Defence,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            conntrack: AtomicBool::new(false),
            expire_nodest_conn: AtomicBool::new(false),
            expire_quiescent_template: AtomicBool::new(false),
            nat_icmp_send: AtomicBool::new(false),
            pmtu_disc: AtomicBool::new(true),
            run_estimation: AtomicBool::new(true),
            schedule_icmp: AtomicBool::new(false),
            sloppy_tcp: AtomicBool::new(false),
            conn_reuse_mode: AtomicU32::new(REUSE_CLOSED),
            defence: Defence::default(),
        }
    }
}

/// Of [`Settings::conn_reuse_mode`]: a connection that is over is scheduled anew.
pub(crate) const REUSE_CLOSED: u32 = 1;
/// And so is one of which only the client's end is seen, and that is closed.
pub(crate) const REUSE_CLOSING: u32 = 2;
