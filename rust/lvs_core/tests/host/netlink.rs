// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::netlink::{Attribute, AttributeError, Attributes};
use lvs_core::{Address, Family};
use proptest::prelude::*;

/// One attribute, padded.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = ((payload.len() + 4) as u16).to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(out.len().div_ceil(4) * 4, 0xee);
    out
}

fn only(payload: &[u8]) -> Attribute<'_> {
    Attribute { kind: 7, payload }
}

const WRONG_LENGTH: AttributeError = AttributeError::WrongLength { kind: 7 };

/// The attributes of `ipvsadm -A -t 192.0.2.1:80 -s wlc`, as libnl lays them out.
#[test]
fn a_service_from_ipvsadm_is_read() {
    let address = [[192, 0, 2, 1].as_slice(), &[0; 12]].concat();
    let service = [
        attribute(1, &2u16.to_ne_bytes()),
        attribute(2, &6u16.to_ne_bytes()),
        attribute(3, &address),
        attribute(4, &80u16.to_be_bytes()),
        attribute(6, b"wlc\0"),
        attribute(7, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        attribute(8, &0u32.to_ne_bytes()),
        attribute(9, &[0xff; 4]),
    ]
    .concat();
    let command = attribute(1, &service);

    let service = Attributes::new(&command).unwrap().find(1).unwrap();
    let service = service.nested().unwrap();
    assert_eq!(service.iter().count(), 8);
    assert_eq!(service.into_iter().count(), 8);
    let find = |kind| service.find(kind).unwrap();
    assert_eq!(find(1).u16(), Ok(2));
    assert_eq!(find(2).u16(), Ok(6));
    let vip = Address::from_v4([192, 0, 2, 1]);
    assert_eq!(find(3).address(Family::V4), Ok(vip));
    assert_eq!(find(4).u16_be(), Ok(80));
    assert_eq!(service.find(5), None);
    assert_eq!(find(6).string(), Ok(b"wlc".as_slice()));
    assert_eq!(find(7).flags_mask(), Ok((0, 0xffff_ffff)));
    assert_eq!(find(8).u32(), Ok(0));
    assert_eq!(find(9).u32_be(), Ok(0xffff_ffff));
}

#[test]
fn kinds_are_read_without_flags() {
    for flags in [0x8000, 0x4000, 0xc000] {
        let chain = attribute(5 | flags, &[1]);
        let attributes = Attributes::new(&chain).unwrap();
        assert_eq!(attributes.find(5).unwrap().kind, 5);
        assert_eq!(attributes.find(5 | flags), None);
    }
    let chain = attribute(0x3fff, &[]);
    assert!(Attributes::new(&chain).unwrap().find(0x3fff).is_some());
}

#[test]
fn the_last_of_a_kind_counts() {
    let chain = [
        attribute(3, &[1]),
        attribute(4, &[9]),
        attribute(3, &[2]),
        attribute(5, &[8]),
    ]
    .concat();
    let attributes = Attributes::new(&chain).unwrap();
    assert_eq!(attributes.find(3).unwrap().u8(), Ok(2));
    assert_eq!(attributes.find(4).unwrap().u8(), Ok(9));
}

#[test]
fn an_empty_chain_is_valid() {
    let attributes = Attributes::new(&[]).unwrap();
    assert_eq!(attributes.iter().next(), None);
    assert_eq!(attributes.find(0), None);
    assert!(only(&[]).nested().is_ok());
}

#[test]
fn the_last_attribute_may_lack_its_padding() {
    let chain = [attribute(1, &[7; 4]), attribute(2, &[8])].concat();
    assert_eq!(chain.len(), 16);
    for len in 13..=16 {
        let attributes = Attributes::new(&chain[..len]).unwrap();
        assert_eq!(attributes.find(2).unwrap().payload, [8], "{len}");
    }
    assert_eq!(Attributes::new(&chain[..8]).unwrap().iter().count(), 1);
    for len in [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12] {
        let result = Attributes::new(&chain[..len]).map(|_| ());
        assert_eq!(result, Err(AttributeError::Truncated), "{len}");
    }
}

#[test]
fn impossible_lengths_are_refused() {
    for (len, fits) in [(0, false), (3, false), (4, true), (8, true), (9, false)] {
        for wrong in [len, if fits { len } else { 0xffff }] {
            let mut chain = attribute(1, &[0; 4]);
            chain[..2].copy_from_slice(&u16::to_ne_bytes(wrong));
            // A payload of four zeros is no attribute if the first one ends before it.
            let expected = wrong == 8;
            assert_eq!(Attributes::new(&chain).is_ok(), expected, "{wrong}");
        }
    }
    assert_eq!(
        only(&[1, 2, 3]).nested().map(|_| ()),
        Err(AttributeError::Truncated)
    );
}

#[test]
fn numbers_have_exact_lengths() {
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    for len in 0..=9 {
        let attribute = only(&bytes[..len]);
        assert_eq!(
            attribute.u8(),
            if len == 1 { Ok(1) } else { Err(WRONG_LENGTH) }
        );
        let u16_be = if len == 2 {
            Ok(0x0102)
        } else {
            Err(WRONG_LENGTH)
        };
        assert_eq!(attribute.u16_be(), u16_be);
        assert_eq!(attribute.u16(), u16_be.map(u16::to_be));
        let u32_be = if len == 4 {
            Ok(0x0102_0304)
        } else {
            Err(WRONG_LENGTH)
        };
        assert_eq!(attribute.u32_be(), u32_be);
        assert_eq!(attribute.u32(), u32_be.map(u32::to_be));
        let pair = (0x0102_0304_u32.to_be(), 0x0506_0708_u32.to_be());
        let pair = if len == 8 {
            Ok(pair)
        } else {
            Err(WRONG_LENGTH)
        };
        assert_eq!(attribute.flags_mask(), pair);
        let flag = if len == 0 { Ok(()) } else { Err(WRONG_LENGTH) };
        assert_eq!(attribute.flag(), flag);
    }
}

#[test]
fn strings_end_at_their_terminator() {
    let not_terminated = Err(AttributeError::NotTerminated { kind: 7 });
    assert_eq!(only(b"wlc\0").string(), Ok(b"wlc".as_slice()));
    assert_eq!(only(b"wlc").string(), Ok(b"wlc".as_slice()));
    assert_eq!(only(b"wlc\0\0\0").string(), Ok(b"wlc".as_slice()));
    assert_eq!(only(b"").string(), Ok(b"".as_slice()));
    assert_eq!(only(b"\0").string(), Ok(b"".as_slice()));
    assert_eq!(only(b"w\0lc").string(), not_terminated);
    assert_eq!(only(b"\0w").string(), not_terminated);
    assert_eq!(only(b"w\0lc\0").string(), not_terminated);
}

#[test]
fn addresses_have_4_to_16_octets() {
    let bytes: Vec<u8> = (1..=17).collect();
    let v4 = Address::from_v4([1, 2, 3, 4]);
    let v6 = Address::from_v6(core::array::from_fn(|n| n as u8 + 1));
    for len in 0..=17 {
        let attribute = only(&bytes[..len]);
        let expected = if (4..=16).contains(&len) {
            Ok(v4)
        } else {
            Err(WRONG_LENGTH)
        };
        assert_eq!(attribute.address(Family::V4), expected, "{len}");
        let expected = if len == 16 { Ok(v6) } else { Err(WRONG_LENGTH) };
        assert_eq!(attribute.address(Family::V6), expected, "{len}");
    }
}

proptest! {
    #[test]
    fn written_attributes_can_be_read(
        list in proptest::collection::vec((0..0x4000u16, any::<Vec<u8>>()), 0..8),
    ) {
        let chain: Vec<u8> = list.iter().flat_map(|(kind, data)| attribute(*kind, data)).collect();
        let attributes = Attributes::new(&chain).unwrap();
        let read: Vec<_> = attributes.iter().map(|a| (a.kind, a.payload.to_vec())).collect();
        prop_assert_eq!(&read, &list);
        for (kind, _) in &list {
            let last = list.iter().rfind(|(k, _)| k == kind).unwrap();
            prop_assert_eq!(attributes.find(*kind).unwrap().payload, last.1.as_slice());
        }
    }

    /// Short lengths and small kinds, so noise is often a chain.
    #[test]
    fn no_input_causes_a_panic(
        noise in proptest::collection::vec(prop_oneof![0..10u8, any::<u8>()], 0..100),
        kind: u16,
    ) {
        fn touch(attributes: Attributes<'_>, total: usize) -> usize {
            let mut octets = 0;
            for a in attributes.iter() {
                let _ = (a.u8(), a.u16(), a.u16_be(), a.u32(), a.u32_be());
                let _ = (a.flag(), a.flags_mask(), a.string());
                let _ = (a.address(Family::V4), a.address(Family::V6));
                octets += 4 + a.payload.len();
                if let Ok(nested) = a.nested() {
                    touch(nested, a.payload.len());
                }
            }
            assert!(octets <= total);
            octets
        }
        if let Ok(attributes) = Attributes::new(&noise) {
            touch(attributes, noise.len());
            let _ = attributes.find(kind);
        }
    }
}
