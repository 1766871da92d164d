// SPDX-License-Identifier: GPL-2.0-only

//! The arithmetic of the connection table; `tests/loom` has its algorithm.

use lvs_core::split_order::{crowded, place, segment_len, wants, Geometry, Target};
use std::collections::HashSet;

/// Each sentinel has a place of its own, and the segments have no other places.
#[test]
fn places_fill_the_segments() {
    for min_order in [0, 1, 4, 10] {
        for doublings in 0..4 {
            let order = min_order + doublings;
            let mut taken = HashSet::new();
            for bucket in 0..1u32 << order {
                let place = place(min_order, bucket);
                assert!(place.segment <= doublings as usize);
                assert!(place.index < segment_len(min_order, place.segment));
                assert!(taken.insert((place.segment, place.index)), "{bucket}");
            }
            let room: usize = (0..=doublings as usize)
                .map(|segment| segment_len(min_order, segment))
                .sum();
            assert_eq!(room, taken.len());
        }
    }
}

/// Doubling adds buckets in the order of the new segment, so a writer derives a sentinel's bucket
/// from its index.
#[test]
fn doubling_fills_one_segment_in_order() {
    for (segment, order) in [(1, 10), (2, 11), (14, 23)] {
        for index in [0, 1, (1 << order) - 1] {
            let place = place(10, (1 << order) | index);
            assert_eq!((place.segment, place.index), (segment, index as usize));
        }
    }
}

#[test]
fn the_size_follows_the_count() {
    for (order, count, wanted) in [
        (10, 0, 10),
        (10, 1024, 10),
        (10, 1025, 11),
        (11, 512, 11),
        (11, 511, 10),
        (23, 1 << 24, 24),
        (24, usize::MAX, 24),
    ] {
        assert_eq!(wants(10, 24, order, count), wanted, "{order} {count}");
    }
    // A table that has just grown does not shrink at once, and the reverse.
    for order in 10..24 {
        let grown = (1 << order) + 1;
        assert_eq!(wants(10, 24, order + 1, grown), order + 1);
        let shrunk = (2 << order) / 4 - 1;
        assert_eq!(wants(10, 24, order, shrunk), order);
    }
}

#[test]
fn crowded_is_twice_the_mean() {
    for (order, count, expected) in [
        (10, 32, false),
        (10, 33, true),
        (23, 1 << 18, false),
        (23, (1 << 18) + 1, true),
        (24, usize::MAX, false),
    ] {
        assert_eq!(crowded(24, 6, order, count), expected, "{order} {count}");
    }
}

#[test]
fn words_can_be_decoded() {
    for order in 0..=24 {
        for (geometry, resizing) in [
            (Geometry::settled(order), false),
            (Geometry::resizing(order), true),
        ] {
            let read = Geometry::from_word(geometry.word());
            assert_eq!((read.order(), read.is_resizing()), (order, resizing));
        }
    }
    for word in [0, 2, 0x80, usize::MAX - 1] {
        assert!(matches!(Target::from_word(word), Target::Entry(address)
            if address.map_or(0, |address| address.get()) == word));
        assert_eq!(Target::from_word(word).word(), word);
        assert_eq!(Target::from_word(word | 1), Target::Sentinel(word));
        assert_eq!(Target::from_word(word | 1).word(), word | 1);
    }
}
