// SPDX-License-Identifier: GPL-2.0-only

use std::collections::HashMap;

use lvs_core::packet::TcpFlags;
use lvs_core::state::{Direction, State};
use lvs_core::timeout::{OutOfRange, Timeouts, MAX_SECONDS};
use lvs_core::Protocol;

/// All states in the order of their numbers, with name, activity and default timeout in seconds.
const STATES: [(State, &str, bool, u32); State::COUNT] = [
    (State::None, "NONE", false, 2),
    (State::Established, "ESTABLISHED", true, 900),
    (State::SynSent, "SYN_SENT", true, 120),
    (State::SynRecv, "SYN_RECV", true, 60),
    (State::FinWait, "FIN_WAIT", false, 120),
    (State::TimeWait, "TIME_WAIT", false, 120),
    (State::Close, "CLOSE", false, 10),
    (State::CloseWait, "CLOSE_WAIT", false, 60),
    (State::LastAck, "LAST_ACK", false, 30),
    (State::Listen, "LISTEN", false, 120),
    (State::SynAck, "SYNACK", true, 120),
    (State::Udp, "UDP", false, 300),
    (State::Assured, "ASSURED", false, 0),
    (State::SctpInit1, "INIT1", false, 4),
    (State::SctpInit, "INIT", false, 61),
    (State::SctpCookieSent, "C-SENT", false, 61),
    (State::SctpCookieReplied, "C-REPLIED", false, 61),
    (State::SctpCookieWait, "C-WAIT", false, 61),
    (State::SctpCookie, "COOKIE", false, 61),
    (State::SctpCookieEchoed, "C-ECHOED", false, 61),
    (State::SctpEstablished, "ESTABLISHED", true, 900),
    (State::SctpShutdownSent, "S-SENT", false, 61),
    (State::SctpShutdownReceived, "S-RECEIVED", false, 61),
    (State::SctpShutdownAckSent, "S-ACK-SENT", false, 61),
    (State::SctpRejected, "REJECTED", false, 4),
    (State::SctpClosed, "CLOSED", false, 61),
];

/// The transitions of IPVS: for each state, the state after SYN, FIN, ACK and RST.
const INPUT: &str = "
    NONE        : SYN_RECV    CLOSE      ESTABLISHED CLOSE
    ESTABLISHED : ESTABLISHED CLOSE_WAIT ESTABLISHED CLOSE
    SYN_SENT    : ESTABLISHED SYN_SENT   SYN_SENT    CLOSE
    SYN_RECV    : SYN_RECV    TIME_WAIT  ESTABLISHED SYN_RECV
    FIN_WAIT    : SYN_RECV    TIME_WAIT  FIN_WAIT    CLOSE
    TIME_WAIT   : SYN_RECV    TIME_WAIT  TIME_WAIT   CLOSE
    CLOSE       : SYN_RECV    CLOSE      CLOSE       CLOSE
    CLOSE_WAIT  : SYN_RECV    CLOSE_WAIT CLOSE_WAIT  CLOSE
    LAST_ACK    : SYN_RECV    LAST_ACK   CLOSE       LAST_ACK
    LISTEN      : SYN_RECV    LISTEN     LISTEN      LISTEN
    SYNACK      : SYN_RECV    TIME_WAIT  ESTABLISHED SYN_RECV
";

const OUTPUT: &str = "
    NONE        : SYN_SENT    TIME_WAIT  ESTABLISHED CLOSE
    ESTABLISHED : ESTABLISHED FIN_WAIT   ESTABLISHED CLOSE
    SYN_SENT    : SYN_SENT    SYN_SENT   SYN_SENT    SYN_SENT
    SYN_RECV    : SYN_RECV    TIME_WAIT  ESTABLISHED CLOSE
    FIN_WAIT    : SYN_SENT    FIN_WAIT   FIN_WAIT    CLOSE
    TIME_WAIT   : SYN_SENT    TIME_WAIT  TIME_WAIT   TIME_WAIT
    CLOSE       : SYN_SENT    CLOSE      CLOSE       CLOSE
    CLOSE_WAIT  : SYN_SENT    TIME_WAIT  CLOSE_WAIT  CLOSE
    LAST_ACK    : SYN_SENT    LAST_ACK   LAST_ACK    CLOSE
    LISTEN      : LISTEN      LISTEN     ESTABLISHED CLOSE
    SYNACK      : SYN_RECV    TIME_WAIT  ESTABLISHED CLOSE
