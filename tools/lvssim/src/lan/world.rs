// SPDX-License-Identifier: GPL-2.0-only

//! The clients, directors, servers and networks of the 2003 report, and what happens there.

mod packets;

use crate::engine::{Queue, Time, SECOND};
use crate::policy::{self, one, Balancer, Clock, SimServer};
use crate::random::{Purpose, Stream};

use super::mac::{self, Frame, Interface, Lan, Notice};
use super::switch::Switch;
use super::{LanOutcome, LanPeriod, LanSetup, Sending};

/// Octets of a packet, and of an outer header.
const PACKET: u32 = 500;
const OUTER_HEADER: u32 = 20;
/// The link layer's delay, on either side.
const LINK_LAYER: Time = 1_000_000;
/// Propagation on the LAN: the default of ns-2's channels.
const PROPAGATION: Time = 4_000;
/// A client's link: 500 octets at 10 Mb/s, and a millisecond.
const CLIENT_FRAME: Time = 400_000;
const CLIENT_DELAY: Time = 1_000_000;
/// When clients begin to send.
const BEGIN: Time = SECOND / 2;

#[derive(Clone, Copy, Debug)]
enum Event {
    Mac(mac::Event),
    /// A client sends.
    Tick {
        client: u32,
    },
    /// A packet arrives at the first director, from a client.
    AtDirector {
        packet: u32,
    },
    /// The link layer hands a packet to the queue of an interface.
    Down {
        interface: Interface,
        frame: Frame,
    },
    /// A frame has arrived at a switch.
    AtSwitch {
        frame: Frame,
    },
    /// The link layer hands a packet to the node of an interface.
    Up {
        interface: Interface,
        frame: Frame,
    },
    /// A reply arrives at its client.
    AtClient {
        packet: u32,
    },
    /// A connection ends.
    Expire {
        server: u32,
    },
}

impl Default for Event {
    fn default() -> Self {
        Self::Tick { client: 0 }
    }
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    client: u32,
    born: Time,
    /// The number of the client's request.
    number: u32,
    /// The server, counted from 0 over both LANs.
    server: u32,
}

/// What an interface belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Director,
    Server(u32),
    /// The second director, on the first LAN.
    Front,
    /// The second director, on its own LAN.
    Back,
}

pub(super) struct World<'a> {
    setup: &'a LanSetup,
    queue: Queue<Event>,
    lan: Lan,
    /// What carries frames instead of the LAN.
    switch: Option<Switch>,
    nodes: Vec<Node>,
    /// The interfaces of the first director's servers, in the order of its list.
    first: Vec<Interface>,
    /// Those of the second director's servers.
    second: Vec<Interface>,
    back: Interface,
    balancers: Vec<Box<dyn Balancer>>,
    /// The server of each client, for each director.
    chosen: [Vec<Option<usize>>; 2],
    packets: Vec<Packet>,
    free: Vec<u32>,
    /// When each client's link is free; in topology 2 each server has a link to each client.
    links: Vec<Time>,
    sent: Vec<u32>,
    backoff: Stream,
    traffic: Stream,
    outcome: LanOutcome,
    sum: f64,
    measuring: bool,
}

fn balancer(setup: &LanSetup, servers: usize, seed: u64) -> Box<dyn Balancer> {
    let name = setup.scheduler;
    let Some(mut balancer) = policy::director(name, seed) else {
        panic!("no scheduler is called {name}");
    };
    let clock = Clock::default();
    let server = |number| {
        let weight = setup.weights.get(number).copied().unwrap_or(1);
        SimServer::new(policy::server_endpoint(number), weight, clock.clone())
    };
    balancer.add_all((0..servers).map(server).collect());
    balancer
}

