// SPDX-License-Identifier: GPL-2.0-only

//! Sequence numbers of a changed stream, compared with the stream itself.

use lvs_core::sequence::{forbid_selective, Deltas};
use proptest::prelude::*;

/// A segment: its length, and by how much the director makes it longer.
type Segment = (u16, i16);

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let changed = (23u16..200, -15i16..=15);
    let unchanged = (1u16..1400, Just(0i16));
    prop::collection::vec(prop_oneof![1 => changed, 3 => unchanged], 1..40)
}

proptest! {
    /// A sender may send any segment again behind the last changed one but one, and a receiver may
    /// acknowledge any boundary from there on.
    #[test]
    fn both_ends_see_consistent_numbers(first in any::<u32>(), stream in segments(), order in any::<u64>()) {
        let mut deltas = Deltas::default();
        // The boundaries since the last change but one: the sender's number and the receiver's.
        let mut open = vec![(first, first)];
        let (mut sent, mut seen) = (first, first);
        let mut last_changed = None;
        for (index, (len, change)) in stream.into_iter().enumerate() {
            if change != 0 {
                if let Some(from) = last_changed.replace(open.len() - 1) {
                    open.drain(..=from);
                    last_changed = Some(open.len() - 1);
                }
                prop_assert_eq!(deltas.translate(sent), seen);
                deltas = deltas.changed(sent, change).unwrap();
            }
            prop_assert_eq!(deltas.translate(sent), seen);
            sent = sent.wrapping_add(len.into());
            seen = seen.wrapping_add_signed(i32::from(len) + i32::from(change));
            open.push((sent, seen));
            // What is sent again is translated as before, and changes nothing.
            let (again, expected) = open[(order >> (index % 60)) as usize % open.len()];
            prop_assert_eq!(deltas.translate(again), expected, "{:?}", deltas);
            prop_assert_eq!(deltas.restore(expected), again, "{:?}", deltas);
            if last_changed.is_some_and(|at| open[at].0 == again) {
                prop_assert_eq!(deltas.changed(again, change.max(1)), Some(deltas));
            }
            prop_assert_eq!(Deltas::unpack(deltas.pack()), deltas);
        }
    }

    #[test]
    fn options_of_any_kind_are_walked(options in prop::collection::vec(0u8..6, 0..40)) {
        if let Some(at) = forbid_selective(&options) {
            prop_assert_eq!(&options[at..at + 2], &[4, 2]);
        }
    }
}

#[test]
fn an_unchanged_stream_has_no_shift() {
    let deltas = Deltas::default();
    assert_eq!(deltas.pack(), 0);
    for number in [0, 1, u32::MAX, 1 << 31] {
        assert_eq!(deltas.translate(number), number);
        assert_eq!(deltas.restore(number), number);
    }
    assert_eq!(deltas.changed(7, 0), Some(deltas));
}

#[test]
fn a_shift_that_does_not_fit_is_refused() {
    let mut deltas = Deltas::default();
    for step in 1..=2184u32 {
        deltas = deltas.changed(step * 100, 15).unwrap();
    }
    assert_eq!(deltas.changed(1_000_000, 15), None);
}

#[test]
fn selective_acknowledgment_is_found_behind_other_options() {
    let linux = [
        2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    assert_eq!(forbid_selective(&linux), Some(4));
    assert_eq!(forbid_selective(&[1, 1, 4, 2]), Some(2));
    // Behind the end of the list, cut off, or of another length.
    for options in [
        &[0, 4, 2][..],
        &[4],
        &[4, 3, 0],
        &[2, 0, 4, 2],
        &[2, 1, 4, 2],
        &[],
    ] {
        assert_eq!(forbid_selective(options), None, "{options:?}");
    }
}
