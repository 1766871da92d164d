// SPDX-License-Identifier: GPL-2.0-only

//! Settings of a namespace's director, in `/proc/sys/net/ipv4/vs`.

use crate::director::Director;
use core::ops::RangeInclusive;
use kernel::prelude::*;
use knet::sysctl::{Entry, Setting};

/// Where they are.
pub(crate) const PATH: &CStr = c"net/ipv4/vs";

/// All of them.
pub(crate) static SETTINGS: [Entry<Director>; 2] =
    [Entry::of::<ConnMax>(), Entry::of::<ShortCut>()];

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
