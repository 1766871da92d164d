// SPDX-License-Identifier: GPL-2.0-only

//! The settings of a namespace's director, in `/proc/sys/net/ipv4/vs`.
//!
//! `Documentation/proc.rst` says what they mean to administrators.

use crate::{director::Director, path::hooks::Coverage, state::settings::Settings};
use core::{
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use kernel::{prelude::*, sync::Arc};
use knet::{
    errno, namespace,
    net::Net,
    sysctl::{self, Entry, Numbers},
    xdp,
};

/// Where the value of a setting is.
enum Value {
    /// A switch that packets look at.
    Switch(fn(&Settings) -> &AtomicBool),
    /// A number that packets or the slow timer look at.
    Number(fn(&Settings) -> &AtomicU32),
    /// A switch that changes which packets the director sees.
    Coverage(fn(&mut Coverage) -> &mut bool),
    /// How far packets of known connections go: see [`fast_path`].
    FastPath,
    /// The most connections that there may be.
    MostConnections,
    /// The two numbers of `sync_threshold`.
    SyncThreshold,
    /// The number of UDP ports: a power of two.
    SyncPorts,
    /// A number that an administrator of the host may change, as it stands for memory.
    OfHost(fn(&Settings) -> &AtomicU32),
    /// A list of CPUs that nobody uses.
    Cpus,
}

use Value::{MostConnections, Number, OfHost, Switch};

/// The largest number that the C director accepts.
const MOST: u32 = i32::MAX as u32;
/// The numbers that the C director accepts for most settings.
const ANY: RangeInclusive<i32> = i32::MIN..=i32::MAX;
/// The load factors of the C director's tables.
const LOAD_FACTORS: RangeInclusive<i32> = -8..=8;
/// The priorities of a thread.
const NICE: RangeInclusive<i32> = -20..=19;
/// The numbers of [`lvs_core::defence::Mode`].
const MODES: RangeInclusive<u32> = 0..=3;

static SETTINGS: [Entry<Director, Value>; 39] = [
    Entry::new(c"am_droprate", 0..=MOST, Number(|s| &s.defence.drop_rate)),
    Entry::new(c"amemthresh", 0..=MOST, Number(|s| &s.defence.threshold)),
    Entry::switch(c"backup_only", Value::Coverage(|c| &mut c.backup_only)),
    Entry::switch(c"cache_bypass", Switch(|s| &s.cache_bypass)),
    Entry::signed(
        c"conn_lfactor",
        LOAD_FACTORS,
        Number(|s| &s.unused.conn_lfactor),
    ),
    Entry::new(c"conn_max", 1..=Director::MOST_CONNECTIONS, MostConnections),
    Entry::new(c"conn_reuse_mode", 0..=3, Number(|s| &s.conn_reuse_mode)),
    Entry::switch(c"conntrack", Value::Coverage(|c| &mut c.conntrack)),
    Entry::signed(c"debug_level", ANY, Number(|s| &s.unused.debug_level)),
    Entry::new(c"drop_entry", MODES, Number(|s| &s.defence.drop_entry)),
    Entry::new(c"drop_packet", MODES, Number(|s| &s.defence.drop_packet)),
    Entry::cpus(c"est_cpulist", Value::Cpus),
    Entry::signed(c"est_nice", NICE, Number(|s| &s.unused.est_nice)),
    Entry::switch(c"expire_nodest_conn", Switch(|s| &s.expire_nodest_conn)),
    Entry::switch(
        c"expire_quiescent_template",
        Switch(|s| &s.expire_quiescent_template),
    ),
    Entry::new(c"fast_path", 0..=2, Value::FastPath),
    Entry::switch(
        c"ignore_tunneled",
        Value::Coverage(|c| &mut c.ignore_tunneled),
    ),
    Entry::new(c"lblc_expiration", 0..=MOST, Number(|s| &s.lblc_expiration)),
    Entry::new(
        c"lblcr_expiration",
        0..=MOST,
        Number(|s| &s.lblcr_expiration),
    ),
    Entry::switch(
        c"nat_icmp_send",
        Value::Coverage(|c| &mut c.unexpected_replies),
    ),
    Entry::switch(c"pmtu_disc", Switch(|s| &s.pmtu_disc)),
    Entry::new(c"route_marks", 0..=3, Number(|s| &s.route_marks)),
    Entry::switch(c"run_estimation", Switch(|s| &s.run_estimation)),
    Entry::switch(c"schedule_icmp", Switch(|s| &s.schedule_icmp)),
    Entry::new(c"secure_tcp", MODES, Number(|s| &s.defence.secure_tcp)),
    Entry::switch(c"short_cut", Value::Coverage(|c| &mut c.short_cut)),
    Entry::switch(c"sloppy_sctp", Switch(|s| &s.sloppy_sctp)),
    Entry::switch(c"sloppy_tcp", Switch(|s| &s.sloppy_tcp)),
    Entry::switch(c"snat_reroute", Switch(|s| &s.snat_reroute)),
    Entry::signed(
        c"svc_lfactor",
        LOAD_FACTORS,
        Number(|s| &s.unused.svc_lfactor),
    ),
    Entry::new(c"sync_bulk_rate", 0..=MOST, Number(|s| &s.sync_bulk_rate)),
    Entry::signed(c"sync_persist_mode", ANY, Number(|s| &s.sync_persist_mode)),
    Entry::new(c"sync_ports", 1..=MOST, Value::SyncPorts),
    Entry::new(c"sync_qlen_max", 0..=u32::MAX, OfHost(|s| &s.sync_qlen_max)),
    Entry::new(
        c"sync_refresh_period",
        0..=MOST,
        Number(|s| &s.sync_refresh_period),
    ),
    Entry::new(c"sync_retries", 0..=3, Number(|s| &s.sync_retries)),
    Entry::new(c"sync_sock_size", 0..=MOST, OfHost(|s| &s.sync_sock_size)),
    Entry::pair(c"sync_threshold", 0..=MOST, Value::SyncThreshold),
    Entry::new(c"sync_version", 0..=1, Number(|s| &s.sync_version)),
];

/// The value of `fast_path` with which XDP programs hand over frames.
const XDP: u32 = 2;

/// The value of `fast_path`: 0 without the fast path, 1 where packets come in, [`XDP`].
fn fast_path(coverage: Coverage) -> u32 {
    match (coverage.fast_path, coverage.xdp) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => XDP,
    }
}

