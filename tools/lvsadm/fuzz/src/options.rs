// SPDX-License-Identifier: GPL-2.0-only

use super::{survival, PARSER};
use lvsadm::cli::Command;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A command line with one argument per line. It is refused with a message, or its meaning survives
/// being sent and saved.
pub fn run(data: &[u8]) {
    let arguments = data.split(|octet| *octet == b'\n').map(OsStr::from_bytes);
    let line: Vec<OsString> = std::iter::once(OsStr::new("lvsadm"))
        .chain(arguments)
        .map(OsStr::to_owned)
        .collect();
    match PARSER.with_borrow_mut(|parser| parser.parse(line)) {
        Ok(Command::Change { change, notes, .. }) => {
            assert!(notes.iter().all(|note| !note.is_empty()));
            survival::change(&change);
        }
        Ok(_) => (),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