";

const INPUT_ONLY: &str = "
    NONE        : SYN_RECV    CLOSE      ESTABLISHED CLOSE
    ESTABLISHED : ESTABLISHED FIN_WAIT   ESTABLISHED CLOSE
    SYN_SENT    : ESTABLISHED SYN_SENT   SYN_SENT    CLOSE
    SYN_RECV    : SYN_RECV    TIME_WAIT  ESTABLISHED SYN_RECV
    FIN_WAIT    : SYN_RECV    FIN_WAIT   FIN_WAIT    CLOSE
    TIME_WAIT   : SYN_RECV    TIME_WAIT  TIME_WAIT   CLOSE
    CLOSE       : SYN_RECV    CLOSE      CLOSE       CLOSE
    CLOSE_WAIT  : SYN_RECV    CLOSE_WAIT CLOSE_WAIT  CLOSE
    LAST_ACK    : SYN_RECV    LAST_ACK   CLOSE       LAST_ACK
    LISTEN      : SYN_RECV    LISTEN     LISTEN      LISTEN
    SYNACK      : SYN_RECV    TIME_WAIT  ESTABLISHED CLOSE
";

/// The rows that differ when handshakes are guarded.
const GUARDED_INPUT: &str = "
    SYN_RECV    : SYN_RECV    TIME_WAIT  SYN_RECV    SYN_RECV
    SYNACK      : SYNACK      SYNACK     SYNACK      CLOSE
";

const GUARDED_OUTPUT: &str = "
    SYN_RECV    : SYNACK      TIME_WAIT  ESTABLISHED CLOSE
    SYNACK      : SYNACK      TIME_WAIT  ESTABLISHED CLOSE
";

const GUARDED_INPUT_ONLY: &str = "
    NONE        : SYNACK      CLOSE      ESTABLISHED CLOSE
    FIN_WAIT    : SYNACK      FIN_WAIT   FIN_WAIT    CLOSE
    TIME_WAIT   : SYNACK      TIME_WAIT  TIME_WAIT   CLOSE
    CLOSE       : SYNACK      CLOSE      CLOSE       CLOSE
    CLOSE_WAIT  : SYNACK      CLOSE_WAIT CLOSE_WAIT  CLOSE
    LAST_ACK    : SYNACK      LAST_ACK   CLOSE       LAST_ACK
    LISTEN      : SYNACK      LISTEN     LISTEN      LISTEN
    SYNACK      : SYNACK      TIME_WAIT  ESTABLISHED CLOSE
";

const DIRECTIONS: [(Direction, &str); 3] = [
    (Direction::Input, INPUT),
    (Direction::Output, OUTPUT),
    (Direction::InputOnly, INPUT_ONLY),
];

fn named(name: &str) -> State {
    STATES.iter().find(|(_, n, ..)| *n == name).unwrap().0
}

/// The column of the tables for a segment with these flags. None without any of the four.
fn column(flags: u8) -> Option<usize> {
    let [fin, syn, rst, ack] = [0x01, 0x02, 0x04, 0x10].map(|bit| flags & bit != 0);
    match () {
        () if rst => Some(3),
        () if syn => Some(0),
        () if fin => Some(1),
        () if ack => Some(2),
        () => None,
    }
}

