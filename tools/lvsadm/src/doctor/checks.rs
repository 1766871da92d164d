// SPDX-License-Identifier: GPL-2.0-only

//! The checks. Each looks at facts and answers with what is wrong and the command that mends it.

use std::net::IpAddr;

use serde::Serialize;

use super::facts::Facts;
use crate::model::{DestinationEntry, Forwarding, Protocol, ServiceFlags, ServiceId, TunnelKind};
use crate::report::{ServerState, ServiceState};

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Nothing is wrong.
    Pass,
    /// Something may be wrong.
    Warn,
    /// Connections fail because of it.
    Fail,
}

impl Status {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// A check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The check's name, which never changes.
    pub check: &'static str,
    /// The outcome.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// The command or the action that mends it.
    pub fix: Option<String>,
}

/// What one check found wrong.
struct Finding {
    status: Status,
    message: String,
    fix: String,
}

fn fail(message: String, fix: String) -> Finding {
    Finding {
        status: Status::Fail,
        message,
        fix,
    }
}

fn warn(message: String, fix: String) -> Finding {
    Finding {
        status: Status::Warn,
        message,
        fix,
    }
}

/// A check's name, what holds when it passes, and the check itself; `None` where it does not apply.
type Definition = (
    &'static str,
    &'static str,
    fn(&Facts) -> Option<Vec<Finding>>,
);

const CHECKS: [Definition; 18] = [
    ("director", "ipvs_rs is the director", director),
    ("kernels", "every installed kernel has the module", kernels),
    ("signature", "the kernel accepts the module", signature),
    ("services", "every service has servers", services),
    (
        "weights",
        "every service has a server that accepts connections",
        weights,
    ),
    ("thresholds", "no server is full", thresholds),
    (
        "virtual-addresses",
        "every virtual address is an address of this host",
        virtual_addresses,
    ),
    ("routes", "every server has a route", routes),
    (
        "neighbors",
        "every server on a link answers there",
        neighbors,
    ),
    (
        "direct-routing",
        "every server by direct routing is on a link",
        direct_routing,
    ),
    ("forwarding", "the host forwards packets", forwarding),
    (
        "rp-filter",
        "no interface filters by reverse path strictly",
        rp_filter,
    ),
    ("tunnel-mtu", "tunneled packets fit", tunnel_mtu),
    ("firewall", "no rule drops invalid packets early", firewall),
    (
        "connections",
        "the table has room for connections",
        connections,
    ),
    ("drops", "no packet was dropped for a mistake", drops),
    (
        "helpers",
        "no protocol needs a helper that is absent",
        helpers,
    ),
    (
        "loops",
        "no server is a virtual address of this host",
        loops,
    ),
];

/// Runs all checks that apply.
#[must_use]
pub fn all(facts: &Facts) -> Vec<Check> {
    let mut outcomes = Vec::new();
    for (check, passed, run) in CHECKS {
        let Some(findings) = run(facts) else {
            continue;
        };
        if findings.is_empty() {
            outcomes.push(Check {
                check,
                status: Status::Pass,
                message: passed.to_owned(),
                fix: None,
            });
        }
        outcomes.extend(findings.into_iter().map(|finding| Check {
            check,
            status: finding.status,
            message: finding.message,
            fix: Some(finding.fix),
        }));
    }
    outcomes
}

fn director(facts: &Facts) -> Option<Vec<Finding>> {
    Some(match facts.module.as_deref() {
        Some("ipvs_rs") => vec![],
        Some(other) => vec![warn(
            format!("the C director ({other}) is loaded, not ipvs_rs"),
            format!("lvsadm -C; modprobe -r {other}; modprobe ipvs_rs"),
        )],
        None => vec![fail(
            "no director is loaded".to_owned(),
            "modprobe ipvs_rs".to_owned(),
        )],
    })
}

fn kernels(facts: &Facts) -> Option<Vec<Finding>> {
    if facts.kernels.is_empty() {
        return None;
    }
    let missing = |release: &str, running: bool| {
        let message = if running {
            format!("the running kernel {release} has no module ipvs_rs")
        } else {
            format!(
                "the kernel {release} has no module ipvs_rs: after a reboot there is no director"
            )
        };
        warn(
            message,
            format!("make install KDIR=/lib/modules/{release}/build"),
        )
    };
    Some(
        facts
            .kernels
            .iter()
            .filter(|kernel| kernel.module.is_none())
            .map(|kernel| missing(&kernel.release, kernel.running))
            .collect(),
    )
}

