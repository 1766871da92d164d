// SPDX-License-Identifier: GPL-2.0-only

//! When requests arrive.

use std::sync::Arc;

use super::sizes::Sizes;
use super::stream::Stream;

/// A request of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// When, in seconds since the beginning.
    pub at: f64,
    /// Who sends it.
    pub client: u32,
    /// Seconds of work, if the trace tells it.
    pub size: Option<f64>,
}

/// How the rate of arrivals changes with time; its mean is 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Evenly spaced.
    Deterministic,
    /// At random.
    Poisson,
    /// At random, with two rates in turn, each for an exponential time of a mean in seconds (an
    /// MMPP-2).
    Bursts {
        /// The rates.
        rates: [f64; 2],
        /// The mean times.
        dwell: [f64; 2],
    },
    /// Sources that are on and off for Pareto-distributed times and send evenly while they are on:
    /// self-similar traffic with the Hurst parameter (3 - alpha) / 2.
    OnOff {
        /// How many sources.
        sources: u32,
        /// The exponent, between 1 and 2.
        alpha: f64,
        /// The least time on or off, in seconds.
        least: f64,
    },
    /// A sine: 1 + depth sin(2 pi t / period), times a factor for each period in turn.
    Diurnal {
        /// Seconds.
        period: f64,
        /// Below 1.
        depth: f64,
        /// The factors, such as seven for the days of a week; their mean is 1.
        days: Vec<f64>,
    },
    /// Rate 1, but `factor` from the second `at` on for `hold` seconds.
    Flash {
        /// Seconds.
        at: f64,
        /// Seconds.
        hold: f64,
        /// How many times the rate.
        factor: f64,
    },
    /// Those of a trace, whatever the rate.
    Trace(Arc<[Visit]>),
    /// Gaps between arrivals of this distribution, of mean 1.
    Renewal(Sizes),
}

/// A process that tells when requests arrive.
#[derive(Clone, Debug)]
pub struct Process {
    arrivals: Arrivals,
    /// Requests a second, on average.
    rate: f64,
    /// Seconds.
    now: f64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Plain,
    Bursts {
        phase: usize,
        until: f64,
    },
    /// For each source: next arrival, and end of its time on.
    OnOff(Vec<(f64, f64)>),
    /// Requests of a trace so far.
    Trace(usize),
}

impl Process {
    /// A process of so many requests a second on average.
    #[must_use]
    pub fn new(arrivals: Arrivals, rate: f64, stream: &mut Stream) -> Self {
        let state = match &arrivals {
            Arrivals::Bursts { dwell, .. } => {
                let phase = usize::from(stream.unit() > dwell[0] / (dwell[0] + dwell[1]));
                State::Bursts {
                    phase,
                    until: dwell[phase] * stream.exponential(),
                }
            }
            Arrivals::OnOff {
                sources,
                alpha,
                least,
            } => {
                let pareto = Sizes::Pareto(*alpha, *least, least * 1e6);
                let start = |_| {
                    let begin = stream.unit() * 2.0 * pareto.mean();
                    (begin, begin + pareto.sample(stream))
                };
                State::OnOff((0..*sources).map(start).collect())
            }
            Arrivals::Trace(_) => State::Trace(0),
            _ => State::Plain,
        };
        Self {
            arrivals,
            rate,
            now: 0.0,
            state,
        }
    }

    /// The second of the next arrival.
    #[inline(always)]
    pub fn advance(&mut self, stream: &mut Stream) -> f64 {
        // Inlined, since most studies have them.
        if let Arrivals::Poisson = self.arrivals {
            self.now += stream.exponential() / self.rate;
            return self.now;
        }
        self.advance_any(stream)
    }

    #[inline(never)]
    fn advance_any(&mut self, stream: &mut Stream) -> f64 {
        match (&self.arrivals, &mut self.state) {
            (Arrivals::Poisson, _) => self.now += stream.exponential() / self.rate,
            (Arrivals::Deterministic, _) => self.now += 1.0 / self.rate,
            (Arrivals::Renewal(gaps), _) => self.now += gaps.sample(stream) / self.rate,
            (Arrivals::Bursts { rates, dwell }, State::Bursts { phase, until }) => loop {
                let gap = stream.exponential() / (self.rate * rates[*phase]);
                if self.now + gap <= *until {
                    self.now += gap;
                    break;
                }
                self.now = *until;
                *phase = 1 - *phase;
                *until = self.now + dwell[*phase] * stream.exponential();
            },
            (
                Arrivals::OnOff {
                    sources,
                    alpha,
                    least,
                },
                State::OnOff(state),
            ) => {
                // Each source sends at twice its share while it is on, which is half of the time.
                let gap = f64::from(*sources) / (2.0 * self.rate);
                let pareto = Sizes::Pareto(*alpha, *least, least * 1e6);
                let earliest = |a: &&mut (f64, f64), b: &&mut (f64, f64)| a.0.total_cmp(&b.0);
                if let Some((next, end)) = state.iter_mut().min_by(earliest) {
                    self.now = *next;
                    *next += gap;
                    while *next > *end {
                        *next = *end + pareto.sample(stream) + gap * stream.unit();
                        *end = *next + pareto.sample(stream);
                    }
                }
            }
            (Arrivals::Diurnal { .. } | Arrivals::Flash { .. }, _) => {
                // Thinning: candidates at the greatest rate, of which a share is taken.
                let greatest = match &self.arrivals {
                    Arrivals::Diurnal { depth, days, .. } => {
                        (1.0 + depth) * days.iter().copied().fold(0.0, f64::max)
                    }
                    Arrivals::Flash { factor, .. } => factor.max(1.0),
                    _ => 1.0,
                };
                loop {
                    self.now += stream.exponential() / (self.rate * greatest);
                    if stream.unit() * greatest < self.factor() {
                        break;
                    }
                }
            }
            (Arrivals::Trace(visits), State::Trace(count)) => {
                self.now = visits.get(*count).map_or(f64::INFINITY, |visit| visit.at);
                *count += 1;
            }
            (Arrivals::Bursts { .. } | Arrivals::OnOff { .. } | Arrivals::Trace(_), _) => {
                self.now = f64::INFINITY;
            }
        }
        self.now
    }

    /// The request of a trace that [`Self::advance`] has told.
    #[inline]
    #[must_use]
    pub fn visit(&self) -> Option<&Visit> {
        match (&self.arrivals, &self.state) {
            (Arrivals::Trace(visits), State::Trace(count)) => visits.get(count.checked_sub(1)?),
            _ => None,
        }
    }

    /// How many times the mean rate it is now.
    fn factor(&self) -> f64 {
        match self.arrivals {
            Arrivals::Diurnal {
                period,
                depth,
                ref days,
            } => {
                let periods = self.now / period;
                let day = days.get(periods as usize % days.len().max(1));
                (1.0 + depth * (std::f64::consts::TAU * periods).sin()) * day.unwrap_or(&1.0)
            }
            Arrivals::Flash { at, hold, factor } if (at..at + hold).contains(&self.now) => factor,
            _ => 1.0,
        }
    }
}
