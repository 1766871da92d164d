// SPDX-License-Identifier: GPL-2.0-only

//! What `top` shows, and what keys do to it.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::connections::Connection;
use crate::report::{ServerReport, ServiceReport};

/// Samples that are remembered: five minutes at one a second.
const HISTORY: usize = 300;

/// One look at the director.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The services.
    pub services: Vec<ServiceReport>,
    /// Packets that the director dropped so far, if it counts them.
    pub drops: Option<u64>,
}

/// The order of services, and of the servers of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As listings have it.
    #[default]
    Name,
    /// Most active connections first.
    Active,
    /// Most new connections per second first.
    Rate,
    /// Most bytes per second first.
    Traffic,
}

impl Sort {
    /// As the screen names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Active => "active",
            Self::Rate => "conn/s",
            Self::Traffic => "bytes/s",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Name => Self::Active,
            Self::Active => Self::Rate,
            Self::Rate => Self::Traffic,
            Self::Traffic => Self::Name,
        }
    }
}

/// A key, or what a terminal does instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Character(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// The arrow that points up.
    Up,
    /// The arrow that points down.
    Down,
}

/// What a key asks the loop to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nothing but a new screen.
    Draw,
    /// The end.
    Quit,
    /// Drain the server in this service.
    Drain(Row),
    /// Give the server in this service its weight again.
    Undrain(Row),
    /// Take a new look, at the connections too.
    Look,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The service's name.
    pub service: String,
    /// Address and port of the server; absent in the line of a service.
    pub server: Option<(IpAddr, u16)>,
}

/// What the keys do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// They move and choose.
    #[default]
    Browse,
    /// They make up the filter.
    Filter,
    /// They answer whether to drain.
    Confirm(Row),
}

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct State {
    sample: Sample,
    /// New connections per second of all services, the newest last.
    pub(super) rates: VecDeque<u64>,
    /// Packets that were dropped since the last look.
    pub(super) new_drops: u64,
    /// The order.
    pub(super) sort: Sort,
    /// A part of the names that are shown.
    pub(super) filter: String,
    /// What the keys do now.
    pub(super) mode: Mode,
    /// The chosen line.
    pub(super) chosen: usize,
    /// The only service that is shown, when one was opened.
    pub(super) opened: Option<String>,
    /// The outcome of the last command.
    pub(super) message: String,
    /// The service or server whose connections are shown.
    pub(super) followed: Option<Row>,
    /// Its connections.
    pub(super) connections: Connections,
}

/// Connections of a service or a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The first of them.
    pub first: Vec<Connection>,
    /// How many there are.
    pub total: u64,
}

