// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers that keep the server of an address.

use crate::schedule::{flow, loads, weights, Fake, Scheduled};
use lvs_core::regions::Regions;
use lvs_core::scheduler::{
    Algorithm, Change, Flow, LocalityBasedLeastConnection as Lblc,
    LocalityBasedWithReplication as Lblcr, Options,
};
use lvs_core::{Address, Endpoint};

const DAY: u32 = 24 * 60 * 60;

/// A connection to address number `address`, in second `now`.
fn to(address: u32, now: u32) -> Flow<'static> {
    Flow {
        virtual_endpoint: Endpoint::new(Address::from_v4(address.to_be_bytes()), 80),
        now,
        regions: Regions::NONE,
        ..flow(1)
    }
}

fn scheduled<A: Algorithm>(destinations: &[Fake]) -> Scheduled<A> {
    let scheduler = Scheduled::new();
    scheduler.changed(destinations, Change::Reset);
    scheduler
}

/// Sets the number of active connections of a server.
fn load<A: Algorithm>(
    scheduler: &Scheduled<A>,
    destinations: &mut [Fake],
    index: usize,
    active: u32,
) {
    destinations[index].active = active;
    scheduler.load_changed(destinations, index);
}

fn stays<A: Algorithm>() {
    let mut destinations = weights(&[10, 10, 10]);
    let scheduler = scheduled::<A>(&destinations);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(0));
    load(&scheduler, &mut destinations, 0, 1);
    assert_eq!(scheduler.select_for(&destinations, &to(2, 0)), Some(1));
    load(&scheduler, &mut destinations, 1, 9);
    // Each address stays, regardless of loads, up to the weight.
    for (now, (one, other)) in (0..).zip([(10, 0), (0, 10), (5, 5)]) {
        load(&scheduler, &mut destinations, 0, one);
        load(&scheduler, &mut destinations, 1, other);
        assert_eq!(scheduler.select_for(&destinations, &to(1, now)), Some(0));
        assert_eq!(scheduler.select_for(&destinations, &to(2, now)), Some(1));
    }
    // The load exceeds the weight, but no server has less than half of its weight.
    load(&scheduler, &mut destinations, 0, 11);
    load(&scheduler, &mut destinations, 1, 5);
    load(&scheduler, &mut destinations, 2, 6);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 9)), Some(0));
    // Now a server has less than half.
    load(&scheduler, &mut destinations, 2, 4);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 9)), Some(2));
}

#[test]
fn an_address_keeps_its_server_unless_that_is_overloaded() {
    stays::<Lblc>();
    stays::<Lblcr>();
}

#[test]
fn lblc_moves_an_address_permanently() {
    let mut destinations = weights(&[10, 10, 10]);
    let scheduler = scheduled::<Lblc>(&destinations);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(0));
    load(&scheduler, &mut destinations, 0, 11);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(1));
    load(&scheduler, &mut destinations, 0, 0);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(1));
}

#[test]
fn lblcr_has_a_set_that_grows_and_shrinks() {
    let mut destinations = weights(&[10; 6]);
    let scheduler = scheduled::<Lblcr>(&destinations);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(0));
    load(&scheduler, &mut destinations, 0, 11);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(1));
    // The set is 0 and 1. The less loaded of them is chosen, although 2 has less.
    load(&scheduler, &mut destinations, 1, 9);
    load(&scheduler, &mut destinations, 0, 8);
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, DAY - 1)),
        Some(0)
    );
    // A day after the last change, the most loaded server leaves the set, used or not.
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, DAY + 1)),
        Some(0)
    );
    load(&scheduler, &mut destinations, 1, 0);
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, DAY + 2)),
        Some(0)
    );
}

/// Overloads the servers from `first` on one by one, so that each joins the set of address 1.
fn fill(scheduler: &Scheduled<Lblcr>, destinations: &mut [Fake], first: usize) {
    for index in first..destinations.len() {
        assert_eq!(scheduler.select_for(destinations, &to(1, 0)), Some(index));
        load(scheduler, destinations, index, 11);
    }
}

#[test]
fn lblcr_has_sets_of_all_servers() {
    let mut destinations = weights(&[10; 200]);
    let scheduler = scheduled::<Lblcr>(&destinations);
    fill(&scheduler, &mut destinations, 0);
    // Each of them is in the set: it is chosen although the last one, which joins now, has less.
    destinations.push(weights(&[10]).remove(0));
    scheduler.changed(&destinations, Change::Added(200));
    for index in [0, 8, 63, 64, 127, 128, 199] {
        load(&scheduler, &mut destinations, index, 9);
        assert_eq!(scheduler.select_for(&destinations, &to(1, 1)), Some(index));
        load(&scheduler, &mut destinations, index, 11);
    }
}

/// The servers of a set keep their places while the list, and with it the length of sets, changes.
#[test]
fn sets_follow_their_servers_through_the_list() {
    let mut destinations = weights(&[10; 64]);
    let scheduler = scheduled::<Lblcr>(&destinations);
    fill(&scheduler, &mut destinations, 0);
    destinations.insert(10, weights(&[10]).remove(0));
    scheduler.changed(&destinations, Change::Added(10));
    for index in [9, 11, 64] {
        load(&scheduler, &mut destinations, index, 9);
        assert_eq!(scheduler.select_for(&destinations, &to(1, 1)), Some(index));
        load(&scheduler, &mut destinations, index, 11);
    }
    destinations.remove(0);
    scheduler.changed(&destinations, Change::Removed(0));
    for index in [0, 8, 10, 63] {
        load(&scheduler, &mut destinations, index, 9);
        assert_eq!(scheduler.select_for(&destinations, &to(1, 1)), Some(index));
        load(&scheduler, &mut destinations, index, 11);
    }
    // The new one is not in the set, until no other one is left.
    assert_eq!(scheduler.select_for(&destinations, &to(1, 1)), Some(9));
}

