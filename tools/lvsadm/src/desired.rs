// SPDX-License-Identifier: GPL-2.0-only

//! The table that a file asks for.
//!
//! Belongs here: reading a file in either form, the rules that `-S` prints or the JSON that
//! `-L --json` prints. Never: comparing it with the director (that is [`crate::plan`]).

use std::net::IpAddr;

use serde::Deserialize;

use crate::error::Error;
use crate::model::scheduler;
use crate::model::{
    Change, Destination, DestinationId, Family, Forwarding, Netmask, Protocol, Service,
    ServiceFlags, ServiceId, Tunnel, TunnelChecksum, TunnelKind,
};
use crate::names::Names;
use crate::restore;

/// A service with its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The service.
    pub service: Service,
    /// Its servers.
    pub servers: Vec<Destination>,
}

/// Reads a file: JSON if it begins with a brace, else rules.
///
/// # Errors
///
/// What is wrong, and where.
pub fn read(text: &str, names: &dyn Names) -> Result<Vec<Wanted>, Error> {
    let wanted = if text.trim_start().starts_with('{') {
        from_json(text)?
    } else {
        from_rules(text, names)?
    };
    for (number, one) in (1..).zip(&wanted) {
        let twice = wanted
            .iter()
            .skip(number)
            .any(|other| other.service.id == one.service.id);
        if twice {
            return Err(wrong(&format!(
                "the service {} is there twice",
                one.service.id
            )));
        }
        for (number, server) in (1..).zip(&one.servers) {
            if one
                .servers
                .iter()
                .skip(number)
                .any(|other| other.id == server.id)
            {
                return Err(wrong(&format!(
                    "the server {} of the service {} is there twice",
                    server.id, one.service.id
                )));
            }
        }
    }
    Ok(wanted)
}

fn wrong(why: &str) -> Error {
    Error::Usage(format!("{why}; nothing was changed"))
}

/// The table that the rules would make of an empty one.
fn from_rules(text: &str, names: &dyn Names) -> Result<Vec<Wanted>, Error> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for rule in restore::parse(text, names)? {
        let said = |why: &str| wrong(&format!("line {}: {}: {why}", rule.line, rule.text));
        match rule.change {
            Change::AddService(service) => wanted.push(Wanted {
                service,
                servers: Vec::new(),
            }),
            Change::AddDestination(id, destination) => wanted
                .iter_mut()
                .find(|wanted| wanted.service.id == id)
                .ok_or_else(|| said("no line before it adds this service"))?
                .servers
                .push(destination),
            _ => return Err(said("a wanted table consists of -A and -a lines only")),
        }
    }
    Ok(wanted)
}

#[derive(Deserialize)]
struct Table {
    services: Vec<JsonService>,
}

#[derive(Deserialize)]
struct JsonService {
    family: Option<String>,
    protocol: Option<String>,
    address: Option<IpAddr>,
    port: Option<u16>,
    fwmark: Option<u32>,
    scheduler: String,
    #[serde(default)]
    scheduler_flags: Vec<String>,
    #[serde(default)]
    one_packet: bool,
    #[serde(default)]
    redispatch: bool,
    #[serde(default)]
    hash_seed: u8,
    persistence: Option<JsonPersistence>,
    #[serde(default)]
    destinations: Vec<JsonDestination>,
}

