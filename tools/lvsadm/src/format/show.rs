// SPDX-License-Identifier: GPL-2.0-only

//! Services and servers for people: `show` and `describe`.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Row, Table};
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::model::{scheduler, Drops};
use crate::report::{Figures, ServerReport, ServerState, ServiceReport, ServiceState};

/// What `show --json` and `describe --json` print.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "show")]
pub(crate) struct Listing<'a> {
    /// The services, in the order of the table.
    services: &'a [ServiceReport],
}

/// The reports as JSON.
#[must_use]
pub fn json(services: &[ServiceReport]) -> String {
    json::text(&Listing { services })
}

#[derive(Serialize)]
struct Page<'a> {
    services: &'a [ServiceReport],
    drops: Option<u64>,
}

/// The reports as JSON in one line, for the page of `top --serve`.
#[must_use]
pub fn page_json(services: &[ServiceReport], drops: Option<u64>) -> String {
    serde_json::to_string(&Page { services, drops }).unwrap_or_default()
}

const BAD: Style = AnsiColor::Red.on_default().bold();
const FAIR: Style = AnsiColor::Yellow.on_default();
const HEAD: Style = Style::new().bold();

/// A text in a style. The printer removes the style where there is no terminal.
fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn service_state(state: ServiceState) -> String {
    match state {
        ServiceState::Ok => state.name().to_owned(),
        ServiceState::Degraded => styled(FAIR, state.name()),
        ServiceState::Down | ServiceState::Empty => styled(BAD, state.name()),
    }
}

fn server_state(state: ServerState) -> String {
    match state {
        ServerState::Ok => state.name().to_owned(),
        ServerState::Draining | ServerState::Drained => styled(FAIR, state.name()),
        ServerState::Full | ServerState::NoRoute => styled(BAD, state.name()),
    }
}

/// A number that people can read at a glance: at most four digits and a unit.
#[must_use]
pub fn short(value: u64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let mut scaled = value;
    let mut unit = 0_usize;
    while scaled >= 10_000 {
        scaled /= 1_000;
        unit = unit.saturating_add(1);
    }
    format!("{scaled}{}", units.get(unit).copied().unwrap_or_default())
}

fn table(heads: &[&str], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(heads.iter().map(|head| styled(HEAD, head)));
    for number in numbers {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The lines of a table without the blanks at their ends.
fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// All services with their servers, one a line.
#[must_use]
pub fn table_of(services: &[ServiceReport]) -> String {
    if services.is_empty() {
        return "There are no services.\n".to_owned();
    }
    let mut table = table(
        &[
            "SERVICE / SERVER",
            "HOW",
            "WEIGHT",
            "ACTIVE",
            "INACTIVE",
            "CONN/S",
            "IN B/S",
            "OUT B/S",
            "STATE",
        ],
        2..8,
    );
    for service in services {
        let mut how = service.scheduler.clone();
        if let Some(timeout) = service.persistence {
            how += &format!(" -p {timeout}");
        }
        if service.one_packet {
            how += " --ops";
        }
        if service.redispatch {
            how += " --redispatch";
        }
        if service.hash_seed != 0 {
            how += &format!(" --hash-seed {}", service.hash_seed);
        }
        let mut row = vec![service.service.clone(), how, String::new()];
        row.extend(loads(service.active, service.inactive, &service.rate));
        row.push(service_state(service.state));
        table.add_row(Row::from(row));
        for server in &service.servers {
            let mut row = vec![
                format!("  {}", server.server),
                server.method.clone(),
                server.weight.to_string(),
            ];
            row.extend(loads(
                server.active.into(),
                server.inactive.into(),
                &server.rate,
            ));
            row.push(server_state(server.state));
            table.add_row(Row::from(row));
        }
    }
    lines(&table)
}

fn loads(active: u64, inactive: u64, rate: &Figures) -> [String; 5] {
    [
        active,
        inactive,
        rate.connections,
        rate.bytes_in,
        rate.bytes_out,
    ]
    .map(short)
}

/// Everything about one service.
#[must_use]
pub fn details(service: &ServiceReport) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        text += &match name {
            "" => format!("{:<13}{value}\n", ""),
            name => format!("{:<13}{value}\n", format!("{name}:")),
        };
    };
    line("Service", &service.service);
    line("State", &service_state(service.state));
    let mut scheduler = service.scheduler.clone();
    if !service.scheduler_flags.is_empty() {
        scheduler += &format!(" ({})", service.scheduler_flags.join(", "));
    }
    if let Some(known) = scheduler::find(&service.scheduler) {
        scheduler += &format!(", {}", known.chooses);
    }
    line("Scheduler", &scheduler);
    let persistence = match (service.persistence, &service.netmask, &service.engine) {
        (None, ..) => "none".to_owned(),
        (Some(timeout), mask, engine) => {
            let mask = mask.as_deref().unwrap_or_default();
            let engine = engine.as_deref().map(|engine| format!(", engine {engine}"));
            format!("{timeout} s, netmask {mask}{}", engine.unwrap_or_default())
        }
    };
    line("Persistence", &persistence);
    if service.one_packet {
        line("One-packet", "yes: every packet is scheduled by itself");
    }
    if service.redispatch {
        line(
            "Redispatch",
            "yes: another server gets the SYN that one did not answer",
        );
    }
    if service.hash_seed != 0 {
        line("Hash seed", &service.hash_seed.to_string());
    }
    line(
        "Connections",
        &format!(
            "{} active, {} inactive, {} persistent; {} in total, {} per second",
            service.active,
            service.inactive,
            service.persistent,
            service.stats.connections,
            service.rate.connections
        ),
    );
    let traffic = |name: &str, packets: u64, bytes: u64, packet_rate: u64, byte_rate: u64| {
        (
            name.to_owned(),
            format!(
                "{packets} packets, {bytes} bytes; {packet_rate} packets, {byte_rate} bytes per \
                 second"
            ),
        )
    };
    let (stats, rate) = (&service.stats, &service.rate);
    for (name, value) in [
        traffic(
            "In",
            stats.packets_in,
            stats.bytes_in,
            rate.packets_in,
            rate.bytes_in,
        ),
        traffic(
            "Out",
            stats.packets_out,
            stats.bytes_out,
            rate.packets_out,
            rate.bytes_out,
        ),
    ] {
        line(&name, &value);
    }
    if service.drops.iter().next().is_some() {
        line("Dropped", &dropped(&service.drops));
        for server in &service.servers {
            if server.drops.iter().next().is_some() {
                line(
                    "",
                    &format!("{}: {}", server.server, dropped(&server.drops)),
                );
            }
        }
    }
    if !service.servers.is_empty() {
        text += "\n";
        text += &servers(&service.servers);
    }
    for warning in &service.warnings {
        text += &format!("\n{} {warning}", styled(FAIR, "Warning:"));
    }
    if !service.warnings.is_empty() {
        text += "\n";
    }
    text
}