#[test]
fn the_memory_of_sets_is_bounded() {
    assert!(Lblcr::words(1_000_000, 0) - 1_000_000 <= 16384 * 66);
    let mut destinations = weights(&[10; 5_000]);
    let scheduler = scheduled::<Lblcr>(&destinations);
    // A server beyond the bound is chosen, too; no set remembers it.
    for destination in destinations.iter_mut().take(4_999) {
        destination.active = 11;
    }
    scheduler.changed(&destinations, Change::Reset);
    for _ in 0..2 {
        assert_eq!(scheduler.select_for(&destinations, &to(1, 0)), Some(4_999));
    }
}

/// `again` is the server of an address after its former server has returned: a set has both.
fn forgets<A: Algorithm>(again: usize) {
    let mut destinations = weights(&[10, 10]);
    let scheduler = scheduled::<A>(&destinations);
    assert_eq!(scheduler.select_for(&destinations, &to(1, 5)), Some(0));
    load(&scheduler, &mut destinations, 0, 5);
    // It is forgotten after a day without use, and not before.
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 4 + DAY)),
        Some(0)
    );
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 2 * DAY)),
        Some(0)
    );
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 3 * DAY)),
        Some(1)
    );
    // If it is quiesced or overloaded, another one is chosen and kept.
    destinations[1].weight = 0;
    scheduler.changed(&destinations, Change::Edited(1));
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 3 * DAY)),
        Some(0)
    );
    destinations[1].weight = 10;
    scheduler.changed(&destinations, Change::Edited(1));
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 3 * DAY)),
        Some(again)
    );
    destinations[0].overloaded = true;
    scheduler.load_changed(&destinations, 0);
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 3 * DAY)),
        Some(1)
    );
    destinations[1].overloaded = true;
    scheduler.load_changed(&destinations, 1);
    assert_eq!(
        scheduler.select_for(&destinations, &to(1, 3 + 3 * DAY)),
        None
    );
}

#[test]
fn unused_addresses_are_forgotten() {
    forgets::<Lblc>(0);
    forgets::<Lblcr>(1);
}

/// Addresses keep their servers while others are added and deleted.
#[test]
fn addresses_follow_their_servers_through_the_list() {
    let mut destinations = loads(&[(9, 3, 0), (9, 0, 0), (9, 2, 0)]);
    for (host, server) in (1..).zip(&mut destinations) {
        server.host = host;
    }
    let scheduler = scheduled::<Lblc>(&destinations);
    assert_eq!(scheduler.select_for(&destinations, &to(7, 0)), Some(1));
    load(&scheduler, &mut destinations, 1, 5);
    destinations.remove(0);
    scheduler.changed(&destinations, Change::Removed(0));
    assert_eq!(scheduler.select_for(&destinations, &to(7, 0)), Some(0));
    destinations.insert(0, weights(&[9]).remove(0));
    scheduler.changed(&destinations, Change::Added(0));
    assert_eq!(scheduler.select_for(&destinations, &to(7, 0)), Some(1));
    destinations.remove(1);
    scheduler.changed(&destinations, Change::Removed(1));
    assert_eq!(
        scheduler.select_for(&destinations, &to(7, 0)),
        Some(0),
        "its server is gone"
    );
}

/// The expirations are settings: one for each of the two schedulers.
#[test]
fn expirations_are_settings() {
    fn moves<A: Algorithm>(options: Options) -> bool {
        let mut destinations = weights(&[10, 10]);
        let scheduler = scheduled::<A>(&destinations);
        let at = |now| Flow {
            options,
            ..to(1, now)
        };
        assert_eq!(scheduler.select_for(&destinations, &at(0)), Some(0));
        load(&scheduler, &mut destinations, 0, 5);
        scheduler.select_for(&destinations, &at(100)) == Some(1)
    }
    let lblc = Options {
        lblc_expiration: 60,
        ..Options::DEFAULT
    };
    let lblcr = Options {
        lblcr_expiration: 60,
        ..Options::DEFAULT
    };
    assert!(moves::<Lblc>(lblc) && !moves::<Lblc>(lblcr));
    assert!(moves::<Lblcr>(lblcr) && !moves::<Lblcr>(lblc));
}

/// More addresses than the table has room for: it does not grow, and used addresses stay.
#[test]
fn memory_is_bounded() {
    let mut destinations = weights(&[1_000_000; 4]);
    let scheduler = scheduled::<Lblc>(&destinations);
    assert_eq!(Lblc::words(4, 123), Lblc::words(4, 0));
    let kept = scheduler.select_for(&destinations, &to(1, 0)).unwrap();
    load(&scheduler, &mut destinations, kept, 10);
    for address in 2..100_000 {
        let now = address / 8;
        let choice = scheduler
            .select_for(&destinations, &to(address, now))
            .unwrap();
        let active = destinations[choice].active + 1;
        load(&scheduler, &mut destinations, choice, active);
        if address % 64 == 0 {
            assert_eq!(scheduler.select_for(&destinations, &to(1, now)), Some(kept));
        }
    }
}
