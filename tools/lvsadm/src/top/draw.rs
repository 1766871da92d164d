// SPDX-License-Identifier: GPL-2.0-only

//! The screen.

use std::net::IpAddr;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Sparkline, Table, TableState};
use ratatui::Frame;

use super::state::{Mode, State};
use crate::format::show::short;
use crate::model::endpoint;
use crate::report::{Figures, ServerReport, ServerState, ServiceReport, ServiceState};

/// Columns of a bar.
const BAR: usize = 10;

/// Paints the screen.
pub fn screen(frame: &mut Frame<'_>, state: &State) {
    let [head, sparks, table, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let services = state.services();
    frame.render_widget(summary(state, &services), head);
    sparkline(frame, state, sparks);
    match &state.followed {
        Some(row) => connections(frame, state, row, table),
        None => rows(frame, state, &services, table),
    }
    frame.render_widget(footer(state), foot);
}

fn summary(state: &State, services: &[ServiceReport]) -> Paragraph<'static> {
    let sum = |value: fn(&ServiceReport) -> u64| -> u64 { services.iter().map(value).sum() };
    let drops = match state.drops() {
        None => String::new(),
        Some(all) => format!("  drops {} (+{})", short(all), short(state.new_drops)),
    };
    Paragraph::new(format!(
        "lvsadm top  {} services  active {}  inactive {}  conn/s {}  in {}B/s  out {}B/s{drops}",
        services.len(),
        short(sum(|service| service.active)),
        short(sum(|service| service.inactive)),
        short(sum(|service| service.rate.connections)),
        short(sum(|service| service.rate.bytes_in)),
        short(sum(|service| service.rate.bytes_out)),
    ))
    .style(Style::new().add_modifier(Modifier::BOLD))
}

fn sparkline(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let width = usize::from(area.width);
    let skipped = state.rates.len().saturating_sub(width);
    let data: Vec<u64> = state.rates.iter().skip(skipped).copied().collect();
    let line = Sparkline::default()
        .data(&data)
        .style(Style::new().fg(Color::Cyan));
    frame.render_widget(line, area);
}

/// The share of the active connections as a bar, with a mark where the share of the weight is.
fn bar(active: f64, weight: f64) -> String {
    let columns = |percent: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a percentage is between 0 and 100"
        )]
        let columns = (percent / 100.0 * BAR as f64).round() as usize;
        columns.min(BAR)
    };
    let (filled, mark) = (columns(active), columns(weight));
    (1..=BAR)
        .map(|column| match (column == mark, column <= filled) {
            (true, _) => '|',
            (false, true) => '=',
            (false, false) => '.',
        })
        .collect()
}

fn loads(active: u64, inactive: u64, rate: &Figures) -> [String; 5] {
    [
        active,
        inactive,
        rate.connections,
        rate.bytes_in,
        rate.bytes_out,
    ]
    .map(|value| format!("{:>8}", short(value)))
}

/// A line of the table with all its cells.
struct TableLine {
    cells: Vec<String>,
    style: Style,
}

impl TableLine {
    /// The cells whose columns are kept.
    fn row(self, kept: &dyn Fn(usize) -> bool) -> Row<'static> {
        let cells = self
            .cells
            .into_iter()
            .enumerate()
            .filter(|(column, _)| kept(*column))
            .map(|(_, cell)| cell);
        Row::new(cells.collect::<Vec<String>>()).style(self.style)
    }
}

fn service_line(service: &ServiceReport) -> TableLine {
    let style = match service.state {
        ServiceState::Ok => Style::new(),
        ServiceState::Degraded => Style::new().fg(Color::Yellow),
        ServiceState::Down | ServiceState::Empty => Style::new().fg(Color::Red),
    };
    let mut cells = vec![
        service.service.clone(),
        service.scheduler.clone(),
        String::new(),
        String::new(),
    ];
    cells.extend(loads(service.active, service.inactive, &service.rate));
    cells.push(service.state.name().to_owned());
    TableLine {
        cells,
        style: style.add_modifier(Modifier::BOLD),
    }
}

