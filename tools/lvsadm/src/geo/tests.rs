// SPDX-License-Identifier: GPL-2.0-only

use proptest::prelude::*;

use super::*;

const FILE: &str = "\
# three regions
region eu us asia
region us eu
region asia

10.0.0.0/8,eu
10.1.0.0/16 us      # inside
10.1.2.3,asia
2001:db8::/32,us
2001:db8:1::/48\teu
";

fn at(octets: &[u8], address: &str) -> String {
    place(octets, address.parse().unwrap())
}

#[test]
fn the_longest_prefix_decides() {
    let octets = compile(FILE).unwrap();
    assert_eq!(Regions::check(&octets, || ()), Ok(()));
    for (address, expected) in [
        ("9.255.255.255", "9.255.255.255 is in no region\n"),
        ("10.0.0.0", "10.0.0.0 is in eu, then us, then asia\n"),
        ("10.1.0.0", "10.1.0.0 is in us, then eu\n"),
        ("10.1.2.2", "10.1.2.2 is in us, then eu\n"),
        ("10.1.2.3", "10.1.2.3 is in asia\n"),
        ("10.1.2.4", "10.1.2.4 is in us, then eu\n"),
        ("10.2.0.0", "10.2.0.0 is in eu, then us, then asia\n"),
        ("11.0.0.0", "11.0.0.0 is in no region\n"),
        ("2001:db8::1", "2001:db8::1 is in us, then eu\n"),
        (
            "2001:db8:1::1",
            "2001:db8:1::1 is in eu, then us, then asia\n",
        ),
        ("2001:db8:2::", "2001:db8:2:: is in us, then eu\n"),
        ("2001:db9::", "2001:db9:: is in no region\n"),
    ] {
        assert_eq!(at(&octets, address), expected);
    }
}

#[test]
fn distances_follow_the_orders() {
    let octets = compile(FILE).unwrap();
    let table = Regions::new(&octets);
    // Servers in no region, eu, us, asia.
    let rows: Vec<&[u8]> = table.distances().collect();
    assert_eq!(rows, [[255, 0, 1, 2], [255, 1, 0, 254], [255, 254, 254, 0]]);
    assert_eq!((table.distance(2, 1), table.distance(0, 3)), (1, 0));
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let octets = compile(FILE).unwrap();
    let shown = text(&octets);
    assert!(shown.starts_with("region eu us asia\nregion us eu\nregion asia\n10.0.0.0/16,eu\n"));
    assert_eq!(compile(&shown).unwrap(), octets);
}

#[test]
fn whole_families_and_neighbors() {
    let octets = compile("region a\nregion b\n0.0.0.0/0,a\n128.0.0.0/1,b\n::/0,b\n").unwrap();
    let table = Regions::new(&octets);
    assert_eq!(table.v4().collect::<Vec<_>>(), [(0, 1), (1 << 31, 2)]);
    assert_eq!(table.v6().collect::<Vec<_>>(), [(0, 2)]);
    // Two halves of one region are one range.
    let octets = compile("region a\n10.0.0.0/9,a\n10.128.0.0/9,a\n").unwrap();
    assert_eq!(text(&octets), "region a\n10.0.0.0/8,a\n");
    // A region without prefixes.
    let octets = compile("region a\n").unwrap();
    assert_eq!(Regions::check(&octets, || ()), Ok(()));
    assert_eq!(at(&octets, "10.0.0.1"), "10.0.0.1 is in no region\n");
}

