// SPDX-License-Identifier: GPL-2.0-only

//! From the forwarding method and the addresses to steps.
//!
//! Sources: the LinuxDirector paper, sections 3.2 to 3.4 (the virtual address on a device that does
//! not answer ARP requests); the 2003 report's modified NAT; Documentation/networking/ip-sysctl.rst
//! of the kernel.

use std::net::IpAddr;

use super::step::Step;
use crate::error::Error;
use crate::model::Family;

/// A forwarding method, as a real server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Direct routing.
    Dr,
    /// A tunnel: IP in IP.
    Ipip,
    /// A tunnel: GUE.
    Gue,
    /// A tunnel: GRE.
    Gre,
    /// NAT with direct replies.
    DirectReply,
}

impl Method {
    /// All names.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("dr", Self::Dr),
        ("ipip", Self::Ipip),
        ("gue", Self::Gue),
        ("gre", Self::Gre),
        ("direct-reply", Self::DirectReply),
    ];

    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, method)| *method)
    }

    fn is_tunnel(self) -> bool {
        matches!(self, Self::Ipip | Self::Gue | Self::Gre)
    }

    /// Octets that the tunnel puts before a packet.
    fn overhead(self, outer: Family) -> u16 {
        let header = match outer {
            Family::Inet => 20,
            Family::Inet6 => 40,
        };
        match self {
            Self::Dr | Self::DirectReply => 0,
            Self::Ipip => header,
            // UDP and GUE.
            Self::Gue => header + 8 + 4,
            // GRE, with a checksum.
            Self::Gre => header + 8,
        }
    }
}

/// An address, and a port if it was given.
type End = (IpAddr, Option<u16>);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The forwarding method.
    pub method: Method,
    /// The virtual addresses; ports matter with direct replies only.
    pub services: Vec<End>,
    /// The address and port that the director sends to.
    pub server: Option<End>,
    /// The UDP port of GUE.
    pub gue_port: u16,
    /// The MTU between director and server.
    pub mtu: u16,
}

/// The steps, in the order in which they are carried out.
///
/// # Errors
///
/// [`Error::Usage`] if the request does not fit its method.
pub fn plan(request: &Request) -> Result<Vec<Step>, Error> {
    match request.method {
        Method::DirectReply => direct_reply(request),
        method => Ok(with_virtual_addresses(request, method)),
    }
}

fn setting(path: &str, value: u32, accepted: &'static [u32], purpose: &'static str) -> Step {
    Step::Setting {
        path: path.to_owned(),
        value,
        accepted,
        purpose,
    }
}

/// Direct routing and tunnels: the server has the virtual addresses, and does not tell anybody.
fn with_virtual_addresses(request: &Request, method: Method) -> Vec<Step> {
    let mut steps = Vec::new();
    let families: Vec<Family> = [Family::Inet, Family::Inet6]
        .into_iter()
        .filter(|family| {
            request
                .services
                .iter()
                .any(|(a, _)| Family::of(a) == *family)
        })
        .collect();
    if families.contains(&Family::Inet) {
        steps.push(setting(
            "net/ipv4/conf/all/arp_ignore",
            1,
            &[2, 3, 8],
            "ARP requests for addresses of the loopback device get no answer",
        ));
        steps.push(setting(
            "net/ipv4/conf/all/arp_announce",
            2,
            &[],
            "ARP requests of this host do not have a virtual address as their source",
        ));
    }
    // IPv6 answers solicitations for addresses of the receiving device only.
    if method.is_tunnel() {
        let server = request.server.map(|(address, _)| address);
        for inner in &families {
            let outer = server.as_ref().map_or(*inner, Family::of);
            tunnel(&mut steps, request, *inner, outer);
        }
    }
    let addresses = request.services.iter().map(|(address, _)| *address);
    steps.extend(addresses.map(Step::Address));
    steps
}