#[derive(Deserialize)]
struct JsonPersistence {
    timeout: u32,
    netmask: Option<JsonMask>,
    engine: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonMask {
    Mask(std::net::Ipv4Addr),
    Prefix(u32),
}

#[derive(Deserialize)]
struct JsonDestination {
    address: IpAddr,
    port: u16,
    forwarding: String,
    tunnel: Option<JsonTunnel>,
    weight: u32,
    #[serde(default)]
    upper_threshold: u32,
    #[serde(default)]
    lower_threshold: u32,
}

#[derive(Deserialize)]
struct JsonTunnel {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    port: u16,
    checksum: String,
}

fn from_json(text: &str) -> Result<Vec<Wanted>, Error> {
    let table: Table = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    table
        .services
        .iter()
        .zip(1..)
        .map(|(service, number)| {
            json_service(service).map_err(|why| wrong(&format!("service {number}: {why}")))
        })
        .collect()
}

fn json_service(json: &JsonService) -> Result<Wanted, String> {
    let id = match (json.fwmark, json.address) {
        (Some(0), _) => return Err("a firewall mark is not 0".to_owned()),
        (Some(mark), _) => ServiceId::Mark {
            mark,
            family: match json.family.as_deref() {
                None | Some("inet") => Family::Inet,
                Some("inet6") => Family::Inet6,
                Some(other) => return Err(format!("family {other:?} is neither inet nor inet6")),
            },
        },
        (None, Some(address)) => {
            let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
            let protocol = known
                .into_iter()
                .find(|known| known.name() == json.protocol.as_deref())
                .ok_or_else(|| "protocol must be tcp, udp or sctp".to_owned())?;
            ServiceId::Address {
                protocol,
                address,
                port: json.port.ok_or_else(|| "port is missing".to_owned())?,
            }
        }
        (None, None) => return Err("neither fwmark nor address is there".to_owned()),
    };
    let family = id.family();
    let mut flags = ServiceFlags::default();
    for name in &json.scheduler_flags {
        let (_, flag) =
            scheduler::find_flag(name).ok_or_else(|| format!("there is no flag {name:?}"))?;
        flags = flags.with(flag);
    }
    if json.one_packet {
        flags = flags.with(ServiceFlags::ONE_PACKET);
    }
    if json.redispatch {
        flags = flags.with(ServiceFlags::REDISPATCH);
    }
    flags = flags.with_hash_seed(json.hash_seed);
    let mut netmask = Netmask::host(family);
    if let Some(persistence) = &json.persistence {
        flags = flags.with(ServiceFlags::PERSISTENT);
        netmask = match (family, &persistence.netmask) {
            (_, None) => netmask,
            (Family::Inet, Some(JsonMask::Mask(mask))) => Netmask::Inet(*mask),
            (Family::Inet6, Some(JsonMask::Prefix(bits))) if (1..=128).contains(bits) => {
                Netmask::Inet6(*bits)
            }
            _ => return Err("netmask does not fit the family".to_owned()),
        };
    }
    let service = Service {
        id,
        scheduler: json.scheduler.clone(),
        flags,
        timeout: json.persistence.as_ref().map_or(0, |known| known.timeout),
        netmask,
        engine: json
            .persistence
            .as_ref()
            .and_then(|known| known.engine.clone()),
    };
    let servers: Result<Vec<Destination>, String> = json
        .destinations
        .iter()
        .map(|json| {
            json_destination(json).map_err(|why| {
                format!(
                    "server {}: {why}",
                    crate::model::endpoint(&json.address, json.port)
                )
            })
        })
        .collect();
    Ok(Wanted {
        service,
        servers: servers?,
    })
}

fn json_destination(json: &JsonDestination) -> Result<Destination, String> {
    let forwarding = match json.forwarding.as_str() {
        "masquerade" => Forwarding::Masquerade,
        "direct_reply" => Forwarding::DirectReply,
        "tunnel" => Forwarding::Tunnel,
        // What the kernel lists as local was direct routing or anything else: it decides again.
        "route" | "local" => Forwarding::Route,
        other => return Err(format!("there is no forwarding method {other:?}")),
    };
    let tunnel = match (&json.tunnel, forwarding) {
        (Some(tunnel), Forwarding::Tunnel) => Tunnel {
            kind: [TunnelKind::Ipip, TunnelKind::Gue, TunnelKind::Gre]
                .into_iter()
                .find(|kind| kind.name() == tunnel.kind)
                .ok_or_else(|| format!("there is no tunnel type {:?}", tunnel.kind))?,
            port: tunnel.port,
            checksum: match tunnel.checksum.as_str() {
                "none" => TunnelChecksum::None,
                "full" => TunnelChecksum::Full,
                "remote" => TunnelChecksum::Remote,
                other => return Err(format!("there is no checksum {other:?}")),
            },
        },
        _ => Tunnel::default(),
    };
    Ok(Destination {
        id: DestinationId {
            address: json.address,
            port: json.port,
        },
        forwarding,
        weight: json.weight,
        upper_threshold: json.upper_threshold,
        lower_threshold: json.lower_threshold,
        tunnel,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::client::Director;
    use crate::format::{self, Labels};
    use crate::model::{self};
    use crate::names::Fixed;

    const RULES: &str = "\
-A -t 10.0.0.1:80 -s wlc -p 300 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m -w 3 -x 9 -y 5
-a -t 10.0.0.1:80 -r [2001:db8::2]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-A -u [2001:db8::1]:53 -s rr -p 60 -M 64 -o
-A -f 7 -6 -s lc -b flag-1,flag-3
";

    /// The table that these rules make.
    fn director(rules: &str) -> Memory {
        let mut director = Memory::default();
        for rule in restore::parse(rules, &Fixed).unwrap() {
            director.change(&rule.change).unwrap();
        }
        director
    }

    #[test]
    fn json_and_rules_of_one_table_ask_for_the_same() {
        let mut director = director(RULES);
        let table = model::Table {
            info: None,
            groups: director.table(false).unwrap(),
        };
        let mut json = Vec::new();
        format::json::table(&table, &mut json).unwrap();
        let json = read(std::str::from_utf8(&json).unwrap(), &Fixed).unwrap();
        let rules = read(&format::save::rules(&table, &Labels::numeric()), &Fixed).unwrap();
        assert_eq!(json, rules);
        assert_eq!(json.len(), 3);
        assert_eq!(json[0].servers.len(), 2);
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_place() {
        for (text, words) in [
            ("-A -t 10.0.0.1:80\nbogus", "line 2: bogus: unexpected"),
            (
                "-a -t 10.0.0.1:80 -r 10.0.0.2",
                "no line before it adds this service",
            ),
            ("-A -t 10.0.0.1:80\n-C", "-A and -a lines only"),
            ("-A -f 1\n-A -f 1", "is there twice"),
            (
                "-A -f 1\n-a -f 1 -r 10.0.0.1:1\n-a -f 1 -r 10.0.0.1:1",
                "the server 10.0.0.1:1 of the service firewall mark 1 (IPv4) is there twice",
            ),
            ("{", "line 1 column 1"),
            (
                r#"{"services": [{"scheduler": "rr"}]}"#,
                "service 1: neither fwmark nor address",
            ),
            (
                r#"{"services": [{"scheduler": "rr", "fwmark": 0}]}"#,
                "a firewall mark is not 0",
            ),
            (
                r#"{"services": [{"scheduler": "rr", "fwmark": 1, "scheduler_flags": ["x"]}]}"#,
                "there is no flag \"x\"",
            ),
            (
                r#"{"services": [{"scheduler": "rr", "fwmark": 1, "destinations": [
                    {"address": "10.0.0.1", "port": 1, "forwarding": "x", "weight": 1}]}]}"#,
                "server 10.0.0.1:1: there is no forwarding method \"x\"",
            ),
        ] {
            let error = read(text, &Fixed).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(error.ends_with("nothing was changed"), "{error}");
        }
    }
}
