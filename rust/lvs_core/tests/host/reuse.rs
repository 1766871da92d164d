// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::{
    destination::Forwarding,
    reuse::{Settings, Usability, CLOSED, CLOSING},
    state::State,
};

const STATES: [State; 12] = [
    State::None,
    State::Established,
    State::SynSent,
    State::SynRecv,
    State::FinWait,
    State::TimeWait,
    State::Close,
    State::CloseWait,
    State::LastAck,
    State::Listen,
    State::SynAck,
    State::Udp,
];
const METHODS: [Forwarding; 4] = [
    Forwarding::Masquerading,
    Forwarding::Local,
    Forwarding::Tunneling,
    Forwarding::DirectRouting,
];

fn settings(mode: u32, expires_without_server: bool) -> Settings {
    Settings {
        mode,
        expires_without_server,
    }
}

/// The states in which a client gets a new connection.
fn reusable(settings: Settings, forwarding: Forwarding, weight: u32) -> Vec<State> {
    STATES
        .into_iter()
        .filter(|state| settings.allows_new(*state, forwarding, weight))
        .collect()
}

#[test]
fn a_port_is_reused_after_the_states_that_the_mode_allows() {
    for forwarding in METHODS {
        let without_replies = forwarding != Forwarding::Masquerading;
        for expires in [false, true] {
            let reusable = |mode| reusable(settings(mode, expires), forwarding, 1);
            assert_eq!(reusable(0), []);
            assert_eq!(reusable(CLOSED), [State::TimeWait, State::Close]);
            for mode in [CLOSING, CLOSED | CLOSING] {
                let closing: &[State] = match without_replies {
                    true => &[State::FinWait, State::TimeWait, State::Close],
                    false => &[State::TimeWait, State::Close],
                };
                assert_eq!(reusable(mode), closing, "{forwarding:?}, mode {mode}");
            }
        }
    }
}

#[test]
fn clients_leave_a_quiesced_server_only_with_expire_nodest_conn() {
    for forwarding in METHODS {
        for mode in 0..4 {
            assert_eq!(reusable(settings(mode, true), forwarding, 0), STATES);
            assert_eq!(
                reusable(settings(mode, false), forwarding, 0),
                reusable(settings(mode, false), forwarding, 1)
            );
        }
    }
}

#[test]
fn a_deleted_destination_ends_connections_only_with_expire_nodest_conn() {
    for mode in 0..4 {
        let [keeps, expires] = [false, true].map(|expires| settings(mode, expires));
        assert_eq!(keeps.without_destination(false), Usability::Unavailable);
        assert_eq!(keeps.without_destination(true), Usability::Abandoned);
        assert_eq!(expires.without_destination(false), Usability::Over);
        assert_eq!(expires.without_destination(true), Usability::Over);
    }
}