fn signature(facts: &Facts) -> Option<Vec<Finding>> {
    if !facts.lockdown {
        return None;
    }
    Some(
        facts
            .kernels
            .iter()
            .filter(|kernel| kernel.module.is_some() && !kernel.signed)
            .map(|kernel| {
                fail(
                    format!(
                        "the kernel accepts signed modules only, and that of {} is not signed",
                        kernel.release
                    ),
                    "sign the modules with a key that the kernel or the firmware (MOK) knows"
                        .to_owned(),
                )
            })
            .collect(),
    )
}

/// Checks about services apply when there are any.
fn with_services(facts: &Facts, findings: Vec<Finding>) -> Option<Vec<Finding>> {
    (!facts.services.is_empty()).then_some(findings)
}

fn services(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts
        .services
        .iter()
        .filter(|service| service.state == ServiceState::Empty)
        .map(|service| {
            fail(
                format!("{} has no servers", service.service),
                "lvsadm -a SERVICE -r SERVER".to_owned(),
            )
        });
    with_services(facts, findings.collect())
}

fn weights(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts
        .services
        .iter()
        .filter(|service| service.state == ServiceState::Down)
        .map(|service| {
            let all_zero = service.servers.iter().all(|server| server.weight == 0);
            if all_zero {
                fail(
                    format!("every server of {} has weight 0", service.service),
                    "lvsadm undrain -r SERVER".to_owned(),
                )
            } else {
                fail(
                    format!("no server of {} accepts connections", service.service),
                    format!(
                        "lvsadm show: the states of the servers of {}",
                        service.service
                    ),
                )
            }
        });
    with_services(facts, findings.collect())
}

fn thresholds(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in &facts.services {
        for server in &service.servers {
            if server.state == ServerState::Full {
                findings.push(warn(
                    format!(
                        "{} of {} reached its upper threshold of {} connections",
                        server.server, service.service, server.upper_threshold
                    ),
                    format!("lvsadm set SERVICE -r {} -x CONNECTIONS", server.server),
                ));
            }
        }
    }
    with_services(facts, findings)
}

fn drops(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for service in &facts.services {
        for (reason, count) in service.drops.iter() {
            if reason.is_logged() {
                findings.push(warn(
                    format!(
                        "{} dropped {count} packets: {}",
                        service.service,
                        reason.explanation()
                    ),
                    "lvsadm describe SERVICE; lvsadm -Z, to count anew".to_owned(),
                ));
            }
        }
    }
    with_services(facts, findings)
}

fn virtual_addresses(facts: &Facts) -> Option<Vec<Finding>> {
    let findings = facts.remote_addresses.iter().map(|address| {
        fail(
            format!("the virtual address {address} is not an address of this host"),
            format!("ip address add {address} dev INTERFACE"),
        )
    });
    with_services(facts, findings.collect())
}

