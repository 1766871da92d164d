// SPDX-License-Identifier: GPL-2.0-only

//! The settings that packets look at. `Documentation/proc.rst` says what they mean to
//! administrators; their files are in [`proc`](crate::proc).

use crate::{
    services::regions,
    state::{defence::Defence, keyring::Keyring, peers::Peers},
};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use knet::memory;
use lvs_core::{reuse, scheduler::Options};

/// Settings of the C director that change nothing here. They keep what was written.
pub struct Unused {
    /// Logarithm of the load of the connection table.
    pub conn_lfactor: AtomicU32,
    /// Logarithm of the load of the service table.
    pub svc_lfactor: AtomicU32,
    /// The priority of the estimation threads.
    pub est_nice: AtomicU32,
    /// The level of debug messages.
    pub debug_level: AtomicU32,
}

/// The settings that packets look at. Any context.
pub struct Settings {
    /// Packets of a firewall mark go to their own destination if no server accepts connections.
    pub cache_bypass: AtomicBool,
    /// Conntrack tracks balanced connections.
    pub conntrack: AtomicBool,
    /// A connection to a deleted server ends with its next packet.
    pub expire_nodest_conn: AtomicBool,
    /// A client's template ends if its server is quiesced.
    pub expire_quiescent_template: AtomicBool,
    /// A real server behind NAT gets an ICMP error for a packet of no connection.
    pub nat_icmp_send: AtomicBool,
    /// Tunnel packets are not fragmented if the sender forbids it; the sender learns the path MTU.
    pub pmtu_disc: AtomicBool,
    /// Rates are estimated.
    pub run_estimation: AtomicBool,
    /// ICMP errors about unknown connections go to the server that the scheduler would choose.
    pub schedule_icmp: AtomicBool,
    /// SCTP associations are balanced even if the director has not seen their beginning.
    pub sloppy_sctp: AtomicBool,
    /// TCP connections are balanced even if the director has not seen their beginning.
    pub sloppy_tcp: AtomicBool,
    /// Replies that take no short cut are routed again by the virtual address as their source.
    pub snat_reroute: AtomicBool,
    /// Whose marks select routes: [`MARKED_REPLIES`], [`MARKED_REQUESTS`].
    pub route_marks: AtomicU32,
    /// Which connections end when the client uses its port again: [`reuse::CLOSED`],
    /// [`reuse::CLOSING`].
    pub conn_reuse_mode: AtomicU32,
    /// Seconds until `lblc` forgets an address.
    pub lblc_expiration: AtomicU32,
    /// Seconds until `lblcr` forgets an address, and until an unchanged set loses a server.
    pub lblcr_expiration: AtomicU32,
    /// Kept for programs that set them.
    pub unused: Unused,
    /// Defence against floods.
    pub defence: Defence,
    /// With more than 1, UDP connections are sent to other directors if they are used in a later
    /// second than that of their beginning.
    pub sync_threshold: AtomicU32,
    /// Kept for the C director's programs; the other number of `sync_threshold`.
    pub sync_period: AtomicU32,
    /// Seconds in which all connections are sent once; 0: [`SYNC_REFRESH_PERIOD`].
    pub sync_refresh_period: AtomicU32,
    /// Kept for the C director's programs.
    pub sync_retries: AtomicU32,
    /// The version of the datagrams that are sent.
    pub sync_version: AtomicU32,
    /// The number of UDP ports: a power of two.
    pub sync_ports: AtomicU32,
    /// Connections of a template are not sent.
    pub sync_persist_mode: AtomicU32,
    /// The number of datagrams that may wait.
    pub sync_qlen_max: AtomicU32,
    /// Octets of the buffers of sockets; 0: the defaults.
    pub sync_sock_size: AtomicU32,
    /// Megabits in a second at which the whole table is sent at once; 0: [`SYNC_BULK_RATE`].
    pub sync_bulk_rate: AtomicU32,
    /// The keys that sign datagrams.
    pub keyring: Keyring,
    /// The directors that daemons send to, instead of a multicast group.
    pub peers: Peers,
    /// The table of regions.
    pub regions: regions::Present,
}

impl Settings {
    /// The defaults of a namespace; `is_initial`: that of the host. Process context.
    pub fn new(is_initial: bool) -> Self {
        // The C director's load factors: its tables are smaller in containers.
        let (conn_lfactor, svc_lfactor): (i32, i32) = if is_initial { (-4, -3) } else { (-2, -2) };
        Self {
            cache_bypass: AtomicBool::new(false),
            conntrack: AtomicBool::new(false),
            expire_nodest_conn: AtomicBool::new(false),
            expire_quiescent_template: AtomicBool::new(false),
            nat_icmp_send: AtomicBool::new(false),
            pmtu_disc: AtomicBool::new(true),
            run_estimation: AtomicBool::new(true),
            schedule_icmp: AtomicBool::new(false),
            sloppy_sctp: AtomicBool::new(false),
            sloppy_tcp: AtomicBool::new(false),
            snat_reroute: AtomicBool::new(true),
            route_marks: AtomicU32::new(MARKED_REPLIES),
            conn_reuse_mode: AtomicU32::new(reuse::CLOSED),
            lblc_expiration: AtomicU32::new(Options::EXPIRATION),
            lblcr_expiration: AtomicU32::new(Options::EXPIRATION),
            unused: Unused {
                conn_lfactor: AtomicU32::new(conn_lfactor as u32),
                svc_lfactor: AtomicU32::new(svc_lfactor as u32),
                est_nice: AtomicU32::new(0),
                debug_level: AtomicU32::new(0),
            },
            defence: Defence::default(),
            sync_threshold: AtomicU32::new(3),
            sync_period: AtomicU32::new(50),
            sync_refresh_period: AtomicU32::new(0),
            sync_retries: AtomicU32::new(0),
            sync_version: AtomicU32::new(1),
            sync_ports: AtomicU32::new(1),
            sync_persist_mode: AtomicU32::new(0),
            sync_qlen_max: AtomicU32::new(sync_qlen_max()),
            sync_sock_size: AtomicU32::new(0),
            sync_bulk_rate: AtomicU32::new(0),
            keyring: Keyring::default(),
            peers: Peers::default(),
            regions: regions::Present::default(),
        }
    }
}

/// Seconds in which all connections are sent once, by default.
pub(crate) const SYNC_REFRESH_PERIOD: u32 = 60;

/// Megabits in a second at which the whole table is sent at once, by default.
pub(crate) const SYNC_BULK_RATE: u32 = 200;

/// The default of [`Settings::sync_qlen_max`], that of the C director.
fn sync_qlen_max() -> u32 {
    u32::try_from(memory::buffer_pages() / 32).unwrap_or(u32::MAX)
}

impl Settings {
    /// The mark of a packet that goes to a client or to a server, as far as it selects a route.
    #[inline(always)]
    pub(crate) fn routing_mark(&self, whose: u32, mark: u32) -> u32 {
        match self.route_marks.load(Ordering::Relaxed) & whose {
            0 => 0,
            _ => mark,
        }
    }

    /// Returns the settings for known connections. Any context.
    pub(crate) fn reuse(&self) -> reuse::Settings {
        reuse::Settings {
            mode: self.conn_reuse_mode.load(Ordering::Relaxed),
            expires_without_server: self.expire_nodest_conn.load(Ordering::Relaxed),
        }
    }
}

/// In [`Settings::route_marks`]: packets to clients.
pub(crate) const MARKED_REPLIES: u32 = 1;
/// In [`Settings::route_marks`]: packets to servers.
pub(crate) const MARKED_REQUESTS: u32 = 2;
