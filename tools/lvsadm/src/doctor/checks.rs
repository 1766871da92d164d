// SPDX-License-Identifier: GPL-2.0-only

//! The checks. Each looks at facts and answers with what is wrong and the command that mends it.

mod firewall;
mod module;
mod network;
mod services;
mod synchronization;

use schemars::JsonSchema;
use serde::Serialize;

use super::facts::Facts;
use super::finding::{Finding, Status};

/// A check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

/// A check's name, what holds when it passes, and the check itself; `None` where it does not apply.
type Definition = (
    &'static str,
    &'static str,
    fn(&Facts) -> Option<Vec<Finding>>,
);

const CHECKS: [Definition; 21] = [
    ("director", "ipvs_rs is the director", module::director),
    (
        "kernels",
        "every installed kernel has the module",
        module::kernels,
    ),
    (
        "signature",
        "the kernel accepts the module",
        module::signature,
    ),
    ("services", "every service has servers", services::services),
    (
        "weights",
        "every service has a server that accepts connections",
        services::weights,
    ),
    ("thresholds", "no server is full", services::thresholds),
    (
        "virtual-addresses",
        "every virtual address is an address of this host",
        network::virtual_addresses,
    ),
    ("routes", "every server has a route", network::routes),
    (
        "neighbors",
        "every server on a link answers there",
        network::neighbors,
    ),
    (
        "direct-routing",
        "every server by direct routing is on a link",
        network::direct_routing,
    ),
    (
        "forwarding",
        "the host forwards packets",
        network::forwarding,
    ),
    (
        "nat-replies",
        "replies of NAT servers pass here",
        network::nat_replies,
    ),
    (
        "rp-filter",
        "no interface filters by reverse path strictly",
        network::rp_filter,
    ),
    ("tunnel-mtu", "tunneled packets fit", network::tunnel_mtu),
    (
        "firewall",
        "no rule drops invalid packets early",
        firewall::firewall,
    ),
    (
        "short-cut",
        "no rule waits for packets that take the short cut",
        firewall::short_cut,
    ),
    (
        "connections",
        "the table has room for connections",
        services::connections,
    ),
    (
        "drops",
        "no packet was dropped for a mistake",
        services::drops,
    ),
    (
        "helpers",
        "no protocol needs a helper that is absent",
        services::helpers,
    ),
    (
        "loops",
        "no server is a virtual address of this host",
        services::loops,
    ),
    (
        "synchronization",
        "the backup takes what the master sends",
        synchronization::synchronization,
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

#[cfg(test)]
mod tests;
