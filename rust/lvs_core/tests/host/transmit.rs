// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::transmit::{check, sufficient_mtu, Candidate, Check, Handling, Limits, Report};
use lvs_core::tunnel::{GueChecksum, Outer, Tunnel};
use lvs_core::{Address, Family};
use proptest::prelude::*;

const ROUTE: Limits = Limits {
    mtu: 1500,
    overhead: 0,
    ignore_df: false,
};
/// IPv4 in IPv4: 1,480 bytes of the inner packet fit.
const TUNNEL: Limits = Limits {
    overhead: 20,
    ..ROUTE
};

fn packet(family: Family, len: u32) -> Candidate {
    Candidate {
        family,
        len,
        handling: Handling {
            traffic_class: 0,
            hop_limit: 64,
            dont_fragment: true,
            from_loopback: false,
        },
        largest_fragment: 0,
    }
}

/// A packet that was not joined by segmentation offload.
fn single(_: u32) -> bool {
    false
}

fn with_ttl(family: Family, hop_limit: u8) -> Candidate {
    let packet = packet(family, 100);
    Candidate {
        handling: Handling {
            hop_limit,
            ..packet.handling
        },
        ..packet
    }
}

fn report(kind: u8, code: u8, info: u32) -> Check {
    Check::Report(Report { kind, code, info })
}

#[test]
fn packets_with_a_ttl_of_0_or_1_are_reported_as_time_exceeded() {
    for ttl in [0, 1] {
        assert_eq!(
            check(with_ttl(Family::V4, ttl), ROUTE, single),
            report(11, 0, 0)
        );
        assert_eq!(
            check(with_ttl(Family::V6, ttl), ROUTE, single),
            report(3, 0, 0)
        );
    }
    for family in [Family::V4, Family::V6] {
        assert_eq!(check(with_ttl(family, 2), ROUTE, single), Check::Pass);
    }
}

#[test]
fn expiry_comes_before_size() {
    let expired = Candidate {
        len: 9000,
        ..with_ttl(Family::V4, 1)
    };
    assert_eq!(check(expired, ROUTE, single), report(11, 0, 0));
}

#[test]
fn ipv4_with_df_is_told_the_mtu_of_the_route() {
    assert_eq!(check(packet(Family::V4, 1500), ROUTE, single), Check::Pass);
    assert_eq!(
        check(packet(Family::V4, 1501), ROUTE, single),
        report(3, 4, 1500)
    );
}

#[test]
fn ipv4_without_df_passes_at_any_length_since_the_host_fragments_it() {
    let packet = packet(Family::V4, 9000);
    let fragmentable = Candidate {
        handling: Handling {
            dont_fragment: false,
            ..packet.handling
        },
        ..packet
    };
    for limits in [ROUTE, TUNNEL] {
        assert_eq!(check(fragmentable, limits, single), Check::Pass);
    }
}

#[test]
fn ipv6_is_told_the_mtu_of_the_route() {
    assert_eq!(check(packet(Family::V6, 1500), ROUTE, single), Check::Pass);
    assert_eq!(
        check(packet(Family::V6, 1501), ROUTE, single),
        report(2, 0, 1500)
    );
}

#[test]
fn a_tunnel_leaves_less_room_by_its_overhead() {
    for (family, too_big) in [
        (Family::V4, report(3, 4, 1480)),
        (Family::V6, report(2, 0, 1480)),
    ] {
        assert_eq!(check(packet(family, 1480), TUNNEL, single), Check::Pass);
        assert_eq!(check(packet(family, 1481), TUNNEL, single), too_big);
    }
}

#[test]
fn ipv6_of_1280_bytes_passes_through_a_narrow_tunnel() {
    let narrow = Limits {
        mtu: 1280,
        overhead: 40,
        ignore_df: false,
    };
    assert_eq!(check(packet(Family::V6, 1280), narrow, single), Check::Pass);
    assert_eq!(
        check(packet(Family::V6, 1281), narrow, single),
        report(2, 0, 1280)
    );
    // IPv4 has no such size.
    assert_eq!(
        check(packet(Family::V4, 1280), narrow, single),
        report(3, 4, 1240)
    );
}

