// SPDX-License-Identifier: GPL-2.0-only

//! Octets of requests and answers.

use super::*;

fn emitted(filter: &ConnectionFilter) -> Vec<u8> {
    let request = Request::connections(filter);
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut bytes);
    bytes
}

#[test]
fn all_connections_are_asked_for_by_nothing() {
    assert!(emitted(&ConnectionFilter::default()).is_empty());
}

#[test]
fn what_is_asked_for() {
    let filter = ConnectionFilter {
        protocol: Some(crate::model::Protocol::Udp),
        client: EndpointFilter {
            address: Some([10, 0, 0, 0].into()),
            prefix: Some(8),
            port: None,
        },
        service: EndpointFilter {
            port: Some(80),
            ..EndpointFilter::default()
        },
        server: EndpointFilter::default(),
        state: None,
    };
    assert_eq!(
        emitted(&filter),
        [
            36, 0, 3, 0x80, // connection
            5, 0, 1, 0, 17, 0, 0, 0, // protocol
            8, 0, 4, 0, 10, 0, 0, 0, // client's address
            5, 0, 10, 0, 8, 0, 0, 0, // its prefix
            6, 0, 7, 0, 0, 80, 0, 0, // virtual port
        ]
    );
}

#[test]
fn a_connection_and_what_is_newer() {
    let mut part = vec![2, 1, 0, 0];
    let nest: &[&[u8]] = &[
        &[5, 0, 1, 0, 6, 0, 0, 0],
        &[8, 0, 2, 0, b'N', b'O', b'N', b'E'],
        &[8, 0, 3, 0, 7, 0, 0, 0],
        &[8, 0, 4, 0, 192, 0, 2, 1],
        &[6, 0, 5, 0, 0x10, 0, 0, 0],
        &[8, 0, 6, 0, 10, 0, 0, 1],
        &[6, 0, 7, 0, 0, 80, 0, 0],
        &[
            20, 0, 8, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
        ],
        &[6, 0, 9, 0, 0, 81, 0, 0],
        &[5, 0, 99, 0, 1, 0, 0, 0],
    ];
    let nest = nest.concat();
    part.extend(u16::try_from(nest.len() + 4).unwrap().to_ne_bytes());
    part.extend([3, 0]);
    part.extend(&nest);
    assert_eq!(
        read_connection(&part).unwrap(),
        Connection {
            protocol: "TCP".into(),
            source: ([192, 0, 2, 1].into(), 4096),
            service: ([10, 0, 0, 1].into(), 80),
            destination: ("2001:db8::7".parse().unwrap(), 81),
            state: "NONE".into(),
            expires: 7,
            engine: None,
        }
    );
    // It must have all of its attributes.
    for cut in [8, 16, 24, 32, 40, 48, 56, 76, 84] {
        let mut part = vec![2, 1, 0, 0];
        let short = &nest[cut..];
        part.extend(u16::try_from(short.len() + 4).unwrap().to_ne_bytes());
        part.extend([3, 0]);
        part.extend(short);
        assert!(read_connection(&part).is_err(), "{cut}");
    }
}

#[test]
fn dropped_packets() {
    let part = [
        5, 1, 0, 0, // header
        28, 0, 9, 0x80, // drops
        12, 0, 3, 0, 0xff, 1, 0, 0, 0, 0, 0, 0, // no-route
        12, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0, 0, // newer
    ];
    let drops: Vec<_> = read_drops(&part).unwrap().iter().collect();
    assert_eq!(drops, [(Reason::NoRoute, 0x1ff)]);
    assert_eq!(read_drops(&part[..4]).unwrap(), Drops::default());
    assert!(read_drops(&part[..18]).is_err());
}

#[test]
fn events_of_what_is_there_and_of_what_is_gone() {
    let service = [
        24, 0, 4, 0x80, // service: its key only
        6, 0, 1, 0, 2, 0, 0, 0, // family
        8, 0, 5, 0, 7, 0, 0, 0, // mark
        4, 0, 99, 0, // newer
    ];
    let mut part = vec![6, 1, 0, 0, 5, 0, 10, 0, 7, 0, 0, 0];
    part.extend(service);
    part.extend([
        32, 0, 5, 0x80, // destination: its key only
        8, 0, 1, 0, 10, 0, 0, 2, // address
        6, 0, 2, 0, 0, 80, 0, 0, // port
        6, 0, 11, 0, 2, 0, 0, 0, // family
        4, 0, 99, 0, // newer
    ]);
    let event = read_event(&part).unwrap();
    assert_eq!(event.executed, Executed::DeleteServer);
    assert_eq!(event.service.unwrap().to_string(), "firewall mark 7 (IPv4)");
    assert_eq!(event.service_now, None);
    assert_eq!(event.server.unwrap().to_string(), "10.0.0.2:80");
    assert_eq!(event.server_now, None);
    let flushed = read_event(&[6, 1, 0, 0, 5, 0, 10, 0, 17, 0, 0, 0]).unwrap();
    assert_eq!(flushed.executed, Executed::Clear);
    assert_eq!(flushed.service, None);
    assert!(read_event(&part[..4]).is_err());
    assert!(read_event(&part[..16]).is_err());
}

#[test]
fn a_module() {
    let part = [
        1, 1, 0, 0, // header
        10, 0, 1, 0, b'0', b'.', b'1', b'.', b'0', 0, 0, 0, // version
        20, 0, 2, 0x80, 7, 0, 1, 0, b'o', b'n', 0, 0, 8, 0, 2, 0, b't', b'w', b'o',
        0, // features
        8, 0, 99, 0, 1, 2, 3, 4, // newer
    ];
    let module = read_module(&part).unwrap();
    assert_eq!(module.version.as_deref(), Some("0.1.0"));
    assert_eq!(module.features, ["on", "two"]);
    assert!(read_module(&part[..4]).is_err());
}
