// SPDX-License-Identifier: GPL-2.0-only

//! SCTP: the incremental checksum, the first chunk, and the ways of associations.

use lvs_core::packet::{parse, parse_frequent, sctp::Event, ParseError, TcpFlags};
use lvs_core::rewrite::{rewrite, Side, TransportChecksum};
use lvs_core::state::{Direction, State};
use lvs_core::{crc32c, Address, Endpoint, Family, Protocol};
use proptest::prelude::*;

/// CRC32c bit by bit (RFC 9260, appendix A), as its field has it.
fn crc(packet: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for (at, octet) in packet.iter().enumerate() {
        crc ^= u32::from(if (8..12).contains(&at) { 0 } else { *octet });
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).swap_bytes()
}

#[test]
fn the_reference_has_the_value_of_the_standard() {
    let mut crc = u32::MAX;
    for octet in b"123456789" {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    assert_eq!(!crc, 0xe306_9283);
}

fn packet(family: Family, sctp: &[u8]) -> Vec<u8> {
    let mut packet = match family {
        Family::V4 => {
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 132, 0, 0];
            header.extend([10, 0, 0, 1, 10, 1, 0, 100]);
            let len = (20 + sctp.len()) as u16;
            header[2..4].copy_from_slice(&len.to_be_bytes());
            let check = lvs_core::checksum::checksum(&header);
            header[10..12].copy_from_slice(&check.to_be_bytes());
            header
        }
        Family::V6 => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, 132, 64];
            header.extend([0xfd; 32]);
            header[4..6].copy_from_slice(&(sctp.len() as u16).to_be_bytes());
            header
        }
    };
    packet.extend(sctp);
    packet
}

fn sctp(ports: [u16; 2], chunks: &[u8]) -> Vec<u8> {
    let [source, destination] = ports.map(u16::to_be_bytes);
    let mut sctp = [&source[..], &destination, &[1, 2, 3, 4, 0, 0, 0, 0], chunks].concat();
    let check = crc(&sctp).to_be_bytes();
    sctp[8..12].copy_from_slice(&check);
    sctp
}

#[test]
fn the_frequent_protocols_do_not_include_sctp() {
    for family in [Family::V4, Family::V6] {
        let packet = packet(family, &sctp([1, 2], &[0, 3, 0, 16]));
        assert!(parse(family, &packet).is_ok());
        assert_eq!(parse_frequent(family, &packet), Err(ParseError::NotOurs));
    }
}

proptest! {
    #[test]
    fn a_changed_port_keeps_the_checksum_right(
        v6: bool, source: bool, ports: [u16; 2], port: u16, damage: u32,
        chunks in prop::collection::vec(any::<u8>(), 4..1500),
    ) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let side = if source { Side::Source } else { Side::Destination };
        let mut packet = packet(family, &sctp(ports, &chunks));
        let headers = parse(family, &packet).unwrap();
        prop_assert_eq!(headers.protocol, Protocol::Sctp);
        prop_assert_eq!([headers.source.port, headers.destination.port], ports);
        let at = usize::from(headers.network_header_len);
        // A wrong checksum stays wrong by the same bits.
        let field = |packet: &[u8]| u32::from_be_bytes(packet[at + 8..at + 12].try_into().unwrap());
        let wrong = field(&packet) ^ damage;
        packet[at + 8..at + 12].copy_from_slice(&wrong.to_be_bytes());
        let address = match family {
            Family::V4 => Address::from_v4([192, 0, 2, 1]),
            Family::V6 => Address::from_v6([0xfc; 16]),
        };
        // The payload is not needed.
        let (head, _) = packet.split_at_mut(at + 12);
        rewrite(head, &headers, side, Endpoint::new(address, port), TransportChecksum::Full).unwrap();
        prop_assert_eq!(field(&packet) ^ crc(&packet[at..]), damage);
        let after = parse(family, &packet).unwrap();
        let changed = if source { after.source } else { after.destination };
        prop_assert_eq!(changed, Endpoint::new(address, port));
        // A device computes the whole checksum.
        let before = packet.clone();
        let to = Endpoint::new(address, port ^ 1);
        rewrite(&mut packet, &headers, side, to, TransportChecksum::Partial).unwrap();
        prop_assert_eq!(field(&packet), field(&before));
    }

    #[test]
    fn the_update_equals_a_computation(old: [u8; 4], new: [u8; 4], mut data in prop::collection::vec(any::<u8>(), 12..3000)) {
        data[..4].copy_from_slice(&old);
        let before = crc(&data);
        data[..4].copy_from_slice(&new);
        prop_assert_eq!(crc32c::update(before, old, new, data.len() as u16), crc(&data));
    }
}