impl<'a> World<'a> {
    pub(super) fn new(setup: &'a LanSetup) -> Self {
        let mut lan = Lan::default();
        let mut nodes = Vec::new();
        let segment = lan.add_segment(setup.megabits, PROPAGATION);
        lan.add_interface(segment, setup.director_queue);
        nodes.push(Node::Director);
        let mut first = Vec::new();
        for server in 0..setup.servers {
            let limit = setup.server_queues.get(server as usize).copied();
            first.push(lan.add_interface(segment, limit.unwrap_or(setup.queue)));
            nodes.push(Node::Server(server));
        }
        let (mut second, mut back) = (Vec::new(), 0);
        if setup.behind > 0 {
            first.push(lan.add_interface(segment, setup.queue));
            nodes.push(Node::Front);
            let segment = lan.add_segment(setup.megabits, PROPAGATION);
            back = lan.add_interface(segment, setup.queue);
            nodes.push(Node::Back);
            for server in 0..setup.behind {
                second.push(lan.add_interface(segment, setup.queue));
                nodes.push(Node::Server(setup.servers + server));
            }
        }
        let mut traffic = Stream::new(setup.seed, 0, Purpose::Traffic);
        let mut queue = Queue::default();
        for client in 0..setup.clients {
            let phase = match setup.sending {
                Sending::InPhase | Sending::HalfOrWhole => 0,
                Sending::Scattered => traffic.below(1_000_000),
            };
            queue.at(BEGIN + phase, Event::Tick { client });
        }
        let balancers = vec![
            balancer(setup, first.len(), setup.seed),
            balancer(setup, second.len(), setup.seed),
        ];
        let servers = (setup.servers + setup.behind) as usize;
        let switch = setup.switched.then(|| {
            let limits: Vec<usize> = lan.interfaces().map(|one| lan.limit(one)).collect();
            Switch::new(setup.megabits, PROPAGATION, &limits, setup.queue)
        });
        Self {
            setup,
            queue,
            lan,
            switch,
            nodes,
            first,
            second,
            back,
            balancers,
            chosen: [(); 2].map(|()| vec![None; setup.clients as usize]),
            packets: Vec::new(),
            free: Vec::new(),
            links: vec![0; servers.max(1) * setup.clients as usize],
            sent: vec![0; setup.clients as usize],
            backoff: Stream::new(setup.seed, 0, Purpose::Backoff),
            traffic,
            outcome: LanOutcome {
                by_server: vec![(0.0, 0.0); servers],
                ..LanOutcome::default()
            },
            sum: 0.0,
            measuring: false,
        }
    }

    pub(super) fn run(mut self) -> LanOutcome {
        let mut counts = Vec::new();
        while let Some((now, event)) = self.queue.pop() {
            if !self.measuring && now >= self.setup.warmup {
                self.measuring = true;
                counts = self.totals();
            }
            if now >= self.setup.until {
                break;
            }
            self.happen(now, event);
            self.drain(now);
        }
        let (before, after) = (counts, self.totals());
        let span = (self.setup.until - self.setup.warmup) as f64 / SECOND as f64;
        let mut outcome = self.outcome;
        outcome.round_trip = self.sum / outcome.replied;
        outcome.frames = match &self.switch {
            Some(switch) => switch.frames,
            None => after.iter().map(|(sent, _)| sent).sum(),
        };
        let lost = |counts: &[(u64, u64)]| -> f64 {
            counts
                .iter()
                .map(|(sent, received)| *sent as f64 - *received as f64)
                .sum()
        };
        outcome.collided = (lost(&after) - lost(&before)).max(0.0);
        outcome.divide(span, self.setup.series);
        outcome
    }

    /// Frames sent and received by each interface.
    fn totals(&self) -> Vec<(u64, u64)> {
        let counts = |interface| {
            let counts = self.lan.counts(interface);
            (counts.sent, counts.received)
        };
        self.lan.interfaces().map(counts).collect()
    }

    fn period(&mut self, now: Time) -> Option<&mut LanPeriod> {
        let index = (now.checked_sub(BEGIN)? / self.setup.series?) as usize;
        let servers = self.outcome.by_server.len();
        let series = &mut self.outcome.series;
        while series.len() <= index {
            series.push(LanPeriod {
                replied: 0.0,
                received: vec![0.0; servers],
                lost: vec![0.0; servers],
            });
        }
        series.get_mut(index)
    }

