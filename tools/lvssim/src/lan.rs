// SPDX-License-Identifier: GPL-2.0-only

//! The world of the 2003 report "Implementation, Simulation of Linux Virtual Server in ns-2":
//! clients with links of their own, a director and servers on a shared LAN.
//!
//! Agents take no time, as in ns-2. The link layer takes a millisecond at the sender and another at
//! the receiver. Packets are 500 octets, and all clients send in the same instant.

pub mod comparison;
pub mod figures;
mod mac;
mod oracle;
pub mod recipes;
mod switch;

use lvs_core::scheduler::Options;

use crate::engine::{Queue, Time, SECOND};
use crate::policy::{self, one, Balancer, Clock, SimServer};
use crate::random::{Purpose, Stream};
use mac::{Frame, Interface, Lan, Notice};
use switch::Switch;

/// How packets get to a server, as far as it matters on the LAN: the report's modified NAT and
/// direct routing send the same octets at the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The report's modified NAT: replies do not pass the director's agent.
    Nat,
    /// Tunneling: 20 octets more.
    Tun,
    /// Direct routing.
    Dr,
}

/// Which way replies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topology {
    /// The director is the gateway: replies cross the LAN.
    Gateway,
    /// Servers have links of their own to the clients.
    OwnLinks,
}

/// When clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sending {
    /// Each millisecond, all in the same instant.
    InPhase,
    /// Each millisecond, from a random moment on.
    Scattered,
    /// After half a millisecond or a whole one, at random.
    HalfOrWhole,
}

/// A run of the LAN model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LanSetup {
    /// All randomness comes from it.
    pub seed: u64,
    /// Clients. Each sends a request every millisecond.
    pub clients: u32,
    /// Servers behind the director.
    pub servers: u32,
    /// Mb/s of the LAN.
    pub megabits: u64,
    /// The LAN is a switch with full-duplex links instead of a shared segment.
    pub switched: bool,
    /// How packets get to the servers.
    pub method: Method,
    /// Which way replies go.
    pub topology: Topology,
    /// Servers behind a second director, which is a server of the first one and has a LAN of its
    /// own; 0 for none.
    pub behind: u32,
    /// The scheduler.
    pub scheduler: &'static str,
    /// Weights; those that are missing are 1.
    pub weights: &'static [u32],
    /// Queues of the servers; those that are missing are [`Self::queue`].
    pub server_queues: &'static [usize],
    /// The queue of the director's interface.
    pub director_queue: usize,
    /// All other queues.
    pub queue: usize,
    /// The duration of a connection. `None`: it never ends, so a client keeps its server.
    pub connection: Option<Time>,
    /// When clients send.
    pub sending: Sending,
    /// Replies to requests of odd number.
    pub odd_replies: u32,
    /// When measuring begins.
    pub warmup: Time,
    /// When it ends; clients begin at half a second.
    pub until: Time,
    /// The length of periods that are told one by one.
    pub series: Option<Time>,
}

impl Default for LanSetup {
    fn default() -> Self {
        Self {
            seed: 1,
            clients: 1,
            servers: 1,
            megabits: 100,
            switched: false,
            method: Method::Nat,
            topology: Topology::Gateway,
            behind: 0,
            scheduler: "rr",
            weights: &[],
            server_queues: &[],
            director_queue: 100,
            queue: 100,
            connection: None,
            sending: Sending::InPhase,
            odd_replies: 1,
            warmup: SECOND,
            until: 2 * SECOND,
            series: None,
        }
    }
}

/// The result of a run, in packets per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LanOutcome {
    /// Replies that arrived at clients.
    pub replied: f64,
    /// Requests that arrived at servers.
    pub received: f64,
    /// Packets dropped at the first director.
    pub lost_at_director: f64,
    /// Packets dropped at servers (and at the second director).
    pub lost_at_servers: f64,
    /// Frames lost in collisions that their senders did not hear.
    pub collided: f64,
    /// Mean seconds from request to reply.
    pub round_trip: f64,
    /// Frames sent on all LANs, in all.
    pub frames: u64,
    /// Requests received and packets dropped by each server of the first LAN.
    pub by_server: Vec<(f64, f64)>,
    /// By period: replies, and requests received and packets dropped by each server.
    pub series: Vec<LanPeriod>,
}

