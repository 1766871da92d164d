// SPDX-License-Identifier: GPL-2.0-only

//! The index of a table of regions against the plain search: the same region for every address, and
//! how many lines of the cache a lookup reads.

use crate::regions::table;
use lvs_core::regions::index::{Line, Roots};
use lvs_core::regions::Regions;
use lvs_core::Address;
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Indexed {
    octets: Vec<u8>,
    lines: Vec<Line>,
    roots: Roots,
}

impl Indexed {
    /// The addresses are in the upper bits.
    fn new(v4: &BTreeMap<u32, u8>, v6: &BTreeMap<u128, u8>) -> Self {
        let octets = table(&["eu", "us"], &[255, 0, 1, 255, 1, 0], v4, v6);
        let regions = Regions::new(&octets);
        assert_eq!(Regions::check(&octets, || ()), Ok(()));
        let mut lines = vec![Line::ZERO; regions.index_lines(|| ())];
        let roots = regions.build_index(&mut lines, || ());
        Self {
            octets,
            lines,
            roots,
        }
    }

    fn regions(&self) -> Regions<'_> {
        Regions::with_index(&self.octets, &self.lines, self.roots)
    }

    /// Checks the region of an address; returns how many lines the lookup read.
    fn find(&self, address: Address) -> usize {
        let found = self.regions().find(address).unwrap();
        let expected = Regions::new(&self.octets).region(address);
        assert_eq!(found.region, expected, "{address:?}");
        found.lines
    }

    /// The same for these addresses and their neighbors: the most lines, and the mean.
    fn find_all(&self, addresses: impl Iterator<Item = Address>) -> (usize, f64) {
        let (mut most, mut sum, mut count) = (0, 0.0, 0.0);
        for address in addresses {
            let lines = self.find(address);
            most = most.max(lines);
            sum += f64::from(u32::try_from(lines).unwrap());
            count += 1.0;
        }
        (most, sum / count)
    }
}

fn around4(start: u32) -> impl Iterator<Item = Address> {
    [start.wrapping_sub(1), start, start.wrapping_add(1)]
        .into_iter()
        .map(|address| Address::from_v4(address.to_be_bytes()))
}

fn around6(start: u128) -> impl Iterator<Item = Address> {
    [start.wrapping_sub(1), start, start.wrapping_add(1)]
        .into_iter()
        .map(|address| Address::from_v6(address.to_be_bytes()))
}

/// A sequence that looks random, and is the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    fn region(&mut self) -> u8 {
        u8::try_from(self.below(3)).unwrap()
    }
}

fn v4_table(random: &mut Random, count: u32, start: impl Fn(&mut Random) -> u32) -> Indexed {
    let mut v4 = BTreeMap::from([(0, 0)]);
    for _ in 0..count {
        v4.insert(start(random), random.region());
    }
    Indexed::new(&v4, &BTreeMap::new())
}

fn v6_table(random: &mut Random, count: u32, start: impl Fn(&mut Random) -> u128) -> Indexed {
    let mut v6 = BTreeMap::from([(0, 0)]);
    for _ in 0..count {
        v6.insert(start(random), random.region());
    }
    Indexed::new(&BTreeMap::new(), &v6)
}

impl Indexed {
    fn most4(&self) -> (usize, f64) {
        self.find_all(
            Regions::new(&self.octets)
                .v4()
                .flat_map(|(start, _)| around4(start)),
        )
    }

    fn most6(&self) -> (usize, f64) {
        self.find_all(
            Regions::new(&self.octets)
                .v6()
                .flat_map(|(start, _)| around6(start)),
        )
    }

    fn octets(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }
}

#[test]
fn a_lookup_of_ipv4_reads_at_most_four_lines() {
    let mut random = Random(1);
    // Tables of all sizes: trees of all heights, and splits.
    for count in [
        0, 1, 2, 11, 12, 13, 21, 22, 203, 204, 205, 693, 3468, 60_000, 200_000,
    ] {
        let any = v4_table(&mut random, count, |random| random.next() as u32);
        assert!(any.most4().0 <= 4, "{count}");
        let long = v4_table(&mut random, count, |random| random.next() as u32 & !0xff);
        assert!(long.most4().0 <= 4, "{count}");
    }
    // The worst: a network of 65,536 addresses with as many ranges.
    let v4: BTreeMap<u32, u8> = (0..65_536)
        .map(|low| (0x0a01_0000 | low, (low % 2) as u8))
        .collect();
    let dense = Indexed::new(&v4.into_iter().chain([(0, 2)]).collect(), &BTreeMap::new());
    assert!(dense.most4().0 <= 4);
}

/// An allocation of a registry: /20 to /32 in 2000::/3, most of them in a few parts of it.
fn allocation(random: &mut Random) -> u128 {
    let parts = [
        0x2001, 0x2400, 0x2401, 0x2408, 0x2600, 0x2604, 0x2607, 0x2620, 0x2801, 0x2a00, 0x2a01,
        0x2a02, 0x2a0a, 0x2c0f,
    ];
    let part = parts[random.below(14) as usize];
    let length = 20 + random.below(13);
    let low = u128::from(random.next() as u16 & (u16::MAX << (32 - length)));
    (part << 112) | (low << 96)
}

