// SPDX-License-Identifier: GPL-2.0-only

//! What a kernel and ipvsadm really did (see fixtures/capture.sh), for the tests beside.

use lvsadm::client::Director;
use lvsadm::connections::{Connection, ConnectionFilter};
use lvsadm::error::{self, Error};
use lvsadm::model::{Change, Daemon, DestinationEntry, Info, ServiceEntry, ServiceId, Timeouts};
use lvsadm::netlink::reply::{Collector, Progress};
use lvsadm::netlink::{convert, socket, Failure, Message};

/// One answer: the question's name, its sequence number, its datagrams.
pub struct Answer {
    pub name: String,
    pub sequence: u32,
    pub datagrams: Vec<Vec<u8>>,
}

pub fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len() % 2 == 0, "{hex}");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Lines of `name sequence datagram`.
pub fn answers(text: &str) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for line in text.lines() {
        let [name, sequence, hex] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let sequence = sequence.parse().unwrap();
        match answers.last_mut() {
            Some(answer) if answer.sequence == sequence => answer.datagrams.push(bytes(hex)),
            _ => answers.push(Answer {
                name: name.to_owned(),
                sequence,
                datagrams: vec![bytes(hex)],
            }),
        }
    }
    answers
}

pub fn captured() -> Vec<Answer> {
    answers(include_str!("../fixtures/answers.hex"))
}

impl Answer {
    /// The answer as the socket would have given it.
    pub fn messages(&self) -> Result<Vec<Message>, Failure> {
        let mut collector = Collector::new(self.sequence);
        let mut messages = Vec::new();
        let mut sink = |part: &[u8]| {
            messages.push(socket::decode(part)?);
            Ok(())
        };
        let (last, first) = self.datagrams.split_last().unwrap();
        for datagram in first {
            assert_eq!(collector.feed(datagram, &mut sink)?, Progress::More);
        }
        assert_eq!(collector.feed(last, &mut sink)?, Progress::Complete);
        Ok(messages)
    }
}

/// A director that gives the captured answers.
pub struct Replay {
    info: Info,
    timeouts: Timeouts,
    services: Vec<ServiceEntry>,
    destinations: Vec<Vec<DestinationEntry>>,
}

impl Replay {
    pub fn new() -> Self {
        let captured = captured();
        let named = |name: &'static str| captured.iter().filter(move |answer| answer.name == name);
        let one = |name| named(name).next().unwrap().messages().unwrap().remove(0);
        let services: Vec<ServiceEntry> = named("services")
            .flat_map(|answer| answer.messages().unwrap())
            .map(|message| convert::read_service(&message).unwrap())
            .collect();
        let destinations: Vec<Vec<DestinationEntry>> = named("destinations")
            .zip(&services)
            .map(|(answer, entry)| {
                answer
                    .messages()
                    .unwrap()
                    .iter()
                    .map(|message| {
                        convert::read_destination(entry.service.id.family(), message).unwrap()
                    })
                    .collect()
            })
            .collect();
        assert_eq!(services.len(), destinations.len());
        Self {
            info: convert::read_info(&one("info")).unwrap(),
            timeouts: convert::read_timeouts(&one("config")).unwrap(),
            services,
            destinations,
        }
    }

    fn position(&self, id: &ServiceId) -> usize {
        self.services
            .iter()
            .position(|entry| entry.service.id == *id)
            .unwrap()
    }
}

impl Director for Replay {
    fn info(&mut self) -> Result<Info, Error> {
        Ok(self.info)
    }

    fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        Ok(self.services.clone())
    }

    fn service(&mut self, id: &ServiceId) -> Result<ServiceEntry, Error> {
        Ok(self.services[self.position(id)].clone())
    }

    fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        Ok(self.destinations[self.position(id)].clone())
    }

    fn timeouts(&mut self) -> Result<Timeouts, Error> {
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        let answers = answers(include_str!("../fixtures/daemons.hex"));
        let answer = answers.iter().find(|answer| answer.name == "daemons");
        Ok(answer
            .unwrap()
            .messages()
            .unwrap()
            .iter()
            .filter_map(|message| convert::read_daemon(message).unwrap())
            .collect())
    }

    fn connections(
        &mut self,
        _: &ConnectionFilter,
        _: &mut dyn FnMut(Connection) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Error> {
        Err(error::change(
            change,
            &Failure::Malformed("a replay changes nothing".to_owned()),
        ))
    }
}