#[test]
fn mistakes_have_their_lines() {
    for (file, expected) in [
        ("", "line 1: there is no line \"region NAME\""),
        (
            "region a\n10.0.0.0/33,a",
            "line 2: \"10.0.0.0/33\" is not a prefix such as 192.0.2.0/24 or 2001:db8::/32",
        ),
        (
            "region a\n10.0.0.1/8,a",
            "line 2: 10.0.0.1/8 has bits beyond its length; write 10.0.0.0/8",
        ),
        (
            "region a\n\n10.0.0.0/8,b",
            "line 3: there is no line \"region b\"",
        ),
        ("region a b", "line 1: there is no line \"region b\""),
        ("region a\nregion a", "line 2: region a is also in line 1"),
        ("region a a", "line 1: region a is in the order of a twice"),
        ("region", "line 1: the name of the region is missing"),
        (
            "region a\n10.0.0.0/8",
            "line 2: 10.0.0.0/8: the region is missing",
        ),
        (
            "region a\n10.0.0.0/8,a,b",
            "line 2: \"b\" is too much: a line is PREFIX,REGION",
        ),
        (
            "region a\n10.0.0.0/8,a\n10.0.0.0/8,a",
            "line 3: 10.0.0.0/8 is also in line 2",
        ),
        (
            "region abcdefghijklmnop",
            "line 1: \"abcdefghijklmnop\": a region's name has 1 to 15 printable ASCII characters",
        ),
    ] {
        assert_eq!(compile(file).unwrap_err(), [expected], "{file}");
    }
    let many: Vec<String> = (0..251)
        .map(|number| format!("region r{number}\n"))
        .collect();
    assert_eq!(
        compile(&many.concat()).unwrap_err(),
        ["line 251: there are more than 250 regions"]
    );
    let bad = "region a\n".to_owned() + &"x,a\n".repeat(25);
    let mistakes = compile(&bad).unwrap_err();
    assert_eq!(
        (mistakes.len(), mistakes.last().unwrap().as_str()),
        (21, "and 5 more mistakes")
    );
}

/// Prefixes that are often nested, with their regions.
fn prefixes() -> impl Strategy<Value = Vec<(bool, u128, u8, u8)>> {
    let prefix = (any::<bool>(), any::<u128>(), 0..=128u8, 1..=3u8);
    proptest::collection::vec(prefix, 0..40)
}

proptest! {
    /// The table against the definition: of all prefixes of an address, the longest one decides.
    #[test]
    fn every_address_is_in_the_region_of_its_longest_prefix(
        drawn in prefixes(),
        probes in proptest::collection::vec(any::<u128>(), 8),
    ) {
        let mut known: HashMap<IpNet, u8> = HashMap::new();
        for (is_v4, bits, len, region) in drawn {
            // Few different bits in front, so that prefixes are nested.
            let bits = (bits & !(0xff_ffff_u128 << 104)) | ((bits & 0x10_1010) << 104);
            let prefix = if is_v4 {
                let address = Ipv4Addr::from((bits >> 96) as u32);
                IpNet::new(address.into(), len % 33).unwrap()
            } else {
                IpNet::new(Ipv6Addr::from(bits).into(), len).unwrap()
            };
            known.insert(prefix.trunc(), region);
        }
        let mut file = "region r1\nregion r2\nregion r3\n".to_owned();
        for (prefix, region) in &known {
            file += &format!("{prefix},r{region}\n");
        }
        let octets = compile(&file).unwrap();
        prop_assert_eq!(Regions::check(&octets, || ()), Ok(()));
        prop_assert_eq!(&compile(&text(&octets)).unwrap(), &octets);
        // The addresses where something may change, and some others.
        let edges = known.keys().flat_map(|prefix| {
            let (first, last) = (prefix.network(), prefix.broadcast());
            [first, last].into_iter().flat_map(around)
        });
        let others = probes.iter().flat_map(|bits| {
            [IpAddr::from(Ipv6Addr::from(*bits)), IpAddr::from(Ipv4Addr::from((bits >> 96) as u32))]
        });
        for address in edges.chain(others) {
            if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
                continue;
            }
            let longest = known
                .iter()
                .filter(|(prefix, _)| prefix.contains(&address))
                .max_by_key(|(prefix, _)| prefix.prefix_len());
            let expected = match longest {
                Some((_, region)) => format!("{address} is in r{region}\n"),
                None => format!("{address} is in no region\n"),
            };
            prop_assert_eq!(place(&octets, address), expected);
        }
    }
}

/// An address and its neighbors.
fn around(address: IpAddr) -> Vec<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let number = u32::from(address);
            [number.wrapping_sub(1), number, number.wrapping_add(1)]
                .map(|number| Ipv4Addr::from(number).into())
                .to_vec()
        }
        IpAddr::V6(address) => {
            let number = u128::from(address);
            [number.wrapping_sub(1), number, number.wrapping_add(1)]
                .map(|number| Ipv6Addr::from(number).into())
                .to_vec()
        }
    }
}
