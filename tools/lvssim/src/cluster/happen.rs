// SPDX-License-Identifier: GPL-2.0-only

//! What each event does, and the random numbers of arrivals and work.

use super::event::{Event, Step};
use super::{Attempt, Sim, State, View};
use crate::engine::Time;
use crate::random::Arrivals;

impl Sim<'_> {
    #[inline(always)]
    pub(super) fn happen<const PLAIN: bool>(&mut self, event: Event) {
        match event {
            Event::Done {
                attempt,
                server,
                epoch,
            } => {
                let server_number = server;
                let server = &mut self.servers[server as usize];
                if server.epoch != epoch {
                    return;
                }
                if let Some((next, done)) = server.finish(self.now, attempt) {
                    let event = Event::Done {
                        attempt: next,
                        server: server_number,
                        epoch,
                    };
                    self.queue.at(done, event);
                }
                self.answer::<PLAIN>(attempt);
            }
            Event::Shared { server, epoch } => {
                let number = server;
                let server = &mut self.servers[server as usize];
                if server.epoch != epoch {
                    return;
                }
                let finished = server.finish_shared(self.now);
                if let Some(done) = server.next_shared(self.now) {
                    let epoch = server.epoch;
                    self.queue.at(
                        done,
                        Event::Shared {
                            server: number,
                            epoch,
                        },
                    );
                }
                if let Some(attempt) = finished {
                    self.answer::<PLAIN>(attempt);
                }
            }
            Event::Forward {
                attempt,
                generation,
            } => {
                let one = &self.attempts[attempt as usize];
                if one.generation == generation && one.state == State::Served {
                    self.forward_late(attempt);
                }
            }
            Event::Repeat {
                attempt,
                generation,
            } => {
                let one = &self.attempts[attempt as usize];
                if one.generation == generation && one.state != State::Free && !one.abandoned {
                    self.repeat(attempt);
                }
            }
            Event::Timeout {
                attempt,
                generation,
            } => self.time_out(attempt, generation),
            Event::Next { client } => self.want_next(client),
            Event::Forget { director, server } => {
                let step = match self.setup.linger_active {
                    true => Step::Close,
                    false => Step::Forget,
                };
                self.count::<false>(director as usize, server as usize, step);
            }
            Event::Report => self.report(),
            Event::Feedback => self.follow(),
            Event::See { server, step } => {
                for director in &mut self.directors {
                    director.add_connections(server as usize, step.difference());
                }
            }
            Event::Fault { number, stage } => self.fault(number, stage),
        }
    }

    /// A client gives a connection up and tries another one.
    #[inline(never)]
    fn time_out(&mut self, number: u32, generation: u32) {
        let attempt = self.attempts[number as usize];
        if attempt.generation != generation || attempt.state == State::Free {
            return;
        }
        let last = attempt.number >= self.setup.patience.attempts;
        self.attempts[number as usize].abandoned = true;
        let (director, index) = (usize::from(attempt.director), attempt.server as usize);
        match attempt.state {
            State::Dead => {
                self.count::<false>(director, index, Step::Close);
                self.remove(number);
            }
            State::Unanswered => self.remove(number),
            State::Served if !attempt.accepted => {
                // Only its SYNs are on the way.
                self.count::<false>(director, index, Step::Close);
                self.remove(number);
            }
            State::Served | State::Free => {}
        }
        if last {
            self.outcome.broken += u64::from(self.measuring);
            self.give_up(attempt.client);
            return;
        }
        self.outcome.again += u64::from(self.measuring);
        let next = self.add(Attempt {
            number: attempt.number + 1,
            syns: 1,
            state: State::Unanswered,
            accepted: false,
            severed: false,
            port: attempt.port.wrapping_add(1),
            ..attempt
        });
        self.connect::<false>(next);
    }

    fn report(&mut self) {
        let View::Snapshot { period, loss, .. } = self.setup.view else {
            return;
        };
        for (index, connections) in self.connections.iter().enumerate() {
            if loss > 0.0 && self.report_stream.unit() < loss {
                continue;
            }
            for director in &mut self.directors {
                director.set_connections(index, *connections);
            }
        }
        self.queue.at(self.now + period, Event::Report);
    }
}

impl Sim<'_> {
    #[inline(always)]
    pub(super) fn draw_arrival(&mut self) {
        self.next_arrival = match self.later.take() {
            Some(time) => time,
            None => self.draw_arrivals(),
        };
    }

    #[inline(never)]
    fn draw_arrivals(&mut self) -> Time {
        // A trace tells the client of one request at a time.
        let count = match self.setup.arrivals {
            Arrivals::Trace(_) => 1,
            _ => self.later.numbers.len(),
        };
        let (arrivals, stream) = (&mut self.arrivals, &mut self.arrival_stream);
        self.later.draw(count, || arrivals.advance(stream));
        self.later.take().unwrap_or(Time::MAX)
    }

    /// The work of the next request.
    #[inline(always)]
    pub(super) fn draw_work(&mut self) -> Time {
        match self.works.take() {
            Some(work) => work,
            None => self.draw_works(),
        }
    }

    #[inline(never)]
    fn draw_works(&mut self) -> Time {
        let (sizes, stream) = (&self.setup.sizes, &mut self.size_stream);
        let count = self.works.numbers.len();
        self.works.draw(count, || sizes.sample(stream));
        self.works.take().unwrap_or(0)
    }
}
