// SPDX-License-Identifier: GPL-2.0-only

//! What the host is like. A fact that cannot be found out is absent, and its checks are left out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::probe::{self, Answer, Target};
use crate::host::Host;
use crate::model::{DestinationEntry, Forwarding, Group, Protocol, ServiceId, Synchronization};
use crate::report::{self, ServiceReport};

/// The host and its director.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The director that is loaded: `ipvs_rs` or `ip_vs`.
    pub module: Option<String>,
    /// Installed kernels.
    pub kernels: Vec<Kernel>,
    /// The kernel refuses unsigned modules.
    pub lockdown: bool,
    /// Settings below /proc/sys that exist, by their paths there.
    pub settings: BTreeMap<String, String>,
    /// Network interfaces by name.
    pub links: BTreeMap<String, Link>,
    /// The way to addresses of servers; absent without one.
    pub routes: BTreeMap<IpAddr, Route>,
    /// Neighbors that do not answer.
    pub failed_neighbors: Vec<IpAddr>,
    /// Rules of nftables that drop packets of invalid connections.
    pub firewall: Vec<FirewallRule>,
    /// Chains of nftables with rules that packets of known connections do not pass when they take
    /// the short cut.
    pub skipped_chains: Vec<FirewallRule>,
    /// The answers of NAT servers that never answered a client. See [`Target`].
    pub probed: Vec<(Target, Answer)>,
    /// Services with their servers.
    pub services: Vec<ServiceReport>,
    /// The same as the director lists them.
    pub table: Vec<Group>,
    /// Virtual addresses that are no address of this host.
    pub remote_addresses: Vec<IpAddr>,
    /// Addresses of servers that are addresses of this host.
    pub local_servers: Vec<IpAddr>,
    /// The synchronization daemons, if the director reports about them.
    pub synchronization: Option<Synchronization>,
}

/// An installed kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its release.
    pub release: String,
    /// It is the one that runs.
    pub running: bool,
    /// The file of our module for it.
    pub module: Option<PathBuf>,
    /// That file ends with a signature.
    pub signed: bool,
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The longest packet.
    pub mtu: u32,
}

/// The way to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The interface.
    pub device: String,
    /// The next hop is a router.
    pub gateway: bool,
    /// The longest packet that passes, if that is known.
    pub mtu: Option<u32>,
}

/// A rule that drops packets of the connection state "invalid", or a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallRule {
    /// Table and chain.
    pub chain: String,
    /// The hook.
    pub hook: String,
    /// The chain's priority.
    pub priority: i64,
}

/// Finds out all facts about the host. `table` is that of the director, if there is one.
#[must_use]
pub fn gather(module: Option<String>, table: Vec<Group>, host: &dyn Host) -> Facts {
    let services: Vec<ServiceReport> = table
        .iter()
        .map(|group| report::service(group, host))
        .collect();
    let servers: Vec<IpAddr> = services
        .iter()
        .flat_map(|service| &service.servers)
        .map(|server| server.address)
        .collect();
    let mut virtual_addresses: Vec<IpAddr> = services
        .iter()
        .filter_map(|service| service.address)
        .collect();
    virtual_addresses.sort_unstable();
    virtual_addresses.dedup();
    let ruleset = json(Command::new("nft").args(["-j", "list", "ruleset"]));
    Facts {
        module,
        kernels: kernels(Path::new("/lib/modules")),
        lockdown: lockdown(),
        settings: settings(Path::new("/proc/sys")),
        links: links(),
        routes: servers
            .iter()
            .filter_map(|address| Some((*address, route(address)?)))
            .collect(),
        failed_neighbors: failed_neighbors(),
        firewall: ruleset.as_ref().map(firewall).unwrap_or_default(),
        skipped_chains: ruleset.as_ref().map(skipped_chains).unwrap_or_default(),
        probed: probe::all(silent(&table)),
        services,
        table,
        remote_addresses: virtual_addresses
            .into_iter()
            .filter(|address| !host.is_local(address))
            .collect(),
        local_servers: servers
            .iter()
            .copied()
            .filter(|address| host.is_local(address))
            .collect(),
        synchronization: None,
    }
}

