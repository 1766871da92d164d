// SPDX-License-Identifier: GPL-2.0-only

//! Replays a sequence of events one after another and tells who serves each connection, so that
//! the same sequence can run against the kernel module.
//!
//! A line is an event. Its result follows after `=>`:
//!
//! ```text
//! scheduler NAME              a new service with that scheduler, and no servers
//! server LETTER WEIGHT        adds a real server, A, B or C
//! weight LETTER WEIGHT        gives it another weight
//! delete LETTER               deletes it
//! from ADDRESS                the client of what follows
//! to ADDRESS                  the virtual address of what follows
//! hold TAG COUNT => A B ...   opens so many connections, which stay open
//! close TAG [LETTER]          closes those of a tag, or those of them that are with a server
//! counts => A 3/1 B 0/0       active and inactive connections
//! ```

use std::collections::BTreeMap;
use std::fmt;

use lvs_core::regions::Regions;
use lvs_core::scheduler::{Destination, Flow, Options};
use lvs_core::{Address, Endpoint, Protocol};

use crate::policy::{self, one, Balancer, Clock, SimServer};

/// A line that cannot be replayed.
#[derive(Debug, PartialEq, Eq)]
pub struct ReplayError {
    line: usize,
    message: String,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ReplayError {}

/// A service in the middle of a sequence.
struct Service {
    director: Box<dyn Balancer>,
    /// The letters of the servers, in the order of the list.
    letters: Vec<char>,
    /// Connections of each letter, active in the upper half: they outlive their server's place in
    /// the list.
    connections: BTreeMap<char, u64>,
    /// Open connections: tag and letter.
    open: Vec<(String, char)>,
    client: Address,
    virtual_address: Address,
    port: u16,
}

fn endpoint(letter: char) -> Endpoint {
    let number = (letter as u8).wrapping_sub(b'A');
    Endpoint::new(Address::from_v4([10, 2, 0, 11 + number]), 80)
}

fn address(text: &str) -> Result<Address, String> {
    let address: std::net::Ipv4Addr = text
        .parse()
        .map_err(|_| format!("`{text}` is no IPv4 address"))?;
    Ok(Address::from_v4(address.octets()))
}

impl Service {
    fn new(name: &str) -> Result<Self, String> {
        let mut director =
            policy::director(name, 0).ok_or_else(|| format!("there is no scheduler `{name}`"))?;
        // The sequence begins with the first server, as when it takes over from another scheduler.
        director.add_all(Vec::new());
        Ok(Self {
            director,
            letters: Vec::new(),
            connections: BTreeMap::new(),
            open: Vec::new(),
            client: Address::from_v4([10, 0, 0, 1]),
            virtual_address: Address::from_v4([10, 1, 0, 100]),
            port: 1024,
        })
    }

    fn place(&self, letter: char) -> Result<usize, String> {
        let place = self.letters.iter().position(|one| *one == letter);
        place.ok_or_else(|| format!("there is no server {letter}"))
    }

    fn add(&mut self, letter: char, weight: u32) {
        self.director
            .add(SimServer::new(endpoint(letter), weight, Clock::default()));
        self.letters.push(letter);
        let known = *self.connections.entry(letter).or_insert(0);
        self.director.set_connections(self.letters.len() - 1, known);
    }

    fn count(&mut self, letter: char, difference: u64) {
        let count = self.connections.entry(letter).or_insert(0);
        *count = count.wrapping_add(difference);
        if let Ok(place) = self.place(letter) {
            self.director.add_connections(place, difference);
        }
    }

    fn hold(&mut self, tag: &str, count: usize) -> String {
        let mut words = Vec::new();
        for _ in 0..count {
            self.port = self.port.wrapping_add(1);
            let flow = Flow {
                protocol: Protocol::Tcp,
                client: Endpoint::new(self.client, self.port),
                virtual_endpoint: Endpoint::new(self.virtual_address, 80),
                options: Options::default(),
                now: 1,
                regions: Regions::NONE,
            };
            match self
                .director
                .select(&flow)
                .and_then(|place| self.letters.get(place))
            {
                Some(letter) => {
                    let letter = *letter;
                    self.open.push((tag.to_owned(), letter));
                    self.count(letter, one(true));
                    words.push(letter.to_string());
                }
                None => words.push("refused".to_owned()),
            }
        }
        words.join(" ")
    }

    fn close(&mut self, tag: &str, letter: Option<char>) {
        let (closed, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(name, with)| name == tag && letter.is_none_or(|letter| letter == *with));
        self.open = open;
        for (_, with) in closed {
            self.count(with, one(false).wrapping_sub(one(true)));
        }
    }