#[test]
fn ignoring_df_lets_ipv4_through_tunnels_only() {
    let ignore = |limits| Limits {
        ignore_df: true,
        ..limits
    };
    let check = |family, limits| check(packet(family, 2000), limits, single);
    assert_eq!(check(Family::V4, ignore(TUNNEL)), Check::Pass);
    assert_eq!(check(Family::V4, ignore(ROUTE)), report(3, 4, 1500));
    assert_eq!(check(Family::V6, ignore(TUNNEL)), report(2, 0, 1480));
}

#[test]
fn a_reassembled_packet_passes_if_its_largest_fragment_fits() {
    let reassembled = |family, largest_fragment| Candidate {
        largest_fragment,
        ..packet(family, 4000)
    };
    for family in [Family::V4, Family::V6] {
        assert_eq!(check(reassembled(family, 1500), ROUTE, single), Check::Pass);
    }
    assert_eq!(
        check(reassembled(Family::V4, 1501), ROUTE, single),
        report(3, 4, 1500)
    );
    assert_eq!(
        check(reassembled(Family::V6, 1501), ROUTE, single),
        report(2, 0, 1500)
    );
    // Through a tunnel, IPv6 travels whole, in fragments of the tunnel.
    assert_eq!(
        check(reassembled(Family::V6, 1500), TUNNEL, single),
        Check::Pass
    );
    assert_eq!(
        check(reassembled(Family::V4, 1500), TUNNEL, single),
        report(3, 4, 1480)
    );
}

#[test]
fn a_joined_packet_passes_if_its_segments_fit() {
    for (limits, largest) in [(ROUTE, 1500), (TUNNEL, 1480)] {
        for family in [Family::V4, Family::V6] {
            let joined = packet(family, 60_000);
            let fits = |mtu| {
                assert_eq!(mtu, largest);
                true
            };
            assert_eq!(check(joined, limits, fits), Check::Pass);
            assert!(matches!(
                check(joined, limits, single),
                Check::Report(Report { info, .. }) if info == largest
            ));
        }
    }
}

#[test]
fn an_mtu_smaller_than_the_overhead_does_not_wrap() {
    let absurd = Limits {
        mtu: 10,
        overhead: 40,
        ignore_df: false,
    };
    assert_eq!(
        check(packet(Family::V4, 100), absurd, single),
        report(3, 4, 0)
    );
}

#[test]
fn reports_have_the_numbers_of_the_rfcs() {
    // RFC 792, RFC 1191, RFC 4443.
    let numbers = |report: Report| (report.kind, report.code, report.info);
    assert_eq!(numbers(Report::time_exceeded(Family::V4)), (11, 0, 0));
    assert_eq!(numbers(Report::time_exceeded(Family::V6)), (3, 0, 0));
    assert_eq!(numbers(Report::too_big(Family::V4, 576)), (3, 4, 576));
    assert_eq!(numbers(Report::too_big(Family::V6, 1400)), (2, 0, 1400));
    assert_eq!(numbers(Report::host_unreachable(Family::V4)), (3, 1, 0));
    assert_eq!(numbers(Report::host_unreachable(Family::V6)), (1, 3, 0));
    assert_eq!(numbers(Report::port_unreachable(Family::V4)), (3, 3, 0));
    assert_eq!(numbers(Report::port_unreachable(Family::V6)), (1, 4, 0));
}

#[test]
fn ipv6_is_never_told_less_than_1280() {
    assert_eq!(Report::too_big(Family::V6, 1279).info, 1280);
    assert_eq!(Report::too_big(Family::V6, 0).info, 1280);
    assert_eq!(Report::too_big(Family::V4, 68).info, 68);
}

