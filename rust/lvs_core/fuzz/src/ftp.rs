// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::ftp::Ftp;
use lvs_core::helper::{Control, Form, Helper, LONGEST};
use lvs_core::{Address, Endpoint};

/// A control connection: segments end with the octet 0, and the next octet has the direction.
pub fn run(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else {
        return;
    };
    let (client, service, server) = match first & 1 {
        0 => (
            Address::from_v4([10, 0, 0, 1]),
            Address::from_v4([10, 1, 0, 100]),
            Address::from_v4([10, 2, 0, 11]),
        ),
        _ => (
            Address::from_v6([0xfd; 16]),
            Address::from_v6([0xfc; 16]),
            Address::from_v6([0xfb; 16]),
        ),
    };
    let control = Control {
        client: Endpoint::new(client, 40000),
        service: Endpoint::new(service, 21),
        server: Endpoint::new(server, 21),
    };
    let (mut memory, mut sequence) = (0, u32::from(*first) << 24);
    while let Some((direction, tail)) = rest.split_first() {
        let end = tail.iter().position(|octet| *octet == 0);
        let (segment, next) = match end {
            Some(end) => (&tail[..end], &tail[end + 1..]),
            None => (tail, &[][..]),
        };
        rest = next;
        if direction & 1 == 0 {
            let asked = Ftp.hear_client(&control, memory, segment);
            memory = asked.memory;
            if let Some(waits) = asked.waits {
                assert_eq!(waits.address, client);
                assert!(waits.port >= 1024);
                // Some line of the segment says so.
                let said = |line: &[u8]| {
                    let line = line.to_ascii_uppercase();
                    let from = line.iter().position(u8::is_ascii).unwrap_or(0);
                    line[from..].starts_with(b"PORT") || line[from..].starts_with(b"EPRT")
                };
                assert!(segment.split(|octet| *octet == b'\n').any(said));
            }
            continue;
        }
        let answered = Ftp.hear_server(&control, memory, sequence, segment);
        let again = Ftp.hear_server(&control, answered.memory, sequence, segment);
        if let Some(waits) = &answered.waits {
            assert!(waits.port >= 1024);
            let text = std::str::from_utf8(&segment[waits.at.clone()]).unwrap();
            let numbers: Vec<u16> = text.split(',').map(|n| n.parse().unwrap()).collect();
            let port = match (waits.form, &numbers[..]) {
                (Form::Port, [port]) => *port,
                (Form::Numbers, [_, _, _, _, high, low]) => (high << 8) | low,
                other => panic!("{other:?}"),
            };
            assert_eq!(port, waits.port);
            assert_eq!(again.waits, answered.waits);
            let mut buffer = [0; LONGEST];
            let written = waits.form.write(service, waits.port, &mut buffer);
            assert!(written.is_some_and(|len| len <= LONGEST) || service.v4().is_none());
        }
        memory = answered.memory;
        sequence = sequence.wrapping_add(segment.len() as u32);
    }
}