/// The tunnel device for packets of the family `inner` in packets of the family `outer`.
fn tunnel(steps: &mut Vec<Step>, request: &Request, inner: Family, outer: Family) {
    let method = request.method;
    let (module, name, options, rp_filter) = match (method, outer, inner) {
        (Method::Gre, Family::Inet, _) => {
            ("ip_gre", "gre0", "", Some("net/ipv4/conf/gre0/rp_filter"))
        }
        (Method::Gre, Family::Inet6, _) => (
            "ip6_gre",
            "ip6gre0",
            "",
            Some("net/ipv4/conf/ip6gre0/rp_filter"),
        ),
        (_, Family::Inet, Family::Inet) => {
            ("ipip", "tunl0", "", Some("net/ipv4/conf/tunl0/rp_filter"))
        }
        (_, Family::Inet, Family::Inet6) => ("sit", "sit0", "", None),
        (_, Family::Inet6, _) => (
            "ip6_tunnel",
            "ip6tnl0",
            " type ip6tnl mode any",
            Some("net/ipv4/conf/ip6tnl0/rp_filter"),
        ),
    };
    let mut add = |step: Step| {
        if !steps.contains(&step) {
            steps.push(step);
        }
    };
    add(Step::Module(module));
    add(Step::Device { name, options });
    if method == Method::Gue {
        let ipv6 = outer == Family::Inet6;
        add(Step::Module(if ipv6 { "fou6" } else { "fou" }));
        add(Step::GuePort {
            port: request.gue_port,
            ipv6,
        });
    }
    if let Some(path) = rp_filter.filter(|_| inner == Family::Inet) {
        // The greater one of the two holds. On a device without an address, the loose filter (2)
        // drops packets as well.
        for path in [path, "net/ipv4/conf/all/rp_filter"] {
            add(setting(
                path,
                0,
                &[],
                "packets from the tunnel come from clients whose route is another device",
            ));
        }
    }
    let headers = match inner {
        Family::Inet => 40,
        Family::Inet6 => 60,
    };
    let size = request
        .mtu
        .saturating_sub(method.overhead(outer))
        .saturating_sub(headers);
    let (family, table) = match inner {
        Family::Inet => ("ip", "lvs_segments"),
        Family::Inet6 => ("ip6", "lvs_segments"),
    };
    let addresses: Vec<String> = request
        .services
        .iter()
        .filter(|(address, _)| Family::of(address) == inner)
        .map(|(address, _)| address.to_string())
        .collect();
    add(Step::Rules {
        family,
        table,
        chains: format!(
            "\tchain out {{\n\t\ttype filter hook output priority mangle\n\t\t\
             {family} saddr {{ {} }} tcp flags & (syn | ack) == syn | ack tcp option maxseg size \
             > {size} tcp option maxseg size set {size}\n\t}}\n",
            addresses.join(", ")
        ),
        purpose: "clients send segments that fit the tunnel",
    });
}

/// NAT with direct replies: replies get the virtual address and port as their source.
fn direct_reply(request: &Request) -> Result<Vec<Step>, Error> {
    let usage = |words: &str| Error::Usage(format!("direct-reply: {words}"));
    let (server, server_port) = request
        .server
        .ok_or_else(|| usage("--server names the address and port that the director sends to"))?;
    let [(service, port)] = request.services.as_slice() else {
        return Err(usage(
            "give one virtual address: each needs an address of the server of its own",
        ));
    };
    if Family::of(service) != Family::of(&server) {
        return Err(usage("the two addresses must be of one family"));
    }
    if service == &server {
        return Err(usage(
            "--server must be another address than the virtual one",
        ));
    }
    let (family, icmp) = match Family::of(service) {
        Family::Inet => ("ip", "icmp type destination-unreachable"),
        Family::Inet6 => ("ip6", "icmpv6 type destination-unreachable"),
    };
    let rewrite = |protocol: &str| match (server_port.or(*port), *port) {
        (Some(from), Some(to)) if from != to => format!(
            "\t\t{family} saddr {server} {protocol} sport {from} {family} saddr set {service} \
             {protocol} sport set {to}\n"
        ),
        (Some(from), _) => format!(
            "\t\t{family} saddr {server} {protocol} sport {from} {family} saddr set {service}\n"
        ),
        // Every port keeps its number.
        (None, _) => format!(
            "\t\t{family} saddr {server} meta l4proto {protocol} {family} saddr set {service}\n"
        ),
    };
    if server_port.is_some() && port.is_none() {
        return Err(usage(
            "with a port of the server, give that of the service, too",
        ));
    }
    Ok(vec![
        Step::Own(server),
        Step::Rules {
            family,
            table: "lvs_direct_reply",
            chains: format!(
                "\tchain early {{\n\t\ttype filter hook prerouting priority raw\n\t\t\
                 {family} daddr {server} notrack\n\t}}\n\
                 \tchain local {{\n\t\ttype filter hook output priority raw\n\t\t\
                 {family} saddr {server} notrack\n\t}}\n\
                 \tchain reply {{\n\t\ttype filter hook postrouting priority 300\n{}{}\
                 \t\t{family} saddr {server} {icmp} {family} saddr set {service}\n\t}}\n",
                rewrite("tcp"),
                rewrite("udp"),
            ),
            purpose: "replies to clients have the virtual address and port as their source",
        },
    ])
}
