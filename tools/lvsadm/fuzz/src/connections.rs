// SPDX-License-Identifier: GPL-2.0-only

use super::Fixed;
use lvsadm::connections::{self, Connection};
use lvsadm::format::connections::{Form, Listing};
use lvsadm::format::Labels;

/// The kernel's file of connections. An invalid line is reported, and all lines before it can be
/// listed in every format.
pub fn run(data: &[u8]) {
    let mut read = Vec::new();
    // The error of a broken file does not matter here.
    let _ = connections::read(data, &mut |connection| {
        read.push(connection);
        Ok(())
    });
    list(&read);
}

/// Lists connections in every format.
pub fn list(connections: &[Connection]) {
    let text = |engine_data, labels| Form::Text {
        engine_data,
        labels,
    };
    write(connections, text(true, Labels::numeric()));
    write(connections, text(false, Labels::named(&Fixed)));
    let json = write(connections, Form::Json);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(json.is_object());
}

fn write(connections: &[Connection], form: Form<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut listing = Listing::new(form, &mut out);
    for connection in connections {
        listing.add(connection).unwrap();
    }
    listing.end().unwrap();
    out
}
