// SPDX-License-Identifier: GPL-2.0-only

//! The table of regions against its definition: an address is in the region of the last range that
//! begins at it or before it. The tables are made here, octet by octet. The scheduler is compared
//! with the definition of its choice.

use crate::schedule::{flow, Fake};
use lvs_core::regions::{Mistake, Regions};
use lvs_core::scheduler::{Algorithm, Change, Destination, Flow, List, NearestRegion};
use lvs_core::{Address, Endpoint};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

type Ranges<T> = BTreeMap<T, u8>;

pub(crate) fn table(
    names: &[&str],
    distances: &[u8],
    v4: &Ranges<u32>,
    v6: &Ranges<u128>,
) -> Vec<u8> {
    let mut octets = b"lvs1".to_vec();
    for count in [names.len(), v4.len(), v6.len()] {
        octets.extend(u32::try_from(count).unwrap().to_be_bytes());
    }
    octets.extend([0; 8]);
    for name in names {
        let mut field = [0; 16];
        field[..name.len()].copy_from_slice(name.as_bytes());
        octets.extend(field);
    }
    octets.extend(distances);
    octets.extend(v4.keys().flat_map(|start| start.to_be_bytes()));
    octets.extend(v4.values());
    octets.extend(v6.keys().flat_map(|start| start.to_be_bytes()));
    octets.extend(v6.values());
    octets
}

/// Two regions, which are near to each other.
fn two(v4: &[(u32, u8)], v6: &[(u128, u8)]) -> Vec<u8> {
    let (v4, v6) = (v4.iter().copied().collect(), v6.iter().copied().collect());
    table(&["eu", "us"], &[255, 0, 1, 255, 1, 0], &v4, &v6)
}

fn check(octets: &[u8]) -> Result<(), Mistake> {
    Regions::check(octets, || ())
}

fn v4(number: u32) -> Address {
    Address::from_v4(number.to_be_bytes())
}

#[test]
fn what_a_table_says() {
    let octets = two(
        &[(0, 0), (0x0a00_0000, 1), (0x0b00_0000, 0), (u32::MAX, 2)],
        &[(0, 2), (0x2001 << 112, 1)],
    );
    assert_eq!(check(&octets), Ok(()));
    let regions = Regions::new(&octets);
    assert_eq!(regions.len(), 2);
    assert_eq!(regions.name(1), Some(&b"eu"[..]));
    assert_eq!(regions.name(2), Some(&b"us"[..]));
    assert_eq!((regions.name(0), regions.name(3)), (None, None));
    for (address, region) in [
        (0, 0),
        (0x09ff_ffff, 0),
        (0x0a00_0000, 1),
        (0x0aff_ffff, 1),
        (0x0b00_0000, 0),
        (u32::MAX - 1, 0),
        (u32::MAX, 2),
    ] {
        assert_eq!(regions.region(v4(address)), region, "{address:x}");
    }
    assert_eq!(regions.region(Address::from_v6([0; 16])), 2);
    assert_eq!(regions.region(Address::from_v6([0xff; 16])), 1);
    let distances = [(0, 2), (1, 0), (1, 1), (1, 2), (2, 1)].map(|(c, s)| regions.distance(c, s));
    assert_eq!(distances, [0, 255, 0, 1, 1]);
}

#[test]
fn without_a_table_all_are_in_no_region() {
    let none = Regions::NONE;
    assert_eq!(none.region(v4(7)), 0);
    assert_eq!(
        (none.len(), none.generation(), none.distance(0, 0)),
        (0, 0, 0)
    );
    assert!(none.is_empty() && none.name(1).is_none());
}

#[test]
fn the_generation() {
    let mut octets = two(&[(0, 1)], &[]);
    assert_eq!(Regions::new(&octets).generation(), 0);
    Regions::stamp(&mut octets, 7);
    assert_eq!(Regions::new(&octets).generation(), 7);
    assert_eq!(check(&octets), Ok(()));
    Regions::stamp(&mut [], 7);
}

