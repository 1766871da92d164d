// SPDX-License-Identifier: GPL-2.0-only

//! How long an entry stays without a packet, by the state of its connection.

use crate::state::State;

/// The longest timeout that can be set, in seconds, about 99 days: it fits into a signed 32-bit
/// number of clock ticks at 250 Hz.
pub const MAX_SECONDS: u32 = 8_589_934;

/// A timeout above [`MAX_SECONDS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange;

/// The timeouts of all states, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts([u32; State::COUNT]);

impl Timeouts {
    /// The defaults: 15 minutes for an established connection, 2 minutes after a FIN, 5 minutes for
    /// UDP.
    pub const fn new() -> Self {
        Self([
            2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300, 0, 4, 61, 61, 61, 61, 61, 61,
            900, 61, 61, 61, 4, 61,
        ])
    }

    /// Returns the seconds that an entry in this state stays after its last packet.
    #[inline]
    pub fn of(&self, state: State) -> u32 {
        // The array has a place for every state, and the compiler sees that.
        self.0.get(state as usize).copied().unwrap_or(0)
    }

    /// Seconds for an established TCP connection.
    #[inline]
    pub fn established(&self) -> u32 {
        self.of(State::Established)
    }

    /// Seconds for a TCP connection after a FIN.
    #[inline]
    pub fn fin_wait(&self) -> u32 {
        self.of(State::FinWait)
    }

    /// Seconds for a UDP flow.
    #[inline]
    pub fn udp(&self) -> u32 {
        self.of(State::Udp)
    }

    /// Sets the timeouts that an administrator can set, in seconds. 0 keeps a timeout.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if one is above [`MAX_SECONDS`]; then none is changed.
    pub fn set(&mut self, tcp: u32, tcp_fin: u32, udp: u32) -> Result<(), OutOfRange> {
        if tcp > MAX_SECONDS || tcp_fin > MAX_SECONDS || udp > MAX_SECONDS {
            return Err(OutOfRange);
        }
        let [_, established, _, _, fin_wait, _, _, _, _, _, _, udp_flow, ..] = &mut self.0;
        for (seconds, place) in [(tcp, established), (tcp_fin, fin_wait), (udp, udp_flow)] {
            if seconds != 0 {
                *place = seconds;
            }
        }
        Ok(())
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}
