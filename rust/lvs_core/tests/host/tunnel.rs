// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::tunnel::{payload, GueChecksum, Numbers, Tunnel, LOOKED_AT};
use lvs_core::Family;
use proptest::prelude::*;

const GUE: u16 = 6080;

/// All numbers of `linux/ip_vs.h`: kind and flags.
fn known() -> Vec<((u8, u16), Tunnel)> {
    let gue = |checksum| Tunnel::Gue {
        port: GUE,
        checksum,
    };
    vec![
        ((0, 0), Tunnel::Ipip),
        ((1, 0), gue(GueChecksum::None)),
        ((1, 1), gue(GueChecksum::Full)),
        ((1, 2), gue(GueChecksum::Remote)),
        ((2, 0), Tunnel::Gre { checksum: false }),
        ((2, 1), Tunnel::Gre { checksum: true }),
    ]
}

#[test]
fn every_tunnel_has_its_numbers() {
    for ((kind, flags), tunnel) in known() {
        assert_eq!(Tunnel::from_numbers(kind, GUE, flags), Some(tunnel));
    }
}

proptest! {
    #[test]
    fn numbers_survive_packing(kind: u8, port: u16, flags: u16) {
        let numbers = Numbers { kind, port, flags };
        prop_assert_eq!(Numbers::unpack(numbers.pack()), numbers);
        prop_assert_eq!(numbers.tunnel(), Tunnel::from_numbers(kind, port, flags));
        prop_assert_eq!(numbers.lacks_port(), kind == 1 && port == 0);
    }
}

#[test]
fn what_a_plain_tunnel_writes_leads_to_the_packet() {
    let mut plain = 0;
    for (_, tunnel) in known().into_iter().filter(|(_, tunnel)| tunnel.is_plain()) {
        for inner in [Family::V4, Family::V6] {
            let len = usize::from(tunnel.overhead(Family::V4)) - 20;
            let mut between = vec![0xff; len];
            tunnel.write_between(&mut between, inner, 50_000, 100);
            let found = payload(tunnel.protocol(inner), &between, 0);
            assert_eq!(found, Some((inner, len)), "{tunnel:?}");
            if let Tunnel::Gue { .. } = tunnel {
                let udp = [50_000, GUE, 112, 0].map(u16::to_be_bytes).concat();
                assert_eq!(between[..8], udp);
            }
        }
        plain += 1;
    }
    assert_eq!(plain, 3);
}

#[test]
fn other_numbers_are_refused() {
    for kind in 3..=255 {
        assert_eq!(Tunnel::from_numbers(kind, GUE, 0), None);
    }
    // GUE needs a port, and there is at most one checksum.
    assert_eq!(Tunnel::from_numbers(1, 0, 0), None);
    for flags in 3..=u16::MAX {
        assert_eq!(Tunnel::from_numbers(1, GUE, flags), None);
    }
    for flags in 2..=u16::MAX {
        assert_eq!(Tunnel::from_numbers(2, 0, flags), None);
    }
    // Plain tunnels have neither.
    assert_eq!(Tunnel::from_numbers(0, 7, 3), Some(Tunnel::Ipip));
}

#[test]
fn a_tunnel_sends_its_protocol_to_its_port() {
    let ports = Some((40_000, GUE));
    for ((kind, _), tunnel) in known() {
        for inner in [Family::V4, Family::V6] {
            let protocol = tunnel.protocol(inner);
            for other in 0..=u8::MAX {
                let sends = other == protocol;
                assert_eq!(tunnel.sends(other, ports, inner), sends, "{kind} {other}");
            }
            // Only GUE has ports.
            assert_eq!(tunnel.sends(protocol, None, inner), kind != 1);
            assert_eq!(tunnel.sends(protocol, Some((GUE, 1)), inner), kind != 1);
        }
    }
}

#[test]
fn each_tunnel_adds_the_octets_of_its_headers() {
    let added = [0, 8 + 4, 8 + 4, 8 + 4 + 8, 4, 8];
    for ((_, tunnel), added) in known().into_iter().zip(added) {
        assert_eq!(tunnel.overhead(Family::V4), 20 + added, "{tunnel:?}");
        assert_eq!(tunnel.overhead(Family::V6), 40 + added, "{tunnel:?}");
    }
}

