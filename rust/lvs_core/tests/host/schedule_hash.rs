// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers that always choose the same server for a client or an address.

use crate::schedule::{flow, weights, Fake, Scheduled};
use lvs_core::hash::{flow_hash, HashKey};
use lvs_core::scheduler::{
    Algorithm, Change, Destination, DestinationHashing, Flow, MaglevHashing, OneIp, Options,
    SourceHashing,
};
use lvs_core::{Address, Endpoint, Family};

/// The number of clients. It gives shares with a precision of a thousandth.
pub const CLIENTS: u32 = 100_000;

pub const FALLBACK: Options = Options {
    fallback: true,
    ..Options::DEFAULT
};

pub fn scheduled<A: Algorithm>(destinations: &[Fake]) -> Scheduled<A> {
    let scheduler = Scheduled::new();
    scheduler.changed(destinations, Change::Reset);
    scheduler
}

/// The hosts of the first clients.
pub fn hosts<A: Algorithm>(
    scheduler: &Scheduled<A>,
    destinations: &[Fake],
    clients: u32,
    options: Options,
) -> Vec<Option<u32>> {
    let host = |client| {
        let flow = Flow {
            options,
            ..flow(client)
        };
        Some(destinations[scheduler.select_for(destinations, &flow)?].host)
    };
    (0..clients).map(host).collect()
}

/// The share of each server, in the order of the list.
pub fn shares(hosts: &[Option<u32>], destinations: &[Fake]) -> Vec<f64> {
    let count = |server: &Fake| {
        hosts
            .iter()
            .filter(|host| **host == Some(server.host))
            .count()
    };
    destinations
        .iter()
        .map(|server| count(server) as f64 / hosts.len() as f64)
        .collect()
}

pub fn check_shares(shares: &[f64], wanted: &[f64], tolerance: f64) {
    for (share, wanted) in shares.iter().zip(wanted) {
        assert!(
            (share - wanted).abs() <= tolerance * wanted,
            "{shares:?} instead of {wanted:?}"
        );
    }
}

/// The hash of clients and servers: two halves of SipHash-1-3, which has its own tests. Directors
/// of other versions must have the same hash.
fn hash(address: Address, port: u16, round: u64) -> u64 {
    let key = HashKey::new(0x6f6e_652c_2074_776f + round, 0x2c20_7468_7265_652e);
    let half = |half| {
        u64::from(flow_hash(
            &key,
            Family::V4,
            half,
            Endpoint::new(address, port),
        ))
    };
    (half(1) << 32) + half(0)
}

fn scaled(hash: u64, bound: usize) -> usize {
    (u128::from(hash) * bound as u128 / (1 << 64)) as usize
}

/// The pseudocode of section 3.4 of the paper. In its turn, a server takes as many slots as `turns`
/// has for it.
fn maglev_table(destinations: &[Fake], turns: &[usize]) -> Vec<usize> {
    const M: usize = 4093;
    let permutation: Vec<Vec<usize>> = destinations
        .iter()
        .map(|server| {
            let hash = |round| hash(server.endpoint().address, server.endpoint().port, round);
            let (offset, skip) = (scaled(hash(0), M), scaled(hash(1), M - 1) + 1);
            (0..M).map(|j| (offset + j * skip) % M).collect()
        })
        .collect();
    let mut next = vec![0; destinations.len()];
    let mut entry = vec![None; M];
    loop {
        for i in 0..destinations.len() {
            for _ in 0..turns[i] {
                while entry[permutation[i][next[i]]].is_some() {
                    next[i] += 1;
                }
                entry[permutation[i][next[i]]] = Some(i);
                if entry.iter().all(Option::is_some) {
                    return entry.into_iter().flatten().collect();
                }
            }
        }
    }
}

