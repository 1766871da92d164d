// SPDX-License-Identifier: GPL-2.0-only

//! Requests of the family "IPVS": each field that is absent, malformed or impossible gets the error
//! number that the C director of Linux 7.2 answers, where it refuses the request too.

use lvs_core::{
    destination::{self, Forwarding},
    engine::EngineName,
    netlink::Attributes,
    request::{self, Errno, NamedDestination, NamedService, Refusal, Timeouts},
    service::{self, Key, SchedulerName},
    tunnel, Address, Endpoint, Family, Protocol,
};
use proptest::prelude::*;

/// A nest: kinds and payloads, in order.
type Nest = Vec<(u16, Vec<u8>)>;

fn chain(nest: &Nest) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in nest {
        out.extend(((payload.len() + 4) as u16).to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn message(kind: u16, nest: &Nest) -> Vec<u8> {
    chain(&vec![(kind, chain(nest))])
}

fn with(mut nest: Nest, kind: u16, payload: &[u8]) -> Nest {
    nest.retain(|(present, _)| *present != kind);
    nest.push((kind, payload.to_vec()));
    nest
}

fn without(mut nest: Nest, kind: u16) -> Nest {
    nest.retain(|(present, _)| *present != kind);
    nest
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

const AF: u16 = 1;
const PROTOCOL: u16 = 2;
const ADDR: u16 = 3;
const PORT: u16 = 4;
const FWMARK: u16 = 5;
const SCHED_NAME: u16 = 6;
const FLAGS: u16 = 7;
const TIMEOUT: u16 = 8;
const NETMASK: u16 = 9;
const PE_NAME: u16 = 11;

/// `ipvsadm -A -t 192.0.2.1:80 -s wlc`
fn tcp_service() -> Nest {
    vec![
        (AF, 2u16.to_ne_bytes().to_vec()),
        (PROTOCOL, 6u16.to_ne_bytes().to_vec()),
        (ADDR, [[192, 0, 2, 1].as_slice(), &[0; 12]].concat()),
        (PORT, 80u16.to_be_bytes().to_vec()),
        (SCHED_NAME, b"wlc\0".to_vec()),
        (FLAGS, words(&[0, u32::MAX])),
        (TIMEOUT, words(&[0])),
        (NETMASK, words(&[u32::MAX])),
    ]
}

/// `ipvsadm -A -t [2001:db8::1]:80 -s wlc`
fn tcp_service_v6() -> Nest {
    let address = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap();
    let nest = with(tcp_service(), AF, &10u16.to_ne_bytes());
    let nest = with(nest, ADDR, &address.octets());
    with(nest, NETMASK, &words(&[128]))
}

fn tcp_key() -> Key {
    Key::Address {
        protocol: Protocol::Tcp,
        endpoint: Endpoint::new(Address::from_v4([192, 0, 2, 1]), 80),
    }
}

/// What a request to add this service results in.
fn add(nest: &Nest) -> Result<(Key, SchedulerName, service::Settings), Errno> {
    let bytes = message(1, nest);
    let read = || -> Result<_, Refusal> {
        let named = NamedService::new(&Attributes::new(&bytes)?)?;
        let details = named.details()?;
        let key = named.key()?;
        let scheduler = details.scheduler()?;
        details.check()?;
        Ok((key, scheduler, details.over(Default::default())?))
    };
    read().map_err(|refusal| refusal.errno)
}

/// The key in a request about a service that should exist.
fn existing(nest: &Nest) -> Result<Key, Errno> {
    let bytes = message(1, nest);
    let read = || NamedService::new(&Attributes::new(&bytes)?)?.existing_key();
    read().map_err(|refusal: Refusal| refusal.errno)
}

#[test]
fn a_complete_service_is_read() {
    let (key, scheduler, settings) = add(&tcp_service()).unwrap();
    assert_eq!(key, tcp_key());
    assert_eq!(scheduler.as_c_str(), c"wlc");
    let expected = service::Settings {
        flags: 0,
        timeout: 0,
        netmask: u32::MAX,
        engine: None,
    };
    assert_eq!(settings, expected);
    let (key, ..) = add(&tcp_service_v6()).unwrap();
    assert_eq!(key.family(), Family::V6);
}

#[test]
fn a_firewall_mark_needs_neither_protocol_nor_address() {
    let mut nest = tcp_service();
    for kind in [PROTOCOL, ADDR, PORT] {
        nest = without(nest, kind);
    }
    let nest = with(nest, FWMARK, &words(&[7]));
    let family = Family::V4;
    assert_eq!(add(&nest).unwrap().0, Key::Mark { mark: 7, family });
    assert_eq!(existing(&nest), Ok(Key::Mark { mark: 7, family }));
}

#[test]
fn a_service_with_a_missing_or_malformed_attribute_is_invalid() {
    for kind in [
        AF, PROTOCOL, ADDR, PORT, SCHED_NAME, FLAGS, TIMEOUT, NETMASK,
    ] {
        let absent = without(tcp_service(), kind);
        assert_eq!(add(&absent), Err(Errno::Invalid), "without {kind}");
        if ![ADDR, SCHED_NAME].contains(&kind) {
            let short = with(tcp_service(), kind, &[1]);
            assert_eq!(add(&short), Err(Errno::Invalid), "{kind} is short");
        }
        let long = with(tcp_service(), kind, &[0; 40]);
        assert_eq!(add(&long), Err(Errno::Invalid), "{kind} is long");
    }
    assert_eq!(existing(&Nest::new()), Err(Errno::Invalid));
    let other = message(2, &tcp_service());
    let attributes = Attributes::new(&other).unwrap();
    assert!(NamedService::new(&attributes).is_err());
}

#[test]
fn an_impossible_service_gets_the_error_number_of_the_c_director() {
    let cases: &[(Nest, Errno, Errno)] = &[
        (
            with(tcp_service(), AF, &1u16.to_ne_bytes()),
            Errno::FamilyNotSupported,
            Errno::FamilyNotSupported,
        ),
        (
            with(tcp_service(), PROTOCOL, &1u16.to_ne_bytes()),
            Errno::ProtocolNotSupported,
            Errno::NoSuchService,
        ),
        (
            with(tcp_service(), PROTOCOL, &(256u16 + 6).to_ne_bytes()),
            Errno::ProtocolNotSupported,
            Errno::NoSuchService,
        ),
        (
            with(tcp_service(), FWMARK, &words(&[0])),
            Errno::Invalid,
            Errno::NoSuchService,
        ),
    ];
    for (nest, adding, other) in cases {
        assert_eq!(add(nest), Err(*adding));
        assert_eq!(existing(nest), Err(*other));
    }
}

#[test]
fn an_ipv4_mapped_virtual_address_is_invalid() {
    let mapped = [[0; 10].as_slice(), &[0xff, 0xff, 192, 0, 2, 1]].concat();
    let nest = with(tcp_service_v6(), ADDR, &mapped);
    assert_eq!(add(&nest), Err(Errno::Invalid));
}

#[test]
fn a_scheduler_name_has_1_to_15_plain_characters() {
    for good in ["rr", "a-b_C9", "abcdefghijklmno"] {
        let nest = with(tcp_service(), SCHED_NAME, good.as_bytes());
        assert_eq!(add(&nest).unwrap().1.as_c_str().to_bytes(), good.as_bytes());
    }
    for bad in ["a b", "../x", "a.b", "abcdefghijklmnop", "\u{e9}"] {
        let nest = with(tcp_service(), SCHED_NAME, bad.as_bytes());
        assert_eq!(add(&nest), Err(Errno::NotFound), "{bad}");
    }
    assert_eq!(SchedulerName::new(b""), None);
    assert_eq!(SchedulerName::new(b"a\0b"), None);
}

#[test]
fn a_persistence_engine_is_named() {
    let nest = with(tcp_service(), PE_NAME, b"sip\0");
    assert_eq!(add(&nest).unwrap().2.engine, EngineName::new(b"sip"));
    let nest = with(tcp_service(), PE_NAME, b"\0");
    assert_eq!(add(&nest).unwrap().2.engine, None);
    for name in [&b"a/b\0"[..], b"\xff\0"] {
        let nest = with(tcp_service(), PE_NAME, name);
        assert_eq!(add(&nest), Err(Errno::NotFound));
    }
}

#[test]
fn the_netmask_of_an_ipv6_service_is_a_prefix_length() {
    for (length, valid) in [(0, false), (1, true), (128, true), (129, false)] {
        let nest = with(tcp_service_v6(), NETMASK, &words(&[length]));
        assert_eq!(add(&nest).is_ok(), valid, "{length}");
    }
}

#[test]
fn a_persistent_service_has_any_netmask_and_a_timeout_in_range() {
    let persistent = with(tcp_service(), FLAGS, &words(&[1, u32::MAX]));
    for mask in [
        [255, 255, 255, 0],
        [0, 0, 0, 0],
        [255, 0, 255, 0],
        [0, 0, 0, 255],
    ] {
        let nest = with(persistent.clone(), NETMASK, &mask);
        assert_eq!(
            add(&nest).unwrap().2.netmask,
            u32::from_ne_bytes(mask),
            "{mask:?}"
        );
    }
    let longest = lvs_core::timeout::MAX_SECONDS;
    for (timeout, valid) in [(0, true), (longest, true), (longest + 1, false)] {
        let nest = with(persistent.clone(), TIMEOUT, &words(&[timeout]));
        assert_eq!(add(&nest).is_ok(), valid, "{timeout}");
    }
}

#[test]
fn one_packet_scheduling_is_a_flag_of_any_service() {
    let one_packet = words(&[4, u32::MAX]);
    let nest = with(tcp_service(), FLAGS, &one_packet);
    assert_eq!(add(&nest).unwrap().2.flags, 4);
    let udp = with(nest, PROTOCOL, &17u16.to_ne_bytes());
    assert_eq!(add(&udp).unwrap().2.flags, 4);
    // Outside its mask a flag does not count.
    let nest = with(tcp_service(), FLAGS, &words(&[4, !4]));
    assert_eq!(add(&nest).unwrap().2.flags, 0);
}

#[test]
fn an_edit_keeps_the_flags_outside_its_mask() {
    let bytes = message(1, &with(tcp_service(), FLAGS, &words(&[0x8, 0x18])));
    let named = NamedService::new(&Attributes::new(&bytes).unwrap()).unwrap();
    let present = service::Settings {
        flags: 0x1 | 0x2 | 0x10,
        timeout: 9,
        netmask: u32::MAX,
        engine: EngineName::new(b"sip"),
    };
    // The kernel sets the flag "hashed" (0x2) itself; it is no setting.
    let settings = named.details().unwrap().over(present).unwrap();
    assert_eq!(settings.flags, 0x1 | 0x8);
    assert_eq!(settings.timeout, 0);
    // The engine is that of the request.
    assert_eq!(settings.engine, None);
}

const FWD_METHOD: u16 = 3;
const WEIGHT: u16 = 4;
const U_THRESH: u16 = 5;
const L_THRESH: u16 = 6;
const ADDR_FAMILY: u16 = 11;
const TUN_TYPE: u16 = 13;
const TUN_PORT: u16 = 14;
const TUN_FLAGS: u16 = 15;

/// `ipvsadm -a ... -r 192.0.2.9:8080 -m`
fn server() -> Nest {
    vec![
        (1, [[192, 0, 2, 9].as_slice(), &[0; 12]].concat()),
        (2, 8080u16.to_be_bytes().to_vec()),
        (FWD_METHOD, words(&[0])),
        (WEIGHT, words(&[1])),
        (U_THRESH, words(&[0])),
        (L_THRESH, words(&[0])),
        (ADDR_FAMILY, 2u16.to_ne_bytes().to_vec()),
    ]
}

/// What a request to add this destination to an IPv4 service results in.
fn add_server(nest: &Nest) -> Result<(Endpoint, destination::Settings), Errno> {
    let bytes = message(2, nest);
    let read = || -> Result<_, Refusal> {
        let attributes = Attributes::new(&bytes)?;
        let (named, details) = NamedDestination::with_settings(&attributes, &tcp_key())?;
        Ok((named.endpoint()?, details.settings()?))
    };
    read().map_err(|refusal| refusal.errno)
}

fn existing_server(nest: &Nest) -> Result<Endpoint, Errno> {
    let bytes = message(2, nest);
    let read = || NamedDestination::new(&Attributes::new(&bytes)?, &tcp_key())?.existing_endpoint();
    read().map_err(|refusal: Refusal| refusal.errno)
}

#[test]
fn a_complete_destination_is_read() {
    let (endpoint, settings) = add_server(&server()).unwrap();
    let address = Address::from_v4([192, 0, 2, 9]);
    assert_eq!(endpoint, Endpoint::new(address, 8080));
    let expected = destination::Settings {
        forwarding: Forwarding::Masquerading,
        tunnel: tunnel::Numbers::default(),
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
    };
    assert_eq!(settings, expected);
}

#[test]
fn a_destination_without_a_family_has_that_of_its_service() {
    let nest = without(server(), ADDR_FAMILY);
    assert_eq!(add_server(&nest), add_server(&server()));
    let nest = with(server(), ADDR_FAMILY, &0u16.to_ne_bytes());
    assert_eq!(add_server(&nest), add_server(&server()));
}

#[test]
fn a_destination_with_a_missing_or_malformed_attribute_is_invalid() {
    for kind in [1, 2, FWD_METHOD, WEIGHT, U_THRESH, L_THRESH] {
        let absent = without(server(), kind);
        assert_eq!(add_server(&absent), Err(Errno::Invalid), "without {kind}");
        let long = with(server(), kind, &[0; 40]);
        assert_eq!(add_server(&long), Err(Errno::Invalid), "{kind} is long");
    }
    for kind in [TUN_TYPE, TUN_PORT, TUN_FLAGS] {
        let long = with(server(), kind, &[0; 5]);
        assert_eq!(add_server(&long), Err(Errno::Invalid), "{kind} is long");
    }
}

#[test]
fn an_impossible_destination_gets_the_error_number_of_the_c_director() {
    let tunneling = with(server(), FWD_METHOD, &words(&[2]));
    let gue = with(tunneling.clone(), TUN_TYPE, &[1]);
    let cases: &[(Nest, Errno)] = &[
        (
            with(server(), ADDR_FAMILY, &1u16.to_ne_bytes()),
            Errno::FamilyNotSupported,
        ),
        (
            with(server(), WEIGHT, &words(&[1 << 31])),
            Errno::OutOfRange,
        ),
        (with(server(), L_THRESH, &words(&[1])), Errno::OutOfRange),
        (with(server(), U_THRESH, &words(&[1 << 31])), Errno::Invalid),
        // A GUE tunnel without a port.
        (gue.clone(), Errno::Invalid),
        // Unknown forwarding methods.
        (
            with(server(), FWD_METHOD, &words(&[5])),
            Errno::NotSupported,
        ),
        (
            with(server(), FWD_METHOD, &words(&[7])),
            Errno::NotSupported,
        ),
        // An unknown tunnel.
        (with(tunneling.clone(), TUN_TYPE, &[9]), Errno::Invalid),
        // Not the address of one host: multicast and the unspecified address.
        (with(server(), 1, &[224, 0, 0, 1]), Errno::Invalid),
        (with(server(), 1, &[0, 0, 0, 0]), Errno::Invalid),
    ];
    for (nest, errno) in cases {
        assert_eq!(add_server(nest), Err(*errno), "{nest:?}");
    }
    let gue = with(gue, TUN_PORT, &6080u16.to_be_bytes());
    let expected = tunnel::Numbers {
        kind: 1,
        port: 6080,
        flags: 0,
    };
    assert_eq!(add_server(&gue).unwrap().1.tunnel, expected);
}

#[test]
fn no_destination_has_an_address_that_is_not_a_host_of_its_family() {
    let multicast = with(server(), 1, &[224, 0, 0, 1]);
    assert_eq!(existing_server(&multicast), Err(Errno::NotFound));
    assert!(existing_server(&server()).is_ok());
}

#[test]
fn only_a_tunnel_reaches_a_server_of_another_address_family() {
    let address = "2001:db8::9".parse::<std::net::Ipv6Addr>().unwrap();
    let nest = with(server(), ADDR_FAMILY, &10u16.to_ne_bytes());
    let nest = with(nest, 1, &address.octets());
    for (method, valid) in [(0, false), (1, false), (2, true), (3, false)] {
        let nest = with(nest.clone(), FWD_METHOD, &words(&[method]));
        assert_eq!(add_server(&nest).is_ok(), valid, "{method}");
    }
}

#[test]
fn timeouts_that_are_absent_are_0() {
    let bytes = chain(&vec![(4, words(&[900])), (6, words(&[300]))]);
    let expected = Timeouts {
        tcp: 900,
        tcp_fin: 0,
        udp: 300,
    };
    assert_eq!(
        request::timeouts(&Attributes::new(&bytes).unwrap()),
        Ok(expected)
    );
    let bytes = chain(&vec![(5, vec![1, 2])]);
    let refusal = request::timeouts(&Attributes::new(&bytes).unwrap()).unwrap_err();
    assert_eq!(refusal.errno, Errno::OutOfRange);
}

#[test]
fn error_numbers_are_those_of_linux() {
    for (errno, number) in [
        (Errno::NotFound, 2),
        (Errno::NoSuchService, 3),
        (Errno::Invalid, 22),
        (Errno::OutOfRange, 34),
        (Errno::ProtocolNotSupported, 93),
        (Errno::NotSupported, 95),
        (Errno::FamilyNotSupported, 97),
    ] {
        assert_eq!(errno.number(), number);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0u16..12,
        payload in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        if let Ok(attributes) = Attributes::new(&bytes) {
            let _ = NamedService::new(&attributes).map(|named| named.details());
            let _ = NamedDestination::with_settings(&attributes, &tcp_key());
            let _ = request::timeouts(&attributes);
        }
        let _ = add(&with(tcp_service(), kind, &payload));
        let _ = add_server(&with(server(), kind, &payload));
    }
}