/// An IPv4 header: type of service, flags and fragment offset, time to live.
fn ipv4(tos: u8, flags: u16, ttl: u8) -> [u8; 20] {
    let [f0, f1] = flags.to_be_bytes();
    let mut header = [0xff; 20];
    header[1] = tos;
    header[6] = f0;
    header[7] = f1;
    header[8] = ttl;
    header
}

#[test]
fn handling_is_read_from_an_ipv4_header() {
    for (flags, dont_fragment) in [
        (0x0000, false),
        (0x4000, true),
        (0x2000, false),
        (0xffff, true),
    ] {
        assert_eq!(
            Handling::of_v4(&ipv4(0xb9, flags, 7)),
            Handling {
                traffic_class: 0xb9,
                hop_limit: 7,
                dont_fragment,
                from_loopback: false,
            }
        );
    }
}

#[test]
fn handling_is_read_from_an_ipv6_header() {
    let mut header = [0xff; 40];
    // Version 6, traffic class 0xb9, flow label 0x12345.
    header[..4].copy_from_slice(&[0x6b, 0x91, 0x23, 0x45]);
    header[7] = 9;
    assert_eq!(
        Handling::of_v6(&header),
        Handling {
            traffic_class: 0xb9,
            hop_limit: 9,
            dont_fragment: true,
            from_loopback: false,
        }
    );
}

#[test]
fn the_outer_header_inherits_traffic_class_and_hop_limit() {
    // All four ECN codepoints, as RFC 6040's normal mode has it.
    for traffic_class in [0xb8, 0xb9, 0xba, 0xbb] {
        let inner = Handling {
            traffic_class,
            hop_limit: 33,
            dont_fragment: true,
            from_loopback: false,
        };
        for family in [Family::V4, Family::V6] {
            let outer = inner.outer(family, 100, 0, false);
            assert_eq!((outer.traffic_class, outer.hop_limit), (traffic_class, 33));
        }
    }
}

#[test]
fn the_outer_header_inherits_df_unless_it_is_ignored() {
    for dont_fragment in [false, true] {
        let inner = Handling {
            traffic_class: 0,
            hop_limit: 64,
            dont_fragment,
            from_loopback: false,
        };
        let outer = |ignore_df| inner.outer(Family::V4, 1000, 0, ignore_df).dont_fragment;
        assert_eq!(outer(false), dont_fragment);
        assert!(!outer(true));
    }
}

#[test]
fn tunnels_may_fragment_ipv4_that_was_fragmented() {
    let inner = packet(Family::V4, 4000).handling;
    assert!(!inner.outer(Family::V4, 4000, 1400, false).dont_fragment);
}

#[test]
fn packets_from_a_loopback_address_are_discarded_without_a_report() {
    for family in [Family::V4, Family::V6] {
        let mut candidate = with_ttl(family, 1);
        candidate.handling.from_loopback = true;
        candidate.len = 9000;
        assert_eq!(check(candidate, ROUTE, single), Check::Discard);
        assert_eq!(sufficient_mtu(candidate.handling, 100, 0), u32::MAX);
    }
}

#[test]
fn loopback_sources_are_read_from_headers() {
    for (source, from_loopback) in [
        ([127, 0, 0, 1], true),
        ([127, 255, 255, 255], true),
        ([126, 0, 0, 1], false),
        ([10, 127, 0, 1], false),
    ] {
        let mut header = ipv4(0, 0, 64);
        header[12..16].copy_from_slice(&source);
        assert_eq!(Handling::of_v4(&header).from_loopback, from_loopback);
    }
    for (source, from_loopback) in [
        (1u128, true),
        (0, false),
        (2, false),
        ((1 << 127) | 1, false),
        (0xffff_7f00_0001, false),
    ] {
        let mut header = [0; 40];
        header[8..24].copy_from_slice(&source.to_be_bytes());
        assert_eq!(Handling::of_v6(&header).from_loopback, from_loopback);
    }
}