fn routes(facts: &Facts) -> Option<Vec<Finding>> {
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

fn neighbors(facts: &Facts) -> Option<Vec<Finding>> {
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

/// All servers of one forwarding method, with their services.
fn servers_by(
    facts: &Facts,
    method: Forwarding,
) -> impl Iterator<Item = (&ServiceId, &DestinationEntry)> + '_ {
    facts.table.iter().flat_map(move |group| {
        group
            .destinations
            .iter()
            .filter(move |entry| entry.destination.forwarding == method)
            .map(|entry| (&group.service.service.id, entry))
    })
}

fn direct_routing(facts: &Facts) -> Option<Vec<Finding>> {
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

fn forwarding(facts: &Facts) -> Option<Vec<Finding>> {
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

fn rp_filter(facts: &Facts) -> Option<Vec<Finding>> {
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

fn tunnel_mtu(facts: &Facts) -> Option<Vec<Finding>> {
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
        if link.mtu < need {
            findings.push(warn(
                format!(
                    "a packet of {largest} bytes to {} of {service} takes {need} in its tunnel, \
                     and {device} passes {}",
                    entry.destination.id, link.mtu
                ),
                format!(
                    "ip link set {device} mtu {need}, or on the server: ip route change default \
                     ... advmss {}",
                    link.mtu
                        .saturating_sub(outer)
                        .saturating_sub(header)
                        .saturating_sub(40)
                ),
            ));
        }
    }
    (tunnels > 0).then_some(findings)
}

fn firewall(facts: &Facts) -> Option<Vec<Finding>> {
    let tracked = facts
        .settings
        .get("net/ipv4/vs/conntrack")
        .is_some_and(|value| value == "1");
    let nat = servers_by(facts, Forwarding::Masquerade).next().is_some();
    if tracked || !nat {
        return None;
    }
    Some(
        facts
            .firewall
            .iter()
            // The director takes packets at -102 in PREROUTING, before anything later sees them.
            .filter(|rule| rule.hook == "prerouting" && rule.priority < -102)
            .map(|rule| {
                fail(
                    format!(
                        "a rule of {} (priority {}) drops packets of invalid connections, and \
                         replies of NAT servers are such to conntrack",
                        rule.chain, rule.priority
                    ),
                    "sysctl net.ipv4.vs.conntrack=1, or move the rule to a priority above -102"
                        .to_owned(),
                )
            })
            .collect(),
    )
}

fn connections(facts: &Facts) -> Option<Vec<Finding>> {
    let most: u64 = facts.settings.get("net/ipv4/vs/conn_max")?.parse().ok()?;
    let now: u64 = facts
        .services
        .iter()
        .map(|service| {
            service
                .active
                .saturating_add(service.inactive)
                .saturating_add(service.persistent)
        })
        .sum();
    let full = now.saturating_mul(100) > most.saturating_mul(80);
    Some(if full {
        vec![warn(
            format!("{now} of {most} connections are in use"),
            format!("sysctl net.ipv4.vs.conn_max={}", most.saturating_mul(2)),
        )]
    } else {
        vec![]
    })
}

fn helpers(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for group in &facts.table {
        let service = &group.service.service;
        let ServiceId::Address { protocol, port, .. } = &service.id else {
            continue;
        };
        let persistent = service.flags.contains(ServiceFlags::PERSISTENT);
        if *protocol == Protocol::Tcp && *port == 21 {
            findings.push(warn(
                format!(
                    "{} is FTP, whose data connections are not those of port 21",
                    service.id
                ),
                "a persistent service on every port (ADDRESS:0 -p), or on a firewall mark"
                    .to_owned(),
            ));
        }
        if *port == 5060 && *protocol != Protocol::Tcp && service.engine.is_none() && !persistent {
            findings.push(warn(
                format!(
                    "{} is SIP, and calls of one dialog may go to different servers",
                    service.id
                ),
                format!(
                    "lvsadm set SERVICE -p 60, with --pe sip where the director has it ({})",
                    service.id
                ),
            ));
        }
    }
    with_services(facts, findings)
}

fn loops(facts: &Facts) -> Option<Vec<Finding>> {
    let mut findings = Vec::new();
    for group in &facts.table {
        let id = &group.service.service.id;
        for entry in &group.destinations {
            let server = entry.destination.id;
            let another = facts.table.iter().find(|other| {
                let other = &other.service.service.id;
                other != id
                    && matches!(other, ServiceId::Address { address, port, .. }
                        if *address == server.address && *port == server.port)
                    && other.protocol() == id.protocol()
            });
            let local = facts.local_servers.contains(&server.address);
            if let Some(another) = another.filter(|_| local) {
                findings.push(fail(
                    format!(
                        "the server {server} of {id} is itself the service {} of this director",
                        another.service.service.id
                    ),
                    format!("lvsadm -d SERVICE -r {server}"),
                ));
            }
        }
    }
    with_services(facts, findings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::facts::{FirewallRule, Kernel, Link, Route};
    use super::*;
    use crate::host::FixedHost;
    use crate::model::{DestinationId, Group};
    use crate::report;
    use crate::report::tests::{group, server};

    /// A host where nothing is wrong, with one service.
    fn sound(groups: Vec<Group>) -> Facts {
        with_host(groups, &FixedHost::default())
    }

    fn with_host(groups: Vec<Group>, host: &FixedHost) -> Facts {
        Facts {
            module: Some("ipvs_rs".to_owned()),
            kernels: vec![Kernel {
                release: "7.2".to_owned(),
                running: true,
                module: Some("ipvs_rs.ko".into()),
                signed: false,
            }],
            settings: BTreeMap::from([
                ("net/ipv4/ip_forward".to_owned(), "1".to_owned()),
                ("net/ipv4/vs/conn_max".to_owned(), "100".to_owned()),
                ("net/ipv4/vs/conntrack".to_owned(), "0".to_owned()),
                ("net/ipv4/conf/eth0/rp_filter".to_owned(), "2".to_owned()),
            ]),
            links: BTreeMap::from([("eth0".to_owned(), Link { mtu: 1500 })]),
            services: groups
                .iter()
                .map(|group| report::service(group, host))
                .collect(),
            table: groups,
            ..Facts::default()
        }
    }

    /// The outcomes that are not PASS.
    fn findings(facts: &Facts) -> Vec<(&'static str, Status, String)> {
        all(facts)
            .into_iter()
            .filter(|check| check.status != Status::Pass)
            .map(|check| {
                assert!(
                    check.fix.is_some_and(|fix| !fix.is_empty()),
                    "{}",
                    check.check
                );
                (check.check, check.status, check.message)
            })
            .collect()
    }

    fn one(facts: &Facts, check: &str, status: Status, words: &str) {
        let findings = findings(facts);
        let [(name, found, message)] = findings.as_slice() else {
            panic!("{check}: {findings:?}");
        };
        assert_eq!((*name, *found), (check, status), "{message}");
        assert!(message.contains(words), "{message}");
    }

    fn by(method: Forwarding) -> Group {
        let mut entry = server(1, 1, 0);
        entry.destination.forwarding = method;
        group(vec![entry])
    }

    #[test]
    fn a_sound_host_passes_every_check_that_applies() {
        let facts = sound(vec![group(vec![server(1, 1, 0)])]);
        assert_eq!(findings(&facts), []);
        let names: Vec<&str> = all(&facts).iter().map(|check| check.check).collect();
        assert!(
            names.contains(&"director") && names.contains(&"forwarding"),
            "{names:?}"
        );
        // Nothing is said about what is not used.
        assert!(!names.contains(&"direct-routing") && !names.contains(&"tunnel-mtu"));
        assert!(!names.contains(&"signature"));
    }

    #[test]
    fn a_wrong_module_is_found() {
        let mut facts = sound(vec![]);
        facts.module = Some("ip_vs".to_owned());
        one(
            &facts,
            "director",
            Status::Warn,
            "the C director (ip_vs) is loaded",
        );
        facts.module = None;
        one(&facts, "director", Status::Fail, "no director is loaded");
        facts = sound(vec![]);
        facts.kernels[0].module = None;
        one(
            &facts,
            "kernels",
            Status::Warn,
            "the running kernel 7.2 has no module",
        );
        facts = sound(vec![]);
        facts.lockdown = true;
        one(&facts, "signature", Status::Fail, "not signed");
        facts.kernels[0].signed = true;
        assert_eq!(findings(&facts), []);
    }

    #[test]
    fn services_without_a_working_server_are_found() {
        one(
            &sound(vec![group(vec![])]),
            "services",
            Status::Fail,
            "has no servers",
        );
        let zero = sound(vec![group(vec![server(1, 0, 0)])]);
        one(&zero, "weights", Status::Fail, "has weight 0");
        let mut full = server(1, 1, 9);
        full.destination.upper_threshold = 9;
        let facts = sound(vec![group(vec![full, server(2, 1, 0)])]);
        one(
            &facts,
            "thresholds",
            Status::Warn,
            "upper threshold of 9 connections",
        );
        let host = FixedHost {
            unreachable: vec![[10, 2, 0, 1].into()],
            ..FixedHost::default()
        };
        let facts = with_host(vec![group(vec![server(1, 1, 0), server(2, 1, 0)])], &host);
        one(
            &facts,
            "routes",
            Status::Fail,
            "10.2.0.1:80 of TCP 192.0.2.1:80 has no route",
        );
        let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
        facts.failed_neighbors = vec![[10, 2, 0, 1].into(), [10, 2, 0, 9].into()];
        one(
            &facts,
            "neighbors",
            Status::Fail,
            "10.2.0.1 does not answer",
        );
    }

    #[test]
    fn a_network_that_does_not_carry_the_method_is_found() {
        let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
        facts.remote_addresses = vec![[192, 0, 2, 1].into()];
        one(&facts, "virtual-addresses", Status::Fail, "192.0.2.1");
        let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
        facts
            .settings
            .insert("net/ipv4/ip_forward".to_owned(), "0".to_owned());
        one(&facts, "forwarding", Status::Fail, "does not forward IPv4");
        let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
        facts
            .settings
            .insert("net/ipv4/conf/eth0/rp_filter".to_owned(), "1".to_owned());
        one(&facts, "rp-filter", Status::Warn, "on eth0 drops");
        let route = |gateway| Route {
            device: "eth0".to_owned(),
            gateway,
        };
        let mut facts = sound(vec![by(Forwarding::Route)]);
        facts.routes.insert([10, 2, 0, 1].into(), route(false));
        assert_eq!(findings(&facts), []);
        facts.routes.insert([10, 2, 0, 1].into(), route(true));
        one(&facts, "direct-routing", Status::Fail, "behind a router");
        let mut facts = sound(vec![by(Forwarding::Tunnel)]);
        facts.routes.insert([10, 2, 0, 1].into(), route(true));
        one(
            &facts,
            "tunnel-mtu",
            Status::Warn,
            "takes 1520 in its tunnel, and eth0 passes 1500",
        );
        facts.links.insert("eth0".to_owned(), Link { mtu: 1520 });
        facts.links.insert("eth1".to_owned(), Link { mtu: 1500 });
        assert_eq!(findings(&facts), []);
    }

    #[test]
    fn a_rule_that_breaks_nat_is_found() {
        let mut facts = sound(vec![group(vec![server(1, 1, 0)])]);
        let rule = |hook: &str, priority| FirewallRule {
            chain: "inet filter early".to_owned(),
            hook: hook.to_owned(),
            priority,
        };
        facts.firewall = vec![rule("input", 0), rule("prerouting", -100)];
        assert_eq!(findings(&facts), []);
        facts.firewall.push(rule("prerouting", -150));
        one(
            &facts,
            "firewall",
            Status::Fail,
            "inet filter early (priority -150)",
        );
        facts
            .settings
            .insert("net/ipv4/vs/conntrack".to_owned(), "1".to_owned());
        assert_eq!(findings(&facts), []);
    }

    #[test]
    fn a_table_that_is_almost_full_is_found() {
        let facts = sound(vec![group(vec![server(1, 1, 80)])]);
        assert_eq!(findings(&facts), []);
        let facts = sound(vec![group(vec![server(1, 1, 81)])]);
        one(
            &facts,
            "connections",
            Status::Warn,
            "81 of 100 connections are in use",
        );
    }

    #[test]
    fn protocols_with_other_connections_and_loops_are_found() {
        let mut ftp = group(vec![server(1, 1, 0)]);
        ftp.service.service.id = ServiceId::Address {
            protocol: Protocol::Tcp,
            address: [192, 0, 2, 1].into(),
            port: 21,
        };
        one(&sound(vec![ftp]), "helpers", Status::Warn, "is FTP");
        let mut sip = group(vec![server(1, 1, 0)]);
        sip.service.service.id = ServiceId::Address {
            protocol: Protocol::Udp,
            address: [192, 0, 2, 1].into(),
            port: 5060,
        };
        one(&sound(vec![sip]), "helpers", Status::Warn, "is SIP");
        let mut looped = group(vec![server(1, 1, 0)]);
        looped.destinations[0].destination.id = DestinationId {
            address: [192, 0, 2, 2].into(),
            port: 80,
        };
        let mut other = group(vec![server(1, 1, 0)]);
        other.service.service.id = ServiceId::Address {
            protocol: Protocol::Tcp,
            address: [192, 0, 2, 2].into(),
            port: 80,
        };
        let mut facts = sound(vec![looped, other]);
        assert_eq!(findings(&facts), []);
        facts.local_servers = vec![[192, 0, 2, 2].into()];
        one(
            &facts,
            "loops",
            Status::Fail,
            "is itself the service TCP 192.0.2.2:80",
        );
    }
}
