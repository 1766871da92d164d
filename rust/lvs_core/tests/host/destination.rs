// SPDX-License-Identifier: GPL-2.0-only

//! Forwarding methods and their numbers.

use lvs_core::{
    destination::{Forwarding, Settings},
    sync::Flags,
    tunnel,
};

const METHODS: [(u32, Forwarding); 6] = [
    (0, Forwarding::Masquerading),
    (1, Forwarding::Local),
    (2, Forwarding::Tunneling),
    (3, Forwarding::DirectRouting),
    (4, Forwarding::Bypass),
    (0x80, Forwarding::DirectReply),
];

#[test]
fn each_number_has_its_method() {
    for number in 0..0x200 {
        let known = METHODS.iter().find(|(known, _)| *known == number);
        let wanted = known.map(|(_, method)| *method);
        assert_eq!(Forwarding::from_number(number), wanted, "{number}");
        assert_eq!(wanted.map_or(number, |method| method.number()), number);
    }
}

#[test]
fn synchronization_keeps_the_method() {
    for (number, method) in METHODS {
        let flags = Flags::new(method);
        assert_eq!(flags.forwarding(), Some(method), "{number}");
        // The C director sends this flag with methods whose replies it does not see.
        let with = flags.with(Flags::NO_OUTPUT).forwarding();
        let wanted = match method {
            Forwarding::Masquerading => Forwarding::DirectReply,
            other => other,
        };
        assert_eq!(with, Some(wanted), "{number}");
    }
}

#[test]
fn only_nat_rewrites_and_only_its_replies_need_an_entry() {
    for (_, forwarding) in METHODS {
        let nat = [Forwarding::Masquerading, Forwarding::DirectReply];
        assert_eq!(forwarding.rewrites(), nat.contains(&forwarding));
        let no_name = nat.contains(&forwarding) || forwarding == Forwarding::Bypass;
        assert_eq!(forwarding.name() == "Masq", no_name);
        let settings = Settings {
            forwarding,
            tunnel: tunnel::Numbers::default(),
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
        };
        let entry = [Forwarding::Masquerading, Forwarding::Bypass];
        let wanted = !entry.contains(&forwarding);
        assert_eq!(settings.allow_stateless(), wanted, "{forwarding:?}");
    }
}
