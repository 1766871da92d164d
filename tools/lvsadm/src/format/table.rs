// SPDX-License-Identifier: GPL-2.0-only

//! The table as text, as ipvsadm 1.31 prints it.

use std::io::{self, Write};

use super::labels::Labels;
use crate::cli::{Columns, View};
use crate::model::{
    DestinationEntry, Family, Forwarding, Group, Service, ServiceFlags, ServiceId, Stats, Table,
    TunnelChecksum, TunnelKind,
};

/// Where a service's IPv4 name is cut off.
const SERVICE_WIDTH: usize = 33;
/// Where a destination's IPv4 name is cut off.
const DESTINATION_WIDTH: usize = 28;

/// Writes the whole listing, line by line.
///
/// # Errors
///
/// Those of `out`.
pub fn table(
    table: &Table,
    view: &View,
    labels: &Labels<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    if let Some(info) = &table.info {
        // A size beyond the signed range is ipvsadm's to print as it does; none exists.
        writeln!(
            out,
            "IP Virtual Server version {} (size={})",
            info.version(),
            info.table_size
        )?;
    }
    out.write_all(title(view.columns).as_bytes())?;
    for group in &table.groups {
        out.write_all(service(group, view, labels).as_bytes())?;
        for entry in &group.destinations {
            let line = destination(&group.service.service.id, entry, view, labels);
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

fn title(columns: Columns) -> String {
    let wide = |heads: [&str; 5]| {
        let mut line = format!("{:<33}", "Prot LocalAddress:Port");
        for head in heads {
            line += &format!(" {head:>8}");
        }
        format!("{line}\n  -> RemoteAddress:Port\n")
    };
    match columns {
        Columns::Stats => wide(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
        Columns::Rate => wide(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
        Columns::Thresholds => format!(
            "{:<33} {:<10} {:<10} {:<10} {:<10}\n  -> RemoteAddress:Port\n",
            "Prot LocalAddress:Port", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        Columns::Persistent => format!(
            "{:<33} {:<9} {:<11} {:<10} {:<10}\n  -> RemoteAddress:Port\n",
            "Prot LocalAddress:Port", "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
        Columns::Tunnel => "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
            .to_owned(),
        Columns::Plain => "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
            .to_owned(),
    }
}

/// Cuts at a column; names are ASCII, and what is not is cut at a character.
fn cut(mut text: String, width: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(width) {
        text.truncate(end);
    }
    text
}

fn service_name(id: &ServiceId, labels: &Labels<'_>) -> String {
    match id {
        ServiceId::Mark {
            mark,
            family: Family::Inet,
        } => format!("FWM  {mark}"),
        ServiceId::Mark {
            mark,
            family: Family::Inet6,
        } => format!("FWM  {mark} IPv6"),
        ServiceId::Address {
            protocol,
            address,
            port,
        } => {
            let endpoint = labels.endpoint(address, *port, Some(*protocol));
            let name = format!("{:<4} {endpoint}", protocol.to_string());
            if address.is_ipv4() {
                cut(name, SERVICE_WIDTH)
            } else {
                name
            }
        }
    }
}

fn service(group: &Group, view: &View, labels: &Labels<'_>) -> String {
    let service = &group.service.service;
    let name = service_name(&service.id, labels);
    match view.columns {
        Columns::Stats => format!(
            "{name:<33}{}\n",
            figures(counters(&group.service.stats), view.exact)
        ),
        Columns::Rate => format!(
            "{name:<33}{}\n",
            figures(rates(&group.service.stats), view.exact)
        ),
        Columns::Plain | Columns::Thresholds | Columns::Persistent | Columns::Tunnel => {
            format!("{name} {}\n", properties(service))
        }
    }
}

/// Scheduler and flags.
fn properties(service: &Service) -> String {
    let mut text = service.scheduler.clone();
    let any = service.flags.0
        & (ServiceFlags::SCHEDULER_1.0 | ServiceFlags::SCHEDULER_2.0 | ServiceFlags::SCHEDULER_3.0);
    if any != 0 {
        let names = service.flags.listed_scheduler_names(&service.scheduler);
        text += &format!(" ({})", names.join(","));
    }
    if service.flags.contains(ServiceFlags::PERSISTENT) {
        text += &format!(" persistent {}", service.timeout);
        if !service.netmask.is_host() {
            text += &format!(" mask {}", service.netmask);
        }
        if let Some(engine) = &service.engine {
            text += &format!(" pe {engine}");
        }
    }
    if service.flags.contains(ServiceFlags::ONE_PACKET) {
        text += " ops";
    }
    if service.flags.contains(ServiceFlags::REDISPATCH) {
        text += " redispatch";
    }
    if service.flags.hash_seed() != 0 {
        text += &format!(" seed {}", service.flags.hash_seed());
    }
    text
}

fn destination(
    service: &ServiceId,
    entry: &DestinationEntry,
    view: &View,
    labels: &Labels<'_>,
) -> String {
    let destination = &entry.destination;
    let mut name = labels.endpoint(
        &destination.id.address,
        destination.id.port,
        service.protocol(),
    );
    if destination.id.address.is_ipv4() {
        name = cut(name, DESTINATION_WIDTH);
    }
    let (weight, active, inactive) = (destination.weight, entry.active, entry.inactive);
    let forward = forwarding(destination.forwarding);
    match view.columns {
        Columns::Stats => format!(
            "  -> {name:<28}{}\n",
            figures(counters(&entry.stats), view.exact)
        ),
        Columns::Rate => {
            // The first three are neither shortened nor widened here.
            let [connections, packets_in, packets_out, bytes_in, bytes_out] = rates(&entry.stats);
            format!(
                "  -> {name:<28} {connections:>8} {packets_in:>8} {packets_out:>8}{}{}\n",
                figure(bytes_in, view.exact),
                figure(bytes_out, view.exact)
            )
        }
        Columns::Thresholds => format!(
            "  -> {name:<28} {:<10} {:<10} {active:<10} {inactive:<10}\n",
            destination.upper_threshold, destination.lower_threshold
        ),
        Columns::Persistent => format!(
            "  -> {name:<28} {weight:<9} {:<11} {active:<10} {inactive:<10}\n",
            entry.persistent
        ),
        Columns::Tunnel => format!(
            "  -> {name:<28} {forward:<7} {:<13} {weight:<6} {active:<10} {inactive:<10}\n",
            tunnel(entry)
        ),
        Columns::Plain => {
            format!("  -> {name:<28} {forward:<7} {weight:<6} {active:<10} {inactive:<10}\n")
        }
    }
}

fn forwarding(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Masquerade | Forwarding::DirectReply => "Masq",
        Forwarding::Local => "Local",
        Forwarding::Tunnel => "Tunnel",
        Forwarding::Route => "Route",
        Forwarding::Other(_) => "?",
    }
}

fn tunnel(entry: &DestinationEntry) -> String {
    let tunnel = &entry.destination.tunnel;
    if entry.destination.forwarding != Forwarding::Tunnel {
        return "n/a".to_owned();
    }
    let checksum = match tunnel.checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Full => "+c",
        TunnelChecksum::Remote => "r+c",
        TunnelChecksum::Other(_) => "?",
    };
    match tunnel.kind {
        TunnelKind::Ipip => "ipip".to_owned(),
        TunnelKind::Gue => format!("gue:{}:{checksum}", tunnel.port),
        TunnelKind::Gre => format!("gre:{checksum}"),
        TunnelKind::Other(_) => "n/a".to_owned(),
    }
}

fn counters(stats: &Stats) -> [u64; 5] {
    [
        stats.connections,
        stats.packets_in,
        stats.packets_out,
        stats.bytes_in,
        stats.bytes_out,
    ]
}

fn rates(stats: &Stats) -> [u64; 5] {
    [
        stats.connection_rate,
        stats.packet_rate_in,
        stats.packet_rate_out,
        stats.byte_rate_in,
        stats.byte_rate_out,
    ]
}

fn figures(values: [u64; 5], exact: bool) -> String {
    values.map(|value| figure(value, exact)).concat()
}

/// A figure in nine columns, with a unit when it would not fit; or in full, at least one blank
/// ahead.
fn figure(value: u64, exact: bool) -> String {
    const MILLION: u64 = 1_000_000;
    if exact {
        return format!(" {value:>8}");
    }
    if value < 100 * MILLION {
        format!("{value:>9}")
    } else if value < 1_000 * MILLION {
        format!("{:>8}K", value / 1_000)
    } else if value < 100_000 * MILLION {
        format!("{:>8}M", value / MILLION)
    } else if value < 100_000_000 * MILLION {
        format!("{:>8}G", value / (1_000 * MILLION))
    } else {
        format!("{:>8}T", value / (MILLION * MILLION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_change_units_where_they_stop_fitting() {
        for (value, text) in [
            (99_999_999, " 99999999"),
            (100_000_000, "  100000K"),
            (999_999_999, "  999999K"),
            (1_000_000_000, "    1000M"),
            (99_999_999_999, "   99999M"),
            (100_000_000_000, "     100G"),
            (99_999_999_999_999, "   99999G"),
            (100_000_000_000_000, "     100T"),
        ] {
            assert_eq!(figure(value, false), text);
        }
        assert_eq!(figure(12_345_678, true), " 12345678");
        assert_eq!(figure(123_456_789, true), " 123456789");
        assert_eq!(figure(0, true), "        0");
    }
}
