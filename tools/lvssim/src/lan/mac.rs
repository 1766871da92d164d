// SPDX-License-Identifier: GPL-2.0-only

//! A shared half-duplex segment with collisions, as ns-2 2.35 has it (`Mac/802_3`): carrier sense,
//! binary exponential back-off, jam, gap between frames, and a drop-tail queue before each
//! interface.
//!
//! Every interface hears the first bit of a frame a constant time after it was sent. A frame that
//! is short for that time can be sent completely before its collision is heard: it is lost and
//! nobody knows. ns-2 has this, so it is here: what was sent and not received has collided.

use std::collections::VecDeque;

use crate::engine::Time;
use crate::random::Stream;

/// Bits of a slot of back-off, of the gap between frames, and of a jam.
const SLOT_BITS: u64 = 512;
const GAP_BITS: u64 = 96;
const JAM_BITS: u64 = 32;
/// Attempts after which a frame is dropped, and after which back-off grows no more.
const ATTEMPTS: u32 = 16;
const LARGEST_BACKOFF: u32 = 10;
/// Octets of a frame beside the packet, and the shortest frame.
const HEADER: u64 = 14;
const SHORTEST: u64 = 64;

/// The number of an interface in its world.
pub(super) type Interface = u32;

/// What an interface does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Sending,
    Receiving,
}

/// A timer that can be stopped: its events carry the number of their start.
#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    number: u32,
    end: Time,
    running: bool,
}

impl Timer {
    #[inline]
    fn start(&mut self, end: Time) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.end = end;
        self.running = true;
        self.number
    }

    #[inline]
    fn stop(&mut self) {
        self.running = false;
    }

    /// Whether the event of this start is due, and not void.
    #[inline]
    fn is_due(&mut self, number: u32) -> bool {
        let due = self.running && self.number == number;
        self.running &= !due;
        due
    }
}

/// Which timer of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerKind {
    /// The last bit is sent.
    Sent,
    /// The last bit has arrived.
    Received,
    /// The gap after a frame, or after a jam, is over.
    Gap,
    /// Back-off is over.
    Backoff,
}

/// What happens on a segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The first bit of what this interface sends arrives at all others.
    FirstBit {
        /// Who sends.
        from: Interface,
        /// Which packet.
        packet: u32,
    },
    /// A timer of an interface ends.
    Timer {
        /// Whose.
        interface: Interface,
        /// Which.
        kind: TimerKind,
        /// Which start of it.
        number: u32,
    },
}

/// A frame on its way: what it carries and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The number of the packet.
    pub(super) packet: u32,
    /// The interface that it is for.
    pub(super) to: Interface,
    /// Octets of the packet.
    pub(super) size: u32,
}

/// Frames of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Sent, and their sender believes that they arrived.
    pub(super) sent: u64,
    /// Arrived.
    pub(super) received: u64,
    /// Dropped since the queue was full.
    pub(super) dropped: u64,
    /// Dropped after so many collisions.
    pub(super) given_up: u64,
    /// Collisions that the sender heard.
    pub(super) collisions: u64,
}

/// Bits of a frame.
#[inline]
pub(super) fn frame_bits(frame: Frame) -> u64 {
    (u64::from(frame.size) + HEADER).max(SHORTEST) * 8
}

/// An interface.
struct Port {
    segment: usize,
    state: State,
    sent: Timer,
    received: Timer,
    gap: Timer,
    backoff: Timer,
    /// What is being received.
    incoming: Option<Frame>,
    /// The frame to send, until it was sent.
    outgoing: Option<Frame>,
    attempt: u32,
    /// The queue is waiting to be told that the interface is free.
    awaited: bool,
    queue: VecDeque<Frame>,
    limit: usize,
    counts: Counts,
}

/// A segment.
struct Segment {
    /// Picoseconds of a bit.
    bit: u64,
    propagation: Time,
    ports: Vec<Interface>,
}

/// What an interface tells the node that uses it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// A frame for this interface has arrived.
    Arrived(Interface, Frame),
    /// A packet is lost at this interface: its queue is full, or it met too many collisions.
    Lost(Interface, u32),
}