#[test]
fn every_mistake_is_found() {
    let good = two(&[(0, 0), (5, 1)], &[(0, 2), (9, 0)]);
    let wrong = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = good.clone();
        change(&mut octets);
        check(&octets).unwrap_err()
    };
    assert_eq!(wrong(&|o| o[3] = b'2'), Mistake::Format);
    assert_eq!(wrong(&|o| o[7] = 0), Mistake::Regions);
    assert_eq!(wrong(&|o| o[7] = 251), Mistake::Regions);
    assert_eq!(wrong(&|o| o[4] = 1), Mistake::Regions);
    assert_eq!(wrong(&|o| o.push(0)), Mistake::Size);
    assert_eq!(wrong(&|o| o[8] = 255), Mistake::Size);
    assert_eq!(wrong(&|o| o[24] = 0), Mistake::Name);
    assert_eq!(wrong(&|o| o[24] = b' '), Mistake::Name);
    assert_eq!(wrong(&|o| o[30] = b'x'), Mistake::Name);
    assert_eq!(wrong(&|o| o[24..40].fill(b'x')), Mistake::Name);
    assert_eq!(wrong(&|o| o.copy_within(24..40, 40)), Mistake::Name);
    // 24 octets, 2 names, 6 distances: the ranges.
    assert_eq!(wrong(&|o| o[62 + 3] = 1), Mistake::Order);
    assert_eq!(wrong(&|o| o[62 + 7] = 0), Mistake::Order);
    assert_eq!(wrong(&|o| o[62 + 9] = 3), Mistake::Region);
    assert_eq!(wrong(&|o| o[72 + 31] = 0), Mistake::Order);
    assert_eq!(wrong(&|o| o[72 + 32] = 3), Mistake::Region);
    for len in 0..good.len() {
        assert!(check(&good[..len]).is_err(), "{len}");
        // A director never uses it; nothing happens if it does.
        let _ = Regions::new(&good[..len]).region(v4(7));
    }
    let sentences = [
        Mistake::Format,
        Mistake::Size,
        Mistake::Regions,
        Mistake::Name,
    ];
    assert!(sentences
        .iter()
        .all(|mistake| mistake.sentence().count_bytes() > 20));
}

/// A server with an address of its own.
struct At(Fake, Address);

impl Destination for At {
    fn weight(&self) -> u32 {
        self.0.weight
    }
    fn last_weight(&self) -> u32 {
        self.0.weight
    }
    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.1, 80)
    }
    fn active(&self) -> u32 {
        self.0.active
    }
    fn inactive(&self) -> u32 {
        self.0.inactive
    }
    fn overloaded(&self) -> bool {
        self.0.overloaded
    }
}

fn choose(memory: &[AtomicU64], servers: &[At], client: Address, octets: &[u8]) -> Option<usize> {
    let flow = Flow {
        client: Endpoint::new(client, 1024),
        regions: Regions::new(octets),
        ..flow(1)
    };
    let list = List {
        destinations: servers,
        memory,
    };
    NearestRegion::new(0).select(&list, &flow)
}