impl State {
    /// Takes a new look in.
    pub fn update(&mut self, sample: Sample) {
        let rate = sample
            .services
            .iter()
            .map(|service| service.rate.connections)
            .sum();
        if self.rates.len() >= HISTORY {
            self.rates.pop_front();
        }
        self.rates.push_back(rate);
        self.new_drops = match (self.sample.drops, sample.drops) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => 0,
        };
        self.sample = sample;
        self.keep_chosen();
    }

    /// Takes a new look in between two samples.
    pub fn refresh(&mut self, sample: Sample) {
        self.sample = sample;
        self.keep_chosen();
    }

    /// The service or server whose connections are shown.
    #[must_use]
    pub fn followed(&self) -> Option<&Row> {
        self.followed.as_ref()
    }

    /// Shows these connections.
    pub fn follow(&mut self, connections: Connections) {
        self.connections = connections;
    }

    /// Shows the outcome of a command.
    pub fn tell(&mut self, message: String) {
        self.message = message;
    }

    /// Packets that were dropped so far.
    pub(super) fn drops(&self) -> Option<u64> {
        self.sample.drops
    }

    /// The services that are shown, in order.
    pub(super) fn services(&self) -> Vec<ServiceReport> {
        let mut services: Vec<ServiceReport> = self
            .sample
            .services
            .iter()
            .filter(|service| {
                let shown = |name: &str| name.contains(&self.filter);
                let opened = self.opened.as_ref();
                opened.is_none_or(|opened| *opened == service.service)
                    && (shown(&service.service)
                        || service.servers.iter().any(|server| shown(&server.server)))
            })
            .cloned()
            .collect();
        if self.sort != Sort::Name {
            let sort = self.sort;
            services.sort_by_key(|service| {
                std::cmp::Reverse(measure(
                    sort,
                    service.active,
                    service.rate.connections,
                    service.rate.bytes_in.saturating_add(service.rate.bytes_out),
                ))
            });
            for service in &mut services {
                service.servers.sort_by_key(|server| {
                    std::cmp::Reverse(measure(
                        sort,
                        server.active.into(),
                        server.rate.connections,
                        server.rate.bytes_in.saturating_add(server.rate.bytes_out),
                    ))
                });
            }
        }
        services
    }

    /// The lines that are shown.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |service: &ServiceReport, server: Option<&ServerReport>| Row {
            service: service.service.clone(),
            server: server.map(|server| (server.address, server.port)),
        };
        self.services()
            .iter()
            .flat_map(|service| {
                std::iter::once(row(service, None)).chain(
                    service
                        .servers
                        .iter()
                        .map(|server| row(service, Some(server)))
                        .collect::<Vec<Row>>(),
                )
            })
            .collect()
    }

    fn keep_chosen(&mut self) {
        self.chosen = self.chosen.min(self.rows().len().saturating_sub(1));
    }

    /// Reacts to a key.
    pub fn press(&mut self, key: Key) -> Request {
        self.message.clear();
        let request = match &self.mode {
            Mode::Browse => self.browse(key),
            Mode::Filter => {
                self.type_filter(key);
                Request::Draw
            }
            Mode::Confirm(row) => {
                let row = row.clone();
                self.mode = Mode::Browse;
                match key {
                    Key::Character('y' | 'Y') => Request::Drain(row),
                    _ => Request::Draw,
                }
            }
        };
        self.keep_chosen();
        request
    }

    fn browse(&mut self, key: Key) -> Request {
        let row = self.rows().get(self.chosen).cloned();
        match (key, row) {
            (Key::Character('q'), _) => return Request::Quit,
            (Key::Character('c') | Key::Escape, _) if self.followed.is_some() => {
                self.followed = None;
                self.connections = Connections::default();
            }
            (_, _) if self.followed.is_some() => (),
            (Key::Character('c'), Some(row)) => {
                self.followed = Some(row);
                return Request::Look;
            }
            (Key::Character('s'), _) => self.sort = self.sort.next(),
            (Key::Character('/'), _) => self.mode = Mode::Filter,
            (Key::Up | Key::Character('k'), _) => self.chosen = self.chosen.saturating_sub(1),
            (Key::Down | Key::Character('j'), _) => self.chosen = self.chosen.saturating_add(1),
            (Key::Escape, _) => {
                self.opened = None;
                self.filter.clear();
            }
            (Key::Enter, Some(row)) => {
                self.opened = match self.opened {
                    None => Some(row.service),
                    Some(_) => None,
                };
                self.chosen = 0;
            }
            (Key::Character('d'), Some(row)) if row.server.is_some() => {
                self.mode = Mode::Confirm(row);
            }
            (Key::Character('u'), Some(row)) if row.server.is_some() => {
                return Request::Undrain(row);
            }
            (Key::Character('d' | 'u'), _) => {
                self.message = "choose a server first".to_owned();
            }
            _ => (),
        }
        Request::Draw
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Character(character) => self.filter.push(character),
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Enter => self.mode = Mode::Browse,
            Key::Escape => {
                self.filter.clear();
                self.mode = Mode::Browse;
            }
            Key::Up | Key::Down => (),
        }
    }
}