#[test]
fn every_state_direction_and_flags_have_the_documented_next_state() {
    let mut seen = 0;
    for (direction, table) in DIRECTIONS {
        for row in table.lines().filter(|row| row.contains(':')) {
            let (from, after) = row.split_once(':').unwrap();
            let from = named(from.trim());
            let after: Vec<State> = after.split_whitespace().map(named).collect();
            assert_eq!(after.len(), 4);
            for flags in 0..=u8::MAX {
                let expected = column(flags).map_or(State::Close, |column| after[column]);
                assert_eq!(
                    from.after(Protocol::Tcp, direction, TcpFlags::from_bits(flags)),
                    expected,
                    "{from:?} {direction:?} flags {flags:#04x}"
                );
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 3 * 11 * 256);
}

#[test]
fn guarded_handshakes_have_the_documented_states() {
    let guarded = [GUARDED_INPUT, GUARDED_OUTPUT, GUARDED_INPUT_ONLY];
    for ((direction, _), table) in DIRECTIONS.into_iter().zip(guarded) {
        let rows: HashMap<State, Vec<State>> = table
            .lines()
            .filter_map(|row| row.split_once(':'))
            .map(|(from, after)| {
                let after = after.split_whitespace().map(named).collect();
                (named(from.trim()), after)
            })
            .collect();
        for (from, ..) in STATES {
            for flags in 0..=u8::MAX {
                let bits = TcpFlags::from_bits(flags);
                let usual = from.after(Protocol::Tcp, direction, bits);
                let expected = match (rows.get(&from), column(flags)) {
                    (Some(row), Some(column)) => row[column],
                    // TCP never has the state of UDP, of a template or of SCTP.
                    _ if from as u8 >= State::Udp as u8 && column(flags) == Some(0) => {
                        continue;
                    }
                    _ => usual,
                };
                assert_eq!(
                    from.after_guarded(Protocol::Tcp, direction, bits),
                    expected,
                    "{from:?} {direction:?} flags {flags:#04x}"
                );
                assert_eq!(
                    from.after_guarded(Protocol::Udp, direction, bits),
                    State::Udp
                );
            }
        }
    }
}

/// TCP never has the state of UDP. If it had, the connection would count as new.
#[test]
fn the_udp_state_is_like_none_for_tcp() {
    for (direction, _) in DIRECTIONS {
        for flags in (0..=u8::MAX).map(TcpFlags::from_bits) {
            assert_eq!(
                State::Udp.after(Protocol::Tcp, direction, flags),
                State::None.after(Protocol::Tcp, direction, flags)
            );
        }
    }
}

#[test]
fn udp_has_one_state() {
    for (from, ..) in STATES {
        for (direction, _) in DIRECTIONS {
            for flags in (0..=u8::MAX).map(TcpFlags::from_bits) {
                assert_eq!(from.after(Protocol::Udp, direction, flags), State::Udp);
            }
        }
    }
}

#[test]
fn states_have_their_numbers_names_and_activity() {
    for (number, (state, name, active, _)) in STATES.into_iter().enumerate() {
        assert_eq!(state as usize, number);
        assert_eq!(State::from_u8(number as u8), state);
        assert_eq!(state.name(), name);
        assert_eq!(state.is_active(), active, "{name}");
    }
    for number in STATES.len() as u8..=u8::MAX {
        assert_eq!(State::from_u8(number), State::None);
    }
}

/// Follows a connection packet by packet: direction ('>' from the client) and flags.
fn follow(nat: bool, packets: &str) -> Vec<&'static str> {
    let mut state = State::None;
    let mut states = vec![];
    for packet in packets.split_whitespace() {
        let (direction, letters) = packet.split_at(1);
        let direction = match (direction, nat) {
            (">", true) => Direction::Input,
            (">", false) => Direction::InputOnly,
            ("<", true) => Direction::Output,
            _ => panic!("no replies are seen here"),
        };
        let flags = letters.chars().fold(TcpFlags::EMPTY, |flags, letter| {
            flags
                | match letter {
                    'S' => TcpFlags::SYN,
                    'F' => TcpFlags::FIN,
                    'R' => TcpFlags::RST,
                    'P' => TcpFlags::PSH,
                    'A' => TcpFlags::ACK,
                    _ => panic!("{letter}"),
                }
        });
        state = state.after(Protocol::Tcp, direction, flags);
        states.push(state.name());
    }
    states
}

#[test]
fn whole_connections_pass_through_the_expected_states() {
    assert_eq!(
        follow(true, ">S <SA >A >PA <PA <FA >A >FA <A"),
        [
            "SYN_RECV",
            "SYN_RECV",
            "ESTABLISHED",
            "ESTABLISHED",
            "ESTABLISHED",
            "FIN_WAIT",
            "FIN_WAIT",
            "TIME_WAIT",
            "TIME_WAIT"
        ],
        "NAT, the server closes first"
    );
    assert_eq!(
        follow(true, ">S <SA >A >FA <A <FA >A"),
        [
            "SYN_RECV",
            "SYN_RECV",
            "ESTABLISHED",
            "CLOSE_WAIT",
            "CLOSE_WAIT",
            "TIME_WAIT",
            "TIME_WAIT"
        ],
        "NAT, the client closes first"
    );
    assert_eq!(
        follow(false, ">S >A >PA >FA >A"),
        [
            "SYN_RECV",
            "ESTABLISHED",
            "ESTABLISHED",
            "FIN_WAIT",
            "FIN_WAIT"
        ],
        "direct routing"
    );
    assert_eq!(
        follow(true, ">S <RA"),
        ["SYN_RECV", "CLOSE"],
        "the server refuses"
    );
}

#[test]
fn the_default_timeouts_are_those_of_the_c_director() {
    let timeouts = Timeouts::new();
    for (state, name, _, seconds) in STATES {
        assert_eq!(timeouts.of(state), seconds, "{name}");
    }
    assert_eq!(timeouts.established(), 900);
    assert_eq!(timeouts.fin_wait(), 120);
    assert_eq!(timeouts.udp(), 300);
    assert_eq!(timeouts, Timeouts::default());
}

#[test]
fn three_timeouts_can_be_set() {
    // The three values, then the expected ones. Nothing else changes.
    let mut timeouts = Timeouts::new();
    for (set, expected) in [
        ((0, 0, 0), (900, 120, 300)),
        ((7, 0, 0), (7, 120, 300)),
        ((0, 8, 0), (7, 8, 300)),
        ((0, 0, 9), (7, 8, 9)),
        ((1, 2, MAX_SECONDS), (1, 2, MAX_SECONDS)),
        ((MAX_SECONDS, 2, 3), (MAX_SECONDS, 2, 3)),
        ((1, MAX_SECONDS, 3), (1, MAX_SECONDS, 3)),
    ] {
        assert_eq!(timeouts.set(set.0, set.1, set.2), Ok(()));
        for (state, name, _, default) in STATES {
            let seconds = match state {
                State::Established => expected.0,
                State::FinWait => expected.1,
                State::Udp => expected.2,
                _ => default,
            };
            assert_eq!(timeouts.of(state), seconds, "{name} after {set:?}");
        }
        let shown = (timeouts.established(), timeouts.fin_wait(), timeouts.udp());
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_timeout_out_of_range_changes_nothing() {
    let above = MAX_SECONDS + 1;
    for (tcp, tcp_fin, udp) in [
        (above, 1, 1),
        (1, above, 1),
        (1, 1, above),
        (u32::MAX, u32::MAX, u32::MAX),
    ] {
        let mut timeouts = Timeouts::new();
        assert_eq!(timeouts.set(tcp, tcp_fin, udp), Err(OutOfRange));
        assert_eq!(timeouts, Timeouts::new());
    }
    // In ticks of 250 Hz, the greatest timeout just fits a signed 32-bit number.
    assert!(i32::try_from(u64::from(MAX_SECONDS) * 250).is_ok());
    assert!(i32::try_from(u64::from(above) * 250).is_err());
}
