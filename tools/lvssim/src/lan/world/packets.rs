// SPDX-License-Identifier: GPL-2.0-only

//! The way of a packet: over the LAN to a server, and back over the LAN or a link to its client.

use lvs_core::scheduler::Options;

use crate::engine::{Time, SECOND};
use crate::lan::mac::{Frame, Interface};
use crate::lan::{Method, Topology};
use crate::policy::{self, one};

use super::{
    Event, Node, Packet, World, CLIENT_DELAY, CLIENT_FRAME, LINK_LAYER, OUTER_HEADER, PACKET,
};

impl World<'_> {
    /// Sends a packet from an interface to another one of its segment.
    pub(super) fn send(
        &mut self,
        now: Time,
        from: Interface,
        to: Interface,
        packet: u32,
        size: u32,
    ) {
        let frame = Frame { packet, to, size };
        let interface = from;
        self.queue
            .in_order(now + LINK_LAYER, Event::Down { interface, frame });
    }

    /// The server that a director chooses for a packet.
    pub(super) fn choose(&mut self, now: Time, director: usize, packet: Packet) -> Option<usize> {
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

    pub(super) fn request_size(&self) -> u32 {
        match self.setup.method {
            Method::Tun => PACKET + OUTER_HEADER,
            Method::Nat | Method::Dr => PACKET,
        }
    }

    /// A packet has come up to the node of an interface.
    pub(super) fn up(&mut self, now: Time, interface: Interface, number: u32) {
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

    pub(super) fn reply(&mut self, now: Time, interface: Interface, reply: u32) {
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
    pub(super) fn send_to_client(&mut self, now: Time, number: u32) {
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
