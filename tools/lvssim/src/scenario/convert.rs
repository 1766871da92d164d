// SPDX-License-Identifier: GPL-2.0-only

//! From a scenario file to what the cluster model runs.

use super::file::{
    ArrivalsEntry, ClientsEntry, DisciplineName, FaultKind, File, Flag, LingerAs, LoadData,
    SizeEntry,
};
use super::trace::Traces;
use super::values::{Cost, Duration, Warmup};
use super::{wrong, Wrong};
use crate::cluster::{
    Discipline, End, Fault, Feedback, Kind, Patience, ServerSetup, Session, Setup, View,
};
use crate::random::{Arrivals, Clients, Sizes};
use lvs_core::scheduler::Options;

impl File {
    pub(super) fn setup(&self, traces: &mut Traces) -> Result<Setup, Wrong> {
        let until = self.run.until.get_ref().length.time();
        let warmup = match self.run.warmup {
            Some(Warmup::Time(time)) => time.time(),
            Some(Warmup::Mser5) | None => until / 10,
        };
        if warmup >= until {
            let span = self.run.until.span();
            return Err(wrong(
                span,
                "the run ends before its warm-up; `until` must be later",
            ));
        }
        if *self.run.replications.get_ref() == 0 {
            let span = self.run.replications.span();
            return Err(wrong(span, "there must be at least one replication"));
        }
        let servers = self.servers()?;
        let workload = &self.workload;
        let directors = self.service.directors.as_ref();
        if let Some(directors) = directors.filter(|directors| *directors.get_ref() == 0) {
            return Err(wrong(
                directors.span(),
                "there must be at least one director",
            ));
        }
        let mut setup = Setup {
            seed: self.run.seed,
            scheduler: self.service.scheduler.0.clone(),
            options: Options {
                port: self.service.flags.contains(&Flag::Port),
                fallback: self.service.flags.contains(&Flag::Fallback),
                ..Options::default()
            },
            directors: directors.map_or(1, |directors| *directors.get_ref()),
            cost: self.service.cost.map_or(0, Cost::time),
            persistence: self.service.persistence.map_or(0, Duration::time),
            faults: self.faults(servers.len(), until)?,
            servers,
            arrivals: arrivals(&workload.arrivals, traces)?,
            rate: 1.0,
            sizes: sizes(&workload.size),
            clients: match workload.clients {
                ClientsEntry::Fresh => Clients::Fresh,
                ClientsEntry::Equal { count } => Clients::Equal(count.max(1)),
                ClientsEntry::Zipf { count, exponent } => Clients::Zipf(count.max(1), exponent.0),
            },
            objects: workload.addresses.unwrap_or(1),
            session: workload.session.as_ref().map(|session| Session {
                requests: session.requests.0.max(1.0),
                think: Sizes::Exponential(session.think.0),
            }),
            patience: Patience {
                repeats: self.clients.repeat_syn,
                timeout: self.clients.timeout.map(Duration::time),
                attempts: self.clients.attempts.max(1),
            },
            view: match self.load_data {
                None | Some(LoadData::Exact) => View::Exact,
                Some(LoadData::Snapshot { period, loss, own }) => View::Snapshot {
                    period: period.time().max(1),
                    loss: loss.map_or(0.0, |loss| loss.0),
                    own,
                },
                Some(LoadData::Delayed { age }) => View::Delayed { age: age.time() },
            },
            feedback: self.feedback()?,
            linger: self.service.linger.map_or(0, Duration::time),
            linger_active: matches!(self.service.linger_as, LingerAs::Active),
            warmup,
            end: End::At(until),
            series: self
                .run
                .series
                .map(Duration::time)
                .filter(|length| *length > 0),
            ..Setup::default()
        };
        if let Arrivals::Trace(_) = setup.arrivals {
            if workload.load.is_some() || workload.rate.is_some() {
                let message = "the trace says when requests arrive; leave out `load` and `rate`";
                let span = workload.rate.as_ref().map_or(0..0, |rate| rate.span());
                return Err(wrong(span, message));
            }
            if workload.session.is_some() {
                return Err(wrong(0..0, "the requests of a trace are no sessions"));
            }
            return Ok(setup);
        }
        match (&workload.load, &workload.rate) {
            (Some(load), None) => setup = setup.with_load(load.0),
            (None, Some(rate)) => setup.rate = rate.get_ref().0,
            (Some(_), Some(rate)) => {
                let message = "`load` and `rate` say the same in two ways; give one of them";
                return Err(wrong(rate.span(), message));
            }
            (None, None) => {
                let message = "[workload] needs `load` (a share of capacity) or `rate` (a second)";
                return Err(wrong(0..0, message));
            }
        }
        Ok(setup)
    }

    fn feedback(&self) -> Result<Option<Feedback>, Wrong> {
        let Some(entry) = &self.feedback else {
            return Ok(None);
        };
        let reference = *entry.reference.get_ref();
        if !(1..=99).contains(&reference) {
            let span = entry.reference.span();
            return Err(wrong(span, "`reference` is a load from 1 to 99 percent"));
        }
        let feedback = Feedback {
            period: entry.period.time(),
            age: entry.age,
            reference,
        };
        Ok(Some(feedback).filter(|feedback| feedback.period > 0))
    }

