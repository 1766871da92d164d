// SPDX-License-Identifier: GPL-2.0-only

//! The cost of a new connection against the number of real servers, a panel for each scheduler.

use std::collections::{BTreeMap, BTreeSet};

use plotters::prelude::*;

use super::canvas::{self, DrawError, AXIS, FONT, GAP, LABEL};
use crate::number::grouped;
use crate::record::{Kernel, Mode};
use crate::results::Costs;

const PANEL: (u32, u32) = (420, 310);

/// For each scheduler the points of each mode, by the number of servers.
type Panels = BTreeMap<String, BTreeMap<Mode, Vec<(f64, f64)>>>;

fn panels(costs: &Costs) -> Panels {
    let mut panels = Panels::new();
    for (name, row) in &costs.rows {
        let scheduled = name
            .as_str()
            .strip_prefix("new-")
            .and_then(|rest| rest.rsplit_once('-'));
        let Some((scheduler, Ok(servers))) =
            scheduled.map(|(name, number)| (name, number.parse::<u32>()))
        else {
            continue;
        };
        for (mode, series) in &row.modes {
            let panel = panels.entry(scheduler.to_owned()).or_default();
            panel
                .entry(*mode)
                .or_default()
                .push((f64::from(servers), series.median()));
        }
    }
    panels
}

/// The plot, if there is something to draw.
pub(super) fn render(kernel: Kernel, costs: &Costs) -> Result<Option<String>, DrawError> {
    let panels = panels(costs);
    if panels.is_empty() {
        return Ok(None);
    }
    let points = || panels.values().flat_map(BTreeMap::values).flatten();
    let most = points().map(|(servers, _)| *servers).fold(1.0, f64::max);
    let dearest = points().map(|(_, cost)| *cost).fold(0.0, f64::max);
    let modes: BTreeSet<Mode> = panels.values().flat_map(BTreeMap::keys).copied().collect();
    // As square as possible, but at least two columns: the title needs them.
    let columns = (1..)
        .find(|side| side * side >= panels.len())
        .unwrap_or(1)
        .max(2);
    let rows = panels.len().div_ceil(columns);
    let size = (
        PANEL.0 * columns as u32,
        PANEL.1 * rows as u32 + canvas::HEADER as u32,
    );
    let title = format!(
        "Cost of a new connection against servers ({})",
        kernel.title()
    );
    let modes: Vec<Mode> = modes.into_iter().collect();
    let draw = |area: &canvas::Area<'_>| {
        let areas = area.split_evenly((rows, columns));
        for ((scheduler, lines), area) in panels.iter().zip(&areas) {
            let mut chart = ChartBuilder::on(area)
                .margin(GAP)
                .caption(scheduler, (FONT, AXIS))
                .x_label_area_size(44)
                .y_label_area_size(76)
                // The same ranges for all, so that panels can be compared.
                .build_cartesian_2d(0.0..most * 1.05, 0.0..dearest * 1.08)?;
            chart
                .configure_mesh()
                .x_desc("real servers")
                .y_desc(format!("{} per connection", costs.unit.title()))
                .x_labels(6)
                .y_labels(6)
                .max_light_lines(0)
                .x_label_formatter(&|servers| grouped(*servers, 0))
                .y_label_formatter(&|cost| grouped(*cost, 0))
                .axis_desc_style((FONT, AXIS))
                .label_style((FONT, LABEL))
                .draw()?;
            for (mode, points) in lines {
                canvas::line(&mut chart, *mode, points)?;
            }
        }
        Ok(())
    };
    canvas::plot(size, &title, &modes, draw).map(Some)
}
