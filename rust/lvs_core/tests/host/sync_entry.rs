// SPDX-License-Identifier: GPL-2.0-only

//! Records of connections and templates: what is written about an entry, and what is read back.

use lvs_core::{
    destination::Forwarding,
    sequence::Deltas,
    service::Key,
    state::State,
    sync::{Datagram, Entry, Flags, Record, Sequence, Sequences, Version, Writer},
    Address, Endpoint, Family, Protocol,
};

const CLIENT: Address = Address::from_v4([10, 0, 0, 1]);
const SERVICE: Address = Address::from_v4([10, 1, 0, 100]);
const SERVER: Address = Address::from_v4([10, 2, 0, 11]);

fn address(protocol: Protocol, port: u16) -> Key {
    Key::Address {
        protocol,
        endpoint: Endpoint::new(SERVICE, port),
    }
}

fn entry(key: Key, client_port: u16) -> Entry {
    Entry {
        key,
        forwarding: Forwarding::DirectRouting,
        client: Endpoint::new(CLIENT, client_port),
        server: Endpoint::new(SERVER, 80),
        timeout: 900,
    }
}

/// The record as a receiver reads it.
fn sent(record: &Record<'_>) -> Record<'static> {
    let mut buffer = [0; 1472];
    let mut writer = Writer::new(&mut buffer[..], Version::V1, 0).unwrap();
    writer.push(record).unwrap();
    let read = Datagram::new(writer.datagram()).unwrap().next().unwrap();
    Record {
        engine: None,
        ..read.unwrap()
    }
}

#[test]
fn a_connection_keeps_its_state_and_activity() {
    for (protocol, state, number, active) in [
        (Protocol::Tcp, State::Established, 1, true),
        (Protocol::Tcp, State::FinWait, 4, false),
        (Protocol::Tcp, State::SynAck, 10, true),
        (Protocol::Udp, State::Udp, 0, false),
        // Their numbers are those of the C director.
        (Protocol::Sctp, State::SctpInit1, 1, false),
        (Protocol::Sctp, State::SctpEstablished, 8, true),
        (Protocol::Sctp, State::SctpShutdownSent, 9, false),
        (Protocol::Sctp, State::SctpClosed, 13, false),
    ] {
        let service = Endpoint::new(SERVICE, 80);
        let entry = entry(address(protocol, 80), 40000);
        let record = sent(&entry.connection(protocol, service, state));
        assert_eq!((record.state, record.connection_state()), (number, state));
        assert_eq!(record.flags.contains(Flags::INACTIVE), !active);
        assert!(record.flags.contains(Flags::NO_OUTPUT) && !record.is_template());
        assert_eq!((record.client, record.server), (entry.client, entry.server));
        assert_eq!(record.timeout_or(5), 900);
    }
}

#[test]
fn a_template_is_identified_as_by_the_c_director_and_found_again() {
    let mark = Key::Mark {
        mark: 0x0102_0304,
        family: Family::V4,
    };
    let on_mark = Endpoint::new(Address::from_v4([1, 2, 3, 4]), 0);
    let on = |port| Endpoint::new(SERVICE, port);
    for (key, protocol, service, server_port) in [
        (address(Protocol::Tcp, 80), Some(Protocol::Tcp), on(80), 80),
        (address(Protocol::Udp, 53), Some(Protocol::Udp), on(53), 80),
        (address(Protocol::Tcp, 21), Some(Protocol::Tcp), on(0), 0),
        (address(Protocol::Tcp, 0), Some(Protocol::Tcp), on(0), 0),
        (mark, None, on_mark, 0),
    ] {
        for is_confirmed in [false, true] {
            let record = sent(&entry(key, 0).template(is_confirmed));
            assert_eq!((record.protocol, record.service), (protocol, service));
            assert_eq!(record.server, Endpoint::new(SERVER, server_port));
            assert!(record.is_template() && record.template_keys().any(|found| found == key));
            assert_eq!(record.is_confirmed(), is_confirmed);
            assert_eq!(record.connection_state(), State::None);
        }
    }
    // A service on port 0 precedes one on port 21.
    let ftp = sent(&entry(address(Protocol::Tcp, 21), 0).template(true));
    let keys: Vec<_> = ftp.template_keys().collect();
    let [any, ftp] = [0, 21].map(|port| address(Protocol::Tcp, port));
    assert_eq!(keys, [any, ftp]);
}

#[test]
fn a_template_of_a_mark_for_ipv6_has_the_mark_in_the_first_octets() {
    let six = |last| {
        let mut octets = [0; 16];
        (octets[0], octets[15]) = (0xfd, last);
        Endpoint::new(Address::from_v6(octets), 0)
    };
    let key = Key::Mark {
        mark: 7,
        family: Family::V6,
    };
    let entry = Entry {
        client: six(1),
        server: six(2),
        ..entry(key, 0)
    };
    let record = sent(&entry.template(true));
    assert_eq!(
        record.service.address,
        Address::from_v6([0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    );
    assert_eq!(record.template_keys().collect::<Vec<_>>(), [key]);
}

#[test]
fn a_service_that_the_director_lacks_is_presumed() {
    let service = Endpoint::new(SERVICE, 80);
    let key = address(Protocol::Tcp, 80);
    let mut record = entry(key, 1).connection(Protocol::Tcp, service, State::Established);
    assert_eq!(record.presumed_key(Protocol::Tcp), key);
    record.mark = 9;
    let marked = Key::Mark {
        mark: 9,
        family: Family::V4,
    };
    assert_eq!(record.presumed_key(Protocol::Tcp), marked);
}

#[test]
fn a_timeout_is_limited_and_has_a_default() {
    let key = address(Protocol::Tcp, 80);
    let mut entry = entry(key, 1);
    for (seconds, expected) in [(0, 5), (1, 1), (u32::MAX, 8_589_934)] {
        entry.timeout = seconds;
        let service = Endpoint::new(SERVICE, 80);
        let record = entry.connection(Protocol::Tcp, service, State::Established);
        assert_eq!(record.timeout_or(5), expected);
    }
}

#[test]
fn a_buffer_takes_one_datagram_after_the_other() {
    let key = address(Protocol::Tcp, 80);
    let service = Endpoint::new(SERVICE, 80);
    let record = entry(key, 1).connection(Protocol::Tcp, service, State::Established);
    let mut writer = Writer::new(vec![0u8; 1472], Version::V1, 3).unwrap();
    for version in [Version::V1, Version::V0, Version::V1] {
        writer.begin(version, 0);
        assert_eq!(writer.records(), 0);
        writer.push(&record).unwrap();
        let octets = writer.datagram().to_vec();
        let read = Datagram::new(&octets).unwrap();
        assert_eq!((read.version, read.syncid), (version, 3));
        assert_eq!(read.count(), 1);
    }
}

#[test]
fn handshakes_are_not_announced() {
    let announced: Vec<_> = (0..State::COUNT as u8)
        .map(State::from_u8)
        .filter(|state| state.is_announced())
        .map(State::name)
        .collect();
    assert_eq!(
        announced,
        [
            "ESTABLISHED",
            "FIN_WAIT",
            "TIME_WAIT",
            "CLOSE",
            "CLOSE_WAIT",
            "UDP",
            "ESTABLISHED",
            "S-SENT",
            "S-RECEIVED",
            "S-ACK-SENT",
            "CLOSED",
        ]
    );
}

#[test]
fn shifts_of_a_helped_connection_are_sent() {
    let common = entry(address(Protocol::Tcp, 21), 40_000);
    let service = Endpoint::new(SERVICE, 21);
    let plain = common.connection(Protocol::Tcp, service, State::Established);
    assert_eq!(plain.with_deltas(Deltas::default()), plain);
    assert_eq!(sent(&plain).deltas(), Some(Deltas::default()));

    let deltas = Deltas::new(0xffff_fff0, 3, -2);
    let shifted = plain.with_deltas(deltas);
    assert!(shifted.flags.contains(Flags::OUT_SEQUENCES));
    assert_eq!(sent(&shifted).deltas(), Some(deltas));
    // As the C director reads them: two's complement.
    let output = shifted.sequences.unwrap().output;
    assert_eq!((output.delta, output.previous_delta), (0xffff_fffe, 3));
}

#[test]
fn shifts_that_no_helper_makes_are_refused() {
    let common = entry(address(Protocol::Tcp, 21), 40_000);
    let service = Endpoint::new(SERVICE, 21);
    let plain = common.connection(Protocol::Tcp, service, State::Established);
    let with = |input: u32, output: u32| Record {
        sequences: Some(Sequences {
            input: Sequence {
                delta: input,
                ..Sequence::default()
            },
            output: Sequence {
                delta: output,
                ..Sequence::default()
            },
        }),
        ..plain
    };
    assert!(with(0, 32_767).deltas().is_some());
    assert!(with(0, 32_768).deltas().is_none());
    assert!(with(1, 0).deltas().is_none());
}
