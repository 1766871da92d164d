// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::sip::call_id;

/// A SIP message. With the lowest bit of the first octet set, its start line is a correct one.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let start = if first & 1 == 1 {
        &b"A b SIP/2.0\r\n"[..]
    } else {
        b""
    };
    let message = [start, rest].concat();
    let found = call_id(&message);
    let Some(id) = found else {
        return;
    };
    assert!((1..=255).contains(&id.len()));
    let at = id.as_ptr().addr() - message.as_ptr().addr();
    let end = at + id.len();
    assert_eq!(message.get(at..end), Some(id));
    // A line ends behind it, apart from white space, and none inside.
    assert!(id.iter().all(u8::is_ascii_graphic));
    let behind = message[end..]
        .iter()
        .find(|octet| !matches!(octet, b' ' | b'\t' | 0x0c));
    assert!(matches!(behind, Some(b'\r' | b'\n')));
    // A header before it has one of the names.
    let before = message[..at].to_ascii_lowercase();
    let name = before.iter().rposition(|octet| *octet == b':').unwrap();
    let name = before[..name].trim_ascii_end();
    assert!(name.ends_with(b"\ni") || name.ends_with(b"\ri") || name.ends_with(b"call-id"));
    // What follows does not matter.
    let is_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
    let line_end = end + message[end..].iter().position(is_end).unwrap();
    assert_eq!(call_id(&message[..=line_end]), found);
}
