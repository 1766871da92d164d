// SPDX-License-Identifier: GPL-2.0-only

//! Round trips: a change through a message, and an addition through a rule.

use super::{rules_in, Fixed};
use lvsadm::format::{save, Labels};
use lvsadm::model::{
    Change, Destination, DestinationEntry, Drops, Group, Netmask, Service, ServiceEntry,
    ServiceFlags, ServiceId, Table, Traffic,
};
use lvsadm::netlink::{convert, socket, Attribute, Command as Order, Message};
use netlink_packet_core::Emitable;

/// Asserts that the change is the same after being sent and read back, and after being saved and
/// restored.
pub fn change(change: &Change) {
    match change {
        Change::AddService(service) | Change::EditService(service) => {
            by_message(service);
            service_by_rule(service);
        }
        Change::AddDestination(id, destination) | Change::EditDestination(id, destination) => {
            let answer = sent(Order::NewDest, vec![convert::destination(destination)]);
            let read = convert::read_destination(id.family(), &answer);
            assert_eq!(read.unwrap().destination, *destination);
            destination_by_rule(id, destination);
        }
        Change::DeleteService(id) | Change::Zero(Some(id)) => {
            sent(Order::DelService, vec![convert::service_id(id)]);
        }
        Change::DeleteDestination(_, id) => {
            sent(Order::DelDest, vec![convert::destination_id(id)]);
        }
        Change::SetTimeouts(timeouts) => {
            let answer = sent(Order::SetConfig, convert::timeouts(timeouts));
            assert_eq!(convert::read_timeouts(&answer).unwrap(), *timeouts);
        }
        Change::StartDaemon(daemon) => {
            let answer = sent(Order::NewDaemon, vec![convert::daemon(daemon)]);
            assert_eq!(convert::read_daemon(&answer).unwrap().unwrap(), *daemon);
        }
        _ => (),
    }
}

/// Returns the message with these attributes as the receiver reads it.
fn sent(command: Order, attributes: Vec<Attribute>) -> Message {
    let message = Message {
        command,
        attributes,
    };
    let mut octets = vec![0; 4 + message.buffer_len()];
    octets[0] = command.into();
    message.emit(&mut octets[4..]);
    let read = socket::decode(&octets).unwrap();
    assert_eq!(read, message);
    read
}

/// Asserts that the service is the same after being sent and read back.
fn by_message(service: &Service) {
    let answer = sent(Order::NewService, vec![convert::service(service)]);
    assert_eq!(convert::read_service(&answer).unwrap().service, *service);
}

/// Asserts that the rules for this service and these destinations, with numbers and with names, are
/// read back as `wanted`.
fn restored(group: Group, wanted: &[Change]) {
    let table = Table {
        info: None,
        groups: vec![group],
    };
    let numeric = save::rules(&table, &Labels::numeric());
    let named = save::rules(&table, &Labels::named(&Fixed));
    for text in [numeric, named] {
        match rules_in(&text) {
            Ok(rules) => {
                let changes: Vec<Change> = rules.into_iter().map(|rule| rule.change).collect();
                assert_eq!(changes, wanted, "{text}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn service_by_rule(service: &Service) {
    let mut wanted = service.clone();
    if !service.flags.contains(ServiceFlags::PERSISTENT) {
        // Attributes of persistence are saved only with persistence.
        wanted.netmask = Netmask::host(wanted.id.family());
    }
    let group = Group {
        service: entry(service),
        destinations: Vec::new(),
    };
    restored(group, &[Change::AddService(wanted)]);
}

fn destination_by_rule(id: &ServiceId, destination: &Destination) {
    let service = service_of(id);
    let group = Group {
        service: entry(&service),
        destinations: vec![DestinationEntry {
            destination: destination.clone(),
            active: 0,
            inactive: 0,
            persistent: 0,
            stats: Traffic::default(),
            drops: Drops::default(),
        }],
    };
    let wanted = [
        Change::AddService(service),
        Change::AddDestination(id.clone(), destination.clone()),
    ];
    restored(group, &wanted);
}

fn entry(service: &Service) -> ServiceEntry {
    ServiceEntry {
        service: service.clone(),
        stats: Traffic::default(),
        drops: Drops::default(),
    }
}

/// A plain service of this name.
fn service_of(id: &ServiceId) -> Service {
    Service {
        id: id.clone(),
        scheduler: "rr".to_owned(),
        flags: ServiceFlags::default(),
        timeout: 0,
        netmask: Netmask::host(id.family()),
        engine: None,
    }
}
