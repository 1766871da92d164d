// SPDX-License-Identifier: GPL-2.0-only

//! The parts that all plots share: colors, markers, the title and the legend above the drawing.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::record::Mode;

/// Where a plot is drawn.
pub(super) type Backend<'a> = SVGBackend<'a>;

/// A part of it.
pub(super) type Area<'a> = DrawingArea<Backend<'a>, Shift>;

/// The reason why a plot cannot be drawn.
pub(super) type DrawError = DrawingAreaErrorKind<io::Error>;

/// The font of every text.
pub(super) const FONT: &str = "sans-serif";

/// The size of what an axis shows. Sizes are line heights: letters come out a fifth smaller.
pub(super) const AXIS: i32 = 18;

/// The size of numbers and names along an axis.
pub(super) const LABEL: i32 = 16;

/// Between texts, lines and edges, in pixels.
pub(super) const GAP: i32 = 16;

const TITLE: i32 = 22;
const LEGEND: i32 = 18;
const SWATCH: i32 = 28;

/// How high title and legend are.
pub(super) const HEADER: i32 = GAP + TITLE + GAP + LEGEND + GAP;

/// Colors that differ for any color vision (Okabe and Ito). In grayscale the markers differ.
pub(super) fn color(mode: Mode) -> RGBColor {
    match mode {
        Mode::Bare => RGBColor(0x55, 0x55, 0x55),
        Mode::Nftables => RGBColor(0x00, 0x9E, 0x73),
        Mode::Flowtable => RGBColor(0xCC, 0x79, 0xA7),
        Mode::IpVs => RGBColor(0xD5, 0x5E, 0x00),
        Mode::IpvsRs => RGBColor(0x00, 0x72, 0xB2),
    }
}

/// The line of a mode.
pub(super) fn stroke(mode: Mode) -> ShapeStyle {
    color(mode).stroke_width(2)
}

/// The corners of a mode's marker about its point.
fn marker(mode: Mode) -> &'static [(i32, i32)] {
    match mode {
        Mode::Bare => &[(0, -5), (5, 0), (0, 5), (-5, 0)],
        Mode::Nftables => &[(0, -5), (5, 4), (-5, 4)],
        Mode::Flowtable => &[(-5, -2), (5, -2), (5, 2), (-5, 2)],
        Mode::IpVs => &[(0, 5), (5, -4), (-5, -4)],
        Mode::IpvsRs => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
    }
}

/// Draws a mode's line with its markers.
pub(super) fn line<'a, X, Y>(
    chart: &mut ChartContext<'a, Backend<'a>, Cartesian2d<X, Y>>,
    mode: Mode,
    points: &[(f64, f64)],
) -> Result<(), DrawError>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart.draw_series(LineSeries::new(points.iter().copied(), stroke(mode)))?;
    chart.draw_series(
        points
            .iter()
            .map(|point| EmptyElement::at(*point) + Polygon::new(marker(mode), color(mode))),
    )?;
    Ok(())
}

/// Returns an upper limit for the width of a text in pixels. The viewer's font is unknown.
pub(super) fn width(text: &str, size: i32) -> i32 {
    (text.chars().count() as f64 * f64::from(size) * 0.5).ceil() as i32
}

/// Draws a plot with a title and a legend; `draw` has what is left below them. Returns the SVG.
pub(super) fn plot(
    size: (u32, u32),
    title: &str,
    modes: &[Mode],
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let style = (FONT, TITLE).into_font().color(&BLACK);
        root.draw(&Text::new(title.to_owned(), (GAP, GAP), style))?;
        legend(&root, modes)?;
        let (_, below) = root.split_vertically(HEADER);
        draw(&below)?;
        root.present()?;
    }
    Ok(svg)
}

fn legend(root: &Area<'_>, modes: &[Mode]) -> Result<(), DrawError> {
    let style = (FONT, LEGEND)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let middle = GAP + TITLE + GAP + LEGEND / 2;
    let mut left = GAP;
    for mode in modes {
        root.draw(&PathElement::new(
            [(left, middle), (left + SWATCH, middle)],
            stroke(*mode),
        ))?;
        root.draw(
            &(EmptyElement::at((left + SWATCH / 2, middle))
                + Polygon::new(marker(*mode), color(*mode))),
        )?;
        let text = left + SWATCH + GAP / 2;
        root.draw(&Text::new(mode.title(), (text, middle), style.clone()))?;
        left = text + width(mode.title(), LEGEND) + GAP;
    }
    Ok(())
}