fn server_line(server: &ServerReport) -> TableLine {
    let style = match server.state {
        ServerState::Ok => Style::new(),
        ServerState::Draining | ServerState::Drained => Style::new().fg(Color::Yellow),
        ServerState::Full | ServerState::NoRoute => Style::new().fg(Color::Red),
    };
    let mut cells = vec![
        format!("  {}", server.server),
        server.method.clone(),
        format!("{:>6}", server.weight),
        bar(server.active_share, server.weight_share),
    ];
    cells.extend(loads(
        server.active.into(),
        server.inactive.into(),
        &server.rate,
    ));
    cells.push(server.state.name().to_owned());
    TableLine { cells, style }
}

fn rows(frame: &mut Frame<'_>, state: &State, services: &[ServiceReport], area: Rect) {
    if services.is_empty() {
        frame.render_widget(Paragraph::new("There are no services to show."), area);
        return;
    }
    let lines: Vec<TableLine> = services
        .iter()
        .flat_map(|service| {
            std::iter::once(service_line(service)).chain(service.servers.iter().map(server_line))
        })
        .collect();
    let longest = services
        .iter()
        .flat_map(|service| {
            let servers = service
                .servers
                .iter()
                .map(|server| server.server.len().saturating_add(2));
            std::iter::once(service.service.len()).chain(servers)
        })
        .max()
        .unwrap_or(0);
    let name = u16::try_from(longest.max(16)).unwrap_or(u16::MAX);
    let head = [
        "SERVICE / SERVER".to_owned(),
        "HOW".to_owned(),
        "WEIGHT".to_owned(),
        "SHARE".to_owned(),
        format!("{:>8}", "ACTIVE"),
        format!("{:>8}", "INACT"),
        format!("{:>8}", "CONN/S"),
        format!("{:>8}", "IN B/S"),
        format!("{:>8}", "OUT B/S"),
        "STATE".to_owned(),
    ];
    let bar = u16::try_from(BAR).unwrap_or(u16::MAX);
    let widths = [name, 8, 6, bar, 8, 8, 8, 8, 8, 9];
    let total: u16 = widths.iter().map(|width| width.saturating_add(1)).sum();
    // A narrow screen leaves out inactive connections and bytes.
    let narrow = area.width < total.saturating_sub(1);
    let kept = |column: usize| !narrow || ![5, 7, 8].contains(&column);
    let lines = lines.into_iter().map(|line| line.row(&kept));
    let constraints = widths
        .into_iter()
        .enumerate()
        .filter(|(column, _)| kept(*column))
        .map(|(_, width)| Constraint::Length(width));
    let head = head
        .into_iter()
        .enumerate()
        .filter(|(column, _)| kept(*column))
        .map(|(_, head)| head);
    let table = Table::new(lines, constraints)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::REVERSED)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut chosen = TableState::default().with_selected(state.chosen);
    frame.render_stateful_widget(table, area, &mut chosen);
}

/// The connections of a service or a server, as many as there is room for.
fn connections(frame: &mut Frame<'_>, state: &State, row: &super::state::Row, area: Rect) {
    let server = row.server.map_or_else(String::new, |(address, port)| {
        format!(" -> {}", endpoint(&address, port))
    });
    let [title, table] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    let words = format!(
        "{}{server}: {} connections",
        row.service, state.connections.total
    );
    frame.render_widget(
        Paragraph::new(words).style(Style::new().add_modifier(Modifier::BOLD)),
        title,
    );
    let end = |(address, port): &(IpAddr, u16)| endpoint(address, *port);
    let lines: Vec<[String; 4]> = state
        .connections
        .first
        .iter()
        .take(usize::from(table.height))
        .map(|connection| {
            [
                end(&connection.source),
                end(&connection.destination),
                connection.state.to_string(),
                format!("{:>7}", connection.expires),
            ]
        })
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let longest = cells.map(String::len).max().unwrap_or(0);
        Constraint::Length(u16::try_from(longest.max(16)).unwrap_or(u16::MAX))
    };
    let widths = [
        width(0),
        width(1),
        Constraint::Length(11),
        Constraint::Length(7),
    ];
    let rows: Vec<Row<'_>> = lines.iter().cloned().map(Row::new).collect();
    let head = Row::new(["CLIENT", "SERVER", "STATE", "EXPIRES"])
        .style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_widget(Table::new(rows, widths).header(head), table);
}

