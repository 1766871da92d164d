// SPDX-License-Identifier: GPL-2.0-only

//! Figures as SVG: lines over a number or a time, bars over names, with confidence intervals and
//! with what others measured drawn in as points.

use std::fmt::Write;

/// Values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// x, y and half of the width of the confidence interval of y.
    pub points: Vec<[f64; 3]>,
}

/// What others measured or printed: x, and least, middle and greatest y.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Who says so.
    pub name: String,
    /// The values.
    pub points: Vec<[f64; 4]>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Figure {
    /// The name on the command line.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What follows from it.
    pub caption: String,
    /// The horizontal axis.
    pub x: String,
    /// The vertical axis.
    pub y: String,
    /// The horizontal axis is logarithmic.
    pub log_x: bool,
    /// The vertical axis is logarithmic.
    pub log_y: bool,
    /// Names along the horizontal axis: then x is the number of a name, and there are bars.
    pub categories: Vec<String>,
    /// The values.
    pub series: Vec<Series>,
    /// What others say.
    pub references: Vec<Reference>,
}

/// Colors that are told apart with any color vision (Okabe and Ito's).
const COLORS: [&str; 8] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8A6D00",
];

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 52.0;
const LEGEND_LINE: f64 = 20.0;

/// An axis: values and where they are drawn.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let scale = |value: f64| {
            if self.log {
                value.max(1e-12).log10()
            } else {
                value
            }
        };
        let (low, high) = (scale(self.low), scale(self.high));
        let share = ((scale(value) - low) / (high - low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Values worth a line, about five.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let (low, high) = (
                self.low.log10().floor() as i32,
                self.high.log10().ceil() as i32,
            );
            let steps: &[f64] = if high - low <= 2 {
                &[1.0, 2.0, 5.0]
            } else {
                &[1.0]
            };
            return (low..=high)
                .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)))
                .filter(|tick| *tick >= self.low * 0.999 && *tick <= self.high * 1.001)
                .collect();
        }
        let span = self.high - self.low;
        let power = 10_f64.powf((span / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| span / step <= 6.0)
            .unwrap_or(span);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

/// A number on an axis.
fn label(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        format!("{}k", trimmed(value / 1000.0))
    } else {
        trimmed(value)
    }
}

fn trimmed(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value == value.round() {
        0
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Text for XML.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Figure {
    /// The range of all y, with a little room.
    fn range(&self, axis: usize) -> (f64, f64) {
        let own = self.series.iter().flat_map(|series| &series.points);
        let mut values: Vec<f64> = match axis {
            0 => own.map(|point| point[0]).collect(),
            _ => own
                .flat_map(|[_, y, half]| [y - half, *y, y + half])
                .collect(),
        };
        let others = self
            .references
            .iter()
            .flat_map(|reference| &reference.points);
        values.extend(others.flat_map(|point| {
            if axis == 0 {
                vec![point[0]]
            } else {
                point[1..].to_vec()
            }
        }));
        values.retain(|value| value.is_finite());
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log = if axis == 0 { self.log_x } else { self.log_y };
        if log {
            values.retain(|value| *value > 0.0);
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            // Bars begin at a power of ten, so that the least of them has a height.
            let low = match self.categories.is_empty() {
                true => low / 1.1,
                false => 10_f64.powf((low / 1.5).log10().floor()),
            };
            return (low, high * 1.1);
        }
        match axis {
            0 if high > low => (low, high),
            0 => (low - 1.0, low + 1.0),
            _ if high <= 0.0 => (0.0, 1.0),
            _ => (0.0, high * 1.06),
        }
    }

    /// The figure as an SVG document of its own.
    #[must_use]
    pub fn document(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by lvssim: {} -->\n{}\n",
            self.name,
            self.svg()
        )
    }

    /// The figure as an `svg` element.
    #[must_use]
    pub fn svg(&self) -> String {
        let names = self.series.iter().map(|series| &series.name);
        let others = self.references.iter().map(|reference| &reference.name);
        let legend: Vec<&String> = names.chain(others).collect();
        // Where each entry of the legend stands.
        let mut places = Vec::new();
        let (mut x, mut line) = (LEFT, 0.0);
        for name in &legend {
            let width = 42.0 + name.chars().count() as f64 * 7.0;
            if x + width > WIDTH - RIGHT && x > LEFT {
                x = LEFT;
                line += 1.0;
            }
            places.push((x, 20.0 + line * LEGEND_LINE));
            x += width;
        }
        let top = 36.0 + line * LEGEND_LINE;
        let height = HEIGHT + line * LEGEND_LINE;
        let (y_low, y_high) = self.range(1);
        let vertical = Axis {
            low: y_low,
            high: y_high,
            log: self.log_y,
            from: height - BOTTOM,
            to: top,
        };
        let (x_low, x_high) = match self.categories.len() {
            0 => self.range(0),
            count => (-0.5, count as f64 - 0.5),
        };
        let horizontal = Axis {
            low: x_low,
            high: x_high,
            log: self.log_x,
            from: LEFT,
            to: WIDTH - RIGHT,
        };
        let mut svg = String::new();
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"13\" style=\"background:#fff;max-width:100%\">\
             <title>{}</title>",
            escaped(&self.title)
        );
        self.axes(&mut svg, &horizontal, &vertical);
        for (number, series) in self.series.iter().enumerate() {
            let color = COLORS[number % COLORS.len()];
            if self.categories.is_empty() {
                lines(&mut svg, series, number, color, &horizontal, &vertical);
            } else {
                self.bars(&mut svg, series, number, color, &horizontal, &vertical);
            }
            let (x, y) = places[number];
            let _ = write!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"4\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                y - 6.0,
                x + 24.0,
                y,
                escaped(&series.name)
            );
        }
        for (number, reference) in self.references.iter().enumerate() {
            let hollow = if number == 0 { "#fff" } else { "#111" };
            for [x, low, middle, high] in &reference.points {
                let (x, middle) = (horizontal.at(*x), vertical.at(*middle));
                let (low, high) = (vertical.at(*low), vertical.at(*high));
                let _ = write!(
                    svg,
                    "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"#111\" stroke-width=\"3\"/>"
                );
                mark(&mut svg, x, middle, hollow);
            }
            let (x, y) = places[self.series.len() + number];
            mark(&mut svg, x + 9.0, y - 4.0, hollow);
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                x + 24.0,
                escaped(&reference.name)
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn axes(&self, svg: &mut String, horizontal: &Axis, vertical: &Axis) {
        for tick in vertical.ticks() {
            let y = vertical.at(tick);
            let _ = write!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                label(tick)
            );
        }
        let bottom = vertical.from;
        if self.categories.is_empty() {
            for tick in horizontal.ticks() {
                let x = horizontal.at(tick);
                let _ = write!(
                    svg,
                    "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#111\"/>\
                     <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    bottom + 18.0,
                    label(tick)
                );
            }
        } else {
            for (number, name) in self.categories.iter().enumerate() {
                let _ = write!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    horizontal.at(number as f64),
                    bottom + 18.0,
                    escaped(name)
                );
            }
        }
        let (top, middle) = (vertical.to, f64::midpoint(vertical.from, vertical.to));
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#111\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {middle:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            WIDTH - RIGHT,
            f64::midpoint(LEFT, WIDTH - RIGHT),
            bottom + 40.0,
            escaped(&self.x),
            escaped(&self.y)
        );
    }

    fn bars(
        &self,
        svg: &mut String,
        series: &Series,
        number: usize,
        color: &str,
        x: &Axis,
        y: &Axis,
    ) {
        let slot = (x.to - x.from) / self.categories.len() as f64 * 0.8;
        let width = slot / self.series.len() as f64;
        for [place, value, half] in series.points.iter().filter(|point| point[1].is_finite()) {
            let left = x.at(*place) - slot / 2.0 + width * number as f64;
            let top = y.at(*value);
            let _ = write!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 fill=\"{color}\"/>",
                (width - 1.0).max(1.0),
                (y.from - top).max(0.5)
            );
            whisker(svg, left + width / 2.0, *value, *half, "#111", y);
        }
    }
}

