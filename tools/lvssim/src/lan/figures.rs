// SPDX-License-Identifier: GPL-2.0-only

//! Draws the figures of the 2003 report from runs of the LAN model.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::engine::SECOND;
use crate::plot::{Figure, Reference, Series};
use crate::statistics::Estimate;

use super::oracle;
use super::recipes::{recipes, Curve, Quantity, Recipe};
use super::{run, LanOutcome, LanSetup, Method};

/// The names of all figures.
#[must_use]
pub fn names() -> Vec<String> {
    recipes().iter().map(|recipe| recipe.name.clone()).collect()
}

/// Outcomes of runs, each made once: figures share most of them.
#[derive(Default)]
pub struct Runs(HashMap<LanSetup, LanOutcome>);

impl Runs {
    /// Direct routing is NAT as far as the LAN is concerned.
    fn key(setup: &LanSetup) -> LanSetup {
        let mut key = setup.clone();
        if key.method == Method::Dr {
            key.method = Method::Nat;
        }
        key
    }

    /// Makes the runs that are missing, on all cores.
    pub fn make(&mut self, setups: impl IntoIterator<Item = LanSetup>, progress: impl Fn() + Sync) {
        let mut missing: Vec<LanSetup> = Vec::new();
        for setup in setups {
            let key = Self::key(&setup);
            if !self.0.contains_key(&key) && !missing.contains(&key) {
                missing.push(key);
            }
        }
        // The longest first.
        missing.sort_by_key(|setup| std::cmp::Reverse(setup.clients * (setup.servers + 2)));
        let outcomes: Vec<LanOutcome> = missing
            .par_iter()
            .with_max_len(1)
            .map(|setup| {
                let outcome = run(setup);
                progress();
                outcome
            })
            .collect();
        self.0.extend(missing.into_iter().zip(outcomes));
    }

    fn all(&self, setup: &LanSetup, seeds: u64) -> Vec<&LanOutcome> {
        (1..=seeds)
            .filter_map(|seed| {
                self.0.get(&Self::key(&LanSetup {
                    seed,
                    ..setup.clone()
                }))
            })
            .collect()
    }

    /// The estimate of a quantity from so many seeds.
    #[must_use]
    pub fn estimate(&self, setup: &LanSetup, quantity: Quantity, seeds: u64) -> Estimate {
        Estimate::of(
            self.all(setup, seeds)
                .into_iter()
                .map(|outcome| quantity.of(outcome)),
        )
    }
}

impl Recipe {
    fn setups(&self, seeds: u64) -> Vec<LanSetup> {
        let mut setups = Vec::new();
        for curve in &self.curves {
            for seed in 1..=seeds {
                let setup = LanSetup {
                    seed,
                    ..curve.setup.clone()
                };
                if self.clients.is_empty() {
                    setups.push(setup);
                    continue;
                }
                let with = |clients: &u32| LanSetup {
                    clients: *clients,
                    ..setup.clone()
                };
                setups.extend(self.clients.iter().map(with));
            }
        }
        setups
    }

    fn figure(&self, runs: &Runs, seeds: u64) -> Figure {
        let over_time = self.clients.is_empty();
        let series = match over_time {
            true => self
                .curves
                .iter()
                .flat_map(|curve| self.over_time(curve, runs, seeds))
                .collect(),
            false => self
                .curves
                .iter()
                .map(|curve| self.over_clients(curve, runs, seeds))
                .collect(),
        };
        let mut references = Vec::new();
        let oracle = self.oracle_points();
        if !oracle.is_empty() {
            references.push(Reference {
                name: "ns-2 2.35, range of seeds".to_owned(),
                points: oracle,
            });
        }
        if !self.printed.is_empty() {
            let points = self.printed.iter().map(|[x, y]| [*x, *y, *y, *y]).collect();
            // The filled mark is the report's, whether there is an oracle or not.
            if references.is_empty() {
                references.push(Reference {
                    name: String::new(),
                    points: Vec::new(),
                });
            }
            references.push(Reference {
                name: "the report's text".to_owned(),
                points,
            });
        }
        references.retain(|reference| !reference.points.is_empty());
        Figure {
            name: self.name.clone(),
            title: self.title.clone(),
            caption: format!("The report says: {}.", self.says),
            x: match over_time {
                true => "time (s)".to_owned(),
                false => "clients, each with 1000 requests a second".to_owned(),
            },
            y: self.quantity.axis().to_owned(),
            series,
            references,
            ..Figure::default()
        }
    }

    fn over_clients(&self, curve: &Curve, runs: &Runs, seeds: u64) -> Series {
        let point = |clients: &u32| {
            let setup = LanSetup {
                clients: *clients,
                ..curve.setup.clone()
            };
            let estimate = runs.estimate(&setup, self.quantity, seeds);
            [f64::from(*clients), estimate.mean, estimate.half_width]
        };
        Series {
            name: curve.name.clone(),
            points: self.clients.iter().map(point).collect(),
        }
    }

    fn over_time(&self, curve: &Curve, runs: &Runs, seeds: u64) -> Vec<Series> {
        let outcomes = runs.all(&curve.setup, seeds);
        let length = curve.setup.series.unwrap_or(SECOND) as f64 / SECOND as f64;
        let periods = outcomes
            .iter()
            .map(|outcome| outcome.series.len())
            .min()
            .unwrap_or(0);
        let of = |server: Option<usize>, name: String| Series {
            name,
            points: (0..periods)
                .map(|place| {
                    let values = outcomes.iter().map(|outcome| {
                        let period = &outcome.series[place];
                        match (self.quantity, server) {
                            (Quantity::Received, Some(server)) => period.received[server],
                            (Quantity::LostAtServers, Some(server)) => period.lost[server],
                            _ => period.replied,
                        }
                    });
                    let estimate = Estimate::of(values);
                    [0.5 + place as f64 * length, estimate.mean, 0.0]
                })
                .collect(),
        };
        match self.by_server {
            false => vec![of(None, curve.name.clone())],
            true => (0..2)
                .map(|server| {
                    of(
                        Some(server),
                        format!("{}, server {}", curve.name, server + 1),
                    )
                })
                .collect(),
        }
    }

    fn oracle_points(&self) -> Vec<[f64; 4]> {
        let point = |row: &oracle::Row| {
            let [low, median, high] = match self.quantity {
                Quantity::LostAtDirector => row.lost_at_director,
                Quantity::LostAtServers => row.lost_at_servers,
                Quantity::Replied | Quantity::Received => row.replied,
            };
            [f64::from(row.clients), low, median, high]
        };
        let shown = |row: &&oracle::Row| {
            row.megabits == self.megabits && self.oracle.contains(&row.servers)
        };
        oracle::ROWS.iter().filter(shown).map(point).collect()
    }
}

/// The runs that the figures of these names need.
#[must_use]
pub fn setups(names: &[String], seeds: u64) -> Vec<LanSetup> {
    recipes()
        .iter()
        .filter(|recipe| names.contains(&recipe.name))
        .flat_map(|recipe| recipe.setups(seeds))
        .collect()
}

/// The figure of this name, from runs that were made.
#[must_use]
pub fn figure(name: &str, runs: &Runs, seeds: u64) -> Option<Figure> {
    let recipes = recipes();
    let recipe = recipes.iter().find(|recipe| recipe.name == name)?;
    Some(recipe.figure(runs, seeds))
}
