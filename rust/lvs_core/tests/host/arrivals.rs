// SPDX-License-Identifier: GPL-2.0-only

//! By which devices packets come in.

use lvs_core::arrivals::Arrivals;

fn learning() -> Arrivals {
    let arrivals = Arrivals::default();
    arrivals.learn(true);
    arrivals
}

#[test]
fn nothing_is_learned_at_first() {
    let arrivals = Arrivals::default();
    arrivals.note(2);
    assert_eq!(arrivals.take(), None);
}

#[test]
fn a_device_is_taken_once() {
    let arrivals = learning();
    assert_eq!(arrivals.take(), None);
    arrivals.note(2);
    assert_eq!(arrivals.take(), Some(2));
    assert_eq!(arrivals.take(), None);
}

#[test]
fn the_first_device_after_a_look_is_taken() {
    let arrivals = learning();
    arrivals.note(2);
    arrivals.note(3);
    assert_eq!(arrivals.take(), Some(2));
    arrivals.note(3);
    assert_eq!(arrivals.take(), Some(3));
}

#[test]
fn learning_ends_and_begins_anew() {
    let arrivals = learning();
    arrivals.note(2);
    arrivals.learn(false);
    assert_eq!(arrivals.take(), None);
    arrivals.note(2);
    arrivals.learn(true);
    assert_eq!(arrivals.take(), None);
}

#[test]
fn no_number_of_a_device_is_mistaken() {
    let arrivals = learning();
    for device in [0, -1, i32::MIN] {
        arrivals.note(device);
        assert_eq!(arrivals.take(), None, "{device}");
    }
    arrivals.note(i32::MAX);
    assert_eq!(arrivals.take(), Some(i32::MAX));
    // The word still learns.
    arrivals.note(7);
    assert_eq!(arrivals.take(), Some(7));
}
