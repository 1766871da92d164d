// SPDX-License-Identifier: GPL-2.0-only

//! The shares of the hashing schedulers, and the clients that move when servers change.

use crate::schedule::{weights, Fake};
use crate::schedule_hash::{check_shares, hosts, scheduled, shares, CLIENTS, FALLBACK};
use lvs_core::scheduler::{Algorithm, Change, MaglevHashing, OneIp, SourceHashing};

/// The share of clients that have another server, and the share that moved without need: their
/// server still accepts connections, and they did not move to a new one.
fn moved(before: &[Option<u32>], after: &[Option<u32>], changed: u32) -> (f64, f64) {
    let pairs = || {
        before
            .iter()
            .zip(after)
            .filter(|(before, after)| before != after)
    };
    let needless =
        pairs().filter(|(before, after)| **before != Some(changed) && **after != Some(changed));
    let part = |count: usize| count as f64 / before.len() as f64;
    (part(pairs().count()), part(needless.count()))
}

/// Quiesces a server of ten, deletes one, and adds one.
struct Figures {
    quiesced: (f64, f64),
    deleted: (f64, f64),
    added: (f64, f64),
}

fn figures<A: Algorithm>(name: &str) -> Figures {
    let mut destinations = weights(&[1; 10]);
    let scheduler = scheduled::<A>(&destinations);
    let before = hosts(&scheduler, &destinations, CLIENTS, FALLBACK);
    let gone = destinations[3].host;

    destinations[3].weight = 0;
    destinations[3].former_weight = 1;
    scheduler.changed(&destinations, Change::Edited(3));
    let quiesced = moved(
        &before,
        &hosts(&scheduler, &destinations, CLIENTS, FALLBACK),
        gone,
    );
    destinations[3].weight = 1;
    scheduler.changed(&destinations, Change::Edited(3));
    assert_eq!(
        hosts(&scheduler, &destinations, CLIENTS, FALLBACK),
        before,
        "{name}: back as it was"
    );

    destinations.push(Fake {
        weight: 1,
        host: 99,
        ..Fake::default()
    });
    scheduler.changed(&destinations, Change::Added(10));
    let added = moved(
        &before,
        &hosts(&scheduler, &destinations, CLIENTS, FALLBACK),
        99,
    );
    destinations.pop();

    let scheduler = scheduled::<A>(&destinations);
    destinations.remove(3);
    scheduler.changed(&destinations, Change::Removed(3));
    let after = hosts(&scheduler, &destinations, CLIENTS, FALLBACK);
    assert!(after
        .iter()
        .all(|host| host.is_some() && *host != Some(gone)));
    let deleted = moved(&before, &after, gone);
    let figures = Figures {
        quiesced,
        deleted,
        added,
    };
    let percent = |(all, needless): (f64, f64)| {
        format!("{:.1} % ({:.1} % needless)", all * 100.0, needless * 100.0)
    };
    println!(
        "{name}: quiesced {}, deleted {}, added {}",
        percent(figures.quiesced),
        percent(figures.deleted),
        percent(figures.added)
    );
    figures
}

/// One of ten servers leaves, or one is added. Ideally a tenth of the clients move, or an eleventh.
#[test]
fn the_expected_shares_of_clients_move() {
    let is = |part: f64, wanted: f64| {
        assert!((part - wanted).abs() < 0.006, "{part} instead of {wanted}")
    };
    let one_ip = figures::<OneIp>("oneip");
    is(one_ip.quiesced.0, 0.1);
    is(one_ip.deleted.0, 0.1);
    is(one_ip.added.0, 1.0 / 11.0);
    assert_eq!(
        [one_ip.quiesced.1, one_ip.deleted.1, one_ip.added.1],
        [0.0; 3]
    );

    let maglev = figures::<MaglevHashing>("mh");
    is(maglev.quiesced.0, 0.1);
    assert_eq!(maglev.quiesced.1, 0.0);
    // A few slots change hands among the others.
    assert!(
        maglev.deleted.1 > 0.0 && maglev.deleted.1 < 0.06,
        "{}",
        maglev.deleted.1
    );
    assert!(
        maglev.added.1 > 0.0 && maglev.added.1 < 0.06,
        "{}",
        maglev.added.1
    );

    let source = figures::<SourceHashing>("sh");
    is(source.quiesced.0, 0.1);
    assert_eq!(source.quiesced.1, 0.0);
    // Nearly all clients move.
    assert!(source.deleted.0 > 0.8 && source.added.0 > 0.8);
}

#[test]
fn shares_are_equal_or_by_weight() {
    let equal = weights(&[5; 10]);
    let maglev = hosts(
        &scheduled::<MaglevHashing>(&equal),
        &equal,
        CLIENTS,
        FALLBACK,
    );
    check_shares(&shares(&maglev, &equal), &[0.1; 10], 0.03);
    let one_ip = hosts(&scheduled::<OneIp>(&equal), &equal, CLIENTS, FALLBACK);
    check_shares(&shares(&one_ip, &equal), &[0.1; 10], 0.03);
    let source = hosts(
        &scheduled::<SourceHashing>(&equal),
        &equal,
        CLIENTS,
        FALLBACK,
    );
    // 26 or 25 slots of 256.
    check_shares(&shares(&source, &equal), &[0.1; 10], 0.07);

    let weighted = weights(&[300, 100, 0, 400]);
    let wanted = [0.375, 0.125, 0.0, 0.5];
    let maglev = hosts(
        &scheduled::<MaglevHashing>(&weighted),
        &weighted,
        CLIENTS,
        FALLBACK,
    );
    check_shares(&shares(&maglev, &weighted), &wanted, 0.03);
    let source = hosts(
        &scheduled::<SourceHashing>(&weighted),
        &weighted,
        CLIENTS,
        FALLBACK,
    );
    check_shares(&shares(&source, &weighted), &wanted, 0.03);

    // Weights without a common divisor, more turns than slots.
    let odd = weights(&[60_013, 30_011, 10_007]);
    let wanted = [0.6, 0.3, 0.1];
    let maglev = hosts(&scheduled::<MaglevHashing>(&odd), &odd, CLIENTS, FALLBACK);
    check_shares(&shares(&maglev, &odd), &wanted, 0.03);
    let source = hosts(&scheduled::<SourceHashing>(&odd), &odd, CLIENTS, FALLBACK);
    check_shares(&shares(&source, &odd), &wanted, 0.05);
}
