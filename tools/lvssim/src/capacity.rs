// SPDX-License-Identifier: GPL-2.0-only

//! The papers' sum of how many servers one director carries.

use crate::experiment::aligned;
use crate::measured::{machine, nanoseconds};

/// The octets of a packet in the LinuxDirector paper (section 3.4), its cost there in nanoseconds,
/// and the octets a second that a server of the paper sends.
const PACKET: u64 = 536;
const PENTIUM: u64 = 60_000;
const SERVER: u64 = 600_000;

/// The paper's sum with the measured costs: a director forwards a packet in so many nanoseconds, so
/// it forwards so many octets a second, which is what so many servers send.
#[must_use]
pub fn capacity() -> String {
    let row = |method: &str, nanoseconds: u64| {
        let octets = PACKET * 1_000_000_000 / nanoseconds.max(1);
        vec![
            method.to_owned(),
            nanoseconds.to_string(),
            format!("{:.2}", octets as f64 / 1e6),
            (octets as f64 / SERVER as f64).round().to_string(),
        ]
    };
    let head = [
        "method",
        "packet (ns)",
        "forwarded (MB/s)",
        "servers of 600 kB/s",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.push(row("NAT, the paper", PENTIUM));
    for (method, name) in [
        ("NAT, replies", "nat-reply-100"),
        ("NAT, a million flows", "flows-1000000"),
        ("TUN, requests", "tun-100"),
        ("DR, requests", "dr-100"),
    ] {
        rows.push(row(method, nanoseconds(name)));
    }
    format!("{}\nMeasured on {}.\n", aligned(&rows), machine())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_sum_is_the_papers() {
        let table = capacity();
        let line = table
            .lines()
            .find(|line| line.starts_with("NAT, the paper"));
        let words: Vec<_> = line.unwrap().split_whitespace().collect();
        assert_eq!(words[3..], ["60000", "8.93", "15"]);
    }
}
