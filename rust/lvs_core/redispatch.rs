// SPDX-License-Identifier: GPL-2.0-only

//! The choice of another server for a client whose server does not answer.
//!
//! "LinuxDirector: A Connection Director for Scalable Internet Services" (section 8) wants requests
//! to survive the failure of their server. A TCP client repeats its SYN until somebody answers, so
//! the director can send each repetition to another server.

use crate::{
    scheduler::{capacity, Destination},
    state::State,
};

/// True for a connection in `state` that has no answer yet, so that no request can have reached its
/// server. `answered` says whether the director has seen a packet of the server.
#[must_use]
pub const fn awaits_answer(state: State, answered: bool) -> bool {
    state.is_handshake() && !answered
}

/// Returns the index of another server than `failed` that accepts connections, for a client with
/// this port; `None` if there is no other one.
///
/// The scheduler is not asked, since many schedulers would choose the same server again: it has the
/// fewest connections, or the client's hash. Instead, every client port has an order of its own: a
/// fixed step through the list, as in double hashing (Knuth, The Art of Computer Programming 3,
/// section 6.4). So repeated SYNs of one client try every server once before they return to the
/// first, and the clients of a failed server spread over all others.
pub fn another<S: Destination>(
    destinations: &[S],
    failed: Option<usize>,
    port: u16,
) -> Option<usize> {
    // Modulo a prime, every step visits every index.
    let modulus = prime_from(destinations.len());
    let spread = modulus.saturating_sub(1).max(1);
    let step = usize::from(port).checked_rem(spread)?.saturating_add(1);
    let mut index = failed.unwrap_or(0);
    for _ in 0..modulus {
        index = index.wrapping_add(step).checked_rem(modulus)?;
        // The list is shorter than the modulus.
        let accepts = destinations.get(index).and_then(capacity).is_some();
        if accepts && Some(index) != failed {
            return Some(index);
        }
    }
    None
}

/// Returns the least prime that is `number` or more. A gap between primes of 32 bits is below 400.
fn prime_from(number: usize) -> usize {
    let first = number.max(2);
    let mut candidates = first..=first.saturating_add(400);
    candidates.find(|number| is_prime(*number)).unwrap_or(first)
}

fn is_prime(number: usize) -> bool {
    let divides = |divisor: usize| number.checked_rem(divisor) == Some(0);
    let small = |divisor: &usize| divisor.saturating_mul(*divisor) <= number;
    !(2..).take_while(small).any(divides)
}
