// SPDX-License-Identifier: GPL-2.0-only

//! Another server for a client whose server does not answer.

use crate::schedule::{takes, weights, Fake};
use lvs_core::{
    redispatch::{another, awaits_answer},
    state::State,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn only_a_handshake_without_an_answer_moves() {
    for number in 0..State::COUNT as u8 {
        let state = State::from_u8(number);
        let wanted = matches!(state, State::SynRecv | State::SynAck);
        assert_eq!(awaits_answer(state, false), wanted, "{state:?}");
        assert!(!awaits_answer(state, true), "{state:?}");
    }
}

#[test]
fn without_another_server_the_client_stays() {
    assert_eq!(another(&weights(&[]), None, 7), None);
    assert_eq!(another(&weights(&[1]), Some(0), 7), None);
    assert_eq!(another(&weights(&[1, 0, 0]), Some(0), 7), None);
    let mut overloaded = weights(&[1, 1]);
    overloaded[1].overloaded = true;
    assert_eq!(another(&overloaded, Some(0), 7), None);
    // The failed server was deleted.
    assert_eq!(another(&weights(&[1]), None, 7), Some(0));
    assert_eq!(another(&weights(&[0, 3]), None, 7), Some(1));
}

#[test]
fn the_clients_of_a_failed_server_spread_over_all_others() {
    for count in [2, 3, 6, 10, 60] {
        let destinations = weights(&vec![1; count]);
        let mut clients = vec![0_u32; count];
        for port in 1024..=u16::MAX {
            clients[another(&destinations, Some(1), port).unwrap()] += 1;
        }
        assert_eq!(clients[1], 0);
        let fair = (u32::from(u16::MAX) - 1023) / (count as u32 - 1);
        let rest = clients.iter().enumerate().filter(|(index, _)| *index != 1);
        for (index, clients) in rest {
            // An index between the list and the modulus passes its clients on.
            assert!(
                *clients > fair / 2 && *clients < 2 * fair + 2,
                "{count}: {index} {clients}"
            );
        }
    }
}

proptest! {
    #[test]
    fn repeated_syns_try_every_server_that_accepts_connections(
        servers in prop::collection::vec((0_u32..3, any::<bool>()), 1..70),
        port: u16,
        first: prop::sample::Index,
    ) {
        let mut destinations: Vec<Fake> = weights(&servers.iter().map(|s| s.0).collect::<Vec<_>>());
        for (destination, (_, overloaded)) in destinations.iter_mut().zip(&servers) {
            destination.overloaded = *overloaded;
        }
        let first = first.index(destinations.len());
        let all: BTreeSet<usize> = (0..destinations.len())
            .filter(|index| *index != first && takes(&destinations[*index]))
            .collect();
        let (mut failed, mut tried) = (first, Vec::new());
        for _ in 0..all.len() {
            failed = another(&destinations, Some(failed), port).unwrap();
            tried.push(failed);
        }
        tried.retain(|index| *index != first);
        let distinct: BTreeSet<usize> = tried.iter().copied().collect();
        // The first one is tried again only after all others.
        prop_assert_eq!(&distinct, &all);
    }
}
