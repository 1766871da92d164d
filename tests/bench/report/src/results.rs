// SPDX-License-Identifier: GPL-2.0-only

//! The rounds of each row and mode; medians, and comparisons of modes within a row.

use std::collections::btree_map::Entry;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::record::{Cost, Kernel, Memory, Mode, Place, Record, Unit};
use crate::row_name::RowName;

/// The results of one row and mode. There is at least one round.
#[derive(Debug)]
pub struct Series {
    rounds: BTreeMap<u32, (Place, f64)>,
    /// The size of a connection's slab object, in memory rows.
    pub entry: Option<u64>,
}

impl Series {
    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.rounds.values().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The number of rounds.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// The median.
    pub fn median(&self) -> f64 {
        let values = self.sorted();
        let middle = values.len() / 2;
        if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        }
    }

    /// The least.
    pub fn min(&self) -> f64 {
        self.sorted()[0]
    }

    /// The greatest.
    pub fn max(&self) -> f64 {
        self.sorted()[self.rounds.len() - 1]
    }

    /// From the least to the greatest, in percent of the median.
    pub fn spread_percent(&self) -> f64 {
        (self.max() - self.min()) / self.median() * 100.0
    }
}

/// A row that was measured with several modes.
#[derive(Debug, Default)]
pub struct Row {
    /// Distinct flows, or connections in memory rows.
    pub flows: Option<u64>,
    /// Real servers.
    pub servers: Option<u64>,
    /// The results of each mode.
    pub modes: BTreeMap<Mode, Series>,
}

impl Row {
    /// A mode's median.
    pub fn median(&self, mode: Mode) -> Option<f64> {
        self.modes.get(&mode).map(Series::median)
    }

    /// How many times cheaper this project's director is than the kernel's own.
    pub fn ours_to_ip_vs(&self) -> Option<f64> {
        Some(self.median(Mode::IpVs)? / self.median(Mode::IpvsRs)?)
    }

    fn add(
        &mut self,
        mode: Mode,
        round: u32,
        place: Place,
        value: f64,
        entry: Option<u64>,
    ) -> Result<(), Error> {
        let rounds = BTreeMap::new();
        let series = self.modes.entry(mode).or_insert(Series { rounds, entry });
        series.entry = entry.or(series.entry);
        match series.rounds.entry(round) {
            // A repeated round would count twice.
            Entry::Occupied(earlier) => {
                let earlier = &earlier.get().0;
                Err(place.error(format_args!(
                    "round {round} of {mode} in this row is at {earlier} already"
                )))
            }
            Entry::Vacant(vacant) => {
                vacant.insert((place, value));
                Ok(())
            }
        }
    }
}

/// Rows in the order of tables.
pub type Rows = BTreeMap<RowName, Row>;

/// A mode compared with bare forwarding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The cost beyond that of bare forwarding.
    pub added: f64,
    /// The throughput relative to bare forwarding.
    pub ratio: f64,
}

/// The costs on one kernel.
#[derive(Debug)]
pub struct Costs {
    /// The unit of the costs.
    pub unit: Unit,
    /// The rows.
    pub rows: Rows,
}

impl Costs {
    /// Returns the row whose bare forwarding a row is compared with, and its median. It is the row
    /// itself if possible, otherwise plain forwarding.
    pub fn baseline(&self, name: &RowName) -> Option<(RowName, f64)> {
        let candidates = [name.clone(), RowName::forwarding()];
        candidates.into_iter().find_map(|candidate| {
            let median = self.rows.get(&candidate)?.median(Mode::Bare)?;
            Some((candidate, median))
        })
    }

    /// A mode of a row compared with bare forwarding; nothing for bare forwarding itself.
    pub fn compare(&self, name: &RowName, mode: Mode) -> Option<Comparison> {
        if mode == Mode::Bare {
            return None;
        }
        let value = self.rows.get(name)?.median(mode)?;
        let (_, bare) = self.baseline(name)?;
        Some(Comparison {
            added: value - bare,
            ratio: bare / value,
        })
    }
}

/// All measurements.
#[derive(Debug, Default)]
pub struct Results {
    /// The circumstances of the measurements, one record each.
    pub meta: Vec<Map<String, Value>>,
    /// Costs.
    pub costs: BTreeMap<Kernel, Costs>,
    /// Bytes per connection.
    pub memory: BTreeMap<Kernel, Rows>,
}

impl Results {
    /// Collects records.
    pub fn new(records: impl IntoIterator<Item = (Place, Record)>) -> Result<Self, Error> {
        let mut results = Self::default();
        for (place, record) in records {
            match record {
                Record::Meta(meta) => results.meta.push(meta),
                Record::Cost(cost) => results.add_cost(place, cost)?,
                Record::Memory(memory) => results.add_memory(place, memory)?,
            }
        }
        Ok(results)
    }

