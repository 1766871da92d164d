// SPDX-License-Identifier: GPL-2.0-only

//! When packets wait for others.

use lvs_core::batch::pays;

#[test]
fn packets_wait_in_large_tables_only() {
    assert!(!pays(false, 0));
    assert!(!pays(false, 32_767));
    assert!(pays(false, 32_768));
    assert!(pays(false, usize::MAX));
}

#[test]
fn the_decision_holds_while_the_number_of_connections_varies() {
    assert!(pays(true, 24_576));
    assert!(!pays(true, 24_575));
    let mut waits = false;
    let mut changes = 0;
    for round in 0..100usize {
        let now = pays(waits, 32_000 + round * 1_531 % 2_000);
        changes += u32::from(now != waits);
        waits = now;
    }
    assert_eq!(changes, 1);
}
