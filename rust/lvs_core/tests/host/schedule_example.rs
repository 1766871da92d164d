// SPDX-License-Identifier: GPL-2.0-only

//! The scheduler of Documentation/adding-a-scheduler.rst.

#[path = "../../../../Documentation/examples/scheduler/first.rs"]
mod first;

use crate::schedule::{letters, weights, Fake, Scheduled};
use first::FirstAvailable;
use lvs_core::scheduler::Change;

#[test]
fn first_chooses_the_first_server_that_accepts_connections() {
    let mut destinations = weights(&[1, 7, 2]);
    let scheduler = Scheduled::<FirstAvailable>::new();
    scheduler.changed(&destinations, Change::Reset);
    assert_eq!(letters(|| scheduler.select(&destinations), 3), "AAA");
    destinations[0].overloaded = true;
    assert_eq!(letters(|| scheduler.select(&destinations), 3), "BBB");
    destinations[1].weight = 0;
    assert_eq!(letters(|| scheduler.select(&destinations), 3), "CCC");
    destinations.pop();
    scheduler.changed(&destinations, Change::Removed(2));
    assert_eq!(scheduler.select(&destinations), None);
    assert_eq!(scheduler.select::<Fake>(&[]), None);
}
