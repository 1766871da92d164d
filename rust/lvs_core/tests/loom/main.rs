// SPDX-License-Identifier: GPL-2.0-only

//! Models of the connection table ([`lvs_core::buckets`], here) and of the schedulers' ranking
//! ([`ranking`]). loom runs each scenario in every interleaving of its threads, and with every
//! value that the memory orderings allow a load to return.
//!
//! In all scenarios here, a lookup takes at most as many steps as there are nodes, and no thread
//! reads freed memory ([`table`] checks both).

mod ranking;
mod route_cache;
mod table;

use loom::{sync::Arc, thread};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use table::{Table, FAR};

/// A table that grows from one bucket to two and shrinks again, in one shard.
type One = Table<0, 1>;
/// A table that grows from two buckets to four and shrinks again, in two shards.
type Two = Table<1, 2>;

/// Hashes of the entries 1, 2, 3 and 4 in a table of [`One`]: two on each side of the sentinel of
/// bucket 1. Two are equal, and there is room beside the sentinel for [`NEW`].
const ONE: [u32; 4] = [0, 2, 5, 5];
/// The same in an order that puts others into the slots: one of each half, and two into the list.
const REVERSED: [u32; 4] = [5, 5, 2, 0];
/// The same with two of the upper half in slots, which find free slots when the table shrinks.
const UPPER: [u32; 4] = [5, 7, 2, 5];
/// Hashes of an entry just before that sentinel, and just behind it.
const NEW: [u32; 2] = [6, 1];
/// The same in one bucket of [`Two`], around the sentinel of bucket 3, and one in the other.
const TWO: [u32; 5] = [1, 5, 3, 7, 0];

/// Runs `scenario` in all interleavings, or in those with up to that many preemptions. There must
/// be at least `least`: with fewer, the threads do not meet.
fn explore(preemptions: Option<usize>, least: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    let begun = std::time::Instant::now();
    model.check(move || {
        counter.fetch_add(1, Relaxed);
        scenario();
    });
    let count = count.load(Relaxed);
    println!("{count} executions in {:.1?}", begun.elapsed());
    assert!(count >= least, "only {count} executions");
}

/// Runs `work` on `table` in a new thread.
fn beside<T: Send + Sync + 'static, R: 'static>(
    table: &Arc<T>,
    work: impl FnOnce(&T) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let table = table.clone();
    thread::spawn(move || work(&table))
}

/// Looks up each entry in turn while `resize` runs.
fn look_up_during(least: usize, prepare: fn(&One), resize: fn(&One)) {
    for (hashes, preemptions) in [(ONE, None), (REVERSED, None), (UPPER, Some(3))] {
        for (entry, hash) in (1..).zip(hashes) {
            explore(preemptions, least, move || {
                let table = Arc::new(One::new(4, 3, &hashes));
                prepare(&table);
                let resizer = beside(&table, resize);
                assert!(table.has(entry, hash), "missed");
                resizer.join().unwrap();
            });
        }
    }
}

#[test]
fn growing_hides_no_entry() {
    look_up_during(20, |_| {}, |table| table.grow());
}

#[test]
fn shrinking_hides_no_entry() {
    look_up_during(20, |table| table.grow(), |table| table.shrink());
}

#[test]
fn growing_and_shrinking_hides_no_entry() {
    let resize = |table: &One| {
        table.grow();
        table.shrink();
    };
    look_up_during(50, |_| {}, resize);
}

#[test]
fn shrinking_and_growing_hides_no_entry() {
    let resize = |table: &One| {
        table.shrink();
        table.grow();
    };
    look_up_during(50, |table| table.grow(), resize);
}

/// Several buckets, so readers also start at a bucket while another is split.
#[test]
fn resizing_a_larger_table_hides_no_entry() {
    for (entry, hash) in (1..).zip(TWO) {
        explore(None, 50, move || {
            let table = Arc::new(Two::new(5, 1, &TWO));
            let resizer = beside(&table, move |table| {
                table.grow();
                table.shrink();
            });
            assert!(table.has(entry, hash), "missed");
            resizer.join().unwrap();
        });
    }
}

