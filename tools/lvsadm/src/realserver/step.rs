// SPDX-License-Identifier: GPL-2.0-only

//! One step of the configuration of a real server.

use std::net::IpAddr;

/// A step. Each can be carried out again without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A setting below /proc/sys, by path, and its value.
    Setting {
        /// Such as `net/ipv4/conf/all/arp_ignore`.
        path: String,
        /// The value to set.
        value: u32,
        /// Values that are good as well.
        accepted: &'static [u32],
        /// Why.
        purpose: &'static str,
    },
    /// A kernel module that creates a tunnel device.
    Module(&'static str),
    /// The virtual address, on the loopback device.
    Address(IpAddr),
    /// A tunnel device that is up.
    Device {
        /// Its name.
        name: &'static str,
        /// What else `ip link set NAME up` says.
        options: &'static str,
    },
    /// A UDP port that receives GUE packets.
    GuePort {
        /// The port.
        port: u16,
        /// The tunnel's packets are IPv6.
        ipv6: bool,
    },
    /// The address that the director sends to must be this machine's. Nothing adds it.
    Own(IpAddr),
    /// Rules of nftables in a table of their own.
    Rules {
        /// `ip` or `ip6`.
        family: &'static str,
        /// The table's name.
        table: &'static str,
        /// The table's contents.
        chains: String,
        /// Why.
        purpose: &'static str,
    },
}

impl Step {
    /// The name of its check, which never changes.
    #[must_use]
    pub fn check(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::Module(_) => "module",
            Self::Address(_) => "virtual-address",
            Self::Device { .. } => "tunnel",
            Self::GuePort { .. } => "gue-port",
            Self::Own(_) => "own-address",
            Self::Rules { .. } => "rules",
        }
    }

    /// What it is for, in a line.
    #[must_use]
    pub fn purpose(&self) -> String {
        match self {
            Self::Setting { purpose, .. } | Self::Rules { purpose, .. } => (*purpose).to_owned(),
            Self::Module(name) => format!("{name} has the tunnel device"),
            Self::Address(address) => format!("packets to {address} are for this host"),
            Self::Device { name, .. } => format!("{name} unwraps the director's packets"),
            Self::GuePort { port, .. } => format!("UDP port {port} unwraps GUE packets"),
            Self::Own(address) => format!("the director sends to {address}, which this host has"),
        }
    }

    /// A line of shell that carries it out.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::Setting { path, value, .. } => {
                format!("sysctl -q -w {}={value}", path.replace('/', "."))
            }
            Self::Module(name) => format!("modprobe {name}"),
            Self::Address(IpAddr::V4(address)) => {
                format!("ip address replace {address}/32 dev lo")
            }
            // Not the source of connections of its own, and usable at once.
            Self::Address(IpAddr::V6(address)) => {
                format!("ip address replace {address}/128 dev lo preferred_lft 0 nodad")
            }
            Self::Device { name, options } => format!("ip link set {name} up{options}"),
            Self::GuePort { port, ipv6 } => {
                let family = if *ipv6 { " -6" } else { "" };
                format!("ip{family} fou add port {port} gue")
            }
            Self::Own(address) => {
                format!(
                    "ip address show to {address} | grep -q . # add it to a device if this fails"
                )
            }
            Self::Rules { .. } => {
                format!(
                    "nft -f - <<'END'\n{}END",
                    self.ruleset().unwrap_or_default()
                )
            }
        }
    }

    /// The input of `nft -f -`: the table is replaced in one transaction.
    #[must_use]
    pub fn ruleset(&self) -> Option<String> {
        let Self::Rules {
            family,
            table,
            chains,
            ..
        } = self
        else {
            return None;
        };
        Some(format!(
            "add table {family} {table}\ndelete table {family} {table}\n\
             table {family} {table} {{\n\tcomment \"{}\"\n{chains}}}\n",
            fingerprint(chains)
        ))
    }

    /// What the listing of its table contains if the table is this one.
    #[must_use]
    pub fn mark(&self) -> Option<String> {
        match self {
            Self::Rules { chains, .. } => Some(format!("comment \"{}\"", fingerprint(chains))),
            _ => None,
        }
    }
}

/// Recognizes rules: FNV-1a of their text.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("lvsadm realserver {hash:016x}")
}
