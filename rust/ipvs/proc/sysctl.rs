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
    net::Net,
    sysctl::{self, Entry},
};

/// Where the value of a setting is.
enum Value {
    /// A switch that packets look at.
    Switch(fn(&Settings) -> &AtomicBool),
    /// A number that packets or the slow timer look at.
    Number(fn(&Settings) -> &AtomicU32),
    /// A switch that changes which packets the director sees.
    Coverage(fn(&mut Coverage) -> &mut bool),
    /// The most connections that there may be.
    MostConnections,
}

use Value::{MostConnections, Number, Switch};

/// The largest number that the C director accepts.
const MOST: u32 = i32::MAX as u32;
const ON_OFF: RangeInclusive<u32> = 0..=1;
/// The numbers of [`lvs_core::defence::Mode`].
const MODES: RangeInclusive<u32> = 0..=3;

static SETTINGS: [Entry<Director, Value>; 19] = [
    Entry::new(c"am_droprate", 0..=MOST, Number(|s| &s.defence.drop_rate)),
    Entry::new(c"amemthresh", 0..=MOST, Number(|s| &s.defence.threshold)),
    Entry::new(c"conn_max", 1..=Director::MOST_CONNECTIONS, MostConnections),
    Entry::new(c"conn_reuse_mode", 0..=3, Number(|s| &s.conn_reuse_mode)),
    Entry::new(c"conntrack", ON_OFF, Value::Coverage(|c| &mut c.conntrack)),
    Entry::new(c"drop_entry", MODES, Number(|s| &s.defence.drop_entry)),
    Entry::new(c"drop_packet", MODES, Number(|s| &s.defence.drop_packet)),
    Entry::new(
        c"expire_nodest_conn",
        ON_OFF,
        Switch(|s| &s.expire_nodest_conn),
    ),
    Entry::new(
        c"expire_quiescent_template",
        ON_OFF,
        Switch(|s| &s.expire_quiescent_template),
    ),
    Entry::new(
        c"ignore_tunneled",
        ON_OFF,
        Value::Coverage(|c| &mut c.ignore_tunneled),
    ),
    Entry::new(
        c"nat_icmp_send",
        ON_OFF,
        Value::Coverage(|c| &mut c.unexpected_replies),
    ),
    Entry::new(c"pmtu_disc", ON_OFF, Switch(|s| &s.pmtu_disc)),
    Entry::new(c"route_marks", 0..=3, Number(|s| &s.route_marks)),
    Entry::new(c"run_estimation", ON_OFF, Switch(|s| &s.run_estimation)),
    Entry::new(c"schedule_icmp", ON_OFF, Switch(|s| &s.schedule_icmp)),
    Entry::new(c"secure_tcp", MODES, Number(|s| &s.defence.secure_tcp)),
    Entry::new(c"short_cut", ON_OFF, Value::Coverage(|c| &mut c.short_cut)),
    Entry::new(c"sloppy_tcp", ON_OFF, Switch(|s| &s.sloppy_tcp)),
    Entry::new(c"snat_reroute", ON_OFF, Switch(|s| &s.snat_reroute)),
];

impl sysctl::Value<Director> for Value {
    fn get(&self, director: &Director) -> u32 {
        match self {
            Switch(field) => field(&director.settings).load(Ordering::Relaxed).into(),
            Number(field) => field(&director.settings).load(Ordering::Relaxed),
            Self::Coverage(field) => (*field(&mut director.coverage())).into(),
            MostConnections => director.most_connections(),
        }
    }

    fn set(&self, director: &Director, value: u32) -> Result {
        match self {
            Switch(field) => field(&director.settings).store(value != 0, Ordering::Relaxed),
            Number(field) => {
                field(&director.settings).store(value, Ordering::Relaxed);
                // At once, not with the next tick.
                director.settings.defence.update();
            }
            Self::Coverage(field) => {
                director.change_coverage(|coverage| *field(coverage) = value != 0)?;
            }
            MostConnections => director.set_most_connections(value)?,
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
