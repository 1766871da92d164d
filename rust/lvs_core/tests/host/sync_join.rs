// SPDX-License-Identifier: GPL-2.0-only

//! Backups join over a network that loses, repeats and reorders datagrams.

use crate::sync::tcp;
use crate::sync_stamp::Ring;
use lvs_core::sync::{
    inbox::Inbox,
    join::{Answer, Ready, Sponsor, PATIENCE},
    message::{self, Done, Hello, Message, Messages},
    stamp::{self, Stamp},
    Datagram, Version, Writer,
};
use lvs_core::{Address, Endpoint};
use std::collections::BTreeSet;

/// Milliseconds of a step of the simulation.
const STEP: u32 = 10;
/// Datagrams that a master sends in a step.
const BURST: usize = 160;

/// A generator of pseudo-random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// A wire in one direction.
#[derive(Clone, Copy)]
struct Wire {
    /// Percent of the datagrams.
    lost: u64,
    repeated: u64,
    late: u64,
}

const GOOD: Wire = Wire {
    lost: 0,
    repeated: 0,
    late: 0,
};

impl Wire {
    /// What arrives in this step, of what was sent and what was late in the last one.
    fn carry(self, sent: &[Vec<u8>], late: &mut Vec<Vec<u8>>, random: &mut Random) -> Vec<Vec<u8>> {
        let mut arrived = std::mem::take(late);
        for octets in sent {
            if random.percent(self.lost) {
                continue;
            }
            if random.percent(self.repeated) {
                arrived.push(octets.clone());
            }
            if random.percent(self.late) {
                late.push(octets.clone());
            } else {
                arrived.push(octets.clone());
            }
        }
        arrived
    }
}

struct Master {
    entries: u32,
    /// It answers.
    is_ours: bool,
    stamp: Stamp,
    sponsor: Sponsor,
    /// The next entry of a fast sweep.
    next: Option<u32>,
    sweeps: u32,
    keys: Ring,
}

impl Master {
    fn new(entries: u32, epoch: u64, keys: Ring) -> Self {
        Self {
            entries,
            is_ours: true,
            stamp: Stamp { epoch, sequence: 0 },
            sponsor: Sponsor::default(),
            next: None,
            sweeps: 0,
            keys,
        }
    }

    fn next_stamp(&mut self) -> Stamp {
        self.stamp.sequence += 1;
        self.stamp
    }

    fn tell(&mut self, message: Option<Message>) -> Vec<u8> {
        let mut buffer = [0; message::LONGEST];
        let stamp = self.next_stamp();
        let len = message::write(&mut buffer, 0, message, stamp, &self.keys).unwrap();
        buffer[..len].to_vec()
    }

    fn step(&mut self, now: u32, heard: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        if !self.is_ours {
            return sent;
        }
        for octets in heard {
            let datagram = Datagram::new(octets).unwrap();
            for message in Messages::of(&datagram).unwrap() {
                let Message::Hello(hello) = message else {
                    continue;
                };
                let message = match self.sponsor.answer(&hello, self.stamp.epoch) {
                    Answer::Welcome(welcome) => Message::Welcome(welcome),
                    Answer::Done(sweep) => Message::Done(Done {
                        sweep,
                        entries: self.entries,
                    }),
                };
                sent.push(self.tell(Some(message)));
            }
        }
        if self.sponsor.is_due(now) {
            self.sponsor.begin();
            self.next = Some(0);
            self.sweeps += 1;
        }
        let mut budget = BURST;
        while let Some(mut entry) = self.next {
            if budget == 0 {
                break;
            }
            budget -= 1;
            let mut writer = Writer::new(vec![0; 1472], Version::V1, 0).unwrap();
            writer.begin(Version::V1, stamp::len(&self.keys));
            while entry < self.entries && writer.push(&record(entry)).is_ok() {
                entry += 1;
            }
            if writer.records() > 0 {
                let stamp = self.next_stamp();
                writer.seal(stamp, &self.keys).unwrap();
                sent.push(writer.datagram().to_vec());
            }
            self.next = Some(entry);
            if entry == self.entries {
                self.next = None;
                let sweep = self.sponsor.end(now);
                let entries = self.entries;
                let done = Message::Done(Done { sweep, entries });
                sent.push(self.tell(Some(done)));
            }
        }
        sent
    }
}

fn record(entry: u32) -> lvs_core::sync::Record<'static> {
    let mut record = tcp();
    let [a, b, c, d] = (entry + 0x0a00_0001).to_be_bytes();
    record.client = Endpoint::new(Address::from_v4([a, b, c, d]), 1000);
    record
}

struct Backup {
    begins: u32,
    inbox: Inbox,
    stamp: Stamp,
    has: BTreeSet<Address>,
    ready: Option<(u32, Ready)>,
    missing: usize,
    hellos: Vec<Hello>,
    keys: Ring,
}