/// A confidence interval.
fn whisker(svg: &mut String, x: f64, value: f64, half: f64, color: &str, axis: &Axis) {
    let (low, high) = (axis.at(value - half), axis.at(value + half));
    if (low - high).abs() > 1.5 {
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6\" \
             stroke=\"{color}\" fill=\"none\"/>",
            x - 3.0,
            x - 3.0
        );
    }
}

fn mark(svg: &mut String, x: f64, y: f64, fill: &str) {
    let _ = write!(
        svg,
        "<path d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\" fill=\"{fill}\" stroke=\"#111\" \
         stroke-width=\"1.5\"/>",
        y - 5.0
    );
}

fn lines(svg: &mut String, series: &Series, number: usize, color: &str, x: &Axis, y: &Axis) {
    let points: Vec<_> = series
        .points
        .iter()
        .filter(|point| point[1].is_finite())
        .collect();
    let path: Vec<String> = points
        .iter()
        .map(|[a, b, _]| format!("{:.1} {:.1}", x.at(*a), y.at(*b)))
        .collect();
    let dash = ["", "8 3", "2 3", "8 3 2 3"][number / 2 % 4];
    let _ = write!(
        svg,
        "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" \
         stroke-dasharray=\"{dash}\"/>",
        path.join("L")
    );
    if points.len() <= 40 {
        for [a, b, half] in points {
            whisker(svg, x.at(*a), *b, *half, color, y);
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                x.at(*a),
                y.at(*b)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure {
            name: "test".to_owned(),
            title: "a < b & c".to_owned(),
            x: "x".to_owned(),
            y: "y".to_owned(),
            series: vec![Series {
                name: "one".to_owned(),
                points: vec![[0.0, 1.0, 0.5], [1.0, 10.0, 0.1], [2.0, f64::NAN, 0.0]],
            }],
            references: vec![Reference {
                name: "others".to_owned(),
                points: vec![[1.0, 8.0, 9.0, 11.0]],
            }],
            ..Figure::default()
        }
    }

    #[test]
    fn figures_are_well_formed_and_have_every_point_that_is_a_number() {
        let text = figure().document();
        let document = roxmltree::Document::parse(&text).unwrap();
        let count = |tag: &str| {
            document
                .descendants()
                .filter(|n| n.has_tag_name(tag))
                .count()
        };
        assert_eq!(count("circle"), 2);
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn bars_and_logarithmic_axes_are_drawn() {
        let bars = Figure {
            categories: vec!["rr".to_owned(), "wlc".to_owned(), "twos".to_owned()],
            log_y: true,
            ..figure()
        };
        let text = bars.document();
        let document = roxmltree::Document::parse(&text).unwrap();
        let names: Vec<_> = document.descendants().filter_map(|n| n.text()).collect();
        assert!(
            names.contains(&"wlc") && names.contains(&"others"),
            "{names:?}"
        );
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = |low, high, log| Axis {
            low,
            high,
            log,
            from: 0.0,
            to: 1.0,
        };
        assert_eq!(
            axis(0.0, 10.0, false).ticks(),
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        );
        assert_eq!(axis(1.0, 1000.0, true).ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(
            [label(25_000.0), label(0.5), label(3.0)],
            ["25k", "0.5", "3"]
        );
    }
}
