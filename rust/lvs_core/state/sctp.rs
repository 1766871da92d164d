// SPDX-License-Identifier: GPL-2.0-only

//! What packets of SCTP do to the state of an association (RFC 9260, sections 4 and 9).
//!
//! The states are those of the server. The director infers them from the first chunk of each
//! packet, in both directions (NAT) or in that of the client only (TUN, DR).

use super::known::{Direction, State};
use crate::packet::sctp::Event;

/// The phase of an association, from its state: what most events depend on.
const fn is_closing(state: State) -> bool {
    matches!(
        state,
        State::SctpShutdownSent | State::SctpShutdownReceived | State::SctpShutdownAckSent
    )
}

const fn is_over(state: State) -> bool {
    matches!(state, State::SctpRejected | State::SctpClosed)
}

/// Returns the state after a packet. A new association starts in [`State::None`].
pub(super) const fn after(state: State, direction: Direction, event: Event) -> State {
    match direction {
        Direction::Input => after_client(state, event),
        Direction::Output => after_server(state, event),
        Direction::InputOnly => after_client_alone(state, event),
    }
}

/// The state after a client's packet, if the director sees the server's as well.
const fn after_client(state: State, event: Event) -> State {
    use State::{
        None, SctpClosed as Closed, SctpCookie as Cookie, SctpCookieEchoed as Echoed,
        SctpCookieReplied as Replied, SctpCookieSent as Sent, SctpCookieWait as Wait,
        SctpEstablished as Established, SctpInit as Init, SctpInit1 as Init1,
        SctpRejected as Rejected, SctpShutdownAckSent as AckSent, SctpShutdownReceived as Received,
        SctpShutdownSent as ShutdownSent,
    };
    match (event, state) {
        // The director took over an association.
        (Event::Data | Event::CookieAck, None) => Established,
        (Event::Init, None) => Init1,
        // The first INIT got no answer, or the former association is over.
        (Event::Init, Init1 | Init | Rejected | Closed) => Init,
        // The server had opened the association.
        (Event::InitAck, None | Init1 | Init) => Wait,
        (Event::InitAck, Wait) => Cookie,
        (Event::CookieEcho, None | Sent) => Replied,
        (Event::CookieEcho | Event::ShutdownAck, Init1) => Init,
        (Event::CookieAck, Echoed) => Established,
        (Event::Shutdown, None | Established) => Received,
        (Event::ShutdownAck, None | ShutdownSent | AckSent) => Closed,
        (Event::ShutdownComplete, None | Init1 | Init | AckSent) => Closed,
        (Event::Error, None | Echoed) => Closed,
        (Event::Abort, Wait) => Rejected,
        (Event::Abort, _) => Closed,
        _ => state,
    }
}

/// The state after a server's packet.
const fn after_server(state: State, event: Event) -> State {
    use State::{
        None, SctpClosed as Closed, SctpCookieEchoed as Echoed, SctpCookieReplied as Replied,
        SctpCookieSent as Sent, SctpCookieWait as Wait, SctpEstablished as Established,
        SctpInit as Init, SctpInit1 as Init1, SctpRejected as Rejected,
        SctpShutdownAckSent as AckSent, SctpShutdownReceived as Received,
        SctpShutdownSent as ShutdownSent,
    };
    match (event, state) {
        (Event::Data, None) => Established,
        // A server that opens an association forgets a former one, except one in use.
        (Event::Init, Established) => Established,
        (Event::Init, _) => Wait,
        (Event::InitAck, None | Init1 | Init) => Sent,
        (Event::CookieEcho | Event::CookieAck | Event::Shutdown, _)
            if is_closing(state) || is_over(state) =>
        {
            state
        }
        (Event::CookieEcho, Established) => Established,
        (Event::CookieEcho, _) => Echoed,
        (Event::CookieAck, _) => Established,
        (Event::Shutdown, _) => ShutdownSent,
        (Event::ShutdownAck, None | Init1 | Init | Sent | Replied | ShutdownSent | Received) => {
            AckSent
        }
        (Event::ShutdownComplete, None) => Closed,
        (Event::Error, None | Init1 | Init | Sent | Replied) => Closed,
        // The server refuses the association.
        (Event::Abort, Init1) => Rejected,
        (Event::Abort, _) => Closed,
        _ => state,
    }
}

/// The state after a client's packet, if the director does not see the server's.
const fn after_client_alone(state: State, event: Event) -> State {
    use State::{
        None, SctpClosed as Closed, SctpCookie as Cookie, SctpCookieEchoed as Echoed,
        SctpCookieReplied as Replied, SctpCookieSent as Sent, SctpCookieWait as Wait,
        SctpEstablished as Established, SctpInit as Init, SctpInit1 as Init1,
        SctpShutdownAckSent as AckSent, SctpShutdownReceived as Received,
        SctpShutdownSent as ShutdownSent,
    };
    let opens = matches!(state, None | Init1 | Init | Sent | Replied | Wait);
    match (event, state) {
        (Event::Data, None | Wait) => Established,
        (Event::Init, None) => Init1,
        (Event::Init, _) if opens || is_over(state) => Init,
        // The server's answers were not seen, so the client's say how far it is.
        (Event::InitAck, _) if opens => Echoed,
        (Event::CookieEcho, _) if opens => Established,
        (Event::CookieAck, None | Sent | Replied | Cookie | Echoed) => Established,
        (Event::Shutdown, None | Established) => Received,
        (Event::ShutdownAck, None | Established | ShutdownSent | AckSent) => Closed,
        (Event::ShutdownAck, Init1) => Init,
        (Event::ShutdownComplete, None | Init1 | Init | Sent | Replied | Received | AckSent) => {
            Closed
        }
        (Event::Error, None) => Closed,
        (Event::Abort, Wait) => State::SctpRejected,
        (Event::Abort, _) => Closed,
        _ => state,
    }
}