/// Dropped packets by reason.
fn dropped(drops: &Drops) -> String {
    let reasons: Vec<String> = drops
        .iter()
        .map(|(reason, count)| format!("{count} {} ({})", reason.name(), reason.explanation()))
        .collect();
    reasons.join(", ")
}

fn servers(servers: &[ServerReport]) -> String {
    let mut table = table(
        &[
            "SERVER", "METHOD", "WEIGHT", "SHARE", "ACTIVE", "SHARE", "INACTIVE", "PERSIST",
            "LIMIT", "TOTAL", "STATE",
        ],
        2..10,
    );
    for server in servers {
        let limit = match (server.lower_threshold, server.upper_threshold) {
            (_, 0) => "-".to_owned(),
            (0, upper) => upper.to_string(),
            (lower, upper) => format!("{lower}..{upper}"),
        };
        table.add_row(vec![
            server.server.clone(),
            server.method.clone(),
            server.weight.to_string(),
            format!("{:.1}%", server.weight_share),
            server.active.to_string(),
            format!("{:.1}%", server.active_share),
            server.inactive.to_string(),
            server.persistent.to_string(),
            limit,
            short(server.stats.connections),
            server_state(server.state),
        ]);
    }
    lines(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::FixedHost;
    use crate::report::{self, tests::group, tests::server};

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_stay_aligned_under_long_ipv6_addresses() {
        let mut long = server(2, 0, 3);
        long.destination.id.address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().unwrap();
        let report = report::service(&group(vec![server(1, 1, 7), long]), &FixedHost::default());
        let text = plain(&table_of(&[report]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let column = lines[0].find("STATE").unwrap();
        assert_eq!(&lines[1][column..], "DEGRADED", "{text}");
        assert_eq!(&lines[2][column..], "OK", "{text}");
        assert_eq!(&lines[3][column..], "DRAINING", "{text}");
        assert!(lines[3].contains("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:80  NAT"));
    }

    #[test]
    fn a_description_names_servers_shares_and_warnings() {
        let host = FixedHost {
            unreachable: vec![[10, 2, 0, 2].into()],
            ..FixedHost::default()
        };
        let report = report::service(&group(vec![server(1, 1, 3), server(2, 3, 1)]), &host);
        let text = plain(&details(&report));
        for words in [
            "Service:     TCP 192.0.2.1:80\n",
            "State:       DEGRADED\n",
            "Scheduler:   wlc, fewest connections for its weight\n",
            "Persistence: none\n",
            "75.0%",
            "NO ROUTE\n",
            "\nWarning: there is no route to the server 10.2.0.2:80",
        ] {
            assert!(text.contains(words), "{words:?}\n{text}");
        }
        let value: serde_json::Value = serde_json::from_str(&json(&[report])).unwrap();
        assert_eq!(value["services"][0]["state"], "degraded");
        assert_eq!(value["services"][0]["servers"][1]["state"], "no_route");
    }

    #[test]
    fn numbers_are_shortened_to_four_digits() {
        for (value, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10k"),
            (12_345_678, "12M"),
            (u64::MAX, "18E"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
