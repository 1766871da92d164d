// SPDX-License-Identifier: GPL-2.0-only

//! What the captured listings do not show: names, order, daemons.

use super::*;
use std::net::IpAddr;

use crate::model::{self, Daemon, DaemonRole, DestinationEntry, Protocol};
use crate::names::Fixed;

#[test]
fn labels_by_name_where_there_is_one() {
    let labels = Labels::named(&Fixed);
    let tcp = Some(Protocol::Tcp);
    let known = IpAddr::from([192, 0, 2, 1]);
    let unknown = IpAddr::from([192, 0, 2, 2]);
    assert_eq!(labels.endpoint(&known, 80, tcp), "www.example.net:http");
    assert_eq!(labels.endpoint(&unknown, 81, tcp), "192.0.2.2:81");
    // A mark's servers have no protocol to name their ports by.
    assert_eq!(labels.endpoint(&known, 80, None), "www.example.net:80");
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(labels.endpoint(&six, 80, tcp), "[2001:db8::1]:http");
    assert_eq!(Labels::numeric().endpoint(&known, 80, tcp), "192.0.2.1:80");
}

#[test]
fn order_is_by_the_sign_of_the_difference() {
    let entry = |address: &str, port: u16| DestinationEntry {
        destination: model::Destination {
            id: model::DestinationId {
                address: address.parse().unwrap(),
                port,
            },
            forwarding: model::Forwarding::Route,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: model::Tunnel::default(),
        },
        active: 0,
        inactive: 0,
        persistent: 0,
        stats: model::Traffic::default(),
        drops: model::Drops::default(),
    };
    let mut entries = vec![
        entry("10.0.0.2", 80),
        entry("10.0.0.1", 81),
        entry("192.168.0.1", 80),
        entry("10.0.0.1", 80),
        entry("2001:db8::1", 80),
    ];
    order::sort(&mut entries, order::destinations);
    let sorted: Vec<String> = entries
        .iter()
        .map(|entry| entry.destination.id.to_string())
        .collect();
    assert_eq!(
        sorted,
        [
            "192.168.0.1:80",
            "10.0.0.1:80",
            "10.0.0.1:81",
            "10.0.0.2:80",
            "[2001:db8::1]:80"
        ]
    );
}

#[test]
fn sorting_loses_nothing_even_without_an_order() {
    // A cycle: each of the three stands before the next.
    let mut items = vec![0_u32, 0x6000_0000, 0xc000_0000, 5, 5, 7];
    order::sort(&mut items, |left, right| {
        (right.wrapping_sub(*left) >> 31).cmp(&(left.wrapping_sub(*right) >> 31))
    });
    items.sort_unstable();
    assert_eq!(items, [0, 5, 5, 7, 0x6000_0000, 0xc000_0000]);
}

#[test]
fn daemons_say_what_they_know() {
    let daemon = Daemon {
        role: DaemonRole::Backup,
        interface: "eth0".to_owned(),
        sync_id: 7,
        max_length: 0,
        group: None,
        port: 0,
        ttl: 0,
    };
    assert_eq!(
        daemons(&[daemon]),
        "backup sync daemon (mcast=eth0, syncid=7)\n"
    );
}

#[test]
fn versions_name_the_module_and_its_features() {
    let module = |version: Option<&str>, features: &[&str]| model::Module {
        name: if version.is_some() {
            "ipvs_rs"
        } else {
            "ip_vs"
        },
        version: version.map(str::to_owned),
        features: features.iter().map(|name| (*name).to_owned()).collect(),
    };
    let own = format!("lvsadm {}\n", env!("CARGO_PKG_VERSION"));
    for (module, text) in [
        (None, "the kernel has no director loaded\n"),
        (
            Some(module(
                Some("9.8.7"),
                &[
                    "connections",
                    "table",
                    "apply",
                    "drops",
                    "events",
                    "states",
                    "kill",
                    "atomic",
                    "sync",
                    "regions",
                    "later",
                ],
            )),
            "module ipvs_rs 9.8.7\nfeatures: connections, table, apply, drops, events, states, \
             kill, atomic, sync, regions, later\n",
        ),
        (
            Some(module(Some("0.0.1"), &["connections"])),
            "module ipvs_rs 0.0.1\nfeatures: connections\n\
             features that this module is too old for: table, apply, drops, events, states, kill, \
             atomic, sync, regions\n",
        ),
        (Some(module(None, &[])), "module ip_vs, the C director\n"),
    ] {
        assert_eq!(versions(module.as_ref()), format!("{own}{text}"));
    }
    let value: serde_json::Value =
        serde_json::from_str(&json::versions(Some(&module(Some("1.0.0"), &["later"])))).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "lvsadm": env!("CARGO_PKG_VERSION"),
            "module": {
                "name": "ipvs_rs", "version": "1.0.0", "features": ["later"],
                "missing": [
                    "connections", "table", "apply", "drops", "events", "states", "kill", "atomic",
                    "sync", "regions",
                ],
            },
        })
    );
    let value: serde_json::Value = serde_json::from_str(&json::versions(None)).unwrap();
    assert_eq!(value["module"], serde_json::Value::Null);
}
