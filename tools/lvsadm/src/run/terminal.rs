// SPDX-License-Identifier: GPL-2.0-only

//! Standard input and output.

use std::io::{self, Read, Write};

use crate::error::Error;

/// Standard output, with colors only on a terminal and never with `NO_COLOR`.
pub(super) fn colors() -> impl Write {
    anstream::stdout().lock()
}

pub(super) fn note(prefix: &str, notes: &[String]) {
    for note in notes {
        eprintln!("lvsadm: note: {prefix}{note}");
    }
}

pub(super) fn standard_input() -> Result<String, Error> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::Failed(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

/// The text of a file, or of standard input for `-`.
pub(super) fn text_of(file: &str) -> Result<String, Error> {
    match file {
        "-" => standard_input(),
        file => std::fs::read_to_string(file)
            .map_err(|error| Error::Failed(format!("cannot read {file}: {error}"))),
    }
}

pub(super) fn write(out: &mut impl Write, text: &[u8]) -> Result<(), Error> {
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(Error::Output)
}