#[test]
fn tunnels_may_fragment_ipv6_that_is_small_or_was_fragmented() {
    let inner = Handling {
        traffic_class: 0,
        hop_limit: 64,
        dont_fragment: true,
        from_loopback: false,
    };
    let outer = |len, largest| inner.outer(Family::V6, len, largest, false).dont_fragment;
    assert!(!outer(1280, 0));
    assert!(outer(1281, 0));
    assert!(!outer(4000, 1400));
    // The setting is about IPv4's DF.
    assert!(inner.outer(Family::V6, 1281, 0, true).dont_fragment);
}

fn outer(source: Address, destination: Address, dont_fragment: bool) -> Outer {
    Outer {
        handling: Handling {
            traffic_class: 0xb9,
            hop_limit: 63,
            dont_fragment,
            from_loopback: false,
        },
        protocol: 4,
        source,
        destination,
    }
}

#[test]
fn the_outer_ipv4_header_has_the_format_of_rfc_791() {
    let (source, destination) = ([192, 0, 2, 1], [198, 51, 100, 2]);
    let outer = |df| outer(Address::from_v4(source), Address::from_v4(destination), df);
    let mut header = [0xff; 20];
    outer(false).write_v4(&mut header, 0xabcd);
    let expected = [
        0x45, 0xb9, 0, 0, 0xab, 0xcd, 0, 0, 63, 4, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2,
    ];
    assert_eq!(header, expected);
    // A packet that is not fragmented needs no identification.
    outer(true).write_v4(&mut header, 0xabcd);
    assert_eq!(header[4..8], [0, 0, 0x40, 0]);
    assert_eq!(header[8..], expected[8..]);
}

#[test]
fn the_outer_ipv6_header_has_the_format_of_rfc_8200() {
    let source: [u8; 16] = core::array::from_fn(|i| 0x20 + i as u8);
    let destination: [u8; 16] = core::array::from_fn(|i| 0x40 + i as u8);
    let outer = outer(
        Address::from_v6(source),
        Address::from_v6(destination),
        true,
    );
    let mut header = [0xff; 40];
    outer.write_v6(&mut header, 0x1234);
    assert_eq!(header[..8], [0x6b, 0x90, 0, 0, 0x12, 0x34, 4, 63]);
    assert_eq!(header[8..24], source);
    assert_eq!(header[24..], destination);
    // Longer ones are segmented by the device.
    outer.write_v6(&mut header, 65_535);
    assert_eq!(header[4..6], [0xff, 0xff]);
    outer.write_v6(&mut header, 65_536);
    assert_eq!(header[4..6], [0, 0]);
}

#[test]
fn the_outer_header_announces_the_protocol_of_the_tunnel() {
    let gue = Tunnel::Gue {
        port: 6080,
        checksum: GueChecksum::None,
    };
    let gre = Tunnel::Gre { checksum: false };
    for (tunnel, v4, v6) in [(Tunnel::Ipip, 4, 41), (gue, 17, 17), (gre, 47, 47)] {
        assert_eq!(tunnel.protocol(Family::V4), v4);
        assert_eq!(tunnel.protocol(Family::V6), v6);
    }
}

proptest! {
    #[test]
    fn a_sufficient_mtu_is_sufficient(
        v6: bool,
        len in 0u32..70_000,
        hop_limit: u8,
        dont_fragment: bool,
        overhead in 0u16..100,
        largest_fragment: u16,
        from_loopback: bool,
    ) {
        let handling = Handling { traffic_class: 0, hop_limit, dont_fragment, from_loopback };
        let mtu = sufficient_mtu(handling, len, overhead);
        let family = if v6 { Family::V6 } else { Family::V4 };
        let candidate = Candidate { family, len, handling, largest_fragment };
        let limits = Limits { mtu, overhead, ignore_df: false };
        // No route has an MTU of u32::MAX, so a packet that must not be sent is always checked.
        prop_assert_eq!(mtu == u32::MAX, hop_limit <= 1 || from_loopback);
        if mtu != u32::MAX {
            prop_assert_eq!(check(candidate, limits, single), Check::Pass);
        }
    }
}