#[test]
fn the_first_chunk_is_the_event() {
    let event = |chunks: &[u8]| {
        let headers = parse(Family::V4, &packet(Family::V4, &sctp([1, 2], chunks))).unwrap();
        Event::of(headers.tcp_flags)
    };
    for (kind, expected) in [
        (0, Event::Data),
        (1, Event::Init),
        (2, Event::InitAck),
        (3, Event::Data),
        (4, Event::Data),
        (5, Event::Data),
        (6, Event::Abort),
        (7, Event::Shutdown),
        (8, Event::ShutdownAck),
        (9, Event::Error),
        (10, Event::CookieEcho),
        (11, Event::CookieAck),
        (12, Event::Data),
        (13, Event::Data),
        (14, Event::ShutdownComplete),
        (192, Event::Data),
    ] {
        assert_eq!(event(&[kind, 0, 0, 4]), expected, "{kind}");
    }
    for len in 32..36 {
        let part = &packet(Family::V4, &sctp([1, 2], &[1, 0, 0, 4]))[..len];
        assert_eq!(
            parse(Family::V4, part),
            Err(ParseError::Truncated { need: 36 })
        );
    }
    // An ABORT behind the chunk that establishes an association counts, if it is in the packet.
    for kind in [10, 11] {
        let cookie = [kind, 0, 0, 6, 7, 7, 0, 0];
        assert_eq!(event(&[&cookie[..], &[6, 0, 0, 4]].concat()), Event::Abort);
        assert_ne!(event(&[&cookie[..], &[6, 0, 0]].concat()), Event::Abort);
        assert_ne!(event(&[&cookie[..], &[0, 0, 0, 4]].concat()), Event::Abort);
        assert_ne!(event(&[kind, 0, 0, 3, 6, 0, 0, 4]), Event::Abort);
        let whole = packet(
            Family::V4,
            &sctp([1, 2], &[&cookie[..], &[6, 0, 0, 4]].concat()),
        );
        let part = parse(Family::V4, &whole[..40]);
        assert_eq!(part, Err(ParseError::Truncated { need: 44 }));
    }
    assert_eq!(event(&[]), Event::Data);
    assert_eq!(event(&[1, 0, 0]), Event::Data);
    for cut in 1..12 {
        let whole = packet(Family::V4, &sctp([1, 2], &[])[..12 - cut]);
        assert_eq!(
            parse(Family::V4, &whole),
            Err(ParseError::Malformed),
            "{cut}"
        );
        let part = &packet(Family::V4, &sctp([1, 2], &[1, 0, 0, 4]))[..32 - cut];
        assert_eq!(
            parse(Family::V4, part),
            Err(ParseError::Truncated { need: 32 }),
            "{cut}"
        );
    }
}

#[test]
fn events_survive_as_flags() {
    for event in Event::ALL {
        let flags = event.flags();
        assert_eq!(Event::of(flags), event);
        assert_eq!(flags.opens_connection(), event == Event::Init, "{event:?}");
        assert_eq!(flags.is_data(), event == Event::Data, "{event:?}");
        assert_eq!(
            flags.contains(TcpFlags::RST),
            event == Event::Abort,
            "{event:?}"
        );
    }
    assert_eq!(Event::read(&[0; 16], 16), Ok(Event::Data));
}

/// Walks from no state; each step is a direction (C: client, S: server), an event and the name of
/// the state afterwards.
fn walk(alone: bool, steps: &[(char, Event, &str)]) {
    let mut state = State::None;
    for (number, (who, event, name)) in steps.iter().enumerate() {
        let direction = match (who, alone) {
            ('S', _) => Direction::Output,
            (_, true) => Direction::InputOnly,
            _ => Direction::Input,
        };
        state = state.after(Protocol::Sctp, direction, event.flags());
        assert_eq!(state.name(), *name, "step {number} of {steps:?}");
        assert_eq!(state.is_active(), *name == "ESTABLISHED");
    }
}

#[test]
fn associations_go_the_ways_of_the_rfc() {
    use Event::*;
    // RFC 9260, section 5.1 and 9.2: the client opens and closes.
    walk(
        false,
        &[
            ('C', Init, "INIT1"),
            ('C', Init, "INIT"),
            ('S', InitAck, "C-SENT"),
            ('C', CookieEcho, "C-REPLIED"),
            ('S', CookieAck, "ESTABLISHED"),
            ('C', Data, "ESTABLISHED"),
            ('S', Data, "ESTABLISHED"),
            ('C', Init, "ESTABLISHED"),
            ('C', Shutdown, "S-RECEIVED"),
            ('S', ShutdownAck, "S-ACK-SENT"),
            ('C', ShutdownComplete, "CLOSED"),
            ('C', Init, "INIT"),
        ],
    );
    // The server closes.
    walk(
        false,
        &[
            ('C', Init, "INIT1"),
            ('S', InitAck, "C-SENT"),
            ('C', CookieEcho, "C-REPLIED"),
            ('S', CookieAck, "ESTABLISHED"),
            ('S', Shutdown, "S-SENT"),
            ('C', ShutdownAck, "CLOSED"),
            ('S', ShutdownComplete, "CLOSED"),
        ],
    );
    // The server opens.
    walk(
        false,
        &[
            ('S', Init, "C-WAIT"),
            ('C', InitAck, "COOKIE"),
            ('S', CookieEcho, "C-ECHOED"),
            ('C', CookieAck, "ESTABLISHED"),
        ],
    );
    // The server refuses, and the client tries again. Each end may abort.
    walk(
        false,
        &[
            ('C', Init, "INIT1"),
            ('S', Abort, "REJECTED"),
            ('C', Init, "INIT"),
        ],
    );
    walk(false, &[('C', Data, "ESTABLISHED"), ('C', Abort, "CLOSED")]);
    walk(
        false,
        &[
            ('C', Data, "ESTABLISHED"),
            ('S', Abort, "CLOSED"),
            ('S', Data, "CLOSED"),
        ],
    );
    // TUN and DR.
    walk(
        true,
        &[
            ('C', Init, "INIT1"),
            ('C', CookieEcho, "ESTABLISHED"),
            ('C', Data, "ESTABLISHED"),
            ('C', Shutdown, "S-RECEIVED"),
            ('C', ShutdownComplete, "CLOSED"),
            ('C', Init, "INIT"),
        ],
    );
    walk(
        true,
        &[
            ('C', Init, "INIT1"),
            ('C', CookieEcho, "ESTABLISHED"),
            ('C', ShutdownAck, "CLOSED"),
        ],
    );
    walk(
        true,
        &[
            ('C', Init, "INIT1"),
            ('C', InitAck, "C-ECHOED"),
            ('C', CookieAck, "ESTABLISHED"),
            ('C', Abort, "CLOSED"),
        ],
    );
}
