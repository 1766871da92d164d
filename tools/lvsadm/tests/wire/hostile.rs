// SPDX-License-Identifier: GPL-2.0-only

//! No bytes make the netlink side panic: noise, and real answers with bytes changed or cut off.

use crate::replay::captured;
use lvsadm::model::Family;
use lvsadm::netlink::reply::Collector;
use lvsadm::netlink::{convert, native, socket};
use proptest::prelude::*;

/// Everything that can be done with an answer.
fn digest(sequence: u32, datagrams: &[Vec<u8>]) {
    let mut collector = Collector::new(sequence);
    for datagram in datagrams {
        let _ = collector.feed(datagram, &mut |part| {
            read(part);
            Ok(())
        });
    }
}

fn read(part: &[u8]) {
    let _ = native::read_module(part);
    let _ = native::read_connection(part);
    let Ok(message) = socket::decode(part) else {
        return;
    };
    let _ = convert::read_service(&message);
    let _ = convert::read_destination(Family::Inet, &message);
    let _ = convert::read_destination(Family::Inet6, &message);
    let _ = convert::read_timeouts(&message);
    let _ = convert::read_info(&message);
    let _ = convert::read_daemon(&message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&datagram);
        digest(0, &[datagram]);
    }

    /// Noise behind a sound header gets further.
    #[test]
    fn noise_behind_a_header(
        kind in 0_u16..40,
        flags in any::<u16>(),
        payload in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut datagram = u32::try_from(payload.len() + 16).unwrap().to_ne_bytes().to_vec();
        datagram.extend(kind.to_ne_bytes());
        datagram.extend(flags.to_ne_bytes());
        datagram.extend(7_u32.to_ne_bytes());
        datagram.extend(0_u32.to_ne_bytes());
        datagram.extend(payload);
        digest(7, &[datagram]);
    }

    #[test]
    fn changed_answers(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        cut_off in any::<bool>(),
    ) {
        let mut captured = captured();
        let sequences: Vec<_> = captured.iter().map(|answer| answer.sequence).collect();
        let answer = which.get(&sequences).to_owned();
        let answer = captured.iter_mut().find(|candidate| candidate.sequence == answer).unwrap();
        for (at, value) in changes {
            let datagram = &mut answer.datagrams[0];
            let at = at.index(datagram.len());
            datagram[at] = value;
        }
        if cut_off {
            let datagram = &mut answer.datagrams[0];
            datagram.truncate(cut.index(datagram.len()));
        }
        digest(answer.sequence, &answer.datagrams);
    }
}