fn measure(sort: Sort, active: u64, rate: u64, bytes: u64) -> u64 {
    match sort {
        Sort::Name => 0,
        Sort::Active => active,
        Sort::Rate => rate,
        Sort::Traffic => bytes,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::FixedHost;
    use crate::model::{Protocol, ServiceId, Stats};
    use crate::report::{self, tests::group, tests::server};

    /// Two services, the second with more of everything.
    pub(in crate::top) fn sample() -> Sample {
        let mut first = group(vec![server(1, 1, 3), server(2, 3, 1)]);
        let mut second = group(vec![server(3, 0, 9), server(4, 1, 5)]);
        second.service.service.id = ServiceId::Address {
            protocol: Protocol::Udp,
            address: "2001:db8::1".parse().unwrap(),
            port: 53,
        };
        first.service.stats = Stats {
            connection_rate: 20,
            byte_rate_in: 12_000,
            ..Stats::default()
        }
        .into();
        second.service.stats = Stats {
            connection_rate: 10,
            ..Stats::default()
        }
        .into();
        Sample {
            services: [first, second]
                .iter()
                .map(|group| report::service(group, &FixedHost::default()))
                .collect(),
            drops: Some(5),
        }
    }

    fn state() -> State {
        let mut state = State::default();
        state.update(sample());
        state
    }

    fn press(state: &mut State, keys: &str) -> Request {
        let mut request = Request::Draw;
        for key in keys.chars() {
            request = state.press(match key {
                '\n' => Key::Enter,
                '\x1b' => Key::Escape,
                key => Key::Character(key),
            });
        }
        request
    }

    fn names(state: &State) -> Vec<String> {
        state
            .services()
            .into_iter()
            .map(|service| service.service)
            .collect()
    }

    #[test]
    fn services_are_sorted_filtered_and_opened() {
        let mut state = state();
        assert_eq!(names(&state), ["TCP 192.0.2.1:80", "UDP [2001:db8::1]:53"]);
        press(&mut state, "s");
        assert_eq!(names(&state), ["UDP [2001:db8::1]:53", "TCP 192.0.2.1:80"]);
        press(&mut state, "s");
        assert_eq!(names(&state), ["TCP 192.0.2.1:80", "UDP [2001:db8::1]:53"]);
        press(&mut state, "/UDP\n");
        assert_eq!(names(&state), ["UDP [2001:db8::1]:53"]);
        press(&mut state, "\x1b");
        assert_eq!(names(&state).len(), 2);
        // A server's address finds its service.
        press(&mut state, "/10.2.0.4\n");
        assert_eq!(names(&state), ["UDP [2001:db8::1]:53"]);
        press(&mut state, "\x1bjjj\n");
        assert_eq!(names(&state), ["UDP [2001:db8::1]:53"]);
        press(&mut state, "\x1b");
        assert_eq!(names(&state).len(), 2);
        assert_eq!(press(&mut state, "q"), Request::Quit);
    }

    #[test]
    fn connections_are_followed_until_the_key_is_pressed_again() {
        let mut state = state();
        assert_eq!(press(&mut state, "jc"), Request::Look);
        let row = state.followed().cloned().unwrap();
        assert_eq!(row.service, "TCP 192.0.2.1:80");
        assert_eq!(row.server, Some(([10, 2, 0, 1].into(), 80)));
        // Other keys do nothing here.
        assert_eq!(press(&mut state, "du"), Request::Draw);
        assert_eq!(state.mode, Mode::Browse);
        assert_eq!(press(&mut state, "c"), Request::Draw);
        assert_eq!(state.followed(), None);
        assert_eq!(press(&mut state, "c\x1b"), Request::Draw);
        assert_eq!(state.followed(), None);
        assert_eq!(press(&mut state, "cq"), Request::Quit);
    }

    #[test]
    fn draining_asks_first() {
        let mut state = state();
        assert_eq!(press(&mut state, "d"), Request::Draw);
        assert_eq!(state.message, "choose a server first");
        assert_eq!(press(&mut state, "jdn"), Request::Draw);
        assert_eq!(state.mode, Mode::Browse);
        let row = Row {
            service: "TCP 192.0.2.1:80".to_owned(),
            server: Some(([10, 2, 0, 1].into(), 80)),
        };
        assert_eq!(press(&mut state, "dy"), Request::Drain(row.clone()));
        assert_eq!(press(&mut state, "u"), Request::Undrain(row));
    }

    #[test]
    fn history_and_drops_follow_the_samples() {
        let mut state = state();
        assert_eq!(state.new_drops, 0);
        let more = Sample {
            drops: Some(12),
            ..sample()
        };
        state.update(more);
        assert_eq!(state.new_drops, 7);
        assert_eq!(state.rates, [30, 30]);
        for _ in 0..HISTORY {
            state.update(sample());
        }
        assert_eq!(state.rates.len(), HISTORY);
    }

    #[test]
    fn the_choice_stays_on_the_screen() {
        let mut state = state();
        press(&mut state, "jjjjjjjjjjjjjj");
        assert_eq!(state.chosen, 5);
        state.update(Sample::default());
        assert_eq!(state.chosen, 0);
        assert_eq!(press(&mut state, "\nd"), Request::Draw);
    }
}