impl Backup {
    fn new(begins: u32, number: u64, keys: Ring) -> Self {
        Self {
            begins,
            inbox: Inbox::new(0, 1000 + number, begins),
            stamp: Stamp {
                epoch: 500 + number,
                sequence: 0,
            },
            has: BTreeSet::new(),
            ready: None,
            missing: 0,
            hellos: Vec::new(),
            keys,
        }
    }

    fn hear(&mut self, now: u32, octets: &[u8], random: &mut Random) {
        if now < self.begins {
            return;
        }
        let admitted = self.inbox.admit(octets, &self.keys, now, || random.next());
        if let Ok(admitted) = admitted {
            let clients = admitted.records.map(|record| record.unwrap().client);
            self.has.extend(clients.map(|client| client.address));
        }
    }

    fn ask(&mut self, now: u32, entries: u32) -> Option<Vec<u8>> {
        if now < self.begins {
            return None;
        }
        if let (None, Some(ready)) = (self.ready, self.inbox.join().ready()) {
            self.ready = Some((now - self.begins, ready));
            self.missing = entries as usize - self.has.len();
        }
        let hello = self.inbox.ask(now)?;
        self.hellos.push(hello);
        self.stamp.sequence += 1;
        let mut buffer = [0; message::LONGEST];
        let message = Some(Message::Hello(hello));
        let len = message::write(&mut buffer, 0, message, self.stamp, &self.keys).unwrap();
        Some(buffer[..len].to_vec())
    }
}

/// Runs until all are ready, or for two minutes.
fn run(master: &mut Master, backups: &mut [Backup], wire: Wire, seed: u64) {
    let mut random = Random(seed);
    let mut late: Vec<Vec<Vec<u8>>> = vec![Vec::new(); backups.len() + 1];
    let mut asked = Vec::new();
    for now in (0..120_000).step_by(STEP as usize) {
        let heard = wire.carry(&asked, &mut late[0], &mut random);
        let sent = master.step(now, &heard);
        asked.clear();
        for (number, backup) in backups.iter_mut().enumerate() {
            for octets in wire.carry(&sent, &mut late[number + 1], &mut random) {
                backup.hear(now, &octets, &mut random);
            }
            // The other backups hear it, too.
            asked.extend(backup.ask(now, master.entries));
        }
        for octets in &asked {
            for backup in backups.iter_mut() {
                backup.hear(now, octets, &mut random);
            }
        }
        if backups.iter().all(|backup| backup.ready.is_some()) {
            return;
        }
    }
}

fn keyed() -> [Ring; 2] {
    [Ring::default(), Ring(vec![(1, 77)])]
}

#[test]
fn a_backup_has_everything_after_one_sweep_of_a_good_wire() {
    for keys in keyed() {
        let mut master = Master::new(100_000, 7, keys.clone());
        let mut backups = [Backup::new(0, 1, keys)];
        run(&mut master, &mut backups, GOOD, 1);
        let [backup] = &backups;
        let (after, ready) = backup.ready.unwrap();
        assert_eq!((ready, backup.missing), (Ready::Complete, 0));
        assert!(after < 1000, "{after} ms");
        assert_eq!((master.sweeps, backup.hellos.len()), (1, 1));
    }
}

#[test]
fn an_empty_table_is_complete() {
    let mut master = Master::new(0, 7, Ring::default());
    let mut backups = [Backup::new(0, 1, Ring::default())];
    run(&mut master, &mut backups, GOOD, 1);
    assert_eq!(
        backups[0].ready.map(|(_, ready)| ready),
        Some(Ready::Complete)
    );
}

#[test]
fn losses_are_repaired_by_more_sweeps() {
    for keys in keyed() {
        for (lost, most) in [(1, 5), (5, 8), (10, 12), (30, 40), (50, 160)] {
            let (mut missing, mut joined) = (0, 0);
            for seed in 0..4 {
                let mut master = Master::new(4000, 7, keys.clone());
                let mut backups = [Backup::new(0, 1, keys.clone())];
                let wire = Wire { lost, ..GOOD };
                run(&mut master, &mut backups, wire, seed);
                let [backup] = &backups;
                joined += u32::from(
                    backup
                        .ready
                        .is_some_and(|(_, ready)| ready == Ready::Complete),
                );
                missing += backup.missing;
                assert!(master.sweeps <= most, "{lost} %: {} sweeps", master.sweeps);
            }
            assert_eq!(joined, 4, "{lost} %");
            // The estimate allows for an eighth of an entry each time; they miss in datagrams.
            assert!(missing <= 2 * 40, "{lost} %: {missing} entries");
        }
    }
}

#[test]
fn repeated_and_late_datagrams_do_no_harm() {
    for keys in keyed() {
        for seed in 0..6 {
            let wire = Wire {
                lost: 0,
                repeated: 20,
                late: 20,
            };
            let mut master = Master::new(8000, 7, keys.clone());
            let mut backups = [Backup::new(0, 1, keys.clone())];
            run(&mut master, &mut backups, wire, seed);
            let [backup] = &backups;
            assert_eq!(backup.ready.map(|(_, ready)| ready), Some(Ready::Complete));
            // A late datagram counts as lost until it arrives.
            assert_eq!(backup.missing, 0);
        }
    }
}

