// SPDX-License-Identifier: GPL-2.0-only

//! The plots of the fixtures as a viewer shows them: well-formed, everything inside the picture,
//! and no overlapping texts.

use std::path::Path;

use bench_report::results::Results;
use bench_report::{plot, record};
use roxmltree::{Document, Node};

/// The greatest width of a letter, relative to the font size.
const LETTER: f64 = 0.62;

/// The area of a text or a shape: left, top, right, bottom.
type Extent = (f64, f64, f64, f64);

fn plots() -> Vec<(String, String)> {
    let files = ["uml.jsonl", "icount.jsonl"].map(|name| Path::new("tests/fixtures").join(name));
    let records = files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        record::parse(file, &text).unwrap()
    });
    plot::render(&Results::new(records).unwrap()).unwrap()
}

fn plot(name: &str) -> String {
    let found = plots().into_iter().find(|(other, _)| other == name);
    found.unwrap().1
}

fn number(node: &Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn texts(document: &Document<'_>) -> Vec<String> {
    let nodes = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    nodes
        .map(|node| node.text().unwrap().trim().to_owned())
        .collect()
}

fn text_extent(node: &Node<'_, '_>) -> Extent {
    let (x, y, size) = (
        number(node, "x"),
        number(node, "y"),
        number(node, "font-size"),
    );
    let width = node.text().unwrap().trim().chars().count() as f64 * size * LETTER;
    let before = match node.attribute("text-anchor").unwrap() {
        "start" => 0.0,
        "middle" => width / 2.0,
        "end" => width,
        other => panic!("text-anchor {other}"),
    };
    // Letters reach up from the base line by their height.
    let base = match node.attribute("dy").unwrap() {
        "0.76em" => 0.76 * size,
        "0.5ex" => 0.25 * size,
        "-0.5ex" => -0.25 * size,
        other => panic!("dy {other}"),
    };
    match node.attribute("transform") {
        None => (
            x - before,
            y + base - 0.76 * size,
            x - before + width,
            y + base + 0.24 * size,
        ),
        Some(turned) => {
            assert_eq!(turned, format!("rotate(270, {x}, {y})"));
            (
                x + base - 0.76 * size,
                y - width + before,
                x + base + 0.24 * size,
                y + before,
            )
        }
    }
}

fn extent(node: &Node<'_, '_>) -> Extent {
    let at = |attribute| number(node, attribute);
    match node.tag_name().name() {
        "text" => text_extent(node),
        "rect" => (
            at("x"),
            at("y"),
            at("x") + at("width"),
            at("y") + at("height"),
        ),
        "line" => {
            let (x1, y1, x2, y2) = (at("x1"), at("y1"), at("x2"), at("y2"));
            (x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2))
        }
        "polygon" | "polyline" => {
            let pairs = node.attribute("points").unwrap().split_whitespace();
            let points = pairs.map(|pair| pair.split_once(',').unwrap());
            let outside = (
                f64::INFINITY,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NEG_INFINITY,
            );
            points.fold(outside, |(left, top, right, bottom), (x, y)| {
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                (left.min(x), top.min(y), right.max(x), bottom.max(y))
            })
        }
        other => panic!("a plot has no {other}"),
    }
}

#[test]
fn every_subject_has_a_plot_of_each_kernel() {
    let names: Vec<String> = plots().into_iter().map(|(name, _)| name).collect();
    let of = |kernel| {
        ["connections", "schedulers", "ratios"].map(|subject| format!("{subject}-{kernel}.svg"))
    };
    assert_eq!(names, [of("uml"), of("icount")].concat());
}

#[test]
fn the_ground_is_white_and_nothing_is_cut_off() {
    for (name, svg) in plots() {
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        let (width, height) = (number(&root, "width"), number(&root, "height"));
        assert_eq!(
            root.attribute("viewBox"),
            Some(format!("0 0 {width} {height}").as_str())
        );
        let ground = root.first_element_child().unwrap();
        assert_eq!(ground.attribute("fill"), Some("#FFFFFF"));
        assert_eq!(extent(&ground), (0.0, 0.0, width, height));
        for node in root.children().filter(Node::is_element) {
            let (left, top, right, bottom) = extent(&node);
            let inside = left >= 0.0 && top >= 0.0 && right <= width && bottom <= height;
            assert!(
                inside,
                "{name}: {} {:?} reaches {:?}",
                node.tag_name().name(),
                node.text(),
                extent(&node)
            );
        }
    }
}

#[test]
fn no_text_lies_on_another() {
    for (name, svg) in plots() {
        let document = Document::parse(&svg).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .collect();
        for (index, one) in texts.iter().enumerate() {
            for other in &texts[..index] {
                let (a, b) = (extent(one), extent(other));
                let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                assert!(apart, "{name}: {:?} on {:?}", one.text(), other.text());
            }
        }
    }
}

#[test]
fn axes_have_units_and_lines_a_legend() {
    let svg = plot("connections-uml.svg");
    let document = Document::parse(&svg).unwrap();
    let texts = texts(&document);
    let expected = [
        "Cost of a packet against connections (User Mode Linux)",
        "ns per packet",
        "connections, met at random (logarithmic)",
        "bare forwarding",
        "nftables DNAT map",
        "ip_vs (C)",
        "ipvs_rs",
        "100",
        "1,000,000",
    ];
    for text in expected {
        assert!(
            texts.contains(&text.to_owned()),
            "{text} is not in {texts:?}"
        );
    }
    // A line in the legend and one in the chart, for each mode.
    for color in ["#555555", "#009E73", "#D55E00", "#0072B2"] {
        let lines = document.descendants().filter(|node| {
            node.has_tag_name("polyline") && node.attribute("stroke") == Some(color)
        });
        assert_eq!(lines.count(), 2, "{color}");
    }
}

#[test]
fn a_bar_is_as_high_as_its_ratio() {
    let svg = plot("ratios-icount.svg");
    let document = Document::parse(&svg).unwrap();
    let texts = texts(&document);
    // nat-100, dr-100 and tun-100 of nftables (the first alone), ip_vs and ipvs_rs.
    for ratio in ["0.84", "0.82", "1.06", "0.84", "1.08", "0.81", "1.05"] {
        assert!(
            texts.contains(&ratio.to_owned()),
            "{ratio} is not in {texts:?}"
        );
    }
    let bars = |color: &str| -> Vec<f64> {
        let rectangles = document
            .descendants()
            .filter(|node| node.has_tag_name("rect"));
        let colored = rectangles.filter(|node| node.attribute("fill") == Some(color));
        colored.map(|node| number(&node, "height")).collect()
    };
    let (nftables, ip_vs, ours) = (bars("#009E73"), bars("#D55E00"), bars("#0072B2"));
    assert_eq!((nftables.len(), ip_vs.len(), ours.len()), (1, 3, 3));
    let higher = ours[0] / ip_vs[0];
    assert!((higher - 10_534.0 / 8_126.0).abs() < 0.01, "{higher}");
}