/// A grace period waits for one of the readers and not for the other.
#[test]
fn a_grace_period_waits_only_for_earlier_readers() {
    explore(Some(3), 100, || {
        let table = Arc::new(One::new(4, 2, &ONE));
        let resizer = beside(&table, move |table| {
            table.grow();
            table.shrink();
        });
        let reader = beside(&table, move |table| assert!(table.has(4, 5), "missed"));
        assert!(table.has(3, 5), "missed");
        resizer.join().unwrap();
        reader.join().unwrap();
    });
}

/// The hint for a lookup is an entry with the hash if a slot has one, or if it is alone in a list.
#[test]
fn a_hint_is_the_entry() {
    explore(None, 1, || {
        let [even, odd, last] = [0x0200_0002, 0x0500_0005, 0x0400_0004];
        let table = One::new(4, 1, &[even, odd, odd, last]);
        for hash in [even, odd] {
            assert_eq!(table.candidate(hash), Some(hash));
        }
        table.grow();
        for hash in [even, odd, last] {
            assert_eq!(table.candidate(hash), Some(hash));
        }
    });
}

/// Hints never lead to memory that was freed, whatever happens meanwhile.
#[test]
fn hints_lead_to_no_freed_memory() {
    explore(Some(3), 100, || {
        let table = Arc::new(One::new(4, 2, &ONE));
        let resizer = beside(&table, move |table| {
            table.grow();
            table.shrink();
        });
        let remover = beside(&table, move |table| {
            assert!(table.remove(2, 2), "not removed");
            table.free(2);
        });
        assert!(table.candidate(5).is_some());
        table.candidate(2);
        resizer.join().unwrap();
        remover.join().unwrap();
    });
}

/// Inserts one entry and removes another, on the path to the entry that is looked up. The new
/// entry finds a free slot, or none, or cannot be in one, or has the hash of one in a slot.
fn write_during(prepare: fn(&One), resize: fn(&One)) {
    let [before, behind] = NEW.map(|hash| (5, hash));
    for (hashes, removed, wanted, new) in [
        (ONE, 2, 3, [before, behind]),
        (REVERSED, 3, 1, [(5, 5), (FAR, 5)]),
    ] {
        for (new, hash) in new {
            explore(Some(2), 1000, move || {
                let table = Arc::new(One::new(FAR, 3, &hashes));
                prepare(&table);
                let resizer = beside(&table, resize);
                let inserter = beside(&table, move |table| {
                    assert!(table.insert(new, hash), "not inserted")
                });
                let remover = beside(&table, move |table| {
                    assert!(table.remove(removed, 2), "not removed");
                    table.free(removed);
                });
                assert!(table.has(wanted, 5), "missed");
                for thread in [resizer, inserter, remover] {
                    thread.join().unwrap();
                }
                for (entry, hash) in (1..).zip(hashes) {
                    let there = entry != removed;
                    assert_eq!(table.has(entry, hash), there, "entry {entry} in the end");
                }
                assert!(table.has(new, hash), "the new entry in the end");
                assert!(hash != 5 || table.first(5) == Some(new), "the newest first");
            });
        }
    }
}

#[test]
fn writers_during_growing_hide_no_entry() {
    write_during(|_| {}, |table| table.grow());
}

#[test]
fn writers_during_shrinking_hide_no_entry() {
    write_during(|table| table.grow(), |table| table.shrink());
}

/// A thread does not find an entry after it has removed it, during any resize.
#[test]
fn a_removed_entry_is_not_found() {
    for (entry, hash) in (1..).zip(ONE) {
        explore(Some(3), 100, move || {
            let table = Arc::new(One::new(4, 2, &ONE));
            let resizer = beside(&table, move |table| {
                table.grow();
                table.shrink();
            });
            assert!(table.remove(entry, hash), "not removed");
            assert!(!table.has(entry, hash), "found after its removal");
            assert!(!table.remove(entry, hash), "removed twice");
            resizer.join().unwrap();
            assert_eq!(table.order(), 0);
        });
    }
}

/// A thread finds an entry after it has inserted it, during any resize.
#[test]
fn an_inserted_entry_is_found() {
    for new in NEW {
        explore(Some(3), 20, move || {
            let table = Arc::new(One::new(5, 2, &ONE));
            let resizer = beside(&table, move |table| {
                table.grow();
                table.shrink();
            });
            assert!(table.insert(5, new), "not inserted");
            assert!(table.has(5, new), "missed after its insertion");
            resizer.join().unwrap();
        });
    }
}