#[test]
fn choices_equal_those_of_the_papers() {
    let cases: [(&[u32], &[usize]); 4] = [
        (&[1], &[1]),
        (&[7, 7, 7, 7, 7], &[1; 5]),
        (&[2, 4, 0, 10], &[1, 2, 0, 5]),
        (&[1; 199], &[1; 199]),
    ];
    for (weights, turns) in cases {
        let destinations = self::weights(weights);
        let table = maglev_table(&destinations, turns);
        let round: Vec<usize> = (0..turns.len()).flat_map(|i| vec![i; turns[i]]).collect();
        let maglev = scheduled::<MaglevHashing>(&destinations);
        let source = scheduled::<SourceHashing>(&destinations);
        let one_ip = scheduled::<OneIp>(&destinations);
        for client in 0..3000u32 {
            let hash = |round| hash(Address::from_v4(client.to_be_bytes()), 0, round);
            let flow = flow(client);
            assert_eq!(
                maglev.select_for(&destinations, &flow),
                Some(table[scaled(hash(0), 4093)])
            );
            let slot = scaled(hash(0), 256);
            assert_eq!(
                source.select_for(&destinations, &flow),
                Some(round[slot % round.len()])
            );
            // The highest random weight among the servers that accept connections.
            let weight = |server: &&Fake| {
                let endpoint = server.endpoint();
                let product = u128::from(hash(0))
                    * u128::from(self::hash(endpoint.address, endpoint.port, 0));
                (product / (1 << 64)) as u64 ^ (product % (1 << 64)) as u64
            };
            let best = destinations
                .iter()
                .filter(|server| server.weight > 0)
                .max_by_key(weight);
            let best = best.map(|best| {
                destinations
                    .iter()
                    .position(|server| server.host == best.host)
                    .unwrap()
            });
            assert_eq!(one_ip.select_for(&destinations, &flow), best);
        }
    }
}

#[test]
fn without_fallback_clients_of_a_quiesced_server_wait_for_it() {
    let none = Options::default();
    let mut destinations = weights(&[1, 1, 1]);
    let (maglev, source) = (
        scheduled::<MaglevHashing>(&destinations),
        scheduled::<SourceHashing>(&destinations),
    );
    let before = [
        hosts(&maglev, &destinations, 999, none),
        hosts(&source, &destinations, 999, none),
    ];
    destinations[1].overloaded = true;
    for (before, after) in before.iter().zip([
        hosts(&maglev, &destinations, 999, none),
        hosts(&source, &destinations, 999, none),
    ]) {
        let wanted: Vec<_> = before
            .iter()
            .map(|host| host.filter(|host| *host != destinations[1].host))
            .collect();
        assert_eq!(after, wanted);
        assert!(after.contains(&None));
    }
}

