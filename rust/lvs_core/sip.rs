// SPDX-License-Identifier: GPL-2.0-only

//! The session initiation protocol (RFC 3261): the Call-ID of a message, by which all messages of a
//! call go to one server.

use crate::engine::{Engine, LONGEST};

/// The engine `sip`.
#[derive(Clone, Copy, Debug)]
pub struct CallId;

impl Engine for CallId {
    fn find<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        call_id(payload)
    }
}

/// Returns the Call-ID of the message that starts the slice (RFC 3261, sections 7.3 and 20.8).
///
/// The name of the header may be short (`i`) and of any case. White space around the colon and
/// after the value does not count, nor does a folded line before the value. Lines end with CR, LF
/// or both. `None`: the message is not of SIP, has no Call-ID before the end of its headers or of
/// the slice, or one that is longer than [`LONGEST`] or contains octets that no Call-ID has.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = line(message)?;
    if !is_start_line(first) {
        return None;
    }
    loop {
        let (header, after) = line(rest)?;
        if header.is_empty() {
            return None;
        }
        rest = after;
        let Some(value) = value(header) else {
            continue;
        };
        let mut value = value.trim_ascii();
        // A value may begin on the next line, which white space begins.
        while value.is_empty() && matches!(rest, [b' ' | b'\t', ..]) {
            let (folded, after) = line(rest)?;
            value = folded.trim_ascii();
            rest = after;
        }
        return is_call_id(value).then_some(value);
    }
}

/// The first line, and what follows it. `None`: it has no end.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|octet| matches!(octet, b'\r' | b'\n'))?;
    let (line, rest) = text.split_at_checked(end)?;
    let rest = match rest {
        [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
        [] => rest,
    };
    Some((line, rest))
}

/// True for a status line, which begins with the version, and for a request line, which ends with
/// it (sections 7.1 and 7.2).
fn is_start_line(line: &[u8]) -> bool {
    let is_version = |part: Option<&[u8]>| part.is_some_and(|it| it.eq_ignore_ascii_case(VERSION));
    let begins = is_version(line.get(..VERSION.len())) && line.get(VERSION.len()) == Some(&b' ');
    let line = line.trim_ascii_end();
    let start = line.len().checked_sub(VERSION.len());
    let before = start.and_then(|start| line.get(start.checked_sub(1)?));
    begins || before == Some(&b' ') && is_version(start.and_then(|start| line.get(start..)))
}

const VERSION: &[u8] = b"SIP/2.0";

/// What follows the colon of a Call-ID header. `None` for other headers and for folded lines.
fn value(header: &[u8]) -> Option<&[u8]> {
    let colon = header.iter().position(|octet| *octet == b':')?;
    let (name, value) = header.split_at_checked(colon)?;
    let name = name.trim_ascii_end();
    let is_ours = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
    is_ours.then_some(value.get(1..)?)
}

/// True for a word, or two with `@` between them (section 25.1, "callid").
fn is_call_id(value: &[u8]) -> bool {
    if value.len() > LONGEST {
        return false;
    }
    let mut words = value.split(|octet| *octet == b'@');
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(|octet| is_word_octet(*octet));
    match (words.next(), words.next(), words.next()) {
        (Some(word), None, _) => is_word(word),
        (Some(word), Some(host), None) => is_word(word) && is_word(host),
        _ => false,
    }
}

fn is_word_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&octet)
}