/// The JSON that a program prints; `None` when it is not there or fails.
fn json(command: &mut Command) -> Option<Value> {
    let output = command.output().ok()?;
    if !output.status.success() {
        return None;
    }
    serde_json::from_slice(&output.stdout).ok()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

fn kernels(folder: &Path) -> Vec<Kernel> {
    let running = text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut kernels: Vec<Kernel> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        // Headers and leftovers have no index of modules.
        .filter(|path| path.join("modules.dep").exists())
        .filter_map(|path| {
            let release = path.file_name()?.to_string_lossy().into_owned();
            let module = module_file(&path);
            Some(Kernel {
                running: release == running,
                signed: module.as_deref().is_some_and(signed),
                module,
                release,
            })
        })
        .collect();
    kernels.sort_by(|a, b| a.release.cmp(&b.release));
    kernels
}

/// Our module among those of a kernel, from the index of modules.
fn module_file(kernel: &Path) -> Option<PathBuf> {
    let index = fs::read_to_string(kernel.join("modules.dep")).ok()?;
    let line = index.lines().find(|line| {
        let file = line.split(':').next().unwrap_or_default();
        let name = file.rsplit('/').next().unwrap_or_default();
        name.split('.').next() == Some("ipvs_rs")
    })?;
    Some(kernel.join(line.split(':').next()?))
}

/// Whether a module's file ends with a signature. Compressed files are taken for signed: only the
/// kernel's packager compresses.
fn signed(module: &Path) -> bool {
    const MAGIC: &[u8] = b"~Module signature appended~\n";
    if module
        .extension()
        .is_some_and(|extension| extension != "ko")
    {
        return true;
    }
    let end = || {
        let mut file = fs::File::open(module).ok()?;
        let length = i64::try_from(MAGIC.len()).ok()?;
        file.seek(SeekFrom::End(length.checked_neg()?)).ok()?;
        let mut end = Vec::new();
        file.read_to_end(&mut end).ok()?;
        Some(end)
    };
    end().is_some_and(|end| end == MAGIC)
}

fn lockdown() -> bool {
    let enforced = text(Path::new("/sys/module/module/parameters/sig_enforce"));
    let level = text(Path::new("/sys/kernel/security/lockdown"));
    enforced.is_some_and(|enforced| enforced == "Y")
        || level.is_some_and(|level| !level.contains("[none]"))
}

/// The settings that checks look at.
fn settings(root: &Path) -> BTreeMap<String, String> {
    let mut names: Vec<String> = [
        "net/ipv4/ip_forward",
        "net/ipv6/conf/all/forwarding",
        "net/ipv4/vs/conn_max",
        "net/ipv4/vs/conntrack",
        "net/ipv4/vs/short_cut",
    ]
    .map(str::to_owned)
    .to_vec();
    if let Ok(entries) = fs::read_dir(root.join("net/ipv4/conf")) {
        names.extend(entries.filter_map(Result::ok).map(|entry| {
            format!(
                "net/ipv4/conf/{}/rp_filter",
                entry.file_name().to_string_lossy()
            )
        }));
    }
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), text(&root.join(name))?)))
        .collect()
}

#[derive(Deserialize)]
struct JsonLink {
    ifname: String,
    mtu: u32,
}

fn links() -> BTreeMap<String, Link> {
    let links: Vec<JsonLink> = json(Command::new("ip").args(["-j", "link"]))
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default();
    links
        .into_iter()
        .map(|link| (link.ifname, Link { mtu: link.mtu }))
        .collect()
}

