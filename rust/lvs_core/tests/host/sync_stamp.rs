// SPDX-License-Identifier: GPL-2.0-only

//! Stamps, windows, and which datagrams a backup believes.

use crate::sync::{datagram, tcp, tcp_octets, with_option};
use lvs_core::sync::{
    inbox::{Inbox, Rejection},
    join::Ready,
    message::{self, Hello, Message, Messages, Welcome},
    stamp::{self, Code, Doubt, Keys, Stamp},
    window::{Place, Window, SIZE},
    Datagram, Malformed, Version, Writer,
};
use proptest::prelude::*;

/// Keys by their identifiers; the first one signs. The code is no cryptography: a guest test
/// compares that of the kernel with another program's.
#[derive(Clone, Default)]
pub struct Ring(pub Vec<(u8, u64)>);

impl Keys for Ring {
    fn signing(&self) -> Option<u8> {
        self.0.first().map(|(id, _)| *id)
    }

    fn code(&self, id: u8, data: &[u8]) -> Option<Code> {
        let (_, secret) = self.0.iter().find(|(known, _)| *known == id)?;
        let mut sums = [*secret, !*secret];
        for octet in data {
            for sum in &mut sums {
                *sum = (*sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
                *sum = sum.rotate_left(7);
            }
        }
        let mut code = [0; 16];
        code[..8].copy_from_slice(&sums[0].to_be_bytes());
        code[8..].copy_from_slice(&sums[1].to_be_bytes());
        Some(code)
    }
}

fn none() -> Ring {
    Ring::default()
}

fn key(id: u8) -> Ring {
    Ring(vec![(id, 1000 + u64::from(id))])
}

fn at(epoch: u64, sequence: u32) -> Stamp {
    Stamp { epoch, sequence }
}

/// A datagram with as many records of [`tcp`] as fit, or `most`.
fn records(stamp: Stamp, keys: &Ring, most: usize) -> Vec<u8> {
    let mut writer = Writer::new(vec![0xee; 1472], Version::V1, 5).unwrap();
    writer.begin(Version::V1, stamp::len(keys));
    while usize::from(writer.records()) < most && writer.push(&tcp()).is_ok() {}
    writer.seal(stamp, keys).unwrap();
    writer.datagram().to_vec()
}

fn told(message: Option<Message>, stamp: Stamp, keys: &Ring) -> Vec<u8> {
    let mut buffer = [0; message::LONGEST];
    let len = message::write(&mut buffer, 5, message, stamp, keys).unwrap();
    buffer[..len].to_vec()
}

fn welcome(nonce: u64, stamp: Stamp, keys: &Ring) -> Vec<u8> {
    let welcome = Welcome {
        nonce,
        sweep: 1,
        has_begun: false,
    };
    told(Some(Message::Welcome(welcome)), stamp, keys)
}

#[test]
fn a_stamp_is_the_last_option_and_the_c_director_can_skip_it() {
    for (keys, len, most) in [(none(), 14, 40), (key(3), 31, 39)] {
        let octets = records(at(0x0102_0304_0506_0708, 9), &keys, 255);
        let datagram = Datagram::new(&octets).unwrap();
        assert_eq!(datagram.stamp(), Some(at(0x0102_0304_0506_0708, 9)));
        assert_eq!(datagram.count(), most);
        // The record says that the option belongs to it, and has the bit "may be ignored".
        let start = octets.len() - len - 36;
        let size = u16::from_be_bytes([octets[start + 2], octets[start + 3]]);
        assert_eq!(usize::from(size), 36 + len);
        let stamp = &octets[octets.len() - len..];
        assert_eq!((stamp[0], usize::from(stamp[1])), (0x48, len - 2));
        assert_eq!(stamp[2..14], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
        let all: Vec<_> = Datagram::new(&octets)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(all.iter().all(|record| *record == tcp()));
    }
}

#[test]
fn a_stamp_ends_a_datagram_without_records() {
    let hello = Hello {
        nonce: 1,
        epoch: 2,
        sweep: 3,
        wants_sweep: true,
    };
    for keys in [none(), key(1)] {
        for message in [Some(Message::Hello(hello)), None] {
            let octets = told(message, at(7, 8), &keys);
            // To the C director this is a datagram of version 1 with no records.
            assert_eq!((octets[0], octets[4], octets[5]), (0, 0, 1));
            let datagram = Datagram::new(&octets).unwrap();
            assert_eq!(datagram.stamp(), Some(at(7, 8)));
            let messages: Vec<_> = Messages::of(&datagram).unwrap().collect();
            assert_eq!(messages, Vec::from_iter(message));
            assert_eq!(datagram.count(), 0);
        }
    }
}

#[test]
fn datagrams_of_the_c_director_have_no_stamp() {
    let octets = datagram(&[tcp_octets(), with_option(0x45, &[1, 2, 3])]);
    let datagram = Datagram::new(&octets).unwrap();
    assert_eq!(datagram.stamp(), None);
    assert!(Messages::of(&datagram).is_none());
}

#[test]
fn a_record_that_is_signed_later_keeps_room() {
    // The first key comes between two records.
    let mut writer = Writer::new(vec![0; 1472], Version::V1, 0).unwrap();
    writer.begin(Version::V1, stamp::len(&none()));
    while writer.push(&tcp()).is_ok() {}
    assert_eq!(writer.seal(at(1, 1), &key(1)), None);
    // A sealed datagram takes no record and stays as it is.
    let mut writer = Writer::new(vec![0; 1472], Version::V1, 0).unwrap();
    writer.begin(Version::V1, stamp::len(&none()));
    writer.push(&tcp()).unwrap();
    writer.seal(at(1, 1), &none()).unwrap();
    let before = writer.datagram().to_vec();
    assert!(writer.push(&tcp()).is_err());
    writer.seal(at(1, 2), &none()).unwrap();
    assert_eq!(writer.datagram(), before);
}

#[test]
fn every_change_of_a_signed_datagram_is_noticed() {
    let keys = key(3);
    let octets = records(at(7, 8), &keys, 2);
    assert_eq!(stamp::verify(&octets, &keys), Ok(at(7, 8)));
    for position in 0..octets.len() {
        let mut forged = octets.clone();
        forged[position] ^= 1;
        assert!(stamp::verify(&forged, &keys).is_err(), "octet {position}");
    }
    for len in 0..octets.len() {
        assert!(
            stamp::verify(&octets[..len], &keys).is_err(),
            "{len} octets"
        );
    }
    assert_eq!(stamp::verify(&octets, &key(4)), Err(Doubt::Key(3)));
    let other = Ring(vec![(3, 5)]);
    assert_eq!(stamp::verify(&octets, &other), Err(Doubt::Code));
    let unsigned = records(at(7, 8), &none(), 2);
    assert_eq!(stamp::verify(&unsigned, &keys), Err(Doubt::Unsigned));
}

/// A backup that believes the epoch 7, whose first datagram had the number 1.
fn proved(keys: &Ring) -> Inbox {
    let mut inbox = Inbox::new(5, 99, 0);
    let answer = welcome(99, at(7, 1), keys);
    inbox.admit(&answer, keys, 0, || 100).unwrap();
    inbox
}

fn admit(inbox: &mut Inbox, octets: &[u8], keys: &Ring) -> Result<u32, Rejection> {
    let admitted = inbox.admit(octets, keys, 0, || 101)?;
    Ok(admitted.missing)
}

#[test]
fn with_a_key_nothing_is_taken_before_the_master_answers() {
    let keys = key(1);
    let mut inbox = Inbox::new(5, 99, 0);
    let old = records(at(7, 1), &keys, 1);
    assert_eq!(admit(&mut inbox, &old, &keys), Err(Rejection::Epoch));
    let wrong = welcome(98, at(7, 2), &keys);
    assert_eq!(admit(&mut inbox, &wrong, &keys), Err(Rejection::Epoch));
    let right = welcome(99, at(7, 3), &keys);
    assert_eq!(admit(&mut inbox, &right, &keys), Ok(0));
    assert_eq!(
        admit(&mut inbox, &records(at(7, 4), &keys, 1), &keys),
        Ok(0)
    );
    // What was sent before the answer may be a recording.
    assert_eq!(admit(&mut inbox, &old, &keys), Err(Rejection::Repeated));
}

#[test]
fn an_answer_proves_one_epoch_only() {
    let keys = key(1);
    let mut inbox = Inbox::new(5, 99, 0);
    let first = welcome(99, at(7, 1), &keys);
    assert_eq!(admit(&mut inbox, &first, &keys), Ok(0));
    let replayed = welcome(99, at(8, 1), &keys);
    assert_eq!(admit(&mut inbox, &replayed, &keys), Err(Rejection::Epoch));
    // Not even after other masters have taken the place of the first.
    let mut nonce = 101;
    for epoch in 20..30 {
        let octets = welcome(nonce, at(epoch, 1), &keys);
        nonce = epoch << 32;
        let now = 1000 * epoch as u32;
        assert!(inbox.admit(&octets, &keys, now, || nonce).is_ok());
    }
    assert_eq!(admit(&mut inbox, &first, &keys), Err(Rejection::Epoch));
}

#[test]
fn replayed_datagrams_are_not_taken() {
    let keys = key(1);
    let mut inbox = proved(&keys);
    let octets = records(at(7, 2), &keys, 1);
    assert_eq!(admit(&mut inbox, &octets, &keys), Ok(0));
    assert_eq!(admit(&mut inbox, &octets, &keys), Err(Rejection::Repeated));
    assert_eq!(
        admit(&mut inbox, &records(at(7, 5), &keys, 1), &keys),
        Ok(2)
    );
    assert_eq!(
        admit(&mut inbox, &records(at(7, 4), &keys, 1), &keys),
        Ok(0)
    );
    let late = records(at(7, 4), &keys, 1);
    assert_eq!(admit(&mut inbox, &late, &keys), Err(Rejection::Repeated));
}

#[test]
fn with_a_key_unsigned_datagrams_are_not_taken() {
    let keys = key(1);
    let mut inbox = proved(&keys);
    let unsigned = [
        records(at(7, 2), &none(), 1),
        welcome(99, at(7, 2), &none()),
        datagram(&[tcp_octets()]),
        vec![1, 5, 0, 4],
    ];
    for octets in unsigned {
        let doubt = Rejection::Doubt(Doubt::Unsigned);
        assert_eq!(admit(&mut inbox, &octets, &keys), Err(doubt));
    }
    let other = records(at(7, 2), &key(2), 1);
    let doubt = Rejection::Doubt(Doubt::Key(2));
    assert_eq!(admit(&mut inbox, &other, &keys), Err(doubt));
}

#[test]
fn keys_are_replaced_without_losing_a_datagram() {
    let (old, new) = ((1, 11), (2, 22));
    let mut inbox = proved(&Ring(vec![old]));
    let stages = [
        // The keys of the master, and those of the backup.
        (vec![old], vec![old]),
        (vec![old], vec![old, new]),
        (vec![old, new], vec![old, new]),
        (vec![new], vec![old, new]),
        (vec![new], vec![new]),
    ];
    for (sequence, (master, backup)) in (2..).zip(stages) {
        let octets = records(at(7, sequence), &Ring(master), 3);
        assert_eq!(admit(&mut inbox, &octets, &Ring(backup)), Ok(0));
    }
}

#[test]
fn without_a_key_signed_and_unsigned_datagrams_are_taken() {
    let mut inbox = Inbox::new(0, 99, 0);
    for octets in [
        records(at(7, 1), &key(1), 1),
        records(at(8, 1), &none(), 1),
        datagram(&[tcp_octets()]),
    ] {
        assert_eq!(admit(&mut inbox, &octets, &none()), Ok(0));
    }
}

#[test]
fn other_groups_and_versions_are_named() {
    let mut inbox = Inbox::new(6, 99, 0);
    let octets = records(at(7, 1), &none(), 1);
    let rejected = admit(&mut inbox, &octets, &none());
    assert_eq!(rejected, Err(Rejection::Syncid(5)));
    let mut octets = octets;
    (octets[1], octets[5]) = (6, 2);
    let rejected = admit(&mut inbox, &octets, &none());
    assert_eq!(rejected, Err(Rejection::Malformed(Malformed::Version)));
}

#[test]
fn other_backups_are_not_taken_for_masters() {
    let hello = Message::Hello(Hello {
        nonce: 1,
        epoch: 0,
        sweep: 0,
        wants_sweep: true,
    });
    for keys in [none(), key(1)] {
        let mut inbox = Inbox::new(5, 99, 0);
        for now in [0, 4000, 8000] {
            let octets = told(Some(hello), at(50, 1 + now), &keys);
            assert!(inbox.admit(&octets, &keys, now, || 1).is_ok());
        }
        inbox.ask(10_000);
        assert_eq!(inbox.join().ready(), Some(Ready::Alone));
    }
}

#[test]
fn a_window_knows_what_is_missing() {
    let mut window = Window::new(10);
    assert_eq!(window.note(10), Place::Again);
    assert_eq!(window.note(9), Place::Again);
    assert_eq!(window.note(13), Place::After { missing: 2 });
    assert_eq!(window.note(12), Place::Late);
    assert_eq!(window.note(12), Place::Again);
    let far = 13 + 5 * SIZE;
    assert_eq!(
        window.note(far),
        Place::After {
            missing: 5 * SIZE - 1
        }
    );
    assert_eq!(window.note(far - SIZE), Place::Again);
    assert_eq!(window.note(far - SIZE + 1), Place::Late);
    assert_eq!((window.highest(), window.received()), (far, 5));
    assert_eq!(
        window.note(u32::MAX),
        Place::After {
            missing: u32::MAX - far - 1
        }
    );
}

proptest! {
    /// The model is the set of all numbers.
    #[test]
    fn a_window_agrees_with_a_set(steps in prop::collection::vec(-1100i64..1100, 1..300)) {
        let mut window = Window::new(5000);
        let mut seen = std::collections::BTreeSet::from([5000i64]);
        let mut last = 5000;
        for step in steps {
            last = (last + step).max(0);
            let highest = *seen.last().unwrap();
            let place = window.note(last as u32);
            let expected = if last > highest {
                Place::After { missing: (last - highest - 1) as u32 }
            } else if last <= highest - i64::from(SIZE) || last < 5000 || seen.contains(&last) {
                Place::Again
            } else {
                Place::Late
            };
            prop_assert_eq!(place, expected);
            if place != Place::Again {
                seen.insert(last);
            }
        }
        prop_assert_eq!(window.received(), seen.len() as u64);
    }

    #[test]
    fn an_inbox_takes_any_octets(octets in prop::collection::vec(any::<u8>(), 0..200), signed: bool) {
        let keys = if signed { key(1) } else { none() };
        let mut inbox = proved(&keys);
        let taken = inbox.admit(&octets, &keys, 0, || 1);
        prop_assert!(!signed || taken.is_err());
    }
}
