// SPDX-License-Identifier: GPL-2.0-only

//! `geo`.

use std::io;

use super::terminal::{text_of, write};
use crate::cli::Geo;
use crate::client::Kernel;
use crate::error::Error;
use crate::geo;

/// Carries it out.
pub(super) fn geo(action: Geo) -> Result<(), Error> {
    let text = match action {
        Geo::Check(file) => geo::summary(&compiled(&file)?) + "\n",
        Geo::Load(file) => {
            let octets = compiled(&file)?;
            Kernel::open()?.load_regions(&octets)?;
            geo::summary(&octets) + "\n"
        }
        Geo::Show => geo::text(&Kernel::open()?.regions()?),
        Geo::Clear => {
            Kernel::open()?.load_regions(&[])?;
            String::new()
        }
        Geo::Where(addresses) => {
            let octets = Kernel::open()?.regions()?;
            let places = addresses
                .iter()
                .map(|address| geo::place(&octets, *address));
            places.collect()
        }
    };
    write(&mut io::stdout().lock(), text.as_bytes())
}

/// The table of a file.
fn compiled(file: &str) -> Result<Vec<u8>, Error> {
    geo::compile(&text_of(file)?).map_err(|mistakes| {
        let mistakes = mistakes.join(&format!("\nlvsadm: {file}: "));
        Error::Failed(format!("{file}: {mistakes}"))
    })
}
