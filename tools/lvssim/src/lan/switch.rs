// SPDX-License-Identifier: GPL-2.0-only

//! A switched network: every interface has a full-duplex link to a switch, which stores frames and
//! forwards them. Nothing collides. A frame waits in the queue of its sender's interface and in the
//! switch's queue for its receiver's link.

use crate::engine::Time;

use super::mac::{frame_bits, Frame, Interface};

/// One direction of a link: it sends one frame after the other.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// When it has sent all that it was given.
    free: Time,
    /// Frames that may wait.
    limit: usize,
}

impl Link {
    /// When a frame that is handed over now has been sent; `None` if the queue is full.
    fn send(&mut self, now: Time, duration: Time) -> Option<Time> {
        let waiting = self.free.saturating_sub(now).div_ceil(duration.max(1));
        if waiting as usize >= self.limit {
            return None;
        }
        self.free = self.free.max(now) + duration;
        Some(self.free)
    }
}

/// All links of all switches.
pub(super) struct Switch {
    /// Picoseconds of a bit.
    bit: u64,
    propagation: Time,
    /// From an interface to its switch, and back.
    links: Vec<[Link; 2]>,
    /// Frames that interfaces have sent.
    pub(super) frames: u64,
}

impl Switch {
    /// Switches whose links have so many Mb/s; `limits` are the queues of the interfaces, and
    /// `limit` those of the switches' ports.
    pub(super) fn new(megabits: u64, propagation: Time, limits: &[usize], limit: usize) -> Self {
        let link = |limit| Link { free: 0, limit };
        Self {
            bit: 1_000_000 / megabits,
            propagation,
            links: limits.iter().map(|own| [link(*own), link(limit)]).collect(),
            frames: 0,
        }
    }

    fn hop(&mut self, now: Time, interface: Interface, way: usize, frame: Frame) -> Option<Time> {
        let duration = self.bit * frame_bits(frame) / 1000;
        let link = &mut self.links[interface as usize][way];
        link.send(now, duration).map(|sent| sent + self.propagation)
    }

    /// An interface sends a frame; gives the time at which the switch has it, or `None` if the
    /// interface's queue is full.
    pub(super) fn send(&mut self, now: Time, from: Interface, frame: Frame) -> Option<Time> {
        let arrival = self.hop(now, from, 0, frame)?;
        self.frames += 1;
        Some(arrival)
    }

    /// The switch forwards a frame; gives the time at which its receiver has it, or `None` if the
    /// port's queue is full.
    pub(super) fn forward(&mut self, now: Time, frame: Frame) -> Option<Time> {
        self.hop(now, frame.to, 1, frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        packet: 0,
        to: 1,
        size: 500,
    };

    #[test]
    fn frames_wait_for_each_other_until_the_queue_is_full() {
        let mut switch = Switch::new(100, 1_000, &[2, 2], 100);
        // 514 octets at 100 Mb/s take 41.12 us.
        let times = [(); 3].map(|()| switch.send(0, 0, FRAME));
        assert_eq!(times, [Some(42_120), Some(83_240), None]);
        assert_eq!(switch.forward(42_120, FRAME), Some(42_120 + 42_120));
        assert_eq!(switch.frames, 2);
    }

    #[test]
    fn both_directions_of_a_link_are_free_of_each_other() {
        let mut switch = Switch::new(100, 0, &[9, 9], 9);
        let to_zero = Frame { to: 0, ..FRAME };
        assert_eq!(switch.send(0, 0, FRAME), Some(41_120));
        assert_eq!(switch.forward(0, to_zero), Some(41_120));
    }
}
