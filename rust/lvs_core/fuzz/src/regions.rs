// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::regions::{index::Line, Regions};
use lvs_core::Address;

/// A table of regions. With the lowest bit of the first octet set, it has a correct header.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut table = Vec::new();
    if first & 1 == 1 {
        // Regions, ranges of both families, their octets.
        let [regions, v4, v6, rest @ ..] = rest else {
            return;
        };
        let (regions, v4, v6) = (regions % 4, v4 % 32, v6 % 32);
        table.extend(b"lvs1");
        for count in [regions, v4, v6] {
            table.extend(u32::from(count).to_be_bytes());
        }
        table.extend([0; 8]);
        for number in 0..regions {
            table.extend([b'a' + number]);
            table.extend([0; 15]);
        }
        table.extend(rest);
        let regions = usize::from(regions);
        let len = 24 + regions * (regions + 17) + usize::from(v4) * 5 + usize::from(v6) * 17;
        table.resize(len, 0);
    } else {
        table.extend(rest);
    }
    let accepted = Regions::check(&table, || ()).is_ok();
    let regions = Regions::new(&table);
    let mut lines = vec![Line::ZERO; regions.index_lines(|| ())];
    let roots = regions.build_index(&mut lines, || ());
    let indexed = Regions::with_index(&table, &lines, roots);
    let mut addresses: Vec<[u8; 16]> = table.chunks_exact(16).take(64).map(sixteen).collect();
    addresses.extend([[0; 16], [0xff; 16]]);
    for octets in addresses {
        let [a, b, c, d, ..] = octets;
        for address in [Address::from_v4([a, b, c, d]), Address::from_v6(octets)] {
            let region = regions.region(address);
            let found = indexed.region(address);
            if accepted {
                assert_eq!(region, expected(&table, address));
                assert_eq!(found, region);
                assert!(region <= regions.len());
            }
            for client in [0, 1, region, 255] {
                let distance = regions.distance(client, region);
                assert!(client != 0 || distance == 0);
            }
        }
    }
    let names = (0..=255).filter_map(|region| regions.name(region));
    if accepted {
        let names: Vec<_> = names.collect();
        assert_eq!(names.len(), usize::from(regions.len()));
        assert!(names.iter().all(|name| (1..16).contains(&name.len())));
    } else {
        names.for_each(drop);
    }
}

fn sixteen(octets: &[u8]) -> [u8; 16] {
    octets.try_into().unwrap()
}

/// The region of an address by the description of the format: the last range that begins at it or
/// before it.
fn expected(table: &[u8], address: Address) -> u8 {
    let number = |at: usize| {
        usize::try_from(u32::from_be_bytes(table[at..at + 4].try_into().unwrap())).unwrap()
    };
    let (regions, v4, v6) = (number(4), number(8), number(12));
    let ranges = 24 + regions * 16 + regions * (regions + 1);
    let (at, count, key) = match address.v4() {
        Some(octets) => (ranges, v4, octets.to_vec()),
        None => (ranges + v4 * 5, v6, address.octets16().to_vec()),
    };
    let size = key.len();
    let mut region = 0;
    for index in 0..count {
        if table[at + index * size..][..size] <= key[..] {
            region = table[at + count * size + index];
        }
    }
    region
}
