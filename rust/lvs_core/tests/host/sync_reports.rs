// SPDX-License-Identifier: GPL-2.0-only

//! The three faults of 2026 in the C director's parser of synchronization datagrams, each as a
//! test. The numbers are those of the CVE records.

use crate::sync::{datagram, tcp_octets, with_flags, with_option};
use lvs_core::sync::{Datagram, Malformed, Refused, Unusable};

fn only(record: Vec<u8>) -> Result<(u32, bool), Refused> {
    let octets = datagram(&[record]);
    let mut records = Datagram::new(&octets).unwrap();
    let record = records.next().unwrap()?;
    Ok((record.flags.bits(), record.sequences.is_some()))
}

fn refused(why: Unusable) -> Result<(u32, bool), Refused> {
    Err(Refused::One(why))
}

/// 72020: an entry whose flags announced sequence numbers got uninitialised ones.
#[test]
fn uninitialised_sequence_data_72020() {
    for flags in [0x200, 0x400, 0x600] {
        // Announced and absent.
        let absent = with_flags(tcp_octets(), flags);
        assert_eq!(only(absent), refused(Unusable::Flags), "{flags:#x}");
        // Present and of another length.
        for len in [1, 12, 23, 25, 48] {
            let short = with_flags(with_option(1, &vec![7; len]), flags);
            let malformed = Err(Refused::Rest(Malformed::Option));
            assert_eq!(only(short), malformed, "{len} octets");
        }
        let whole = with_flags(with_option(1, &[7; 24]), flags);
        assert_eq!(only(whole), Ok((flags, true)), "{flags:#x}");
    }
    // Present and not announced.
    assert_eq!(only(with_option(1, &[7; 24])), refused(Unusable::Flags));
}

/// 80714: a record with the flag of one-packet scheduling made an entry that was freed while it was
/// in use.
#[test]
fn one_packet_flag_80714() {
    for other in [0, 0x3, 0x100, 0x1000, 0x1800, 0x800, 0xffff_d8ff] {
        let record = with_flags(tcp_octets(), 0x2000 | other);
        assert_eq!(only(record), refused(Unusable::Flags), "{other:#x}");
    }
    // Version 0 has 16 bits of flags.
    let mut octets = vec![1, 5, 0, 28, 0, 6];
    octets.extend([0x9c, 0x40, 0, 80, 0x1f, 0x90]);
    octets.extend([192, 0, 2, 1, 192, 0, 2, 2, 192, 0, 2, 3, 0x20, 0, 0, 1]);
    let mut records = Datagram::new(&octets).unwrap();
    let why = Refused::One(Unusable::Flags);
    assert_eq!(records.next().unwrap().map(drop), Err(why));
}

/// 98794: flags that no director sends reached the entry.
#[test]
fn hostile_flags_98794() {
    let known = 0x7 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x1000;
    for bit in 0..32 {
        let flag = 1 << bit;
        match only(with_flags(tcp_octets(), flag)) {
            // Only flags that receivers use are seen.
            Ok((seen, _)) => assert_eq!(seen, flag & known, "{flag:#x}"),
            Err(refused) => assert!(matches!(refused, Refused::One(_)), "{flag:#x}"),
        }
    }
    assert_eq!(
        only(with_flags(tcp_octets(), !0x2600)),
        refused(Unusable::Flags)
    );
    // A template has a client without a port, and two states.
    let template = with_flags(tcp_octets(), 0x1800);
    assert_eq!(only(template), refused(Unusable::Flags));
    for state in [2, 3, 11, 0xffff] {
        let mut template = with_flags(tcp_octets(), 0x1000);
        template[8..10].copy_from_slice(&u16::to_be_bytes(state));
        assert_eq!(only(template), refused(Unusable::State), "{state}");
    }
    // Forwarding methods beyond the known ones are no method.
    for number in 5..8 {
        let octets = datagram(&[with_flags(tcp_octets(), number)]);
        let record = Datagram::new(&octets).unwrap().next().unwrap().unwrap();
        assert_eq!(record.flags.forwarding(), None, "{number}");
    }
}
