// SPDX-License-Identifier: GPL-2.0-only

use std::io;

use super::{connections, Fixed};
use lvsadm::cli::{Columns, View};
use lvsadm::error;
use lvsadm::format::{self, Labels};
use lvsadm::model::{Family, Group, ServiceId, Table};
use lvsadm::netlink::reply::{Collector, Progress};
use lvsadm::netlink::{convert, native, socket, Message};

/// The sequence number of the question.
const SEQUENCE: u32 = 1;
const COLUMNS: [Columns; 6] = [
    Columns::Plain,
    Columns::Stats,
    Columns::Rate,
    Columns::Thresholds,
    Columns::Persistent,
    Columns::Tunnel,
];

/// Bytes from a socket, cut into datagrams at the length in the first octet. The answer is refused
/// with a message, or can be listed in every format.
pub fn run(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else {
        return;
    };
    let (first, second) = data.split_at(data.len().min(usize::from(*cut) * 4));
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut collector = Collector::new(SEQUENCE);
    for datagram in [first, second] {
        match collector.feed(datagram, &mut |part| {
            parts.push(part.to_vec());
            Ok(())
        }) {
            Ok(Progress::More) => (),
            Ok(Progress::Complete) => break,
            Err(failure) => {
                let id = ServiceId::Mark {
                    mark: 1,
                    family: Family::Inet,
                };
                assert!(!error::service_query(&id, &failure).to_string().is_empty());
                return;
            }
        }
    }
    for part in &parts {
        let _ = native::read_module(part).map(|module| format::versions(Some(&module)));
        if let Ok(connection) = native::read_connection(part) {
            connections::list(&[connection]);
        }
    }
    let messages: Vec<Message> = parts
        .iter()
        .filter_map(|part| socket::decode(part).ok())
        .collect();
    table(&messages);
    for message in &messages {
        if let Ok(timeouts) = convert::read_timeouts(message) {
            let _ = format::timeouts(&timeouts);
            object(&format::json::timeouts(&timeouts));
        }
        if let Ok(Some(daemon)) = convert::read_daemon(message) {
            let daemons = [daemon];
            let _ = format::daemons(&daemons);
            object(&format::json::daemons(&daemons));
        }
    }
}

/// These services, each with all the destinations.
fn table(messages: &[Message]) {
    let mut table = Table {
        info: messages
            .iter()
            .find_map(|message| convert::read_info(message).ok()),
        groups: Vec::new(),
    };
    for service in messages
        .iter()
        .filter_map(|message| convert::read_service(message).ok())
    {
        let family = service.service.id.family();
        let mut destinations: Vec<_> = messages
            .iter()
            .filter_map(|message| convert::read_destination(family, message).ok())
            .collect();
        format::order::sort(&mut destinations, format::order::destinations);
        table.groups.push(Group {
            service,
            destinations,
        });
    }
    for columns in COLUMNS {
        for exact in [false, true] {
            let view = View {
                columns,
                exact,
                ..View::default()
            };
            let _ = format::table::table(&table, &view, &Labels::numeric(), &mut io::sink());
        }
    }
    let _ = format::table::table(
        &table,
        &View::default(),
        &Labels::named(&Fixed),
        &mut io::sink(),
    );
    let _ = format::save::rules(&table, &Labels::named(&Fixed));
    let mut text = Vec::new();
    format::json::table(&table, &mut text).unwrap();
    object(std::str::from_utf8(&text).unwrap());
}

fn object(text: &str) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(value.is_object());
}