    fn counts(&self) -> String {
        let mut letters: Vec<_> = self.letters.iter().zip(self.director.servers()).collect();
        letters.sort_by_key(|(letter, _)| **letter);
        let word = |(letter, server): (&char, &SimServer)| {
            format!("{letter} {}/{}", server.active(), server.inactive())
        };
        letters.into_iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// The sequence with the result of each event. Former results after `=>` do not matter.
///
/// # Errors
///
/// [`ReplayError`] with the line that is no event, or that cannot happen.
pub fn replay(text: &str) -> Result<String, ReplayError> {
    let mut service: Option<Service> = None;
    let mut out = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        let event = line.split("=>").next().unwrap_or("").trim_end();
        out.push_str(event);
        let told = step(&mut service, event).map_err(|message| ReplayError {
            line: number,
            message,
        })?;
        if let Some(told) = told {
            out.push_str(&format!(" => {told}"));
        }
        out.push('\n');
    }
    Ok(out)
}

fn step(service: &mut Option<Service>, event: &str) -> Result<Option<String>, String> {
    let words: Vec<&str> = event.split_whitespace().collect();
    let number = |word: &str| -> Result<u32, String> {
        word.parse().map_err(|_| format!("`{word}` is no number"))
    };
    let letter = |word: &str| match word.as_bytes() {
        [byte @ b'A'..=b'C'] => Ok(char::from(*byte)),
        _ => Err(format!("`{word}` is no server; they are A, B and C")),
    };
    match words.as_slice() {
        [] => return Ok(None),
        [word, ..] if word.starts_with('#') => return Ok(None),
        ["scheduler", name] => {
            *service = Some(Service::new(name)?);
            return Ok(None);
        }
        _ => {}
    }
    let service = service
        .as_mut()
        .ok_or("the first event must be `scheduler NAME`")?;
    match words.as_slice() {
        ["server", name, weight] => service.add(letter(name)?, number(weight)?),
        ["weight", name, weight] => {
            let place = service.place(letter(name)?)?;
            service.director.set_weight(place, number(weight)?);
        }
        ["delete", name] => {
            let place = service.place(letter(name)?)?;
            service.director.delete(place);
            service.letters.remove(place);
        }
        ["from", client] => service.client = address(client)?,
        ["to", to] => service.virtual_address = address(to)?,
        ["hold", tag, count] => return Ok(Some(service.hold(tag, number(count)? as usize))),
        ["close", tag] => service.close(tag, None),
        ["close", tag, name] => service.close(tag, Some(letter(name)?)),
        ["counts"] => return Ok(Some(service.counts())),
        _ => {
            return Err(format!(
                "`{event}` is no event; events are scheduler, server, weight, delete, from, to, \
                 hold, close and counts"
            ));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recorded sequence is what comes out here.
    #[test]
    fn the_recorded_choices_are_those_of_the_simulator() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/kselftest/simulator.sequence"
        );
        let recorded = std::fs::read_to_string(path).unwrap();
        let again = replay(&recorded).unwrap();
        for (number, (one, other)) in (1..).zip(recorded.lines().zip(again.lines())) {
            assert_eq!(one, other, "line {number}");
        }
        let connections = again
            .lines()
            .filter(|line| line.starts_with("hold"))
            .filter_map(|line| line.split("=>").nth(1))
            .map(|words| words.split_whitespace().count());
        assert!(connections.sum::<usize>() >= 2000);
    }

    #[test]
    fn events_have_their_consequences() {
        let text = "scheduler lc\nserver A 1\nserver B 1\nhold x 3\nclose x A\ncounts\n\
                    weight A 0\nhold y 1\ndelete B\nhold z 1\nserver B 1\nhold z 1\ncounts\n";
        let told = replay(text).unwrap();
        let told: Vec<_> = told
            .lines()
            .filter_map(|line| line.split_once(" => "))
            .collect();
        let wanted = [
            ("hold x 3", "A B A"),
            ("counts", "A 0/2 B 1/0"),
            ("hold y 1", "B"),
            ("hold z 1", "refused"),
            ("hold z 1", "B"),
            ("counts", "A 0/2 B 3/0"),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn nonsense_is_told_with_its_line() {
        for (text, wanted) in [
            ("hold x 1", "line 1: the first event"),
            ("scheduler wcl", "line 1: there is no scheduler `wcl`"),
            ("scheduler lc\nserver D 1", "line 2: `D` is no server"),
            ("scheduler lc\n\ndelete A", "line 3: there is no server A"),
            ("scheduler lc\njump", "line 2: `jump` is no event"),
        ] {
            let error = replay(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
