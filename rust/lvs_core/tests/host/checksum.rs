// SPDX-License-Identifier: GPL-2.0-only

use crate::wire::{naive_sum, octet};
use lvs_core::checksum::{checksum, is_right, sum, udp, update, Difference};
use proptest::prelude::*;

#[test]
fn the_example_of_rfc_1071() {
    let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(sum(&data), 0xddf2);
    assert_eq!(checksum(&data), 0x220d);
}

/// RFC 1624, section 4: equation 2 of RFC 1141 would give 0xffff here.
#[test]
fn the_example_of_rfc_1624() {
    assert_eq!(update(0xdd2f, &[0x55, 0x55], &[0x32, 0x85]), 0x0000);
}

#[test]
fn sums_at_the_limits_are_right() {
    assert_eq!(sum(&[]), 0);
    assert_eq!(sum(&[0x12]), 0x1200);
    assert_eq!(sum(&[0xff, 0xff]), 0xffff);
    assert_eq!(sum(&[0xff, 0xff, 0x00, 0x01]), 0x0001);
    assert_eq!(sum(&[0xff, 0xff, 0xff]), 0xff00);
    assert_eq!(checksum(&[0; 8]), 0xffff);
    // Carries accumulate over a packet of the greatest size.
    assert_eq!(sum(&[0xff; 65535]), naive_sum(&[0xff; 65535]));
    assert_eq!(sum(&[0xff; 1 << 20]), 0xffff);
}

#[test]
fn a_computed_udp_checksum_of_zero_is_sent_as_ones() {
    assert_eq!(udp(0), 0xffff);
    assert_eq!(udp(1), 1);
    assert_eq!(udp(0xffff), 0xffff);
}

#[test]
fn no_difference_changes_nothing() {
    for check in 0..=u16::MAX {
        assert_eq!(Difference::NONE.checksum(check), check);
        assert_eq!(Difference::NONE.sum(check), check);
    }
}

#[test]
fn a_decremented_octet_is_the_difference_of_its_word() {
    let mut decremented = Difference::NONE;
    decremented.decrement_high();
    for high in 1..=u8::MAX {
        for (low, check) in [
            (0, 0),
            (17, 0x1234),
            (255, 0xfffe),
            (6, 0xfeff),
            (1, 0x0100),
        ] {
            let expected = update(check, &[high, low], &[high - 1, low]);
            assert_eq!(
                decremented.checksum(check),
                expected,
                "{high} {low} {check:x}"
            );
        }
    }
}

proptest! {
    #[test]
    fn data_with_their_checksum_are_right(
        data in proptest::collection::vec(octet(), 1..60),
        wrong in 1..=u16::MAX,
    ) {
        let mut data = [&[0x45][..], &data].concat();
        if data.len() % 2 == 1 {
            data.push(0);
        }
        let check = checksum(&data);
        data.extend(check.to_be_bytes());
        prop_assert!(is_right(&data));
        let end = data.len() - 2;
        data[end..].copy_from_slice(&(check ^ wrong).to_be_bytes());
        // The two zeros are equal.
        prop_assert_eq!(is_right(&data), checksum(&data) == 0);
        prop_assert_eq!(is_right(&data), [check, check ^ wrong].iter().all(|sum| [0, 0xffff].contains(sum)));
    }

    #[test]
    fn the_sum_equals_the_sum_by_words(data in proptest::collection::vec(octet(), 0..200)) {
        prop_assert_eq!(sum(&data), naive_sum(&data));
        prop_assert_eq!(checksum(&data), !naive_sum(&data));
    }

    /// Data of every length, with a part of it replaced.
    #[test]
    fn an_update_equals_a_recomputation(
        data in proptest::collection::vec(octet(), 1..120),
        new in proptest::collection::vec(octet(), 0..20),
        place: proptest::sample::Index,
    ) {
        let len = new.len().min(data.len());
        let new = &new[..len];
        // The offset is even, and the length is odd only at the end.
        let at = place.index((data.len() - len) / 2 + 1) * 2;
        let at = if len % 2 == 1 { data.len() - len } else { at };
        prop_assume!(at % 2 == 0);
        let mut changed = data.clone();
        changed[at..at + len].copy_from_slice(new);
        // Ones-complement arithmetic has two zeros, and only a sum of zeros is 0.
        prop_assume!(changed.iter().any(|octet| *octet != 0));
        prop_assume!(data.iter().any(|octet| *octet != 0));
        let old = &data[at..at + len];
        prop_assert_eq!(update(!naive_sum(&data), old, new), !naive_sum(&changed));

        let mut difference = Difference::NONE;
        difference.replace(old, new);
        prop_assert_eq!(difference.sum(naive_sum(&data)), naive_sum(&changed));
    }

    /// Several replacements add up, in any order.
    #[test]
    fn several_differences_add_up(
        data in proptest::collection::vec(octet(), 16),
        a: [u8; 2],
        b: [u8; 4],
    ) {
        let mut changed = data.clone();
        changed[2..4].copy_from_slice(&a);
        changed[8..12].copy_from_slice(&b);
        changed[15] |= 1;
        let mut data = data;
        data[15] |= 1;
        let mut difference = Difference::NONE;
        difference.replace(&data[8..12], &b);
        difference.replace(&data[2..4], &a);
        prop_assert_eq!(difference.checksum(!naive_sum(&data)), !naive_sum(&changed));

        // Each is made in place. Then all are taken together.
        let check = !naive_sum(&data);
        let (mut first, mut second) = (Difference::NONE, Difference::NONE);
        first.put(data[8..].first_chunk_mut().unwrap(), b);
        second.put(data[2..].first_chunk_mut().unwrap(), a);
        prop_assert_eq!(&data, &changed);
        first.add(second);
        prop_assert_eq!(first.checksum(check), !naive_sum(&changed));
    }
}