fn footer(state: &State) -> Line<'static> {
    if state.followed.is_some() {
        return Line::from("q quit  c back");
    }
    match &state.mode {
        Mode::Filter => Line::from(format!("filter: {}_", state.filter)),
        Mode::Confirm(row) => {
            let server = row
                .server
                .map(|(address, port)| endpoint(&address, port))
                .unwrap_or_default();
            Line::from(Span::styled(
                format!("drain {server} of {}? y/n", row.service),
                Style::new().fg(Color::Yellow),
            ))
        }
        Mode::Browse if !state.message.is_empty() => Line::from(state.message.clone()),
        Mode::Browse => {
            let filter = if state.filter.is_empty() {
                String::new()
            } else {
                format!(": {}", state.filter)
            };
            Line::from(format!(
                "q quit  s sort ({})  / filter{filter}  enter open  c connections  d drain  \
                 u undrain  | weight",
                state.sort.name()
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::sample;
    use super::super::state::{Connections, Key};
    use super::*;
    use crate::connections::Connection;
    use crate::top::terminal::painted;

    fn lines(state: &State, width: u16, height: u16) -> Vec<String> {
        painted(state, width, height)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_screen_shows_services_servers_and_shares() {
        let mut state = State::default();
        state.update(sample());
        let lines = lines(&state, 110, 14);
        assert_eq!(
            lines[0],
            "lvsadm top  2 services  active 18  inactive 0  conn/s 30  in 12kB/s  out 0B/s  \
             drops 5 (+0)"
        );
        let table: Vec<&str> = lines[3..10].iter().map(|line| line.trim_end()).collect();
        let wanted = include_str!("../../tests/fixtures/top.txt");
        assert_eq!(table.join("\n"), wanted.trim_end());
        assert!(lines[13].starts_with("q quit  s sort (name)  / filter  enter open"));
    }

    #[test]
    fn the_connections_of_a_server_are_shown() {
        let mut state = State::default();
        state.update(sample());
        state.press(Key::Down);
        state.press(Key::Character('c'));
        state.follow(Connections {
            first: vec![Connection {
                protocol: "TCP".into(),
                source: ([198, 51, 100, 7].into(), 40_000),
                service: ([192, 0, 2, 1].into(), 80),
                destination: ([10, 2, 0, 1].into(), 80),
                state: "ESTABLISHED".into(),
                expires: 899,
                engine: None,
            }],
            total: 3,
        });
        let lines = lines(&state, 80, 10);
        assert_eq!(lines[3], "TCP 192.0.2.1:80 -> 10.2.0.1:80: 3 connections");
        assert_eq!(
            lines[4],
            "CLIENT             SERVER           STATE       EXPIRES"
        );
        assert_eq!(
            lines[5],
            "198.51.100.7:40000 10.2.0.1:80      ESTABLISHED     899"
        );
        assert_eq!(lines[9], "q quit  c back");
    }

    #[test]
    fn a_small_screen_and_an_empty_table_are_painted() {
        let mut state = State::default();
        let text = lines(&state, 40, 8).join("\n");
        assert!(text.contains("There are no services to show."), "{text}");
        state.update(sample());
        assert_eq!(lines(&state, 20, 5).len(), 5);
        state.press(Key::Down);
        state.press(Key::Character('d'));
        let text = lines(&state, 80, 20).join("\n");
        assert!(
            text.contains("drain 10.2.0.1:80 of TCP 192.0.2.1:80? y/n"),
            "{text}"
        );
        state.press(Key::Character('n'));
        state.press(Key::Character('/'));
        state.press(Key::Character('z'));
        let text = lines(&state, 80, 20).join("\n");
        assert!(text.contains("filter: z_"), "{text}");
        assert!(text.contains("There are no services to show."), "{text}");
    }

    #[test]
    fn a_bar_has_the_share_and_the_mark_of_the_weight() {
        assert_eq!(bar(50.0, 80.0), "=====..|..");
        assert_eq!(bar(0.0, 0.0), "..........");
        assert_eq!(bar(100.0, 100.0), "=========|");
    }
}
