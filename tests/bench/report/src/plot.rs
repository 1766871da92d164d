// SPDX-License-Identifier: GPL-2.0-only

//! SVG plots. Text stays text, in the viewer's own font.
//!
//! | file | subject |
//! |---|---|
//! | `connections-KERNEL.svg` | cost of a packet by the number of connections |
//! | `schedulers-KERNEL.svg` | cost of a new connection by the number of servers |
//! | `ratios-KERNEL.svg` | throughput against bare forwarding, of the rows with 100 flows |
//!
//! A plot whose rows were not measured is left out.

mod canvas;
mod connections;
mod ratios;
mod schedulers;

use crate::error::Error;
use crate::results::Results;

/// All plots: file names and contents.
pub fn render(results: &Results) -> Result<Vec<(String, String)>, Error> {
    let mut plots = Vec::new();
    for (kernel, costs) in &results.costs {
        let drawn = [
            ("connections", connections::render(*kernel, costs)),
            ("schedulers", schedulers::render(*kernel, costs)),
            ("ratios", ratios::render(*kernel, costs)),
        ];
        for (subject, plot) in drawn {
            let name = format!("{subject}-{kernel}.svg");
            let plot = plot.map_err(|error| Error::new(format!("{name}: {error}")))?;
            plots.extend(plot.map(|svg| (name, svg)));
        }
    }
    Ok(plots)
}
