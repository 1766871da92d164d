// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::drop::Reason;
use std::collections::HashSet;

#[test]
fn reasons_are_found_by_their_numbers_and_have_places() {
    for (index, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(Reason::from_number(reason.number()), Some(reason));
        assert_eq!(reason.index(), index);
    }
    assert_eq!(Reason::from_number(0), None);
    assert_eq!(Reason::from_number(Reason::COUNT as u16 + 1), None);
}

#[test]
fn names_are_unique_and_fit_for_metrics() {
    let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Reason::COUNT);
    let fits = |c: char| c.is_ascii_lowercase() || c == '-';
    assert!(names.iter().all(|name| name.chars().all(fits)));
}