#[test]
fn ports_matter_only_with_the_port_flag() {
    let destinations = weights(&[1; 8]);
    let (maglev, source) = (
        scheduled::<MaglevHashing>(&destinations),
        scheduled::<SourceHashing>(&destinations),
    );
    for port in [false, true] {
        let options = Options {
            port,
            ..Options::DEFAULT
        };
        let choices = |select: &dyn Fn(&Flow<'_>) -> Option<usize>| {
            let flows = (1024..1200u16).map(|port| Flow {
                options,
                client: Endpoint::new(Address::from_v4([198, 51, 100, 7]), port),
                ..flow(1)
            });
            flows
                .map(|flow| select(&flow))
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        let wanted = if port { 8 } else { 1 };
        assert_eq!(
            choices(&|flow| maglev.select_for(&destinations, flow)),
            wanted
        );
        assert_eq!(
            choices(&|flow| source.select_for(&destinations, flow)),
            wanted
        );
    }
}

#[test]
fn dh_chooses_by_the_virtual_address() {
    let mut destinations = weights(&[1, 9, 1, 0]);
    let scheduler = scheduled::<DestinationHashing>(&destinations);
    let to = |address: u32, client| Flow {
        virtual_endpoint: Endpoint::new(Address::from_v4(address.to_be_bytes()), 80),
        ..flow(client)
    };
    let choices: Vec<_> = (0..9999)
        .map(|address| scheduler.select_for(&destinations, &to(address, 1)))
        .collect();
    for (address, choice) in (0..).zip(&choices) {
        assert_eq!(
            scheduler.select_for(&destinations, &to(address, address + 5)),
            *choice
        );
    }
    for index in [0, 1, 2] {
        let share = choices
            .iter()
            .filter(|choice| **choice == Some(index))
            .count();
        assert!(
            (2300..2700).contains(&share),
            "{share} of 9999, whatever the weights"
        );
    }
    // The addresses of a server that accepts no connections are refused.
    assert!((2300..2700).contains(&choices.iter().filter(|choice| choice.is_none()).count()));
    destinations[0].overloaded = true;
    let after: Vec<_> = (0..9999)
        .map(|address| scheduler.select_for(&destinations, &to(address, 1)))
        .collect();
    let wanted: Vec<_> = choices
        .iter()
        .map(|choice| choice.filter(|index| *index != 0))
        .collect();
    assert_eq!(after, wanted);
}

/// Directors that share the work: with the same servers, in any order and after any history, they
/// choose the same server for a client.
#[test]
fn oneip_depends_on_the_set_of_servers_alone() {
    let mut destinations = weights(&[1; 6]);
    let scheduler = scheduled::<OneIp>(&destinations);
    let before = hosts(&scheduler, &destinations, 9999, FALLBACK);
    let out = destinations.remove(2);
    scheduler.changed(&destinations, Change::Removed(2));
    let without = hosts(&scheduler, &destinations, 9999, FALLBACK);
    let second = destinations.remove(0);
    scheduler.changed(&destinations, Change::Removed(0));
    destinations.push(second.clone());
    scheduler.changed(&destinations, Change::Added(4));
    assert_eq!(hosts(&scheduler, &destinations, 9999, FALLBACK), without);
    destinations.push(out.clone());
    scheduler.changed(&destinations, Change::Added(5));
    assert_eq!(hosts(&scheduler, &destinations, 9999, FALLBACK), before);
    destinations.reverse();
    let other = scheduled::<OneIp>(&destinations);
    assert_eq!(hosts(&other, &destinations, 9999, FALLBACK), before);
}

/// Every client whose server remains keeps it, no matter how many servers fail. The other clients
/// are spread over all remaining servers.
#[test]
fn oneip_moves_only_clients_of_lost_servers() {
    let mut destinations = weights(&[1; 6]);
    let scheduler = scheduled::<OneIp>(&destinations);
    let mut before = hosts(&scheduler, &destinations, CLIENTS, FALLBACK);
    for failed in [3, 0, 5, 1] {
        destinations[failed].overloaded = true;
        let after = hosts(&scheduler, &destinations, CLIENTS, FALLBACK);
        let gone = Some(destinations[failed].host);
        let (moved, others): (Vec<_>, Vec<_>) = before
            .iter()
            .zip(&after)
            .partition(|(before, _)| **before == gone);
        assert!(others.iter().all(|(before, after)| before == after));
        let moved: Vec<_> = moved.into_iter().map(|(_, after)| *after).collect();
        let left: Vec<Fake> = destinations
            .iter()
            .filter(|server| !server.overloaded)
            .cloned()
            .collect();
        check_shares(
            &shares(&moved, &left),
            &vec![1.0 / left.len() as f64; left.len()],
            0.05,
        );
        before = after;
    }
    destinations
        .iter_mut()
        .for_each(|server| server.overloaded = true);
    assert_eq!(scheduler.select(&destinations), None);
}

/// The shares are as even as random ones, with neighboring addresses of clients and servers.
#[test]
fn oneip_is_even_with_any_number_of_servers() {
    for number in [2, 3, 10, 50, 200] {
        let destinations = weights(&vec![1; number]);
        let hosts = hosts(
            &scheduled::<OneIp>(&destinations),
            &destinations,
            CLIENTS,
            FALLBACK,
        );
        let expected = f64::from(CLIENTS) / number as f64;
        let deviation = |share: &f64| (share * f64::from(CLIENTS) - expected).powi(2) / expected;
        let chi_squared: f64 = shares(&hosts, &destinations).iter().map(deviation).sum();
        // Mean and variance of the distribution: n - 1 and 2 (n - 1).
        let freedom = number as f64 - 1.0;
        assert!(
            chi_squared < freedom + 4.0 * (2.0 * freedom).sqrt(),
            "{number} destinations: {chi_squared}"
        );
    }
}

#[test]
fn no_server_is_chosen_when_none_accepts_connections() {
    for destinations in [weights(&[]), weights(&[0, 0])] {
        for options in [FALLBACK, Options::default()] {
            let flow = Flow { options, ..flow(1) };
            assert_eq!(
                scheduled::<SourceHashing>(&destinations).select_for(&destinations, &flow),
                None
            );
            assert_eq!(
                scheduled::<DestinationHashing>(&destinations).select_for(&destinations, &flow),
                None
            );
            assert_eq!(
                scheduled::<MaglevHashing>(&destinations).select_for(&destinations, &flow),
                None
            );
            assert_eq!(
                scheduled::<OneIp>(&destinations).select_for(&destinations, &flow),
                None
            );
        }
    }
}

/// The servers that a client gets from both levels.
type Pair = (Option<u32>, Option<u32>);

/// Directors on two levels: the second one chooses among other servers for the clients that the
/// first one sends to each of its own. `apart` is added to the numbers of the second one's servers.
/// Returns Pearson's chi-square of independence, and its degrees of freedom.
fn dependence<A: Algorithm>(seeds: [u8; 2], apart: u32) -> (f64, f64) {
    let (above, mut below) = (weights(&[1; 5]), weights(&[1, 1, 2, 1, 1, 1, 3]));
    for server in &mut below {
        server.host += apart;
    }
    let level = |servers: &[Fake], seed| {
        let options = Options {
            seed,
            ..Options::DEFAULT
        };
        hosts(&scheduled::<A>(servers), servers, CLIENTS, options)
    };
    let pairs: Vec<Pair> = level(&above, seeds[0])
        .into_iter()
        .zip(level(&below, seeds[1]))
        .collect();
    let mut chi = 0.0;
    for upper in &above {
        for lower in &below {
            let (upper, lower) = (Some(upper.host), Some(lower.host));
            let count = |wanted: &dyn Fn(&Pair) -> bool| {
                pairs.iter().filter(|pair| wanted(pair)).count() as f64
            };
            let expected = count(&|pair| pair.0 == upper) * count(&|pair| pair.1 == lower)
                / f64::from(CLIENTS);
            let seen = count(&|pair| *pair == (upper, lower));
            chi += (seen - expected).powi(2) / expected;
        }
    }
    (chi, ((above.len() - 1) * (below.len() - 1)) as f64)
}

fn check_seeds<A: Algorithm>() {
    for seeds in [[0, 1], [1, 0], [0, 255], [7, 8]] {
        let (chi, freedom) = dependence::<A>(seeds, 0);
        // Chance exceeds this in one of some 10,000 cases. Nothing here is random.
        let most = freedom + 4.0 * (2.0 * freedom).sqrt();
        assert!(chi < most, "{seeds:?}: {chi}, {freedom} degrees of freedom");
    }
    let (chi, freedom) = dependence::<A>([3, 3], 0);
    assert!(chi > 100.0 * freedom, "{chi}");
}

#[test]
fn levels_with_different_seeds_choose_independently_of_each_other() {
    check_seeds::<SourceHashing>();
    check_seeds::<MaglevHashing>();
    check_seeds::<OneIp>();
}

/// It ranks servers by their addresses, which differ between levels.
#[test]
fn levels_of_oneip_choose_independently_of_each_other_with_equal_seeds() {
    let (chi, freedom) = dependence::<OneIp>([0, 0], 100);
    assert!(chi < freedom + 4.0 * (2.0 * freedom).sqrt(), "{chi}");
}
