// SPDX-License-Identifier: GPL-2.0-only

//! The ways of packets to servers and back.

use std::net::IpAddr;

use crate::doctor::facts::{is_silent, Facts};
use crate::doctor::finding::{fail, servers_by, warn, with_services, Finding};
use crate::doctor::probe::{Answer, Target};
use crate::model::{Forwarding, Protocol, TunnelKind};
use crate::report::ServerState;

pub(super) fn virtual_addresses(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts.remote_addresses.iter().map(|address| {
        fail(
            format!("the virtual address {address} is not an address of this host"),
            format!("ip address add {address} dev INTERFACE"),
        )
    });
    with_services(facts, findings.collect())
}

pub(super) fn routes(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in &facts.services {
        for server in &service.servers {
            if server.state == ServerState::NoRoute {
                findings.push(fail(
                    format!("{} of {} has no route", server.server, service.service),
                    format!("ip route add {} ...", server.address),
                ));
            }
        }
    }
    with_services(facts, findings)
}

pub(super) fn neighbors(facts: &Facts) -> Option<Vec<Finding>> {
    let mut servers: Vec<IpAddr> = facts
        .services
        .iter()
        .flat_map(|service| &service.servers)
        .filter(|server| server.weight != 0)
        .map(|server| server.address)
        .filter(|address| facts.failed_neighbors.contains(address))
        .collect();
    servers.sort_unstable();
    servers.dedup();
    let findings = servers.into_iter().map(|address| {
        fail(
            format!("the server {address} does not answer on its link"),
            format!("lvsadm drain -r {address}, or ping {address} from here"),
        )
    });
    with_services(facts, findings.collect())
}

pub(super) fn direct_routing(facts: &Facts) -> Option<Vec<Finding>> {
    let servers: Vec<_> = servers_by(facts, Forwarding::Route).collect();
    if servers.is_empty() {
        return None;
    }
    Some(
        servers
            .iter()
            .filter(|(_, entry)| {
                let route = facts.routes.get(&entry.destination.id.address);
                route.is_some_and(|route| route.gateway)
            })
            .map(|(service, entry)| {
                let server = entry.destination.id;
                fail(
                    format!(
                        "{server} of {service} is behind a router, which direct routing does not \
                         pass"
                    ),
                    format!("use a tunnel or NAT: lvsadm set SERVICE -r {server} --ipip"),
                )
            })
            .collect(),
    )
}

pub(super) fn forwarding(facts: &Facts) -> Option<Vec<Finding>> {
    let nat: Vec<IpAddr> = servers_by(facts, Forwarding::Masquerade)
        .map(|(_, entry)| entry.destination.id.address)
        .collect();
    let mut findings = Vec::new();
    for (setting, used, family) in [
        (
            "net/ipv4/ip_forward",
            nat.iter().any(IpAddr::is_ipv4),
            "IPv4",
        ),
        (
            "net/ipv6/conf/all/forwarding",
            nat.iter().any(IpAddr::is_ipv6),
            "IPv6",
        ),
    ] {
        let off = facts
            .settings
            .get(setting)
            .is_some_and(|value| value == "0");
        if used && off {
            findings.push(fail(
                format!("the host does not forward {family}, which NAT servers need for replies"),
                format!("sysctl {}=1", setting.replace('/', ".")),
            ));
        }
    }
    (!nat.is_empty()).then_some(findings)
}

pub(super) fn nat_replies(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut servers = 0_usize;
    for (service, entry) in servers_by(facts, Forwarding::Masquerade) {
        servers = servers.saturating_add(1);
        if !is_silent(service, entry) {
            continue;
        }
        let server = entry.destination.id;
        let got = format!(
            "{server} of {service} got {} packets",
            entry.stats.packets_in
        );
        let start = format!("start the server at {server}, or lvsadm drain -r {server}");
        let target = Target::new(service, server);
        let probed = facts.probed.iter();
        let mut answers = probed.filter(|(known, _)| Some(*known) == target);
        let answer = answers.next().map(|(_, answer)| *answer);
        findings.push(match answer {
            Some(Answer::Yes) => fail(
                format!(
                    "{got} and answers this host, but none of its replies to clients passes here"
                ),
                format!(
                    "on {}: ip route replace default via ADDRESS-OF-THIS-HOST",
                    server.address
                ),
            ),
            Some(Answer::Refused) => fail(format!("{got} and refuses them"), start),
            // A protocol may have no answers, and a server may not answer a stranger.
            Some(Answer::None) if service.protocol() == Some(Protocol::Udp) => warn(
                format!("{got} and answers none; a probe of this host has no answer either"),
                format!("nothing if clients expect no answers (syslog); otherwise {start}"),
            ),
            Some(Answer::None) => fail(format!("{got} and answers none"), start),
            None => warn(
                format!("{got}, and none of its replies to clients passes here"),
                format!("from here, ask the server at {}; {start}", server.address),
            ),
        });
    }
    (servers > 0).then_some(findings)
}

pub(super) fn rp_filter(facts: &Facts) -> Option<Vec<Finding>> {
    let strict: Vec<&str> = facts
        .settings
        .iter()
        .filter(|(name, value)| name.ends_with("/rp_filter") && *value == "1")
        .filter_map(|(name, _)| name.split('/').nth(3))
        .filter(|interface| *interface != "default" && *interface != "lo")
        .collect();
    let findings = if strict.is_empty() {
        vec![]
    } else {
        vec![warn(
            format!(
                "strict reverse path filtering on {} drops packets that arrive by another \
                 interface than their replies leave",
                strict.join(", ")
            ),
            "sysctl net.ipv4.conf.INTERFACE.rp_filter=2".to_owned(),
        )]
    };
    with_services(facts, findings)
}

pub(super) fn tunnel_mtu(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut tunnels = 0_usize;
    // Packets of up to this length arrive, by another interface than the tunnel's or by the same.
    let largest = |device: &str| {
        let others = facts
            .links
            .iter()
            .filter(|(name, _)| *name != "lo" && *name != device)
            .map(|(_, link)| link.mtu)
            .max();
        others.or_else(|| facts.links.get(device).map(|link| link.mtu))
    };
    for (service, entry) in servers_by(facts, Forwarding::Tunnel) {
        tunnels = tunnels.saturating_add(1);
        let address = entry.destination.id.address;
        let outer = if address.is_ipv4() { 20 } else { 40 };
        let header: u32 = match entry.destination.tunnel.kind {
            TunnelKind::Ipip | TunnelKind::Other(_) => 0,
            TunnelKind::Gue => 12,
            TunnelKind::Gre => 4,
        };
        let Some(route) = facts.routes.get(&address) else {
            continue;
        };
        let device = &route.device;
        let (Some(link), Some(largest)) = (facts.links.get(device), largest(device)) else {
            continue;
        };
        let need = largest.saturating_add(outer).saturating_add(header);
        // A router on the way may pass less than the interface.
        let path = route.mtu.unwrap_or(link.mtu).min(link.mtu);
        if path < need {
            let place = if path < link.mtu {
                "the path"
            } else {
                device.as_str()
            };
            findings.push(warn(
                format!(
                    "a packet of {largest} bytes to {} of {service} takes {need} in its tunnel, \
                     and {place} passes {path}",
                    entry.destination.id
                ),
                format!(
                    "ip link set {device} mtu {need}, or on the server: ip route change default \
                     ... advmss {}",
                    path.saturating_sub(outer)
                        .saturating_sub(header)
                        .saturating_sub(40)
                ),
            ));
        }
    }
    (tunnels > 0).then_some(findings)
}
