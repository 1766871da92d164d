// SPDX-License-Identifier: GPL-2.0-only

//! When packets wait for others, so that a director handles several at once.
//!
//! While one packet of a batch waits for memory, the processor loads what the others need. That
//! pays for a table that is larger than the caches. A small one is in the caches anyway, and then
//! the wait costs more than it saves.

/// The number of connections from which packets wait: entries and buckets have 4 MiB then.
const MANY: usize = 1 << 15;
/// The number of connections below which they wait no longer, so that a table of about [`MANY`]
/// does not change its mind each second.
const FEW: usize = MANY / 4 * 3;

/// Whether packets should wait in a table of so many connections. `waits`: they do now.
pub const fn pays(waits: bool, connections: usize) -> bool {
    connections >= if waits { FEW } else { MANY }
}