/// A period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LanPeriod {
    /// Replies a second.
    pub replied: f64,
    /// Requests received a second, by server.
    pub received: Vec<f64>,
    /// Packets dropped a second, by server.
    pub lost: Vec<f64>,
}

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

struct World<'a> {
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

/// Runs the model once.
///
/// # Panics
///
/// When there is no scheduler of that name.
#[must_use]
pub fn run(setup: &LanSetup) -> LanOutcome {
    World::new(setup).run()
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
    fn new(setup: &'a LanSetup) -> Self {
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

    fn run(mut self) -> LanOutcome {
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
        for value in [
            &mut outcome.replied,
            &mut outcome.received,
            &mut outcome.lost_at_director,
            &mut outcome.lost_at_servers,
            &mut outcome.collided,
        ] {
            *value /= span;
        }
        for (received, lost) in &mut outcome.by_server {
            *received /= span;
            *lost /= span;
        }
        if let Some(length) = self.setup.series {
            let length = length as f64 / SECOND as f64;
            for period in &mut outcome.series {
                period.replied /= length;
                period
                    .received
                    .iter_mut()
                    .for_each(|value| *value /= length);
                period.lost.iter_mut().for_each(|value| *value /= length);
            }
        }
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

    /// Sends a packet from an interface to another one of its segment.
    fn send(&mut self, now: Time, from: Interface, to: Interface, packet: u32, size: u32) {
        let frame = Frame { packet, to, size };
        let interface = from;
        self.queue
            .in_order(now + LINK_LAYER, Event::Down { interface, frame });
    }

    /// The server that a director chooses for a packet.
    fn choose(&mut self, now: Time, director: usize, packet: Packet) -> Option<usize> {
        if self.setup.connection.is_none() {
            if let Some(index) = self.chosen[director][packet.client as usize] {
                return Some(index);
            }
        }
        let port = 1 + packet.number as u16;
        let flow = policy::flow(
            packet.client,
            port,
            0,
            (now / SECOND) as u32,
            Options::default(),
        );
        let index = self.balancers[director].select(&flow)?;
        self.balancers[director].add_connections(index, one(true));
        match self.setup.connection {
            None => self.chosen[director][packet.client as usize] = Some(index),
            Some(duration) if director == 0 => {
                let server = index as u32;
                // What ends in the instant of a new request has ended before it.
                let end = now + duration.saturating_sub(1);
                self.queue.at(end, Event::Expire { server });
            }
            Some(_) => {}
        }
        Some(index)
    }

    fn request_size(&self) -> u32 {
        match self.setup.method {
            Method::Tun => PACKET + OUTER_HEADER,
            Method::Nat | Method::Dr => PACKET,
        }
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

    /// A packet has come up to the node of an interface.
    fn up(&mut self, now: Time, interface: Interface, number: u32) {
        let packet = self.packets[number as usize];
        match self.nodes[interface as usize] {
            Node::Director => self.send_to_client(now, number),
            Node::Front => {
                let chosen = self.choose(now, 1, packet);
                let Some(to) = chosen.and_then(|index| self.second.get(index).copied()) else {
                    return;
                };
                self.send(now, self.back, to, number, self.request_size());
            }
            // A reply from the second LAN.
            Node::Back => {
                if let Some(front) = self.first.last().copied() {
                    self.send(now, front, 0, number, PACKET);
                }
            }
            Node::Server(server) => {
                if self.measuring {
                    self.outcome.received += 1.0;
                    self.outcome.by_server[server as usize].0 += 1.0;
                }
                if let Some(period) = self.period(now) {
                    period.received[server as usize] += 1.0;
                }
                let replies = match packet.number % 2 {
                    // The first request is number 1.
                    0 => self.setup.odd_replies,
                    _ => 1,
                };
                self.free.push(number);
                for _ in 0..replies {
                    let reply = self.add(Packet { server, ..packet });
                    self.reply(now, interface, reply);
                }
            }
        }
    }

    fn reply(&mut self, now: Time, interface: Interface, reply: u32) {
        match self.setup.topology {
            Topology::OwnLinks => self.send_to_client(now, reply),
            Topology::Gateway => {
                let behind = self.second.contains(&interface);
                let to = if behind { self.back } else { 0 };
                self.send(now, interface, to, reply, PACKET);
            }
        }
    }

    /// Over the link to the client: a queue, 10 Mb/s, 1 ms.
    fn send_to_client(&mut self, now: Time, number: u32) {
        let packet = self.packets[number as usize];
        let server = match self.setup.topology {
            Topology::Gateway => 0,
            Topology::OwnLinks => packet.server,
        };
        let link = server * self.setup.clients + packet.client;
        let free = &mut self.links[link as usize];
        let waiting = free.saturating_sub(now).div_ceil(CLIENT_FRAME) as usize;
        if waiting >= self.setup.queue {
            if self.measuring {
                self.outcome.lost_at_director += 1.0;
            }
            self.free.push(number);
            return;
        }
        *free = (*free).max(now) + CLIENT_FRAME;
        let arrival = *free + CLIENT_DELAY;
        self.queue.at(arrival, Event::AtClient { packet: number });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(clients: u32) -> LanSetup {
        LanSetup {
            clients,
            ..LanSetup::default()
        }
    }

    #[test]
    fn one_client_has_the_reports_round_trip() {
        for scheduler in ["rr", "wrr", "lc", "wlc"] {
            let setup = LanSetup {
                servers: 200,
                scheduler,
                ..clients(1)
            };
            let outcome = run(&setup);
            assert!(
                (outcome.round_trip - 0.006_891).abs() < 1e-6,
                "{}",
                outcome.round_trip
            );
            assert_eq!(outcome.replied.round() as u32, 1000);
        }
    }

    #[test]
    fn six_clients_in_phase_have_it_too() {
        for (method, wanted) in [(Method::Nat, 0.007_233), (Method::Tun, 0.007_242)] {
            let outcome = run(&LanSetup {
                method,
                ..clients(6)
            });
            assert!(
                (outcome.round_trip - wanted).abs() < 10e-6,
                "{method:?}: {}",
                outcome.round_trip
            );
        }
    }

    #[test]
    fn nothing_is_lost_below_nine_clients() {
        for count in 1..=8 {
            let outcome = run(&clients(count));
            assert!(
                (outcome.replied - 1000.0 * f64::from(count)).abs() < 20.0,
                "{outcome:?}"
            );
            assert_eq!(outcome.lost_at_director + outcome.lost_at_servers, 0.0);
        }
    }

    #[test]
    fn a_switch_carries_what_a_shared_segment_cannot() {
        let switched = |count| LanSetup {
            switched: true,
            ..clients(count)
        };
        let outcome = run(&switched(22));
        assert!((outcome.replied - 22_000.0).abs() < 50.0, "{outcome:?}");
        assert_eq!(outcome.lost_at_director + outcome.lost_at_servers, 0.0);
        // 514 octets at 100 Mb/s: 24,319 frames a second, and no fall beyond that.
        let outcome = run(&switched(40));
        assert!((outcome.replied - 24_319.0).abs() < 100.0, "{outcome:?}");
    }

    #[test]
    fn a_run_depends_on_its_seed_alone() {
        let [one, same] = [(), ()].map(|()| run(&clients(12)));
        assert_eq!(one, same);
        assert_ne!(
            one,
            run(&LanSetup {
                seed: 2,
                ..clients(12)
            })
        );
    }
}