#[test]
fn two_backups_share_sweeps() {
    for keys in keyed() {
        for (second, most) in [(0, 1), (50, 2), (5000, 2)] {
            let mut master = Master::new(100_000, 7, keys.clone());
            let mut backups = [
                Backup::new(0, 1, keys.clone()),
                Backup::new(second, 2, keys.clone()),
            ];
            run(&mut master, &mut backups, GOOD, 1);
            for backup in &backups {
                let (after, ready) = backup.ready.unwrap();
                assert_eq!((ready, backup.missing), (Ready::Complete, 0));
                assert!(after < 2500, "{after} ms");
            }
            assert!(master.sweeps <= most, "{} sweeps", master.sweeps);
        }
    }
}

#[test]
fn two_backups_join_over_a_bad_wire() {
    for keys in keyed() {
        for seed in 0..6 {
            let wire = Wire {
                lost: 20,
                repeated: 10,
                late: 10,
            };
            let mut master = Master::new(5000, 7, keys.clone());
            let mut backups = [
                Backup::new(0, 1, keys.clone()),
                Backup::new(130, 2, keys.clone()),
            ];
            run(&mut master, &mut backups, wire, seed);
            for backup in &backups {
                assert_eq!(backup.ready.map(|(_, ready)| ready), Some(Ready::Complete));
                assert!(backup.missing <= 40, "{}", backup.missing);
            }
        }
    }
}

#[test]
fn a_backup_of_a_c_master_waits_ten_seconds() {
    let mut master = Master::new(1000, 7, Ring::default());
    master.is_ours = false;
    let mut backups = [Backup::new(0, 1, Ring::default())];
    run(&mut master, &mut backups, GOOD, 1);
    let (after, ready) = backups[0].ready.unwrap();
    assert_eq!(ready, Ready::Alone);
    assert!((PATIENCE..PATIENCE + 100).contains(&after), "{after} ms");
    // It asks each second, and no longer afterwards.
    assert_eq!(backups[0].hellos.len(), 10);
    assert_eq!(backups[0].inbox.ask(60_000), None);
}

#[test]
fn a_backup_that_no_master_hears_waits_for_a_minute() {
    let mut master = Master::new(10, 7, Ring::default());
    let mut backup = Backup::new(0, 1, Ring::default());
    let mut random = Random(1);
    for now in (0..70_000).step_by(10) {
        backup.ask(now, master.entries);
        if now % 5000 == 0 {
            let sign = master.tell(None);
            backup.hear(now, &sign, &mut random);
        }
    }
    let (after, ready) = backup.ready.unwrap();
    assert_eq!(ready, Ready::Alone);
    assert!((60_000..60_100).contains(&after), "{after} ms");
}

#[test]
fn a_master_that_dies_in_its_sweep_is_not_waited_for() {
    let mut master = Master::new(1_000_000, 7, Ring::default());
    let mut backup = Backup::new(0, 1, Ring::default());
    let mut random = Random(1);
    for now in (0..30_000).step_by(10) {
        let asked = Vec::from_iter(backup.ask(now, master.entries));
        if now < 200 {
            for octets in master.step(now, &asked) {
                backup.hear(now, &octets, &mut random);
            }
        }
    }
    let (after, ready) = backup.ready.unwrap();
    assert_eq!(ready, Ready::Alone);
    assert!(after < 2 * PATIENCE, "{after} ms");
}

#[test]
fn a_backup_that_was_ready_stays_ready_while_it_asks_again() {
    let mut master = Master::new(1000, 7, Ring::default());
    let mut backups = [Backup::new(0, 1, Ring::default())];
    run(&mut master, &mut backups, GOOD, 1);
    let inbox = &mut backups[0].inbox;
    inbox.restart(5000);
    assert_eq!(inbox.join().ready(), Some(Ready::Complete));
    assert!(inbox.join().is_asking());
    assert!(inbox.ask(5000).unwrap().wants_sweep);
}

#[test]
fn with_a_key_a_new_master_is_asked_for_its_table() {
    let keys = Ring(vec![(1, 77)]);
    let mut backups = [Backup::new(0, 1, keys.clone())];
    run(
        &mut Master::new(1000, 7, keys.clone()),
        &mut backups,
        GOOD,
        1,
    );
    let [backup] = &mut backups;
    let mut random = Random(2);
    let mut master = Master::new(2000, 8, keys);
    for now in (50_000..60_000).step_by(10) {
        let asked = Vec::from_iter(backup.ask(now, 2000));
        let mut sent = master.step(now, &asked);
        if now % 1000 == 0 {
            sent.push(master.tell(None));
        }
        for octets in sent {
            backup.hear(now, &octets, &mut random);
        }
    }
    assert_eq!((backup.has.len(), master.sweeps), (2000, 1));
    assert!(!backup.inbox.join().is_asking());
}
