// SPDX-License-Identifier: GPL-2.0-only

//! Compares the selection of connections with a comparison bit by bit.

use lvs_core::selection::{BadPrefix, Ends, Pattern, Selection};
use lvs_core::state::State;
use lvs_core::{extension, Address, Endpoint};
use proptest::prelude::*;
use std::net::IpAddr;

fn address(text: &str) -> Address {
    match text.parse().unwrap() {
        IpAddr::V4(address) => Address::from_v4(address.octets()),
        IpAddr::V6(address) => Address::from_v6(address.octets()),
    }
}

fn end(text: &str, port: u16) -> Endpoint {
    Endpoint::new(address(text), port)
}

fn pattern(text: &str, prefix: Option<u8>, port: Option<u16>) -> Pattern {
    Pattern::new(Some(address(text)), prefix, port).unwrap()
}

#[test]
fn the_version_equals_that_of_the_package() {
    assert_eq!(
        extension::VERSION.to_str().unwrap(),
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn a_state_is_selected_by_name() {
    let ends = Ends {
        protocol: 6,
        client: end("192.0.2.1", 4000),
        service: end("10.0.0.1", 80),
        server: end("10.0.0.2", 8080),
    };
    assert_eq!(State::from_name(b"FIN_WAIT"), Some(State::FinWait));
    assert_eq!(State::from_name(b"FIN"), None);
    let closing = Selection {
        state: State::from_name(b"FIN_WAIT"),
        ..Selection::default()
    };
    assert!(closing.matches(&ends, State::FinWait));
    assert!(!closing.matches(&ends, State::Established));
}

#[test]
fn absent_fields_do_not_matter() {
    let ends = Ends {
        protocol: 6,
        client: end("192.0.2.1", 4000),
        service: end("10.0.0.1", 80),
        server: end("2001:db8::7", 8080),
    };
    let all = Selection::default();
    assert!(all.matches(&ends, State::None));
    for (chosen, wanted) in [
        (
            Selection {
                protocol: Some(6),
                ..all
            },
            true,
        ),
        (
            Selection {
                protocol: Some(17),
                ..all
            },
            false,
        ),
        (
            Selection {
                client: pattern("192.0.2.1", None, None),
                ..all
            },
            true,
        ),
        (
            Selection {
                client: pattern("192.0.2.2", None, None),
                ..all
            },
            false,
        ),
        (
            Selection {
                client: pattern("192.0.2.1", None, Some(4001)),
                ..all
            },
            false,
        ),
        (
            Selection {
                client: pattern("10.0.0.1", None, None),
                ..all
            },
            false,
        ),
        (
            Selection {
                service: pattern("10.0.0.1", None, Some(80)),
                ..all
            },
            true,
        ),
        (
            Selection {
                service: Pattern::new(None, None, Some(80)).unwrap(),
                ..all
            },
            true,
        ),
        (
            Selection {
                service: Pattern::new(None, None, Some(81)).unwrap(),
                ..all
            },
            false,
        ),
        (
            Selection {
                server: pattern("2001:db8::", Some(32), Some(8080)),
                ..all
            },
            true,
        ),
        (
            Selection {
                server: pattern("2001:db9::", Some(32), None),
                ..all
            },
            false,
        ),
        (
            Selection {
                server: pattern("0.0.0.0", Some(0), None),
                ..all
            },
            false,
        ),
        (
            Selection {
                client: pattern("::", Some(0), None),
                ..all
            },
            false,
        ),
    ] {
        assert_eq!(chosen.matches(&ends, State::None), wanted, "{chosen:?}");
    }
    // All given fields must match.
    let both = Selection {
        client: pattern("192.0.2.1", None, None),
        server: pattern("2001:db8::8", None, None),
        ..all
    };
    assert!(!both.matches(&ends, State::None));
}

#[test]
fn invalid_prefixes_are_refused() {
    assert_eq!(Pattern::new(None, Some(0), None), Err(BadPrefix));
    assert_eq!(
        Pattern::new(Some(address("10.0.0.1")), Some(33), None),
        Err(BadPrefix)
    );
    assert_eq!(
        Pattern::new(Some(address("::1")), Some(129), None),
        Err(BadPrefix)
    );
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>()
            .prop_filter("no mapped ones", |octets| octets[..10] != [0; 10])
            .prop_map(IpAddr::from),
    ]
}

fn bits(address: &IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |bit| (octet >> bit) & 1 == 1))
        .collect()
}

proptest! {
    #[test]
    fn a_network_selects_by_the_first_bits(a in any_address(), b in any_address(), flips in 0_u8..129, len in 0_u8..129) {
        // In half of the cases, the first bits of the two are equal.
        let b = if flips % 2 == 0 { b } else {
            let flipped = |octets: &mut [u8]| {
                let at = usize::from(flips) % (octets.len() * 8);
                octets[at / 8] ^= 0x80 >> (at % 8);
            };
            match a {
                IpAddr::V4(a) => { let mut o = a.octets(); flipped(&mut o); IpAddr::from(o) }
                IpAddr::V6(a) => { let mut o = a.octets(); flipped(&mut o); IpAddr::from(o) }
            }
        };
        let (first, second) = (bits(&a), bits(&b));
        let made = Pattern::new(Some(address(&a.to_string())), Some(len), None);
        if usize::from(len) > first.len() {
            prop_assert_eq!(made, Err(BadPrefix));
        } else {
            let wanted = first.len() == second.len() && first[..usize::from(len)] == second[..usize::from(len)];
            prop_assert_eq!(made.unwrap().matches(end(&b.to_string(), 1)), wanted);
        }
    }
}