impl sysctl::Value<Director> for Value {
    fn get(&self, director: &Director) -> Numbers {
        let settings = &director.settings;
        let number = match self {
            Switch(field) => field(settings).load(Ordering::Relaxed).into(),
            Number(field) | OfHost(field) => field(settings).load(Ordering::Relaxed),
            Self::Coverage(field) => (*field(&mut director.coverage())).into(),
            Self::FastPath => fast_path(director.coverage()),
            MostConnections => director.most_connections(),
            // C keeps the list.
            Self::Cpus => 0,
            Self::SyncPorts => settings.sync_ports.load(Ordering::Relaxed),
            Self::SyncThreshold => {
                let threshold = settings.sync_threshold.load(Ordering::Relaxed);
                return [threshold, settings.sync_period.load(Ordering::Relaxed)];
            }
        };
        [number, 0]
    }

    fn set(&self, director: &Director, numbers: Numbers) -> Result {
        let settings = &director.settings;
        let [value, second] = numbers;
        match self {
            Switch(field) => field(settings).store(value != 0, Ordering::Relaxed),
            Number(field) => {
                field(settings).store(value, Ordering::Relaxed);
                // At once, not with the next tick.
                settings.defence.update();
            }
            OfHost(_) if !namespace::caller_administers_host() => return Err(EPERM),
            OfHost(field) => field(settings).store(value, Ordering::Relaxed),
            Self::Coverage(field) => {
                director.change_coverage(|coverage| *field(coverage) = value != 0)?;
            }
            Self::FastPath => {
                // Before anything is locked.
                if value == XDP && !xdp::is_offered() {
                    return Err(errno::operation_not_supported());
                }
                director.change_coverage(|coverage| {
                    coverage.fast_path = value != 0;
                    coverage.xdp = value == XDP;
                })?;
            }
            MostConnections => director.set_most_connections(value)?,
            Self::Cpus => {}
            Self::SyncPorts if !value.is_power_of_two() => return Err(EINVAL),
            Self::SyncPorts => settings.sync_ports.store(value, Ordering::Relaxed),
            // A period of 0 means that packets do not repeat the sending.
            Self::SyncThreshold if value >= second && second != 0 => return Err(EINVAL),
            Self::SyncThreshold => {
                settings.sync_threshold.store(value, Ordering::Relaxed);
                settings.sync_period.store(second, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// The files of all settings.
pub(crate) type Directory = sysctl::Directory<Director>;

/// Creates the files of all settings of `director` in `net`. Process context.
pub(crate) fn directory(net: Net, director: Arc<Director>) -> Result<Directory> {
    Directory::new(net, c"net/ipv4/vs", &SETTINGS, director)
}
