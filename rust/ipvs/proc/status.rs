// SPDX-License-Identifier: GPL-2.0-only

//! The file `/proc/net/ip_vs_status`: how full the director is.
//!
//! The fields of the C director come first, in its order and format. Those of this director follow.

use crate::{
    director::Director,
    state::{listing, tables::Tables},
};
use core::{marker::PhantomData, sync::atomic::Ordering};
use kernel::{prelude::*, seq_file::SeqFile, seq_print};
use knet::{namespace::Instance, procfs::Content, work};
use lvs_core::sync::Event;

/// How full the director is, a line each, as a name and a number.
pub(crate) struct Status<I>(PhantomData<fn() -> I>);

impl<I: Instance + AsRef<Director>> Content for Status<I> {
    type Of = I;
    const NAME: &'static CStr = c"ip_vs_status";
    // Reading it takes a walk over the table.
    const MODE: u16 = 0o440;

    fn show(instance: &I, file: &SeqFile) {
        let director = instance.as_ref();
        let occupancy = director.occupancy();
        let tables = director.tables();
        let unused = &director.settings.unused;
        let factor = |factor: &core::sync::atomic::AtomicU32| factor.load(Ordering::Relaxed) as i32;
        seq_print!(file, "Conns:\t{}\n", occupancy.connections);
        seq_print!(
            file,
            "Conn buckets:\t{} ({} bits, lfactor {})\n",
            occupancy.buckets,
            occupancy.buckets.checked_ilog2().unwrap_or(0),
            factor(&unused.conn_lfactor)
        );
        if let Some(tables) = tables.as_ref().filter(|_| occupancy.connections != 0) {
            Lengths::of_connections(tables, occupancy.buckets).show(file, "Conn");
        }
        let services = director.services().map_or(0, |services| services.len());
        let buckets = tables.as_ref().map_or(0, |tables| tables.services.size());
        seq_print!(file, "Services:\t{}\n", services);
        seq_print!(
            file,
            "Service buckets:\t{} ({} bits, lfactor {})\n",
            buckets,
            buckets.checked_ilog2().unwrap_or(0),
            factor(&unused.svc_lfactor)
        );
        if let Some(tables) = tables.as_ref().filter(|_| services != 0) {
            let mut lengths = Lengths::default();
            tables.services.lengths(|length| lengths.add(length));
            lengths.show(file, "Service");
        }
        // There are no threads that estimate.
        seq_print!(file, "Stats thread slots:\t0 (max 0)\n");
        seq_print!(file, "Stats chain max len:\t0\n");
        seq_print!(file, "Stats thread ests:\t0\n");

        seq_print!(file, "Conn max:\t{}\n", director.most_connections());
        seq_print!(file, "Conns refused:\t{}\n", occupancy.refused);
        seq_print!(file, "Conns dropped:\t{}\n", occupancy.dropped);
        seq_print!(file, "Conns apart:\t{}\n", occupancy.apart);
        seq_print!(file, "Half-open evicted:\t{}\n", occupancy.evicted);
        seq_print!(file, "Fast path devices:\t{}\n", occupancy.devices);
        seq_print!(file, "Fast path packets:\t{}\n", occupancy.early);
        // Shown once XDP has taken frames.
        if occupancy.frames != 0 {
            seq_print!(file, "Fast path frames:\t{}\n", occupancy.frames);
        }
        // Only in a large table do packets wait.
        if occupancy.waited != 0 {
            seq_print!(file, "Fast path waits:\t{}\n", occupancy.waited);
        }
        if let Some(tables) = tables {
            let redispatched = tables.redispatched.load(Ordering::Relaxed);
            // Only services with this setting have them.
            if redispatched != 0 {
                seq_print!(file, "Conns redispatched:\t{}\n", redispatched);
            }
            for (name, number) in [
                ("refused", &tables.helper.refused),
                ("skipped", &tables.helper.skipped),
            ] {
                let number = number.load(Ordering::Relaxed);
                if number != 0 {
                    seq_print!(file, "Helper {}:\t{}\n", name, number);
                }
            }
            for event in Event::ALL {
                let number = tables.synchronization.get(event);
                // Nothing is said about daemons that never ran.
                if number != 0 {
                    seq_print!(file, "Sync {}:\t{}\n", event.name(), number);
                }
            }
        }
    }
}

/// The numbers of buckets by the number of their entries: 0, 1, up to 6, and 7 or more.
#[derive(Default)]
struct Lengths([u32; 8]);

impl Lengths {
    fn add(&mut self, length: usize) {
        let last = self.0.len().wrapping_sub(1);
        if let Some(number) = self.0.get_mut(length.min(last)) {
            *number = number.wrapping_add(1);
        }
    }

    /// Those of the connection table, which has this many buckets. An entry's position in the
    /// listing begins with the bits of its bucket. Process context.
    fn of_connections(tables: &Tables, buckets: u32) -> Self {
        let mut lengths = Self::default();
        let bits = buckets.checked_ilog2().unwrap_or(0);
        let bucket_of = |key: u32| key.checked_shr(u32::BITS.wrapping_sub(bits)).unwrap_or(0);
        let (mut from, mut bucket, mut length, mut used) = (Some(0), 0, 0usize, 0u32);
        let mut steps = 0u32;
        while let Some(at) = from {
            let mut found = 0usize;
            let key = listing::rows_from(tables, at, |_| found = found.wrapping_add(1));
            if key.map(bucket_of) != Some(bucket) {
                if length != 0 {
                    lengths.add(length);
                    used = used.wrapping_add(1);
                }
                length = 0;
            }
            bucket = key.map_or(bucket, bucket_of);
            length = length.wrapping_add(found);
            from = key.and_then(|key| key.checked_add(1));
            steps = steps.wrapping_add(1);
            if steps % BATCH == 0 {
                work::yield_now();
            }
        }
        if length != 0 {
            lengths.add(length);
            used = used.wrapping_add(1);
        }
        let [empty, ..] = &mut lengths.0;
        *empty = buckets.saturating_sub(used);
        lengths
    }

    fn show(&self, file: &SeqFile, whose: &str) {
        let percent = |part: u32, of: u32| u64::from(part).wrapping_mul(100) / u64::from(of.max(1));
        let [empty, rest @ ..] = &self.0;
        let used: u32 = rest.iter().fold(0, |sum, number| sum.wrapping_add(*number));
        seq_print!(
            file,
            "{} buckets empty:\t{} ({}%)\n",
            whose,
            empty,
            percent(*empty, used.wrapping_add(*empty))
        );
        for (number, length) in rest.iter().zip(1..) {
            if *number != 0 {
                let share = percent(*number, used);
                seq_print!(
                    file,
                    "{} buckets len-{}:\t{} ({}%)\n",
                    whose,
                    length,
                    number,
                    share
                );
            }
        }
    }
}

/// Positions between two yields to other work.
const BATCH: u32 = 64;
