// SPDX-License-Identifier: GPL-2.0-only

//! Settings of a namespace's director, in `/proc/sys/net/ipv4/vs`.

use crate::{director::Director, path::Switches};
use core::{
    marker::PhantomData,
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, Ordering},
};
use kernel::prelude::*;
use knet::sysctl::{Entry, Setting};

/// Where they are.
pub(crate) const PATH: &CStr = c"net/ipv4/vs";

/// All of them.
pub(crate) static SETTINGS: [Entry<Director>; 4] = [
    Entry::of::<ConnMax>(),
    Entry::of::<OnOff<Conntrack>>(),
    Entry::of::<OnOff<ExpireQuiescentTemplate>>(),
    Entry::of::<ShortCut>(),
];

/// How many connections there may be.
struct ConnMax;

impl Setting for ConnMax {
    type Of = Director;
    const NAME: &'static CStr = c"conn_max";
    const RANGE: RangeInclusive<u32> = 1..=Director::MOST_CONNECTIONS;

    fn get(director: &Director) -> u32 {
        director.most_connections()
    }

    fn set(director: &Director, value: u32) -> Result {
        director.set_most_connections(value);
        Ok(())
    }
}

/// Whether packets of known connections are caught before routing, or take the way that firewalls
/// expect.
struct ShortCut;

impl Setting for ShortCut {
    type Of = Director;
    const NAME: &'static CStr = c"short_cut";
    const RANGE: RangeInclusive<u32> = 0..=1;

    fn get(director: &Director) -> u32 {
        director.short_cut().into()
    }

    fn set(director: &Director, value: u32) -> Result {
        director.set_short_cut(value != 0)
    }
}

/// A setting that is on or off.
trait Switch: Send + Sync + 'static {
    const NAME: &'static CStr;

    fn of(switches: &Switches) -> &AtomicBool;
}

/// A [`Switch`] as a setting.
struct OnOff<S>(PhantomData<S>);

impl<S: Switch> Setting for OnOff<S> {
    type Of = Director;
    const NAME: &'static CStr = S::NAME;
    const RANGE: RangeInclusive<u32> = 0..=1;

    fn get(director: &Director) -> u32 {
        S::of(&director.switches).load(Ordering::Relaxed).into()
    }

    fn set(director: &Director, value: u32) -> Result {
        S::of(&director.switches).store(value != 0, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether connections are tracked by conntrack.
struct Conntrack;

impl Switch for Conntrack {
    const NAME: &'static CStr = c"conntrack";

    fn of(switches: &Switches) -> &AtomicBool {
        &switches.conntrack
    }
}

/// Whether a client of a persistent service gets another server when its own is quiesced.
struct ExpireQuiescentTemplate;

impl Switch for ExpireQuiescentTemplate {
    const NAME: &'static CStr = c"expire_quiescent_template";

    fn of(switches: &Switches) -> &AtomicBool {
        &switches.expire_quiescent_template
    }
}