#[derive(Deserialize)]
struct JsonRoute {
    dev: Option<String>,
    gateway: Option<String>,
    via: Option<Value>,
    #[serde(default)]
    metrics: Vec<JsonMetrics>,
}

#[derive(Deserialize)]
struct JsonMetrics {
    mtu: Option<u32>,
}

fn route(address: &IpAddr) -> Option<Route> {
    let value = json(Command::new("ip").args(["-j", "route", "get", &address.to_string()]))?;
    let routes: Vec<JsonRoute> = serde_json::from_value(value).ok()?;
    let route = routes.into_iter().next()?;
    Some(Route {
        device: route.dev?,
        gateway: route.gateway.is_some() || route.via.is_some(),
        mtu: route.metrics.iter().find_map(|metrics| metrics.mtu),
    })
}

fn failed_neighbors() -> Vec<IpAddr> {
    let value = json(Command::new("ip").args(["-j", "neighbor", "show", "nud", "failed"]));
    let entries = value.and_then(|value| value.as_array().cloned());
    entries
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| entry["dst"].as_str()?.parse().ok())
        .collect()
}

/// Clients' packets that say something: with fewer, the first answer may be on its way.
const SOME: u64 = 3;

/// Whether clients' packets go to the server by NAT and no reply ever came back. Such servers are
/// probed: see [`Facts::probed`].
pub(super) fn is_silent(service: &ServiceId, entry: &DestinationEntry) -> bool {
    let stats = &entry.stats;
    matches!(service.protocol(), Some(Protocol::Tcp | Protocol::Udp))
        && entry.destination.forwarding == Forwarding::Masquerade
        && stats.packets_in >= SOME
        && stats.packets_out == 0
}

/// The silent NAT servers. A server on all ports has none that could be probed.
fn silent(table: &[Group]) -> Vec<Target> {
    table
        .iter()
        .flat_map(|group| {
            let service = &group.service.service.id;
            group
                .destinations
                .iter()
                .filter(|entry| is_silent(service, entry))
                .filter_map(|entry| Target::new(service, entry.destination.id))
        })
        .collect()
}

/// The priority at which the director takes packets in PREROUTING.
const DIRECTOR: i64 = -102;

/// The chains that have rules and that packets on the short cut do not pass.
fn skipped_chains(ruleset: &Value) -> Vec<FirewallRule> {
    let objects = ruleset["nftables"].as_array().cloned().unwrap_or_default();
    let text =
        |object: &Value, member: &str| object[member].as_str().unwrap_or_default().to_owned();
    let name = |object: &Value, chain: &str| {
        [
            text(object, "family"),
            text(object, "table"),
            text(object, chain),
        ]
        .join(" ")
    };
    let used: Vec<String> = objects
        .iter()
        .filter_map(|object| object.get("rule"))
        .map(|rule| name(rule, "chain"))
        .collect();
    objects
        .iter()
        .filter_map(|object| object.get("chain"))
        .filter_map(|chain| {
            let rule = FirewallRule {
                chain: name(chain, "name"),
                hook: text(chain, "hook"),
                priority: chain["prio"].as_i64()?,
            };
            let family = text(chain, "family");
            let skipped = match rule.hook.as_str() {
                "forward" | "input" => true,
                // Destination NAT sees only the first packet of a connection anyway.
                "prerouting" => rule.priority > DIRECTOR && text(chain, "type") != "nat",
                _ => false,
            };
            let of_ip = ["ip", "ip6", "inet"].contains(&family.as_str());
            (skipped && of_ip && used.contains(&rule.chain)).then_some(rule)
        })
        .collect()
}