fn memory(servers: usize) -> Vec<AtomicU64> {
    let words = NearestRegion::words(servers, 0);
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

fn server(address: u32, weight: u32, active: u32, overloaded: bool) -> At {
    let fake = Fake {
        weight,
        active,
        overloaded,
        ..Fake::default()
    };
    At(fake, v4(address))
}

#[test]
fn the_nearest_region_that_has_a_server() {
    // Addresses 0 to 9 are nowhere, 10 to 19 in eu, from 20 on in us.
    let mut octets = two(&[(0, 0), (10, 1), (20, 2)], &[(0, 2)]);
    Regions::stamp(&mut octets, 1);
    let servers = |eu: (u32, bool), us: u32| {
        vec![
            server(20, us, 0, false),
            server(10, eu.0, 50, eu.1),
            server(11, 1, 60, eu.1),
            server(1, 1, 0, false),
        ]
    };
    let all = servers((1, false), 1);
    let memory = memory(4);
    // Also from memory.
    for _ in 0..2 {
        assert_eq!(choose(&memory, &all, v4(15), &octets), Some(1));
        assert_eq!(choose(&memory, &all, v4(25), &octets), Some(0));
    }
    assert_eq!(
        choose(&memory, &all, Address::from_v6([1; 16]), &octets),
        Some(0)
    );
    // Full, or quiesced, or both.
    assert_eq!(
        choose(&memory, &servers((1, true), 1), v4(15), &octets),
        Some(0)
    );
    assert_eq!(
        choose(&memory, &servers((0, false), 1), v4(15), &octets),
        Some(2)
    );
    assert_eq!(
        choose(&memory, &servers((1, true), 0), v4(15), &octets),
        Some(3)
    );
    // Clients of no region, and any client without a table: the fewest connections.
    assert_eq!(choose(&memory, &all, v4(5), &octets), Some(0));
    assert_eq!(choose(&memory, &all, v4(15), &[]), Some(0));
    // A new table, in which the regions changed places.
    let mut swapped = two(&[(0, 0), (10, 2), (20, 1)], &[]);
    Regions::stamp(&mut swapped, 2);
    assert_eq!(choose(&memory, &all, v4(15), &swapped), Some(1));
    assert_eq!(memory[0].load(Ordering::Relaxed), (2 << 8) | 1);
    assert_eq!(choose(&memory, &[], v4(15), &swapped), None);
}

proptest! {
    #[test]
    fn lookups_follow_the_definition(
        mut v4 in proptest::collection::btree_map(any::<u32>(), 0..=2u8, 0..50),
        mut v6 in proptest::collection::btree_map(any::<u128>(), 0..=2u8, 0..50),
        probes in proptest::collection::vec(any::<u128>(), 20),
    ) {
        // A family has no ranges, or all addresses.
        if let Some(mut first) = v4.first_entry() { let region = *first.get_mut(); v4.insert(0, region); }
        if let Some(mut first) = v6.first_entry() { let region = *first.get_mut(); v6.insert(0, region); }
        let octets = table(&["eu", "us"], &[255, 0, 1, 255, 1, 0], &v4, &v6);
        prop_assert_eq!(check(&octets), Ok(()));
        let regions = Regions::new(&octets);
        prop_assert!(regions.v4().eq(v4.iter().map(|(start, region)| (*start, *region))));
        prop_assert!(regions.v6().eq(v6.iter().map(|(start, region)| (*start, *region))));
        let edges4 = v4.keys().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)]);
        for address in edges4.chain(probes.iter().map(|bits| (*bits >> 96) as u32)) {
            let expected = v4.range(..=address).next_back().map_or(0, |(_, region)| *region);
            prop_assert_eq!(regions.region(Address::from_v4(address.to_be_bytes())), expected);
        }
        let edges6 = v6.keys().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)]);
        for address in edges6.chain(probes).filter(|address| address >> 32 != 0xffff) {
            let expected = v6.range(..=address).next_back().map_or(0, |(_, region)| *region);
            prop_assert_eq!(regions.region(Address::from_v6(address.to_be_bytes())), expected);
        }
    }

    /// The definition: among the servers that accept connections, the nearest ones; among those,
    /// the fewest connections for the weight; then the first.
    #[test]
    fn choices_follow_the_definition(
        starts in proptest::collection::btree_map(1..60u32, 0..=3u8, 0..20),
        distances in proptest::collection::vec(any::<u8>(), 12),
        drawn in proptest::collection::vec((0..60u32, 0..4u32, 0..6u32, any::<bool>()), 0..12),
        clients in proptest::collection::vec(0..60u32, 8),
    ) {
        let mut starts = starts;
        starts.insert(0, 0);
        let mut octets = table(&["a", "b", "c"], &distances, &starts, &Ranges::new());
        prop_assert_eq!(check(&octets), Ok(()));
        Regions::stamp(&mut octets, 5);
        let region = |address: u32| *starts.range(..=address).next_back().unwrap().1;
        let servers: Vec<At> = drawn.iter().map(|&(address, weight, active, overloaded)| server(address, weight, active, overloaded)).collect();
        let memory = memory(servers.len());
        for client in clients {
            let distance = |address: u32| match region(client) {
                0 => 0,
                row => distances[usize::from(row - 1) * 4 + usize::from(region(address))],
            };
            let expected = drawn
                .iter()
                .enumerate()
                .filter(|(_, (_, weight, _, overloaded))| *weight > 0 && !overloaded)
                .min_by_key(|(index, (address, weight, active, _))| {
                    // All weights divide 12.
                    (distance(*address), active * 12 / weight, *index)
                })
                .map(|(index, _)| index);
            prop_assert_eq!(choose(&memory, &servers, v4(client), &octets), expected);
        }
    }
}

#[test]
fn a_change_of_the_list_forgets_the_regions() {
    let memory = memory(1);
    let servers = [server(1, 1, 0, false)];
    let list = List {
        destinations: &servers[..],
        memory: &memory,
    };
    NearestRegion::new(0).changed(&list, &[], Change::Reset);
    assert_eq!(memory[0].load(Ordering::Relaxed), 0);
}