    fn servers(&self) -> Result<Vec<ServerSetup>, Wrong> {
        let mut servers = Vec::new();
        for group in &self.servers {
            let count = *group.count.get_ref();
            if count > 65_000 {
                return Err(wrong(
                    group.count.span(),
                    "there can be at most 65000 servers",
                ));
            }
            let server = ServerSetup {
                weight: group.weight,
                speed: group.speed.0,
                cores: group.cores.max(1),
                room: group.queue.unwrap_or(usize::MAX),
                discipline: match group.discipline {
                    DisciplineName::Fifo => Discipline::Fifo,
                    DisciplineName::Ps => Discipline::Shared,
                },
                threshold: group.threshold,
            };
            servers.extend(std::iter::repeat_n(server, count));
        }
        if servers.is_empty() {
            return Err(wrong(
                0..0,
                "there are no servers; write [[servers]] with count = 1 or more",
            ));
        }
        Ok(servers)
    }

    fn faults(&self, servers: usize, until: u64) -> Result<Vec<Fault>, Wrong> {
        let mut faults = Vec::new();
        for entry in &self.faults {
            let fault = entry.get_ref();
            if fault.server >= servers {
                let message = format!(
                    "there is no server {}; they are numbered from 0 to {}",
                    fault.server,
                    servers - 1
                );
                return Err(wrong(entry.span(), message));
            }
            let mut fault_at = Fault {
                at: fault.at.time(),
                server: fault.server,
                kind: match fault.kind {
                    FaultKind::Crash => Kind::Crash,
                    FaultKind::Hang => Kind::Hang,
                    FaultKind::Slow { factor } => Kind::Slow(factor.0),
                    FaultKind::Join { ramp } => Kind::Join(ramp.time()),
                    FaultKind::Director { state } => Kind::Director(state),
                },
                repair: fault.repair.map(Duration::time),
                detected_after: fault.detected_after.map(Duration::time),
            };
            faults.push(fault_at);
            if let Some(every) = fault.every {
                let every = Duration(every.0).time().max(1_000_000);
                while fault_at.at + every < until {
                    fault_at.at += every;
                    faults.push(fault_at);
                }
            }
        }
        Ok(faults)
    }
}

fn arrivals(entry: &ArrivalsEntry, traces: &mut Traces) -> Result<Arrivals, Wrong> {
    Ok(match *entry {
        ArrivalsEntry::Poisson => Arrivals::Poisson,
        ArrivalsEntry::Deterministic => Arrivals::Deterministic,
        ArrivalsEntry::Bursts { ratio, calm, storm } => {
            let calm_rate = (calm.0 + storm.0) / (calm.0 + ratio.0 * storm.0);
            Arrivals::Bursts {
                rates: [calm_rate, calm_rate * ratio.0],
                dwell: [calm.0, storm.0],
            }
        }
        ArrivalsEntry::OnOff {
            sources,
            alpha,
            least,
        } => Arrivals::OnOff {
            sources: sources.max(1),
            alpha: alpha.0,
            least: least.0.max(1e-6),
        },
        ArrivalsEntry::Diurnal {
            period,
            depth,
            ref days,
        } => {
            let days: Vec<f64> = days.iter().map(|day| day.0).collect();
            let mean = days.iter().sum::<f64>() / days.len() as f64;
            Arrivals::Diurnal {
                period: period.0,
                depth: depth.0,
                days: match days.is_empty() {
                    true => vec![1.0],
                    false => days.iter().map(|day| day / mean).collect(),
                },
            }
        }
        ArrivalsEntry::Flash { at, hold, factor } => Arrivals::Flash {
            at: at.0,
            hold: hold.0,
            factor: factor.0,
        },
        ArrivalsEntry::Trace { ref file } => {
            let visits = traces.read(file.get_ref());
            Arrivals::Trace(visits.map_err(|message| wrong(file.span(), message))?)
        }
    })
}

fn sizes(entry: &SizeEntry) -> Sizes {
    match *entry {
        SizeEntry::Constant { mean } => Sizes::Constant(mean.0),
        SizeEntry::Exponential { mean } => Sizes::Exponential(mean.0),
        SizeEntry::Uniform { from, to } => Sizes::Uniform(from.0, to.0),
        SizeEntry::Lognormal { mean, cv2 } => Sizes::log_normal(mean.0, cv2.0),
        SizeEntry::Hyperexponential { mean, cv2 } => Sizes::hyper(mean.0, cv2.0),
        SizeEntry::Pareto { mean, alpha, ratio } => Sizes::pareto(mean.0, alpha.0, ratio.0),
        SizeEntry::Bimodal {
            mean,
            factor,
            share,
        } => {
            let small = mean.0 / (1.0 + (factor.0 - 1.0) * share.0);
            Sizes::Bimodal(small, small * factor.0, share.0)
        }
    }
}
