// SPDX-License-Identifier: GPL-2.0-only

//! Rules of nftables that see other packets than their authors expect.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{fail, servers_by, warn, Finding};
use crate::model::Forwarding;

pub(super) fn firewall(facts: &Facts) -> Option<Vec<Finding>> {
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

pub(super) fn short_cut(facts: &Facts) -> Option<Vec<Finding>> {
    let on = facts
        .settings
        .get("net/ipv4/vs/short_cut")
        .is_some_and(|value| value != "0");
    if !on || facts.services.is_empty() {
        return None;
    }
    Some(
        facts
            .skipped_chains
            .iter()
            .map(|chain| {
                warn(
                    format!(
                        "the rules of {} ({}, priority {}) do not see packets of known connections",
                        chain.chain, chain.hook, chain.priority
                    ),
                    "sysctl net.ipv4.vs.short_cut=0, or move the rules to prerouting with a \
                     priority below -102"
                        .to_owned(),
                )
            })
            .collect(),
    )
}