/// The headers of a tunnel at offset 20, and the expected inner packet.
fn headers(protocol: u8, headers: &[u8]) -> Option<(Family, usize)> {
    let packet = [&[0x45; 20][..], headers, &[0; 4]].concat();
    payload(protocol, &packet, 20)
}

#[test]
fn ip_in_ip_is_recognized() {
    assert_eq!(headers(4, &[]), Some((Family::V4, 20)));
    assert_eq!(headers(41, &[]), Some((Family::V6, 20)));
    for protocol in (0..=255).filter(|protocol| ![4, 17, 41, 47].contains(protocol)) {
        assert_eq!(headers(protocol, &[0; 40]), None, "{protocol}");
    }
}

#[test]
fn gue_headers_are_skipped() {
    let gue = |first: u8, protocol: u8| {
        let udp = [0xc0, 1, 0x17, 0xc0, 0, 60, 0, 0];
        headers(
            17,
            &[&udp[..], &[first, protocol, 0, 0], &[0; 128]].concat(),
        )
    };
    for words in 0..32 {
        let at = 20 + 8 + 4 + usize::from(words) * 4;
        assert_eq!(gue(words, 4), Some((Family::V4, at)));
        assert_eq!(gue(words, 41), Some((Family::V6, at)));
    }
    for first in 0x20..=0xff {
        assert_eq!(gue(first, 4), None, "variants and control messages");
    }
    for protocol in (0..=255).filter(|protocol| ![4, 41].contains(protocol)) {
        assert_eq!(gue(0, protocol), None, "{protocol}");
    }
}

#[test]
fn gre_headers_are_skipped() {
    let gre = |flags: u16, kind: u16| {
        let header = [flags.to_be_bytes(), kind.to_be_bytes()].concat();
        headers(47, &[header, vec![0; 16]].concat())
    };
    for flags in 0..=u16::MAX {
        // Checksum, key and sequence number have four octets each.
        let fields = [0x8000, 0x2000, 0x1000];
        let fields = fields.iter().filter(|bit| flags & **bit != 0).count();
        let at = 24 + 4 * fields;
        // Routing, strict source route and recursion of RFC 1701, and the version, must be 0.
        let expected = (flags & 0x4c07 == 0).then_some(at);
        let v4 = expected.map(|at| (Family::V4, at));
        assert_eq!(gre(flags, 0x0800), v4, "{flags:#06x}");
        let v6 = expected.map(|at| (Family::V6, at));
        assert_eq!(gre(flags, 0x86dd), v6, "{flags:#06x}");
    }
    for kind in (0..=u16::MAX).filter(|kind| ![0x0800, 0x86dd].contains(kind)) {
        assert_eq!(gre(0, kind), None, "{kind:#06x}");
    }
}

#[test]
fn headers_beyond_the_slice_are_not_read() {
    let packet = [0_u8; 64];
    for (protocol, len) in [(17, 12), (47, 4)] {
        for at in 0..=80 {
            let packet = &packet[..at.min(64)];
            assert_eq!(payload(protocol, packet, at), None);
            assert_eq!(payload(protocol, packet, at.saturating_sub(len - 1)), None);
        }
        assert_eq!(payload(protocol, &packet, usize::MAX), None);
    }
}

proptest! {
    #[test]
    fn no_input_causes_a_panic(protocol: u8, at in prop_oneof![0..100_usize, any::<usize>()], ip: Vec<u8>) {
        for protocol in [protocol, 4, 17, 41, 47] {
            if let Some((_, inner)) = payload(protocol, &ip, at) {
                prop_assert!(inner >= at && inner - at <= 8 + 4 + 31 * 4);
                let enough = ip.len().min(at.saturating_add(LOOKED_AT));
                prop_assert_eq!(payload(protocol, &ip[..enough], at), payload(protocol, &ip, at));
            }
        }
    }
}
