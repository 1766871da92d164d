// SPDX-License-Identifier: GPL-2.0-only

//! The cost of a packet by the number of connections that send in random order.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::canvas::{self, DrawError, AXIS, FONT, GAP, LABEL};
use crate::number::grouped;
use crate::record::{Kernel, Mode};
use crate::results::Costs;

const SIZE: (u32, u32) = (840, 520);

/// The points of each mode, by the number of connections.
type Lines = BTreeMap<Mode, Vec<(f64, f64)>>;

fn lines(costs: &Costs) -> Lines {
    let mut lines = Lines::new();
    for (name, row) in &costs.rows {
        let number = name
            .as_str()
            .strip_prefix("flows-")
            .and_then(|number| number.parse::<u32>().ok());
        let Some(number) = number.filter(|number| *number > 0) else {
            continue;
        };
        for (mode, series) in &row.modes {
            lines
                .entry(*mode)
                .or_default()
                .push((f64::from(number), series.median()));
        }
    }
    lines
}

/// The plot, if there is something to draw.
pub(super) fn render(kernel: Kernel, costs: &Costs) -> Result<Option<String>, DrawError> {
    let lines = lines(costs);
    let points = || lines.values().flatten().copied();
    let least = points()
        .map(|(number, _)| number)
        .fold(f64::INFINITY, f64::min);
    if least.is_infinite() {
        return Ok(None);
    }
    let most = points().map(|(number, _)| number).fold(0.0, f64::max);
    let dearest = points().map(|(_, cost)| cost).fold(0.0, f64::max);
    // Room beside the outermost points; the cost from zero, so that heights compare.
    let across = (least / 1.3..most * 1.3).log_scale();
    let title = format!("Cost of a packet against connections ({})", kernel.title());
    let modes: Vec<Mode> = lines.keys().copied().collect();
    let draw = |area: &canvas::Area<'_>| {
        let mut chart = ChartBuilder::on(area)
            .margin(GAP)
            .x_label_area_size(48)
            .y_label_area_size(80)
            .build_cartesian_2d(across, 0.0..dearest * 1.08)?;
        chart
            .configure_mesh()
            .x_desc("connections, met at random (logarithmic)")
            .y_desc(format!("{} per packet", costs.unit.title()))
            .x_labels(8)
            .y_labels(10)
            .max_light_lines(0)
            .x_label_formatter(&|number| grouped(*number, 0))
            .y_label_formatter(&|cost| grouped(*cost, 0))
            .axis_desc_style((FONT, AXIS))
            .label_style((FONT, LABEL))
            .draw()?;
        for (mode, points) in &lines {
            canvas::line(&mut chart, *mode, points)?;
        }
        Ok(())
    };
    canvas::plot(SIZE, &title, &modes, draw).map(Some)
}