/// Of entries with the same hash, a reader finds the one that was inserted last.
#[test]
fn the_newest_entry_is_found_first() {
    explore(None, 1, || {
        let table = One::new(4, 0, &[5, 5, 4, 6]);
        assert_eq!(table.first(5), Some(2));
    });
}

/// A listing visits lasting entries once and in order, while `other` changes the rest. Entries that
/// move are in a list, or in slots.
fn list_during(least: usize, prepare: fn(&Two), other: fn(&Two)) {
    for (hashes, order) in [(TWO, [5usize, 1, 3, 4]), ([3, 5, 7, 1, 0], [5, 4, 1, 3])] {
        explore(Some(2), least, move || {
            let table = Arc::new(Two::new(6, 1, &hashes));
            prepare(&table);
            let other = beside(&table, other);
            let met = table.list();
            let (changed, stay): (Vec<usize>, Vec<usize>) =
                met.iter().partition(|&&entry| entry == 2 || entry == 6);
            assert_eq!(stay, order, "of {met:?}");
            for entry in [2, 6] {
                let times = changed.iter().filter(|&&other| other == entry).count();
                assert!(times <= 1, "{met:?}");
            }
            other.join().unwrap();
        });
    }
}

#[test]
fn a_listing_during_growing_is_complete() {
    list_during(
        20,
        |_| {},
        |table| {
            assert!(table.insert(6, 9), "not inserted");
            table.grow();
            assert!(table.remove(2, 5), "not removed");
        },
    );
}

#[test]
fn a_listing_during_shrinking_is_complete() {
    list_during(20, Two::grow, |table| {
        assert!(table.remove(2, 5), "not removed");
        table.shrink();
        assert!(table.insert(6, 9), "not inserted");
    });
}

/// A reader finds the old entry or the new one during any resize, and then the rest of the list.
#[test]
fn replacing_an_entry_hides_no_entry() {
    // One that is in a slot at first, and one that is in the list.
    for old in [1, 3] {
        replacing_hides_no_entry(old, ONE[old - 1]);
    }
}

fn replacing_hides_no_entry(old: usize, hash_of_old: u32) {
    for (wanted, hash) in (1..).zip(ONE) {
        explore(Some(2), 20, move || {
            let table = Arc::new(One::new(5, 2, &ONE));
            let resizer = beside(&table, move |table| {
                table.grow();
                table.shrink();
            });
            let writer = beside(&table, move |table| {
                assert!(table.replace(old, 5, hash_of_old), "not replaced");
            });
            let found = match wanted == old {
                true => table.has(old, hash) || table.has(5, hash),
                false => table.has(wanted, hash),
            };
            assert!(found, "missed {wanted}");
            writer.join().unwrap();
            resizer.join().unwrap();
            assert!(!table.has(old, hash_of_old), "found after it was replaced");
            assert!(
                table.has(5, hash_of_old),
                "missed after it replaced another"
            );
        });
    }
}

/// Two CPUs insert an entry of the same connection. The home of its key has room, has no room, or
/// gets room in the meantime. Exactly one of the two entries stays.
#[test]
fn a_connection_of_a_crowded_key_is_inserted_once() {
    const HOME: u32 = 1;
    // In the same shard and in the other one.
    for apart in [6, 7] {
        for full in [true, false] {
            explore(Some(3), 50, move || {
                let home: &[u32] = if full { &[HOME] } else { &[] };
                let table = Arc::new(Two::new(3, 0, home));
                let same = |entry| entry == 2 || entry == 3;
                let other = beside(&table, move |table| {
                    table.insert_bounded(2, HOME, apart, same)
                });
                let remover = beside(&table, move |table| full && table.remove(1, HOME));
                let mut inserted = u32::from(table.insert_bounded(3, HOME, apart, same));
                inserted += u32::from(other.join().unwrap());
                remover.join().unwrap();
                assert_eq!(inserted, 1, "of two");
                let there = [2, 3]
                    .into_iter()
                    .filter(|&entry| table.has(entry, HOME) || table.has(entry, apart));
                assert_eq!(there.count(), 1, "in the table");
            });
        }
    }
}
