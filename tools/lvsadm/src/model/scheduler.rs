// SPDX-License-Identifier: GPL-2.0-only

//! The schedulers that exist: names, flags, and when to choose which.

use super::service::ServiceFlags;

/// A scheduler as users choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduler {
    /// Its name, as `-s` takes it.
    pub name: &'static str,
    /// The flags that it reads, as `-b` takes them.
    pub flags: &'static [(&'static str, ServiceFlags)],
    /// Which server it chooses.
    pub chooses: &'static str,
    /// When to choose it.
    pub when: &'static str,
}

/// Flags that every scheduler accepts: their meaning, if any, is the scheduler's.
pub const ANONYMOUS_FLAGS: [(&str, ServiceFlags); 3] = [
    ("flag-1", ServiceFlags::SCHEDULER_1),
    ("flag-2", ServiceFlags::SCHEDULER_2),
    ("flag-3", ServiceFlags::SCHEDULER_3),
];

const fn scheduler(
    name: &'static str,
    chooses: &'static str,
    when: &'static str,
    flags: &'static [(&'static str, ServiceFlags)],
) -> Scheduler {
    Scheduler {
        name,
        flags,
        chooses,
        when,
    }
}

/// Every scheduler of `ipvs_rs`, the usual choices first.
pub const SCHEDULERS: [Scheduler; 17] = [
    scheduler(
        "wlc",
        "fewest connections for its weight",
        "the default: servers or connections differ",
        &[],
    ),
    scheduler(
        "rr",
        "each in turn",
        "equal servers, many short connections",
        &[],
    ),
    scheduler(
        "wrr",
        "each in turn, as often as its weight",
        "unequal servers, many short connections",
        &[],
    ),
    scheduler(
        "lc",
        "fewest connections",
        "equal servers, some long connections",
        &[],
    ),
    scheduler(
        "sed",
        "shortest expected delay",
        "a few servers are much faster, few connections",
        &[],
    ),
    scheduler(
        "nq",
        "an idle server, else as sed",
        "a request must never wait while a server is idle",
        &[],
    ),
    scheduler(
        "mh",
        "Maglev hash of the client",
        "clients keep their server, several directors agree",
        &[
            ("mh-fallback", ServiceFlags::SCHEDULER_1),
            ("mh-port", ServiceFlags::SCHEDULER_2),
        ],
    ),
    scheduler(
        "sh",
        "hash of the client",
        "clients keep their server, the servers never change",
        &[
            ("sh-fallback", ServiceFlags::SCHEDULER_1),
            ("sh-port", ServiceFlags::SCHEDULER_2),
        ],
    ),
    scheduler(
        "oneip",
        "highest random weight with the client",
        "several directors, fewest moves when servers change",
        &[
            ("oneip-stateless", ServiceFlags::SCHEDULER_1),
            ("oneip-port", ServiceFlags::SCHEDULER_2),
            ("oneip-filter", ServiceFlags::SCHEDULER_3),
        ],
    ),
    scheduler(
        "dh",
        "hash of the virtual address",
        "caches behind a firewall mark",
        &[],
    ),
    scheduler(
        "lblc",
        "the server that served this address last",
        "caches, unless that server is overloaded",
        &[],
    ),
    scheduler(
        "lblcr",
        "one of the servers that served this address",
        "caches with very popular addresses",
        &[],
    ),
    scheduler(
        "fo",
        "the greatest weight",
        "one active server, the others stand by",
        &[],
    ),
    scheduler(
        "ovf",
        "the greatest weight until it is full",
        "fill one server before the next is used",
        &[],
    ),
    scheduler(
        "twos",
        "the less loaded of two drawn at random",
        "several directors share the servers",
        &[],
    ),
    scheduler(
        "geo",
        "fewest connections in the nearest region",
        "servers in several regions (lvsadm geo)",
        &[],
    ),
    scheduler(
        "ewma",
        "the faster of two drawn at random",
        "NAT, and servers that are slow now and then",
        &[],
    ),
];

/// The scheduler of this name, if `ipvs_rs` has one.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scheduler> {
    SCHEDULERS.iter().find(|scheduler| scheduler.name == name)
}

/// The scheduler that reads this flag, and the flag.
#[must_use]
pub fn find_flag(name: &str) -> Option<(Option<&'static Scheduler>, ServiceFlags)> {
    if let Some((_, flag)) = ANONYMOUS_FLAGS.iter().find(|(known, _)| *known == name) {
        return Some((None, *flag));
    }
    SCHEDULERS.iter().find_map(|scheduler| {
        let (_, flag) = scheduler.flags.iter().find(|(known, _)| *known == name)?;
        Some((Some(scheduler), *flag))
    })
}

/// All flags by name, for messages.
#[must_use]
pub fn flag_names() -> Vec<&'static str> {
    ANONYMOUS_FLAGS
        .iter()
        .chain(SCHEDULERS.iter().flat_map(|scheduler| scheduler.flags))
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheduler_module_is_described_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sched");
        let mut modules: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let name = name.strip_prefix("ipvs_rs_")?.strip_suffix(".rs")?;
                Some(name.to_owned())
            })
            .collect();
        modules.sort();
        let mut described: Vec<&str> = SCHEDULERS.iter().map(|known| known.name).collect();
        described.sort_unstable();
        assert_eq!(modules, described);
    }

    #[test]
    fn a_flag_belongs_to_one_scheduler_or_to_all() {
        let (owner, flag) = find_flag("mh-port").unwrap();
        assert_eq!(owner.unwrap().name, "mh");
        assert_eq!(flag, ServiceFlags::SCHEDULER_2);
        let (owner, flag) = find_flag("flag-3").unwrap();
        assert!(owner.is_none());
        assert_eq!(flag, ServiceFlags::SCHEDULER_3);
        assert!(find_flag("flag-4").is_none());
        let mut names = flag_names();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
