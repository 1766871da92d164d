// SPDX-License-Identifier: GPL-2.0-only

//! The ring of hashes that changed.

use lvs_core::ring::Ring;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn slots(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn all(ring: &Ring, slots: &[AtomicU64], taken: &mut u32) -> Vec<u32> {
    std::iter::from_fn(|| ring.take(slots, taken)).collect()
}

#[test]
fn hashes_come_out_in_order() {
    let (ring, slots, mut taken) = (Ring::new(), slots(8), 0);
    assert_eq!(ring.take(&slots, &mut taken), None);
    for round in 0..10 {
        for hash in round..round + 5 {
            assert!(!ring.put(&slots, hash), "nothing is overwritten");
        }
        let wanted: Vec<u32> = (round..round + 5).collect();
        assert_eq!(all(&ring, &slots, &mut taken), wanted);
    }
    // Every hash is one, 0 and the largest, too.
    for hash in [0, u32::MAX] {
        ring.put(&slots, hash);
        assert_eq!(ring.take(&slots, &mut taken), Some(hash));
    }
}

/// After an overflow the newest hashes come out, and what is put in later comes out at once.
#[test]
fn a_reader_that_was_late_goes_on_with_what_is_left() {
    for late in 1..40 {
        let (ring, slots, mut taken) = (Ring::new(), slots(8), 0);
        ring.put(&slots, 1000);
        assert_eq!(ring.take(&slots, &mut taken), Some(1000));
        let overwritten = (0..8 + late).filter(|hash| ring.put(&slots, *hash)).count();
        assert_eq!(overwritten as u32, late);
        let left: Vec<u32> = (late..8 + late).collect();
        assert_eq!(all(&ring, &slots, &mut taken), left);
        for hash in 100..200 {
            assert!(!ring.put(&slots, hash), "nothing is overwritten");
            assert_eq!(ring.take(&slots, &mut taken), Some(hash));
        }
    }
}

/// Writers that overtake the reader again and again: in the end, nothing is stuck.
#[test]
fn the_last_hashes_of_several_writers_arrive() {
    const WRITERS: u32 = 3;
    const EACH: u32 = 100_000;
    let (ring, slots, mut taken) = (Ring::new(), slots(64), 0);
    let done = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (ring, slots) = (&ring, &slots);
                scope.spawn(move || {
                    for n in 0..EACH {
                        ring.put(slots, (writer << 24) | n);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                seen.extend(ring.take(&slots, &mut taken));
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
    seen.extend(all(&ring, &slots, &mut taken));
    for writer in 0..WRITERS {
        let of_writer: Vec<u32> = seen
            .iter()
            .copied()
            .filter(|hash| hash >> 24 == writer)
            .collect();
        assert!(of_writer.is_sorted(), "hashes of a writer come in order");
    }
    for hash in [7, 8, 9] {
        ring.put(&slots, hash);
    }
    assert_eq!(all(&ring, &slots, &mut taken), [7, 8, 9]);
}
