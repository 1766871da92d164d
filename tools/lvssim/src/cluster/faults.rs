// SPDX-License-Identifier: GPL-2.0-only

//! Faults: what happens to servers and directors, and when the director notices.

use super::server::Health;
use super::{Event, Fault, Kind, Sim, Stage, State, Step};
use crate::engine::{Time, SECOND};
use crate::policy;

impl Sim<'_> {
    pub(super) fn fault(&mut self, number: u32, stage: Stage) {
        let Some(fault) = self.setup.faults.get(number as usize).copied() else {
            return;
        };
        let index = fault.server;
        let then = |sim: &mut Self, after: Time, stage| {
            sim.queue
                .at(sim.now + after, Event::Fault { number, stage });
        };
        match (stage, fault.kind) {
            (Stage::Begin, Kind::Director(state)) => self.fail_over(fault, state),
            (Stage::Begin, Kind::Join(ramp)) => {
                let first = if ramp == 0 { 10 } else { 1 };
                self.fault(number, Stage::Ramp(first));
            }
            (Stage::Ramp(step), Kind::Join(ramp)) => {
                let weight = self.setup.servers[index].weight * u32::from(step) / 10;
                self.set_weight(index, weight.max(1));
                if step < 10 {
                    then(self, ramp / 10, Stage::Ramp(step + 1));
                }
            }
            (Stage::Begin, _) => {
                self.strike(index, fault.kind);
                let noticed = |after: &Time| fault.repair.is_none_or(|repair| *after < repair);
                if let Some(after) = fault.detected_after.filter(noticed) {
                    then(self, after, Stage::Detected);
                }
                if let Some(after) = fault.repair {
                    then(self, after, Stage::Repaired);
                }
            }
            (Stage::Detected, _) => self.set_weight(index, 0),
            (Stage::Repaired, _) => {
                self.heal(index);
                if let Some(after) = fault.detected_after {
                    then(self, after, Stage::Found);
                }
            }
            (Stage::Found, _) => {
                let weight = self.setup.servers[index].weight;
                self.set_weight(index, weight);
            }
            (Stage::Ramp(_), _) => {}
        }
    }

    pub(super) fn set_weight(&mut self, index: usize, weight: u32) {
        for director in &mut self.directors {
            director.set_weight(index, weight);
        }
    }

    /// Something befalls a server.
    pub(super) fn strike(&mut self, index: usize, kind: Kind) {
        let now = self.now;
        let server = &mut self.servers[index];
        let lost = match kind {
            Kind::Crash => server.stop(now, Health::Down),
            Kind::Hang => server.stop(now, Health::Hung),
            Kind::Slow(factor) => {
                self.slow_down(index, factor);
                return;
            }
            Kind::Join(_) | Kind::Director(_) => return,
        };
        for number in lost {
            self.break_off(number);
        }
    }

    pub(super) fn slow_down(&mut self, index: usize, factor: f64) {
        let server = &mut self.servers[index];
        if let Some(done) = server.slow_down(self.now, factor) {
            let (server, epoch) = (index as u32, server.epoch);
            self.queue.at(done, Event::Shared { server, epoch });
        }
    }

    /// A server is well again; what hung in it is lost.
    pub(super) fn heal(&mut self, index: usize) {
        if self.servers[index].is_well() {
            self.slow_down(index, 1.0);
            return;
        }
        for number in self.servers[index].stop(self.now, Health::Well) {
            self.break_off(number);
        }
    }

    /// A connection has lost its server.
    pub(super) fn break_off(&mut self, number: u32) {
        let attempt = self.attempts[number as usize];
        if attempt.abandoned || self.setup.patience.timeout.is_none() {
            let (director, index) = (usize::from(attempt.director), attempt.server as usize);
            self.count::<false>(director, index, Step::Close);
            self.outcome.broken += u64::from(self.measuring && !attempt.abandoned);
            self.lose(number);
        } else {
            self.attempts[number as usize].state = State::Dead;
        }
    }

    /// The director has forgotten a connection; its server works on, and the
    /// answer is lost.
    pub(super) fn sever(&mut self, number: u32) {
        let attempt = &mut self.attempts[number as usize];
        attempt.severed = true;
        if self.setup.patience.timeout.is_some() || attempt.abandoned {
            return;
        }
        attempt.abandoned = true;
        let client = attempt.client;
        self.outcome.broken += u64::from(self.measuring);
        self.give_up(client);
    }

    /// A user will get no answer.
    pub(super) fn give_up(&mut self, client: u32) {
        self.account();
        self.in_system -= 1;
        self.outcome.lost += 1;
        if let Some(period) = self.period() {
            period.lost += 1;
        }
        self.users.remove(&client);
    }

    /// Another director takes over: with the same table of connections, or with none. Without one,
    /// a connection goes on only if its next packet, scheduled anew, meets the same server.
    pub(super) fn fail_over(&mut self, fault: Fault, state: bool) {
        self.outage = self.now + fault.detected_after.unwrap_or(0);
        if state {
            return;
        }
        self.persistent.clear();
        for director in &mut self.directors {
            for index in 0..director.servers().len() {
                director.set_connections(index, 0);
            }
        }
        self.connections.fill(0);
        for number in 0..self.attempts.len() as u32 {
            let attempt = self.attempts[number as usize];
            if attempt.state != State::Served {
                continue;
            }
            let now = (self.now / SECOND) as u32;
            let (client, port) = (attempt.client, attempt.port);
            let flow = policy::flow(client, port, attempt.object, now, self.setup.options);
            let director = usize::from(attempt.director);
            let choice = self.directors[director].select(&flow);
            self.count::<false>(director, attempt.server as usize, Step::Open);
            if choice != Some(attempt.server as usize) {
                self.sever(number);
            }
        }
    }
}
