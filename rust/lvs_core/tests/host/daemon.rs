// SPDX-License-Identifier: GPL-2.0-only

//! Settings of synchronization daemons: requests, defaults and limits.

use lvs_core::{
    daemon::{InterfaceName, Role, Wanted},
    netlink::Attributes,
    request::{self, Errno},
    uapi::{daemon, message},
    Address, Endpoint,
};

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((payload.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A request with these attributes of a daemon.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let nest: Vec<u8> = attributes
        .iter()
        .flat_map(|(kind, payload)| attribute(*kind, payload))
        .collect();
    attribute(message::DAEMON, &nest)
}

fn read(attributes: &[(u16, &[u8])]) -> Result<(Option<Role>, Wanted), Errno> {
    let bytes = request(attributes);
    let attributes = Attributes::new(&bytes).unwrap();
    request::daemon(&attributes).map_err(|refusal| refusal.errno)
}

const MASTER: (u16, &[u8]) = (daemon::STATE, &1u32.to_ne_bytes());
const ETH0: (u16, &[u8]) = (daemon::MCAST_IFN, b"eth0\0");
const SYNCID: (u16, &[u8]) = (daemon::SYNC_ID, &7u32.to_ne_bytes());

fn eth0() -> Wanted {
    Wanted {
        interface: InterfaceName::new(b"eth0").unwrap(),
        syncid: 7,
        max_len: 0,
        group: None,
        port: 0,
        ttl: 0,
    }
}

#[test]
fn a_request_for_a_daemon_needs_role_interface_and_syncid() {
    let all = [MASTER, ETH0, SYNCID];
    assert_eq!(read(&all), Ok((Some(Role::Master), eth0())));
    for missing in 0..all.len() {
        let mut some = all.to_vec();
        some.remove(missing);
        assert_eq!(read(&some), Err(Errno::Invalid), "{missing}");
    }
    assert_eq!(
        request::daemon(&Attributes::new(&[]).unwrap()).map_err(|refusal| refusal.errno),
        Err(Errno::Invalid)
    );
    let unknown = (daemon::STATE, &3u32.to_ne_bytes()[..]);
    assert_eq!(read(&[unknown, ETH0, SYNCID]), Ok((None, eth0())));
}

#[test]
fn a_request_for_a_daemon_may_have_every_option() {
    let group6 = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81];
    let options: [(u16, &[u8]); 4] = [
        (daemon::SYNC_MAXLEN, &1400u16.to_ne_bytes()),
        (daemon::MCAST_GROUP6, &group6),
        (daemon::MCAST_PORT, &9000u16.to_ne_bytes()),
        (daemon::MCAST_TTL, &[5]),
    ];
    let mut all = vec![MASTER, ETH0, SYNCID];
    all.extend(options);
    let wanted = Wanted {
        max_len: 1400,
        group: Some(Address::from_v6(group6)),
        port: 9000,
        ttl: 5,
        ..eth0()
    };
    assert_eq!(read(&all), Ok((Some(Role::Master), wanted)));
    // The IPv4 group precedes the IPv6 group.
    all.push((daemon::MCAST_GROUP, &[224, 0, 0, 82]));
    let (_, wanted) = read(&all).unwrap();
    assert_eq!(wanted.group, Some(Address::from_v4([224, 0, 0, 82])));
}

#[test]
fn a_request_for_a_daemon_with_a_wrong_value_is_refused() {
    let wrong: [(u16, &[u8]); 10] = [
        (daemon::MCAST_GROUP, &[10, 0, 0, 1]),
        (daemon::MCAST_GROUP, &[224, 0, 0]),
        (daemon::MCAST_GROUP6, &[0x20; 16]),
        (daemon::MCAST_GROUP6, &[0xff; 4]),
        (daemon::SYNC_ID, &256u32.to_ne_bytes()),
        (daemon::SYNC_ID, &[1]),
        (daemon::MCAST_IFN, b"abcdefghijklmnop\0"),
        (daemon::MCAST_IFN, b"a\0b\0"),
        (daemon::MCAST_TTL, &[1, 2]),
        (daemon::STATE, &[1]),
    ];
    for attribute in wrong {
        let all = [MASTER, ETH0, SYNCID, attribute];
        assert_eq!(read(&all), Err(Errno::Invalid), "{attribute:?}");
    }
}

#[test]
fn the_settings_of_a_daemon_have_the_defaults_and_limits_of_the_c_director() {
    let v4 = Endpoint::new(Address::from_v4([224, 0, 0, 81]), 8848);
    let daemon = eth0().complete(Role::Master, 9000);
    assert_eq!((daemon.group, daemon.ttl), (v4, 1));
    let v6 = Some(Address::from_v6([0xff; 16]));
    for (role, mtu, group, wanted, expected) in [
        (Role::Master, 9000, None, 0, 1472),
        (Role::Master, 1280, v6, 0, 1452),
        (Role::Backup, 9000, None, 0, 8972),
        (Role::Backup, 1280, None, 0, 1472),
        (Role::Backup, 100_000, v6, 0, 65_487),
        (Role::Master, 1500, None, 1, 1),
        (Role::Backup, 1500, None, 1, 1024),
        (Role::Master, 1500, None, 65_535, 65_507),
        (Role::Backup, 1500, v6, 65_535, 65_487),
    ] {
        let daemon = Wanted {
            group,
            max_len: wanted,
            ..eth0()
        }
        .complete(role, mtu);
        assert_eq!(daemon.max_len, expected, "{role:?} {mtu} {wanted}");
    }
}
