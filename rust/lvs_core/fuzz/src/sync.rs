// SPDX-License-Identifier: GPL-2.0-only

use super::Orders;
use lvs_core::sync::{
    inbox::Inbox,
    message::Messages,
    stamp::{self, Code, Keys},
    Datagram, Record, Version, Writer,
};

/// A key whose code is a sum.
pub(crate) struct Sum;

impl Keys for Sum {
    fn signing(&self) -> Option<u8> {
        Some(1)
    }

    fn code(&self, id: u8, data: &[u8]) -> Option<Code> {
        let sum = data.iter().fold(7u64, |sum, octet| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*octet))
        });
        let mut code = [0; 16];
        code[..8].copy_from_slice(&sum.to_be_bytes());
        (id == 1).then_some(code)
    }
}

/// No key.
pub(crate) struct NoKey;

impl Keys for NoKey {
    fn signing(&self) -> Option<u8> {
        None
    }

    fn code(&self, _: u8, _: &[u8]) -> Option<Code> {
        None
    }
}

/// Synchronization datagrams, of both versions, with records and with messages.
pub fn run(data: &[u8]) {
    let Some(mut orders) = Orders::new(data) else {
        return;
    };
    let (sets_size, is_v1, sets_count) = (orders.bit(), orders.bit(), orders.bit());
    let mut octets = orders.rest.to_vec();
    if sets_size && octets.len() >= 8 {
        let size = (octets.len() as u16).to_be_bytes();
        octets[2..4].copy_from_slice(&size);
        if is_v1 {
            (octets[0], octets[5], octets[6], octets[7]) = (0, 1, 0, 0);
            if sets_count {
                octets[4] = 1;
            }
        }
    }
    if let Ok(datagram) = Datagram::new(&octets) {
        parse(&octets, &datagram);
    }
    let mut inbox = Inbox::new(0, 1, 0);
    let taken = inbox.admit(&octets, &Sum, 0, || 2);
    assert!(taken.is_err() || stamp::verify(&octets, &Sum).is_ok());
    let once = inbox.admit(&octets, &NoKey, 0, || 2).is_ok();
    assert_eq!(once, Datagram::new(&octets).is_ok());
}

fn parse(octets: &[u8], datagram: &Datagram<'_>) {
    let most = usize::from(datagram.count());
    let version = datagram.version;
    let messages = Messages::of(datagram);
    assert_eq!(messages.is_some(), version == Version::V1 && most == 0);
    if let Some(messages) = messages {
        assert!(messages.count() <= octets.len() / 2);
    }
    let _ = datagram.stamp();
    let mut seen = 0;
    for record in datagram.clone() {
        seen += 1;
        if let Ok(record) = record {
            check(&record);
        }
    }
    assert!(seen <= most);
}

/// A record that is accepted could belong to a connection, and can be written and read again.
fn check(record: &Record<'_>) {
    let family = record.client.address.family();
    assert_eq!(record.service.address.family(), family);
    assert_eq!(record.server.address.family(), family);
    assert!(record.server.address.is_host());
    if !record.is_template() {
        assert!(record.client.address.is_host() && record.service.address.is_host());
        assert!(record.service.port != 0 && record.server.port != 0);
    }
    let mut writer = Writer::new(vec![0; 4200], Version::V1, 0).unwrap();
    if writer.push(record).is_ok() {
        let octets = writer.datagram().to_vec();
        let again: Vec<_> = Datagram::new(&octets).unwrap().collect();
        assert_eq!(again, [Ok(*record)]);
    }
}