    fn add_cost(&mut self, place: Place, cost: Cost) -> Result<(), Error> {
        let unit = cost.unit;
        let rows = Rows::new();
        let costs = self
            .costs
            .entry(cost.kernel)
            .or_insert(Costs { unit, rows });
        if costs.unit != unit {
            let (earlier, now) = (costs.unit.title(), unit.title());
            return Err(place.error(format_args!(
                "costs of {} were in {earlier}, now in {now}",
                cost.kernel
            )));
        }
        let row = costs.rows.entry(RowName::from(cost.row)).or_default();
        row.flows = cost.flows.or(row.flows);
        row.servers = cost.servers.or(row.servers);
        row.add(cost.mode, cost.round, place, cost.value, None)
    }

    fn add_memory(&mut self, place: Place, memory: Memory) -> Result<(), Error> {
        let rows = self.memory.entry(memory.kernel).or_default();
        let row = rows.entry(RowName::from(memory.row)).or_default();
        row.flows = Some(memory.connections);
        let value = memory.bytes as f64 / memory.connections as f64;
        row.add(memory.mode, memory.round, place, value, memory.entry)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record;

    fn cost(row: &str, mode: &str, round: u32, value: f64, unit: &str) -> String {
        format!(
            "{{\"kind\":\"cost\",\"kernel\":\"uml\",\"row\":\"{row}\",\"mode\":\"{mode}\",\"round\":{round},\
             \"packets\":1000,\"value\":{value},\"unit\":\"{unit}\"}}\n"
        )
    }

    fn results(text: &str) -> Result<Results, Error> {
        Results::new(record::parse(Path::new("raw"), text)?)
    }

    fn error(text: &str) -> String {
        results(text).unwrap_err().to_string()
    }

    fn series(values: &[f64]) -> Series {
        let text: String = (1..)
            .zip(values)
            .map(|(round, value)| cost("a", "bare", round, *value, "ns"))
            .collect();
        let mut costs = results(&text).unwrap().costs.remove(&Kernel::Uml).unwrap();
        costs
            .rows
            .pop_first()
            .unwrap()
            .1
            .modes
            .pop_first()
            .unwrap()
            .1
    }

    #[test]
    fn the_median_is_the_middle_round_or_between_the_two() {
        assert_eq!(series(&[7.0]).median(), 7.0);
        assert_eq!(series(&[9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[9.0, 1.0, 2.0, 4.0]).median(), 3.0);
    }

    #[test]
    fn the_spread_is_relative_to_the_median() {
        let series = series(&[110.0, 90.0, 100.0]);
        assert_eq!(
            (series.min(), series.max(), series.rounds()),
            (90.0, 110.0, 3)
        );
        assert_eq!(series.spread_percent(), 20.0);
    }

    #[test]
    fn a_mode_is_compared_with_bare_of_its_row_or_of_forwarding() {
        let text = cost("forwarding", "bare", 1, 400.0, "ns")
            + &cost("nat-100", "ip_vs", 1, 500.0, "ns")
            + &cost("nat-100", "ipvs_rs", 1, 250.0, "ns")
            + &cost("bystander", "bare", 1, 600.0, "ns")
            + &cost("bystander", "ipvs_rs", 1, 800.0, "ns");
        let results = results(&text).unwrap();
        let costs = &results.costs[&Kernel::Uml];
        let comparison = |added, ratio| Some(Comparison { added, ratio });
        assert_eq!(
            costs.compare(&"nat-100".into(), Mode::IpVs),
            comparison(100.0, 0.8)
        );
        assert_eq!(
            costs.compare(&"nat-100".into(), Mode::IpvsRs),
            comparison(-150.0, 1.6)
        );
        assert_eq!(
            costs.compare(&"bystander".into(), Mode::IpvsRs),
            comparison(200.0, 0.75)
        );
        assert_eq!(costs.compare(&"bystander".into(), Mode::Bare), None);
        assert_eq!(costs.compare(&"bystander".into(), Mode::IpVs), None);
        assert_eq!(costs.rows[&"nat-100".into()].ours_to_ip_vs(), Some(2.0));
        assert_eq!(costs.rows[&"bystander".into()].ours_to_ip_vs(), None);
    }

    #[test]
    fn without_bare_forwarding_nothing_is_compared() {
        let results = results(&cost("nat-100", "ip_vs", 1, 500.0, "ns")).unwrap();
        assert_eq!(
            results.costs[&Kernel::Uml].compare(&"nat-100".into(), Mode::IpVs),
            None
        );
    }

    #[test]
    fn a_round_counts_once() {
        let text = cost("a", "bare", 1, 1.0, "ns")
            + &cost("a", "bare", 2, 1.0, "ns")
            + &cost("a", "bare", 1, 9.0, "ns");
        assert_eq!(
            error(&text),
            "raw:3: round 1 of bare in this row is at raw:1 already"
        );
    }

    #[test]
    fn a_kernel_has_one_unit() {
        let text = cost("a", "bare", 1, 1.0, "ns") + &cost("b", "bare", 1, 1.0, "instructions");
        assert_eq!(
            error(&text),
            "raw:2: costs of uml were in ns, now in instructions"
        );
    }
}
