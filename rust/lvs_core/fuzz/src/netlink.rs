// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::netlink::Attributes;
use lvs_core::Family;

/// [`Attributes`] and every way to read one.
pub fn run(data: &[u8]) {
    let Ok(attributes) = Attributes::new(data) else {
        return;
    };
    let mut octets = 0;
    for attribute in &attributes {
        octets += 4 + attribute.payload.len().next_multiple_of(4);
        let found = attributes.find(attribute.kind);
        assert!(found.is_some_and(|found| found.kind == attribute.kind));
        let len = attribute.payload.len();
        assert_eq!(attribute.u8().is_ok(), len == 1);
        assert_eq!(attribute.u16().is_ok(), len == 2);
        assert_eq!(attribute.u16_be().is_ok(), len == 2);
        assert_eq!(attribute.u32().is_ok(), len == 4);
        assert_eq!(attribute.u32_be().is_ok(), len == 4);
        assert_eq!(attribute.flag().is_ok(), len == 0);
        assert_eq!(attribute.flags_mask().is_ok(), len == 8);
        assert_eq!(
            attribute.address(Family::V4).is_ok(),
            (4..=16).contains(&len)
        );
        assert_eq!(attribute.address(Family::V6).is_ok(), len == 16);
        if let Ok(string) = attribute.string() {
            assert!(!string.contains(&0) && attribute.payload.starts_with(string));
        }
        if attribute.nested().is_ok() {
            run(attribute.payload);
        }
    }
    // The last attribute may lack its padding.
    assert_eq!(octets, data.len().next_multiple_of(4));
}
