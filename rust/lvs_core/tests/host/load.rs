// SPDX-License-Identifier: GPL-2.0-only

//! Load: counts and thresholds.

use lvs_core::load::{Load, Thresholds};

fn with(weight: u32, upper: u32, lower: u32) -> Load {
    let load = Load::new();
    load.set(weight, Thresholds { upper, lower });
    load
}

#[test]
fn connections_are_counted_by_activity() {
    let load = Load::new();
    load.join(false);
    load.join(true);
    load.join(true);
    assert_eq!((load.active(), load.inactive()), (2, 1));
    load.turn(true);
    assert_eq!((load.active(), load.inactive()), (3, 0));
    load.turn(false);
    load.leave(false);
    assert_eq!((load.active(), load.inactive()), (2, 0));
    assert_eq!(load.connections(), 2 << 32);
}

#[test]
fn a_connection_that_leaves_before_it_is_inactive_makes_no_count_negative() {
    let load = Load::new();
    load.join(true);
    // Two CPUs may do this out of order: the connection leaves as inactive, then becomes inactive.
    load.leave(false);
    assert_eq!((load.active(), load.inactive()), (1, 0));
    load.turn(false);
    assert_eq!((load.active(), load.inactive()), (0, 0));
    assert!(!load.is_in_use());
}

#[test]
fn the_upper_threshold_overloads_and_the_lower_one_relieves() {
    let load = with(1, 4, 2);
    for expected in [false, false, false, true, true] {
        load.join(true);
        load.judge();
        assert_eq!(load.is_overloaded(), expected);
    }
    for expected in [true, true, true, false, false] {
        load.leave(true);
        assert_eq!(load.is_overloaded(), expected);
    }
}

#[test]
fn without_a_lower_threshold_three_quarters_of_the_upper_relieve() {
    for (upper, lower, relief) in [(4, 0, 3), (1, 0, 1), (100, 0, 75), (100, 10, 10)] {
        assert_eq!(Thresholds { upper, lower }.relief(), relief);
    }
}

#[test]
fn without_an_upper_threshold_no_load_overloads() {
    let load = with(1, 0, 0);
    for _ in 0..1000 {
        load.join(false);
        assert!(!load.judge());
    }
    assert!(!load.is_overloaded());
}

#[test]
fn new_thresholds_apply_to_present_connections() {
    let load = with(1, 0, 0);
    for _ in 0..4 {
        load.join(true);
    }
    load.set(1, Thresholds { upper: 4, lower: 0 });
    assert!(load.is_overloaded());
    load.set(1, Thresholds { upper: 5, lower: 0 });
    assert!(!load.is_overloaded());
}

#[test]
fn a_refused_connection_does_not_overload() {
    let load = with(1, 2, 1);
    load.join(true);
    load.judge();
    load.join(true);
    load.leave(true);
    assert!(!load.is_overloaded());
    load.join(true);
    assert!(load.judge(), "the threshold is reached");
    assert!(!load.judge(), "nothing has changed");
    assert!(load.is_overloaded());
}

#[test]
fn a_new_weight_does_not_end_an_overload() {
    let load = with(1, 4, 2);
    for _ in 0..4 {
        load.join(true);
    }
    load.judge();
    load.leave(true);
    load.set(5, Thresholds { upper: 4, lower: 2 });
    assert!(load.is_overloaded());
    load.set(5, Thresholds { upper: 6, lower: 2 });
    assert!(!load.is_overloaded());
}

#[test]
fn a_quiesced_server_remembers_its_last_weight() {
    let load = with(7, 0, 0);
    load.set(0, Thresholds::default());
    assert_eq!((load.weight(), load.last_weight()), (0, 7));
}

#[test]
fn templates_keep_a_server_in_use() {
    let load = Load::new();
    load.join_template();
    assert!(load.is_in_use());
    assert_eq!(load.templates(), 1);
    load.leave_template();
    assert!(!load.is_in_use());
}
