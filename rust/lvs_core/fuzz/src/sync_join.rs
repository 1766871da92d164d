// SPDX-License-Identifier: GPL-2.0-only

use super::sync::{NoKey, Sum};
use lvs_core::sync::{
    inbox::{Admitted, Inbox, Rejection},
    message::{self, Done, Hello, Message, Welcome},
    stamp::Stamp,
};

/// Steps of a backup that joins, each of some octets: time passes, or a message arrives.
pub fn run(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else {
        return;
    };
    let is_signed = first & 1 != 0;
    let mut inbox = Inbox::new(0, 1, 0);
    let (mut now, mut random) = (0u32, 1);
    while let Some(([order, a, b, c], more)) = rest.split_first_chunk() {
        rest = more;
        let number = u32::from_be_bytes([0, 0, *b, *c]);
        let nonce = if order & 0x80 != 0 { random } else { 9 };
        let message = match order & 7 {
            0 => {
                now = now.wrapping_add(number);
                let was_ready = inbox.join().ready();
                let asks = inbox.ask(now).is_some();
                assert!(!asks || inbox.join().is_asking());
                assert!(was_ready.is_none() || inbox.join().ready().is_some());
                continue;
            }
            1 => Some(Message::Welcome(Welcome {
                nonce,
                sweep: u32::from(*a),
                has_begun: order & 0x40 != 0,
            })),
            2 => Some(Message::Done(Done {
                sweep: u32::from(*a),
                entries: number << 16,
            })),
            3 => Some(Message::Hello(Hello {
                nonce,
                epoch: 1,
                sweep: 1,
                wants_sweep: true,
            })),
            4 => {
                inbox.restart(now);
                continue;
            }
            _ => None,
        };
        let stamp = Stamp {
            epoch: u64::from((order >> 3) & 7),
            sequence: number,
        };
        let mut buffer = [0; message::LONGEST];
        let mut next = random;
        let renew = || {
            next += 1;
            next
        };
        let taken = match is_signed {
            true => {
                let len = message::write(&mut buffer, 0, message, stamp, &Sum).unwrap();
                check(inbox.admit(&buffer[..len], &Sum, now, renew))
            }
            false => {
                let len = message::write(&mut buffer, 0, message, stamp, &NoKey).unwrap();
                check(inbox.admit(&buffer[..len], &NoKey, now, renew))
            }
        };
        random = next;
        // The same datagram again is never taken, unless it is for masters.
        let is_hello = matches!(message, Some(Message::Hello(_)));
        if is_signed && taken && !is_hello {
            let len = message::write(&mut buffer, 0, message, stamp, &Sum).unwrap();
            let again = inbox.admit(&buffer[..len], &Sum, now, || 0);
            assert_eq!(again.map(drop), Err(Rejection::Repeated));
        }
    }
}

fn check(taken: Result<Admitted<'_>, Rejection>) -> bool {
    taken.is_ok()
}