#[test]
fn a_lookup_of_ipv6_reads_four_lines_for_prefixes_as_registries_have_them() {
    let mut random = Random(2);
    // Prefixes of /48 in allocations, some allocations with many.
    let site = |random: &mut Random| {
        let mut place = Random(u64::from(random.below(20_000)));
        let bits = 1 + random.below(12);
        let site = random.below(1 << bits);
        allocation(&mut place) | (u128::from(site) << 80)
    };
    for count in [10, 300, 5000, 300_000] {
        let (most, mean) = v6_table(&mut random, count, site).most6();
        println!("{count}: {most} lines, {mean} on average");
        assert!(
            most <= 6 && mean < 4.2,
            "{count}: {most} lines, {mean} on average"
        );
        let (most, _) = v6_table(&mut random, count, allocation).most6();
        assert!(most <= 4, "{count}: {most} lines for allocations");
        let (most, _) =
            v6_table(&mut random, count, |random| u128::from(random.next()) << 64).most6();
        assert!(most <= 4, "{count}: {most} lines for networks anywhere");
    }
}

#[test]
fn the_worst_prefixes_of_ipv6_cost_more_lines_but_not_many() {
    let mut random = Random(3);
    // All in one network of /32, addresses of hosts.
    let hosts = v6_table(&mut random, 100_000, |random| {
        (0x2001_0db8 << 96) | u128::from(random.next())
    });
    assert!(hosts.most6().0 <= 12);
    let networks = v6_table(&mut random, 60_000, |random| {
        (0x2001_0db8 << 96) | (u128::from(random.next() as u16) << 80)
    });
    assert!(networks.most6().0 <= 6);
}

#[test]
fn the_memory_of_an_index_is_bounded() {
    let mut random = Random(4);
    // At most a line for each range, the slots above it, and those of the first split.
    for shift in [0, 64, 80, 96, 104] {
        let sparse = v6_table(&mut random, 50_000, |random| {
            let high = (u128::from(random.next()) << 64) | u128::from(random.next());
            high >> shift << shift
        });
        let ranges = Regions::new(&sparse.octets).v6().count();
        assert!(
            sparse.octets() <= 80 * ranges + (512 << 10) + 4096,
            "{shift}: {} octets for {ranges} ranges",
            sparse.octets()
        );
    }
    assert_eq!(Indexed::new(&BTreeMap::new(), &BTreeMap::new()).octets(), 0);
}

#[test]
fn an_index_of_other_octets_does_no_harm() {
    let mut random = Random(5);
    let full = v6_table(&mut random, 10_000, |random| {
        u128::from(random.next()) << 64
    });
    for keep in [0, 1, 7, 8000, full.lines.len() / 2] {
        let cut = Regions::with_index(&full.octets, &full.lines[..keep], full.roots);
        for _ in 0..1000 {
            let _ = cut.find(Address::from_v6(
                (u128::from(random.next()) << 64).to_be_bytes(),
            ));
        }
    }
    let mut few = vec![Line::ZERO; 3];
    let _ = full.regions().build_index(&mut few, || ());
}

#[test]
fn long_work_pauses() {
    let mut random = Random(6);
    let large = v4_table(&mut random, 200_000, |random| random.next() as u32);
    let mut pauses = 0;
    Regions::new(&large.octets).index_lines(|| pauses += 1);
    assert!(pauses >= 12, "{pauses}");
}

proptest! {
    /// Ranges that begin at few bits, near to each other, or anywhere.
    #[test]
    fn the_index_finds_what_the_search_finds(
        drawn in proptest::collection::vec((any::<u128>(), any::<u128>(), 0..128u32, 0..128u32, 0..=2u8), 0..400),
        stem in any::<u128>(),
        probes in proptest::collection::vec(any::<u128>(), 50),
    ) {
        let mut v6 = BTreeMap::from([(0, 1)]);
        for (bits, _, common, zeros, region) in &drawn {
            let start = stem ^ ((bits >> common) & (u128::MAX << zeros));
            v6.insert(start, *region);
        }
        let mut v4 = BTreeMap::from([(0, 2)]);
        v4.extend(v6.iter().map(|(start, region)| ((start >> 96) as u32, *region)));
        v4.insert(0, 2);
        let indexed = Indexed::new(&v4, &v6);
        let _ = indexed.find_all(v6.keys().chain(&probes).flat_map(|start| around6(*start)));
        let lines = indexed.find_all(v4.keys().copied().chain(probes.iter().map(|bits| *bits as u32)).flat_map(around4));
        prop_assert!(lines.0 <= 4);
    }
}

/// Sizes of tables with 500,000 prefixes: `cargo test -- --ignored --nocapture sizes`.
#[test]
#[ignore = "prints figures for Documentation/schedulers/geo.rst"]
fn sizes() {
    let mut random = Random(7);
    for count in [1000u32, 500_000, 1_000_000] {
        let v4 = v4_table(&mut random, count, |random| random.next() as u32 & !0xff);
        let v6 = v6_table(&mut random, count, |random| {
            u128::from(random.next()) >> 3 << 64 >> 16 << 16
        });
        for (name, indexed, (most, mean)) in [("v4", &v4, v4.most4()), ("v6", &v6, v6.most6())] {
            println!("{name} {count}: {} octets, {} of them the index; {most} lines, {mean:.2} on average", indexed.octets.len() + indexed.octets(), indexed.octets());
        }
        for (name, indexed) in [("v4", &v4), ("v6", &v6)] {
            let probes: Vec<Address> = (0..1_000_000)
                .map(|_| match name {
                    "v4" => Address::from_v4((random.next() as u32).to_be_bytes()),
                    _ => Address::from_v6((u128::from(random.next()) >> 3 << 64).to_be_bytes()),
                })
                .collect();
            for (how, regions) in [
                ("index", indexed.regions()),
                ("search", Regions::new(&indexed.octets)),
            ] {
                let begin = std::time::Instant::now();
                let sum: u64 = probes
                    .iter()
                    .map(|address| u64::from(regions.region(*address)))
                    .sum();
                println!(
                    "  {name} {how}: {} ns a lookup ({sum})",
                    begin.elapsed().as_nanos() / 1_000_000
                );
            }
        }
    }
}