/// All segments and interfaces of a world.
#[derive(Default)]
pub(super) struct Lan {
    segments: Vec<Segment>,
    ports: Vec<Port>,
    /// Frames in the air, by packet number.
    frames: Vec<Frame>,
    /// Events to be put into the queue.
    pub(super) events: Vec<(Time, Event)>,
    /// Notices to be taken.
    pub(super) notices: Vec<Notice>,
}

impl Lan {
    /// A new segment of so many Mb/s.
    pub(super) fn add_segment(&mut self, megabits: u64, propagation: Time) -> usize {
        self.segments.push(Segment {
            bit: 1_000_000 / megabits,
            propagation,
            ports: Vec::new(),
        });
        self.segments.len() - 1
    }

    /// A new interface at a segment, with a queue that is full with so many packets.
    pub(super) fn add_interface(&mut self, segment: usize, limit: usize) -> Interface {
        let number = self.ports.len() as Interface;
        self.ports.push(Port {
            segment,
            state: State::Idle,
            sent: Timer::default(),
            received: Timer::default(),
            gap: Timer::default(),
            backoff: Timer::default(),
            incoming: None,
            outgoing: None,
            attempt: 1,
            awaited: false,
            queue: VecDeque::new(),
            limit,
            counts: Counts::default(),
        });
        // The newest interface hears first, as in ns-2's list of them.
        self.segments[segment].ports.insert(0, number);
        number
    }

    /// The counts of an interface.
    #[must_use]
    pub(super) fn counts(&self, interface: Interface) -> Counts {
        self.ports[interface as usize].counts
    }

    /// The greatest length of an interface's queue.
    pub(super) fn limit(&self, interface: Interface) -> usize {
        self.ports[interface as usize].limit
    }

