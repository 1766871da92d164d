// SPDX-License-Identifier: GPL-2.0-only

//! Throughput against bare forwarding, bars for the rows with 100 flows.

use std::collections::BTreeSet;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, DrawError, AXIS, FONT, GAP, LABEL};
use crate::record::{Kernel, Mode};
use crate::results::Costs;
use crate::row_name::RowName;

/// How high the plot is, and how wide for each row.
const SIZE: (u32, u32) = (150, 480);

/// A row's width on the axis, in whole numbers as key points want them.
const UNIT: i32 = 1000;

/// Of that, what its bars take together.
const BARS: i32 = 800;

/// A row's ratios by mode.
type Group<'a> = (&'a RowName, Vec<(Mode, f64)>);

/// The groups of bars: rows with 100 flows that are no point of a curve.
fn groups(costs: &Costs) -> Vec<Group<'_>> {
    let rows = costs.rows.iter().filter(|(name, _)| {
        let text = name.as_str();
        text.ends_with("-100") && !text.starts_with("flows-") && !name.is_new()
    });
    let groups = rows.map(|(name, row)| {
        let modes = row.modes.keys();
        let ratios = modes.filter_map(|mode| Some((*mode, costs.compare(name, *mode)?.ratio)));
        (name, ratios.collect::<Vec<_>>())
    });
    groups.filter(|(_, ratios)| !ratios.is_empty()).collect()
}

/// The plot, if there is something to draw.
pub(super) fn render(kernel: Kernel, costs: &Costs) -> Result<Option<String>, DrawError> {
    let groups = groups(costs);
    if groups.is_empty() {
        return Ok(None);
    }
    let ratios = || groups.iter().flat_map(|(_, ratios)| ratios);
    let best = ratios().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    let barred: BTreeSet<Mode> = ratios().map(|(mode, _)| *mode).collect();
    let legend: Vec<Mode> = [Mode::Bare]
        .into_iter()
        .chain(barred.iter().copied())
        .collect();
    let bar = BARS / barred.len() as i32;
    // Wide enough for the title and the legend too.
    let size = ((SIZE.0 * groups.len() as u32 + 100).max(840), SIZE.1);
    let title = format!(
        "Throughput against bare forwarding, 100 flows ({})",
        kernel.title()
    );
    let end = UNIT * groups.len() as i32;
    let middles: Vec<i32> = (0..end)
        .step_by(UNIT as usize)
        .map(|left| left + UNIT / 2)
        .collect();
    let draw = |area: &canvas::Area<'_>| {
        let mut chart = ChartBuilder::on(area)
            .margin(GAP)
            .x_label_area_size(48)
            .y_label_area_size(68)
            .build_cartesian_2d((0..end).with_key_points(middles), 0.0..best * 1.1)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("row")
            .y_desc("bare forwarding = 1 (more is better)")
            .y_labels(10)
            .max_light_lines(0)
            .x_label_formatter(&|middle| {
                let group = groups.get((middle / UNIT) as usize);
                group.map_or(String::new(), |(name, _)| name.to_string())
            })
            .y_label_formatter(&|ratio| format!("{ratio:.1}"))
            .axis_desc_style((FONT, AXIS))
            .label_style((FONT, LABEL))
            .draw()?;
        let mut tops = Vec::new();
        for (index, (_, ratios)) in groups.iter().enumerate() {
            for (mode, ratio) in ratios {
                // Every mode has its place, whether the row has it or not.
                let place = barred.iter().position(|other| other == mode).unwrap_or(0);
                let left = index as i32 * UNIT + (UNIT - BARS) / 2 + bar * place as i32;
                let corners = [(left, 0.0), (left + bar * 9 / 10, *ratio)];
                chart.draw_series([Rectangle::new(corners, canvas::color(*mode).filled())])?;
                tops.push((left + bar * 9 / 20, *ratio));
            }
        }
        let bare = PathElement::new([(0, 1.0), (end, 1.0)], canvas::stroke(Mode::Bare));
        chart.draw_series([bare])?;
        let above = (FONT, LABEL)
            .into_font()
            .color(&BLACK)
            .pos(Pos::new(HPos::Center, VPos::Bottom));
        for (middle, ratio) in tops {
            // On a ground of its own: the line of bare forwarding may pass here.
            chart.draw_series([EmptyElement::at((middle, ratio))
                + Rectangle::new([(-18, -17), (18, -2)], WHITE.filled())
                + Text::new(format!("{ratio:.2}"), (0, -3), above.clone())])?;
        }
        Ok(())
    };
    canvas::plot(size, &title, &legend, draw).map(Some)
}
