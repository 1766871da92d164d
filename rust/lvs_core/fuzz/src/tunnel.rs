// SPDX-License-Identifier: GPL-2.0-only

use super::Orders;
use lvs_core::tunnel::{self, Numbers, Tunnel};
use lvs_core::Family;

/// [`tunnel::payload`], [`Tunnel::from_numbers`], [`Numbers`].
pub fn run(data: &[u8]) {
    let Some(mut orders) = Orders::new(data) else {
        return;
    };
    let protocol = orders.bits;
    let (Some([kind]), Some(port), Some(flags)) =
        (orders.octets(), orders.number(), orders.number())
    else {
        return;
    };
    if let Some(tunnel) = Tunnel::from_numbers(kind, port, flags) {
        assert!((20..=40).contains(&tunnel.overhead(Family::V4)));
        let numbers = Numbers { kind, port, flags };
        assert_eq!(Numbers::unpack(numbers.pack()).tunnel(), Some(tunnel));
    }
    let at = usize::from(port) % 64;
    let ip = orders.rest;
    let Some((family, inner)) = tunnel::payload(protocol, ip, at) else {
        return;
    };
    // The octets that are read, the octets of the headers, and the number of the next protocol.
    let (least, header, next) = match protocol {
        4 | 41 => (0, 0, protocol.into()),
        17 => {
            let (first, next) = (ip[at + 8], ip[at + 9]);
            assert!(first < 32, "variant or control bit");
            (12, 12 + 4 * usize::from(first), next.into())
        }
        47 => {
            let (flags, version) = (ip[at], ip[at + 1] & 7);
            assert!(version == 0 && flags & 0x4c == 0);
            let fields = (flags >> 7) + ((flags >> 5) & 1) + ((flags >> 4) & 1);
            let next = u16::from_be_bytes([ip[at + 2], ip[at + 3]]);
            (4, 4 + 4 * usize::from(fields), next)
        }
        _ => panic!("protocol {protocol} is no tunnel"),
    };
    assert_eq!(inner, at + header);
    match family {
        Family::V4 => assert!([4, 0x0800].contains(&next)),
        Family::V6 => assert!([41, 0x86dd].contains(&next)),
    }
    // The octets after the headers do not matter, and those before are not read.
    let visible = ip.len().min(at + least);
    assert_eq!(
        tunnel::payload(protocol, &ip[..visible], at),
        Some((family, inner))
    );
}