    fn add(&mut self, packet: Packet) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.packets[place as usize] = packet;
                place
            }
            None => {
                self.packets.push(packet);
                self.packets.len() as u32 - 1
            }
        }
    }

    /// Takes the LAN's events and notices.
    #[inline]
    fn drain(&mut self, now: Time) {
        for (time, event) in self.lan.events.drain(..) {
            self.queue.at(time, Event::Mac(event));
        }
        // A notice leads to no other one.
        for place in 0..self.lan.notices.len() {
            match self.lan.notices[place] {
                Notice::Arrived(interface, frame) => {
                    let event = Event::Up { interface, frame };
                    self.queue.in_order(now + LINK_LAYER, event);
                }
                Notice::Lost(interface, packet) => self.lost(now, interface, packet),
            }
        }
        self.lan.notices.clear();
    }

    fn lost(&mut self, now: Time, interface: Interface, packet: u32) {
        let measured = f64::from(u8::from(self.measuring));
        match self.nodes[interface as usize] {
            Node::Director => self.outcome.lost_at_director += measured,
            Node::Server(server) => {
                self.outcome.lost_at_servers += measured;
                self.outcome.by_server[server as usize].1 += measured;
                if let Some(period) = self.period(now) {
                    period.lost[server as usize] += 1.0;
                }
            }
            Node::Front | Node::Back => self.outcome.lost_at_servers += measured,
        }
        self.free.push(packet);
    }

    fn happen(&mut self, now: Time, event: Event) {
        match event {
            Event::Mac(event) => self.lan.happen(now, event, &mut self.backoff),
            Event::Tick { client } => {
                let number = self.sent[client as usize];
                self.sent[client as usize] += 1;
                let packet = self.add(Packet {
                    client,
                    born: now,
                    number,
                    server: 0,
                });
                let arrival = now + CLIENT_FRAME + CLIENT_DELAY;
                self.queue.at(arrival, Event::AtDirector { packet });
                let next = Event::Tick { client };
                match self.setup.sending {
                    // A millisecond, as the link layer's delay.
                    Sending::InPhase | Sending::Scattered => {
                        self.queue.in_order(now + LINK_LAYER, next);
                    }
                    Sending::HalfOrWhole => {
                        let gap = 500_000 * (1 + self.traffic.below(2));
                        self.queue.at(now + gap, next);
                    }
                }
            }
            Event::AtDirector { packet } => {
                let chosen = self.choose(now, 0, self.packets[packet as usize]);
                let Some(to) = chosen.and_then(|index| self.first.get(index).copied()) else {
                    return;
                };
                self.send(now, 0, to, packet, self.request_size());
            }
            Event::Down { interface, frame } => match &mut self.switch {
                None => self.lan.enqueue(now, interface, frame),
                Some(switch) => match switch.send(now, interface, frame) {
                    Some(arrival) => self.queue.at(arrival, Event::AtSwitch { frame }),
                    None => self.lost(now, interface, frame.packet),
                },
            },
            Event::AtSwitch { frame } => {
                let forward = |switch: &mut Switch| switch.forward(now, frame);
                match self.switch.as_mut().and_then(forward) {
                    Some(arrival) => {
                        let interface = frame.to;
                        let up = Event::Up { interface, frame };
                        self.queue.at(arrival + LINK_LAYER, up);
                    }
                    None => self.lost(now, frame.to, frame.packet),
                }
            }
            Event::Up { interface, frame } => self.up(now, interface, frame.packet),
            Event::AtClient { packet } => {
                if self.measuring {
                    self.outcome.replied += 1.0;
                    self.sum += (now - self.packets[packet as usize].born) as f64 / SECOND as f64;
                }
                if let Some(period) = self.period(now) {
                    period.replied += 1.0;
                }
                self.free.push(packet);
            }
            Event::Expire { server } => {
                self.balancers[0].add_connections(server as usize, one(true).wrapping_neg());
            }
        }
    }
}