/// The rules that drop invalid packets, with the hook of their chain.
pub(super) fn firewall(ruleset: &Value) -> Vec<FirewallRule> {
    let objects = ruleset["nftables"].as_array().cloned().unwrap_or_default();
    let name = |object: &Value, chain: &str| {
        format!(
            "{} {} {}",
            object["family"].as_str().unwrap_or_default(),
            object["table"].as_str().unwrap_or_default(),
            object[chain].as_str().unwrap_or_default()
        )
    };
    let mut chains = BTreeMap::new();
    for chain in objects.iter().filter_map(|object| object.get("chain")) {
        if let (Some(hook), Some(priority)) = (chain["hook"].as_str(), chain["prio"].as_i64()) {
            chains.insert(name(chain, "name"), (hook.to_owned(), priority));
        }
    }
    objects
        .iter()
        .filter_map(|object| object.get("rule"))
        .filter(|rule| {
            let words = rule["expr"].to_string();
            words.contains("\"invalid\"") && words.contains("{\"drop\":null}")
        })
        .filter_map(|rule| {
            let chain = name(rule, "chain");
            let (hook, priority) = chains.get(&chain)?.clone();
            Some(FirewallRule {
                chain,
                hook,
                priority,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_drop_invalid_packets_are_found_with_their_chain() {
        let ruleset = serde_json::json!({"nftables": [
            {"chain": {"family": "inet", "table": "filter", "name": "early", "hook": "prerouting",
                       "prio": -150, "type": "filter", "policy": "accept"}},
            {"chain": {"family": "inet", "table": "filter", "name": "helper"}},
            {"rule": {"family": "inet", "table": "filter", "chain": "early", "expr": [
                {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}},
                {"drop": null}]}},
            {"rule": {"family": "inet", "table": "filter", "chain": "early", "expr": [
                {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}},
                {"drop": null}]}},
        ]});
        assert_eq!(
            firewall(&ruleset),
            [FirewallRule {
                chain: "inet filter early".to_owned(),
                hook: "prerouting".to_owned(),
                priority: -150,
            }]
        );
        assert!(firewall(&Value::Null).is_empty());
    }

    #[test]
    fn chains_with_rules_behind_the_director_are_found() {
        let chain = |name: &str, hook: &str, priority: i64, kind: &str| {
            serde_json::json!({"chain": {"family": "inet", "table": "t", "name": name,
                "hook": hook, "prio": priority, "type": kind, "policy": "accept"}})
        };
        let rule = |chain: &str| {
            serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": chain,
                "expr": [{"accept": null}]}})
        };
        let ruleset = serde_json::json!({"nftables": [
            chain("forward", "forward", 0, "filter"),
            chain("empty", "forward", 0, "filter"),
            chain("early", "prerouting", -150, "filter"),
            chain("late", "prerouting", 0, "filter"),
            chain("dnat", "prerouting", -100, "nat"),
            chain("out", "output", 0, "filter"),
            rule("forward"), rule("early"), rule("late"), rule("dnat"), rule("out"),
        ]});
        let names: Vec<String> = skipped_chains(&ruleset)
            .into_iter()
            .map(|rule| rule.chain)
            .collect();
        assert_eq!(names, ["inet t forward", "inet t late"]);
        assert!(skipped_chains(&Value::Null).is_empty());
    }

    #[test]
    fn a_signature_is_what_a_module_ends_with() {
        let folder = std::env::temp_dir().join(format!("lvsadm-doctor-{}", std::process::id()));
        let kernel = folder.join("7.2.0-test");
        fs::create_dir_all(&kernel).unwrap();
        fs::write(kernel.join("modules.dep"), "updates/ipvs_rs.ko: x.ko\n").unwrap();
        fs::create_dir_all(kernel.join("updates")).unwrap();
        let module = kernel.join("updates/ipvs_rs.ko");
        fs::write(&module, b"elf").unwrap();
        let found = kernels(&folder);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].release, "7.2.0-test");
        assert_eq!(found[0].module.as_deref(), Some(module.as_path()));
        assert!(!found[0].signed);
        fs::write(&module, b"elf~Module signature appended~\n").unwrap();
        assert!(kernels(&folder)[0].signed);
        fs::remove_dir_all(&folder).unwrap();
    }
}