    /// Interfaces that there are.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = Interface> + use<> {
        0..self.ports.len() as Interface
    }

    #[inline]
    fn bits(&self, interface: Interface, bits: u64) -> Time {
        let segment = self.ports[interface as usize].segment;
        self.segments[segment].bit * bits / 1000
    }

    #[inline]
    fn frame_time(&self, interface: Interface, frame: Frame) -> Time {
        self.bits(interface, frame_bits(frame))
    }

    #[inline]
    fn start(&mut self, now: Time, interface: Interface, kind: TimerKind, after: Time) {
        let port = &mut self.ports[interface as usize];
        let timer = match kind {
            TimerKind::Sent => &mut port.sent,
            TimerKind::Received => &mut port.received,
            TimerKind::Gap => &mut port.gap,
            TimerKind::Backoff => &mut port.backoff,
        };
        let number = timer.start(now + after);
        let event = Event::Timer {
            interface,
            kind,
            number,
        };
        self.events.push((now + after, event));
    }

    /// Puts a packet into the queue of an interface.
    pub(super) fn enqueue(&mut self, now: Time, interface: Interface, frame: Frame) {
        let port = &mut self.ports[interface as usize];
        // The limit of ns-2's drop-tail queue is one packet less than it says.
        if port.queue.len() + 1 >= port.limit {
            port.counts.dropped += 1;
            self.notices.push(Notice::Lost(interface, frame.packet));
            return;
        }
        port.queue.push_back(frame);
        if !port.awaited {
            self.take_next(now, interface);
        }
    }

    /// The interface is free: gives it the next packet of its queue.
    fn take_next(&mut self, now: Time, interface: Interface) {
        let port = &mut self.ports[interface as usize];
        port.awaited = false;
        if let Some(frame) = port.queue.pop_front() {
            port.awaited = true;
            port.outgoing = Some(frame);
            self.transmit(now, interface);
        }
    }

    /// Sends, if the segment seems free; otherwise `resume` tries again.
    fn transmit(&mut self, now: Time, interface: Interface) {
        let port = &mut self.ports[interface as usize];
        let Some(frame) = port.outgoing else {
            return;
        };
        if port.gap.running || port.state != State::Idle {
            return;
        }
        port.state = State::Sending;
        let propagation = self.segments[port.segment].propagation;
        let duration = self.frame_time(interface, frame);
        self.start(now, interface, TimerKind::Sent, duration);
        let place = frame.packet as usize;
        if self.frames.len() <= place {
            self.frames.resize(place + 1, frame);
        }
        self.frames[place] = frame;
        let event = Event::FirstBit {
            from: interface,
            packet: frame.packet,
        };
        self.events.push((now + propagation, event));
    }

    /// The gap is over.
    fn resume(&mut self, now: Time, interface: Interface) {
        let port = &mut self.ports[interface as usize];
        port.state = State::Idle;
        if port.backoff.running {
            return;
        }
        if port.outgoing.is_some() {
            self.transmit(now, interface);
        } else if port.awaited {
            self.take_next(now, interface);
        }
    }

    /// Something happens.
    #[inline]
    pub(super) fn happen(&mut self, now: Time, event: Event, backoff: &mut Stream) {
        match event {
            Event::FirstBit { from, packet } => {
                let frame = self.frames[packet as usize];
                let segment = self.ports[from as usize].segment;
                for place in 0..self.segments[segment].ports.len() {
                    let interface = self.segments[segment].ports[place];
                    if interface != from {
                        self.hear(now, interface, frame, backoff);
                    }
                }
            }
            Event::Timer {
                interface,
                kind,
                number,
            } => self.timer(now, interface, kind, number),
        }
    }

    fn timer(&mut self, now: Time, interface: Interface, kind: TimerKind, number: u32) {
        let gap = self.bits(interface, GAP_BITS);
        let port = &mut self.ports[interface as usize];
        match kind {
            TimerKind::Sent if port.sent.is_due(number) => {
                port.outgoing = None;
                port.backoff.stop();
                port.attempt = 1;
                port.counts.sent += 1;
                self.start(now, interface, TimerKind::Gap, gap);
            }
            TimerKind::Received if port.received.is_due(number) => {
                let arrived = port.incoming.take();
                if let Some(frame) = arrived.filter(|frame| frame.to == interface) {
                    port.counts.received += 1;
                    self.notices.push(Notice::Arrived(interface, frame));
                }
                self.start(now, interface, TimerKind::Gap, gap);
            }
            TimerKind::Gap if port.gap.is_due(number) => self.resume(now, interface),
            TimerKind::Backoff if port.backoff.is_due(number) => {
                port.attempt += 1;
                self.transmit(now, interface);
            }
            _ => {}
        }
    }

    /// The first bit of a frame arrives.
    fn hear(&mut self, now: Time, interface: Interface, frame: Frame, backoff: &mut Stream) {
        let port = &mut self.ports[interface as usize];
        if port.state != State::Idle && port.gap.running {
            if port.gap.end > now {
                // Too early: it hears nothing before its gap is over.
                return;
            }
            port.gap.stop();
            self.resume(now, interface);
        }
        let port = &mut self.ports[interface as usize];
        if port.state == State::Idle {
            port.state = State::Receiving;
            port.incoming = Some(frame);
            let duration = self.frame_time(interface, frame);
            self.start(now, interface, TimerKind::Received, duration);
        } else {
            self.collide(now, interface, backoff);
        }
    }

    fn collide(&mut self, now: Time, interface: Interface, stream: &mut Stream) {
        let pause = self.bits(interface, JAM_BITS + GAP_BITS);
        let slot = self.bits(interface, SLOT_BITS);
        self.ports[interface as usize].gap.stop();
        self.start(now, interface, TimerKind::Gap, pause);
        let port = &mut self.ports[interface as usize];
        match port.state {
            State::Sending => {
                port.counts.collisions += 1;
                port.sent.stop();
                if port.backoff.running {
                    return;
                }
                if port.attempt < ATTEMPTS {
                    let slots = stream.below(1 << port.attempt.min(LARGEST_BACKOFF));
                    self.start(now, interface, TimerKind::Backoff, slots * slot + pause);
                } else {
                    port.counts.given_up += 1;
                    port.attempt = 1;
                    if let Some(frame) = port.outgoing.take() {
                        self.notices.push(Notice::Lost(interface, frame.packet));
                    }
                }
            }
            State::Receiving => {
                port.received.stop();
                port.incoming = None;
            }
            State::Idle => {}
        }
    }
}
